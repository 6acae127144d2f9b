/*
 * What the interpreter's own files share.
 */
#ifndef RINGER_CPU_INTERP_PRIVATE_H
#define RINGER_CPU_INTERP_PRIVATE_H

#include "decode_cache.h"
#include "fault.h"
#include "insn.h"

/* thunk.c: the host's instructions, as small functions. Returns 0 or -errno. */
struct thunks;
int thunks_init(struct vcpu *v);
void thunks_destroy(struct vcpu *v);
/* Execute this x87, MMX or SSE instruction on the host. Leaves the guest's FPU state live. */
void thunk_execute(struct vcpu *v, const struct insn *i);

/* fpu_state.c */
/* Is an unmasked x87 exception pending, that the next waiting instruction raises? */
bool fpu_error_pending(const struct vcpu *v);
u32 fpu_mxcsr(const struct vcpu *v);
void fpu_set_mxcsr(struct vcpu *v, u32 mxcsr);
/* Make v->fpu valid, and leave the state where it is. */
void fpu_snapshot(struct vcpu *v);
/* Forget what is in the host's registers: v->fpu is the guest's state. */
void fpu_discard(struct vcpu *v);

/* Bits of MXCSR that may be set. (Not bit 17, AMD's misaligned mode.) */
#define MXCSR_MASK 0xffffu

/* FXSAVE image, SDM 1 table 10-2. */
enum fxsave_layout {
    FX_FCW = 0,
    FX_FSW = 2,
    FX_FTW = 4,
    FX_FOP = 6,
    FX_FIP = 8,
    FX_FDP = 16,
    FX_MXCSR = 24,
    FX_MXCSR_MASK = 28,
    FX_ST = 32,
    FX_XMM = 160,
    FX_XMM_END = 288, /* of the 8 registers of 32-bit mode */
    FX_BYTES = 512,
};

#endif
