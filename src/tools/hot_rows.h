/*
 * What `ringer watch` shows of x-ringer-hot: shares of time, and the hottest blocks with their names.
 */
#ifndef RINGER_TOOLS_HOT_ROWS_H
#define RINGER_TOOLS_HOT_ROWS_H

#include "base/types.h"
#include "observe/symbols.h"

struct json_object;

/* The vCPU thread's time by samples: shares, 0 to 1. */
struct hot_share {
    const char *key, *label;
};
extern const struct hot_share hot_shares[];
extern const unsigned hot_share_count;

/* Of the answer `hot`, NAN without samples. */
double hot_share_value(struct json_object *hot, const struct hot_share *share);

struct hot_row {
    const char *address; /* of the answer */
    char name[96];       /* "symbol+0x12", or the address */
    double share;        /* of all samples */
};
/* The block with this number in the list. False: there are no more. */
bool hot_row(struct json_object *hot, unsigned place, const struct symbols *symbols, struct hot_row *row);

#endif
