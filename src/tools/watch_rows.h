/*
 * The rows of `ringer watch`: rates, totals and shares from two readings of a machine's counters.
 */
#ifndef RINGER_TOOLS_WATCH_ROWS_H
#define RINGER_TOOLS_WATCH_ROWS_H

#include "base/types.h"

struct json_object;

enum watch_kind {
    WATCH_HEADING,
    WATCH_RATE,  /* of a counter, a second */
    WATCH_SHARE, /* of the sum of two counters that the first one has, within the interval, 0 to 1 */
    WATCH_PART,  /* of the interval's seconds that a counter of seconds grew by, 0 to 1 */
    WATCH_LEVEL, /* the counter itself */
    WATCH_FULL,  /* the counter itself as a share of the other one, 0 to 1 */
    WATCH_HITS,  /* of what the second counter grew by, what the first one, of misses, did not, 0 to 1 */
};

struct watch_row {
    enum watch_kind kind;
    const char *label;
    const char *key, *other; /* names in base/counters.h; `other` for shares */
};

extern const struct watch_row watch_rows[];
extern const unsigned watch_row_count;

/* Two readings and the time between them: the machine's own, because an answer may be late on a busy host. */
struct watch_readings {
    struct json_object *before, *now;
    struct json_object *hot; /* of x-ringer-hot, for the time since `before` */
    double seconds;
};

/* The row's value. NAN for a share of nothing. */
double watch_value(const struct watch_row *row, const struct watch_readings *r);
/* The counter itself, 0 if the machine has none of that name. */
double watch_counter(struct json_object *reading, const char *key);

#endif
