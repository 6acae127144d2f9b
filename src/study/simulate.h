/*
 * ringer simulate: replacement policies offline, on a log of block executions (cache/block_log.h).
 *
 * The simulator drives the real cache: for each block that runs and is not there it adds a block of the logged size,
 * without code, and calls the policy when there is no room. What it leaves out: edges and the code that C functions
 * look up, so it counts no links; callees, which several segments share; crossing blocks count for their first page
 * only.
 */
#ifndef RINGER_STUDY_SIMULATE_H
#define RINGER_STUDY_SIMULATE_H

#include "cache/cache.h"

struct simulation {
    struct cache_shape shape;
    u64 executions, instructions;
    u64 host_instructions; /* of the host, on the straight way through the blocks */
    u64 translations;      /* misses: the first time too */
    u64 first;             /* of these, the first one of a block, or the first after its code was written */
    struct counters counters;
};

/* Runs the log once for `count` simulations at the same time. False with one sentence in `error`. */
bool simulate(const char *path, struct simulation *simulations, unsigned count, char *error,
              size_t error_bytes);

#endif
