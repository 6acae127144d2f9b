#include "generate64.h"

#include "random64.h"

#include "cpu/isa.h"

#include <string.h>

static bool has_repeat(const struct test64 *t)
{
    for (unsigned n = 0; n < t->z.raw.prefix_count; n++)
        if (t->bytes[n] == 0xf2 || t->bytes[n] == 0xf3) return true;
    return false;
}

static bool is_wanted(const struct rig *rig, const struct test64 *t)
{
    const struct insn *i = &t->insn;
    const struct isa_row *row = i->row;
    if (row == &isa_row_ud || row->privilege || row->sensitivity || row->manual) return false;
    if (!isa_exposed(rig->vcpu.model, i) || !isa_lock_is_legal(i)) return false;
    /* The host's own FS and GS; random numbers; whole states, because reserved parts differ; a hypervisor's. */
    if (i->mem_seg == SEG_FS || i->mem_seg == SEG_GS) return false;
    switch (i->mnemonic) {
    case ZYDIS_MNEMONIC_RDRAND:
    case ZYDIS_MNEMONIC_RDSEED:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FNSTENV:
    case ZYDIS_MNEMONIC_FLDENV:
    case ZYDIS_MNEMONIC_XSAVE: /* tests/guest/xsave.S */
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
    case ZYDIS_MNEMONIC_VMCALL:
    case ZYDIS_MNEMONIC_VMMCALL:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1: return false;
    case ZYDIS_MNEMONIC_NOP: return i->opcode != 0x0d; /* of a register: AMD raises #UD, Intel does nothing */
    default: break;
    }
    /* Behind F2h and F3h some CPUs take LOOPE and LOOPNE for each other. */
    bool loop = i->mnemonic == ZYDIS_MNEMONIC_LOOPE || i->mnemonic == ZYDIS_MNEMONIC_LOOPNE;
    if (loop && has_repeat(t)) return false;
    /* On Intel's CPUs 66h does nothing to near branches; on AMD's it truncates. */
    bool branch = row->treatment == TREAT_BRANCH || row->treatment == TREAT_END;
    return !(branch && (t->z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE));
}

/* VEX with an opcode that works on mask registers: KAND and its kind, KMOV, KORTEST, KTEST; KSHIFT, which map 3 has. */
static unsigned put_vex_mask(u8 *to)
{
    static const u8 opcodes[] = {0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b,
                                 0x90, 0x91, 0x92, 0x93, 0x98, 0x99, 0x30, 0x31, 0x32, 0x33};
    u8 opcode = opcodes[random64_below(ARRAY_SIZE(opcodes))];
    bool shift = opcode < 0x40;
    to[0] = 0xc4;
    /* There are 8 of them: their numbers have no fourth bit in R or in vvvv. */
    to[1] = (u8)(0x80 | (random64() & 0x60) | (shift ? 3 : 1));
    to[2] = (u8)(0x40 | random64());
    if (shift || opcode == 0x44 || opcode >= 0x90) to[2] |= 0x38; /* no operand in vvvv */
    to[3] = opcode;
    to[4] = (u8)(random64() | (random64_chance(80) ? 0xc0 : 0)); /* most have registers only */
    return 5;
}

/* Any map, registers, length, prefix and mask, and a ModRM byte, where gathers and scatters need a SIB byte behind. */
static unsigned put_evex(u8 *to)
{
    enum { MAP = 7, ALWAYS_0 = 8 };
    enum { NO_VVVV = 0x78, ALWAYS_1 = 4, PP = 3, PP_66 = 1 };
    enum { Z = 0x80, LL = 0x60, B = 0x10, NOT_V = 8, AAA = 7 };
    u64 bits = random64();
    bool vsib = random64_chance(1);
    u8 p0 = (u8)(bits & ~(u64)(MAP | ALWAYS_0)), p1 = (u8)(bits >> 8 | ALWAYS_1),
       p2 = (u8)(bits >> 16 & (LL | AAA));
    if (random64_chance(85)) p2 |= NOT_V;
    if (random64_chance(35)) p2 &= (u8)~AAA;
    if ((p2 & AAA) && random64_chance(35)) p2 |= Z;
    if (random64_chance(20)) p2 |= B;
    /* There are three lengths. Where B selects a rounding, there are four. */
    if ((p2 & LL) == LL && !(p2 & B)) p2 ^= (u8)(random64_chance(50) ? LL : LL / 3);
    if (random64_chance(40)) p1 |= NO_VVVV;
    if (random64_chance(50)) p1 = (u8)((p1 & ~PP) | PP_66); /* which most have */
    to[0] = 0x62;
    to[1] = (u8)(p0 | (1 + random64_below(3)));
    to[2] = p1;
    to[3] = p2;
    to[4] = (u8)random64();
    to[5] = (u8)(random64() | (random64_chance(30) ? 0xc0 : 0));
    if (!vsib) return 6;
    to[1] = p0 | 2;
    to[2] = (u8)((p1 & ~PP) | NO_VVVV | PP_66);
    to[3] &= (u8) ~(Z | B);
    to[4] = (u8)((random64_chance(50) ? 0x90 : 0xa0) | random64_below(4));
    to[5] = (u8)(random64_below(3) << 6 | random64_below(8) << 3 | 4);
    return 6;
}

/* The three-byte form with any map, register, length and prefix, or the two-byte form. */
static unsigned put_vex(u8 *to)
{
    enum { BMI_OPCODES = 0xf0 };
    unsigned n = 0;
    if (random64_chance(20)) {
        to[n++] = 0xc5;
        to[n++] = (u8)random64();
    } else {
        to[n++] = 0xc4;
        to[n++] = (u8)((random64() & 0xe0) | (1 + random64() % 3));
        to[n++] = (u8)random64();
    }
    if (random64_chance(30)) to[n - 1] |= 0x78; /* no operand in vvvv */
    to[n++] = random64_chance(15) ? (u8)(BMI_OPCODES + random64() % 8) : (u8)random64();
    return n;
}

bool generate64(const struct rig *rig, struct test64 *t)
{
    static ZydisDecoder decoder;
    bool zmm = cpu_model_xcr0(rig->vcpu.model) & XCR0_AVX512;
    unsigned n = 0, vex = 35, with_zmm = zmm ? 45 : 0;
    *t = (struct test64){0};
    if (random64_chance(15)) t->bytes[n++] = 0x66;
    if (random64_chance(8)) t->bytes[n++] = 0x67;
    if (random64_chance(5)) t->bytes[n++] = 0xf0;
    if (random64_chance(20)) t->bytes[n++] = random64_chance(50) ? 0xf2 : 0xf3;
    if (random64_chance(70)) t->bytes[n++] = 0x40 | random64() % 16;
    u64 which = random64_below(100);
    if (which < vex + with_zmm) {
        if (random64_chance(95)) n = 0; /* no prefix but 67h and those of segments may come before them */
        if (which < vex)
            n += put_vex(t->bytes + n);
        else
            n += random64_chance(80) ? put_evex(t->bytes + n) : put_vex_mask(t->bytes + n);
    } else if (random64_chance(40)) {
        t->bytes[n++] = 0x0f;
        if (random64_chance(20)) t->bytes[n++] = random64_chance(50) ? 0x38 : 0x3a;
    }
    for (; n < INSN_MAX_BYTES; n++)
        t->bytes[n] = (u8)random64();
    if (!decoder.stack_width) ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return insn_decode(&t->insn, t->bytes, INSN_MAX_BYTES, CODE_64) > 0 &&
           ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, t->bytes, INSN_MAX_BYTES, &t->z, t->operands)) &&
           is_wanted(rig, t);
}

void generate64_aim(struct test64 *t, struct state64 *in, u64 to)
{
    const struct insn *i = &t->insn;
    u64 sum = i->mem_disp;
    bool has_base = i->mem_base < INSN_RIP, has_index = i->mem_index != INSN_NO_REG;
    if (has_index && i->mem_index != i->mem_base) in->gpr[i->mem_index] = random64() % 256;
    if (has_base) {
        if (has_index) sum += in->gpr[i->mem_index] * i->mem_scale;
        if (has_index && i->mem_index == i->mem_base) return; /* let it be */
        in->gpr[i->mem_base] = to - sum;
    } else if (t->z.raw.disp.size == 32) {
        u32 value = (u32)(i->mem_base == INSN_RIP ? to - (CODE_AT + i->length) : to);
        if (has_index) in->gpr[i->mem_index] = 0;
        memcpy(t->bytes + t->z.raw.disp.offset, &value, 4);
    } else if (t->z.raw.disp.size == 64) {
        memcpy(t->bytes + t->z.raw.disp.offset, &to, 8);
    }
}

bool generate64_is_evex(const struct test64 *t)
{
    return t->z.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
}

bool generate64_is_gather(const struct test64 *t)
{
    return t->z.meta.category == ZYDIS_CATEGORY_AVX2GATHER || t->z.meta.category == ZYDIS_CATEGORY_GATHER;
}

bool generate64_is_scatter(const struct test64 *t)
{
    return t->z.meta.category == ZYDIS_CATEGORY_SCATTER;
}

/* Into the scratch area; with EVEX at times over one of its ends, where the mask decides what faults. */
static void aim(struct test64 *t, struct state64 *in)
{
    static const u8 alignments[] = {1, 1, 16, 16, 64};
    u64 to = SCRATCH_MIDDLE + random64() % 512;
    to &= ~(u64)(alignments[random64_below(ARRAY_SIZE(alignments))] - 1);
    if (generate64_is_evex(t) && random64_chance(15))
        to = (random64_chance(50) ? SCRATCH_AT : SCRATCH_AT + SCRATCH_BYTES) - random64_below(65);
    generate64_aim(t, in, to);
}

/* 8 bytes of a vector register. */
static u8 *vector_at(struct state64 *in, unsigned number, unsigned byte)
{
    if (number >= 16) return in->fx + FX_ZMM16 + 64 * (number - 16) + byte;
    if (byte < 16) return in->fx + FX_XMM + 16 * number + byte;
    return in->fx + (byte < 32 ? FX_YMM + 16 * number + byte - 16 : FX_ZMM + 32 * number + byte - 32);
}

/* Indices that stay within the scratch area, all of them or, where a mask decides whether it is used, all but one. */
static void aim_gather(const struct test64 *t, struct state64 *in)
{
    ZydisRegister vector = ZYDIS_REGISTER_NONE;
    for (unsigned n = 0; n < t->z.operand_count; n++)
        if (t->operands[n].type == ZYDIS_OPERAND_TYPE_MEMORY) vector = t->operands[n].mem.index;
    unsigned index = (unsigned)ZydisRegisterGetId(vector);
    bool quads = t->insn.opcode & 1;
    for (unsigned n = 0; n < 8; n++) {
        u64 low = random64() % 512, high = quads ? 0 : random64() % 512;
        if (random64_chance(50)) low = quads ? -low : (u32)-low;
        u64 value = low | high << 32;
        memcpy(vector_at(in, index, 8 * n), &value, 8);
    }
    if (generate64_is_evex(t) && random64_chance(20))
        memcpy(vector_at(in, index, 8 * (unsigned)random64_below(8)), &(u32){(u32)random64()}, 4);
}

/* Masks with about half of their bits, with few in the lowest byte, and with all. Of ZMM0 to ZMM15 the upper halves,
 * and all of the others; some are 0. */
static void randomize_zmm(u8 *fx)
{
    for (unsigned n = FX_OPMASK; n < FX_ZMM; n += 8) {
        u64 masks[] = {random64(), random64() & random64() & 0xff, UINT64_MAX};
        memcpy(fx + n, &masks[random64_below(ARRAY_SIZE(masks))], 8);
    }
    for (unsigned n = FX_ZMM; n < FX_ALL; n += 32)
        if (random64_chance(85)) random64_fill(fx + n, 32);
}

void generate64_state(struct test64 *t, struct state64 *in)
{
    *in = (struct state64){.rip = CODE_AT};
    for (unsigned n = 0; n < GPR_COUNT; n++)
        in->gpr[n] = random64_boundary();
    /* A host may deliver no signal on a stack pointer that is not canonical. */
    in->gpr[REG_ESP] = random64_chance(95) ? SCRATCH_MIDDLE + 8 * (random64() % 64) : (u32)random64();
    if (t->insn.mnemonic == ZYDIS_MNEMONIC_LEAVE || t->insn.mnemonic == ZYDIS_MNEMONIC_ENTER)
        in->gpr[REG_EBP] = SCRATCH_MIDDLE + 8 * (random64() % 64);
    if (t->z.meta.category == ZYDIS_CATEGORY_STRINGOP) {
        in->gpr[REG_ESI] = SCRATCH_MIDDLE + random64() % 128;
        in->gpr[REG_EDI] = SCRATCH_MIDDLE + random64() % 128;
        /* A single-step trap comes after each iteration. */
        if (t->insn.prefixes & (PFX_REP | PFX_REPNE)) in->gpr[REG_ECX] = random64() % 2;
    } else if (random64_chance(92)) {
        for (unsigned n = 0; n < t->insn.operand_count; n++)
            if (t->insn.op[n].kind == OPND_MEM) aim(t, in);
    }
    in->eflags = FL_ONE | ((u32)random64() & (FL_ARITH | (random64_chance(20) ? FL_DF : 0)));
    for (unsigned n = FX_XMM; n < FX_YMM_END64; n += 8) {
        u64 value = random64_boundary();
        if (n == FX_XMM_END64) n = FX_YMM;
        memcpy(in->fx + n, &value, 8);
    }
    randomize_zmm(in->fx);
    /* The element of a scatter that faults need not be the only one outside, and the host may write the others. */
    if (generate64_is_scatter(t) || (generate64_is_gather(t) && random64_chance(90))) aim_gather(t, in);
    for (unsigned n = 32; n < 160; n += 16) {
        u64 value = random64() | 1ull << 63;
        u16 exponent = (u16)(0x3fff + random64() % 64 - 32);
        memcpy(in->fx + n, &value, 8);
        memcpy(in->fx + n + 8, &exponent, 2);
    }
    memcpy(in->fx, "\x7f\x03", 2);
    in->fx[4] = (u8)random64();
    memcpy(in->fx + 24, "\x80\x1f", 2);
    if (random64_chance(30)) in->fx[25] |= (u8)(random64() & 0x60); /* rounding */
    if (random64_chance(8)) in->fx[25] &= (u8)(random64() | 0x60);  /* unmasked exceptions: #XM */
}
