/*
 * One row an instruction: what interpreter, translator, teaching tools and tests must know of it beyond its
 * operands (which Zydis tells). The rows are in isa.def.
 *
 * Sensitive (Popek & Goldberg 1974): reads or changes state that belongs to the machine. Privileged: traps at
 * CPL 3. x86's trouble is the rows that are sensitive but not privileged (Robin & Irvine 2000).
 */
#ifndef RINGER_CPU_ISA_H
#define RINGER_CPU_ISA_H

#include "insn.h"

/* What the translator does with it. */
enum treatment {
    TREAT_IDENTICAL, /* same instruction on the host; memory operand and ESP redirected */
    TREAT_EMIT, /* an emitter of the translator (branches, stack, inline emulations); falls back to CALLOUT */
    TREAT_CALLOUT, /* the interpreter's routine, then on with the block */
    TREAT_END,     /* the interpreter's routine, and the block ends: it may change EIP, mode or mappings */
};

enum isa_traits {
    ISA_PRIVILEGED = 1 << 0, /* #GP at CPL > 0 (or by IOPL) */
    ISA_SENSITIVE = 1 << 1,
    ISA_FPU = 1 << 2,      /* x87: #NM by CR0.EM/TS, #MF pending */
    ISA_MMX = 1 << 3,      /* #UD by EM, #NM by TS, #MF pending */
    ISA_SSE = 1 << 4,      /* #UD by EM or no CR4.OSFXSR, #NM by TS */
    ISA_LOCKABLE = 1 << 5, /* LOCK is legal with a memory destination */
    ISA_IOPL = 1 << 6,     /* privileged by IOPL, not CPL 0 (CLI STI IN OUT ...) */
    ISA_NOWAIT = 1 << 7,   /* with ISA_FPU: does not wait, so no #MF (FNSTSW, FXSAVE ...) */
};

struct isa_row {
    const char *name;
    void (*execute)(struct vcpu *v, const struct insn *i); /* the interpreter's routine */
    u8 treatment;                                          /* enum treatment */
    u8 traits;                                             /* enum isa_traits */
};

/* The row of a Zydis mnemonic; SIMD and x87 mnemonics without a row of their own get a class row by ISA set;
 * what Ringer does not know gets the #UD row. */
const struct isa_row *isa_row(u16 mnemonic, u8 isa_set);
/* Of what is longer than 15 bytes: #GP(0). */
extern const struct isa_row isa_row_too_long;

/* Does this CPU model expose what the instruction needs? If not it must raise #UD. */
bool isa_exposed(const struct cpu_model *model, const struct insn *i);

#endif
