/*
 * ringer census: the Popek-Goldberg experiment on this host.
 */
#ifndef RINGER_STUDY_CENSUS_COMMAND_H
#define RINGER_STUDY_CENSUS_COMMAND_H

/* The words after "ringer census". Returns an exit status (base/log.h). Errors were printed. */
int census_command(int argc, char **argv);

#endif
