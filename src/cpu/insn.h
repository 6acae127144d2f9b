/*
 * A decoded guest instruction: the digest of what Zydis says, as interpreter and translator need it. It keeps
 * the byte layout, so that the translator can re-encode the instruction without decoding it again.
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
    RC_ZMM,
    RC_MASK, /* K0 to K7 */
    RC_OTHER
};

/* The field that encodes a register operand. IS4: bits 7 to 4 of the immediate (SDM 2A 2.3.9). */
enum operand_field { FIELD_OTHER, FIELD_MODRM_REG, FIELD_MODRM_RM, FIELD_OPCODE, FIELD_VVVV, FIELD_IS4 };

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
    PFX_SEG = 1 << 5 /* segment override present */,
};

enum insn_encoding { ENC_LEGACY, ENC_3DNOW, ENC_VEX, ENC_EVEX, ENC_OTHER };

/* Which elements of the memory operand an instruction with a writemask accesses (SDM 2A 2.7, SDM 1 15.6). */
enum mask_rule {
    MASK_ALL,      /* all; it stores those of the mask */
    MASK_ELEMENTS, /* those of the mask */
    MASK_SPREAD,   /* those of which the mask has a copy (broadcasts) */
    MASK_PACKED,   /* as many as the mask has bits, the first ones (VPCOMPRESSD, VPEXPANDD and their kin) */
};

/* An instruction's implicit access to the stack, of `stack_access` bytes. */
enum stack_effect {
    STACK_NONE,
    STACK_PUSH,  /* writes below [E]SP and moves [E]SP there */
    STACK_POP,   /* reads at [E]SP and moves [E]SP above the value */
    STACK_LEAVE, /* reads at [E]BP and moves [E]SP above the value */
    STACK_OTHER, /* ENTER */
};

struct isa_row;

struct insn {
    const struct isa_row *row; /* of its form (isa.h); never NULL: unknown instructions have the #UD row */
    u16 mnemonic;              /* ZydisMnemonic */
    u8 length;
    u8 operand_count; /* visible operands */
    u8 operand_bytes; /* effective operand size: 2, 4 or 8 (1 for byte instructions) */
    u8 address_bytes; /* effective address size: 2, 4 or 8 */
    u8 stack_bytes;   /* operand size of implicit stack use: 2, 4 or 8 */
    u8 prefixes;      /* enum insn_prefix: those in effect, *without* a mandatory F2, F3 or 66 */
    struct operand op[4];
    u64 imm[2]; /* sign-extended to 64 bits where the instruction extends it; relative branches: the
                   displacement; far pointers: imm[0] offset, imm[1] selector */

    /* the memory operand, if one operand is OPND_MEM: base + index * scale + disp, in address_bytes */
    u8 mem_base, mem_index; /* GPR number or INSN_NO_REG; the base may be INSN_RIP */
    u8 mem_scale;           /* 1 2 4 8 */
    u8 mem_seg;             /* enum seg, override applied. String instructions: segment of the [E]SI side */
    u64 mem_disp;           /* sign-extended to 64 bits in 64-bit code, to 32 in other code */

    /* All of these include implicit operands, which Zydis calls hidden. Each general register has one bit, for
     * any width: in gprs_read if the result depends on it, in gprs_written if it may change. gprs_read leaves
     * out mem_base and mem_index, see insn_gprs_read(). */
    u16 gprs_read, gprs_written;
    u8 stack_effect, stack_access;
    bool accesses_memory;

    /* arithmetic flags, as FL_* masks within FL_ARITH */
    u16 flags_read;
    u16 flags_written; /* may be written, defined or undefined */
    u16 flags_killed;  /* overwritten on every execution, so they are dead before it */

    /* byte layout, for re-encoding */
    u8 encoding; /* enum insn_encoding */
    /* The writemask of a memory operand: 0: none; K1 to K7; enum mask_rule; the bits that count; an element's size. */
    u8 mask, mask_rule, mask_bits, element_bytes;
    u8 map; /* 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A */
    u8 opcode;
    u8 rex;       /* the prefix, or 0 */
    u8 mandatory; /* 66, F2, F3 or 0 */
    u8 vex_w;     /* VEX.W or EVEX.W, if it has an effect */
    bool has_modrm;
    u8 modrm;
    u8 opcode_offset; /* of the opcode byte in bytes[] (legacy); of the prefix for ENC_VEX and ENC_EVEX */
    u8 modrm_offset;
    u8 imm_offset, imm_bytes; /* all immediate bytes together (imm_bytes 0: none) */
    u8 isa_set;               /* ZydisISASet: selects the CPUID feature that gates it */
    u8 bytes[INSN_MAX_BYTES];
};

/* AH, CH, DH or BH. */
static inline bool insn_is_high_byte(const struct operand *o)
{
    return o->kind == OPND_REG && o->reg_class == RC_GPR8 && o->reg >= 4 && o->reg < 8;
}

/* The first operand in memory, or NULL. */
static inline const struct operand *insn_memory(const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (i->op[n].kind == OPND_MEM) return &i->op[n];
    return NULL;
}

/* MOVS and CMPS have operands at [RSI] and [RDI], STOS and SCAS at [RDI] alone. */
static inline bool string_uses_both(u8 opcode)
{
    return opcode >= 0xa4 && opcode <= 0xa7;
}

static inline u16 insn_gprs_read(const struct insn *i)
{
    u16 base = i->mem_base >= INSN_RIP ? 0 : 1 << i->mem_base;
    u16 index = i->mem_index == INSN_NO_REG ? 0 : 1 << i->mem_index;
    return i->gprs_read | base | index;
}

static inline bool insn_has_vex(const struct insn *i)
{
    return i->encoding == ENC_VEX || i->encoding == ENC_EVEX;
}

/* The registers in the fields of an instruction with VEX or EVEX. */
struct vex_fields {
    u8 reg, rm, index, vvvv; /* index, vvvv: 0: none */
};

/* The three bytes of a VEX prefix (SDM 2A 2.3): C4 | ~R ~X ~B map | W ~vvvv L pp. The bits besides registers are those
 * that have an effect on the guest's instruction, so 64-bit code may have them. */
static inline void insn_vex_prefix(const struct insn *i, const struct vex_fields *f, u8 *prefix)
{
    enum { NOT_R = 0x80, NOT_X = 0x40, NOT_B = 0x20, MAP = 0x1f, L_PP = 7 };
    const u8 *vex = i->bytes + i->opcode_offset;
    bool two = vex[0] == 0xc5;
    prefix[0] = 0xc4;
    prefix[1] = (u8)((f->reg & 8 ? 0 : NOT_R) | (f->index & 8 ? 0 : NOT_X) | (f->rm & 8 ? 0 : NOT_B) |
                     (two ? 1 : vex[1] & MAP));
    prefix[2] = (u8)(i->vex_w << 7 | (~f->vvvv & 15) << 3 | (vex[two ? 1 : 2] & L_PP));
}

/* The four bytes of an EVEX prefix (SDM 2A 2.7.1): 62 | ~R ~X ~B ~R' 0 map | W ~vvvv 1 pp | z L'L b ~V' aaa. X is the
 * fifth bit of a register in ModRM.rm. */
static inline void insn_evex_prefix(const struct insn *i, const struct vex_fields *f, u8 *prefix)
{
    enum {
        NOT_R = 0x80,
        NOT_X = 0x40,
        NOT_B = 0x20,
        NOT_R5 = 0x10,
        MAP = 0x0f,
        FIXED = 4,
        PP = 3,
        NOT_V5 = 8
    };
    const u8 *evex = i->bytes + i->opcode_offset;
    prefix[0] = 0x62;
    prefix[1] = (u8)((f->reg & 8 ? 0 : NOT_R) | (f->index & 8 || f->rm & 16 ? 0 : NOT_X) |
                     (f->rm & 8 ? 0 : NOT_B) | (f->reg & 16 ? 0 : NOT_R5) | (evex[1] & MAP));
    prefix[2] = (u8)(i->vex_w << 7 | (~f->vvvv & 15) << 3 | FIXED | (evex[2] & PP));
    prefix[3] = (u8)((evex[3] & ~NOT_V5) | (f->vvvv & 16 ? 0 : NOT_V5));
}

enum { VEX_PREFIX_MOST = 4 };

/* The prefix of an instruction with VEX or EVEX. Returns its length. */
static inline unsigned insn_vex_or_evex_prefix(const struct insn *i, const struct vex_fields *f, u8 *prefix)
{
    if (i->encoding == ENC_EVEX) {
        insn_evex_prefix(i, f, prefix);
        return 4;
    }
    insn_vex_prefix(i, f, prefix);
    return 3;
}

/* The immediate of an instruction with VEX has one byte. A register in it has three bits outside 64-bit mode, whatever
 * bit 7 is. */
static inline u8 insn_vex_immediate(const struct insn *i)
{
    u8 byte = i->bytes[i->imm_offset];
    const struct operand *last = &i->op[i->operand_count - 1];
    return last->field == FIELD_IS4 ? (u8)(last->reg << 4 | (byte & 15)) : byte;
}

/* The width of code: the default sizes of operands and addresses. */
enum code_size { CODE_16, CODE_32, CODE_64 };

/* Decode one instruction from `available` bytes, of which at most 15 are read. Returns its
 * length; 0 if it is no valid instruction (then *insn has the #UD row and a length of at least 1); -1 if it
 * needs more bytes than `available`. */
int insn_decode(struct insn *insn, const u8 *bytes, unsigned available, enum code_size size);

/* Text for event logs and listings, in Intel syntax: "mov eax, [ebx+4]". */
void insn_format(const struct insn *insn, u64 rip, enum code_size size, char *text, unsigned text_bytes);

#endif
