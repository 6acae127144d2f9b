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
    unsigned n = 0;
    *t = (struct test64){0};
    if (random64_chance(15)) t->bytes[n++] = 0x66;
    if (random64_chance(8)) t->bytes[n++] = 0x67;
    if (random64_chance(5)) t->bytes[n++] = 0xf0;
    if (random64_chance(20)) t->bytes[n++] = random64_chance(50) ? 0xf2 : 0xf3;
    if (random64_chance(70)) t->bytes[n++] = 0x40 | random64() % 16;
    if (random64_chance(35)) {
        n = random64_chance(95) ? 0 : n; /* no prefix but 67h and those of segments may come before VEX */
        n += put_vex(t->bytes + n);
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

/* Into the scratch area. */
static void aim(struct test64 *t, struct state64 *in)
{
    u64 to = SCRATCH_MIDDLE + random64() % 512;
    generate64_aim(t, in, random64_chance(60) ? to & ~15ull : to);
}

bool generate64_is_gather(const struct test64 *t)
{
    return t->z.meta.category == ZYDIS_CATEGORY_AVX2GATHER;
}

/* Indices that stay within the scratch area. */
static void aim_gather(const struct test64 *t, struct state64 *in)
{
    unsigned index = (unsigned)(t->operands[1].mem.index - ZYDIS_REGISTER_XMM0) % 32;
    bool quads = t->insn.opcode & 1;
    for (unsigned n = 0; n < 4; n++) {
        u64 low = random64() % 512, high = quads ? 0 : random64() % 512;
        if (random64_chance(50)) low = quads ? -low : (u32)-low;
        u64 value = low | high << 32;
        memcpy(in->fx + (n < 2 ? FX_XMM + 16 * index + 8 * n : FX_YMM + 16 * index + 8 * (n - 2)), &value, 8);
    }
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
    if (generate64_is_gather(t) && random64_chance(90)) aim_gather(t, in);
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
