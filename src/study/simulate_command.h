/*
 * ringer simulate: replacement policies of the code cache on a log of block executions.
 */
#ifndef RINGER_STUDY_SIMULATE_COMMAND_H
#define RINGER_STUDY_SIMULATE_COMMAND_H

/* The words after "ringer simulate". Returns an exit status (base/log.h). Errors were printed. */
int simulate_command(int argc, char **argv);

#endif
