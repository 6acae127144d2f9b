/*
 * Assertions about the whole cache (--check-cache): after a segment was evicted, nothing leads into it.
 */
#include "cache_private.h"

#include <stdio.h>
#include <stdlib.h>

static void want(bool good, const char *what, const struct block *block)
{
    if (good) return;
    fprintf(stderr, "ringer: the code cache is inconsistent: %s (block %x of frame %x)\n", what,
            block ? block->eip : 0, block ? block->frame : 0);
    abort();
}

static bool is_block(const struct cache *cache, const struct block *block)
{
    u64 at = (u64)((const u8 *)block - cache->meta);
    if (at >= cache->segment[cache->segments - 1].meta_end) return false;
    unsigned n = segment_of(cache, block);
    return at >= cache->segment[n].meta_at && at < segment_meta_used(cache, n);
}

static bool is_live(const struct cache *cache, const struct block *block)
{
    return is_block(cache, block) && !block->dead && cache_block_at(cache, block->start) == block;
}

/* Is the edge in its target's list? */
static bool is_listed(const struct edge *edge)
{
    u32 at = block_pointer(edge->to)->incoming;
    while (at && at != low_pointer(edge))
        at = edge_pointer(at)->next;
    return at;
}

static void check_edge(const struct cache *cache, const struct block *from, const struct edge *edge)
{
    const any32 *patch = (const any32 *)(cache->arena.write + from->start + edge->patch);
    u32 leads = from->start + edge->patch + 4 + *patch;
    if (!edge->to) {
        want(leads == from->start + edge->stub, "an unlinked edge does not lead to its stub", from);
        return;
    }
    const struct block *to = block_pointer(edge->to);
    want(!from->dead, "a dead block has a linked edge", from);
    want(is_live(cache, to), "an edge leads to a block that is dead or evicted", from);
    want(leads == to->start + edge_entry(edge, from, to),
         "an edge leads to another address than its target's entry", from);
    want(is_listed(edge), "an edge is not in its target's list", from);
}

static void check_block(const struct cache *cache, const struct block *block)
{
    for (unsigned n = 0; n < block->edge_count; n++)
        check_edge(cache, block, &block_edges(block)[n]);
    want(!block->dead || !block->incoming, "an edge leads to a dead block", block);
    u32 at = cache->buckets[block_hash(cache, block)];
    while (at && at != low_pointer(block))
        at = block_pointer(at)->hash_next;
    want(!at == block->dead, "a live block is not found by its key, or a dead one is", block);
}

static void check_jump(const struct cache *cache, const u8 *code)
{
    const struct block *block = cache_block_at(cache, (u32)(code - (const u8 *)cache->arena.exec));
    want(block && is_live(cache, block) && block_entry(cache, block) == code,
         "the jump table leads to a block that is dead or evicted", block);
}

static void check_tables(const struct cache *cache)
{
    for (unsigned n = 0; n < JUMP_ENTRIES; n++)
        if (cache->jump[n].key) check_jump(cache, cache->jump[n].code);
    for (unsigned n = 0; cache->long_jumps && n < LONG_JUMP_ENTRIES; n++)
        if (cache->long_jump[n].code) check_jump(cache, cache->long_jump[n].code);
    for (unsigned n = 0; n < TEMPLATE_SETS * TEMPLATE_WAYS; n++)
        want(!cache->templates[n].block || is_block(cache, block_pointer(cache->templates[n].block)),
             "a template is evicted", NULL);
}

static void check_page(const struct cache *cache, const struct code_page *p)
{
    u32 live = 0;
    for (u32 at = p->blocks; at; live++) {
        const struct block *block = block_pointer(at);
        want(is_live(cache, block), "a page lists a block that is dead or evicted", block);
        at = block->frame == p->page ? block->page_next : block_rare(block)->page_next;
    }
    want(live == p->live, "a page counts its blocks wrong", NULL);
}

void cache_check(const struct cache *cache)
{
    u32 count = 0;
    for (const struct block *block = NULL; (block = cache_after(cache, block)); count++)
        check_block(cache, block);
    want(count == cache->block_count, "the blocks are counted wrong", NULL);
    check_tables(cache);
    for (unsigned n = 0; n < PAGE_BUCKETS; n++)
        for (const struct code_page *p = cache->pages[n]; p; p = p->next)
            check_page(cache, p);
}
