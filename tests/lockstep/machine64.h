/*
 * A guest machine in 64-bit mode at CPL 3, for one instruction or a few: code and a scratch area at linear addresses
 * that the host process has free, too, and handlers that halt.
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
/* Guest-physical addresses of what the CPU needs. */
enum {
    MACHINE64_GDT = 0x1000,
    MACHINE64_TSS = 0x1800,
    MACHINE64_IDT = 0x2000,
    MACHINE64_HANDLERS = 0x4000, /* 32 times 16 bytes, a HLT each */
    MACHINE64_IST = 0x8000,      /* end of the handlers' stack */
    MACHINE64_PML4 = 0x10000,
};
enum { NO_FAULT = 1 /* #DB: the single-step trap */ };

struct state64 {
    u64 gpr[GPR_COUNT]; /* by number */
    u64 rip;
    u32 eflags;
    u8 vector;
    u64 fault_address;          /* behind a page fault: CR2 */
    _Alignas(16) u8 fx[FX_ALL]; /* as in vcpu.fpu */
};

/* `translate`: the engine is the translator, with blocks of block_limit instructions (0: its default). NULL: it cannot
 * be set up. */
struct rig *machine64_create(bool translate, unsigned block_limit);
/* Run at most `count` instructions of `code` at CODE_AT, with these bytes in the scratch area. *out is the state behind
 * them, or at the instruction that faulted, with its vector. */
void machine64_run(struct rig *rig, const struct state64 *in, struct state64 *out, const u8 *code,
                   unsigned bytes, unsigned count, const u8 *scratch);

/* For machines with page tables of their own: GDT, TSS, IDT and handlers; a vCPU in 64-bit mode with these and the root
 * at MACHINE64_PML4, and more bits of CR4; its segments and privilege. */
void machine64_tables(struct phys *phys);
void machine64_reset(struct vcpu *v, u32 cr4);
void machine64_enter(struct vcpu *v, bool kernel);
/* Enable AVX and AVX-512, if the model has them. */
void machine64_extend(struct vcpu *v);
/* The parked FPU state is now what this image has of the components that are enabled. */
void machine64_set_fx(struct vcpu *v, const u8 *fx);

#endif
