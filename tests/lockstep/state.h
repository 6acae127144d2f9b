/*
 * Random start states for the oracle, and their comparison.
 */
#ifndef RINGER_LOCKSTEP_STATE_H
#define RINGER_LOCKSTEP_STATE_H

#include "study/native.h"

#include <stdio.h>

/* xorshift64*: the sequence belongs to the seed. */
struct random {
    u64 state;
};

u64 random_next(struct random *r);
static inline unsigned random_below(struct random *r, unsigned n)
{
    return (unsigned)((random_next(r) >> 33) % n);
}
static inline bool random_chance(struct random *r, unsigned percent)
{
    return random_below(r, 100) < percent;
}

/* A boundary value in most cases. */
u32 random_u32(struct random *r);
void random_bytes(struct random *r, u8 *to, unsigned bytes);

/* A start state: registers with boundary values, ESP and EBP in the scratch area, all arithmetic flags, FPU
 * and SSE registers with zeros, denormals, infinities, NaNs, integers; mostly masked exceptions. */
void state_random(struct state *s, struct random *r);
/* The upper halves of the YMM registers, which are 0 otherwise. */
void state_random_ymm(struct state *s, struct random *r);

/* Differences between two ends, one line each with `names[2]`; returns their number. Flags are compared under
 * the mask. The FPU's last instruction and data pointers are not compared: they are those of the code that executed
 * it. */
unsigned state_compare(const struct state *a, const struct state *b, u32 flags_mask,
                       const char *const names[2], FILE *out);
void state_print(const struct state *s, FILE *out);

#endif
