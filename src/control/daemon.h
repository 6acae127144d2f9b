/*
 * -daemonize: the first process ends when the machine is ready, and a second one goes on in the background. -pidfile:
 * a file with its process number, which is removed at its end.
 */
#ifndef RINGER_CONTROL_DAEMON_H
#define RINGER_CONTROL_DAEMON_H

#include "base/types.h"

#include <stddef.h>

/* Goes on in a child. The parent waits for daemon_ready() and ends with 0, or ends with the child's status. Must be
 * called before any thread is started. Returns 0 or -errno. */
int daemon_begin(void);
/* Sockets are bound, files are open: standard input, output and error are now /dev/null. */
void daemon_ready(void);

/* False with one sentence in error. The file is removed when the process ends by exit(). */
bool daemon_write_pid(const char *path, char *error, size_t error_bytes);

#endif
