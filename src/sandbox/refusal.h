/*
 * What happens to a system call that a filter refuses: the kernel sends SIGSYS instead of making the call.
 *
 *   libraries do without it        the call fails silently
 *   no code of Ringer makes it     one sentence, and the process ends by SIGABRT
 *   all others                     the call fails with EPERM, and one sentence warns, once for each call
 */
#ifndef RINGER_SANDBOX_REFUSAL_H
#define RINGER_SANDBOX_REFUSAL_H

#include "base/confine.h"

/* Before the first filter. Returns 0 or -errno. */
int refusal_prepare(void);
/* The calling thread has this role. Until then it counts as a library's. */
void refusal_set_role(enum thread_role role);

#endif
