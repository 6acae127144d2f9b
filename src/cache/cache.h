/*
 * The translation cache: blocks of host code, found by what the guest code is and how the CPU was set.
 *
 * Invariants
 * 1. A block is a function of its key (struct block_key) and of the guest bytes it was made from. Its code is
 *    reached only when the linear page it runs at maps the frame of its key: the dispatcher, the
 *    indirect-branch lookup and cross-page edges check that; edges within a page need not.
 * 2. Every page that a live block has bytes in is marked PHYS_CODE by whoever added the block.
 * 3. A dead block is in no table and has no edge pointing at it, but its code stays where it is until the
 *    next whole flush: it may be running, and guest returns may come back to it. All its edges lead to their
 *    stubs again, so that it hands on to what is true then.
 * 4. `generation` changes whenever a block dies. Code that called out compares it before it goes on.
 *
 * Metadata (blocks, sites, decoded instructions of callouts) lies in 4 GB at a fixed address (origin.h), so
 * that 32 bits name it, in itself and in translated code. Only the vCPU thread calls this.
 */
#ifndef RINGER_CACHE_CACHE_H
#define RINGER_CACHE_CACHE_H

#include "arena.h"
#include "base/counters.h"
#include "origin.h"

struct block_key {
    u64 gpa;
    u32 eip;
    u32 mode;
    u32 cs_base;
    u32 cs_limit;
};

/* A direct branch out of a block. Unlinked it jumps to its stub; linked, to one of the target's entries.
 * Places are offsets from block.start. */
struct edge {
    u32 to;             /* struct block; 0: unlinked */
    u32 next;           /* struct edge, among to->incoming */
    u32 eip;            /* where it leads */
    u16 patch;          /* of the rel32 to patch */
    u16 stub;           /* of the stub, which begins with an instruction that names the edge */
    u16 frame_patch;    /* cross-page edges: of the imm32 that stands for the frame (its value + 1; negative
                           unless parked); 0: same page */
    u8 index;           /* in block_edges() */
    bool parked : 1;    /* comes with the flags in the parked register (or dead), and enters the target so */
    bool unhoisted : 1; /* leads to a block without hoisted checks (translator/hoist.c) */
};
/* mov r11d, imm32: the imm32 is the address of the edge. */
#define STUB_NAME_AT 2

/* What an edge is to an indirect branch that remembers where it went: it compares the EIP with the one that
 * is patched in, and the frame of its page, and takes the edge, whose EIP is the target's and whose stub
 * fills the site. After some fills it is taken for one with many targets, and always looks up. */
struct indirect_site {
    u16 eip_patch;  /* of the imm32 compared with the EIP to go to; its instruction is SITE_COMPARE_BYTES
                       long, with the imm32 last */
    u16 page_patch; /* of the disp32 of its exec entry */
    u16 look_up;    /* where it is looked up */
    u8 edge;        /* in block_edges() */
    u8 fills;
};
#define SITE_FILLS         6
#define SITE_COMPARE_BYTES 7

/* Where a guest instruction's host code begins: host pc -> guest state. */
struct site {
    u16 host;    /* offset from block.start */
    u16 guest;   /* offset in the block's guest bytes */
    u8 index;    /* of the instruction */
    bool parked; /* flags are in the parked register here, not in the host's EFLAGS */
};
/* A block keeps of each what it adds to the one before: host bytes since there, guest bytes to the next. */
#define SITE_HOST_BITS 11
#define SITE_LENGTH_AT SITE_HOST_BITS
#define SITE_PARKED    0x8000

/* What has to change in a block's code when it is copied to serve the same bytes at another EIP, besides its
 * edges. Kept as kind << FIX_KIND_AT | offset of the 4 bytes from block.start. */
enum fix_kind {
    FIX_EIP,     /* imm32: an EIP */
    FIX_EXEC,    /* disp32: an entry of the exec table */
    FIX_CALLOUT, /* imm32: address of a struct callout */
};
#define FIX_KIND_AT 14
#define FIX_AT_MASK 0x3fff

#define BLOCK_MAX_INSNS 64

/* Bytes of a page, by their offsets in it, both inclusive. */
struct span {
    u16 first, last;
};

/* Of blocks that few others are like. */
struct block_rare {
    u32 cs_base, cs_limit;
    u32 frame_next; /* crossing blocks: the frame of the second page + 1; else 0 */
    u32 page_next;  /* struct block, in the second page */
};

/* Followed in memory by what the functions below find: there are many blocks, and their size decides how many
 * the cache holds. Pointers are 32 bits (low_pointer()). */
struct block {
    u32 frame; /* gpa >> PAGE_SHIFT of its first byte */
    u32 eip;
    u32 mode;
    u32 hash_next; /* struct block */
    u32 page_next; /* struct block */
    u32 incoming;  /* struct edge */
    u32 start;     /* arena offset of its code */
    u16 host_bytes;
    u16 guest_bytes;
    u8 entry_parked, entry_host; /* offsets from start of the entries with flags parked and in the host */
    u8 count;                    /* guest instructions */
    u8 fix_count;
    u8 edge_count;
    u8 span_count;
    bool rare, site, relocatable, dead;
};

/* Pointers to metadata as 32 bits; 0 is NULL. */
static inline u32 low_pointer(const void *p)
{
    return (u32)(uintptr_t)p;
}
static inline void *meta_pointer(u32 p)
{
    return p ? (void *)((1ull << META_ORIGIN_BIT) + p) : NULL;
}
static inline struct block *block_pointer(u32 p)
{
    return meta_pointer(p);
}
static inline struct edge *edge_pointer(u32 p)
{
    return meta_pointer(p);
}

/* The parts of a block, in this order. */
static inline struct edge *block_edges(const struct block *block)
{
    return (struct edge *)(uintptr_t)(block + 1);
}
static inline struct block *edge_from(const struct edge *edge)
{
    return (struct block *)(uintptr_t)(edge - edge->index) - 1;
}
static inline struct block_rare *block_rare(const struct block *block)
{
    return (struct block_rare *)(uintptr_t)(block_edges(block) + block->edge_count);
}
static inline struct indirect_site *block_indirect(const struct block *block)
{
    return (struct indirect_site *)(uintptr_t)(block_rare(block) + block->rare);
}
/* The bytes of its page that it was made from, be it by a look ahead. Crossing blocks have all from their
 * first on and those of the second page besides. */
static inline struct span *block_spans(const struct block *block)
{
    return (struct span *)(uintptr_t)(block_indirect(block) + block->site);
}
static inline u16 *block_sites(const struct block *block)
{
    return (u16 *)(uintptr_t)(block_spans(block) + block->span_count);
}
static inline u16 *block_fixes(const struct block *block)
{
    return block_sites(block) + block->count;
}
static inline u32 block_bytes(const struct block *block)
{
    const u16 *end = block_fixes(block) + block->fix_count;
    return (u32)align_up((uintptr_t)end - (uintptr_t)block, 8);
}

static inline u32 block_frame_next(const struct block *block)
{
    return block->rare ? block_rare(block)->frame_next : 0;
}
static inline struct block_key block_key(const struct block *block)
{
    struct block_key key = {.eip = block->eip, .mode = block->mode, .cs_limit = UINT32_MAX};
    if (block->rare) {
        key.cs_base = block_rare(block)->cs_base;
        key.cs_limit = block_rare(block)->cs_limit;
    }
    key.gpa = (u64)block->frame << PAGE_SHIFT | ((key.cs_base + key.eip) & PAGE_MASK);
    return key;
}

/* The indirect-branch lookup: indexed by the low 16 bits of EIP.
 * key = mode number << 56 | (frame + 1) << 32 | EIP; 0 is never a key of a block. */
struct jump_entry {
    u64 key;
    const u8 *code; /* entry_parked */
};
#define JUMP_ENTRIES 65536

struct code_page;

/* For each piece of the arena of this size, the block that its first byte is in. */
#define MAP_SHIFT 8

struct cache {
    struct arena arena;
    u64 bytes;               /* code and metadata together */
    struct jump_entry *jump; /* JUMP_ENTRIES */
    u64 generation;
    struct counters *counters;
    void (*before_flush)(void *owner); /* NULL: nobody wants to know */
    void *flush_owner;
    /* Metadata: blocks from below, in the order of their code, one after the other; the rest from above. */
    u8 *meta;
    u64 meta_bytes, meta_used, meta_top;
    u32 block_count;
    u32 buckets_mask;
    u32 *buckets;   /* struct block */
    u32 *templates; /* struct block, by all of the key but EIP: one to copy from, perhaps dead */
    u32 *map;       /* struct block */
    struct code_page **pages;
};

/* For so many bytes of code and metadata. Returns 0 or -errno. */
int cache_init(struct cache *cache, u64 bytes, struct counters *counters);
void cache_destroy(struct cache *cache);

/* Room for one more block of this many code bytes? If not the caller flushes. */
bool cache_room(const struct cache *cache, u64 code_bytes);
/* Metadata that lives until the flush. cache_room() vouches for some 16 KB. */
void *cache_meta(struct cache *cache, u64 bytes);
/* Where the next block goes. Its caller fills it in, and its code at the end of the arena; then enters it. */
static inline struct block *cache_next(const struct cache *cache)
{
    return (struct block *)(void *)(cache->meta + cache->meta_used);
}
void cache_add(struct cache *cache, struct block *block);

struct block *cache_find(struct cache *cache, const struct block_key *key);
/* A live block whose key differs in the EIP only, or NULL. */
struct block *cache_template(const struct cache *cache, const struct block_key *key);

/* Make an edge jump straight to a block, and undo it. For cross-page edges frame_plus_1 is what the exec
 * table must hold for the target's page. */
void cache_link(struct cache *cache, struct edge *edge, struct block *to, u32 frame_plus_1);

/* Undo it for all edges of a block: what it leads to next is found by C code. */
void cache_unlink(struct cache *cache, struct block *block);

/* Point a site's edge at this block, whose page has frame_plus_1 in the exec table, or give the site up. */
void cache_fill_site(struct cache *cache, struct edge *edge, struct block *to, u32 frame_plus_1);

void cache_jump_enter(struct cache *cache, u64 key, const struct block *block);

/* Do live blocks have bytes in [gpa, gpa + bytes), which lies within a page? */
bool cache_overlaps(const struct cache *cache, u64 gpa, u64 bytes);
/* The block is to be translated anew. Its code may be running. */
void cache_kill(struct cache *cache, struct block *block);
/* Code bytes changed: kill the blocks made of them. Returns whether live blocks are left in the page. */
bool cache_code_written(struct cache *cache, u64 gpa, u64 bytes);
void cache_flush(struct cache *cache);

/* The block (dead or alive) whose code holds this arena offset, or NULL. */
struct block *cache_block_at(const struct cache *cache, u32 offset);
/* All of them in turn, dead ones too: NULL for the first; NULL behind the last. */
struct block *cache_after(const struct cache *cache, const struct block *block);

/* The last site of the block at or before this offset. False: there is none. */
bool block_site_at(const struct block *block, u32 offset, struct site *site);
struct site block_site(const struct block *block, unsigned index);
/* Keep those of all its instructions, ascending. The block has its counts and nothing behind its spans. */
void block_keep_sites(struct block *block, const struct site *sites);

static inline const u8 *cache_exec(const struct cache *cache, u32 offset)
{
    return cache->arena.exec + offset;
}
static inline const u8 *block_entry(const struct cache *cache, const struct block *block)
{
    return cache_exec(cache, block->start + block->entry_parked);
}

#endif
