/*
 * The guest CPU's state: one plain struct. There is no other state of a vCPU. Translated code addresses the
 * first fields by offset (translator/offsets.c).
 *
 *   arch.h              constants and types of the architecture
 *   vcpu_scratch.h      what translated code keeps here for itself
 *   vcpu_instruments.h  what tests and measurements attach
 *   vcpu_host.h         what the CPU asks of the machine
 *
 * While translated code runs, gpr[] is in host registers, the arithmetic flags are in the host's EFLAGS, and
 * x87/MMX/SSE/AVX state is in the host's registers (fpu_live). At every call of C code gpr[], rip and eflags are
 * valid again. The FPU state stays live until fpu_park() is called. Code that may run with the FPU live (all of
 * src/mmu, src/cache, src/cpu and src/translator, and the files of src/vm that CMakeLists.txt names) is compiled
 * for general registers only. It parks or shelters the state before it calls libc. tests/lint checks it.
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

/* Bits of vcpu.pending: work for the dispatcher before more guest code runs. Any thread may set them
 * (atomically). Every engine notices them within a bounded time. Only the vCPU thread clears them. */
enum pending_bits {
    PENDING_HOST = 1 << 0,      /* host time or host input: run timers, poll back ends */
    PENDING_INTERRUPT = 1 << 1, /* the interrupt line is up and may be deliverable now */
    PENDING_NMI = 1 << 2,
    PENDING_EXIT = 1 << 3, /* stop running: vm has the reason (quit, reset, debug exit) */
    /* A trap-class #DB to deliver (data breakpoint, task switch T bit, SYSRET): debug_trap. */
    PENDING_DEBUG = 1 << 4,
    PENDING_DEBUGGER = 1 << 5, /* the last instruction hit a debugger's data point (debug_points.h) */
};

/* Why an engine returned. */
enum exit_reason {
    EXIT_NONE,       /* (inside engines) go on */
    EXIT_PENDING,    /* vcpu.pending is not zero */
    EXIT_HALT,       /* the guest executed HLT: vcpu.halted */
    EXIT_SHUTDOWN,   /* triple fault */
    EXIT_BUDGET,     /* icount reached icount_limit */
    EXIT_STEP,       /* TF or breakpoints are armed: use the interpreter (translator only) */
    EXIT_BREAKPOINT, /* the instruction at CS:RIP has a debugger's code point, and was not executed */
};

enum inhibit_bits { INHIBIT_STI = 1, INHIBIT_MOV_SS = 2 };

struct cpu_model; /* cpuid.h */

/* Translated code relies on the low byte of a vCPU's address (translator/verify.c). */
#define VCPU_ALIGN 256

struct vcpu {
    /* -- addressed by translated code: these come first. What blocks name often has offsets from 32 to
     * 288, because these take one byte of an instruction (translator/offsets.c) -- */
    _Alignas(VCPU_ALIGN) u64 icount; /* instructions begun (deterministic mode: exact at every C call) */
    u64 icount_limit;      /* engines return EXIT_BUDGET when icount reaches it; UINT64_MAX: no limit */
    const u64 *read_table; /* the view of the current privilege: set by vcpu_update_mode() */
    const u64 *write_table;
    u64 gpr_high[GPR_COUNT - 8]; /* R8 to R15 */
    u64 rip;                     /* EIP zero-extended, or RIP */
    u32 eflags;
    u32 pending; /* enum pending_bits; atomic */
    const u32 *exec_table;
    struct translator_scratch scratch;
    u64 gpr[8]; /* zero-extended where the mode has 32 bits */
    u32 mode;   /* the mode key (mode.h): set by vcpu_update_mode() */
    u8 cpl;
    u8 inhibit; /* enum inhibit_bits: interrupts (and #DB) are held off until the next instruction is done */
    bool halted;
    bool fpu_live;
    struct segment seg[SEG_COUNT];
    /* The translator also returns EXIT_BUDGET at the first block end at which control is in C code and
     * icount >= icount_soft. 0: at every such block end (lockstep compares there); UINT64_MAX: never. */
    u64 icount_soft;
    bool interrupt_line; /* INTR: an interrupt controller asks for an interrupt */
    /* -- the rest -- */
    struct segment ldtr, tr;
    struct desc_table gdtr;
    struct paging paging; /* cr0, cr3, cr4, efer, pdptes */
    u64 cr2;
    /* While EFER.LMA is set: bases at 64 bits. The hidden parts above have their low halves. */
    struct {
        u64 fs, gs, ldtr, tr;
    } base64;
    u32 debug_trap;   /* DR6 bits of a trap-class #DB pending (PENDING_DEBUG) */
    bool nmi_masked;  /* from the delivery of an NMI to the next IRET */
    bool nmi_latched; /* another NMI arrived in between (SDM 3A 6.7.1) */

    /* MSRs that are not kept elsewhere */
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 tsc_offset;
    u64 tsc_adjust;
    u64 apic_base, pat, misc_enable, debugctl, mcg_status, tsc_aux;
    bool cpuid_faults; /* MSR_MISC_FEATURES_ENABLES bit 0: CPUID raises #GP(0) above CPL 0 */
    struct desc_table idtr;
    u64 dr[8];                                     /* dr4/5 alias 6/7 */
    u64 star, lstar, cstar, fmask, kernel_gs_base; /* syscall.c */
    u64 pvclock_time, pvclock_wall;                /* pvclock.c: guest-physical addresses */
    u32 pvclock_version;
    u64 mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];

    struct fault fault;  /* being raised */
    u64 fault_address;   /* for #PF: the coming value of CR2 */
    void *fault_jump[5]; /* the __builtin_setjmp target of the fault scope (fault.h) */
    u8 delivering;       /* exception class being delivered, for double faults */
    bool in_new_task; /* the fault comes from the second half of a task switch: rip is the new task's and must
                         not be set back (fault.h) */

    u64 insn_start; /* RIP of the instruction that the interpreter executes: a fault sets rip back to it */

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
    bool in_user;   /* CPL was 3 when the mode was last updated */
    bool sampled;   /* SIGPROF samples this vCPU's thread; it waits while the thread sleeps (vm/waker.c) */
    u64 user_since; /* if in_user: the host's TSC when CPL became 3; deterministic: icount */

    u64 xcr0;     /* written by XSETBV */
    bool fpu_ymm; /* XCR0 has had AVX set: the upper halves of the YMM registers are part of the state */
    bool fpu_zmm; /* XCR0 has had AVX-512 set, and with it AVX: its components are part of the state */
    u64 fpu_used; /* the components from AVX on (XCR0) that may have other values in the image than 0 */
    /* If fpu_live: the XMM registers, or with fpu_ymm the YMM registers, are in fpu_shelter; all: the ninth to the
     * sixteenth too, which IA-32e mode has. With fpu_zmm, the components of AVX-512 are in fpu_shelter_zmm, unless all
     * of them are 0. */
    bool fpu_sheltered, fpu_shelter_all;
    u64 fpu_shelter_used; /* with fpu_ymm: the components from AVX on that are not 0 there */
    u8 fpu_shelter[512], fpu_shelter_zmm[1600];

    /* The image (fxsave.h), valid while !fpu_live */
    _Alignas(64) u8 fpu[4096];
};

/* The state after power-on (SDM 3A 9.1.1): real mode at F000:FFF0, CS base FFFF0000h. Keeps host, phys,
 * shadow, model, counters and engine pointers. Flushes the shadow. */
void vcpu_reset(struct vcpu *v);
/* The state after INIT: the same, but x87 and SSE state, CR0.CD and CR0.NW, MTRRs and other MSRs, the TSC among
 * them, keep their values (SDM 3A table 9-1). EFER, which 32-bit systems write once, becomes 0. The paravirtual
 * clock stops, because the next system may use its page for something else. */
void vcpu_init(struct vcpu *v);

/* Recompute what is derived from CPL, segments, EFLAGS and control registers: mode, read_table, write_table and
 * exec_table. Call it after a change of any of them; it is cheap. */
void vcpu_update_mode(struct vcpu *v);
/* The same if no segments but CS and SS have changed. */
void vcpu_update_privilege(struct vcpu *v);
/* The same if nothing has changed but this one of ES, DS, FS and GS. */
void vcpu_update_segment(struct vcpu *v, enum seg seg);

/* Guest FPU state. Code that may run with the state live calls fpu_park() or fpu_shelter() before it calls
 * devices or libraries, libc included.
 *
 * fpu_park: save the state to v->fpu and give the host's FPU to library code (default MXCSR and x87 control
 * word). fpu_load: the opposite. Both do nothing if it is done already. */
void fpu_park(struct vcpu *v);
/* The image, which was a copy of the state, has been changed: it is the state now. */
void fpu_image_changed(struct vcpu *v);
/* The same if v->fpu_used is right already. */
void fpu_image_loaded(struct vcpu *v);
void fpu_load(struct vcpu *v);
/* Save the vector registers only. It is many times cheaper and suffices for integer code, which uses them
 * to move memory, but no x87 registers, control words or MXCSR. fpu_load() or fpu_park() ends it. */
void fpu_shelter(struct vcpu *v);

/* Other threads set bits meanwhile. */
static inline u32 vcpu_pending(const struct vcpu *v)
{
    return __atomic_load_n(&v->pending, __ATOMIC_RELAXED);
}

/* Call this after EFLAGS.IF was set (by STI, POPF, IRET, a task switch, ...): the dispatcher clears
 * PENDING_INTERRUPT when it finds the interrupt line up but IF clear. */
static inline void vcpu_recheck_interrupts(struct vcpu *v)
{
    if ((v->eflags & FL_IF) && v->interrupt_line)
        __atomic_or_fetch(&v->pending, PENDING_INTERRUPT, __ATOMIC_RELAXED);
}

/* For IRET: an NMI that arrived during the handler of the former one can be taken now. */
static inline void vcpu_unmask_nmi(struct vcpu *v)
{
    v->nmi_masked = false;
    if (likely(!v->nmi_latched)) return;
    v->nmi_latched = false;
    __atomic_or_fetch(&v->pending, PENDING_NMI, __ATOMIC_RELAXED);
}

/* What DR6 says of a #DB (SDM 3B 17.2.3). */
#define DR6_BREAKPOINTS 0xfu
#define DR6_BD          (1u << 13)
#define DR6_BS          (1u << 14)
#define DR6_BT          (1u << 15)
/* A trap-class #DB behind the current instruction, for these reasons. */
static inline void vcpu_trap_debug(struct vcpu *v, u32 dr6_bits)
{
    v->debug_trap |= dr6_bits;
    __atomic_or_fetch(&v->pending, PENDING_DEBUG, __ATOMIC_RELAXED);
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
/* IA-32e mode: 64-bit mode or compatibility mode. */
static inline bool vcpu_long_mode(const struct vcpu *v)
{
    return v->paging.efer & EFER_LMA;
}
static inline bool vcpu_code64(const struct vcpu *v)
{
    return vcpu_long_mode(v) && (v->seg[SEG_CS].access & AR_L);
}
/* A general register by its number. */
static inline u64 *vcpu_gpr(struct vcpu *v, unsigned number)
{
    return number < 8 ? &v->gpr[number] : &v->gpr_high[number - 8];
}
static inline u64 vcpu_gpr_read(const struct vcpu *v, unsigned number)
{
    return number < 8 ? v->gpr[number] : v->gpr_high[number - 8];
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
