/*
 * Which files each role of threads may open by name (landlock(7)). Descriptors that are open already stay what they are.
 *
 *   vCPU, timers, disks, VNC   none
 *   network                    /etc and what resolvers keep in /run; the directory of -netdev user,tftp=
 *   characters                 the same without TFTP; pseudo-terminals; new sockets anywhere
 *   shared folder              the folder
 *   window                     what libraries read: the system's directories, icons and fonts of the user's; devices
 */
#ifndef RINGER_SANDBOX_LANDLOCK_H
#define RINGER_SANDBOX_LANDLOCK_H

#include "base/confine.h"

/* Does the host's kernel have Landlock? */
bool landlock_possible(void);

/* Opens what landlock_enter() needs, and gives the network thread a directory to read. Returns 0 or -errno. */
int landlock_prepare(const char *const *network_reads, unsigned count);
void landlock_forget(void);

/* For the calling thread, which has no_new_privs, and those that it starts. Returns 0 or -errno. */
int landlock_enter(enum thread_role role, int folder_fd);

#endif
