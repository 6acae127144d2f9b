/* New blocks go to the young generation, which is first in, first out. The links into the segment that will be evicted
 * next are cut one turn before; blocks that run in that time go to the old generation, others die. Hazelwood and Smith
 * 2006, "Managing bounded code caches in dynamic binary optimization systems", call these nursery, probation and
 * persistent cache. */
#include "policy.h"

static bool observes(const struct policy_view *view, unsigned segment)
{
    return segment == policy_following(view);
}

static bool promotes(const struct policy_view *view, const struct block_facts *block)
{
    return block->touched;
}

const struct cache_policy policy_generations = {
    .name = "generations",
    .what = "new blocks die first in, first out; those in use are copied to an old generation",
    .segments = 8,
    .young = 4,
    .next = policy_following,
    .observes = observes,
    .promotes = promotes,
};
