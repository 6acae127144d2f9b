/*
 * Looking ahead: when a new block leaves by an edge, C code looks for the edge's target in tables that are much larger
 * than the host's caches. So what these look-ups read is fetched while the block is made and run.
 */
#include "build.h"
#include "cpu/decode_cache.h"

u64 edge_target(const struct edge *edge)
{
    const struct block *from = edge_from(edge);
    u64 rip = block_rip(from);
    return mode_mask_rip(from->mode, rip + (u64)(s64)(s32)(edge->eip - (u32)rip));
}

void ahead_of(const struct vcpu *v, const struct block *block)
{
    const struct engine *t = v->engine;
    struct block_key key = block_key(block);
    for (unsigned n = 0; n < block->edge_count; n++) {
        const struct edge *edge = &block_edges(block)[n];
        u64 target = edge_target(edge);
        u32 frame = edge->frame_patch ? decode_frame(v, key_linear(&key, target)) : block->frame + 1;
        u32 variant = edge->unhoisted ? MODE_UNHOISTED : 0;
        if (frame) cache_prefetch(&t->cache, frame - 1, target, (key.mode & ~MODE_UNHOISTED) | variant);
    }
}
