/*
 * ringer new|start|stop|list|edit|remove: machines that are kept (kept.h).
 */
#ifndef RINGER_TOOLS_KEPT_COMMAND_H
#define RINGER_TOOLS_KEPT_COMMAND_H

#include "base/types.h"

#include <stddef.h>

/* Is the word one of these commands? */
bool kept_is_command(const char *word);
/* Can the command line of `ringer run` be understood? False with one sentence in error. */
typedef bool kept_check(int argc, char **argv, char *error, size_t error_bytes);

/* The command and its words. No settings are kept that `check` refuses. Returns an exit status (base/log.h); or -1 for
 * `start`: the caller is to run the machine with the command line in *argc and *argv. Errors were printed. */
int kept_command(int *argc, char ***argv, kept_check *check);

#endif
