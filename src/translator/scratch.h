/*
 * R8 to R15 of 64-bit code rest in the vCPU. Within a block, r9 to r11 of the host may still have the value that an
 * instruction loaded or stored; then the next one need not load it again, and does not wait until the store is done.
 * Every change is stored at once, so the vCPU is right at each instruction, and forgetting is always safe.
 *
 * What writes r9 to r11 for such an instruction notes it. Other emitters use these registers as they like, and do not
 * note it, so all values are forgotten before and behind their code (translate.c).
 */
#ifndef RINGER_TRANSLATOR_SCRATCH_H
#define RINGER_TRANSLATOR_SCRATCH_H

#include "build.h"

_Static_assert(REG_ENTRY == REG_LINEAR + 1 && REG_TEMP == REG_LINEAR + 2,
               "scratch registers are numbered in order");

static inline bool scratch_is(u8 host)
{
    return host >= REG_LINEAR && host < REG_LINEAR + SCRATCH_COUNT;
}

static inline void scratch_forget(struct build *b)
{
    for (unsigned n = 0; n < SCRATCH_COUNT; n++)
        b->scratch[n] = 0;
}

/* The host register that has the value of a general register; HOST_NONE: none has. */
static inline u8 scratch_with(const struct build *b, u8 number)
{
    for (unsigned n = 0; n < SCRATCH_COUNT; n++)
        if (number >= 8 && b->scratch[n] == number) return (u8)(REG_LINEAR + n);
    return HOST_NONE;
}

static inline u32 scratch_bit(u8 host)
{
    return scratch_is(host) ? 1u << host : 0;
}

/* The host register has been written: with the value of a general register, or `number` 0: with something else. */
static inline void scratch_note(struct build *b, u8 host, u8 number)
{
    if (!scratch_is(host) || !b->rests) return;
    b->scratch[host - REG_LINEAR] = number;
    b->noted_at[host - REG_LINEAR] = (u8)b->n;
}

/* The register has changed in the vCPU, and the host register has its new value. HOST_NONE: none has. */
static inline void scratch_changed(struct build *b, u8 number, u8 host)
{
    for (unsigned n = 0; n < SCRATCH_COUNT; n++)
        if (b->scratch[n] == number) b->scratch[n] = 0;
    scratch_note(b, host, number);
}

/* A host register to write, none of those in `taken`: one that has no value, or that has its value longest. Checks of
 * the segment use r11, so it comes last. */
static inline u8 scratch_choose(const struct build *b, u32 taken)
{
    static const u8 order[SCRATCH_COUNT] = {REG_ENTRY, REG_LINEAR, REG_TEMP};
    u8 best = HOST_NONE;
    for (unsigned n = 0; n < SCRATCH_COUNT; n++) {
        unsigned at = order[n] - REG_LINEAR, other = best - REG_LINEAR;
        if (taken >> order[n] & 1) continue;
        if (!b->scratch[at]) return order[n];
        if (best == HOST_NONE || b->noted_at[at] < b->noted_at[other]) best = order[n];
    }
    return best;
}

#endif
