/*
 * The opener: a child process that opens, renames and removes files for the process that runs the guest, which cannot
 * do so itself once it is in the sandbox. Monitors need it (screendump, change, pmemsave, gdbserver at a Unix socket),
 * a reset that reads the kernel again, and the end of a run (--screenshot, -pidfile).
 *
 *   sandboxed thread --- request: operation, flags, names ---> opener: opener_rules.h, open()
 *                    <-- result, descriptor (SCM_RIGHTS) -----
 *
 * It has the user's rights except that of running programs. It is started before any file of the guest's is opened,
 * keeps no descriptor but its socket, and ends when that is closed. It removes and renames only files that it has made,
 * sockets, and the file of -pidfile.
 */
#ifndef RINGER_SANDBOX_OPENER_H
#define RINGER_SANDBOX_OPENER_H

#include "base/host_path.h"
#include "opener_rules.h"

/* No other thread has been started. removable: a named file that may be removed, or NULL. Returns 0 or -errno. */
int opener_start(const struct opener_files *files, const char *removable);
/* Waits for its end. */
void opener_stop(void);

extern const struct host_path_ops opener_ops;

#endif
