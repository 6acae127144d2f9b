/*
 * Segments: which one is filled, and what happens when one is evicted (policy.h).
 */
#include "cache_private.h"

/* --- which one is filled --- */

static void leave_segment(struct cache *cache)
{
    struct cache_segment *s = &cache->segment[cache->fill];
    s->code_used = cache->arena.used;
    s->meta_used = cache->meta_used;
    s->meta_top = cache->meta_top;
}

static void enter_segment(struct cache *cache, unsigned n)
{
    const struct cache_segment *s = &cache->segment[n];
    cache->fill = n;
    cache->arena.used = s->code_used;
    cache->meta_used = s->meta_used;
    cache->meta_top = s->meta_top;
}

static void select_segment(struct cache *cache, unsigned n)
{
    if (n == cache->fill) return;
    leave_segment(cache);
    enter_segment(cache, n);
}

static void reset_segment(struct cache *cache, unsigned n)
{
    struct cache_segment *s = &cache->segment[n];
    s->code_used = s->code_at;
    s->meta_used = s->meta_at;
    s->meta_top = s->meta_end;
    cache->facts[n] = (struct segment_facts){0};
    if (n == cache->fill) enter_segment(cache, n);
}

void segments_empty(struct cache *cache)
{
    for (unsigned n = 0; n < cache->segments; n++)
        reset_segment(cache, n);
    cache->lasting_top = cache->meta_bytes;
    cache->free_pages = NULL;
    cache->old_fill = cache->young;
    enter_segment(cache, 0);
    cache->facts[0].filled = cache->turns + 1;
}

/* --- what the policy sees --- */

void segment_touch(struct cache *cache, struct block *block)
{
    struct segment_facts *facts = &cache->facts[segment_of(cache, block)];
    block->touched = true;
    facts->touched = ++cache->touches;
    facts->touched_blocks++;
}

void segment_added(struct cache *cache, struct block *block)
{
    cache->facts[segment_of(cache, block)].blocks++;
    segment_touch(cache, block);
}

void segment_lost(struct cache *cache, const struct block *block)
{
    struct segment_facts *facts = &cache->facts[segment_of(cache, block)];
    facts->blocks--;
    facts->touched_blocks -= block->touched;
}

static struct policy_view view_of(const struct cache *cache, unsigned current)
{
    bool old = current >= cache->young;
    return (struct policy_view){.segment = cache->facts,
                                .first = old ? cache->young : 0,
                                .end = old ? cache->segments : cache->young,
                                .current = current,
                                .turn = cache->turns};
}

/* The segment to fill when this one is full: an empty one, or the policy's choice. */
static unsigned choose(const struct cache *cache, unsigned full)
{
    struct policy_view view = view_of(cache, full);
    for (unsigned n = view.first; n < view.end; n++)
        if (!cache->facts[n].filled) return n;
    unsigned n = cache->policy->next(&view);
    return n >= view.first && n < view.end ? n : policy_following(&view);
}

/* --- eviction --- */

struct block *segment_next(const struct cache *cache, unsigned n, const struct block *block)
{
    const u8 *at = block ? (const u8 *)block + block_bytes(block) : cache->meta + cache->segment[n].meta_at;
    return at < cache->meta + segment_meta_used(cache, n) ? (struct block *)(uintptr_t)at : NULL;
}

static void unlink_into(struct cache *cache, unsigned n)
{
    for (struct block *b = NULL; (b = segment_next(cache, n, b));)
        unlink_incoming(cache, b);
}

/* Unlink all edges from segment n to this block of another segment, in one walk over the block's list. */
static void unlink_from(struct cache *cache, unsigned n, struct block *to)
{
    for (u32 *at = &to->incoming; *at;) {
        struct edge *edge = edge_pointer(*at);
        if (segment_of(cache, edge_from(edge)) == n) {
            *at = edge->next;
            unlink_edge(cache, edge);
        } else {
            at = &edge->next;
        }
    }
}

static void unlink_out_of(struct cache *cache, unsigned n)
{
    for (struct block *b = NULL; (b = segment_next(cache, n, b));)
        for (unsigned k = 0; k < b->edge_count; k++)
            if (block_edges(b)[k].to) unlink_from(cache, n, block_pointer(block_edges(b)[k].to));
}

static void free_page(struct cache *cache, u32 page)
{
    struct code_page **at = &cache->pages[page % PAGE_BUCKETS];
    while (*at && (*at)->page != page)
        at = &(*at)->next;
    struct code_page *p = *at;
    if (!p || p->live) return;
    *at = p->next;
    p->next = cache->free_pages;
    cache->free_pages = p;
}

static void forget_block(struct cache *cache, struct block *block)
{
    if (!block->dead) {
        block_drop(cache, block);
        cache->counters->blocks_evicted++;
    }
    template_forget(cache, block, true);
    free_page(cache, block->frame);
    if (block_frame_next(block)) free_page(cache, block_frame_next(block) - 1);
}

#define INT3 0xcc

/* So that a link that should not be there is noticed. */
static void spoil(struct cache *cache, unsigned n)
{
    const struct cache_segment *s = &cache->segment[n];
    for (u64 at = s->code_at; at < s->code_end; at++)
        cache->arena.write[at] = INT3;
    for (u64 at = s->meta_at; at < s->meta_end; at++)
        cache->meta[at] = INT3;
}

static void evict(struct cache *cache, unsigned n)
{
    struct cache_segment *s = &cache->segment[n];
    if (n == cache->fill) leave_segment(cache);
    /* A profiler's signal handler may look blocks up: they leave the map first. */
    for (u64 piece = s->code_at >> MAP_SHIFT; piece << MAP_SHIFT < s->code_used; piece++)
        cache->map[piece] = 0;
    unlink_into(cache, n);
    unlink_out_of(cache, n);
    blocks_leave_pages(cache, n);
    u32 count = cache->block_count;
    for (struct block *b = NULL; (b = segment_next(cache, n, b)); cache->block_count--)
        forget_block(cache, b);
    cache->counters->segments_evicted++;
    note_event(cache->counters->events, EVENT_BLOCK_SEGMENT, n, count - cache->block_count);
    reset_segment(cache, n);
    if (cache->checks) spoil(cache, n);
}

/* --- a turn --- */

/* Fill segment n, which is evicted first. */
static void begin_segment(struct cache *cache, unsigned n)
{
    if (cache->facts[n].filled) evict(cache, n);
    select_segment(cache, n);
    cache->facts[n].filled = cache->turns;
}

/* Make room in the old generation. */
static bool old_has_room(struct cache *cache, u64 bytes)
{
    select_segment(cache, cache->old_fill);
    if (!cache->facts[cache->fill].filled) cache->facts[cache->fill].filled = cache->turns;
    if (cache_room(cache, bytes)) return true;
    if (!cache_has_lasting_room(cache)) return false;
    cache->old_fill = choose(cache, cache->old_fill);
    begin_segment(cache, cache->old_fill);
    return cache_room(cache, bytes);
}

static bool is_promoted(const struct cache *cache, const struct policy_view *view, const struct block *block)
{
    struct block_facts facts = {
        .instructions = block->count, .host_bytes = block->host_bytes, .touched = block->touched};
    return !block->dead && block->relocatable && cache->policy->promotes(view, &facts);
}

static void promote(struct cache *cache, unsigned n, void (*copy)(void *, const struct block *), void *owner)
{
    struct policy_view view = view_of(cache, n);
    for (struct block *b = NULL; (b = segment_next(cache, n, b));) {
        if (!is_promoted(cache, &view, b)) continue;
        if (!old_has_room(cache, b->host_bytes)) return;
        block_drop(cache, b);
        copy(owner, b);
        cache->counters->blocks_promoted++;
    }
}

/* Have the next entry into each block of the segment go through C code. */
static void observe(struct cache *cache, unsigned n)
{
    unlink_into(cache, n);
    for (struct block *b = NULL; (b = segment_next(cache, n, b));) {
        jump_leave(cache, b);
        b->touched = false;
    }
    cache->facts[n].touched_blocks = 0;
}

static void observe_all(struct cache *cache)
{
    for (unsigned n = 0; n < cache->segments; n++) {
        struct policy_view view = view_of(cache, n < cache->young ? cache->fill : cache->old_fill);
        if (n != cache->fill && cache->facts[n].filled && cache->policy->observes(&view, n))
            observe(cache, n);
    }
}

void cache_replace(struct cache *cache, void (*copy)(void *owner, const struct block *block), void *owner)
{
    if (cache->segments == 1 || !cache_has_lasting_room(cache)) {
        cache_flush(cache);
        return;
    }
    if (cache->before_flush) cache->before_flush(cache->flush_owner);
    unsigned n = choose(cache, cache->fill);
    cache->turns++;
    if (cache->facts[n].filled && cache->young < cache->segments && cache->policy->promotes) {
        blocks_leave_pages(cache, n);
        promote(cache, n, copy, owner);
    }
    begin_segment(cache, n);
    cache->generation++;
    if (cache->policy->observes) observe_all(cache);
    if (cache->checks) cache_check(cache);
}
