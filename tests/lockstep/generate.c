#include "generate.h"

#include "cpu/cpuid.h"
#include "cpu/isa.h"

#include <stdlib.h>
#include <string.h>

void generator_init(struct generator *g, struct random *r, const char *filter)
{
    g->random = r;
    g->filter = filter;
    ZydisDecoderInit(&g->decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    ZydisFormatterInit(&g->formatter, ZYDIS_FORMATTER_STYLE_INTEL);
}

void generate_format(struct generator *g, const u8 *bytes, unsigned length, u32 eip, char *text,
                     unsigned text_bytes)
{
    ZydisDecodedInstruction info;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
    if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g->decoder, bytes, length, &info, op)))
        ZydisFormatterFormatInstruction(&g->formatter, &info, op, info.operand_count_visible, text,
                                        text_bytes, eip, NULL);
    else
        snprintf(text, text_bytes, "(invalid)");
}

#define WORD(field) offsetof(struct cpu_model, field)

void generate_print_features(FILE *out)
{
    static const struct {
        size_t word;
        u32 bit;
        const char *name;
    } features[] = {
        {WORD(f1_ecx), F1C_SSE3, "sse3"},     {WORD(f1_ecx), F1C_PCLMULQDQ, "pclmulqdq"},
        {WORD(f1_ecx), F1C_SSSE3, "ssse3"},   {WORD(f1_ecx), F1C_SSE4_1, "sse4.1"},
        {WORD(f1_ecx), F1C_SSE4_2, "sse4.2"}, {WORD(f1_ecx), F1C_MOVBE, "movbe"},
        {WORD(f1_ecx), F1C_POPCNT, "popcnt"}, {WORD(f1_ecx), F1C_AES, "aes"},
        {WORD(f7_ebx), F7B_BMI1, "bmi1"},     {WORD(f7_ebx), F7B_BMI2, "bmi2"},
        {WORD(f7_ebx), F7B_ADX, "adx"},       {WORD(f7_ebx), F7B_SHA, "sha"},
        {WORD(x1_ecx), X1C_LZCNT, "lzcnt"},   {WORD(f1_ecx), F1C_AVX, "avx"},
        {WORD(f7_ebx), F7B_AVX2, "avx2"},     {WORD(f1_ecx), F1C_FMA, "fma"},
        {WORD(f1_ecx), F1C_F16C, "f16c"},
    };
    const u8 *model = (const u8 *)cpu_model_find("max");
    fprintf(out, "the same code comes of this seed on hosts with");
    for (unsigned n = 0; n < ARRAY_SIZE(features); n++) {
        u32 word;
        memcpy(&word, model + features[n].word, sizeof(word));
        fprintf(out, "%s %s%s", n ? "," : "", word & features[n].bit ? "" : "no ", features[n].name);
    }
    fprintf(out, "\n");
}
#undef WORD

/* --- what tests leave out: instructions that leave user code, and results that depend on the machine --- */

static bool wanted_category(const ZydisDecodedInstruction *i)
{
    switch (i->meta.category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_INTERRUPT:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_SYSTEM:
    case ZYDIS_CATEGORY_SEGOP:
    case ZYDIS_CATEGORY_IO:
    case ZYDIS_CATEGORY_IOSTRINGOP:
    case ZYDIS_CATEGORY_RDRAND:
    case ZYDIS_CATEGORY_RDSEED:
    case ZYDIS_CATEGORY_XSAVE:
    case ZYDIS_CATEGORY_XSAVEOPT: return false;
    default: return true;
    }
}

static bool wanted_mnemonic(ZydisMnemonic m)
{
    switch (m) {
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:  /* could set TF */
    case ZYDIS_MNEMONIC_VMCALL: /* the host's hypervisor would answer */
    case ZYDIS_MNEMONIC_VMMCALL:
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDTSCP:
    case ZYDIS_MNEMONIC_RDPID:
    case ZYDIS_MNEMONIC_FNSTENV: /* these store last-instruction pointers */
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_CLFLUSH: return false;
    default: return true;
    }
}

static bool wanted_operands(const struct test_insn *i, bool avx)
{
    for (unsigned n = 0; n < i->info.operand_count; n++) {
        const ZydisDecodedOperand *op = &i->op[n];
        bool gathers = op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type == ZYDIS_MEMOP_TYPE_VSIB;
        if (avx && gathers)
            return false; /* its addresses cannot be steered; oracle64 and guest/xsave have gathers */
        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(op->reg.value) == ZYDIS_REGCLASS_SEGMENT)
            return false;
        if (op->type == ZYDIS_OPERAND_TYPE_MEMORY &&
            (op->mem.segment == ZYDIS_REGISTER_FS || op->mem.segment == ZYDIS_REGISTER_GS))
            return false;
        /* 16-bit addresses: the scratch area is above 64 KB. LEA and NOP reach nothing. */
        if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type == ZYDIS_MEMOP_TYPE_MEM &&
            i->info.address_width == 16)
            return false;
    }
    return true;
}

static bool exposed(const struct test_insn *i, bool avx)
{
    struct insn digest;
    if (insn_decode(&digest, i->bytes, i->length, true) <= 0) return false;
    bool enabled = avx || !(digest.row->traits & ISA_AVX);
    return enabled && isa_exposed(cpu_model_find("max"), &digest) && strcmp(digest.row->name, "(ud)");
}

static bool matches(const struct generator *g, const struct test_insn *i)
{
    return !g->filter || !strcmp(ZydisMnemonicGetString(i->info.mnemonic), g->filter);
}

static bool decode(struct generator *g, struct test_insn *i)
{
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g->decoder, i->bytes, sizeof(i->bytes), &i->info, i->op)))
        return false;
    i->length = i->info.length;
    i->target = 0;
    if (!matches(g, i) || !wanted_category(&i->info) || !wanted_mnemonic(i->info.mnemonic) ||
        !wanted_operands(i, g->avx))
        return false;
    i->exposed = exposed(i, g->avx);
    return true;
}

/* --- bytes --- */

static u8 random_modrm(struct random *r, bool for_block)
{
    u8 reg = (u8)(random_below(r, 8) << 3);
    if (random_chance(r, 45)) return 0xc0 | reg | (u8)random_below(r, 8);
    if (!for_block) return (u8)(random_below(r, 3) << 6) | reg | (u8)random_below(r, 8);
    static const u8 forms[] = {0x05, 0x46, 0x86, 0x47, 0x87}; /* [disp32], [ESI/EDI + disp8/32] */
    return reg | forms[random_below(r, ARRAY_SIZE(forms))];
}

static unsigned put_legacy(struct random *r, u8 *to)
{
    unsigned n = 0, map = random_below(r, 10);
    if (random_chance(r, 25)) to[n++] = 0x66;
    if (random_chance(r, 10)) to[n++] = 0xf2;
    if (random_chance(r, 12)) to[n++] = 0xf3;
    if (map < 5 && random_chance(r, 5)) to[n++] = 0xf0;
    if (random_chance(r, 1)) to[n++] = 0x67;
    if (random_chance(r, 2)) to[n++] = (u8)(0x26 + 8 * random_below(r, 4));
    if (map >= 4) to[n++] = 0x0f;
    if (map == 8) to[n++] = 0x38;
    if (map == 9) to[n++] = 0x3a;
    to[n++] = map == 0 ? (u8)(0xd8 + random_below(r, 8)) : (u8)random_below(r, 256); /* more x87 */
    return n;
}

/* VEX in all three maps: bits that 32-bit code ignores, and L, only where there is AVX. */
static unsigned put_vex(struct generator *g, u8 *to)
{
    struct random *r = g->random;
    to[0] = 0xc4;
    to[1] = (u8)(0xe0 | (1 + random_below(r, 3)));
    to[2] = (u8)(0x40 | random_below(r, 16) << 3 | random_below(r, 4));
    if (g->avx) {
        to[1] &= (u8)(random_chance(r, 10) ? 0xdf : 0xff); /* B */
        to[2] ^= (u8)(random_next(r) >> 32 & 0x84);        /* W and L */
        if (random_chance(r, 30)) to[2] |= 0x78;           /* no operand in vvvv */
    }
    to[3] = random_chance(r, g->avx ? 15 : 70) ? (u8)(0xf0 + random_below(r, 8)) : (u8)random_below(r, 256);
    return 4;
}

static void put_random(struct generator *g, struct test_insn *i, bool for_block)
{
    struct random *r = g->random;
    memset(i, 0, sizeof(*i));
    unsigned n = random_chance(r, g->avx ? 30 : 5) ? put_vex(g, i->bytes) : put_legacy(r, i->bytes);
    i->bytes[n++] = random_modrm(r, for_block);
    while (n < sizeof(i->bytes)) {
        u32 v = random_u32(r);
        memcpy(i->bytes + n, &v, sizeof(i->bytes) - n < 4 ? sizeof(i->bytes) - n : 4);
        n += 4;
    }
}

/* --- memory operands --- */

static unsigned gpr_of(ZydisRegister reg, bool *high_byte)
{
    *high_byte = false;
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
        if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
            *high_byte = true;
            return reg - ZYDIS_REGISTER_AH;
        }
        return reg - ZYDIS_REGISTER_AL;
    case ZYDIS_REGCLASS_GPR16: return reg - ZYDIS_REGISTER_AX;
    default: return reg - ZYDIS_REGISTER_EAX;
    }
}

static u32 register_value(const struct state *s, ZydisRegister reg)
{
    bool high;
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    u32 v = s->gpr[gpr_of(reg, &high)];
    return ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_GPR8 ? v & 0xff : v;
}

static u32 effective_address(const struct test_insn *i, const ZydisDecodedOperand *op, const struct state *s)
{
    u32 ea = op->mem.disp.has_displacement ? (u32)op->mem.disp.value : 0;
    ea += register_value(s, op->mem.base);
    ea += register_value(s, op->mem.index) * (op->mem.scale ? op->mem.scale : 1);
    return ea;
}

static unsigned operand_bytes(const ZydisDecodedOperand *op)
{
    return op->size / 8 ? op->size / 8 : 1;
}

/* Aligned, not, or across a page boundary. LOCK and XCHG stay within a cache line: hosts punish split locks. */
static u32 random_target(struct random *r, const struct test_insn *i, unsigned bytes)
{
    bool locked = i->info.attributes & (ZYDIS_ATTRIB_HAS_LOCK | ZYDIS_ATTRIB_HAS_XACQUIRE) ||
                  i->info.mnemonic == ZYDIS_MNEMONIC_XCHG;
    u32 low = SCRATCH_AT + 0x400, span = SCRATCH_BYTES - 0x800;
    u32 at = low + random_below(r, span - bytes);
    if (locked) return at & ~15u;
    if (bytes > 1 && random_chance(r, 15))
        return SCRATCH_AT + PAGE_SIZE * (1 + random_below(r, 2)) - 1 - random_below(r, bytes - 1);
    return random_chance(r, 60) ? at & ~15u : at;
}

/* Makes the operand point at `target`: by the displacement if it has 32 bits and there is no base, else by the
 * base register. */
static bool steer(struct test_insn *i, const ZydisDecodedOperand *op, struct state *s, u32 target)
{
    u32 delta = target - effective_address(i, op, s);
    if (op->mem.base == ZYDIS_REGISTER_NONE || (op->mem.base == op->mem.index)) {
        if (i->info.raw.disp.size != 32) return false;
        u32 disp;
        memcpy(&disp, i->bytes + i->info.raw.disp.offset, 4);
        disp += delta;
        memcpy(i->bytes + i->info.raw.disp.offset, &disp, 4);
        return true;
    }
    bool high;
    s->gpr[gpr_of(op->mem.base, &high)] += delta;
    return true;
}

static bool is_memory(const ZydisDecodedOperand *op)
{
    return op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->mem.type == ZYDIS_MEMOP_TYPE_MEM;
}

static bool is_bit_string(const struct test_insn *i)
{
    switch (i->info.mnemonic) {
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        return i->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY && i->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER;
    default: return false;
    }
}

static bool in_scratch(u32 at, unsigned bytes)
{
    return at >= SCRATCH_AT + 0x100 && at <= SCRATCH_AT + SCRATCH_BYTES - 0x100 - bytes;
}

static bool place_memory(struct generator *g, struct test_insn *i, struct state *s)
{
    struct random *r = g->random;
    if (i->info.meta.category == ZYDIS_CATEGORY_STRINGOP) s->gpr[1] = random_below(r, 24);
    if (is_bit_string(i)) {
        bool high;
        s->gpr[gpr_of(i->op[1].reg.value, &high)] = random_below(r, 1024) - 512;
    }
    for (unsigned n = 0; n < i->info.operand_count; n++) {
        const ZydisDecodedOperand *op = &i->op[n];
        if (!is_memory(op) || op->mem.base == ZYDIS_REGISTER_ESP) continue;
        i->target_bytes = operand_bytes(op);
        if (!steer(i, op, s, random_target(r, i, i->target_bytes))) return false;
    }
    /* two operands have the same base, or base and bit offset are one register: check the result at the end */
    for (unsigned n = 0; n < i->info.operand_count; n++) {
        const ZydisDecodedOperand *op = &i->op[n];
        if (!is_memory(op)) continue;
        ZydisDecodedOperand again = *op;
        if (op->mem.base == ZYDIS_REGISTER_NONE && i->info.raw.disp.size == 32) {
            s32 disp;
            memcpy(&disp, i->bytes + i->info.raw.disp.offset, 4);
            again.mem.disp.value = disp;
        }
        u32 at = effective_address(i, &again, s);
        if (!in_scratch(at, operand_bytes(op))) return false;
        i->target = at;
    }
    if (is_bit_string(i)) {
        bool high;
        s32 bit = (s32)s->gpr[gpr_of(i->op[1].reg.value, &high)];
        if (i->op[1].size == 16) bit = (s16)bit;
        if (bit < -4096 || bit > 4096) return false;
    }
    return true;
}

void generate_single(struct generator *g, struct test_insn *i, struct state *s)
{
    struct state start = *s;
    for (;;) {
        *s = start;
        put_random(g, i, false);
        if (!decode(g, i) || !place_memory(g, i, s)) continue;
        if (in_scratch(s->gpr[4], 64) && in_scratch(s->gpr[5], 64)) return;
    }
}

/* --- in blocks --- */

static bool leaves_pointers(const struct test_insn *i)
{
    for (unsigned n = 0; n < i->info.operand_count; n++) {
        const ZydisDecodedOperand *op = &i->op[n];
        bool hidden = op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER && op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
            switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LEGACY_32, op->reg.value)) {
            case ZYDIS_REGISTER_ESI:
            case ZYDIS_REGISTER_EDI: return false;
            case ZYDIS_REGISTER_ESP:
                if (!hidden) return false;
                break;
            default: break;
            }
        }
        if (is_memory(op) && hidden && op->mem.base != ZYDIS_REGISTER_ESP) return false;
    }
    switch (i->info.mnemonic) {
    case ZYDIS_MNEMONIC_LEAVE:
    case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_POPA:
    case ZYDIS_MNEMONIC_POPAD:
    case ZYDIS_MNEMONIC_PUSHA:
    case ZYDIS_MNEMONIC_PUSHAD: return false;
    default: return !is_bit_string(i);
    }
}

static bool place_for_block(struct generator *g, struct test_insn *i)
{
    static const u32 base_values[2] = {SCRATCH_AT + 0x1000, SCRATCH_AT + 0x1c00};
    for (unsigned n = 0; n < i->info.operand_count; n++) {
        const ZydisDecodedOperand *op = &i->op[n];
        if (!is_memory(op) || op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) continue;
        if (op->mem.index != ZYDIS_REGISTER_NONE) return false;
        u32 base = op->mem.base == ZYDIS_REGISTER_NONE  ? 0
                   : op->mem.base == ZYDIS_REGISTER_ESI ? base_values[0]
                   : op->mem.base == ZYDIS_REGISTER_EDI ? base_values[1]
                                                        : ~0u;
        if (base == ~0u) return false;
        if (i->info.raw.disp.size == 32) {
            u32 disp = random_target(g->random, i, operand_bytes(op)) - base;
            memcpy(i->bytes + i->info.raw.disp.offset, &disp, 4);
        } else if (!base ||
                   ((i->info.attributes & ZYDIS_ATTRIB_HAS_LOCK || i->info.mnemonic == ZYDIS_MNEMONIC_XCHG) &&
                    i->info.raw.disp.value & 15)) {
            return false;
        }
    }
    return true;
}

static bool rarely_faults(struct generator *g, const struct test_insn *i)
{
    switch (i->info.mnemonic) {
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
    case ZYDIS_MNEMONIC_AAM: return random_chance(g->random, 10);
    case ZYDIS_MNEMONIC_HLT:
    case ZYDIS_MNEMONIC_CLI:
    case ZYDIS_MNEMONIC_STI:
    case ZYDIS_MNEMONIC_UD0:
    case ZYDIS_MNEMONIC_UD1:
    case ZYDIS_MNEMONIC_UD2: return random_chance(g->random, 2);
    case ZYDIS_MNEMONIC_FLDCW:
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FRSTOR:
    case ZYDIS_MNEMONIC_FLDENV: return random_chance(g->random, 5);
    default: return true;
    }
}

void generate_for_block(struct generator *g, struct test_insn *i)
{
    do
        put_random(g, i, true);
    while (!decode(g, i) || !i->exposed || !leaves_pointers(i) || !rarely_faults(g, i) ||
           !place_for_block(g, i));
}

/* --- undefined results --- */

bool generate_uses_stack(const struct test_insn *i)
{
    for (unsigned n = 0; n < i->info.operand_count; n++)
        if (is_memory(&i->op[n]) && i->op[n].mem.base == ZYDIS_REGISTER_ESP) return true;
    return false;
}

u32 generate_undefined_flags(const struct test_insn *i)
{
    u32 mask = i->info.cpu_flags ? i->info.cpu_flags->undefined & FLAGS_ARITH : 0;
    switch (i->info.mnemonic) {
    /* besides what Zydis reports: OF for counts other than 1, CF for counts beyond the operand, AF always */
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD: return mask | 0x811;
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR: return mask | 0x800;
    default: return mask;
    }
}
