/*
 * Callouts: instructions that the interpreter's routines execute. There are many callouts of few different
 * instructions, so the cache's metadata holds what equal instructions share (struct callee) once.
 */
#include "build.h"

#include "base/hash.h"

static u32 callee_hash(const struct insn *i, u8 size)
{
    u64 h = size;
    for (unsigned n = 0; n < i->length; n++)
        h = hash_multiply(h ^ i->bytes[n]);
    return (u32)(h >> 40) % CALLEE_BUCKETS;
}

/* The digest is a function of the bytes and the default size. */
static bool same_bytes(const struct callee *callee, const struct insn *i, u8 size)
{
    if (callee->insn.length != i->length || callee->size != size || callee->insn.row != i->row) return false;
    for (unsigned n = 0; n < i->length; n++)
        if (callee->insn.bytes[n] != i->bytes[n]) return false;
    return true;
}

static void forget_flushed(struct engine *t)
{
    u64 flushes = t->cache.counters->cache_flushes;
    if (t->callee_flushes == flushes) return;
    t->callee_flushes = flushes;
    for (unsigned n = 0; n < CALLEE_BUCKETS; n++)
        t->callees[n] = 0;
}

static u32 find_callee(struct build *b)
{
    const struct insn *i = b->i;
    u8 size = (u8)mode_code_size(b->mode);
    forget_flushed(b->t);
    u32 *bucket = &b->t->callees[callee_hash(i, size)];
    for (u32 p = *bucket; p; p = ((const struct callee *)meta_pointer(p))->next)
        if (same_bytes(meta_pointer(p), i, size)) return p;
    struct callee *callee = cache_lasting(&b->t->cache, sizeof(*callee));
    *callee = (struct callee){
        .insn = *i,
        .fast = b->v->instruments.no_fast_entry ? NULL : fast_routine_of(i, is_code64(b)),
        .next = *bucket,
        .size = size,
        .plain = insn_is_plain(b->v, i),
    };
    return *bucket = low_pointer(callee);
}

u32 make_callout(struct build *b, bool end)
{
    struct callout *callout = cache_meta(&b->t->cache, sizeof(*callout));
    b->callout_bytes += sizeof(*callout);
    *callout = (struct callout){
        .callee = find_callee(b),
        .eip = b->eip,
        .mode = b->mode,
        .remaining = (u8)(b->count - 1 - b->n),
        .end = end,
    };
    return low_pointer(callout);
}

u32 callout_moved(struct cache *cache, u32 callout, u64 eip_by)
{
    struct callout *moved = cache_meta(cache, sizeof(*moved));
    *moved = *(const struct callout *)meta_pointer(callout);
    moved->eip = mode_mask_rip(moved->mode, moved->eip + eip_by);
    return low_pointer(moved);
}

void emit_callout_name(struct build *b, u32 callout)
{
    emit_mov_ri(&b->e, REG_TEMP, callout);
    fix_last(b, FIX_CALLOUT);
}

void emit_callout(struct build *b, bool end)
{
    u32 callout = make_callout(b, end);
    const struct callee *callee = callee_of(meta_pointer(callout));
    flags_to_parked(b);
    emit_callout_name(b, callout);
    emit_call_thunk(&b->e, callee->fast && callee->plain ? THUNK_FAST : THUNK_CALLOUT);
    b->flags = FLAGS_PARKED;
    b->ended = end;
    hoist_forget(b);
}
