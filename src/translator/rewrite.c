/*
 * Identical translation: the guest's instruction again, as 64-bit code. The differences are:
 *
 * - a memory operand becomes [r9 + r10] after its check, or an operand in the host window;
 * - ESP becomes r8, by REX or VEX bits;
 * - operand-size prefixes are chosen anew, because the default size is 32 bits and the guest's may be 16;
 *   address-size and segment prefixes are left out;
 * - opcodes that 64-bit mode lacks get their other encoding (40h-4Fh, 82h, A0h-A3h).
 *
 * AH, CH, DH and BH cannot be encoded with a REX prefix, which [r9 + r10] needs. Such an instruction works on the low
 * half of the register, between two XCHG AL,AH (or CL,CH ...), which do not change flags.
 */
#include "build.h"

static const struct operand *memory_operand(const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (i->op[n].kind == OPND_MEM) return &i->op[n];
    return NULL;
}

static bool is_high_byte(const struct operand *o)
{
    return o->kind == OPND_REG && o->reg_class == RC_GPR8 && o->reg >= 4;
}

static const struct operand *high_byte(const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (is_high_byte(&i->op[n])) return &i->op[n];
    return NULL;
}

static bool is_gpr(const struct operand *o)
{
    return o->kind == OPND_REG && (o->reg_class == RC_GPR16 || o->reg_class == RC_GPR32);
}

/* Does a register operand in this field name ESP (or SP)? */
static bool esp_in(const struct insn *i, enum operand_field field)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (is_gpr(&i->op[n]) && i->op[n].field == field && i->op[n].reg == REG_ESP) return true;
    return false;
}

static bool uses_esp(const struct insn *i)
{
    return esp_in(i, FIELD_MODRM_REG) || esp_in(i, FIELD_MODRM_RM) || esp_in(i, FIELD_OPCODE) ||
           esp_in(i, FIELD_VVVV);
}

/* Is ESP an operand outside the fields that are encoded anew? */
static bool hidden_esp(const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (is_gpr(&i->op[n]) && i->op[n].reg == REG_ESP && i->op[n].field == FIELD_OTHER) return true;
    return false;
}

static bool is_moffs(const struct insn *i)
{
    return i->encoding == ENC_LEGACY && i->map == 0 && i->opcode >= 0xa0 && i->opcode <= 0xa3;
}

bool rewrite_can(const struct build *b)
{
    const struct insn *i = b->i;
    if (hidden_esp(i)) return false;
    if (i->encoding != ENC_LEGACY && i->encoding != ENC_VEX) return false;
    /* VEX is #UD in real and virtual-8086 mode (SDM 2A 2.3.1). */
    if (i->encoding == ENC_VEX && (!(b->mode & MODE_PE) || (b->mode & MODE_VM86))) return false;
    const struct operand *mem = memory_operand(i), *high = high_byte(i);
    if (high && uses_esp(i)) return false;
    if (!mem) return true;
    if (!i->has_modrm && !is_moffs(i)) return false;
    /* XCHG AL,AH would change the AL that CMPXCHG uses besides its operands. */
    if (high && ((i->row->traits & ISA_USES_AX) || i->encoding == ENC_VEX)) return false;
    if (mem->bytes > 16) return false;
    /* In the window the access may raise a host page fault, when the halves must not be swapped. */
    if (high && has_window(b) &&
        (!access_is_direct(b, i) || i->mem_base == REG_ESP || i->mem_index == REG_ESP))
        return false;
    return operand_is_reachable(b, mem->written);
}

/* xchg rl, rh for the register with this high byte, without REX. */
static void swap_high(struct build *b, const struct operand *high)
{
    emit_xchg_high(&b->e, high->reg & 3);
}

static bool operand_size_16(const struct build *b, const struct insn *i)
{
    if (i->row->traits & (ISA_FPU | ISA_MMX | ISA_SSE)) return false;
    bool prefix = i->prefixes & PFX_OPSIZE;
    return (b->mode & MODE_CODE32) ? prefix : !prefix;
}

static void emit_prefixes(struct build *b, const struct insn *i)
{
    if (keeps_lock(b, i)) emit8(&b->e, HOST_LOCK);
    if (operand_size_16(b, i)) emit8(&b->e, HOST_OPERAND16);
    if (i->mandatory) emit8(&b->e, i->mandatory);
}

static void emit_map(struct build *b, u8 map)
{
    if (map >= 1) emit8(&b->e, HOST_ESCAPE);
    if (map == 2) emit8(&b->e, HOST_ESCAPE_38);
    if (map == 3) emit8(&b->e, HOST_ESCAPE_3A);
}

static void emit_immediates(struct build *b, const struct insn *i)
{
    for (unsigned n = 0; n < i->imm_bytes; n++)
        emit8(&b->e, i->bytes[i->imm_offset + n]);
}

/* The guest's ModRM, with field value 4 replaced by 0 (r8's low bits) where it means ESP. It stays 4 for high bytes
 * and registers of other classes. */
static u8 modrm_registers(const struct insn *i)
{
    u8 modrm = i->modrm;
    if (esp_in(i, FIELD_MODRM_REG)) modrm &= (u8) ~(7 << 3);
    if ((modrm >> 6) == 3 && esp_in(i, FIELD_MODRM_RM)) modrm &= (u8)~7;
    return modrm;
}

/* The reg field of a memory form: r8 for ESP, the low byte for a swapped high byte. */
static u8 reg_field(const struct insn *i, const struct operand *high)
{
    if (high) return high->reg & 3;
    if (esp_in(i, FIELD_MODRM_REG)) return GUEST_ESP;
    return (i->modrm >> 3) & 7;
}

static void emit_legacy_mem(struct build *b, const struct insn *i, const struct operand *high,
                            struct host_mem mem)
{
    u8 opcode = i->opcode, reg = is_moffs(i) ? RAX : reg_field(i, high);
    /* A0h-A3h, MOV between AL/eAX and an absolute address, become 8Ah 8Bh 88h 89h with ModRM. */
    static const u8 moffs[] = {0x8a, 0x8b, 0x88, 0x89};
    if (is_moffs(i)) opcode = moffs[opcode - 0xa0];
    if (i->map == 0 && opcode == 0x82) opcode = 0x80;
    emit_window_prefixes(&b->e, &mem);
    emit_prefixes(b, i);
    emit_rex(&b->e, false, reg, &mem, 0, false);
    emit_map(b, i->map);
    emit8(&b->e, opcode);
    emit_modrm_mem(&b->e, reg, &mem);
    if (!is_moffs(i)) emit_immediates(b, i);
}

/* INC and DEC r32 (40h-4Fh) are REX prefixes in 64-bit mode: use FF /0 and /1. */
static void emit_inc_dec(struct build *b, const struct insn *i)
{
    u8 rm = host_gpr(i->opcode & 7), ext = (i->opcode >> 3) & 1;
    emit_prefixes(b, i);
    emit_rr(&b->e, false, 0xff, ext, rm);
}

static void emit_legacy_reg(struct build *b, const struct insn *i)
{
    if (i->map == 0 && (i->opcode & 0xf0) == 0x40) {
        emit_inc_dec(b, i);
        return;
    }
    emit_prefixes(b, i);
    u8 rex = (u8)(esp_in(i, FIELD_MODRM_REG) << 2 | (esp_in(i, FIELD_MODRM_RM) | esp_in(i, FIELD_OPCODE)));
    if (rex) emit8(&b->e, HOST_REX | rex);
    emit_map(b, i->map);
    u8 opcode = i->map == 0 && i->opcode == 0x82 ? 0x80 : i->opcode;
    if (esp_in(i, FIELD_OPCODE)) opcode &= (u8)~7;
    emit8(&b->e, opcode);
    if (i->has_modrm) emit8(&b->e, modrm_registers(i));
    emit_immediates(b, i);
}

/* VEX (BMI1, BMI2), always in the three-byte form:
 *   C4 | ~R ~X ~B mmmmm | W ~vvvv L pp | opcode | ModRM ... */
static void emit_vex(struct build *b, const struct insn *i, const struct host_mem *mem)
{
    const u8 *vex = i->bytes + i->opcode_offset;
    bool two = vex[0] == 0xc5;
    u8 map = two ? 1 : vex[1] & 31, last = two ? (u8)(vex[1] & 0x7f) : vex[2];
    u8 high = 0xe0; /* ~R ~X ~B, all three off */
    if (esp_in(i, FIELD_MODRM_REG)) high &= 0x7f;
    if (mem && mem->index != HOST_NONE && mem->index >= 8) high &= 0xbf;
    if (mem && mem->base != HOST_NONE && mem->base >= 8) high &= 0xdf;
    if (!mem && esp_in(i, FIELD_MODRM_RM)) high &= 0xdf;
    if (esp_in(i, FIELD_VVVV)) last = (u8)((last & 0x87) | (~GUEST_ESP & 15) << 3);
    if (mem) emit_window_prefixes(&b->e, mem);
    emit8(&b->e, HOST_VEX3);
    emit8(&b->e, high | map);
    emit8(&b->e, last);
    emit8(&b->e, i->opcode);
    if (mem)
        emit_modrm_mem(&b->e, esp_in(i, FIELD_MODRM_REG) ? GUEST_ESP : (i->modrm >> 3) & 7, mem);
    else
        emit8(&b->e, modrm_registers(i));
    emit_immediates(b, i);
}

/* Test a 32-bit divisor for zero, the cause of #DE that programs provoke: a host signal costs 25 times as much as a
 * step. Quotients that do not fit are left to the signal. */
static void check_divisor(struct build *b, const struct insn *i, const struct host_mem *mem)
{
    if (!(i->row->traits & ISA_DIVIDES) || i->operand_bytes != 4) return;
    if (mem && mem->window) return; /* the test could raise a page fault that belongs to no site */
    flags_clobber(b);
    if (mem) {
        emit_alu_mi(&b->e, ALU_CMP, *mem, 0);
    } else {
        u8 divisor = host_gpr(i->modrm & 7);
        emit_test_rr(&b->e, false, divisor);
    }
    stub_add(b, STUB_STEP, emit_jcc(&b->e, CC_Z));
}

void rewrite_identical(struct build *b)
{
    const struct insn *i = b->i;
    const struct operand *mem = memory_operand(i), *high = mem ? high_byte(i) : NULL;
    struct host_mem at;
    if (mem && mem->bytes) {
        at = access_operand(b, mem->bytes, mem->written);
        if (at.window) high = NULL; /* rewrite_can() has made sure that no REX is needed */
    } else if (mem) {
        return; /* a hint or a long NOP: nothing is accessed */
    }
    check_divisor(b, i, mem ? &at : NULL);
    if (needs_flags(b, i)) flags_to_host(b);
    b->site[b->n].parked = b->flags != FLAGS_HOST;
    /* The site's host code begins here, where the flags are as `parked` says. In the window it begins earlier, because
     * the address computation before it belongs to this instruction too. */
    if (!has_window(b)) b->site[b->n].host = in_block(b, b->e.at);
    if (high) swap_high(b, high);
    if (i->encoding == ENC_VEX)
        emit_vex(b, i, mem ? &at : NULL);
    else if (mem)
        emit_legacy_mem(b, i, high, at);
    else
        emit_legacy_reg(b, i);
    if (high) swap_high(b, high);
    if (i->flags_written) b->flags = FLAGS_HOST;
}
