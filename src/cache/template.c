/*
 * Templates: for everything in a block's key except EIP, the block that was made last. relocate() in the translator
 * copies it to another EIP.
 *
 * The table has sets of TEMPLATE_WAYS entries, a cache line each. If two keys had one place, each new process would
 * translate again what the one before it had translated last, for both keys. With eight places that does not happen.
 */
#include "cache_private.h"

/* Where a key belongs: its set, and what tells it from most others there. */
struct place {
    struct template *set;
    u32 tag;
};

static struct place place_of(const struct cache *cache, u32 frame, u32 eip, u32 mode)
{
    _Static_assert(sizeof(struct template) * TEMPLATE_WAYS == 64, "a set is a cache line");
    _Static_assert(TEMPLATE_SETS == 1 << 14, "a set's number is the upper 14 bits of the hash");
    u64 hash = hash_multiply((u64)frame << PAGE_SHIFT ^ (eip & PAGE_MASK) ^ (u64)mode << 20);
    return (struct place){&cache->templates[(hash >> 50) * TEMPLATE_WAYS], (u32)(hash >> 18)};
}

static struct place place_of_block(const struct cache *cache, const struct block *block)
{
    return place_of(cache, block->frame, block->eip, block->mode);
}

static struct template *find(struct place place)
{
    for (unsigned n = 0; n < TEMPLATE_WAYS; n++)
        if (place.set[n].block && place.set[n].tag == place.tag) return &place.set[n];
    return NULL;
}

/* An empty entry, or the one that gives way. */
static struct template *vacate(struct place place)
{
    for (unsigned n = 0; n < TEMPLATE_WAYS; n++)
        if (!place.set[n].block) return &place.set[n];
    return &place.set[place.tag % TEMPLATE_WAYS];
}

void template_prefetch(const struct cache *cache, u32 frame, u32 eip, u32 mode)
{
    __builtin_prefetch(place_of(cache, frame, eip, mode).set);
}

void template_note(struct cache *cache, const struct block *block)
{
    struct place place = place_of_block(cache, block);
    struct template *entry = find(place);
    if (!entry) entry = vacate(place);
    *entry = (struct template){.tag = place.tag, .block = low_pointer(block)};
}

void template_forget(struct cache *cache, const struct block *block, bool own)
{
    struct template *entry = find(place_of_block(cache, block));
    if (entry && (!own || entry->block == low_pointer(block))) *entry = (struct template){0};
}

void templates_clear(struct cache *cache)
{
    clear_memory(cache->templates, TEMPLATE_BYTES);
}

struct block *cache_template(const struct cache *cache, const struct block_key *key)
{
    u32 frame = (u32)(key->gpa >> PAGE_SHIFT);
    const struct template *entry = find(place_of(cache, frame, (u32)key->eip, key->mode));
    struct block *block = entry ? block_pointer(entry->block) : NULL;
    /* A relocatable block has a flat code segment, so key->gpa and key->eip have the same low 12 bits. */
    bool good = block && !block->dead && block->frame == frame && block->mode == key->mode &&
                ((block->eip ^ key->eip) & PAGE_MASK) == 0;
    return good ? block : NULL;
}
