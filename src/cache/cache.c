#include "cache.h"

#include <errno.h>
#include <sys/mman.h>

#define BUCKETS      131072u
#define TEMPLATES    131072u
#define PAGE_BUCKETS 16384u
#define META_SLACK   16384u

/* Which 64-byte granules of a page hold code, and the blocks that do. Lives in metadata until the flush. */
struct code_page {
    u64 page; /* gpa >> PAGE_SHIFT */
    u64 granules;
    struct block *blocks;
    u32 live;
    struct code_page *next;
};

static void *map_low(u64 bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void *map_any(u64 bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int cache_init(struct cache *cache, u64 code_bytes, struct counters *counters)
{
    *cache = (struct cache){.counters = counters};
    int error = arena_init(&cache->arena, code_bytes);
    if (error) return error;
    /* A block's metadata is about as large as its code. Both are only touched as they fill. */
    cache->meta_bytes = cache->arena.bytes + 128 * 1024;
    cache->block_limit = (u32)(cache->arena.bytes / 48) + 64;
    cache->meta = map_low(cache->meta_bytes);
    cache->buckets = map_any(BUCKETS * sizeof(cache->buckets[0]));
    cache->templates = map_any(TEMPLATES * sizeof(cache->templates[0]));
    cache->pages = map_any(PAGE_BUCKETS * sizeof(cache->pages[0]));
    cache->by_address = map_any(cache->block_limit * sizeof(cache->by_address[0]));
    cache->jump = map_any(JUMP_ENTRIES * sizeof(cache->jump[0]));
    if (!cache->meta || !cache->buckets || !cache->templates || !cache->pages || !cache->by_address ||
        !cache->jump) {
        cache_destroy(cache);
        return -ENOMEM;
    }
    /* Filled from one end to the other: a huge page saves 512 page faults. Without huge pages it is only
     * slower. */
    madvise(cache->meta, cache->meta_bytes, MADV_HUGEPAGE);
    return 0;
}

static void unmap(void *p, u64 bytes)
{
    if (p) munmap(p, bytes);
}

void cache_destroy(struct cache *cache)
{
    arena_destroy(&cache->arena);
    unmap(cache->meta, cache->meta_bytes);
    unmap(cache->buckets, BUCKETS * sizeof(cache->buckets[0]));
    unmap(cache->templates, TEMPLATES * sizeof(cache->templates[0]));
    unmap(cache->pages, PAGE_BUCKETS * sizeof(cache->pages[0]));
    unmap(cache->by_address, cache->block_limit * sizeof(cache->by_address[0]));
    unmap(cache->jump, JUMP_ENTRIES * sizeof(cache->jump[0]));
    *cache = (struct cache){0};
}

bool cache_room(const struct cache *cache, u64 code_bytes)
{
    return arena_room(&cache->arena) >= code_bytes && cache->meta_bytes - cache->meta_used >= META_SLACK &&
           cache->block_count < cache->block_limit;
}

void *cache_meta(struct cache *cache, u64 bytes)
{
    u8 *p = cache->meta + cache->meta_used;
    cache->meta_used = align_up(cache->meta_used + bytes, 16);
    return p; /* zero: the flush clears what was used */
}

/* One process after the other runs the same code at other addresses. */
static u32 key_hash(const struct block_key *key)
{
    u64 h = (key->gpa ^ (u64)key->mode << 20 ^ (u64)(key->eip >> PAGE_SHIFT) << 44) * 0x9e3779b97f4a7c15ull;
    return (u32)(h >> 40) % BUCKETS;
}

static u32 template_hash(const struct block_key *key)
{
    u64 h = (key->gpa ^ (u64)key->mode << 20) * 0x9e3779b97f4a7c15ull;
    return (u32)(h >> 40) % TEMPLATES;
}

static bool key_equal(const struct block_key *a, const struct block_key *b)
{
    return a->gpa == b->gpa && a->eip == b->eip && a->mode == b->mode && a->cs_base == b->cs_base &&
           a->cs_limit == b->cs_limit;
}

struct block *cache_find(struct cache *cache, const struct block_key *key)
{
    struct block *block = cache->buckets[key_hash(key)];
    while (block && !key_equal(&block->key, key))
        block = block->hash_next;
    return block;
}

struct block *cache_template(const struct cache *cache, const struct block_key *key)
{
    struct block *block = cache->templates[template_hash(key)];
    bool good = block && !block->dead && block->key.gpa == key->gpa && block->key.mode == key->mode &&
                block->key.cs_base == key->cs_base && block->key.cs_limit == key->cs_limit;
    return good ? block : NULL;
}

static struct code_page *page_find(const struct cache *cache, u64 gpa)
{
    u64 page = gpa >> PAGE_SHIFT;
    struct code_page *p = cache->pages[page % PAGE_BUCKETS];
    while (p && p->page != page)
        p = p->next;
    return p;
}

/* The granules that bytes [gpa, last] cover, all of one page. */
static u64 granules(u64 gpa, u64 last)
{
    unsigned first = (gpa & PAGE_MASK) >> 6, end = (last & PAGE_MASK) >> 6;
    return (~0ull >> (63 - (end - first))) << first;
}

/* The granules that a block has in its page, or in its second page. */
static u64 block_granules(const struct block *block, bool second)
{
    u64 all = 0;
    if (second) return granules(0, block->gpa_last);
    for (unsigned n = 0; n < block->span_count; n++)
        all |= granules(block->spans[n].first, block->spans[n].last);
    return all;
}

static void page_enter(struct cache *cache, struct block *block, unsigned side, u64 gpa)
{
    struct code_page *p = page_find(cache, gpa);
    if (!p) {
        p = cache_meta(cache, sizeof(*p));
        p->page = gpa >> PAGE_SHIFT;
        struct code_page **bucket = &cache->pages[p->page % PAGE_BUCKETS];
        p->next = *bucket;
        *bucket = p;
    }
    p->granules |= block_granules(block, side);
    p->live++;
    block->page_next[side] = p->blocks;
    p->blocks = block;
}

static bool crosses(const struct block *block)
{
    return block->frame_next != 0;
}

void cache_add(struct cache *cache, struct block *block)
{
    struct block **bucket = &cache->buckets[key_hash(&block->key)];
    block->hash_next = *bucket;
    *bucket = block;
    if (block->relocatable) cache->templates[template_hash(&block->key)] = block;
    page_enter(cache, block, 0, block->key.gpa);
    if (crosses(block)) page_enter(cache, block, 1, block->gpa_last);
    cache->by_address[cache->block_count] = block;
    /* A profiler's signal handler may look: the pointer is there before the count says so. */
    __atomic_store_n(&cache->block_count, cache->block_count + 1, __ATOMIC_RELEASE);
}

/* The field lies wherever the instruction has it. */
typedef volatile u32 unaligned_u32 __attribute__((aligned(1)));

static void patch32(struct cache *cache, u32 at, u32 value)
{
    *(unaligned_u32 *)(cache->arena.write + at) = value;
}

void cache_link(struct cache *cache, struct edge *edge, struct block *to, u32 frame_plus_1)
{
    edge->to = to;
    edge->next = to->incoming;
    to->incoming = edge;
    if (edge->frame_patch) patch32(cache, edge->frame_patch, edge->parked ? frame_plus_1 : -frame_plus_1);
    patch32(cache, edge->patch, (edge->parked ? to->entry_parked : to->entry_host) - (edge->patch + 4));
    cache->counters->chains_made++;
}

static void unlink_edge(struct cache *cache, struct edge *edge)
{
    patch32(cache, edge->patch, edge->stub - (edge->patch + 4));
    edge->to = NULL;
    cache->counters->chains_broken++;
}

static void unlink_outgoing(struct cache *cache, struct edge *edge)
{
    if (!edge->to) return;
    struct edge **at = &edge->to->incoming;
    while (*at != edge)
        at = &(*at)->next;
    *at = edge->next;
    unlink_edge(cache, edge);
}

void cache_fill_site(struct cache *cache, struct indirect_site *site, struct block *to, u32 frame_plus_1)
{
    struct edge *edge = &site->edge;
    unlink_outgoing(cache, edge);
    if (site->fills == SITE_FILLS) {
        u32 compare = site->eip_patch + 4 - SITE_COMPARE_BYTES;
        cache->arena.write[compare] = 0xe9; /* jmp rel32 */
        patch32(cache, compare + 1, site->look_up - (compare + 5));
        cache->counters->sites_given_up++;
        return;
    }
    site->fills++;
    edge->eip = to->key.eip;
    patch32(cache, site->eip_patch, edge->eip);
    patch32(cache, site->page_patch, ((to->key.cs_base + edge->eip) >> PAGE_SHIFT) * (u32)sizeof(u32));
    cache_link(cache, edge, to, frame_plus_1);
    cache->counters->sites_filled++;
}

void cache_jump_enter(struct cache *cache, u64 key, const struct block *block)
{
    struct jump_entry *entry = &cache->jump[(u32)key % JUMP_ENTRIES];
    entry->key = key;
    entry->code = cache_exec(cache, block->entry_parked);
}

static void page_leave(struct cache *cache, struct block *block, u64 gpa)
{
    struct code_page *p = page_find(cache, gpa);
    p->live--;
    struct block **at = &p->blocks;
    while (*at != block)
        at = &(*at)->page_next[p->page != (*at)->key.gpa >> PAGE_SHIFT];
    *at = block->page_next[p->page != block->key.gpa >> PAGE_SHIFT];
}

void cache_kill(struct cache *cache, struct block *block)
{
    if (block->dead) return;
    struct block **at = &cache->buckets[key_hash(&block->key)];
    while (*at != block)
        at = &(*at)->hash_next;
    *at = block->hash_next;

    page_leave(cache, block, block->key.gpa);
    if (crosses(block)) page_leave(cache, block, block->gpa_last);
    while (block->incoming) {
        struct edge *edge = block->incoming;
        block->incoming = edge->next;
        unlink_edge(cache, edge);
    }
    unlink_outgoing(cache, &block->out[0]);
    unlink_outgoing(cache, &block->out[1]);
    if (block->indirect) unlink_outgoing(cache, &block->indirect->edge);

    struct jump_entry *entry = &cache->jump[block->key.eip % JUMP_ENTRIES];
    if (entry->code == cache_exec(cache, block->entry_parked)) entry->key = 0;
    block->dead = true;
    cache->generation++;
    cache->counters->blocks_invalidated++;
}

static bool block_covers(const struct block *block, u64 gpa, u64 last)
{
    if (crosses(block) && (gpa ^ block->gpa_last) < PAGE_SIZE && gpa <= block->gpa_last) return true;
    if ((gpa ^ block->key.gpa) >= PAGE_SIZE) return false;
    for (unsigned n = 0; n < block->span_count; n++)
        if (block->spans[n].first <= (last & PAGE_MASK) && (gpa & PAGE_MASK) <= block->spans[n].last)
            return true;
    return false;
}

bool cache_overlaps(const struct cache *cache, u64 gpa, u64 bytes)
{
    const struct code_page *p = page_find(cache, gpa);
    return p && p->live && (p->granules & granules(gpa, gpa + bytes - 1));
}

bool cache_code_written(struct cache *cache, u64 gpa, u64 bytes)
{
    struct code_page *p = page_find(cache, gpa);
    if (!p) return false;
    u64 last = gpa + bytes - 1;
    if (!p->live || !(p->granules & granules(gpa, last))) return p->live;
    struct block *block = p->blocks, *next;
    u64 left = 0;
    for (; block; block = next) {
        bool second = p->page != block->key.gpa >> PAGE_SHIFT;
        next = block->page_next[second];
        if (block_covers(block, gpa, last))
            cache_kill(cache, block);
        else
            left |= block_granules(block, second);
    }
    p->granules = left;
    return p->live;
}

static void clear(void *p, u64 bytes)
{
    u64 count = bytes / 8;
    __asm__ volatile("rep stosq" : "+D"(p), "+c"(count) : "a"(0ull) : "memory");
}

void cache_flush(struct cache *cache)
{
    if (cache->before_flush) cache->before_flush(cache->flush_owner);
    cache->arena.used = 0;
    /* Tables hold nothing but these blocks: clear just their slots, so that small caches flush cheaply. */
    for (u32 n = 0; n < cache->block_count; n++) {
        const struct block *block = cache->by_address[n];
        cache->buckets[key_hash(&block->key)] = NULL;
        cache->templates[template_hash(&block->key)] = NULL;
        cache->pages[(block->key.gpa >> PAGE_SHIFT) % PAGE_BUCKETS] = NULL;
        cache->pages[(block->gpa_last >> PAGE_SHIFT) % PAGE_BUCKETS] = NULL;
        cache->jump[block->key.eip % JUMP_ENTRIES] = (struct jump_entry){0};
    }
    clear(cache->meta, align_up(cache->meta_used, 8));
    cache->meta_used = 0;
    cache->block_count = 0;
    cache->generation++;
    cache->counters->cache_flushes++;
}

struct block *cache_block_at(const struct cache *cache, u32 offset)
{
    u32 low = 0, high = cache->block_count;
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (cache->by_address[middle]->end <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == cache->block_count || cache->by_address[low]->start > offset) return NULL;
    return cache->by_address[low];
}

const struct site *block_site_at(const struct block *block, u32 offset)
{
    const struct site *found = NULL;
    for (unsigned n = 0; n < block->count && block->start + block->sites[n].host <= offset; n++)
        found = &block->sites[n];
    return found;
}
