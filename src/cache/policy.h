/*
 * Replacement policies of the translation cache.
 *
 * The cache consists of segments of equal size. Blocks are written into one segment, one behind the other, until it is
 * full. That is a *turn*: the policy chooses the segment that is written next, and the blocks in it are evicted.
 *
 *      segment 0      segment 1      segment 2      segment 3
 *     +--------------+--------------+--------------+--------------+
 *     | blocks       | blocks       | blocks ->    | (empty)      |
 *     +--------------+--------------+--------------+--------------+
 *                                     being filled
 *
 * Recency costs running code nothing. A chained block enters the next one by a jump that the policy cannot see, so a
 * policy that wants to know which blocks are still in use has the links into a segment cut (observes()). The next entry
 * into each of its blocks goes through C code, which marks the block as touched and links it again.
 *
 * A policy may have two generations. Segments from `young` on are the old generation. Of the blocks that a young
 * segment holds when it is evicted, those that promotes() picks are copied to the old generation.
 *
 * The functions run at turns only. They may use floating point. They must not keep pointers, and must not depend on
 * anything but their arguments, because the simulator (src/study/simulate.h) calls them too.
 */
#ifndef RINGER_CACHE_POLICY_H
#define RINGER_CACHE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_MAX_SEGMENTS 64u

struct segment_facts {
    uint64_t filled;  /* the turn at which it was begun; 0: it is empty */
    uint64_t touched; /* when a block of it was touched last, in touches; a new block counts as touched */
    uint32_t blocks;  /* live ones */
    uint32_t touched_blocks; /* of these, touched since the links were cut last, or since they were made */
};

struct block_facts {
    uint32_t instructions; /* guest instructions */
    uint32_t host_bytes;
    bool touched; /* since the links into its segment were cut last, or since it was made */
};

struct policy_view {
    const struct segment_facts *segment; /* all of them */
    unsigned first, end;                 /* one generation: segments first to end - 1 */
    unsigned current;                    /* the one that is full, or is being filled now */
    uint64_t turn;                       /* number of this turn */
};

struct cache_policy {
    const char *name, *what;
    unsigned segments; /* 1 to POLICY_MAX_SEGMENTS; --cache-segments overrides it */
    unsigned young;    /* of these, eighths that are the young generation; 0: there is one generation */
    /* The current segment is full, and none in [first, end) is empty: the one to evict and to fill. */
    unsigned (*next)(const struct policy_view *view);
    /* After the turn, for each other segment: cut the links into it? NULL: no. */
    bool (*observes)(const struct policy_view *view, unsigned segment);
    /* The block is about to be evicted from the young generation: does the old one get a copy? NULL: no. */
    bool (*promotes)(const struct policy_view *view, const struct block_facts *block);
};

/* The segment behind the current one; behind the last one comes the first. */
static inline unsigned policy_following(const struct policy_view *view)
{
    return view->current + 1 < view->end ? view->current + 1 : view->first;
}

/* The number of segments in a cache of this size, and of those of the young generation. */
unsigned policy_segments(const struct cache_policy *policy, unsigned wanted, uint64_t bytes, unsigned *young);

/* By its name, or from a shared object that defines `const struct cache_policy policy` (a name with a slash in it).
 * NULL with one sentence in `error`. */
const struct cache_policy *policy_find(const char *name, char *error, size_t error_bytes);
/* The policies that are built in; NULL behind the last one. */
extern const struct cache_policy *const policies[];
extern const struct cache_policy policy_flush, policy_fifo, policy_lru, policy_generations;

#endif
