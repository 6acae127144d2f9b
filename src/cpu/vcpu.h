/*
 * The guest CPU's state: one plain struct. Translated code addresses its first fields by offset
 * (translator/offsets.c); everything hangs off it, nothing is ambient.
 *
 * arch.h has the architecture's constants and types, vcpu_scratch.h what translated code keeps here for itself,
 * vcpu_instruments.h what tests and measurements attach, vcpu_host.h what the CPU asks of the machine.
 *
 * While translated code runs, gpr[] lives in host registers, the arithmetic flags in the host's EFLAGS, and
 * x87/MMX/SSE state in the host's registers (fpu_live). At every call of C code gpr[], rip and eflags are
 * whole again; the FPU state stays live until somebody calls fpu_park(). Code that may run with the FPU live
 * (all of src/mmu, src/cache, src/cpu and src/translator, and the files of src/vm that CMakeLists.txt names)
 * is compiled -mgeneral-regs-only and calls no libc: park first, then call. tests/lint checks it.
 */
#ifndef RINGER_CPU_VCPU_H
#define RINGER_CPU_VCPU_H

#include "arch.h"
#include "base/counters.h"
#include "base/types.h"
#include "mmu/shadow.h"
#include "vcpu_host.h"
#include "vcpu_instruments.h"
#include "vcpu_scratch.h"

/* Bits of vcpu.pending: something for the dispatcher to do before more guest code runs. Set by anyone
 * (atomically), noticed by every engine within a bounded time, cleared by the dispatcher only. */
enum pending_bits {
    PENDING_HOST = 1 << 0,      /* host time or host input: run timers, poll back ends */
    PENDING_INTERRUPT = 1 << 1, /* the interrupt line is up and may be deliverable now */
    PENDING_NMI = 1 << 2,
    PENDING_EXIT = 1 << 3,  /* stop running: vm has the reason (quit, reset, debug exit) */
    PENDING_DEBUG = 1 << 4, /* a trap-class #DB to deliver (data breakpoint, task switch T bit): debug_trap */
};

/* Why an engine returned. */
enum exit_reason {
    EXIT_NONE,     /* (inside engines) go on */
    EXIT_PENDING,  /* vcpu.pending is not zero */
    EXIT_HALT,     /* the guest executed HLT: vcpu.halted */
    EXIT_SHUTDOWN, /* triple fault */
    EXIT_BUDGET,   /* icount reached icount_limit */
    EXIT_STEP,     /* TF or breakpoints are armed: use the interpreter (translator only) */
};

enum inhibit_bits { INHIBIT_STI = 1, INHIBIT_MOV_SS = 2 };

struct cpu_model; /* cpuid.h */
struct isa_set;

struct vcpu {
    /* -- addressed by translated code: keep first, offsets below 128 where possible -- */
    u64 gpr[8];
    u64 rip; /* EIP, zero-extended */
    u32 eflags;
    u32 pending;           /* enum pending_bits */
    u64 icount;            /* instructions begun (deterministic mode: exact at every C call) */
    u64 icount_limit;      /* engines return EXIT_BUDGET when icount reaches it; UINT64_MAX for none */
    const u64 *read_table; /* shadow tables of the current privilege: follow cpl, see vcpu_update_mode() */
    const u64 *write_table;
    const u32 *exec_table;
    u32 mode; /* the translator's mode key, see mode.h; follows the state it is made of */
    u8 cpl;
    u8 inhibit; /* enum inhibit_bits: interrupts (and #DB) held off until the next instruction is done */
    bool halted;
    bool fpu_live;
    struct segment seg[SEG_COUNT];
    struct translator_scratch scratch;
    /* The translator also returns EXIT_BUDGET at the first block end where control is in C code and
     * icount >= icount_soft; 0: at every one (lockstep compares there), UINT64_MAX: never. */
    u64 icount_soft;
    bool interrupt_line; /* INTR: an interrupt controller asks for an interrupt */
    /* -- the rest -- */
    struct segment ldtr, tr;
    struct desc_table gdtr, idtr;
    struct paging paging; /* cr0, cr3, cr4, efer, pdptes */
    u32 cr2;
    u32 dr[8];        /* dr4/5 alias 6/7 */
    u32 debug_trap;   /* DR6 bits of a trap-class #DB pending (PENDING_DEBUG) */
    bool nmi_masked;  /* from the delivery of an NMI to the next IRET */
    bool nmi_latched; /* one more NMI came meanwhile (SDM 3A 6.7.1) */

    /* MSRs that are not kept elsewhere */
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 tsc_offset;
    u64 tsc_adjust;
    u64 apic_base, pat, misc_enable, debugctl, mcg_status, tsc_aux;
    u64 pvclock_time, pvclock_wall; /* pvclock.c: guest-physical addresses */
    u32 pvclock_version;
    u64 mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];

    struct fault fault;  /* being raised */
    u32 fault_address;   /* CR2 to be, for #PF */
    void *fault_jump[5]; /* __builtin_setjmp target while interpreter code runs; see fault.h */
    u8 delivering;       /* exception class being delivered, for double faults */
    bool in_new_task; /* the fault comes from the second half of a task switch: rip is the new task's already,
                         whoever catches it must not put the old instruction's start there */

    u32 insn_start; /* EIP of the instruction the interpreter is at: where faults put rip back */

    const struct vcpu_host *host;
    struct phys *phys;
    struct shadow *shadow;
    const struct cpu_model *model;
    struct counters *counters;
    struct vcpu_instruments instruments;
    void *decode_cache; /* interpreter */
    void *engine;       /* translator */
    void *thunks;       /* FP/SIMD host thunks of the interpreter */
    bool deterministic;
    bool in_user;   /* CPL was 3 when it was looked at last, */
    u64 user_since; /* since this value of the host's TSC */

    bool fpu_sheltered; /* while fpu_live: the XMM registers are in fpu_shelter */
    u8 fpu_shelter[128];

    /* FXSAVE image (XSAVE later), valid while !fpu_live */
    _Alignas(64) u8 fpu[4096];
};

/* The state after power-on (SDM 3A 9.1.1): real mode at F000:FFF0, CS base FFFF0000h. Keeps host, phys,
 * shadow, model, counters and engine pointers. Flushes the shadow. */
void vcpu_reset(struct vcpu *v);
/* After INIT: the same, but x87 and SSE state, CR0.CD and CR0.NW, MTRRs and other MSRs with the TSC are as
 * they were (SDM 3A table 9-1). EFER, which 32-bit systems write once, is 0. The paravirtual clock stops:
 * what runs next has other uses for its page. */
void vcpu_init(struct vcpu *v);

/* Recompute everything that is derived from CPL, segments, EFLAGS and control registers: mode, read_table,
 * write_table, exec_table. Call after changing any of those (cheap). */
void vcpu_update_mode(struct vcpu *v);
/* The same where the segments changed are CS and SS at most, */
void vcpu_update_privilege(struct vcpu *v);
/* and after loading ES, DS, FS or GS, and nothing else. */
void vcpu_update_segment(struct vcpu *v, enum seg seg);

/* Guest FPU state: registers <-> v->fpu. fpu_park: make v->fpu valid and the host's FPU free for library code
 * (default MXCSR and x87 control word). fpu_load: the opposite. Both do nothing when it is so already. */
void fpu_park(struct vcpu *v);
void fpu_load(struct vcpu *v);
/* Enough for library code and devices that compute with integers only, and many times cheaper: they use XMM
 * registers to move memory, but leave x87 registers, control words and MXCSR alone, and do not mind what is
 * in them. Ends with fpu_load() or fpu_park(). */
void fpu_shelter(struct vcpu *v);
/* Call one of them before library code, devices or libc from code that may run with the FPU live. */

/* Whoever sets EFLAGS.IF (STI, POPF, IRET, a task switch, ...) calls this after: the dispatcher clears
 * PENDING_INTERRUPT when it finds the interrupt line up but IF clear. */
static inline void vcpu_recheck_interrupts(struct vcpu *v)
{
    if ((v->eflags & FL_IF) && v->interrupt_line)
        __atomic_or_fetch(&v->pending, PENDING_INTERRUPT, __ATOMIC_RELAXED);
}

/* IRET: the NMI that came during the handler of the one before is taken now. */
static inline void vcpu_unmask_nmi(struct vcpu *v)
{
    v->nmi_masked = false;
    if (likely(!v->nmi_latched)) return;
    v->nmi_latched = false;
    __atomic_or_fetch(&v->pending, PENDING_NMI, __ATOMIC_RELAXED);
}

static inline bool vcpu_pe(const struct vcpu *v)
{
    return v->paging.cr0 & CR0_PE;
}
static inline bool vcpu_vm86(const struct vcpu *v)
{
    return v->eflags & FL_VM;
}
/* Protected mode and not virtual-8086: selectors name descriptors. */
static inline bool vcpu_protected(const struct vcpu *v)
{
    return vcpu_pe(v) && !vcpu_vm86(v);
}
static inline unsigned vcpu_iopl(const struct vcpu *v)
{
    return (v->eflags & FL_IOPL) >> FL_IOPL_SHIFT;
}
static inline bool vcpu_code32(const struct vcpu *v)
{
    return v->seg[SEG_CS].access & AR_DB;
}
static inline bool vcpu_stack32(const struct vcpu *v)
{
    return v->seg[SEG_SS].access & AR_DB;
}

#endif
