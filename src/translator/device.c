#include "device.h"

#include "cpu/decode_cache.h"
#include "cpu/exec.h"

/* State that the running block relies on and that a device's handler may change. */
struct snapshot {
    u64 generation, flushes, drops;
};

static struct snapshot snapshot(const struct vcpu *v)
{
    const struct engine *t = v->engine;
    return (struct snapshot){.generation = t->cache.generation,
                             .flushes = v->counters->shadow_flushes,
                             .drops = v->shadow->data_drops};
}

static bool same(const struct snapshot *a, const struct snapshot *b)
{
    return a->generation == b->generation && a->flushes == b->flushes && a->drops == b->drops;
}

static bool is_general(const struct operand *o)
{
    return o->kind == OPND_REG && o->reg_class <= RC_GPR64;
}

/* Is it MOV between memory and a general register, or MOV of an immediate to memory? */
static bool is_move(const struct insn *i, bool write)
{
    const struct operand *to = &i->op[0], *from = &i->op[1];
    if (!(i->row->traits & ISA_COPIES)) return false;
    if (write) return to->kind == OPND_MEM && (from->kind == OPND_IMM || is_general(from));
    return from->kind == OPND_MEM && is_general(to);
}

enum device_outcome device_access(struct vcpu *v, u64 gpa, unsigned size, bool write, bool may_stay)
{
    struct engine *t = v->engine;
    const struct decoded *d = decode_known(v, v->rip);
    if (!d || !d->plain || !is_move(&d->insn, write)) return DEVICE_DECLINED;
    const struct insn *i = &d->insn;
    struct snapshot before = snapshot(v);
    u8 *page = &t->device_page[gpa & PAGE_MASK];
    u64 value;

    v->counters->device_moves++;
    if (v->deterministic) v->icount -= v->scratch.remaining;
    if (write) {
        phys_write(v->phys, gpa, size, mask_bytes(exec_read(v, i, 1), size));
    } else {
        value = phys_read(v->phys, gpa, size);
        store_any(page, size, value);
    }
    struct snapshot after = snapshot(v);
    if (may_stay && !vcpu_pending(v) && same(&before, &after)) {
        if (v->deterministic) v->icount += v->scratch.remaining;
        return DEVICE_STAY;
    }
    if (!write) exec_reg_write(v, i->op[0].reg_class, i->op[0].reg, value);
    v->rip = mode_mask_rip(v->mode, v->rip + i->length);
    flags_unpack(v, v->scratch.parked_flags);
    return DEVICE_LEAVE;
}
