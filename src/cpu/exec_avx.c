/*
 * AVX and AVX-512 instructions that are not simply executed on the host, because they access single elements of memory:
 * masked moves, gathers and scatters. They work on the image of the parked state.
 */
#include "exec.h"
#include "interp_private.h"

/* Bytes 0 to 15, 16 to 31 and 32 to 63 of ZMM0 to ZMM15 lie apart in the image. */
static u8 *bytes_of(struct vcpu *v, unsigned reg, unsigned at)
{
    if (reg >= 16) return v->fpu + FX_ZMM16 + 64 * (reg - 16) + at;
    if (at >= 32) return v->fpu + FX_ZMM + 32 * reg + (at - 32);
    return at < 16 ? v->fpu + FX_XMM + 16 * reg + at : v->fpu + FX_YMM + 16 * reg + (at - 16);
}

/* An instruction with VEX clears all bits of a register above those that it writes. */
static void clear_above(struct vcpu *v, unsigned reg, unsigned bytes)
{
    for (unsigned at = bytes; at < (v->fpu_zmm ? 64 : 32); at += 4)
        store_any(bytes_of(v, reg, at), 4, 0);
}

static bool is_masked_in(struct vcpu *v, unsigned mask, unsigned at, unsigned size)
{
    return bytes_of(v, mask, at)[size - 1] & 0x80;
}

/* --- VMASKMOVPS, VMASKMOVPD, VPMASKMOVD, VPMASKMOVQ --- */

/* 2Ch and 2Eh are VMASKMOVPS, 2Dh and 2Fh VMASKMOVPD; for 8Ch and 8Eh W decides. */
static unsigned element_bytes(const struct insn *i)
{
    bool wide = i->opcode < 0x80 ? i->opcode & 1 : i->vex_w;
    return wide ? 8 : 4;
}

static void load_masked(struct vcpu *v, const struct insn *i, u64 address)
{
    const struct operand *to = &i->op[0];
    unsigned mask = i->op[1].reg, size = element_bytes(i);
    u64 value[4] = {0};
    for (unsigned at = 0; at < to->bytes; at += size)
        if (is_masked_in(v, mask, at, size))
            store_any((u8 *)value + at, size,
                      mem_read(v, i->mem_seg, exec_mask_address(i, address + at), size));
    for (unsigned at = 0; at < sizeof(value); at += 8)
        *(u64 *)bytes_of(v, to->reg, at) = value[at / 8];
    clear_above(v, to->reg, sizeof(value));
    fpu_image_changed(v);
}

static void store_masked(struct vcpu *v, const struct insn *i, u64 address)
{
    unsigned mask = i->op[1].reg, from = i->op[2].reg, size = element_bytes(i), bytes = i->op[0].bytes;
    for (unsigned at = 0; at < bytes; at += size)
        if (is_masked_in(v, mask, at, size))
            mem_probe_write(v, i->mem_seg, exec_mask_address(i, address + at), size);
    for (unsigned at = 0; at < bytes; at += size)
        if (is_masked_in(v, mask, at, size))
            mem_write(v, i->mem_seg, exec_mask_address(i, address + at), size,
                      load_any(bytes_of(v, from, at), size));
}

void exec_vmaskmov(struct vcpu *v, const struct insn *i)
{
    u64 address = exec_address(v, i);
    fpu_park(v);
    if (i->op[0].kind == OPND_MEM)
        store_masked(v, i, address);
    else
        load_masked(v, i, address);
}

/* --- VGATHERDPS, VPSCATTERDD and the like (SDM 2C "VGATHERDPD", SDM 2D "VPSCATTERDD") --- */

/* The mask of AVX2 is a vector register, of which the sign bits of elements count. That of AVX-512 is one of K1 to
 * K7. */
struct gather {
    unsigned vector, mask, index; /* registers; vector: of the elements */
    unsigned bytes;               /* of an element */
    unsigned index_bytes;
    unsigned count; /* of elements */
    bool opmask;
};

static struct gather gather_of(const struct insn *i)
{
    enum { INDEX_IS_QUAD = 1, NOT_X = 0x40, VEX_L = 4, EVEX_LENGTH_SHIFT = 5, NOT_V5 = 8 };
    const u8 *prefix = i->bytes + i->opcode_offset, sib = i->bytes[i->modrm_offset + 1];
    bool evex = i->encoding == ENC_EVEX;
    struct gather g = {.vector = i->op[i->op[0].kind == OPND_MEM].reg,
                       .mask = evex ? i->mask : i->op[2].reg,
                       .index = (sib >> 3 & 7) | (prefix[1] & NOT_X ? 0 : 8),
                       .bytes = i->vex_w ? 8 : 4,
                       .index_bytes = i->opcode & INDEX_IS_QUAD ? 8 : 4,
                       .opmask = evex};
    if (evex && !(prefix[3] & NOT_V5)) g.index |= 16;
    unsigned length = evex ? 16u << (prefix[3] >> EVEX_LENGTH_SHIFT & 3) : prefix[2] & VEX_L ? 32 : 16;
    g.count = length / (g.bytes > g.index_bytes ? g.bytes : g.index_bytes);
    return g;
}

static u64 *opmask_of(struct vcpu *v, const struct gather *g)
{
    return (u64 *)(v->fpu + FX_OPMASK + 8 * g->mask);
}

static bool element_is_in(struct vcpu *v, const struct gather *g, unsigned n)
{
    return g->opmask ? *opmask_of(v, g) >> n & 1 : is_masked_in(v, g->mask, n * g->bytes, g->bytes);
}

/* An element that was moved has its mask cleared, so that an instruction that faults goes on behind it when it is
 * executed again. */
static void element_is_done(struct vcpu *v, const struct gather *g, unsigned n)
{
    if (g->opmask)
        *opmask_of(v, g) &= ~(1ull << n);
    else
        store_any(bytes_of(v, g->mask, n * g->bytes), g->bytes, 0);
}

static u64 address_of_element(struct vcpu *v, const struct insn *i, const struct gather *g, u64 base,
                              unsigned n)
{
    u64 index = load_any(bytes_of(v, g->index, n * g->index_bytes), g->index_bytes);
    if (g->index_bytes == 4) index = (u64)(s64)(s32)index;
    return exec_mask_address(i, base + index * i->mem_scale);
}

static void gather_elements(struct vcpu *v, const struct insn *i, const struct gather *g)
{
    u64 base = exec_address(v, i);
    for (unsigned n = 0; n < g->count; n++) {
        if (!element_is_in(v, g, n)) continue;
        u64 value = mem_read(v, i->mem_seg, address_of_element(v, i, g, base, n), g->bytes);
        store_any(bytes_of(v, g->vector, n * g->bytes), g->bytes, value);
        element_is_done(v, g, n);
    }
}

void exec_gather(struct vcpu *v, const struct insn *i)
{
    struct gather g = gather_of(i);
    fpu_park(v);
    for (unsigned n = 0; n < g.count && !g.opmask; n++) {
        bool in = element_is_in(v, &g, n);
        store_any(bytes_of(v, g.mask, n * g.bytes), g.bytes, in ? UINT64_MAX : 0);
    }
    v->fpu_used |= XCR0_AVX | XCR0_AVX512; /* perhaps, also if a fault ends this */
    gather_elements(v, i, &g);
    if (g.opmask)
        *opmask_of(v, &g) = 0;
    else
        clear_above(v, g.mask, 0);
    clear_above(v, g.vector, g.count * g.bytes);
    fpu_image_changed(v);
}

void exec_scatter(struct vcpu *v, const struct insn *i)
{
    struct gather g = gather_of(i);
    fpu_park(v);
    u64 base = exec_address(v, i);
    for (unsigned n = 0; n < g.count; n++) {
        if (!element_is_in(v, &g, n)) continue;
        u64 value = load_any(bytes_of(v, g.vector, n * g.bytes), g.bytes);
        mem_write(v, i->mem_seg, address_of_element(v, i, &g, base, n), g.bytes, value);
        element_is_done(v, &g, n);
    }
    *opmask_of(v, &g) = 0;
    fpu_image_changed(v);
}
