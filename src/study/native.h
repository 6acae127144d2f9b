/*
 * Runs a few bytes of 32-bit code on the host CPU, in compatibility mode, from this 64-bit process. Code and data
 * lie below 4 GB; a far jump through the 32-bit code selector enters, another through the 64-bit selector comes
 * back. Faults arrive as signals and are reported as vectors.
 *
 * One thread, one run at a time. The code can reach this whole process, so callers choose it with care or run it in a
 * child.
 */
#ifndef RINGER_STUDY_NATIVE_H
#define RINGER_STUDY_NATIVE_H

#include "native_fx.h"

/* Native code and guests see the same linear addresses, so these lie low, where a 64-bit process can map them and a
 * small guest has RAM. */
#define NATIVE_AT     0x180000u /* native frame and return stub (not seen by guests) */
#define CODE_AT       0x200000u
#define CODE_BYTES    0x2000u
#define SCRATCH_AT    0x300000u
#define SCRATCH_BYTES 0x3000u

/* Selectors of a 64-bit Linux process in 32-bit code; guests are given the same. */
#define USER_CS 0x23
#define USER_DS 0x2b

/* How a run ends without a fault: INT 81h in a guest, a far jump out of native code. */
#define VECTOR_END 0x81

#define FLAGS_ARITH 0x8d5u
#define FLAGS_DF    0x400u
#define FLAGS_IF    0x200u

struct state {
    u32 gpr[8];
    u32 eflags;
    u32 eip;
    u32 vector; /* VECTOR_END or an exception's; eip is that of the frame */
    u32 error;
    _Alignas(64) u8 fx[FX_YMM_END]; /* as in vcpu.fpu */
};

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
