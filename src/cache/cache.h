/*
 * The translation cache: blocks of host code, found by what the guest code is and how the CPU was set.
 *
 * Invariants
 * 1. A block is a function of its key (struct block_key) and of the guest bytes it was made from. Its code is
 * reached only when the linear page it runs at maps the frame of its key: the dispatcher, the indirect-branch
 * lookup and cross-page edges check that; edges within a page need not.
 * 2. Every page that a live block has bytes in is marked PHYS_CODE by whoever added the block.
 * 3. A dead block is in no table and has no edge pointing at it, but its code stays where it is until the
 * next whole flush: it may be running, and guest returns may come back to it. All its edges lead to their
 * stubs again, so that it hands on to what is true then.
 * 4. `generation` changes whenever a block dies. Code that called out compares it before it goes on.
 *
 * Metadata (blocks, sites, decoded instructions of callouts) lives below 4 GB, so that translated code can
 * name it with 32 bits. Only the vCPU thread calls this.
 */
#ifndef RINGER_CACHE_CACHE_H
#define RINGER_CACHE_CACHE_H

#include "arena.h"
#include "base/counters.h"

struct block_key {
    u64 gpa;
    u32 eip;
    u32 mode;
    u32 cs_base;
    u32 cs_limit;
};

struct block;

/* A direct branch out of a block. Unlinked it jumps to its stub; linked, to one of the target's entries. */
struct edge {
    struct block *from;
    struct block *to;  /* NULL: unlinked */
    struct edge *next; /* among to->incoming */
    u32 eip;           /* where it leads */
    bool parked;       /* comes with the flags in the parked register (or dead), and enters the target so */
    u32 patch;         /* arena offset of the rel32 to patch; 0: no edge */
    u32 stub;          /* arena offset of the stub */
    u32 frame_patch;   /* cross-page edges: arena offset of the imm32 that stands for the frame (its value
                        + 1; negative unless parked); 0: same page */
};

/* An indirect branch that remembers where it went: it compares the EIP with the one that is patched in, and
 * the frame of its page, and takes the edge. After some fills it is taken for one with many targets, and
 * always looks up. */
struct indirect_site {
    struct edge edge; /* its EIP is the target's; its stub fills the site */
    u32 eip_patch;    /* arena offset of the imm32 compared with the EIP to go to; its instruction is
                         SITE_COMPARE_BYTES long, with the imm32 last */
    u32 page_patch;   /* of the disp32 of its exec entry */
    u32 look_up;      /* where it is looked up */
    u8 fills;
};
#define SITE_FILLS         6
#define SITE_COMPARE_BYTES 7

/* Where a guest instruction's host code begins: host pc -> guest state. */
struct site {
    u16 host;    /* offset from block.start */
    u8 guest;    /* offset in the block's guest bytes */
    bool parked; /* flags are in the parked register here, not in the host's EFLAGS */
};

/* What has to change in a block's code when it is copied to serve the same bytes at another EIP. */
enum fix_kind {
    FIX_EIP,     /* imm32: an EIP */
    FIX_EXEC,    /* disp32: an entry of the exec table */
    FIX_EDGE,    /* imm32: address of out[which] */
    FIX_SITE,    /* imm32: address of the indirect site */
    FIX_CALLOUT, /* imm32: address of a struct callout */
};

struct fix {
    u16 at; /* offset of the 4 bytes from block.start */
    u8 kind, which;
};

#define BLOCK_MAX_INSNS 64

/* Bytes of a page, by their offsets in it, both inclusive. */
struct span {
    u16 first, last;
};

struct block {
    struct block_key key;
    u64 gpa_last;   /* of its last guest byte (on another page if it crosses) */
    u32 frame_next; /* crossing blocks: the frame of the second page + 1; else 0 */
    u16 guest_bytes;
    u8 count; /* guest instructions */
    bool dead;
    u32 start;        /* arena offsets: of its first byte, */
    u32 entry_parked; /* of the entries with flags parked and in the host, */
    u32 entry_host;
    u32 end; /* and past its last byte (stubs included) */
    struct edge out[2];
    struct indirect_site *indirect; /* NULL: none */
    struct edge *incoming;
    struct site *sites; /* count of them, ascending */
    /* The bytes of its page that it was made from, be it by a look ahead. Crossing blocks have all from
     * key.gpa on and those up to gpa_last besides. */
    struct span *spans;
    u8 span_count;
    bool relocatable;
    u16 fix_count;
    struct fix *fixes;
    struct block *hash_next;
    struct block *page_next[2];
};

/* The indirect-branch lookup: indexed by the low 16 bits of EIP.
 * key = mode number << 56 | (frame + 1) << 32 | EIP; 0 is never a key of a block. */
struct jump_entry {
    u64 key;
    const u8 *code; /* entry_parked */
};
#define JUMP_ENTRIES 65536

struct code_page;

struct cache {
    struct arena arena;
    struct jump_entry *jump; /* JUMP_ENTRIES */
    u64 generation;
    struct counters *counters;
    void (*before_flush)(void *owner); /* NULL: nobody wants to know */
    void *flush_owner;
    /* metadata arena */
    u8 *meta;
    u64 meta_bytes, meta_used;
    struct block **buckets;
    struct block **templates; /* by all of the key but EIP: a block to copy from, perhaps dead */
    struct code_page **pages;
    struct block **by_address; /* every block since the last flush, ascending in the arena */
    u32 block_count, block_limit;
};

/* Returns 0 or -errno. */
int cache_init(struct cache *cache, u64 code_bytes, struct counters *counters);
void cache_destroy(struct cache *cache);

/* Room for one more block of this many code bytes? If not the caller flushes. */
bool cache_room(const struct cache *cache, u64 code_bytes);
/* Zeroed metadata that lives until the flush. cache_room() vouches for some 16 KB. */
void *cache_meta(struct cache *cache, u64 bytes);

struct block *cache_find(struct cache *cache, const struct block_key *key);
/* A live block whose key differs in the EIP only, or NULL. */
struct block *cache_template(const struct cache *cache, const struct block_key *key);
/* Enter a finished block (its code lies at the end of the arena). */
void cache_add(struct cache *cache, struct block *block);

/* Make an edge jump straight to a block, and undo it. For cross-page edges frame_plus_1 is what the exec
 * table must hold for the target's page. */
void cache_link(struct cache *cache, struct edge *edge, struct block *to, u32 frame_plus_1);

/* Point a site at this block, whose page has frame_plus_1 in the exec table, or give it up. */
void cache_fill_site(struct cache *cache, struct indirect_site *site, struct block *to, u32 frame_plus_1);

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
/* The last site of the block at or before this offset. */
const struct site *block_site_at(const struct block *block, u32 offset);

static inline const u8 *cache_exec(const struct cache *cache, u32 offset)
{
    return cache->arena.exec + offset;
}

#endif
