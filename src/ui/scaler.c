/*
 * Scaling by area. See scaler.h. The three colours of a pixel are computed in one u64, in lanes of 16 bits;
 * 255 * 256 does not overflow a lane.
 */
#include "scaler.h"

#include <stdlib.h>
#include <string.h>

#define ONE    256u
#define NO_ROW UINT32_MAX
#define LANES  0x000000ff00ff00ffull

static u64 spread(u32 pixel)
{
    return (pixel & 0xff) | (u64)(pixel & 0xff00) << 8 | (u64)(pixel & 0xff0000) << 16;
}

static u32 gather(u64 lanes)
{
    return (u32)((lanes & 0xff) | (lanes >> 8 & 0xff00) | (lanes >> 16 & 0xff0000));
}

/* Divide lanes by ONE, the sum of all weights. */
static u64 scale_down(u64 lanes)
{
    return lanes >> 8 & LANES;
}

static bool axis_init(struct scaler_axis *axis, u32 from, u32 to)
{
    axis->from = from;
    axis->to = to;
    axis->taps = (from + to - 1) / to + 1;
    axis->first = calloc(to, sizeof(u32));
    axis->count = calloc(to, sizeof(u32));
    axis->weight = calloc((size_t)to * axis->taps, sizeof(u16));
    if (!axis->first || !axis->count || !axis->weight) return false;
    /* In these units a source pixel has the length `to`, and a result covers the length `from`. */
    for (u32 n = 0; n < to; n++) {
        u64 begin = (u64)n * from, end = begin + from;
        u32 first = (u32)(begin / to), left = ONE;
        axis->first[n] = first;
        for (u32 tap = 0; tap < axis->taps && left; tap++) {
            u64 high = (u64)(first + tap + 1) * to;
            u64 reach = (high < end ? high : end) - begin;
            /* Each weight is the rounded sum of the weights up to here minus the weights so far. So all weights add
             * up to ONE. */
            u32 upto = high >= end ? ONE : (u32)((reach * ONE + from / 2) / from);
            axis->count[n] = tap + 1;
            axis->weight[(size_t)n * axis->taps + tap] = (u16)(upto - (ONE - left));
            left = ONE - upto;
        }
    }
    return true;
}

static void axis_destroy(struct scaler_axis *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->weight);
    *axis = (struct scaler_axis){.first = NULL};
}

bool scaler_init(struct scaler *s, u32 from_width, u32 from_height, u32 to_width, u32 to_height)
{
    *s = (struct scaler){.row = NULL};
    bool good = axis_init(&s->x, from_width, to_width);
    good = axis_init(&s->y, from_height, to_height) && good;
    s->row = malloc((size_t)s->y.taps * to_width * sizeof(u64));
    s->row_of = malloc(s->y.taps * sizeof(u32));
    if (good && s->row && s->row_of) return true;
    scaler_destroy(s);
    return false;
}

void scaler_destroy(struct scaler *s)
{
    axis_destroy(&s->x);
    axis_destroy(&s->y);
    free(s->row);
    free(s->row_of);
    *s = (struct scaler){.row = NULL};
}

/* Columns `begin` to `end` of source row y, scaled to the result's width. */
static const u64 *scaled_row(struct scaler *s, const u32 *from, u32 y, u32 begin, u32 end)
{
    u32 place = y % s->y.taps;
    u64 *row = s->row + (size_t)place * s->x.to;
    if (s->row_of[place] == y) return row;
    s->row_of[place] = y;
    const u32 *source = from + (size_t)y * s->x.from;
    for (u32 n = begin; n < end; n++) {
        const u32 *at = source + s->x.first[n];
        const u16 *weight = s->x.weight + (size_t)n * s->x.taps;
        u64 sum = 0;
        for (u32 tap = 0; tap < s->x.count[n]; tap++)
            sum += weight[tap] * spread(at[tap]);
        row[n] = scale_down(sum);
    }
    return row;
}

static void mix_rows(struct scaler *s, const u32 *from, u32 y, u32 begin, u32 end, u32 *to)
{
    const u16 *weight = s->y.weight + (size_t)y * s->y.taps;
    u32 first = s->y.first[y];
    if (weight[0] == ONE) { /* true for most rows of an enlarged picture */
        const u64 *row = scaled_row(s, from, first, begin, end);
        for (u32 n = begin; n < end; n++)
            to[n] = gather(row[n]);
        return;
    }
    const u64 *rows[s->y.taps];
    u32 count = s->y.count[y];
    for (u32 tap = 0; tap < count; tap++)
        rows[tap] = scaled_row(s, from, first + tap, begin, end);
    for (u32 n = begin; n < end; n++) {
        u64 sum = 0;
        for (u32 tap = 0; tap < count; tap++)
            sum += weight[tap] * rows[tap][n];
        to[n] = gather(scale_down(sum));
    }
}

/* The results that cover any part of [at, at + count). */
static void reach(const struct scaler_axis *axis, u32 at, u32 count, u32 *begin, u32 *end)
{
    *begin = (u32)((u64)at * axis->to / axis->from);
    u64 last = ((u64)(at + count) * axis->to + axis->from - 1) / axis->from;
    *end = last > axis->to ? axis->to : (u32)last;
}

struct display_rect scaler_run(struct scaler *s, const u32 *from, const struct display_rect *damage, u32 *to,
                               u32 pitch)
{
    u32 left, right, top, bottom;
    reach(&s->x, damage->x, damage->width, &left, &right);
    reach(&s->y, damage->y, damage->height, &top, &bottom);
    struct display_rect changed = {left, top, right - left, bottom - top};
    if (s->x.from == s->x.to && s->y.from == s->y.to) {
        for (u32 y = top; y < bottom; y++)
            memcpy(to + (size_t)y * pitch + left, from + (size_t)y * s->x.from + left,
                   (right - left) * sizeof(u32));
        return changed;
    }
    for (u32 n = 0; n < s->y.taps; n++)
        s->row_of[n] = NO_ROW;
    for (u32 y = top; y < bottom; y++)
        mix_rows(s, from, y, left, right, to + (size_t)y * pitch);
    return changed;
}

struct display_rect scaler_fit(u32 width, u32 height, u32 window_width, u32 window_height, bool whole)
{
    u32 to_width = window_width, to_height = window_height;
    if ((u64)window_width * height > (u64)window_height * width)
        to_width = (u32)((u64)window_height * width / height);
    else
        to_height = (u32)((u64)window_width * height / width);
    /* Guests choose widths that are multiples of 8. A picture that lacks less than that is not stretched. */
    if (width <= window_width && height <= window_height && window_width - width < 8 &&
        window_height - height < 8) {
        to_width = width;
        to_height = height;
    }
    if (whole && to_width >= width && to_height >= height) {
        u32 x = to_width / width, y = to_height / height, factor = x < y ? x : y;
        to_width = width * factor;
        to_height = height * factor;
    }
    if (!to_width) to_width = 1;
    if (!to_height) to_height = 1;
    return (struct display_rect){window_width > to_width ? (window_width - to_width) / 2 : 0,
                                 window_height > to_height ? (window_height - to_height) / 2 : 0, to_width,
                                 to_height};
}
