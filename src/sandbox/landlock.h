/*
 * Which files each role of threads may open by name (landlock(7)). Open descriptors keep their rights.
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

struct landlock_files {
    const char *const *network_reads; /* directories that the network thread may read */
    unsigned network_read_count;
    int folder_fd; /* ROLE_FOLDER's */
};

/* For the calling thread, and those that it starts. Returns 0 or -errno. */
int landlock_enter(enum thread_role role, const struct landlock_files *files);

#endif
