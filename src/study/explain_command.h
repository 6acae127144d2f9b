/*
 * ringer explain: guest code beside its translation, and why.
 */
#ifndef RINGER_STUDY_EXPLAIN_COMMAND_H
#define RINGER_STUDY_EXPLAIN_COMMAND_H

/* The words after "ringer explain". Returns an exit status (base/log.h). Errors were printed. */
int explain_command(int argc, char **argv);

#endif
