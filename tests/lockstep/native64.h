/*
 * One instruction of 64-bit mode on the host CPU. It runs in this process, between two signals. The handler of SIGUSR1 replaces the
 * interrupted state by that of the test, with TF set; the handler of what comes next (a single-step trap or a fault) takes the state
 * and puts the interrupted one back.
 */
#ifndef RINGER_LOCKSTEP_NATIVE64_H
#define RINGER_LOCKSTEP_NATIVE64_H

#include "machine64.h"

/* Map CODE_AT and the scratch area, and take the signals. The translator's handlers must be there already. */
bool native64_init(void);
void native64_run(struct state64 *in, struct state64 *out);

#endif
