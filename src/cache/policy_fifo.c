/* The segment that was filled first is evicted first. Segments are filled in their order, so that is the following
 * one. */
#include "policy.h"

const struct cache_policy policy_fifo = {
    .name = "fifo",
    .what = "evict the segment that was filled first",
    .segments = 8,
    .next = policy_following,
};
