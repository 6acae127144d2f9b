/*
 * From bytes to struct insn, through Zydis. Callers shelter or park the guest's FPU state first, because Zydis
 * is library code.
 */
#include "insn.h"
#include "isa.h"

#include <Zydis/Zydis.h>

/* Extensions that no model exposes. Their encodings are hint NOPs or WBINVD on older CPUs. */
static const ZydisDecoderMode absent_modes[] = {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET,
                                                ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE};

static void decoder_for(ZydisDecoder *decoder, enum code_size size)
{
    static const struct {
        ZydisMachineMode mode;
        ZydisStackWidth stack;
    } sizes[] = {
        [CODE_16] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
        [CODE_32] = {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
        [CODE_64] = {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64},
    };
    /* LEGACY_16 is 16-bit protected mode. Real mode differs only in what it refuses, and the routines check
     * that. */
    ZydisDecoderInit(decoder, sizes[size].mode, sizes[size].stack);
    for (unsigned n = 0; n < ARRAY_SIZE(absent_modes); n++)
        ZydisDecoderEnableMode(decoder, absent_modes[n], ZYAN_FALSE);
}

static const struct {
    ZydisRegister first, last;
    u8 reg_class, number;
} register_ranges[] = {
    {ZYDIS_REGISTER_AL, ZYDIS_REGISTER_BH, RC_GPR8, 0},
    {ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_DIL, RC_GPR8, GPR8_LOW + 4},
    {ZYDIS_REGISTER_R8B, ZYDIS_REGISTER_R15B, RC_GPR8, 8},
    {ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W, RC_GPR16, 0},
    {ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D, RC_GPR32, 0},
    {ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15, RC_GPR64, 0},
    {ZYDIS_REGISTER_ES, ZYDIS_REGISTER_GS, RC_SEG, 0},
    {ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR15, RC_CR, 0},
    {ZYDIS_REGISTER_DR0, ZYDIS_REGISTER_DR15, RC_DR, 0},
    {ZYDIS_REGISTER_ST0, ZYDIS_REGISTER_ST7, RC_X87, 0},
    {ZYDIS_REGISTER_MM0, ZYDIS_REGISTER_MM7, RC_MMX, 0},
    {ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_XMM31, RC_XMM, 0},
    {ZYDIS_REGISTER_YMM0, ZYDIS_REGISTER_YMM31, RC_YMM, 0},
    {ZYDIS_REGISTER_ZMM0, ZYDIS_REGISTER_ZMM31, RC_ZMM, 0},
    {ZYDIS_REGISTER_K0, ZYDIS_REGISTER_K7, RC_MASK, 0},
};

static void digest_register(struct operand *o, ZydisRegister reg)
{
    o->reg_class = RC_OTHER;
    for (unsigned i = 0; i < ARRAY_SIZE(register_ranges); i++) {
        if (reg < register_ranges[i].first || reg > register_ranges[i].last) continue;
        o->reg_class = register_ranges[i].reg_class;
        o->reg = register_ranges[i].number + (reg - register_ranges[i].first);
        return;
    }
}

static u8 address_register(ZydisRegister reg)
{
    if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W) return reg - ZYDIS_REGISTER_AX;
    if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D) return reg - ZYDIS_REGISTER_EAX;
    if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) return reg - ZYDIS_REGISTER_RAX;
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) return INSN_RIP;
    return INSN_NO_REG;
}

static void digest_memory(struct insn *i, const ZydisDecodedInstruction *z, const ZydisDecodedOperandMem *mem)
{
    i->mem_seg = mem->segment >= ZYDIS_REGISTER_ES && mem->segment <= ZYDIS_REGISTER_GS
                     ? mem->segment - ZYDIS_REGISTER_ES
                     : SEG_DS;
    i->mem_base = address_register(mem->base);
    i->mem_index = address_register(mem->index);
    i->mem_scale = mem->scale ? mem->scale : 1;
    i->mem_disp = mem->disp.has_displacement ? (u64)mem->disp.value : 0;
    /* In a SIB byte base 101 without a displacement in ModRM is a disp32 and no base, whatever REX.B says (SDM 2A
     * table 2-3): Zydis takes it for R13D where there is 67h too. */
    if (z->machine_mode == ZYDIS_MACHINE_MODE_LONG_64 && (z->attributes & ZYDIS_ATTRIB_HAS_SIB) &&
        z->raw.modrm.mod == 0 && z->raw.sib.base == 5) {
        i->mem_base = INSN_NO_REG;
        i->mem_disp = (u64)z->raw.disp.value;
    }
    if (z->machine_mode != ZYDIS_MACHINE_MODE_LONG_64) i->mem_disp = (u32)i->mem_disp;
}

static u8 field_of(ZydisOperandEncoding encoding)
{
    switch (encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG: return FIELD_MODRM_REG;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM: return FIELD_MODRM_RM;
    case ZYDIS_OPERAND_ENCODING_OPCODE: return FIELD_OPCODE;
    case ZYDIS_OPERAND_ENCODING_NDSNDD: return FIELD_VVVV;
    case ZYDIS_OPERAND_ENCODING_IS4: return FIELD_IS4;
    default: return FIELD_OTHER;
    }
}

/* The writemask is no operand of the digest, which has it for memory operands (digest_mask()). */
static void digest_operands(struct insn *i, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *zo)
{
    unsigned immediates = 0;
    for (unsigned n = 0; n < z->operand_count_visible && i->operand_count < ARRAY_SIZE(i->op); n++) {
        if (zo[n].encoding == ZYDIS_OPERAND_ENCODING_MASK) continue;
        struct operand *o = &i->op[i->operand_count++];
        o->bytes = zo[n].size / 8;
        o->read = zo[n].actions & ZYDIS_OPERAND_ACTION_MASK_READ;
        o->written = zo[n].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
        o->field = field_of(zo[n].encoding);
        switch (zo[n].type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            o->kind = OPND_REG;
            digest_register(o, zo[n].reg.value);
            break;
        case ZYDIS_OPERAND_TYPE_MEMORY:
            o->kind = OPND_MEM;
            digest_memory(i, z, &zo[n].mem);
            break;
        case ZYDIS_OPERAND_TYPE_IMMEDIATE:
            o->kind = OPND_IMM;
            o->imm = immediates & 1;
            i->imm[immediates++ & 1] = zo[n].imm.is_signed ? (u64)zo[n].imm.value.s : zo[n].imm.value.u;
            break;
        case ZYDIS_OPERAND_TYPE_POINTER:
            o->kind = OPND_FAR;
            i->imm[0] = zo[n].ptr.offset;
            i->imm[1] = zo[n].ptr.segment;
            break;
        default: break;
        }
    }
}

static enum mask_rule mask_rule_of(const ZydisDecodedInstruction *z)
{
    if (z->meta.category == ZYDIS_CATEGORY_COMPRESS || z->meta.category == ZYDIS_CATEGORY_EXPAND)
        return MASK_PACKED;
    /* Zydis has another class for these. An element of their result needs several of the operand. */
    switch (z->mnemonic) {
    case ZYDIS_MNEMONIC_VDBPSADBW:
    case ZYDIS_MNEMONIC_VGF2P8AFFINEQB:
    case ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB: return MASK_ALL;
    default: break;
    }
    switch (z->meta.exception_class) {
    case ZYDIS_EXCEPTION_CLASS_E1NF:
    case ZYDIS_EXCEPTION_CLASS_E2NF:
    case ZYDIS_EXCEPTION_CLASS_E3NF:
    case ZYDIS_EXCEPTION_CLASS_E4NF:
    case ZYDIS_EXCEPTION_CLASS_E5NF:
    case ZYDIS_EXCEPTION_CLASS_E6NF:
    case ZYDIS_EXCEPTION_CLASS_E9NF:
    case ZYDIS_EXCEPTION_CLASS_E10NF: return MASK_ALL; /* "no fault suppression": SDM 2A 2.8 */
    default: return z->avx.broadcast.mode ? MASK_SPREAD : MASK_ELEMENTS;
    }
}

static void digest_mask(struct insn *i, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *zo)
{
    static const u8 copies[ZYDIS_BROADCAST_MODE_MAX_VALUE + 1] = {
        [ZYDIS_BROADCAST_MODE_1_TO_2] = 2,   [ZYDIS_BROADCAST_MODE_1_TO_4] = 4,
        [ZYDIS_BROADCAST_MODE_1_TO_8] = 8,   [ZYDIS_BROADCAST_MODE_1_TO_16] = 16,
        [ZYDIS_BROADCAST_MODE_1_TO_32] = 32, [ZYDIS_BROADCAST_MODE_1_TO_64] = 64,
        [ZYDIS_BROADCAST_MODE_2_TO_4] = 4,   [ZYDIS_BROADCAST_MODE_2_TO_8] = 8,
        [ZYDIS_BROADCAST_MODE_2_TO_16] = 16, [ZYDIS_BROADCAST_MODE_4_TO_8] = 8,
        [ZYDIS_BROADCAST_MODE_4_TO_16] = 16, [ZYDIS_BROADCAST_MODE_8_TO_16] = 16};
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX || z->avx.mask.reg <= ZYDIS_REGISTER_K0) return;
    for (unsigned n = 0; n < z->operand_count_visible; n++) {
        if (zo[n].type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
        i->mask = (u8)(z->avx.mask.reg - ZYDIS_REGISTER_K0);
        i->mask_rule = (u8)mask_rule_of(z);
        i->element_bytes = (u8)(zo[n].element_size / 8);
        i->mask_bits = i->mask_rule == MASK_SPREAD ? copies[z->avx.broadcast.mode] : (u8)zo[n].element_count;
    }
}

/* The bit of the general register that is this register or contains it. */
static u16 gpr_bit(ZydisRegister reg)
{
    if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BH) return 1 << ((reg - ZYDIS_REGISTER_AL) & 3);
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_DIL) return 1 << (reg - ZYDIS_REGISTER_SPL + 4);
    if (reg >= ZYDIS_REGISTER_R8B && reg <= ZYDIS_REGISTER_R15B) return 1 << (reg - ZYDIS_REGISTER_R8B + 8);
    u8 number = address_register(reg);
    return number >= INSN_RIP ? 0 : 1 << number;
}

static void digest_stack(struct insn *i, const ZydisDecodedOperand *o)
{
    u16 base = gpr_bit(o->mem.base);
    bool pushes = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    if (base == 1 << REG_ESP)
        i->stack_effect = pushes ? STACK_PUSH : STACK_POP;
    else if (base == 1 << REG_EBP)
        i->stack_effect = STACK_LEAVE;
    else
        return;
    i->stack_access = o->size / 8;
}

/* Collect the effects of all operands, hidden ones included. */
static void digest_effects(struct insn *i, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *zo)
{
    bool is_string =
        z->meta.category == ZYDIS_CATEGORY_STRINGOP || z->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
    for (unsigned n = 0; n < z->operand_count; n++) {
        const ZydisDecodedOperand *o = &zo[n];
        if (o->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            if (o->actions & ZYDIS_OPERAND_ACTION_MASK_READ) i->gprs_read |= gpr_bit(o->reg.value);
            if (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) i->gprs_written |= gpr_bit(o->reg.value);
        }
        if (o->type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
        if (o->size && o->mem.type == ZYDIS_MEMOP_TYPE_MEM) i->accesses_memory = true;
        if (o->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN) continue;
        u16 address = gpr_bit(o->mem.base) | gpr_bit(o->mem.index);
        i->gprs_read |= address;
        /* Zydis does not report that INS and OUTS move their pointers. */
        if (is_string) i->gprs_written |= address;
        digest_stack(i, o);
    }
    /* ENTER is the push that also writes EBP: how much it pushes depends on its operands. */
    if (i->stack_effect == STACK_PUSH && (i->gprs_written & 1 << REG_EBP)) i->stack_effect = STACK_OTHER;
}

/* String instructions have hidden memory operands; their [E]SI side takes the segment override. */
static void digest_hidden_segment(struct insn *i, const ZydisDecodedInstruction *z)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (i->op[n].kind == OPND_MEM && i->mem_base != REG_EDI) return;
    static const struct {
        ZydisInstructionAttributes attribute;
        u8 seg;
    } overrides[] = {
        {ZYDIS_ATTRIB_HAS_SEGMENT_CS, SEG_CS}, {ZYDIS_ATTRIB_HAS_SEGMENT_SS, SEG_SS},
        {ZYDIS_ATTRIB_HAS_SEGMENT_DS, SEG_DS}, {ZYDIS_ATTRIB_HAS_SEGMENT_ES, SEG_ES},
        {ZYDIS_ATTRIB_HAS_SEGMENT_FS, SEG_FS}, {ZYDIS_ATTRIB_HAS_SEGMENT_GS, SEG_GS},
    };
    i->mem_seg = SEG_DS;
    for (unsigned n = 0; n < ARRAY_SIZE(overrides); n++)
        if (z->attributes & overrides[n].attribute) i->mem_seg = overrides[n].seg;
}

static u16 eflags_of(ZydisAccessedFlagsMask mask)
{
    return mask & FL_ARITH; /* ZYDIS_CPUFLAG_* are EFLAGS bits */
}
_Static_assert(ZYDIS_CPUFLAG_CF == FL_CF && ZYDIS_CPUFLAG_OF == FL_OF && ZYDIS_CPUFLAG_SF == FL_SF,
               "Zydis numbers flags as EFLAGS does");

/* A shift or rotate by a count of zero leaves the flags unchanged, and so does a repeated string instruction
 * that runs zero times. */
static bool may_leave_flags(const struct insn *i)
{
    if (!(i->row->traits & ISA_SHIFTS)) return i->prefixes & (PFX_REP | PFX_REPNE);
    const struct operand *count = &i->op[i->operand_count - 1];
    return !(count->kind == OPND_IMM && (i->imm[count->imm] & (i->op[0].bytes == 8 ? 63 : 31)));
}

static void digest_flags(struct insn *i, const ZydisDecodedInstruction *z)
{
    const ZydisAccessedFlags *f = z->cpu_flags;
    if (!f) return;
    i->flags_read = eflags_of(f->tested);
    i->flags_written = eflags_of(f->modified | f->set_0 | f->set_1 | f->undefined);
    /* The host may leave an undefined flag unchanged, so only defined flags are killed. */
    i->flags_killed = may_leave_flags(i) ? 0 : eflags_of((f->modified | f->set_0 | f->set_1) & ~f->undefined);
    if (i->row->traits & ISA_CLEARS_AF) i->flags_killed |= FL_AF;
}

static void digest_layout(struct insn *i, const ZydisDecodedInstruction *z)
{
    static const struct {
        ZydisInstructionEncoding from;
        u8 to;
    } encodings[] = {{ZYDIS_INSTRUCTION_ENCODING_LEGACY, ENC_LEGACY},
                     {ZYDIS_INSTRUCTION_ENCODING_3DNOW, ENC_3DNOW},
                     {ZYDIS_INSTRUCTION_ENCODING_VEX, ENC_VEX},
                     {ZYDIS_INSTRUCTION_ENCODING_EVEX, ENC_EVEX}};
    i->encoding = ENC_OTHER;
    for (unsigned n = 0; n < ARRAY_SIZE(encodings); n++)
        if (z->encoding == encodings[n].from) i->encoding = encodings[n].to;

    i->map = z->opcode_map == ZYDIS_OPCODE_MAP_0F     ? 1
             : z->opcode_map == ZYDIS_OPCODE_MAP_0F38 ? 2
             : z->opcode_map == ZYDIS_OPCODE_MAP_0F3A ? 3
                                                      : 0;
    i->opcode = z->opcode;
    if (z->attributes & ZYDIS_ATTRIB_HAS_REX)
        i->rex = 0x40 | z->raw.rex.W << 3 | z->raw.rex.R << 2 | z->raw.rex.X << 1 | z->raw.rex.B;
    i->has_modrm = z->attributes & ZYDIS_ATTRIB_HAS_MODRM;
    if (i->has_modrm) {
        i->modrm_offset = z->raw.modrm.offset;
        i->modrm = z->raw.modrm.mod << 6 | z->raw.modrm.reg << 3 | z->raw.modrm.rm;
    }
    for (unsigned n = 0; n < 2; n++) {
        if (!z->raw.imm[n].size) continue;
        if (!i->imm_bytes) i->imm_offset = z->raw.imm[n].offset;
        i->imm_bytes += z->raw.imm[n].size / 8;
    }
    if (i->encoding == ENC_VEX) {
        i->opcode_offset = z->raw.vex.offset;
    } else if (i->encoding == ENC_EVEX) {
        i->opcode_offset = z->raw.evex.offset;
    } else if (i->encoding == ENC_LEGACY) {
        static const u8 escape_bytes[] = {0, 1, 2, 2};
        i->opcode_offset = z->raw.prefix_count + escape_bytes[i->map];
    }
    for (unsigned n = 0; n < z->raw.prefix_count; n++) {
        u8 value = z->raw.prefixes[n].value;
        if (z->raw.prefixes[n].type == ZYDIS_PREFIX_TYPE_MANDATORY) {
            i->mandatory = value;
            continue;
        }
        switch (value) {
        case 0x66: i->prefixes |= PFX_OPSIZE; break;
        case 0x67: i->prefixes |= PFX_ADSIZE; break;
        case 0xf0: i->prefixes |= PFX_LOCK; break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65: i->prefixes |= PFX_SEG; break;
        default: break;
        }
    }
    if (z->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) i->prefixes |= PFX_REP;
    if (z->attributes & ZYDIS_ATTRIB_HAS_REPNE) i->prefixes |= PFX_REPNE;
}

/* The size of what PUSH, POP, CALL and the like move: in 64-bit code 8 bytes, or 2 with 66h. */
static u8 stack_bytes_of(const ZydisDecodedInstruction *z, enum code_size size)
{
    bool changed = z->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE;
    if (size == CODE_64) return changed && !(z->attributes & ZYDIS_ATTRIB_HAS_REX && z->raw.rex.W) ? 2 : 8;
    return (size == CODE_32) != changed ? 4 : 2;
}

/* Is this SYSCALL, behind any legacy prefixes but LOCK? */
static bool is_syscall(const u8 *bytes, unsigned available)
{
    static const u8 prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3};
    for (unsigned n = 0; n + 1 < available; n++) {
        if (bytes[n] == 0x0f) return bytes[n + 1] == 0x05;
        bool prefix = false;
        for (unsigned p = 0; p < ARRAY_SIZE(prefixes); p++)
            prefix |= bytes[n] == prefixes[p];
        if (!prefix) break;
    }
    return false;
}

/* Zydis knows SYSCALL in 64-bit code only, as Intel's CPUs do. AMD's have it in all code (AMD APM 3 "SYSCALL"): the
 * routine raises #UD on the others. */
static enum code_size code_to_decode(const u8 *bytes, unsigned available, enum code_size size)
{
    return size != CODE_64 && is_syscall(bytes, available) ? CODE_64 : size;
}

/* VEX.W or EVEX.W, if it has an effect. Outside 64-bit mode it selects no register of 64 bits (SDM 2, notes on
 * VCVTSI2SD and VPEXTRQ). */
static u8 effective_vex_w(const struct insn *i, const ZydisDecodedInstruction *z)
{
    bool is_size = i->row->traits & ISA_W_IS_SIZE;
    for (unsigned n = 0; n < i->operand_count; n++)
        is_size |= i->op[n].kind == OPND_REG && i->op[n].reg_class <= RC_GPR64;
    bool w = i->encoding == ENC_EVEX ? z->raw.evex.W : z->raw.vex.W;
    return w && (z->machine_mode == ZYDIS_MACHINE_MODE_LONG_64 || !is_size);
}

int insn_decode(struct insn *insn, const u8 *bytes, unsigned available, enum code_size size)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (available > INSN_MAX_BYTES) available = INSN_MAX_BYTES;
    decoder_for(&decoder, code_to_decode(bytes, available, size));

    *insn =
        (struct insn){.mem_base = INSN_NO_REG, .mem_index = INSN_NO_REG, .mem_scale = 1, .mem_seg = SEG_DS};
    for (unsigned n = 0; n < available; n++)
        insn->bytes[n] = bytes[n];
    ZyanStatus status = ZydisDecoderDecodeFull(&decoder, bytes, available, &z, operands);
    if (status == ZYDIS_STATUS_NO_MORE_DATA && available < INSN_MAX_BYTES) return -1;
    if (!ZYAN_SUCCESS(status)) {
        bool too_long = status == ZYDIS_STATUS_NO_MORE_DATA || status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG;
        insn->length = 1;
        insn->row = too_long ? &isa_row_too_long : &isa_row_ud;
        return 0;
    }
    /* With REX.B, 90h is XCHG R8, rAX (SDM 2D XCHG) also behind F3h on most CPUs. To Zydis and to Intel's CPUs of 2023
     * (family 6, model CFh) it is PAUSE. CS has no effect here. */
    if (z.mnemonic == ZYDIS_MNEMONIC_PAUSE && (z.attributes & ZYDIS_ATTRIB_HAS_REX) && z.raw.rex.B) {
        u8 plain[INSN_MAX_BYTES];
        for (unsigned n = 0; n < z.length; n++)
            plain[n] = bytes[n] == 0xf3 ? 0x2e : bytes[n];
        ZydisDecoderDecodeFull(&decoder, plain, z.length, &z, operands);
    }
    insn->mnemonic = z.mnemonic;
    insn->length = z.length;
    insn->operand_bytes = z.operand_width / 8;
    insn->address_bytes = z.address_width / 8;
    insn->stack_bytes = stack_bytes_of(&z, size);
    insn->isa_set = z.meta.isa_set;
    /* To Zydis the form with XMM registers belongs to AVX alone. It needs PCLMULQDQ too (SDM 2B PCLMULQDQ). */
    if (z.mnemonic == ZYDIS_MNEMONIC_VPCLMULQDQ && z.meta.isa_set == ZYDIS_ISA_SET_AVX)
        insn->isa_set = ZYDIS_ISA_SET_PCLMULQDQ;
    digest_operands(insn, &z, operands);
    digest_mask(insn, &z, operands);
    digest_effects(insn, &z, operands);
    digest_layout(insn, &z);
    digest_hidden_segment(insn, &z);
    insn->row = isa_row(insn);
    digest_flags(insn, &z);
    if (insn_has_vex(insn)) insn->vex_w = effective_vex_w(insn, &z);
    return insn->length;
}

void insn_format(const struct insn *insn, u64 rip, enum code_size size, char *text, unsigned text_bytes)
{
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    decoder_for(&decoder, code_to_decode(insn->bytes, insn->length, size));
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    text[0] = 0;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, insn->bytes, INSN_MAX_BYTES, &z, operands)) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &z, operands, z.operand_count_visible, text,
                                                      text_bytes, rip, NULL))) {
        const char *bad = "(bad)";
        for (unsigned n = 0; n < text_bytes && (text[n] = *bad); n++, bad++)
            ;
    }
}
