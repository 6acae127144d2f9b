/*
 * The instruction table: one row a form of an instruction. It has what interpreter, translator, teaching tools
 * and tests must know of the form beyond its operands, which are in the decoder's digest. The rows are in
 * isa.def. The decoder chooses the row.
 *
 * A privileged form traps unless the CPU is in a state that the row names. A sensitive form (Popek & Goldberg
 * 1974) changes the machine's resources or mode (control), or its result depends on where they are (location) or
 * on the mode. tests/unit/test_translator_table.c compares these columns with the host CPU, the interpreter and
 * the emitted code.
 */
#ifndef RINGER_CPU_ISA_H
#define RINGER_CPU_ISA_H

#include "insn.h"

/* What the translator does with a form. */
enum treatment {
    TREAT_IDENTICAL, /* the same instruction on the host, with memory operand and ESP redirected */
    TREAT_INLINE,    /* code of the row's emitter */
    TREAT_BRANCH,    /* the same, and the block ends (or goes on behind a conditional jump) */
    TREAT_CALLOUT,   /* a call of the interpreter's routine; the block goes on */
    TREAT_END, /* a call of the interpreter's routine; the block ends: EIP, mode or mappings may change */
};
/* An emitter does not serve every mode and segment. Where it does not, a call of the interpreter's routine
 * replaces IDENTICAL, INLINE and BRANCH. That is decided once, when the block is planned. */

/* The translator's emitters; src/translator/emitters.c has a function for each. */
/* clang-format off */
#define ISA_EMITTERS(X)                                                                                      \
    X(lea) X(nothing) X(prefetch)                                                                            \
    X(push) X(pop) X(leave) X(cli) X(sti) X(cld) X(std) X(pushf) X(popf) X(rdtsc) X(rdtscp) X(jump) X(jcond) \
    X(jecxz) X(loop) X(call) X(ret) X(lods) X(stos) X(movs) X(scas) X(cmps) X(push_segment) X(pop_segment)   \
    X(mov_from_segment) X(mov_to_segment) X(mov_from_cr) X(bit_string) X(cmpxchg) X(ldmxcsr) X(swapgs)
/* clang-format on */
enum isa_emitter {
    EMITTER_NONE,
#define X(name) EMITTER_##name,
    ISA_EMITTERS(X)
#undef X
        EMITTER_COUNT
};

enum isa_traits {
    ISA_FPU = 1 << 0,       /* x87: #NM by CR0.EM/TS, #MF pending */
    ISA_MMX = 1 << 1,       /* #UD by EM, #NM by TS, #MF pending */
    ISA_SSE = 1 << 2,       /* #UD by EM or no CR4.OSFXSR, #NM by TS */
    ISA_NOWAIT = 1 << 3,    /* with ISA_FPU: does not wait, so raises no #MF (FNSTSW, FXSAVE ...) */
    ISA_LOCKABLE = 1 << 4,  /* LOCK is legal with a memory destination */
    ISA_PROTECTED = 1 << 5, /* #UD in real and virtual-8086 mode */
    ISA_NOT_REAL = 1 << 6,  /* #GP(0) in real mode */
    ISA_HAS_FORMS = 1 << 7, /* forms of the mnemonic have rows of their own */
    ISA_WAIT = 1 << 8,      /* with ISA_FPU: #NM by CR0.MP and TS together, regardless of EM (WAIT) */
    ISA_FAST = 1 << 9,      /* has a fast routine (fast_entry.c) */
    ISA_DIVIDES = 1 << 10,  /* divides by its only operand: #DE if that is zero */
    ISA_USES_AX = 1 << 11,  /* reads and writes AL, AX or EAX besides its operands */
    /* The result in the first operand: a copy of the second, or the first plus or minus the second (or 1). */
    ISA_COPIES = 1 << 12,
    ISA_ADDS = 1 << 13,
    ISA_SUBTRACTS = 1 << 14,
    /* A memory operand of 16 bytes need not be aligned (SDM 2A table 2-21, type 4): on no CPU; on some CPU models
     * (cpu_model.sha_is_aligned). */
    ISA_UNALIGNED = 1 << 15,
    ISA_MAY_BE_UNALIGNED = 1 << 25,
    ISA_SHIFTS = 1 << 16, /* by the last operand; a count of zero leaves the flags unchanged */
    /* AF is 0 behind it on every x86 CPU, although SDM 2 says undefined; a unit test checks the host's. */
    ISA_CLEARS_AF = 1 << 17,
    ISA_SOFTWARE_INTERRUPT = 1 << 18,
    ISA_OLDER_MEANING = 1 << 19, /* on a CPU without the feature it is another instruction (TZCNT: BSF) */
    ISA_MAY_WAIT = 1 << 20,      /* raises a pending #MF on some CPU models (cpu_model.cvtpi2ps_waits) */
    ISA_AVX =
        1 << 21, /* SIMD with VEX or EVEX: #UD unless CR4.OSXSAVE and XCR0 allow it (MODE_AVX), #NM by TS */
    ISA_ALIGNED = 1 << 22, /* with ISA_AVX: a memory operand must be aligned (SDM 2A table 2-21, type 1) */
    /* With ISA_AVX: VEX.W selects the size of a general register, or of memory that takes its place. */
    ISA_W_IS_SIZE = 1 << 23,
    ISA_TRAPS_ITSELF = 1 << 24, /* the routine raises the trap of EFLAGS.TF itself (syscall.c) */
    /* A general register of 4 or 8 bytes that it writes and does not read gets a new value on every execution. All
     * SIMD instructions do that. */
    ISA_OVERWRITES = 1 << 26,
    ISA_OPMASK =
        1 << 27, /* with ISA_AVX: VEX, but the registers are K0 to K7, which AVX-512 has (isa_is_avx512()) */
};

/* The state that allows a form. In any other state it raises #GP(0). */
enum isa_privilege {
    PRIVILEGE_NONE, /* any */
    PRIVILEGE_CPL0, /* CPL 0 (SDM 3A 5.9) */
    PRIVILEGE_IOPL, /* CPL <= IOPL (SDM 1 19.5.1), or it acts on VIF by CR4.PVI or CR4.VME (SDM 3A 20.3) */
    PRIVILEGE_PORT, /* CPL <= IOPL outside of virtual-8086 mode, or the TSS's I/O bitmap (SDM 1 19.5.2) */
    PRIVILEGE_VM86, /* not virtual-8086 mode, or IOPL 3 in it, or CR4.VME (SDM 3A 20.2.7) */
    PRIVILEGE_GATE, /* CPL <= DPL of the vector's gate (SDM 3A 6.12.1.1) */
    PRIVILEGE_VM86_GATE, /* both of the former */
    PRIVILEGE_TSD,       /* CPL 0, or CR4.TSD is clear */
    PRIVILEGE_PCE,       /* CPL 0, or CR4.PCE is set */
    PRIVILEGE_UMIP,      /* CPL 0, or CR4.UMIP is clear */
};

enum isa_sensitivity { SENSITIVE_CONTROL = 1 << 0, SENSITIVE_LOCATION = 1 << 1, SENSITIVE_MODE = 1 << 2 };

struct isa_row {
    const char *name;                                      /* of the form: "MOV r32, CRn" */
    void (*execute)(struct vcpu *v, const struct insn *i); /* the interpreter's routine */
    const char *manual;                                    /* section; NULL: that of its mnemonic in SDM 2 */
    u32 traits;                                            /* enum isa_traits */
    u8 treatment;                                          /* enum treatment */
    u8 emitter;                                            /* enum isa_emitter */
    u8 privilege;                                          /* enum isa_privilege */
    u8 sensitivity;                                        /* enum isa_sensitivity */
};

/* The row of a decoded instruction (mnemonic, operands, ISA set): the row of its form, of its mnemonic, or of
 * its ISA set. An instruction that Ringer does not know gets the #UD row. */
const struct isa_row *isa_row(const struct insn *i);
/* The rows for bytes that are no instruction, and for instructions longer than 15 bytes, which raise #GP(0). */
extern const struct isa_row isa_row_ud, isa_row_too_long;

/* Does the instruction need AVX-512, so #UD unless XCR0 has its components, too? */
static inline bool isa_is_avx512(const struct insn *i)
{
    return i->encoding == ENC_EVEX || (i->row->traits & ISA_OPMASK);
}

/* Each row has a number below this. Some numbers have no row: NULL. */
unsigned isa_row_numbers(void);
const struct isa_row *isa_row_numbered(unsigned number);
/* 0 for the two rows above. */
unsigned isa_row_number(const struct isa_row *row);

const char *isa_treatment_name(const struct isa_row *row);
const char *isa_privilege_name(const struct isa_row *row);
/* The CPU state that privilege depends on. */
struct isa_mode {
    bool protected, vm86;
    u8 cpl, iopl, gate_dpl;
    bool port_allowed; /* by the I/O bitmap */
    bool tsd, pce, umip;
};
#define ISA_NO_TRAP 0xff
/* The vector that the form raises in this mode by its row, or ISA_NO_TRAP. CR4.VME and CR4.PVI are taken as
 * clear. */
u8 isa_trap(const struct isa_row *row, const struct isa_mode *mode);

/* Innocuous: neither privileged nor sensitive, no transfer of control, and no call of the interpreter. */
static inline bool isa_is_innocuous(const struct isa_row *row)
{
    return !row->privilege && !row->sensitivity &&
           (row->treatment == TREAT_IDENTICAL || row->treatment == TREAT_INLINE);
}

static inline bool isa_lock_is_legal(const struct insn *i)
{
    return !(i->prefixes & PFX_LOCK) || ((i->row->traits & ISA_LOCKABLE) && i->op[0].kind == OPND_MEM);
}

/* Does a block end with it, however it is executed? An illegal LOCK raises #UD, so it ends the block too. */
static inline bool isa_ends_block(const struct insn *i)
{
    return i->row->treatment == TREAT_BRANCH || i->row->treatment == TREAT_END || !isa_lock_is_legal(i);
}

/* x87, MMX, SSE or AVX: the unit may be off, or have an exception pending. */
#define ISA_UNIT (ISA_FPU | ISA_MMX | ISA_SSE | ISA_AVX)

/* Does this CPU model expose what the instruction needs? If not it must raise #UD. */
bool isa_exposed(const struct cpu_model *model, const struct insn *i);

#endif
