/*
 * A picture in another size: each pixel of the result is the mean of what it covers, by area. So a whole
 * factor gives sharp squares, another one blurs just the pixels at the seams, and a smaller picture loses no
 * thin line.
 *
 * Weights are in 256ths and a result has 1 + ceil(from / to) of them in each direction at most, the same for
 * all rows and all columns: tables, made when a size changes. Integers only.
 */
#ifndef RINGER_UI_SCALER_H
#define RINGER_UI_SCALER_H

#include "devices/video/display.h"

/* One direction. */
struct scaler_axis {
    u32 from, to;
    u32 taps;    /* weights a result */
    u32 *first;  /* of each result: the first pixel it covers, */
    u32 *count;  /* how many it does, */
    u16 *weight; /* and room for `taps` weights */
};

struct scaler {
    struct scaler_axis x, y;
    u64 *row; /* rows of the source that were scaled in x: as many as there are taps in y */
    u32 *row_of;
};

/* None of the sizes is 0. False: out of memory, and nothing is kept. */
bool scaler_init(struct scaler *scaler, u32 from_width, u32 from_height, u32 to_width, u32 to_height);
void scaler_destroy(struct scaler *scaler);
/* Bring `to`, whose rows are `pitch` pixels apart, up to date with what `damage` says of `from`. Returns what
 * changed there. */
struct display_rect scaler_run(struct scaler *scaler, const u32 *from, const struct display_rect *damage,
                               u32 *to, u32 pitch);

/* The largest place of a picture's shape in the middle of a window; `whole`: an integer factor if it is
 * enlarged. */
struct display_rect scaler_fit(u32 width, u32 height, u32 window_width, u32 window_height, bool whole);

#endif
