/* The whole cache is one segment, so a turn empties it. */
#include "policy.h"

static unsigned next(const struct policy_view *view)
{
    return view->first;
}

const struct cache_policy policy_flush = {
    .name = "flush",
    .what = "empty the whole cache when it is full",
    .segments = 1,
    .next = next,
};
