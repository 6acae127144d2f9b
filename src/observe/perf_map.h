/*
 * --perf-map: /tmp/perf-PID.map, in which perf looks up code that is in no file. Each line is a block: host address,
 * bytes, and the guest address of its code.
 *
 * It is written before the code cache is flushed and at the end. perf knows one map for the whole run: after a
 * flush the same host addresses belong to other blocks, and samples from before and after it mix. Use a cache
 * large enough for the run.
 */
#ifndef RINGER_OBSERVE_PERF_MAP_H
#define RINGER_OBSERVE_PERF_MAP_H

#include "symbols.h"

#include "cpu/vcpu.h"

struct perf_map;

/* `guest`: names of guest functions, or NULL; must outlive the map. NULL with one sentence in error. */
struct perf_map *perf_map_open(const struct symbols *guest, char *error, size_t error_bytes);
/* Write the blocks that the cache has now. */
void perf_map_write(struct perf_map *map, const struct vcpu *v);
void perf_map_close(struct perf_map *map);

#endif
