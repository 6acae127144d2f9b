/*
 * `ringer watch`: a running machine's counters as they change. `ringer inspect`: how an address in the machine is
 * mapped.
 */
#ifndef RINGER_TOOLS_WATCH_COMMAND_H
#define RINGER_TOOLS_WATCH_COMMAND_H

#include <stdio.h>

/* The words behind "watch" or "inspect". They return an exit status. */
int watch_command(int count, char **words);
int inspect_command(int count, char **words);
/* Prints how both are called. Returns the status. */
int watch_usage(FILE *out, int status);

/* Ends the program with a sentence if what was printed so far cannot be written. */
void watch_written(void);

#endif
