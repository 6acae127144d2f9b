/*
 * Decoding by shape. Instructions of one shape (prefixes, opcode, ModRM.reg, and ModRM.rm if that is a register)
 * differ only in their address bytes and their immediate. Zydis decodes the first instruction of a shape. For
 * the others the result is copied, and address and immediate are filled in. That takes a tenth of the time and
 * no library code.
 *
 * It serves 32-bit code with 32-bit addresses and 64-bit code with 64-bit ones, legacy encodings and at most two
 * prefixes besides REX, which belongs to the shape, if the first copy was equal to Zydis's result. Everything else goes
 * to insn_decode().
 */
#ifndef RINGER_CPU_DECODE_MEMO_H
#define RINGER_CPU_DECODE_MEMO_H

#include "insn.h"

#define DECODE_SHAPES_LOG 14
#define DECODE_SHAPES     (1u << DECODE_SHAPES_LOG)

enum shape_kind {
    SHAPE_NONE,   /* the slot is free */
    SHAPE_ODD,    /* Zydis must decode each instruction */
    SHAPE_PLAIN,  /* only the immediate varies */
    SHAPE_MEMORY, /* the memory operand in ModRM varies too */
    SHAPE_OFFSET, /* MOV between EAX and an address without ModRM */
};

struct shape {
    u64 key;
    u8 kind;            /* enum shape_kind */
    u8 size;            /* enum code_size */
    bool stack_segment; /* SHAPE_MEMORY: with a base of ESP or EBP the segment is SS */
    bool imm_signed;    /* the immediate is sign-extended */
    bool count_decides; /* an immediate count of 0 leaves the flags alone */
    struct insn insn;
};

struct decode_memo {
    bool off; /* always ask Zydis */
    struct shape shapes[DECODE_SHAPES];
    u8 has_modrm[2][4][256]; /* by width of code (32, 64), map and opcode: 0 unknown, 1 no, 2 yes */
};

/* Like insn_decode(). Shelters the guest's FPU state before it calls Zydis. */
int decode_memo_decode(struct decode_memo *memo, struct vcpu *v, struct insn *insn, const u8 *bytes,
                       unsigned available, enum code_size size);

#endif
