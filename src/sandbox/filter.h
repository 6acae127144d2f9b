/*
 * Filters of system calls (seccomp(2)): one that all threads have in common, and one for each role.
 */
#ifndef RINGER_SANDBOX_FILTER_H
#define RINGER_SANDBOX_FILTER_H

#include "base/confine.h"

/* Does the host's kernel have filters? */
bool filter_possible(void);

/* For all threads of the process, which have no other filter yet. `programs`: the user network may start programs.
 * Returns 0 or
 * -errno. */
int filter_enter_common(bool programs);

/* For the calling thread, and those that it starts. Returns 0 or -errno. */
int filter_enter(enum thread_role role);

#endif
