/*
 * A decoded guest instruction: what interpreter and translator both need of it, in 96 bytes. Zydis decodes;
 * this is the digest, with the byte layout kept so that the translator can re-encode without decoding again.
 */
#ifndef RINGER_CPU_INSN_H
#define RINGER_CPU_INSN_H

#include "base/types.h"
#include "vcpu.h"

#include <Zydis/Mnemonic.h>

#define INSN_MAX_BYTES 15

enum operand_kind { OPND_NONE, OPND_REG, OPND_MEM, OPND_IMM, OPND_FAR };

enum reg_class {
    RC_GPR8,
    RC_GPR16,
    RC_GPR32,
    RC_GPR64,
    RC_SEG,
    RC_CR,
    RC_DR,
    RC_X87,
    RC_MMX,
    RC_XMM,
    RC_YMM,
    RC_OTHER
};

/* Where a register operand is encoded. */
enum operand_field { FIELD_OTHER, FIELD_MODRM_REG, FIELD_MODRM_RM, FIELD_OPCODE, FIELD_VVVV };

/* reg: the architectural number. RC_GPR8: 0-3 AL CL DL BL, 4-7 AH CH DH BH, 8-15 R8B to R15B, and
 * GPR8_LOW + 4-7 SPL BPL SIL DIL. RC_SEG: enum seg. */
#define GPR8_LOW 16
struct operand {
    u8 kind;      /* enum operand_kind */
    u8 reg_class; /* enum reg_class */
    u8 reg;
    u8 imm;    /* OPND_IMM: which of insn.imm[] */
    u16 bytes; /* size of the operand (0: none, e.g. LEA's memory or INVLPG's) */
    bool read, written;
    u8 field; /* enum operand_field */
};

#define INSN_NO_REG 0xff
#define INSN_RIP    0xfe /* the address of the next instruction */

enum insn_prefix {
    PFX_LOCK = 1 << 0,
    PFX_REP = 1 << 1 /* F3 */,
    PFX_REPNE = 1 << 2 /* F2 */,
    PFX_OPSIZE = 1 << 3 /* 66 present */,
    PFX_ADSIZE = 1 << 4 /* 67 present */,
    PFX_SEG = 1 << 5 /* a segment override is present */,
};

enum insn_encoding { ENC_LEGACY, ENC_3DNOW, ENC_VEX, ENC_OTHER };

/* What an instruction does with the stack besides its operands: of `stack_access` bytes. */
enum stack_effect {
    STACK_NONE,
    STACK_PUSH,  /* written below [E]SP, which moves there */
    STACK_POP,   /* read at [E]SP, which moves behind */
    STACK_LEAVE, /* read at [E]BP; [E]SP moves behind it */
    STACK_OTHER, /* ENTER */
};

struct isa_row;

struct insn {
    const struct isa_row *row; /* of its form, see isa.h; NULL never: unknown ones have the #UD row */
    u16 mnemonic;              /* ZydisMnemonic */
    u8 length;
    u8 operand_count; /* visible operands */
    u8 operand_bytes; /* effective operand size: 2, 4 or 8 (1 for byte instructions) */
    u8 address_bytes; /* effective address size: 2, 4 or 8 */
    u8 stack_bytes;   /* operand size of implicit stack use: 2, 4 or 8 */
    u8 prefixes;      /* enum insn_prefix, as effective (mandatory F2/F3/66 are *not* set here) */
    struct operand op[4];
    u64 imm[2]; /* sign-extended to 64 bits where the instruction does so; relative branches: the
                   displacement; far pointers: imm[0] offset, imm[1] selector */

    /* the memory operand, when one operand is OPND_MEM: base + index * scale + disp, in address_bytes */
    u8 mem_base, mem_index; /* GPR number or INSN_NO_REG; the base may be INSN_RIP */
    u8 mem_scale;           /* 1 2 4 8 */
    u8 mem_seg;             /* enum seg, override applied. String instructions: segment of the [E]SI side */
    u64 mem_disp;           /* sign-extended to 64 bits in 64-bit code, to 32 in other code */

    /* Implicit operands count in all of these (Zydis calls them hidden). General registers are a bit each, of
     * whatever width: those that the outcome depends on, and those that may change. mem_base and mem_index
     * are not among the former, see insn_gprs_read(). */
    u16 gprs_read, gprs_written;
    u8 stack_effect, stack_access;
    bool accesses_memory;

    /* arithmetic flags, as FL_* masks within FL_ARITH */
    u16 flags_read;
    u16 flags_written; /* may be written, defined or undefined */
    u16 flags_killed;  /* surely overwritten on every execution (so they are dead before) */

    /* byte layout, for re-encoding */
    u8 encoding; /* enum insn_encoding */
    u8 map;      /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
    u8 opcode;
    u8 rex;       /* the prefix, or 0 */
    u8 mandatory; /* 66, F2, F3 or 0 */
    bool has_modrm;
    u8 modrm;
    u8 opcode_offset; /* of the opcode byte in bytes[] (legacy); of the VEX prefix for ENC_VEX */
    u8 modrm_offset;
    u8 imm_offset, imm_bytes; /* all immediate bytes together (imm_bytes 0: none) */
    u8 isa_set;               /* ZydisISASet, which CPUID feature gates it */
    u8 bytes[INSN_MAX_BYTES];
};

static inline u16 insn_gprs_read(const struct insn *i)
{
    u16 base = i->mem_base >= INSN_RIP ? 0 : 1 << i->mem_base;
    u16 index = i->mem_index == INSN_NO_REG ? 0 : 1 << i->mem_index;
    return i->gprs_read | base | index;
}

/* The width of code: the default sizes of operands and addresses. */
enum code_size { CODE_16, CODE_32, CODE_64 };

/* Decode one instruction from `available` bytes (up to 15 are looked at) of code of this size.
 * Returns its length, 0 when it is no valid instruction (#UD: *insn is then the UD row, length 1 or more), or
 * -1 when more bytes are needed than available. */
int insn_decode(struct insn *insn, const u8 *bytes, unsigned available, enum code_size size);

/* "mov eax, [ebx+4]" into text, for traces and listings (through Zydis' formatter; Intel syntax). */
void insn_format(const struct insn *insn, u64 rip, enum code_size size, char *text, unsigned text_bytes);

#endif
