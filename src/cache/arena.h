/*
 * The code arena: shared memory mapped twice, writable for the translator and executable for running, never
 * both in one mapping. The memory is anonymous, because perf looks up names of code (--perf-map) only in
 * anonymous memory. Code is addressed by offset in the arena, so that the two mappings cannot be confused.
 * Allocation only moves forward; the whole arena is freed at once (cache_flush()).
 */
#ifndef RINGER_CACHE_ARENA_H
#define RINGER_CACHE_ARENA_H

#include "base/types.h"

struct arena {
    u8 *write;      /* read-write mapping */
    const u8 *exec; /* read-execute mapping */
    u64 bytes, used;
    u64 ready; /* the host has populated both mappings up to this offset */
};

/* Returns 0 or -errno. */
int arena_init(struct arena *arena, u64 bytes);
void arena_destroy(struct arena *arena);

/* Before the next `bytes` are written: have the host populate their pages together, which is several times
 * cheaper than page faults. May run while the guest's FPU state is live. */
void arena_prepare(struct arena *arena, u64 bytes);

static inline u64 arena_room(const struct arena *arena)
{
    return arena->bytes - arena->used;
}
static inline bool arena_holds(const struct arena *arena, u64 host_pc)
{
    return host_pc - (u64)(uintptr_t)arena->exec < arena->bytes;
}

#endif
