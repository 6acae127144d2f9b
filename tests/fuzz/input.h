/*
 * A fuzz target's input, taken in pieces. Behind its end everything is 0.
 */
#ifndef RINGER_TESTS_FUZZ_INPUT_H
#define RINGER_TESTS_FUZZ_INPUT_H

#include "base/types.h"

struct input {
    const u8 *at, *end;
};

/* The next bytes, the lowest first. */
static inline u32 take(struct input *in, unsigned bytes)
{
    u32 value = 0;
    for (unsigned n = 0; n < bytes && in->at < in->end; n++)
        value |= (u32)*in->at++ << 8 * n;
    return value;
}

#endif
