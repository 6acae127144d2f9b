/*
 * The guest CPU's state: one plain struct. Translated code addresses its first fields by offset (asserted in
 * the translator); everything hangs off it, nothing is ambient.
 *
 * While translated code runs, gpr[] lives in host registers, the arithmetic flags in the host's EFLAGS, and
 * x87/MMX/SSE state in the host's registers (fpu_live). At every call of C code gpr[], rip and eflags are
 * whole again; the FPU state stays live until somebody calls fpu_park(). Code that may run with the FPU live
 * (all of src/mmu, src/cache, src/cpu and src/translator, and the files of src/vm that CMakeLists.txt names)
 * is compiled -mgeneral-regs-only and calls no libc: park first, then call. tests/lint checks it.
 */
#ifndef RINGER_CPU_VCPU_H
#define RINGER_CPU_VCPU_H

#include "base/counters.h"
#include "base/types.h"
#include "mmu/shadow.h"

enum gpr { REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI };
#define GPR_COUNT 16 /* in 64-bit mode; other modes have the first eight */

/* In the order of the sreg field of ModRM. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

enum eflags {
    FL_CF = 1 << 0,
    FL_ONE = 1 << 1,
    FL_PF = 1 << 2,
    FL_AF = 1 << 4,
    FL_ZF = 1 << 6,
    FL_SF = 1 << 7,
    FL_TF = 1 << 8,
    FL_IF = 1 << 9,
    FL_DF = 1 << 10,
    FL_OF = 1 << 11,
    FL_IOPL = 3 << 12,
    FL_NT = 1 << 14,
    FL_RF = 1 << 16,
    FL_VM = 1 << 17,
    FL_AC = 1 << 18,
    FL_VIF = 1 << 19,
    FL_VIP = 1 << 20,
    FL_ID = 1 << 21,
    FL_ARITH = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF,
};
#define FL_IOPL_SHIFT 12

enum vector {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_BR = 5,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_MC = 18,
    VEC_XM = 19,
};

/*
 * The hidden part of a segment register. `access` has the layout of the descriptor's second dword shifted
 * right by 8 (SDM 3A 3.4.5), that is
 *
 *   16 unusable (null selector) | 15 G | 14 D/B | 13 L | 12 AVL | 11-8 zero | 7 P | 6-5 DPL | 4 S | 3-0 type
 *
 * limit is in bytes with granularity applied: the last valid offset (expand-down: the last invalid one).
 */
struct segment {
    u32 base;
    u32 limit;
    u32 access;
    u16 selector;
    /* `comparable`: it was loaded from the GDT, where `raw` was found; to load the same selector again is
     * nothing as long as that is still there. */
    u16 comparable;
    u64 raw;
};

enum seg_access {
    AR_ACCESSED = 1 << 0,
    AR_WRITABLE = 1 << 1 /* data */,
    AR_READABLE = 1 << 1 /* code */,
    AR_EXPAND_DOWN = 1 << 2 /* data */,
    AR_CONFORMING = 1 << 2 /* code */,
    AR_CODE = 1 << 3,
    AR_S = 1 << 4,
    AR_DPL = 3 << 5,
    AR_P = 1 << 7,
    AR_AVL = 1 << 12,
    AR_L = 1 << 13,
    AR_DB = 1 << 14,
    AR_G = 1 << 15,
    AR_UNUSABLE = 1 << 16,
};
#define AR_DPL_SHIFT    5
#define AR_TYPE(access) ((access)&15)

struct desc_table {
    u64 base;
    u16 limit;
};

/* A guest exception on its way to delivery. */
struct fault {
    u8 vector;
    bool has_error;
    u32 error;
};

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
    EXIT_LONG,     /* the guest is in IA-32e mode: use the interpreter (translator only) */
};

enum inhibit_bits { INHIBIT_STI = 1, INHIBIT_MOV_SS = 2 };

/* The machine's clocks at one moment. */
struct time_sample {
    u64 tsc, tsc_hz; /* before tsc_offset is added */
    u64 ns;          /* since power-on */
    u64 wall_ns;     /* Unix time at ns = 0 */
};

/* The local APIC, which is beside the CPU. */
struct vcpu_apic {
    void (*base_written)(void *machine, u64 base); /* IA32_APIC_BASE */
    void (*tsc_moved)(void *machine);              /* the guest's TSC has jumped */
    u64 (*deadline)(void *machine);                /* IA32_TSC_DEADLINE */
    void (*set_deadline)(void *machine, u64 deadline);
    u8 (*task_priority)(void *machine); /* the TPR, of which CR8 is the high half (SDM 3A 10.8.6.1) */
    void (*set_task_priority)(void *machine, u8 priority);
};

/* What the machine offers its CPU. All are called with the FPU parked or sheltered: no floating point there. */
struct vcpu_host {
    u32 (*port_read)(void *machine, u16 port, unsigned size);
    void (*port_write)(void *machine, u16 port, unsigned size, u32 value);
    int (*interrupt_acknowledge)(void *machine); /* the vector; -1: nothing pending any more */
    u64 (*tsc)(void *machine);                   /* guest TSC before tsc_offset is added */
    void (*ferr)(void *machine, bool level);     /* FERR#: x87 errors with CR0.NE = 0 (IRQ 13) */
    const struct vcpu_apic *apic;                /* NULL: there is none */
    void *machine;
    u64 (*tsc_hz)(void *machine); /* rate of the TSC, for CPUID 15h; NULL or 0: not told */
    struct time_sample (*sample_time)(void *machine); /* NULL: there is no paravirtual clock */
    /* Elements of a string at one port: how many were transferred, perhaps none. NULL: one by one, always. */
    u32 (*port_read_string)(void *machine, u16 port, unsigned size, u8 *to, u32 count);
    u32 (*port_write_string)(void *machine, u16 port, unsigned size, const u8 *from, u32 count);
};

/* IA32_APIC_BASE, bits below the base */
enum { APIC_BASE_BSP = 1 << 8, APIC_BASE_ENABLED = 1 << 11 };

/* IA32_MISC_ENABLE (SDM 4, table 2-2) */
enum { MISC_FAST_STRINGS = 1 << 0, MISC_LIMIT_CPUID = 1 << 22 };
#define MISC_XD_DISABLE (1ull << 34)
#define MISC_READ_ONLY  (3ull << 11) /* no branch trace storage, no precise event-based sampling */

struct cpu_model; /* cpuid.h */
struct isa_set;
struct write_log; /* lockstep: memory.h */

struct vcpu {
    /* -- addressed by translated code: keep first, offsets below 128 where possible -- */
    u64 gpr[8]; /* zero-extended where the mode has 32 bits; R8 to R15 are in gpr_high[] */
    u64 rip;    /* EIP zero-extended, or RIP */
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
    /* The translator's own, see src/translator/frame.h */
    u64 thunk[16];    /* entry points translated code calls */
    u64 jump_table;   /* struct jump_entry[65536], by the low 16 bits of EIP */
    u64 jump_tag;     /* mode number << 56, 0: look nothing up */
    u32 remaining;    /* guest instructions of the block after the one that is to be interpreted */
    u32 slow_scratch; /* a value carried across a second slow access */
    u64 parked_flags; /* AH: SF ZF AF PF CF, AL: OF */
    /* The translator also returns EXIT_BUDGET at the first block end where it is in C code and
     * icount >= icount_soft; 0: at every one (lockstep compares there), UINT64_MAX: never. */
    u64 icount_soft;
    bool interrupt_line; /* INTR: an interrupt controller asks for an interrupt */
    u64 c_stack;         /* the monitor's stack pointer while translated code runs */
    u64 return_top;      /* shadow return stack of this privilege: stack pointer while C code runs */
    u64 return_base;     /* ... where it is when empty */
    u64 return_misses;   /* guest returns that did not go where that stack said */
    /* Why translated code was left last: written only while a profiler is attached (translator/sample.h) */
    u32 exit_cause;    /* THUNK_... */
    u32 exit_argument; /* r11d */
    u64 exit_site;     /* host address behind the call, if it was one */
    u64 hoisted[3];    /* host addresses of checked groups of accesses, within a block (translator/hoist.c) */
    /* -- the rest -- */
    struct segment ldtr, tr;
    struct desc_table gdtr, idtr;
    u64 gpr_high[GPR_COUNT - 8]; /* R8 to R15 */
    /* While EFER.LMA is set: bases at 64 bits. The hidden parts above have their low halves. */
    struct {
        u64 fs, gs, ldtr, tr;
    } base64;
    struct paging paging; /* cr0, cr3, cr4, efer, pdptes */
    u64 cr2;
    u64 dr[8];        /* dr4/5 alias 6/7 */
    u32 debug_trap;   /* DR6 bits of a trap-class #DB pending (PENDING_DEBUG) */
    bool nmi_masked;  /* from the delivery of an NMI to the next IRET */
    bool nmi_latched; /* one more NMI came meanwhile (SDM 3A 6.7.1) */

    /* MSRs that are not kept elsewhere */
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 tsc_offset;
    u64 tsc_adjust;
    u64 apic_base, pat, misc_enable, debugctl, mcg_status, tsc_aux;
    u64 star, lstar, cstar, fmask, kernel_gs_base; /* syscall.c */
    u64 pvclock_time, pvclock_wall;                /* pvclock.c: guest-physical addresses */
    u32 pvclock_version;
    u64 mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];

    struct fault fault;  /* being raised */
    u64 fault_address;   /* CR2 to be, for #PF */
    void *fault_jump[5]; /* __builtin_setjmp target while interpreter code runs; see fault.h */
    u8 delivering;       /* exception class being delivered, for double faults */
    bool in_new_task; /* the fault comes from the second half of a task switch: rip is the new task's already,
                         whoever catches it must not put the old instruction's start there */

    u64 insn_start; /* RIP of the instruction the interpreter is at: where faults put rip back */

    const struct vcpu_host *host;
    struct phys *phys;
    struct shadow *shadow;
    const struct cpu_model *model;
    struct counters *counters;
    void *decode_cache;          /* interpreter */
    void *engine;                /* translator */
    void *thunks;                /* FP/SIMD host thunks of the interpreter */
    struct write_log *write_log; /* lockstep; NULL otherwise */
    u64 window_negated;          /* 0 - shadow->window */
    bool deterministic;
    bool in_user;         /* CPL was 3 when it was looked at last, */
    u64 user_since;       /* since this value of the host's TSC */
    bool no_fast_entry;   /* fault injection: the general routines of kernel entry and exit only */
    bool no_bulk_strings; /* fault injection: repeated string instructions element by element */

    bool fpu_sheltered;   /* while fpu_live: the XMM registers are in fpu_shelter, */
    bool fpu_shelter_all; /* XMM8 to XMM15 too, which long mode has */
    bool fpu_always_park; /* --no-fpu-shelter */
    u8 fpu_shelter[256];

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
