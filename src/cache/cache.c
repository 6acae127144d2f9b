#include "cache_private.h"

#include "base/huge_pages.h"

#include <errno.h>
#include <sys/mman.h>

#define META_SLACK   16384u
#define META_MINIMUM 65536u
/* The typical size of a block's metadata. It determines the length of the hash table. */
#define META_TYPICAL 96u
#define CODE_ALIGN   8u /* relocate() copies 8 bytes at a time */

/* Each machine of the process has its own part of the 4 GB. */
static void *map_meta(u64 bytes)
{
    const u64 step = 1u << 20, origin = 1ull << META_ORIGIN_BIT, end = origin + (4ull << 30);
    for (u64 at = origin + step; at + bytes <= end; at += step) {
        void *p = mmap((void *)at, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == (void *)at) return p;
        if (p != MAP_FAILED) munmap(p, bytes); /* the host kernel does not know the flag (before 4.17) */
    }
    return NULL;
}

static u64 map_bytes(const struct cache *cache)
{
    return ((cache->arena.bytes >> MAP_SHIFT) + 1) * sizeof(cache->map[0]);
}

/* The tables that are searched, one behind another. */
static bool map_tables(struct cache *cache)
{
    u64 bytes[] = {LONG_JUMP_ENTRIES * sizeof(cache->long_jump[0]),
                   JUMP_ENTRIES * sizeof(cache->jump[0]),
                   (cache->buckets_mask + 1ull) * sizeof(cache->buckets[0]),
                   TEMPLATE_BYTES,
                   PAGE_BUCKETS * sizeof(cache->pages[0]),
                   map_bytes(cache)};
    void *table[ARRAY_SIZE(bytes)];
    cache->table_bytes = 0;
    for (unsigned n = 0; n < ARRAY_SIZE(bytes); n++)
        cache->table_bytes += bytes[n];
    u8 *at = cache->tables = huge_pages_map(cache->table_bytes);
    if (!at) return false;
    for (unsigned n = 0; n < ARRAY_SIZE(bytes); at += bytes[n++])
        table[n] = at;
    cache->long_jump = table[0];
    cache->jump = table[1];
    cache->buckets = table[2];
    cache->templates = table[3];
    cache->pages = table[4];
    cache->map = table[5];
    return true;
}

/* Code takes 1.5 to 2.5 times as many bytes as metadata, depending on the guest's code. Each may take up to
 * this share; cache_room() keeps both together within the budget. Memory is touched only as it fills. */
#define CODE_SHARE(bytes) ((bytes) / 16 * 11)
#define META_SHARE(bytes) ((bytes) / 16 * 6)
/* What several segments share: callees and lists of the blocks in a page. META_MINIMUM comes on top. */
#define LASTING_SHARE(bytes) align_up((bytes) / 16, PAGE_SIZE)

/* Divide the arena and the metadata among the segments. Several segments share metadata behind the last one. */
static void lay_out(struct cache *cache, u64 bytes)
{
    unsigned count = cache->segments;
    u64 code = cache->arena.bytes / count & ~(u64)PAGE_MASK, meta = cache->meta_bytes;
    if (count > 1) meta = (META_SHARE(bytes) / count & ~(u64)PAGE_MASK);
    for (unsigned n = 0; n < count; n++)
        cache->segment[n] = (struct cache_segment){
            .code_at = n * code, .code_end = (n + 1) * code, .meta_at = n * meta, .meta_end = (n + 1) * meta};
    cache->segment_bytes = count > 1 ? bytes / count : bytes + META_MINIMUM;
    segments_empty(cache);
}

int cache_init(struct cache *cache, const struct cache_shape *shape, struct counters *counters)
{
    u64 bytes = shape->bytes;
    *cache = (struct cache){.counters = counters,
                            .policy = shape->policy ? shape->policy : &policy_flush,
                            .checks = shape->checks};
    cache->segments = policy_segments(cache->policy, shape->segments, bytes, &cache->young);
    int error = arena_init(&cache->arena, CODE_SHARE(bytes));
    if (error) return error;
    cache->meta_bytes = align_up(META_SHARE(bytes), PAGE_SIZE) + META_MINIMUM;
    if (cache->segments > 1) cache->meta_bytes += LASTING_SHARE(bytes);
    u32 buckets = 1024;
    while (buckets < cache->meta_bytes / META_TYPICAL)
        buckets *= 2;
    cache->buckets_mask = buckets - 1;
    cache->meta = map_meta(cache->meta_bytes);
    if (!cache->meta || !map_tables(cache)) {
        cache_destroy(cache);
        return -ENOMEM;
    }
    /* It fills from one end to the other, so a huge page saves 512 page faults. Without huge pages it is
     * slower, nothing else. */
    madvise(cache->meta, cache->meta_bytes, MADV_HUGEPAGE);
    lay_out(cache, bytes);
    return 0;
}

void cache_destroy(struct cache *cache)
{
    arena_destroy(&cache->arena);
    if (cache->meta) munmap(cache->meta, cache->meta_bytes);
    huge_pages_unmap(cache->tables, cache->table_bytes);
    *cache = (struct cache){0};
}

/* Several segments: bytes left of lasting metadata. */
static u64 lasting_room(const struct cache *cache)
{
    return cache->lasting_top - cache->segment[cache->segments - 1].meta_end;
}

u64 cache_used(const struct cache *cache)
{
    u64 used = 0;
    for (unsigned n = 0; n < cache->segments; n++) {
        const struct cache_segment *s = &cache->segment[n];
        bool filling = n == cache->fill;
        u64 code = filling ? cache->arena.used : s->code_used,
            low = filling ? cache->meta_used : s->meta_used, high = filling ? cache->meta_top : s->meta_top;
        used += code - s->code_at + low - s->meta_at + s->meta_end - high;
    }
    return used;
}

u64 cache_budget(const struct cache *cache)
{
    return cache->segment_bytes * cache->segments;
}

bool cache_room(const struct cache *cache, u64 code_bytes)
{
    const struct cache_segment *s = &cache->segment[cache->fill];
    u64 room = cache->meta_top - cache->meta_used, used = s->meta_end - s->meta_at - room;
    return s->code_end - cache->arena.used >= code_bytes && room >= META_SLACK &&
           cache->arena.used - s->code_at + code_bytes + used + META_SLACK <= cache->segment_bytes &&
           cache_has_lasting_room(cache);
}

bool cache_has_lasting_room(const struct cache *cache)
{
    return cache->segments == 1 || lasting_room(cache) >= META_SLACK;
}

void *cache_meta(struct cache *cache, u64 bytes)
{
    cache->meta_top -= align_up(bytes, 8);
    cache->counters->metadata_bytes += bytes;
    return cache->meta + cache->meta_top;
}

void *cache_lasting(struct cache *cache, u64 bytes)
{
    if (cache->segments == 1) return cache_meta(cache, bytes);
    cache->lasting_top -= align_up(bytes, 8);
    cache->counters->metadata_bytes += bytes;
    return cache->meta + cache->lasting_top;
}

static bool key_equal(const struct block *block, const struct block_key *key)
{
    if (block->eip != (u32)key->eip || block->frame != key->gpa >> PAGE_SHIFT || block->mode != key->mode)
        return false;
    struct block_key own = block_key(block);
    return own.gpa == key->gpa && own.eip == key->eip && own.cs_base == key->cs_base &&
           own.cs_limit == key->cs_limit;
}

void cache_prefetch(const struct cache *cache, u32 frame, u64 eip, u32 mode)
{
    __builtin_prefetch(&cache->buckets[key_hash(cache, frame, (u32)eip, mode)]);
    template_prefetch(cache, frame, (u32)eip, mode);
}

struct block *cache_find(struct cache *cache, const struct block_key *key)
{
    u32 hash = key_hash(cache, (u32)(key->gpa >> PAGE_SHIFT), key->eip, key->mode);
    struct block *block = block_pointer(cache->buckets[hash]);
    while (block && !key_equal(block, key))
        block = block_pointer(block->hash_next);
    if (block && unlikely(!block->touched)) segment_touch(cache, block);
    return block;
}

static struct code_page *page_find(const struct cache *cache, u64 gpa)
{
    u64 page = gpa >> PAGE_SHIFT;
    struct code_page *p = cache->pages[page % PAGE_BUCKETS];
    while (p && p->page != page)
        p = p->next;
    return p;
}

/* The granules of the bytes [gpa, last], all in one page. */
static u64 granules(u64 gpa, u64 last)
{
    unsigned first = (gpa & PAGE_MASK) >> 6, end = (last & PAGE_MASK) >> 6;
    return (~0ull >> (63 - (end - first))) << first;
}

/* Is this the second page of a crossing block? */
static bool crosses_into(const struct block *block, u32 page)
{
    return block->rare && block_rare(block)->frame_next == page + 1;
}

/* The offset of a crossing block's last byte in its second page. */
static u32 last_byte(const struct block *block)
{
    return (u32)(block_key(block).gpa + block->guest_bytes - 1) & PAGE_MASK;
}

/* The granules of a page that hold bytes of this block. */
static u64 block_granules(const struct block *block, u32 page)
{
    u64 all = crosses_into(block, page) ? granules(0, last_byte(block)) : 0;
    const struct extent *extents = block_extents(block);
    for (unsigned n = 0; n < block->extent_count && block->frame == page; n++)
        all |= granules(extents[n].first, extents[n].last);
    return all;
}

/* The link to the block that follows in this page's list. */
static u32 *page_next(struct block *block, u32 page)
{
    return block->frame == page ? &block->page_next : &block_rare(block)->page_next;
}

/* The bytes of a granule of the page that offsets [first, last] cover. */
static u64 bytes_of_granule(u32 granule, u32 first, u32 last)
{
    u32 start = granule << 6, end = start + 63;
    if (first > end || last < start) return 0;
    u32 from = first > start ? first - start : 0, to = last < end ? last - start : 63;
    return (~0ull >> (63 - (to - from))) << from;
}

static u64 block_bytes_of_granule(const struct block *block, u32 page, u32 granule)
{
    u64 all = crosses_into(block, page) ? bytes_of_granule(granule, 0, last_byte(block)) : 0;
    const struct extent *extents = block_extents(block);
    for (unsigned n = 0; n < block->extent_count && block->frame == page; n++)
        all |= bytes_of_granule(granule, extents[n].first, extents[n].last);
    return all;
}

/* Do offsets [first, last] of the page lie in one granule, and beside its code bytes, which are known exactly? */
static bool is_beside_code(const struct code_page *p, u32 first, u32 last)
{
    u32 granule = first >> 6, at = granule % EXACT_GRANULES;
    return last >> 6 == granule && p->exact_granule[at] == granule + 1 &&
           !(p->exact[at] & bytes_of_granule(granule, first, last));
}

static void learn_exact(struct code_page *p, u32 granule)
{
    u64 bytes = 0;
    for (u32 at = p->blocks; at; at = *page_next(block_pointer(at), p->page))
        bytes |= block_bytes_of_granule(block_pointer(at), p->page, granule);
    p->exact[granule % EXACT_GRANULES] = bytes;
    p->exact_granule[granule % EXACT_GRANULES] = (u8)(granule + 1);
}

static void forget_exact(struct code_page *p)
{
    for (unsigned n = 0; n < EXACT_GRANULES; n++)
        p->exact_granule[n] = 0;
}

static struct code_page *page_make(struct cache *cache)
{
    struct code_page *p = cache->free_pages;
    if (!p) return cache_lasting(cache, sizeof(*p));
    cache->free_pages = p->next;
    return p;
}

static void page_enter(struct cache *cache, struct block *block, u32 page)
{
    struct code_page *p = page_find(cache, (u64)page << PAGE_SHIFT);
    if (!p) {
        p = page_make(cache);
        struct code_page **bucket = &cache->pages[page % PAGE_BUCKETS];
        *p = (struct code_page){.page = page, .next = *bucket};
        *bucket = p;
    }
    p->granules |= block_granules(block, page);
    forget_exact(p);
    p->live++;
    *page_next(block, page) = p->blocks;
    p->blocks = low_pointer(block);
}

/* The frame + 1 of the other page that lists the block; 0: none. (Both pages of a crossing block may be
 * the same frame.) */
static u32 second_page_plus_1(const struct block *block)
{
    u32 next = block_frame_next(block);
    return next != block->frame + 1 ? next : 0;
}

void cache_add(struct cache *cache, struct block *block)
{
    u32 *bucket = &cache->buckets[block_hash(cache, block)];
    block->hash_next = *bucket;
    *bucket = low_pointer(block);
    if (block->relocatable) template_note(cache, block);
    page_enter(cache, block, block->frame);
    u32 second = second_page_plus_1(block);
    if (second) page_enter(cache, block, second - 1);

    segment_added(cache, block);
    cache->block_count++;
    cache->counters->metadata_bytes += block_bytes(block);
    cache->arena.used = align_up(block->start + block->host_bytes, CODE_ALIGN);
    /* A profiler's signal handler may look blocks up: complete the block before the map refers to it. */
    __atomic_store_n(&cache->meta_used, cache->meta_used + block_bytes(block), __ATOMIC_RELEASE);
    u32 piece = block->start >> MAP_SHIFT;
    if (!cache->map[piece]) cache->map[piece] = low_pointer(block);
    while (++piece << MAP_SHIFT < cache->arena.used)
        cache->map[piece] = low_pointer(block);
}

/* The field need not be aligned. */
static void patch32(struct cache *cache, u32 at, u32 value)
{
    *(volatile any32 *)(cache->arena.write + at) = value;
}

void unlink_edge(struct cache *cache, struct edge *edge)
{
    note_event(cache->counters->events, EVENT_BLOCK_UNLINK, block_rip(edge_from(edge)),
               block_rip(block_pointer(edge->to)));
    patch32(cache, edge_from(edge)->start + edge->patch, edge->stub - (edge->patch + 4u));
    edge->to = 0;
    cache->counters->chains_broken++;
}

/* Take the edge out of its target's list. */
static void unlink_outgoing(struct cache *cache, struct edge *edge)
{
    if (!edge->to) return;
    u32 *at = &block_pointer(edge->to)->incoming;
    while (*at != low_pointer(edge))
        at = &edge_pointer(*at)->next;
    *at = edge->next;
    unlink_edge(cache, edge);
}

void cache_link(struct cache *cache, struct edge *edge, struct block *to, u32 frame_plus_1)
{
    const struct block *from = edge_from(edge);
    u32 start = from->start, entry = edge_entry(edge, from, to);
    unlink_outgoing(cache, edge);
    edge->to = low_pointer(to);
    edge->next = to->incoming;
    to->incoming = low_pointer(edge);
    if (edge->frame_patch)
        patch32(cache, start + edge->frame_patch, edge->parked ? frame_plus_1 : -frame_plus_1);
    patch32(cache, start + edge->patch, to->start + entry - (start + edge->patch + 4));
    cache->counters->chains_made++;
    note_event(cache->counters->events, EVENT_BLOCK_LINK, block_rip(edge_from(edge)), block_rip(to));
}

void cache_unlink(struct cache *cache, struct block *block)
{
    for (unsigned n = 0; n < block->edge_count; n++)
        unlink_outgoing(cache, &block_edges(block)[n]);
}

/* Does the site compare with this target already, for example after cache_unlink()? */
static bool has_target(const struct cache *cache, const struct block *from, const struct indirect_site *site,
                       u64 rip)
{
    const any32 *field = (const any32 *)(cache->arena.write + from->start + site->eip_patch);
    return site->fills && field[0] == (u32)rip && (!site->wide || field[1] == (u32)(rip >> 32));
}

enum { JMP_REL32 = 0xe9 };

void cache_fill_site(struct cache *cache, struct edge *edge, struct block *to,
                     const struct site_target *target)
{
    struct block *from = edge_from(edge);
    struct indirect_site *site = block_indirect(from);
    bool again = has_target(cache, from, site, target->rip);
    unlink_outgoing(cache, edge);
    if (site->fills == SITE_FILLS && !again) {
        u8 *compare = cache->arena.write + from->start + site->compare;
        for (unsigned n = 0; n < sizeof(site->opcode); n++)
            site->opcode[n] = compare[n];
        *compare = JMP_REL32;
        patch32(cache, from->start + site->compare + 1, site->look_up - (site->compare + 5u));
        cache->counters->sites_given_up++;
        return;
    }
    if (!again) site->fills++;
    edge->eip = to->eip;
    patch32(cache, from->start + site->eip_patch, (u32)target->rip);
    patch32(cache, from->start + site->page_patch, target->entry);
    if (site->wide) {
        patch32(cache, from->start + site->eip_patch + 4, (u32)(target->rip >> 32));
        patch32(cache, from->start + edge->frame_patch + 4, (u32)(target->frame >> 32));
    }
    cache_link(cache, edge, to, (u32)target->frame);
    cache->counters->sites_filled++;
}

void cache_try_site_again(struct cache *cache, struct block *block)
{
    if (!block->site) return;
    struct indirect_site *site = block_indirect(block);
    u8 *compare = cache->arena.write + block->start + site->compare;
    if (*compare != JMP_REL32) return;
    /* Whatever target it compares with now: its edge leads to the stub. */
    for (unsigned n = 0; n < sizeof(site->opcode); n++)
        compare[n] = site->opcode[n];
    site->fills = SITE_FILLS - SITE_TRIES;
    cache->counters->sites_tried_again++;
}

void cache_jump_enter(struct cache *cache, u64 key, const struct block *block)
{
    struct jump_entry *entry = &cache->jump[(u32)key % JUMP_ENTRIES];
    entry->key = key;
    entry->code = block_entry(cache, block);
}

/* No page has this word: its number would put it at another place of the TLB than the one that `slot`, 0, names. */
static const struct long_jump_entry no_long_jump = {.exec = 1ull << 28};

struct long_jump_entry *cache_long_jumps(struct cache *cache, u8 mode_number)
{
    struct long_jump_entry *first = &cache->long_jump[mode_number * LONG_JUMP_STEP];
    /* Zeroed memory must not look like an entry for RIP 0, which has this place. */
    if (!first->code) *first = no_long_jump;
    return first;
}

static struct long_jump_entry *long_jump_of(const struct cache *cache, u64 rip, u8 mode_number)
{
    return &cache->long_jump[mode_number * LONG_JUMP_STEP + rip % JUMP_ENTRIES];
}

void cache_long_jump_enter(struct cache *cache, struct block *block, u8 mode_number, u64 exec, u64 slot)
{
    u64 rip = block_rip(block);
    block->long_jump = mode_number;
    *long_jump_of(cache, rip, mode_number) =
        (struct long_jump_entry){.rip = rip, .exec = exec, .code = block_entry(cache, block), .slot = slot};
    cache->long_jumps = true;
}

static void page_leave(struct cache *cache, struct block *block, u32 page)
{
    struct code_page *p = page_find(cache, (u64)page << PAGE_SHIFT);
    p->live--;
    u32 *at = &p->blocks;
    while (*at != low_pointer(block))
        at = page_next(block_pointer(*at), page);
    *at = *page_next(block, page);
}

void unlink_incoming(struct cache *cache, struct block *block)
{
    while (block->incoming) {
        struct edge *edge = edge_pointer(block->incoming);
        block->incoming = edge->next;
        unlink_edge(cache, edge);
    }
}

void jump_leave(struct cache *cache, const struct block *block)
{
    struct jump_entry *entry = &cache->jump[block->eip % JUMP_ENTRIES];
    if (entry->code == block_entry(cache, block)) entry->key = 0;
    if (!block->long_jump) return;
    struct long_jump_entry *long_entry = long_jump_of(cache, block->eip, block->long_jump);
    if (long_entry->code == block_entry(cache, block)) *long_entry = no_long_jump;
}

/* A page has blocks for each process that runs its code: a walk for each block would take time by their square. */
static void page_leave_segment(struct cache *cache, u32 page, unsigned n)
{
    struct code_page *p = page_find(cache, (u64)page << PAGE_SHIFT);
    if (!p || p->sweep == cache->sweep) return; /* no page: this is the second sweep of a segment */
    p->sweep = cache->sweep;
    for (u32 *at = &p->blocks; *at;) {
        u32 *next = page_next(block_pointer(*at), page);
        if (segment_of(cache, block_pointer(*at)) == n) {
            *at = *next;
            p->live--;
        } else {
            at = next;
        }
    }
}

void blocks_leave_pages(struct cache *cache, unsigned n)
{
    cache->sweep++;
    for (struct block *b = NULL; (b = segment_next(cache, n, b));) {
        if (b->dead) continue;
        u32 second = second_page_plus_1(b);
        page_leave_segment(cache, b->frame, n);
        if (second) page_leave_segment(cache, second - 1, n);
    }
}

void block_kill(struct cache *cache, struct block *block, u32 page)
{
    u32 second = second_page_plus_1(block);
    if (page != block->frame) page_leave(cache, block, block->frame);
    if (second && page != second - 1) page_leave(cache, block, second - 1);
    block_drop(cache, block);
}

void block_drop(struct cache *cache, struct block *block)
{
    u32 *at = &cache->buckets[block_hash(cache, block)];
    while (*at != low_pointer(block))
        at = &block_pointer(*at)->hash_next;
    *at = block->hash_next;
    unlink_incoming(cache, block);
    cache_unlink(cache, block);
    jump_leave(cache, block);
    segment_lost(cache, block);
    block->dead = true;
    cache->generation++;
}

static void note_killed(struct cache *cache, const struct block *block)
{
    cache->counters->blocks_invalidated++;
    note_event(cache->counters->events, EVENT_BLOCK_KILLED, block_rip(block), block_key(block).gpa);
}

void cache_kill(struct cache *cache, struct block *block)
{
    if (block->dead) return;
    block_kill(cache, block, NO_PAGE);
    note_killed(cache, block);
    /* Do not let a copy of an equal block take its place. */
    template_forget(cache, block, false);
}

/* Does the block depend on a byte at offsets [first, last] of a page? */
static bool block_covers(const struct block *block, u32 page, u32 first, u32 last)
{
    if (crosses_into(block, page) && first <= last_byte(block)) return true;
    if (block->frame != page) return false;
    const struct extent *extents = block_extents(block);
    for (unsigned n = 0; n < block->extent_count; n++)
        if (extents[n].first <= last && first <= extents[n].last) return true;
    return false;
}

void cache_kill_linear(struct cache *cache, u64 linear)
{
    u32 offset = linear & PAGE_MASK;
    for (struct block *block = NULL; (block = cache_after(cache, block));) {
        if (block->dead) continue;
        struct block_key key = block_key(block);
        u64 rip = key.eip, first = rip > UINT32_MAX ? rip : (u32)(rip + key.cs_base);
        if ((first ^ linear) >> PAGE_SHIFT == 0 && block_covers(block, block->frame, offset, offset))
            cache_kill(cache, block);
    }
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
    u64 last = gpa + bytes - 1, left = 0;
    if (!p->live || !(p->granules & granules(gpa, last))) return p->live;
    if (is_beside_code(p, gpa & PAGE_MASK, last & PAGE_MASK)) return p->live;
    u32 *at = &p->blocks, before = p->live;
    while (*at) {
        struct block *block = block_pointer(*at);
        u32 *next = page_next(block, p->page);
        if (block_covers(block, p->page, gpa & PAGE_MASK, last & PAGE_MASK)) {
            *at = *next;
            p->live--;
            block_kill(cache, block, p->page);
            note_killed(cache, block);
        } else {
            left |= block_granules(block, p->page);
            at = next;
        }
    }
    p->granules = left;
    if (p->live == before) learn_exact(p, (gpa & PAGE_MASK) >> 6);
    return p->live;
}

/* All slots in use belong to these blocks. For a small cache, clear only those, so that flushing is cheap. */
static void clear_slots(struct cache *cache)
{
    for (const struct block *block = NULL; (block = cache_after(cache, block));) {
        cache->buckets[block_hash(cache, block)] = 0;
        template_forget(cache, block, false);
        cache->pages[block->frame % PAGE_BUCKETS] = NULL;
        if (block_frame_next(block)) cache->pages[(block_frame_next(block) - 1) % PAGE_BUCKETS] = NULL;
        cache->jump[block->eip % JUMP_ENTRIES] = (struct jump_entry){0};
        if (block->long_jump) *long_jump_of(cache, block->eip, block->long_jump) = no_long_jump;
    }
}

static void clear_tables(struct cache *cache)
{
    clear_memory(cache->buckets, (cache->buckets_mask + 1ull) * sizeof(cache->buckets[0]));
    templates_clear(cache);
    clear_memory(cache->pages, PAGE_BUCKETS * sizeof(cache->pages[0]));
    clear_memory(cache->jump, JUMP_ENTRIES * sizeof(cache->jump[0]));
    if (cache->long_jumps) clear_memory(cache->long_jump, LONG_JUMP_ENTRIES * sizeof(cache->long_jump[0]));
    cache->long_jumps = false;
}

void cache_flush(struct cache *cache)
{
    if (cache->before_flush) cache->before_flush(cache->flush_owner);
    for (unsigned n = 0; n < cache->segments; n++)
        cache->counters->blocks_evicted += cache->facts[n].blocks;
    note_event(cache->counters->events, EVENT_BLOCK_FLUSH, cache->block_count);
    if (cache->block_count < JUMP_ENTRIES / 16)
        clear_slots(cache);
    else
        clear_tables(cache);
    u64 used = cache->segments == 1 ? cache->arena.used : cache->arena.bytes;
    clear_memory(cache->map, align_up(((used >> MAP_SHIFT) + 1) * sizeof(cache->map[0]), 8));
    segments_empty(cache);
    cache->block_count = 0;
    cache->generation++;
    cache->turns++;
    cache->counters->cache_flushes++;
}

struct block *cache_after(const struct cache *cache, const struct block *block)
{
    unsigned n = block ? segment_of(cache, block) : 0;
    const u8 *at = block ? (const u8 *)block + block_bytes(block) : cache->meta;
    while (at >= cache->meta + segment_meta_used(cache, n)) {
        if (++n == cache->segments) return NULL;
        at = cache->meta + cache->segment[n].meta_at;
    }
    return (struct block *)(uintptr_t)at;
}

struct block *cache_block_at(const struct cache *cache, u32 offset)
{
    if (offset >= cache->arena.bytes) return NULL;
    struct block *block = block_pointer(cache->map[offset >> MAP_SHIFT]), *next;
    if (!block || block->start > offset) return NULL;
    while ((next = cache_after(cache, block)) && next->start <= offset)
        block = next;
    return offset < block->start + block->host_bytes ? block : NULL;
}
