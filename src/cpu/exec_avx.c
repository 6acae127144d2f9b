/*
 * AVX instructions that are not simply executed on the host, because they access single elements of memory: masked
 * moves and gathers. They work on the image of the parked state.
 */
#include "exec.h"
#include "interp_private.h"

/* Bytes 0 to 15 and 16 to 31 of a YMM register lie apart in the image. */
static u8 *bytes_of(struct vcpu *v, unsigned reg, unsigned at)
{
    return at < 16 ? v->fpu + FX_XMM + 16 * reg + at : v->fpu + FX_YMM + 16 * reg + (at - 16);
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

/* --- VGATHERDPS and the like (SDM 2C "VGATHERDPD") --- */

struct gather {
    unsigned to, mask, index; /* registers */
    unsigned bytes;           /* of an element */
    unsigned index_bytes;
    unsigned count; /* of elements */
};

static struct gather gather_of(const struct insn *i)
{
    enum { INDEX_IS_QUAD = 1, VEX_X = 0x40, VEX_L = 4 };
    const u8 *vex = i->bytes + i->opcode_offset, sib = i->bytes[i->modrm_offset + 1];
    struct gather g = {.to = i->op[0].reg,
                       .mask = i->op[2].reg,
                       .index = (sib >> 3 & 7) | (vex[1] & VEX_X ? 0 : 8),
                       .bytes = i->vex_w ? 8 : 4,
                       .index_bytes = i->opcode & INDEX_IS_QUAD ? 8 : 4};
    g.count = (vex[2] & VEX_L ? 32 : 16) / (g.bytes > g.index_bytes ? g.bytes : g.index_bytes);
    return g;
}

/* An element that was loaded has its mask cleared, so that an instruction that faults goes on behind it when it is
 * executed again. */
static void gather_elements(struct vcpu *v, const struct insn *i, const struct gather *g)
{
    u64 base = exec_address(v, i);
    for (unsigned n = 0; n < g->count; n++) {
        u8 *mask = bytes_of(v, g->mask, n * g->bytes);
        if (!is_masked_in(v, g->mask, n * g->bytes, g->bytes)) continue;
        u64 index = load_any(bytes_of(v, g->index, n * g->index_bytes), g->index_bytes);
        if (g->index_bytes == 4) index = (u64)(s64)(s32)index;
        u64 address = exec_mask_address(i, base + index * i->mem_scale);
        u64 value = mem_read(v, i->mem_seg, address, g->bytes);
        store_any(bytes_of(v, g->to, n * g->bytes), g->bytes, value);
        store_any(mask, g->bytes, 0);
    }
}

void exec_gather(struct vcpu *v, const struct insn *i)
{
    struct gather g = gather_of(i);
    fpu_park(v);
    for (unsigned n = 0; n < g.count; n++) {
        bool in = is_masked_in(v, g.mask, n * g.bytes, g.bytes);
        store_any(bytes_of(v, g.mask, n * g.bytes), g.bytes, in ? UINT64_MAX : 0);
    }
    v->fpu_upper = true; /* perhaps, also if a fault ends this */
    gather_elements(v, i, &g);
    for (unsigned at = 0; at < 32; at += 4) {
        store_any(bytes_of(v, g.mask, at), 4, 0);
        if (at >= g.count * g.bytes) store_any(bytes_of(v, g.to, at), 4, 0);
    }
    fpu_image_changed(v);
}
