/*
 * What the files of the cache share.
 */
#ifndef RINGER_CACHE_CACHE_PRIVATE_H
#define RINGER_CACHE_CACHE_PRIVATE_H

#include "base/hash.h"
#include "cache.h"

#define TEMPLATE_SETS  16384u
#define TEMPLATE_BYTES (TEMPLATE_SETS * TEMPLATE_WAYS * sizeof(struct template))
#define PAGE_BUCKETS   16384u

#define EXACT_GRANULES 4u

/* The blocks with code in a page, and a bitmap of the page's 64-byte granules that hold code. Data may lie beside code
 * in one granule. For the few granules that were written last, the exact code bytes are known, so that further writes
 * need not look at the blocks again. It lies in lasting metadata. */
struct code_page {
    u64 granules;
    u64 exact[EXACT_GRANULES];        /* bit n: byte n of the granule may be code */
    u8 exact_granule[EXACT_GRANULES]; /* granule + 1, at index granule % EXACT_GRANULES; 0: none */
    struct code_page *next;
    u32 page;   /* gpa >> PAGE_SHIFT */
    u32 blocks; /* struct block */
    u32 live;
    u64 sweep; /* the last one that has walked the list: cache.sweep */
};

static inline u64 hash_of(u64 what)
{
    return hash_multiply(what) >> 32;
}

/* EIP is part of the hash, because processes run the same frames at different addresses. The buckets of code that lies
 * together share a cache line of the host. */
static inline u32 key_hash(const struct cache *cache, u32 frame, u32 eip, u32 mode)
{
    enum { LINE_LOG = 4, UNIT_LOG = 3 };
    u32 line = (u32)hash_of((u64)frame << 32 ^ eip >> (LINE_LOG + UNIT_LOG) ^ (u64)mode << 20);
    return (line << LINE_LOG | (eip >> UNIT_LOG & ((1u << LINE_LOG) - 1))) & cache->buckets_mask;
}

static inline u32 block_hash(const struct cache *cache, const struct block *block)
{
    return key_hash(cache, block->frame, block->eip, block->mode);
}

static inline void clear_memory(void *p, u64 bytes)
{
    u64 count = bytes / 8;
    __asm__ volatile("rep stosq" : "+D"(p), "+c"(count) : "a"(0ull) : "memory");
}

/* template.c */
void templates_clear(struct cache *cache);
/* The block becomes the template for its key, in place of another one. */
void template_note(struct cache *cache, const struct block *block);
/* Fetch the cache line in which cache_template() will look. */
void template_prefetch(const struct cache *cache, u32 frame, u32 eip, u32 mode);
/* Forget the template for the block's key; if `own`, only the block itself. */
void template_forget(struct cache *cache, const struct block *block, bool own);

/* cache.c */
/* `page`: the caller is walking this page's list, and removes the block from it itself. */
#define NO_PAGE UINT32_MAX
void block_kill(struct cache *cache, struct block *block, u32 page);
/* The same for a block that has left its pages. */
void block_drop(struct cache *cache, struct block *block);
/* Take all live blocks of a segment out of the lists of their pages, before they are dropped. */
void blocks_leave_pages(struct cache *cache, unsigned segment);
/* The edge has been taken out of its target's list. */
void unlink_edge(struct cache *cache, struct edge *edge);
/* Unlink all edges that lead to the block. */
void unlink_incoming(struct cache *cache, struct block *block);
void jump_leave(struct cache *cache, const struct block *block);
bool cache_has_lasting_room(const struct cache *cache);

/* replace.c */
void segments_empty(struct cache *cache);
void segment_touch(struct cache *cache, struct block *block);
void segment_added(struct cache *cache, struct block *block);
void segment_lost(struct cache *cache, const struct block *block);
/* The first block of the segment, or the one behind `block`; NULL: none. */
struct block *segment_next(const struct cache *cache, unsigned n, const struct block *block);

static inline unsigned segment_of(const struct cache *cache, const struct block *block)
{
    if (cache->segments == 1) return 0;
    return (unsigned)((u64)((const u8 *)block - cache->meta) / cache->segment[0].meta_end);
}

/* Where the blocks of the segment end, as an offset from cache.meta. */
static inline u64 segment_meta_used(const struct cache *cache, unsigned n)
{
    return n == cache->fill ? cache->meta_used : cache->segment[n].meta_used;
}

#endif
