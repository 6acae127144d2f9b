/*
 * R8 to R15 of 64-bit code rest in the vCPU. Within a block, r9 to r11 of the host may still have the value that an
 * instruction loaded or stored; then the next one need not load it again, and does not wait until the store is done.
 * Every change is stored at once, so the vCPU is right at each instruction, and forgetting is always safe.
 *
 * Only rewrite.c notes values. All other code uses these registers as it likes: the values are forgotten before each
 * instruction that rewrite.c does not emit, and when an access needs more code than its operand.
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

/* The register has changed in the vCPU alone. */
static inline void scratch_drop(struct build *b, u8 number)
{
    for (unsigned n = 0; n < SCRATCH_COUNT; n++)
        if (b->scratch[n] == number) b->scratch[n] = 0;
}

/* The host register has been written: with the value of a general register, or `number` 0: with something else. */
static inline void scratch_note(struct build *b, u8 host, u8 number)
{
    if (!scratch_is(host)) return;
    if (number) scratch_drop(b, number);
    b->scratch[host - REG_LINEAR] = number;
}

#endif
