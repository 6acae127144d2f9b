/*
 * The roles of threads in the sandbox (module sandbox; docs/SECURITY.md), for the modules that start threads.
 *
 * A thread calls confine_thread() before each piece of work that others give it. The first call after the sandbox is on
 * takes from the thread, for ever, what its role does not need; all others return at once. Without a sandbox, as in
 * unit tests, nothing is taken.
 */
#ifndef RINGER_BASE_CONFINE_H
#define RINGER_BASE_CONFINE_H

#include <stdbool.h>

enum thread_role {
    ROLE_VCPU,       /* guest code, devices, commands of monitors and debuggers */
    ROLE_WAKER,      /* timers and signals */
    ROLE_DISK,       /* the disk crew */
    ROLE_NETWORK,    /* back ends of network cards; vhost-user */
    ROLE_CHARACTERS, /* serial ports, sockets of monitors and debuggers */
    ROLE_FOLDER,     /* one shared folder */
    ROLE_VNC,
    ROLE_WINDOW, /* SDL, and all libraries that it loads */
    ROLE_COUNT,
};

/* folder_fd: ROLE_FOLDER's folder; else -1. */
typedef void confine_function(enum thread_role role, int folder_fd);

/* The process has one sandbox, so this is global. NULL: none. */
void confine_set(confine_function *function);

/* Is there a sandbox that this thread is not in? */
bool confine_is_due(void);
void confine_thread_slowly(enum thread_role role, int folder_fd);

static inline void confine_thread(enum thread_role role)
{
    if (confine_is_due()) confine_thread_slowly(role, -1);
}

#endif
