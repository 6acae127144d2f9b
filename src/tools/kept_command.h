/*
 * ringer new|start|stop|list|edit|remove: machines that are kept (kept.h).
 */
#ifndef RINGER_TOOLS_KEPT_COMMAND_H
#define RINGER_TOOLS_KEPT_COMMAND_H

#include "base/types.h"

/* Is the word one of these commands? */
bool kept_is_command(const char *word);
/* The command and its words. Returns an exit status (base/log.h); or -1 for `start`: the caller is to run the machine with the command line
 * in *argc and *argv. Errors were printed. */
int kept_command(int *argc, char ***argv);

#endif
