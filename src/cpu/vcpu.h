/*
 * The guest CPU's state: one plain struct. There is no other state of a vCPU. Translated code addresses the
 * first fields by offset (translator/offsets.c).
 *
 * While translated code runs, gpr[] is in host registers, the arithmetic flags are in the host's EFLAGS, and
 * x87/MMX/SSE state is in the host's registers (fpu_live). At every call of C code gpr[], rip and eflags are
 * valid again. The FPU state stays live until fpu_park() is called. Code that may run with the FPU live (all of
 * src/mmu, src/cache, src/cpu and src/translator, and the files of src/vm that CMakeLists.txt names) is compiled
 * for general registers only. It parks or shelters the state before it calls libc. tests/lint checks it.
 */
#ifndef RINGER_CPU_VCPU_H
#define RINGER_CPU_VCPU_H

#include "base/counters.h"
#include "base/types.h"
#include "mmu/shadow.h"

enum gpr { REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI };

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
    /* `comparable`: it was loaded from the GDT, and the descriptor was `raw`. While that is still there, a load
     * of the same selector changes nothing. */
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
    u32 base;
    u16 limit;
};

/* A guest exception on its way to delivery. */
struct fault {
    u8 vector;
    bool has_error;
    u32 error;
};

/* Bits of vcpu.pending: work for the dispatcher before more guest code runs. Any thread may set them
 * (atomically). Every engine notices them within a bounded time. Only the vCPU thread clears them. */
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

/* The machine's clocks at one moment. */
struct time_sample {
    u64 tsc, tsc_hz; /* before tsc_offset is added */
    u64 ns;          /* since power-on */
    u64 wall_ns;     /* Unix time at ns = 0 */
};

/* The local APIC, which is a device of the board. */
struct vcpu_apic {
    void (*base_written)(void *machine, u64 base); /* IA32_APIC_BASE */
    void (*tsc_moved)(void *machine);              /* the guest's TSC has jumped */
    u64 (*deadline)(void *machine);                /* IA32_TSC_DEADLINE */
    void (*set_deadline)(void *machine, u64 deadline);
};

/* The seam to the machine. All functions are called with the FPU parked or sheltered, so they must not use
 * floating point. */
struct vcpu_host {
    u32 (*port_read)(void *machine, u16 port, unsigned size);
    void (*port_write)(void *machine, u16 port, unsigned size, u32 value);
    int (*interrupt_acknowledge)(void *machine); /* the vector; -1: no interrupt is pending any more */
    u64 (*tsc)(void *machine);                   /* guest TSC before tsc_offset is added */
    void (*ferr)(void *machine, bool level);     /* FERR#: x87 errors with CR0.NE = 0 (IRQ 13) */
    const struct vcpu_apic *apic;                /* NULL: there is none */
    void *machine;
    u64 (*tsc_hz)(void *machine); /* rate of the TSC, for CPUID 15h; NULL or 0: the leaf is empty */
    struct time_sample (*sample_time)(void *machine); /* NULL: there is no paravirtual clock */
    /* Transfer up to `count` elements of a string at one port. Returns how many were transferred, perhaps none.
     * NULL: elements are always transferred one by one. */
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
struct write_log; /* lockstep: memory.h */

struct vcpu {
    /* -- addressed by translated code: these come first, with offsets below 128 where possible -- */
    u64 gpr[8];
    u64 rip; /* EIP, zero-extended */
    u32 eflags;
    u32 pending;           /* enum pending_bits */
    u64 icount;            /* instructions begun (deterministic mode: exact at every C call) */
    u64 icount_limit;      /* engines return EXIT_BUDGET when icount reaches it; UINT64_MAX: no limit */
    const u64 *read_table; /* the view of the current privilege: set by vcpu_update_mode() */
    const u64 *write_table;
    const u32 *exec_table;
    u32 mode; /* the mode key (mode.h): set by vcpu_update_mode() */
    u8 cpl;
    u8 inhibit; /* enum inhibit_bits: interrupts (and #DB) are held off until the next instruction is done */
    bool halted;
    bool fpu_live;
    struct segment seg[SEG_COUNT];
    /* Of the translator, see src/translator/frame.h */
    u64 thunk[16];    /* entry points that translated code calls */
    u64 jump_table;   /* struct jump_entry[65536], by the low 16 bits of EIP */
    u64 jump_tag;     /* mode number << 56; 0: the jump table is not used */
    u32 remaining;    /* guest instructions of the block that follow the one to be interpreted */
    u32 slow_scratch; /* a value carried across a second slow access */
    u64 parked_flags; /* AH: SF ZF AF PF CF, AL: OF */
    /* The translator also returns EXIT_BUDGET at the first block end at which it is in C code and
     * icount >= icount_soft. 0: at every such block end (lockstep compares there); UINT64_MAX: never. */
    u64 icount_soft;
    bool interrupt_line; /* INTR: an interrupt controller asks for an interrupt */
    u64 c_stack;         /* the monitor's stack pointer while translated code runs */
    u64 return_top;      /* shadow return stack of this privilege: stack pointer while C code runs */
    u64 return_base;     /* ... its value when the stack is empty */
    u64 return_misses;   /* guest returns to another address than the shadow return stack predicted */
    /* Why translated code was last left: written only while a profiler is attached (translator/sample.h) */
    u32 exit_cause;    /* THUNK_... */
    u32 exit_argument; /* r11d */
    u64 exit_site;     /* host address behind the call, if it was left by a call */
    u64 hoisted[3];    /* host addresses that the hoisted checks of a block found (translator/hoist.c) */
    /* -- the rest -- */
    struct segment ldtr, tr;
    struct desc_table gdtr, idtr;
    struct paging paging; /* cr0, cr3, cr4, efer, pdptes */
    u32 cr2;
    u32 dr[8];        /* dr4/5 alias 6/7 */
    u32 debug_trap;   /* DR6 bits of a trap-class #DB pending (PENDING_DEBUG) */
    bool nmi_masked;  /* from the delivery of an NMI to the next IRET */
    bool nmi_latched; /* another NMI arrived in between (SDM 3A 6.7.1) */

    /* MSRs that are not kept elsewhere */
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 tsc_offset;
    u64 tsc_adjust;
    u64 apic_base, pat, misc_enable, debugctl, mcg_status, tsc_aux;
    u64 pvclock_time, pvclock_wall; /* pvclock.c: guest-physical addresses */
    u32 pvclock_version;
    u64 mtrr_def_type, mtrr_fixed[11], mtrr_base[8], mtrr_mask[8];

    struct fault fault;  /* being raised */
    u32 fault_address;   /* for #PF: the coming value of CR2 */
    void *fault_jump[5]; /* the __builtin_setjmp target of the fault scope (fault.h) */
    u8 delivering;       /* exception class being delivered, for double faults */
    bool in_new_task; /* the fault comes from the second half of a task switch: rip is the new task's and must
                         not be set back (fault.h) */

    u32 insn_start; /* EIP of the instruction that the interpreter executes: a fault sets rip back to it */

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
    bool in_user;         /* CPL was 3 when vcpu_update_mode() last ran */
    u64 user_since;       /* if in_user: the host's TSC when CPL became 3 */
    bool no_fast_entry;   /* fault injection: kernel entry and exit use the general routines only */
    bool no_bulk_strings; /* fault injection: repeated string instructions go element by element */

    bool fpu_sheltered;   /* if fpu_live: the XMM registers are in fpu_shelter */
    bool fpu_always_park; /* --no-fpu-shelter */
    u8 fpu_shelter[128];

    /* FXSAVE image, valid while !fpu_live */
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
void fpu_load(struct vcpu *v);
/* Save the XMM registers only. It is many times cheaper and suffices for integer code, which uses XMM registers
 * to move memory, but no x87 registers, control words or MXCSR. fpu_load() or fpu_park() ends it. */
void fpu_shelter(struct vcpu *v);

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
