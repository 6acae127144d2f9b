/*
 * The translation cache: blocks of host code, found by their key.
 *
 * Invariants
 * 1. A block is a function of its key (struct block_key) and of the guest bytes that it was made from. Its
 *    code is reached only while the linear page at which it runs maps the frame of its key. Look-ups by key,
 *    the jump table and cross-page edges check that; edges within a page need not.
 * 2. Every page with bytes of a live block is marked PHYS_CODE, by the function that adds the block.
 * 3. A dead block is in no table, and no edge leads to it. Its code stays where it is until its segment is evicted,
 *    because it may be running, and host RETs may return into it. All its own edges lead to their stubs
 *    again, so it hands over to blocks that are valid at that time.
 * 4. `generation` changes whenever a block dies. C code that translated code called compares it before it
 *    returns into the block.
 * 5. `turns` changes whenever code or metadata is freed: in a flush, or when a segment is evicted. Who keeps a host
 *    address or a pointer to metadata compares it. Only translate() and a flush free anything, and translated code that
 *    called them is never returned into.
 *
 * The cache is one segment or several (policy.h). replace.c evicts segments; check.c asserts that nothing leads into
 * one that is evicted.
 *
 * Metadata (blocks, sites, decoded instructions of callouts) lies in 4 GB at a fixed address (origin.h), so
 * that 32 bits name it, in metadata and in translated code. Only the vCPU thread calls this.
 */
#ifndef RINGER_CACHE_CACHE_H
#define RINGER_CACHE_CACHE_H

#include "arena.h"
#include "base/events.h"
#include "origin.h"
#include "policy.h"

struct block_key {
    u64 gpa;
    u64 eip; /* or RIP */
    u32 mode;
    u32 cs_base;
    u32 cs_limit;
};

/* A direct way out of a block. Unlinked, it jumps to its stub; linked, to one of the target's entry points.
 * Offsets count from block.start. */
struct edge {
    u32 to;             /* struct block; 0: unlinked */
    u32 next;           /* struct edge: the next one in to->incoming */
    u32 eip;            /* of the target; the low half of its RIP, which is within 2 GB of the block */
    u16 patch;          /* offset of the rel32 to patch */
    u16 stub;           /* offset of the stub; its first instruction names the edge */
    u16 frame_patch;    /* cross-page edges: offset of the imm32 that holds the frame + 1 (negated unless
                           parked); 0: same page */
    u8 index;           /* in block_edges() */
    bool parked : 1;    /* brings the flags parked (or dead), and enters the target's parked entry point */
    bool loops : 1;     /* from the end of a block to its beginning: enters the loop's entry, if it has one */
    bool unhoisted : 1; /* leads to a block without hoisted checks (translator/hoist.c) */
};
/* The stub's first instruction is mov r11d, imm32. The imm32 is the address of the edge. */
#define STUB_NAME_AT 2

/* The inline cache of an indirect branch. The code compares the target EIP with the patched-in EIP, and the page's exec
 * entry with the patched-in frame (in IA-32e mode, imm64: RIP, and one word of the TLB); if both agree it takes the
 * edge. The edge's stub fills the site. After SITE_FILLS fills the branch is considered to have many targets, and
 * always uses the jump table, until cache_try_site_again(). */
struct indirect_site {
    u16 compare;    /* offset of the instruction that has the EIP or RIP to compare with */
    u16 eip_patch;  /* of that field in it */
    u16 page_patch; /* offset of the disp32 that addresses the exec entry or the TLB's word */
    u16 look_up;    /* offset of the code that looks in the jump table */
    u8 edge;        /* in block_edges() */
    u8 fills;
    bool wide;    /* IA-32e mode */
    u8 opcode[3]; /* of the instruction at `compare`, which a jump to look_up has overwritten */
};
#define SITE_FILLS 6
#define SITE_TRIES 2 /* fills more, when it is tried again */

/* What a site compares with. */
struct site_target {
    u64 rip;
    u64 frame; /* the exec entry, or the TLB's word */
    u32 entry; /* its displacement */
};

/* Where the host code of a guest instruction begins: maps a host pc to the guest's state. */
struct site {
    u16 host;    /* offset from block.start */
    u16 guest;   /* offset in the block's guest bytes */
    u8 index;    /* of the instruction */
    bool parked; /* the flags are parked here, not in the host's EFLAGS */
};
/* A block stores sites as differences: host bytes since the site before, guest bytes to the next one. */
#define SITE_HOST_BITS 11
#define SITE_LENGTH_AT SITE_HOST_BITS
#define SITE_PARKED    0x8000

/* A position in a block's code that depends on its EIP and must be fixed in a copy for another EIP; edges are
 * fixed separately. Stored as kind << FIX_KIND_AT | offset of the field from block.start. */
enum fix_kind {
    FIX_EIP,     /* imm32: an EIP. In 64-bit mode imm64: an address that is relative to RIP */
    FIX_EXEC,    /* disp32: offset of an exec entry. In IA-32e mode: offset of a field of the TLB */
    FIX_CALLOUT, /* imm32: address of a struct callout */
    FIX_WORD,    /* imm64: tlb_exec_word() */
    FIX_SEGMENT, /* disp32 of a comparison with the class of a segment. An address there is the imm64 of the MOV before */
};
#define FIX_KIND_AT 13
#define FIX_AT_MASK 0x1fff

#define BLOCK_MAX_INSNS 64

/* Offsets of bytes in a page, both inclusive. */
struct extent {
    u16 first, last;
};

/* Fields that few blocks need. */
struct block_rare {
    u32 cs_base; /* in a wide block, the high half of RIP */
    u32 cs_limit;
    u32 frame_next; /* crossing blocks: the frame of the second page + 1; else 0 */
    u32 page_next;  /* struct block: the next one in the second page's list */
};

/* The variable parts follow in memory; the functions below find them. There are many blocks, so their size
 * decides how many the cache holds. Pointers have 32 bits (low_pointer()). */
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
    u8 entry_parked, entry_host; /* offsets from start of the entry points for parked flags and for flags
                                    in the host's EFLAGS */
    u8 count;                    /* guest instructions */
    u8 fix_count;
    u8 edge_count;
    u8 extent_count;
    u8 loop_entry; /* the same for edges of the block's own that loop (translator/loop.c); 0: none */
    u8 long_jump;  /* the mode number of its entry in cache.long_jump; 0: none */
    bool rare, site, relocatable;
    bool dead : 1;
    bool touched : 1; /* struct block_facts */
    bool wide : 1;    /* RIP is beyond 4 GB; then the block is rare */
};

/* Pointers to metadata in 32 bits; 0 is NULL. */
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

/* Where this edge enters its target: an offset from `to->start`. */
static inline u8 edge_entry(const struct edge *edge, const struct block *from, const struct block *to)
{
    if (edge->loops && edge->parked && from == to && to->loop_entry) return to->loop_entry;
    return edge->parked ? to->entry_parked : to->entry_host;
}

/* The variable parts of a block, in this order. */
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
/* The bytes of its page that the block depends on, including those of look-aheads. A crossing block depends
 * on everything from its first byte on, and on its bytes in the second page. */
static inline struct extent *block_extents(const struct block *block)
{
    return (struct extent *)(uintptr_t)(block_indirect(block) + block->site);
}
static inline u16 *block_sites(const struct block *block)
{
    return (u16 *)(uintptr_t)(block_extents(block) + block->extent_count);
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
        if (block->wide)
            key.eip |= (u64)block_rare(block)->cs_base << 32;
        else
            key.cs_base = block_rare(block)->cs_base;
        key.cs_limit = block_rare(block)->cs_limit;
    }
    key.gpa = (u64)block->frame << PAGE_SHIFT | ((key.cs_base + key.eip) & PAGE_MASK);
    return key;
}

/* EIP or RIP. */
static inline u64 block_rip(const struct block *block)
{
    return block->eip | (block->wide ? (u64)block_rare(block)->cs_base << 32 : 0);
}

/* An entry of the jump table, which is indexed by the low 16 bits of EIP.
 * key = mode number << 56 | (frame + 1) << 32 | EIP; no block has key 0. */
struct jump_entry {
    u64 key;
    const u8 *code; /* entry_parked */
};
#define JUMP_ENTRIES 65536

/* The same in IA-32e mode, where an entry of the TLB tells whether the page still maps the frame (mmu/tlb.h). Each mode
 * has its entries LONG_JUMP_STEP places farther than the one before, so the place that RIP has tells the mode. Mode
 * number 0 has none: a look-up there finds nothing. */
struct long_jump_entry {
    u64 rip;
    u64 exec;       /* tlb_exec_word() of the page */
    const u8 *code; /* entry_parked; NULL: no entry */
    u64 slot;       /* offset of the word to compare with, from the slots of the privilege */
};
#define LONG_JUMP_STEP    16
#define LONG_JUMP_ENTRIES (JUMP_ENTRIES + LONG_JUMP_STEP * 256)

/* A block to copy from (template.c), perhaps dead. */
struct template
{
    u32 tag;   /* of its key */
    u32 block; /* struct block; 0: no entry */
};
#define TEMPLATE_WAYS 8

struct code_page;

/* The map has one word for each piece of the arena of this size: the block that the piece's first byte
 * belongs to. */
#define MAP_SHIFT 8

/* A part of the arena and a part of the metadata: blocks grow upwards in the latter, callouts downwards. */
struct cache_segment {
    u64 code_at, code_end; /* offsets in the arena */
    u64 meta_at, meta_end; /* offsets from cache.meta */
    /* How full it is. While it is being filled, arena.used, meta_used and meta_top of the cache say that. */
    u64 code_used, meta_used, meta_top;
};

struct cache {
    struct arena arena;
    u64 segment_bytes;                 /* budget of a segment: code and metadata together */
    struct jump_entry *jump;           /* JUMP_ENTRIES */
    struct long_jump_entry *long_jump; /* LONG_JUMP_ENTRIES */
    void *tables;                      /* in which these and the other tables lie */
    u64 table_bytes;
    bool long_jumps; /* it may have entries */
    u64 generation, turns;
    struct counters *counters;
    void (*before_flush)(void *owner); /* NULL: no callback */
    void *flush_owner;
    /* Metadata of the segment that is being filled: blocks grow upwards, contiguous and in the order of their code;
     * everything else grows downwards. Several segments have what must outlive a segment behind the last one. */
    u8 *meta;
    u64 meta_bytes, meta_used, meta_top, lasting_top;
    const struct cache_policy *policy;
    struct cache_segment segment[POLICY_MAX_SEGMENTS];
    struct segment_facts facts[POLICY_MAX_SEGMENTS];
    unsigned segments, young; /* the latter: of the young generation */
    unsigned fill;            /* the segment that is being filled */
    unsigned old_fill;        /* the same of the old generation */
    u64 touches;
    bool checks; /* cache_check() at each turn, and freed memory is overwritten */
    u32 block_count;
    u32 buckets_mask;
    u32 *buckets;               /* struct block */
    struct template *templates; /* TEMPLATE_SETS * TEMPLATE_WAYS */
    u32 *map;                   /* struct block */
    struct code_page **pages;
    struct code_page *free_pages; /* several segments: of evicted blocks */
    u64 sweep;                    /* number of blocks_leave_pages() */
};

/* What a cache is made with. */
struct cache_shape {
    u64 bytes;                         /* budget of code and metadata together */
    const struct cache_policy *policy; /* NULL: policy_flush */
    unsigned segments;                 /* 0: as the policy says */
    bool checks;
};

/* Returns 0 or -errno. */
int cache_init(struct cache *cache, const struct cache_shape *shape, struct counters *counters);
void cache_destroy(struct cache *cache);

/* Is there room for one more block with this many bytes of code? If not, the caller calls cache_replace(). */
bool cache_room(const struct cache *cache, u64 code_bytes);
/* Metadata that lives as long as the segment that is being filled. After cache_room() has returned true, 16 KB of it
 * are available, and as much of lasting metadata. */
void *cache_meta(struct cache *cache, u64 bytes);
/* Metadata that lives until the whole flush. */
void *cache_lasting(struct cache *cache, u64 bytes);

/* Bytes of code and metadata that are in use, and the budget of both together. */
u64 cache_used(const struct cache *cache);
u64 cache_budget(const struct cache *cache);

/* A turn: evict the segment that the policy chooses, and fill it from now on. A cache of one segment is flushed. `copy`
 * adds a copy of a block that is dead already to the cache. */
void cache_replace(struct cache *cache, void (*copy)(void *owner, const struct block *block), void *owner);
/* Aborts unless each link, look-up table and list leads to a live block. */
void cache_check(const struct cache *cache);
/* The address of the next block. The caller writes the block there, and its code at the end of the arena, then
 * calls cache_add(). */
static inline struct block *cache_next(const struct cache *cache)
{
    return (struct block *)(void *)(cache->meta + cache->meta_used);
}
void cache_add(struct cache *cache, struct block *block);

/* cache_find() and cache_template() may soon be asked for this key: fetch what they will look at first. */
void cache_prefetch(const struct cache *cache, u32 frame, u64 eip, u32 mode);
struct block *cache_find(struct cache *cache, const struct block_key *key);
/* A live block with a key that differs in EIP only, or NULL. */
struct block *cache_template(const struct cache *cache, const struct block_key *key);

/* Link an edge to a block; an edge that is linked already is unlinked first. For cross-page edges, frame_plus_1 is
 * the expected exec entry of the target's page. */
void cache_link(struct cache *cache, struct edge *edge, struct block *to, u32 frame_plus_1);

/* Unlink all edges of a block: C code then finds the next block. */
void cache_unlink(struct cache *cache, struct block *block);

/* Fill an indirect site: link its edge to this block. After SITE_FILLS fills, make it use the jump table instead. */
void cache_fill_site(struct cache *cache, struct edge *edge, struct block *to,
                     const struct site_target *target);
/* If the block has an indirect site that uses the jump table, fill it again. */
void cache_try_site_again(struct cache *cache, struct block *block);

void cache_jump_enter(struct cache *cache, u64 key, const struct block *block);
void cache_long_jump_enter(struct cache *cache, struct block *block, u8 mode_number, u64 exec, u64 slot);
/* Where the entries of a mode begin, for look-ups. */
struct long_jump_entry *cache_long_jumps(struct cache *cache, u8 mode_number);

/* Do live blocks depend on bytes in [gpa, gpa + bytes), which lies within a page? */
bool cache_overlaps(const struct cache *cache, u64 gpa, u64 bytes);
/* Kill a block, so that it will be translated again. Its code may be running. */
void cache_kill(struct cache *cache, struct block *block);
/* Kill the blocks that depend on the byte at this linear address, in whatever address space. Looks at every block. */
void cache_kill_linear(struct cache *cache, u64 linear);
/* Code bytes changed: kill the blocks that depend on them. Returns whether the page still has live blocks. */
bool cache_code_written(struct cache *cache, u64 gpa, u64 bytes);
void cache_flush(struct cache *cache);

/* The block (dead or alive) with code at this arena offset, or NULL. */
struct block *cache_block_at(const struct cache *cache, u32 offset);
/* Iterate over all blocks, dead ones too: NULL gives the first; the last gives NULL. */
struct block *cache_after(const struct cache *cache, const struct block *block);

/* The last site of the block at or before this offset. False: there is none. */
bool block_site_at(const struct block *block, u32 offset, struct site *site);
struct site block_site(const struct block *block, unsigned index);
/* Store the sites of all instructions, in ascending order. The block's counts must be set, and nothing behind
 * its extents. */
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
