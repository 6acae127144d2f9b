/*
 * The code arena: shared memory mapped twice, writable for the translator and executable for running, never
 * both in one mapping. Anonymous memory, because perf looks for the names of code (--perf-map) only if it
 * lies in no file. Places in it are offsets, so that nobody confuses the two views. Allocation only moves
 * forward; the whole is given back at once (cache_flush).
 */
#ifndef RINGER_CACHE_ARENA_H
#define RINGER_CACHE_ARENA_H

#include "base/types.h"

struct arena {
    u8 *write;      /* read-write view */
    const u8 *exec; /* read-execute view */
    u64 bytes, used;
};

/* Returns 0 or -errno. */
int arena_init(struct arena *arena, u64 bytes);
void arena_destroy(struct arena *arena);

static inline u64 arena_room(const struct arena *arena)
{
    return arena->bytes - arena->used;
}
static inline bool arena_holds(const struct arena *arena, u64 host_pc)
{
    return host_pc - (u64)(uintptr_t)arena->exec < arena->bytes;
}

#endif
