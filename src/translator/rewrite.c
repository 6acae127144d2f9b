/*
 * Identical translation: the guest's instruction again, as 64-bit code. The differences are:
 *
 * - a memory operand becomes [r9 + r10] after its check, or an operand in the host window;
 * - ESP becomes r8, by REX or VEX bits;
 * - operand-size prefixes are chosen anew, because the default size is 32 bits and the guest's may be 16;
 *   address-size and segment prefixes are left out;
 * - opcodes that 64-bit mode lacks get their other encoding (40h-4Fh, 82h, A0h-A3h);
 * - R8 to R15 of 64-bit code, which rest in the vCPU, become memory operands there where the encoding has one.
 *   Otherwise they become registers that are free, with a load before and a store behind the instruction.
 *
 * AH, CH, DH and BH cannot be encoded with a REX prefix, which [r9 + r10] needs. Such an instruction works on the low
 * half of the register, between two XCHG AL,AH (or CL,CH ...), which do not change flags.
 */
#include "build.h"
#include "scratch.h"

static const struct operand *high_byte(const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (insn_is_high_byte(&i->op[n])) return &i->op[n];
    return NULL;
}

static bool is_gpr(const struct operand *o)
{
    return o->kind == OPND_REG && o->reg_class >= RC_GPR16 && o->reg_class <= RC_GPR64;
}

/* The architectural number of a general register of any width; none: INSN_NO_REG. */
static u8 gpr_number(const struct operand *o)
{
    if (o->kind != OPND_REG || o->reg_class > RC_GPR64) return INSN_NO_REG;
    if (o->reg_class != RC_GPR8) return o->reg;
    return insn_is_high_byte(o) ? o->reg & 3 : o->reg % GPR8_LOW;
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

/* Is ESP, or a register that rests in the vCPU, an operand outside the fields that are encoded anew? */
static bool hidden_register(const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++) {
        u8 number = gpr_number(&i->op[n]);
        if (i->op[n].field == FIELD_OTHER && number != INSN_NO_REG && (number == REG_ESP || number >= 8))
            return true;
    }
    return false;
}

/* --- R8 to R15: the instruction works on the vCPU's memory, or on host registers that are free --- */

/* Where each operand that rests in the vCPU is while the instruction runs. */
struct guests {
    u8 host[ARRAY_SIZE(((struct insn *)0)->op)]; /* a host register; HOST_NONE: the operand has none */
    u8 in_place; /* the register that stays in the vCPU, as a memory operand; 0: none */
};

static bool is_guest(u8 number)
{
    return number >= 8 && number != INSN_NO_REG;
}

/* has_memory_form() for opcodes behind 0F38h and 0F3Ah, and for VEX forms: CRC32; ADCX, ADOX; ANDN, BLSR and its kin,
 * BZHI, PDEP, PEXT, MULX, BEXTR, SHLX and its kin; RORX. */
static bool has_late_memory_form(const struct insn *i)
{
    u8 op = i->opcode;
    if (i->encoding == ENC_LEGACY) return i->map == 2 && ((op & 0xfe) == 0xf0 || op == 0xf6) && i->mandatory;
    if (i->encoding != ENC_VEX) return false;
    return i->map == 2 ? op >= 0xf2 && op <= 0xf7 : i->map == 3 && op == 0xf0;
}

/* Does this opcode with a memory operand in place of a register in ModRM.rm do the same, and no slower? Not so for
 * XCHG, which locks the bus, for bit strings, for divisions, whose divisor is tested before, and for rotates by an
 * immediate, which may leave another OF (host_alu.h). */
static bool has_memory_form(const struct insn *i)
{
    u8 op = i->opcode, extension = i->modrm >> 3 & 7;
    if (i->encoding != ENC_LEGACY || i->map > 1) return has_late_memory_form(i);
    if (i->map == 1) {
        bool cmov_or_set = (op & 0xf0) == 0x40 || (op & 0xf0) == 0x90, movx = (op & 0xf6) == 0xb6;
        bool counts = op == 0xb8 || op == 0xbc || op == 0xbd;         /* POPCNT TZCNT LZCNT BSF BSR */
        bool to_xmm = op == 0x2a || op == 0x6e;                       /* CVTSI2SS CVTSI2SD MOVD MOVQ */
        return cmov_or_set || movx || counts || to_xmm || op == 0xaf; /* AFh: IMUL */
    }
    if (op < 0x40) return (op & 7) < 4; /* ADD to CMP */
    if (op >= 0x80 && op <= 0x8b)
        return (op & 0xfe) != 0x86;                     /* ADD to CMP with a constant, TEST, MOV; not XCHG */
    if (op == 0xf6 || op == 0xf7) return extension < 6; /* TEST NOT NEG MUL IMUL; not DIV and IDIV */
    if (op == 0xfe || op == 0xff) return extension < 2; /* INC DEC */
    bool rotate = (op & 0xfe) == 0xc0 && extension < 2; /* ROL ROR */
    bool shift = ((op & 0xfe) == 0xc0 && !rotate) || (op & 0xfc) == 0xd0, mov = (op & 0xfe) == 0xc6;
    return shift || mov || op == 0x63 || op == 0x69 || op == 0x6b; /* 63h: MOVSXD; the others: IMUL */
}

/* May the operand stay in the vCPU? A write of 32 bits clears the others. A host CPU stalls when 64 bits are read soon
 * after 8 or 16 of them were written to memory, which is how SETcc and its kin are used. A register that is named twice
 * is loaded once. */
static bool may_stay(const struct insn *i, unsigned n)
{
    const struct operand *o = &i->op[n];
    if (o->field != FIELD_MODRM_RM || !has_memory_form(i) || (o->written && o->bytes < 8)) return false;
    for (unsigned k = 0; k < i->operand_count; k++)
        if (k != n && gpr_number(&i->op[k]) == gpr_number(o)) return false;
    return true;
}

/* Are r9 to r11 enough? With a memory operand one of them has its address. */
static bool has_registers(const struct insn *i, bool memory)
{
    unsigned count = 0;
    for (unsigned n = 0; n < i->operand_count; n++)
        count += is_guest(gpr_number(&i->op[n]));
    return count <= (memory ? SCRATCH_COUNT - 1 : SCRATCH_COUNT);
}

/* XOR and SUB of a register with itself. */
static bool is_zeroing(const struct insn *i)
{
    bool xor_or_sub = i->map == 0 && ((i->opcode & 0xfd) == 0x31 || (i->opcode & 0xfd) == 0x29);
    return xor_or_sub && is_gpr(&i->op[0]) && is_gpr(&i->op[1]) && i->op[0].reg == i->op[1].reg;
}

/* What overwrites 4 or 8 bytes does not need the register's old value. Others may merge it, or may not write it. */
static bool needs_value(const struct insn *i, const struct operand *o)
{
    if (o->bytes >= 4 && is_zeroing(i)) return false;
    return o->read || o->bytes < 4 || !(i->row->traits & (ISA_COPIES | ISA_OVERWRITES | ISA_SSE | ISA_AVX));
}

static void load_guests(struct build *b, const struct insn *i, const struct guests *guests)
{
    for (unsigned n = 0; n < i->operand_count; n++) {
        u8 number = gpr_number(&i->op[n]), host = guests->host[n];
        if (host == HOST_NONE || b->scratch[host - REG_LINEAR] == number) continue;
        bool needed = needs_value(i, &i->op[n]);
        u8 from = needed ? gpr_load(b, number, host) : host;
        if (from != host) emit_mov_rr64(&b->e, host, from);
        scratch_note(b, host, needed ? number : 0);
    }
}

static void store_guests(struct build *b, const struct insn *i, const struct guests *guests)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (guests->host[n] != HOST_NONE && i->op[n].written)
            gpr_store(b, gpr_number(&i->op[n]), guests->host[n]);
}

/* Is an operand that may stay in the vCPU better loaded? If another register is computed from it, it is, into a host
 * register that has no value. A Zen 3 passes what was stored to a MOV, and to an instruction that changes it in memory,
 * at once; to other instructions, after 7 cycles. */
static bool is_better_loaded(const struct build *b, const struct insn *i, unsigned n, u32 taken)
{
    u8 host = scratch_choose(b, taken);
    return !i->op[n].written && i->gprs_written && host != HOST_NONE && !b->scratch[host - REG_LINEAR];
}

/* Choose where the operands are: where their values rest already, in the vCPU, or in another register. `taken`: the
 * registers of the memory operand. Returns false if there are too few others. */
static bool find_guests(const struct build *b, const struct insn *i, bool memory, u32 taken,
                        struct guests *guests)
{
    guests->in_place = 0;
    for (unsigned n = 0; n < i->operand_count; n++) {
        u8 number = gpr_number(&i->op[n]), host = scratch_with(b, number);
        bool rests = is_guest(number) && host != HOST_NONE && !(taken & scratch_bit(host));
        guests->host[n] = rests ? host : HOST_NONE;
        if (rests) taken |= scratch_bit(host);
    }
    for (unsigned n = 0; n < i->operand_count; n++) {
        u8 number = gpr_number(&i->op[n]);
        if (!is_guest(number) || guests->host[n] != HOST_NONE) continue;
        if (!memory && !guests->in_place && may_stay(i, n) && !is_better_loaded(b, i, n, taken)) {
            guests->in_place = number;
            continue;
        }
        for (unsigned k = 0; k < n; k++)
            if (gpr_number(&i->op[k]) == number) guests->host[n] = guests->host[k];
        if (guests->host[n] == HOST_NONE) guests->host[n] = scratch_choose(b, taken);
        if (guests->host[n] == HOST_NONE) return false;
        taken |= scratch_bit(guests->host[n]);
    }
    return true;
}

/* The same always, if need be with r9 for the address of the memory operand. */
static void place_guests(struct build *b, const struct insn *i, struct host_mem *at, struct guests *guests)
{
    u32 taken = at ? scratch_bit(at->base) | scratch_bit(at->index) : 0;
    if (find_guests(b, i, at, taken, guests)) return;
    u8 window = at->window;
    emit_lea64(&b->e, REG_LINEAR, *at);
    scratch_note(b, REG_LINEAR, 0);
    *at = mem_bd(REG_LINEAR, 0);
    at->window = window;
    bool found = find_guests(b, i, at, scratch_bit(REG_LINEAR), guests);
    assert(found); /* rewrite_can() */
    (void)found;
}

/* ADD to CMP and TEST of two registers have two encodings. If the register in ModRM.reg rests in the vCPU and the one
 * in ModRM.rm does not, *turned becomes the other one, in which the first register may stay there. Returns it, or i. */
static const struct insn *turn(const struct insn *i, struct insn *turned)
{
    bool alu = i->opcode < 0x40 && (i->opcode & 7) < 4, test = (i->opcode & 0xfe) == 0x84;
    if (i->encoding != ENC_LEGACY || i->map != 0 || !(alu || test) || i->op[1].kind != OPND_REG) return i;
    unsigned reg = i->op[0].field == FIELD_MODRM_REG ? 0 : 1;
    if (i->op[!reg].kind != OPND_REG || !is_guest(gpr_number(&i->op[reg])) ||
        is_guest(gpr_number(&i->op[!reg])))
        return i;
    if (insn_is_high_byte(&i->op[!reg])) return i;
    *turned = *i;
    turned->op[0].field = i->op[1].field;
    turned->op[1].field = i->op[0].field;
    if (alu) turned->opcode ^= 2;
    return may_stay(turned, reg) ? turned : i;
}

/* --- encoding --- */

/* What the fields of the host's instruction hold: numbers of host registers, or what the guest's fields hold. */
struct fields {
    u8 reg, rm, opcode, vvvv; /* vvvv: HOST_NONE: no operand */
    bool wide, force_rex;     /* REX.W; a REX prefix for BPL, SIL or DIL */
};

/* The number that encodes a register operand. */
static u8 host_number(const struct operand *o, u8 guest)
{
    if (guest != HOST_NONE) return guest;
    if (o->reg_class == RC_GPR8) return o->reg == GPR8_LOW + REG_ESP ? GUEST_ESP : o->reg % GPR8_LOW;
    return is_gpr(o) ? host_gpr(o->reg) : o->reg;
}

static struct fields find_fields(const struct insn *i, const struct guests *guests)
{
    struct fields f = {.reg = (i->modrm >> 3) & 7,
                       .rm = i->modrm & 7,
                       .opcode = i->opcode & 7,
                       .vvvv = HOST_NONE,
                       .wide = i->rex & 8};
    for (unsigned n = 0; n < i->operand_count; n++) {
        const struct operand *o = &i->op[n];
        if (o->kind != OPND_REG || (guests->in_place && o->field == FIELD_MODRM_RM)) continue;
        u8 number = host_number(o, guests->host[n]);
        switch ((enum operand_field)o->field) {
        case FIELD_MODRM_REG: f.reg = number; break;
        case FIELD_MODRM_RM: f.rm = number; break;
        case FIELD_OPCODE: f.opcode = number; break;
        case FIELD_VVVV: f.vvvv = number; break;
        case FIELD_IS4: /* stays in the immediate */
        case FIELD_OTHER: break;
        }
        f.force_rex |= o->reg_class == RC_GPR8 && o->reg >= GPR8_LOW;
    }
    return f;
}

static bool is_moffs(const struct insn *i)
{
    return i->encoding == ENC_LEGACY && i->map == 0 && i->opcode >= 0xa0 && i->opcode <= 0xa3;
}

bool rewrite_can(const struct build *b)
{
    const struct insn *i = b->i;
    if (hidden_register(i)) return false;
    if (i->encoding != ENC_LEGACY && !insn_has_vex(i)) return false;
    /* VEX and EVEX are #UD in real and virtual-8086 mode (SDM 2A 2.3.1). */
    if (insn_has_vex(i) && (!(b->mode & MODE_PE) || (b->mode & MODE_VM86))) return false;
    const struct operand *mem = insn_memory(i), *high = high_byte(i);
    if (!has_registers(i, mem)) return false;
    if (high && uses_esp(i)) return false;
    if (!mem) return true;
    if (!i->has_modrm && !is_moffs(i)) return false;
    /* XCHG AL,AH would change the AL that CMPXCHG uses besides its operands. */
    if (high && ((i->row->traits & ISA_USES_AX) || i->encoding == ENC_VEX)) return false;
    if (mem->bytes > SLOW_MOST) return false;
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
    if (i->row->traits & ISA_UNIT) return false;
    bool prefix = i->prefixes & PFX_OPSIZE;
    if (is_code64(b)) return prefix && !(i->rex & 8);
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

static void emit_legacy_mem(struct build *b, const struct insn *i, const struct fields *f,
                            struct host_mem mem)
{
    u8 opcode = i->opcode, reg = is_moffs(i) ? RAX : f->reg;
    /* A0h-A3h, MOV between AL/eAX and an absolute address, become 8Ah 8Bh 88h 89h with ModRM. */
    static const u8 moffs[] = {0x8a, 0x8b, 0x88, 0x89};
    if (is_moffs(i)) opcode = moffs[opcode - 0xa0];
    if (i->map == 0 && opcode == 0x82) opcode = 0x80;
    emit_window_prefixes(&b->e, &mem);
    emit_prefixes(b, i);
    emit_rex(&b->e, f->wide, reg, &mem, 0, f->force_rex);
    emit_map(b, i->map);
    emit8(&b->e, opcode);
    emit_modrm_mem(&b->e, reg, &mem);
    if (!is_moffs(i)) emit_immediates(b, i);
}

static bool has_field(const struct insn *i, enum operand_field field)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (i->op[n].kind == OPND_REG && i->op[n].field == field) return true;
    return false;
}

/* INC and DEC r32 (40h-4Fh) are REX prefixes in 64-bit mode: use FF /0 and /1. */
static void emit_inc_dec(struct build *b, const struct insn *i)
{
    u8 rm = host_gpr(i->opcode & 7), ext = (i->opcode >> 3) & 1;
    emit_prefixes(b, i);
    emit_rr(&b->e, false, 0xff, ext, rm);
}

static void emit_legacy_reg(struct build *b, const struct insn *i, const struct fields *f)
{
    if (i->map == 0 && (i->opcode & 0xf0) == 0x40) {
        emit_inc_dec(b, i);
        return;
    }
    bool in_opcode = has_field(i, FIELD_OPCODE);
    emit_prefixes(b, i);
    u8 low = i->has_modrm ? f->rm : in_opcode ? f->opcode : 0;
    emit_rex(&b->e, f->wide, i->has_modrm ? f->reg : 0, NULL, low, f->force_rex);
    emit_map(b, i->map);
    u8 opcode = i->map == 0 && i->opcode == 0x82 ? 0x80 : i->opcode;
    if (in_opcode) opcode = (opcode & (u8)~7) | (f->opcode & 7);
    emit8(&b->e, opcode);
    if (i->has_modrm) emit8(&b->e, (u8)(0xc0 | (f->reg & 7) << 3 | (f->rm & 7)));
    emit_immediates(b, i);
}

/* The number in a field; no register is encoded as 0. */
static u8 field_or_0(u8 number)
{
    return number == HOST_NONE ? 0 : number;
}

/* VEX (BMI1, BMI2, AVX), always in the three-byte form, and EVEX (AVX-512). */
static void emit_vex(struct build *b, const struct insn *i, const struct fields *f,
                     const struct host_mem *mem)
{
    struct vex_fields fields = {.reg = f->reg, .rm = f->rm, .vvvv = field_or_0(f->vvvv)};
    u8 prefix[VEX_PREFIX_MOST];
    if (mem) {
        fields.rm = field_or_0(mem->base);
        fields.index = field_or_0(mem->index);
        emit_window_prefixes(&b->e, mem);
    }
    unsigned prefix_bytes = insn_vex_or_evex_prefix(i, &fields, prefix);
    for (unsigned n = 0; n < prefix_bytes; n++)
        emit8(&b->e, prefix[n]);
    emit8(&b->e, i->opcode);
    if (mem) {
        struct host_mem at = *mem;
        at.disp32 |= i->encoding == ENC_EVEX && at.disp; /* one of 8 bits counts operands (SDM 2A 2.7.5) */
        emit_modrm_mem(&b->e, f->reg, &at);
    } else if (i->has_modrm)
        emit8(&b->e, (u8)(0xc0 | (f->reg & 7) << 3 | (f->rm & 7)));
    if (i->imm_bytes) emit8(&b->e, insn_vex_immediate(i));
}

static struct host_mem guest_in_vcpu(u8 number)
{
    return mem_frame(FRAME_GPR_HIGH + 8 * (number - 8));
}

/* MOV of 4 or 8 bytes between two registers, or of a constant to a register: one load or store. */
static bool move_guest(struct build *b)
{
    const struct insn *i = b->i;
    const struct operand *to = &i->op[0], *from = &i->op[1];
    if (i->map != 0 || i->encoding != ENC_LEGACY || !is_gpr(to) || to->bytes < 4) return false;
    bool wide = to->bytes == 8, known = (i->opcode & 0xf8) == 0xb8;
    if (known) {
        u64 value = wide ? i->imm[from->imm] : (u32)i->imm[from->imm];
        if (!is_guest(to->reg) || value != (u64)(s64)(s32)value) return false;
        emit_mov_mi64(&b->e, guest_in_vcpu(to->reg), (u32)value);
        scratch_changed(b, to->reg, HOST_NONE);
        return true;
    }
    if ((i->opcode & 0xfd) != 0x89 || !is_gpr(from) || (!is_guest(to->reg) && !is_guest(from->reg)))
        return false;
    u8 host = is_guest(from->reg) ? scratch_with(b, from->reg) : host_gpr(from->reg);
    u8 value = wide && host != HOST_NONE ? host : gpr_target(to->reg, scratch_choose(b, 0));
    if (host == HOST_NONE)
        emit_load(&b->e, wide, value, guest_in_vcpu(from->reg));
    else if (!wide)
        emit_mov_rr32(&b->e, value, host);
    if (!is_guest(to->reg)) {
        if (value != host_gpr(to->reg)) emit_mov_rr64(&b->e, host_gpr(to->reg), value);
        return true;
    }
    gpr_store(b, to->reg, value);
    return true;
}

/* TEST of a register with itself, which rests in the vCPU: CMP with 0 sets the same flags. */
static bool test_guest(struct build *b)
{
    const struct insn *i = b->i;
    u8 number = gpr_number(&i->op[0]);
    if (i->map != 0 || i->encoding != ENC_LEGACY || i->opcode != 0x85 || !is_gpr(&i->op[0]) ||
        i->op[0].bytes < 4)
        return false;
    if (!is_guest(number) || gpr_number(&i->op[1]) != number) return false;
    if (scratch_with(b, number) != HOST_NONE) return false;
    emit_rm(&b->e, i->op[0].bytes == 8, 0x83, ALU_CMP, guest_in_vcpu(number));
    emit8(&b->e, 0);
    b->flags = FLAGS_HOST;
    return true;
}

/* Test a divisor of 32 or 64 bits for zero, the cause of #DE that programs provoke: a host signal costs 25 times as
 * much as a step. Quotients that do not fit are left to the signal. */
static void check_divisor(struct build *b, const struct insn *i, const struct fields *f,
                          const struct host_mem *mem)
{
    bool wide = i->operand_bytes == 8;
    if (!(i->row->traits & ISA_DIVIDES) || (i->operand_bytes != 4 && !wide)) return;
    if (mem && mem->window) return; /* the test could raise a page fault that belongs to no site */
    flags_clobber(b);
    if (mem) {
        emit_rm(&b->e, wide, 0x83, ALU_CMP, *mem);
        emit8(&b->e, 0);
    } else {
        emit_test_rr(&b->e, wide, f->rm);
    }
    stub_add(b, STUB_STEP, emit_jcc(&b->e, CC_Z));
}

void rewrite_identical(struct build *b)
{
    const struct insn *i = b->i;
    const struct operand *mem = insn_memory(i), *high = mem ? high_byte(i) : NULL;
    struct host_mem at;
    struct guests guests;
    struct insn turned;
    if (is_code64(b) && (move_guest(b) || test_guest(b))) return;
    if (is_code64(b)) i = turn(i, &turned);
    if (mem && mem->bytes) {
        at = access_operand(b, mem->bytes, mem->written);
        if (at.window == WINDOW_32) high = NULL; /* rewrite_can() has made sure that no REX is needed */
    } else if (mem) {
        return; /* a hint or a long NOP: nothing is accessed */
    }
    place_guests(b, i, mem ? &at : NULL, &guests);
    load_guests(b, i, &guests);
    bool in_memory = mem;
    u8 changes = 0;
    if (guests.in_place) {
        in_memory = true;
        at = guest_in_vcpu(guests.in_place);
        changes = guests.in_place;
    }
    struct fields fields = find_fields(i, &guests);
    if (high) fields.reg = high->reg & 3; /* the low byte of a swapped high byte */
    check_divisor(b, i, &fields, mem ? &at : NULL);
    if (needs_flags(b, i)) flags_to_host(b);
    b->site[b->n].parked = b->flags != FLAGS_HOST;
    /* The site's host code begins here, where the flags are as `parked` says. In the window it begins earlier, because
     * the address computation before it belongs to this instruction too. */
    bool in_window = has_window(b) || (mem && at.window == WINDOW_LONG);
    if (!in_window) b->site[b->n].host = in_block(b, b->e.at);
    if (high) swap_high(b, high);
    if (insn_has_vex(i))
        emit_vex(b, i, &fields, in_memory ? &at : NULL);
    else if (in_memory)
        emit_legacy_mem(b, i, &fields, at);
    else
        emit_legacy_reg(b, i, &fields);
    if (high) swap_high(b, high);
    if (i->flags_written) b->flags = FLAGS_HOST;
    if (changes) scratch_changed(b, changes, HOST_NONE);
    store_guests(b, i, &guests);
}
