/*
 * A guest machine in 64-bit mode at CPL 3, for one instruction or a few: code and a scratch area at linear addresses that the host
 * process has free, too, and handlers that halt.
 */
#ifndef RINGER_LOCKSTEP_MACHINE64_H
#define RINGER_LOCKSTEP_MACHINE64_H

#include "rig.h"

#include "cpu/fxsave.h"

/* Linear addresses of both, below 4 GB so that 67h reaches them. */
enum {
    CODE_AT = 0x900000,
    SCRATCH_AT = 0xa00000,
    SCRATCH_BYTES = 0x4000,
    SCRATCH_MIDDLE = SCRATCH_AT + SCRATCH_BYTES / 2,
};
enum { NO_FAULT = 1 /* #DB: the single-step trap */ };

struct state64 {
    u64 gpr[GPR_COUNT]; /* by number */
    u64 rip;
    u32 eflags;
    u8 vector;
    _Alignas(16) u8 fx[FX_YMM_END64]; /* as in vcpu.fpu */
};

/* `translate`: the engine is the translator, with blocks of block_limit instructions (0: its default). NULL: it cannot be set up. */
struct rig *machine64_create(bool translate, unsigned block_limit);
/* Run at most `count` instructions of `code` at CODE_AT, with these bytes in the scratch area. *out is the state behind them, or at
 * the instruction that faulted, with its vector. */
void machine64_run(struct rig *rig, const struct state64 *in, struct state64 *out, const u8 *code,
                   unsigned bytes, unsigned count, const u8 *scratch);

#endif
