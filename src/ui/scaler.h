/*
 * A picture in another size: each pixel of the result is the mean of the source area that it covers. So a
 * whole factor gives sharp squares, other factors blur only the pixels at the seams, and a smaller picture
 * loses no thin line.
 *
 * Weights are in 256ths. A result has at most 1 + ceil(from / to) of them in each direction, the same for all
 * rows and all columns, so they are tables that are made when a size changes. Integers only.
 */
#ifndef RINGER_UI_SCALER_H
#define RINGER_UI_SCALER_H

#include "devices/video/display.h"

/* One direction. */
struct scaler_axis {
    u32 from, to;
    u32 taps;    /* weights a result */
    u32 *first;  /* of each result: the first source pixel that it covers, */
    u32 *count;  /* how many it covers, */
    u16 *weight; /* and `taps` weights */
};

struct scaler {
    struct scaler_axis x, y;
    u64 *row; /* source rows scaled in x: as many as there are taps in y */
    u32 *row_of;
};

/* No size may be 0. False: out of memory, and nothing was allocated. */
bool scaler_init(struct scaler *scaler, u32 from_width, u32 from_height, u32 to_width, u32 to_height);
void scaler_destroy(struct scaler *scaler);
/* Update `to` (its rows are `pitch` pixels apart) where `damage` says that `from` has changed. Returns what
 * changed in `to`. */
struct display_rect scaler_run(struct scaler *scaler, const u32 *from, const struct display_rect *damage,
                               u32 *to, u32 pitch);

/* The largest rectangle with the picture's shape, centred in a window. `whole`: enlarge by an integer factor
 * only. */
struct display_rect scaler_fit(u32 width, u32 height, u32 window_width, u32 window_height, bool whole);

#endif
