/*
 * The oracle itself: run a few bytes of 32-bit code on the host CPU, in compatibility mode, from this 64-bit
 * process. Code and data are below 4 GB at the addresses of state.h. A far jump through the 32-bit code selector enters
 * the code, and one through the 64-bit selector returns. Faults arrive as signals and are reported as vectors.
 *
 * One thread, one run at a time. The caller must make sure that the code is harmless, because it can access the whole
 * process.
 */
#ifndef RINGER_LOCKSTEP_NATIVE_H
#define RINGER_LOCKSTEP_NATIVE_H

#include "state.h"

/* Map the areas and install the signal handlers. Former handlers get the signals that do not belong to a run. Returns 0
 * or -errno. */
int native_init(void);

/* Does this host execute 32-bit code? Some do not: kernels booted with ia32_emulation=off, and those that run as
 * guests without hardware virtualization. */
bool native_works(void);

/* The scratch area is at SCRATCH_AT, in this process. */
static inline u8 *native_scratch(void)
{
    return (u8 *)(uintptr_t)SCRATCH_AT;
}

/* Run `bytes` of code at in->eip (within the code area) from state *in; *out is how it ended. */
void native_run(const u8 *code, unsigned bytes, const struct state *in, struct state *out);

#endif
