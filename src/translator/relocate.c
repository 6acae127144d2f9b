/*
 * The same guest bytes at another EIP: position-independent programs and libraries, which every process maps
 * elsewhere. Translated code has EIPs in it (return addresses, exec entries of other pages, what its edges
 * and callouts name), so it cannot serve both; but a copy with these fixed is made in a fraction of a
 * translation's time. Whatever emits such a value says so with fix_last().
 */
#include "build.h"

#define EXEC_ENTRIES (1u << (32 - PAGE_SHIFT))

void fix_last(struct build *b, enum fix_kind kind, unsigned which)
{
    if (b->fix_count == MAX_FIXES) return;
    b->fix[b->fix_count++] =
        (struct fix){.at = (u16)(b->e.at - 4 - b->block->start), .kind = (u8)kind, .which = (u8)which};
}

/* At the ends of the address space a block may know that nothing follows. */
static bool is_movable(const struct block_key *key)
{
    u32 page = key->eip >> PAGE_SHIFT;
    return !key->cs_base && key->cs_limit == UINT32_MAX && page != 0 && page != EXEC_ENTRIES - 1;
}

/* Displacements of exec entries are emitted as short as they go: that of a low page may have 1 byte. */
static bool has_short_entry(const struct block *block)
{
    for (unsigned n = 0; n < ARRAY_SIZE(block->out); n++)
        if (block->out[n].frame_patch && block->out[n].eip >> PAGE_SHIFT < 128 / sizeof(u32)) return true;
    return false;
}

void fix_finish(struct build *b)
{
    struct block *block = b->block;
    if (b->t->config.no_relocation || b->fix_count == MAX_FIXES || block->frame_next ||
        !is_movable(&block->key) || has_short_entry(block))
        return;
    block->relocatable = true;
    block->fix_count = (u16)b->fix_count;
    block->fixes = cache_meta(&b->t->cache, b->fix_count * sizeof(block->fixes[0]));
    for (unsigned n = 0; n < b->fix_count; n++)
        block->fixes[n] = b->fix[n];
}

typedef u32 unaligned_u32 __attribute__((aligned(1), may_alias));

static void move_edge(struct cache *cache, struct edge *edge, struct block *from, u32 by, u32 eip_by)
{
    if (!edge->patch) return;
    edge->from = from;
    edge->to = NULL;
    edge->next = NULL;
    edge->eip += eip_by;
    edge->patch += by;
    edge->stub += by;
    if (edge->frame_patch) edge->frame_patch += by;
    *(unaligned_u32 *)(cache->arena.write + edge->patch) = edge->stub - (edge->patch + 4);
}

static void move_site(struct cache *cache, struct block *block, u32 by)
{
    struct indirect_site *site = cache_meta(cache, sizeof(*site));
    *site = *block->indirect;
    block->indirect = site;
    move_edge(cache, &site->edge, block, by, 0);
    site->eip_patch += by;
    site->page_patch += by;
    site->look_up += by;
}

static u32 moved_callout(struct cache *cache, u32 address, u32 eip_by)
{
    struct callout *callout = cache_meta(cache, sizeof(*callout));
    *callout = *(const struct callout *)(uintptr_t)address;
    callout->eip += eip_by;
    callout->next_eip += eip_by;
    return (u32)(uintptr_t)callout;
}

static u32 fixed(struct cache *cache, struct block *block, const struct fix *fix, u32 value, u32 eip_by)
{
    switch ((enum fix_kind)fix->kind) {
    case FIX_EIP: return value + eip_by;
    case FIX_EXEC:
        return (value / (u32)sizeof(u32) + (eip_by >> PAGE_SHIFT)) % EXEC_ENTRIES * (u32)sizeof(u32);
    case FIX_EDGE: return (u32)(uintptr_t)&block->out[fix->which];
    case FIX_SITE: return (u32)(uintptr_t)block->indirect;
    case FIX_CALLOUT: return moved_callout(cache, value, eip_by);
    }
    return value;
}

static void copy_code(u8 *to, const u8 *from, u32 bytes)
{
    for (u32 n = 0; n < bytes; n += 8)
        *(u64 *)(void *)(to + n) = *(const u64 *)(const void *)(from + n);
}

struct block *relocate(struct vcpu *v, const struct block_key *key)
{
    struct engine *t = v->engine;
    struct cache *cache = &t->cache;
    if (!is_movable(key)) return NULL;
    const struct block *template = cache_template(cache, key);
    if (!template) return NULL;
    struct block *block = cache_meta(cache, sizeof(*block));
    *block = *template;
    u32 by = (u32)cache->arena.used - template->start, eip_by = key->eip - template->key.eip;
    block->key = *key;
    block->incoming = NULL;
    block->start += by;
    block->entry_parked += by;
    block->entry_host += by;
    block->end += by;
    copy_code(cache->arena.write + block->start, cache->arena.write + template->start,
              block->end - block->start);
    for (unsigned n = 0; n < ARRAY_SIZE(block->out); n++)
        move_edge(cache, &block->out[n], block, by, eip_by);
    if (block->indirect) move_site(cache, block, by);
    for (unsigned n = 0; n < block->fix_count; n++) {
        unaligned_u32 *at = (unaligned_u32 *)(cache->arena.write + block->start + block->fixes[n].at);
        *at = fixed(cache, block, &block->fixes[n], *at, eip_by);
    }
    cache->arena.used = align_up(block->end, 16);
    phys_watch(v->phys, key->gpa, PHYS_CODE);
    cache_add(cache, block);
    v->counters->blocks_relocated++;
    return block;
}
