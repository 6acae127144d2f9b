/*
 * See decode_memo.h. Encodings: SDM 2A chapter 2.
 */
#include "decode_memo.h"

#include "base/hash.h"

#include <Zydis/Mnemonic.h>

/* --- the shape of an instruction --- */

/* The low bits of a key have the part of ModRM that belongs to the shape. */
enum { KEY_MODRM_NONE = 0x1ff, KEY_MODRM_MEMORY = 0x100, KEY_OPCODE_SHIFT = 9, KEY_MAP_SHIFT = 17 };
enum { KEY_PREFIX_SHIFT = 19, MOST_PREFIXES = 2, KEY_REX_SHIFT = 40, KEY_CODE64_SHIFT = 48 };
enum { MODRM_UNKNOWN, MODRM_NO, MODRM_YES };

struct outline {
    u8 map, opcode;
    u8 modrm_at; /* index of the byte behind the opcode: ModRM, if there is one */
    u64 key;     /* without ModRM; not 0 */
};

static bool is_prefix(u8 byte)
{
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0xf0:
    case 0xf2:
    case 0xf3: return true;
    default: return false;
    }
}

/* 67h changes the address size. 62h, 8Fh, C4h and C5h may begin other encodings. 9Ah and EAh have two
 * immediates. 0F0Fh has its opcode at the end. */
static bool is_odd(u8 map, u8 opcode)
{
    if (map == 1) return opcode == 0x0f;
    if (map != 0) return false;
    switch (opcode) {
    case 0x62:
    case 0x67:
    case 0x8f:
    case 0x9a:
    case 0xc4:
    case 0xc5:
    case 0xea: return true;
    default: return false;
    }
}

static bool find_outline(struct outline *o, const u8 *bytes, enum code_size size)
{
    u64 prefixes = 1, rex = 0; /* 1: so that no key is 0 */
    unsigned at = 0;
    for (; is_prefix(bytes[at]); at++) {
        if (at == MOST_PREFIXES) return false;
        prefixes = prefixes << 8 | bytes[at];
    }
    if (size == CODE_64 && (bytes[at] & 0xf0) == 0x40) {
        rex = bytes[at++];
        if (is_prefix(bytes[at]) || (bytes[at] & 0xf0) == 0x40) return false; /* then it has no effect */
    }
    o->map = 0;
    if (bytes[at] == 0x0f) {
        at++;
        o->map = bytes[at] == 0x38 ? 2 : bytes[at] == 0x3a ? 3 : 1;
        if (o->map > 1) at++;
    }
    o->opcode = bytes[at++];
    o->modrm_at = (u8)at;
    o->key = (u64)(size == CODE_64) << KEY_CODE64_SHIFT | rex << KEY_REX_SHIFT |
             prefixes << KEY_PREFIX_SHIFT | (u64)o->map << KEY_MAP_SHIFT | (u64)o->opcode << KEY_OPCODE_SHIFT;
    return !is_odd(o->map, o->opcode);
}

static u64 modrm_key(u8 modrm)
{
    return modrm >= 0xc0 ? modrm : KEY_MODRM_MEMORY | (modrm & 0x38);
}

/* --- one instruction of a known shape --- */

static u32 little_endian(const u8 *at, unsigned bytes)
{
    u32 value = 0;
    for (unsigned n = 0; n < bytes; n++)
        value |= (u32)at[n] << (8 * n);
    return value;
}

/* Decode ModRM, SIB and displacement of a 32-bit address, or in 64-bit code of a 64-bit one (SDM 2A tables 2-2 and 2-3,
 * 2.2.1.2, 2.2.1.6). Returns their length. */
static unsigned take_address(struct insn *i, const u8 *at, bool stack_segment, bool code64)
{
    u8 rex_b = i->rex & 1 ? 8 : 0, rex_x = i->rex & 2 ? 8 : 0;
    bool relative = code64 && (at[0] & 0xc7) == 5;
    u8 mod = at[0] >> 6, base = at[0] & 7;
    unsigned taken = 1, displacement = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    i->modrm = at[0];
    i->mem_index = INSN_NO_REG;
    i->mem_scale = 1;
    if (base == REG_ESP) {
        u8 sib = at[taken++], index = (sib >> 3 & 7) | rex_x;
        base = sib & 7;
        if (index != REG_ESP) {
            i->mem_index = index;
            i->mem_scale = (u8)(1 << (sib >> 6));
        }
    }
    bool none = base == REG_EBP && mod == 0;
    if (none) displacement = 4;
    base |= rex_b;
    i->mem_base = relative ? INSN_RIP : none ? INSN_NO_REG : base;
    i->mem_disp = displacement == 1 ? (u32)(s8)at[taken] : little_endian(at + taken, displacement);
    if (code64) i->mem_disp = (u64)(s64)(s32)i->mem_disp;
    if (stack_segment) i->mem_seg = !none && (base == REG_ESP || base == REG_EBP) ? SEG_SS : SEG_DS;
    return taken + displacement;
}

static void take_immediate(const struct shape *s, struct insn *i, const u8 *at)
{
    u32 value = little_endian(at, i->imm_bytes);
    unsigned unused = 32 - 8 * i->imm_bytes;
    i->imm[0] = s->imm_signed ? (u64)((s32)(value << unused) >> unused) : value;
    if (s->count_decides && !(value & (i->op[0].bytes == 8 ? 63 : 31))) i->flags_killed = 0;
}

static void instantiate(const struct shape *s, struct insn *i, const u8 *bytes)
{
    *i = s->insn;
    if (s->kind == SHAPE_MEMORY) {
        unsigned immediate_at =
            i->modrm_offset + take_address(i, bytes + i->modrm_offset, s->stack_segment, s->size == CODE_64);
        if (i->imm_bytes) i->imm_offset = (u8)immediate_at;
        i->length = (u8)(immediate_at + i->imm_bytes);
    }
    if (s->kind == SHAPE_OFFSET) i->mem_disp = little_endian(bytes + i->opcode_offset + 1, 4);
    if (i->imm_bytes) take_immediate(s, i, bytes + i->imm_offset);
    for (unsigned n = 0; n < i->length; n++)
        i->bytes[n] = bytes[n];
}

/* --- learning a shape --- */

/* Decode an example of the shape. A memory operand is [base + 0], and all further bytes are `fill`. */
static bool decode_example(struct insn *i, const struct insn *of, enum code_size size, u8 base, u8 fill)
{
    u8 example[INSN_MAX_BYTES];
    unsigned modrm_at = of->opcode_offset + 1u;
    for (unsigned n = 0; n < INSN_MAX_BYTES; n++)
        example[n] = n < modrm_at + of->has_modrm ? of->bytes[n] : fill;
    if (of->has_modrm && of->modrm < 0xc0) {
        example[modrm_at] = (u8)((of->modrm & 0x38) | 0x40 | base);
        example[modrm_at + 1] = 0;
    }
    return insn_decode(i, example, INSN_MAX_BYTES, size) > 0;
}

static bool same_operand(const struct operand *a, const struct operand *b)
{
    return a->kind == b->kind && a->reg_class == b->reg_class && a->reg == b->reg && a->imm == b->imm &&
           a->bytes == b->bytes && a->read == b->read && a->written == b->written && a->field == b->field;
}

static bool same(const struct insn *a, const struct insn *b)
{
#define EQUAL(field) (a->field == b->field)
    bool equal = EQUAL(row) && EQUAL(rex) && EQUAL(mnemonic) && EQUAL(length) && EQUAL(operand_count) &&
                 EQUAL(operand_bytes) && EQUAL(address_bytes) && EQUAL(stack_bytes) && EQUAL(prefixes) &&
                 EQUAL(imm[0]) && EQUAL(imm[1]) && EQUAL(mem_base) && EQUAL(mem_index) && EQUAL(mem_scale) &&
                 EQUAL(mem_seg) && EQUAL(mem_disp) && EQUAL(gprs_read) && EQUAL(gprs_written) &&
                 EQUAL(stack_effect) && EQUAL(stack_access) && EQUAL(accesses_memory) && EQUAL(flags_read) &&
                 EQUAL(flags_written) && EQUAL(flags_killed) && EQUAL(encoding) && EQUAL(map) &&
                 EQUAL(opcode) && EQUAL(mandatory) && EQUAL(has_modrm) && EQUAL(modrm) &&
                 EQUAL(opcode_offset) && EQUAL(modrm_offset) && EQUAL(imm_offset) && EQUAL(imm_bytes) &&
                 EQUAL(isa_set);
#undef EQUAL
    for (unsigned n = 0; n < ARRAY_SIZE(a->op); n++)
        equal = equal && same_operand(&a->op[n], &b->op[n]);
    for (unsigned n = 0; n < a->length; n++)
        equal = equal && a->bytes[n] == b->bytes[n];
    return equal;
}

/* Learn the immediate from its values in two examples. False: it is not the only one, or not in imm[0]. */
static bool learn_immediate(struct shape *s, const struct insn *low, const struct insn *high)
{
    unsigned bytes = low->imm_bytes;
    if (!bytes) return true;
    if (bytes != 1 && bytes != 2 && bytes != 4) return false;
    u32 shift = 32 - 8 * bytes, negative = 0x81818181u >> shift;
    s->imm_signed = high->imm[0] != negative;
    u64 extended = s->imm_signed ? (u64)(s64)((s32)0x81818181 >> shift) : negative;
    return low->imm[0] == 0x01010101u >> shift && high->imm[0] == extended && !low->imm[1] && !high->imm[1];
}

/* `whole` is Zydis's result for `bytes`. */
static void learn(struct shape *s, u64 key, const struct insn *whole, const u8 *bytes, enum code_size size)
{
    struct insn zero, high, copy;
    bool memory = false;
    for (unsigned n = 0; n < whole->operand_count; n++)
        if (whole->op[n].kind == OPND_MEM) memory = true;
    *s = (struct shape){.key = key, .kind = SHAPE_ODD, .size = (u8)size};
    if (whole->encoding != ENC_LEGACY) return;
    if (memory && !whole->has_modrm) {
        s->insn = *whole;
        s->kind = whole->imm_bytes || size == CODE_64 ? SHAPE_ODD : SHAPE_OFFSET;
        return;
    }
    if (memory != (whole->has_modrm && whole->modrm < 0xc0)) return; /* MOV CR ignores mod */
    if (!decode_example(&s->insn, whole, size, REG_EBP, 0x01) ||
        !decode_example(&zero, whole, size, REG_EBP, 0x00) ||
        !decode_example(&high, whole, size, REG_EBX, 0x81) || !learn_immediate(s, &s->insn, &high))
        return;
    s->count_decides = zero.flags_killed != s->insn.flags_killed;
    s->kind = memory ? SHAPE_MEMORY : SHAPE_PLAIN;
    s->stack_segment = s->insn.mem_seg != high.mem_seg;
    instantiate(s, &copy, bytes);
    if (!same(&copy, whole)) s->kind = SHAPE_ODD;
}

int decode_memo_decode(struct decode_memo *memo, struct vcpu *v, struct insn *insn, const u8 *bytes,
                       unsigned available, enum code_size size)
{
    struct outline o;
    struct shape *s = NULL;
    if (!memo->off && size != CODE_16 && available >= INSN_MAX_BYTES && find_outline(&o, bytes, size)) {
        u8 *known = &memo->has_modrm[size == CODE_64][o.map][o.opcode];
        u64 key = o.key | (*known == MODRM_YES ? modrm_key(bytes[o.modrm_at]) : KEY_MODRM_NONE);
        s = &memo->shapes[hash_multiply(key) >> (64 - DECODE_SHAPES_LOG)];
        if (s->key == key && s->kind > SHAPE_ODD && *known) {
            instantiate(s, insn, bytes);
            return insn->length;
        }
        fpu_shelter(v);
        int length = insn_decode(insn, bytes, available, size);
        v->counters->decodes++;
        if (length <= 0) return length;
        if (*known) {
            if (s->key != key) learn(s, key, insn, bytes, size);
        } else {
            *known = insn->has_modrm ? MODRM_YES : MODRM_NO;
        }
        return length;
    }
    fpu_shelter(v);
    v->counters->decodes++;
    return insn_decode(insn, bytes, available, size);
}
