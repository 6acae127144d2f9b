/* Evicts the segment with the oldest last touch. All links between segments are cut at each turn, so a touch says
 * that the block has run since the last turn. */
#include "policy.h"

static unsigned next(const struct policy_view *view)
{
    unsigned oldest = policy_following(view);
    for (unsigned n = view->first; n < view->end; n++)
        if (n != view->current && view->segment[n].touched < view->segment[oldest].touched) oldest = n;
    return oldest;
}

static bool observes(const struct policy_view *view, unsigned segment)
{
    return true;
}

const struct cache_policy policy_lru = {
    .name = "lru",
    .what = "evict the segment that was used least recently",
    .segments = 8,
    .next = next,
    .observes = observes,
};
