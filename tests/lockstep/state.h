/*
 * The user-visible state that the oracle compares, the map of the addresses it uses, and the random numbers.
 *
 * Native code and guests see the same linear addresses. So these are low, where a 64-bit process can map them and a small
 * guest has RAM.
 */
#ifndef RINGER_LOCKSTEP_STATE_H
#define RINGER_LOCKSTEP_STATE_H

#include "base/types.h"

#include <stdio.h>

#define NATIVE_AT     0x180000u /* native frame and return stub (not seen by guests) */
#define CODE_AT       0x200000u
#define CODE_BYTES    0x2000u
#define SCRATCH_AT    0x300000u
#define SCRATCH_BYTES 0x3000u

/* Selectors of a 64-bit Linux process in 32-bit code; guests are given the same. */
#define USER_CS 0x23
#define USER_DS 0x2b

/* How a run ends without a fault: INT 81h in a guest, a far jump out of native code. */
#define VECTOR_END 0x81

#define FLAGS_ARITH 0x8d5u
#define FLAGS_DF    0x400u
#define FLAGS_IF    0x200u

struct state {
    u32 gpr[8];
    u32 eflags;
    u32 eip;
    u32 vector; /* VECTOR_END or an exception's; eip is that of the frame */
    u32 error;
    _Alignas(64) u8 fx[512]; /* FXSAVE image */
};

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

/* Boundary values more often than not. */
u32 random_u32(struct random *r);
void random_bytes(struct random *r, u8 *to, unsigned bytes);

/* A start state: registers with boundary values, ESP and EBP in the scratch area, all arithmetic flags, FPU
 * and SSE registers with zeros, denormals, infinities, NaNs, integers; mostly masked exceptions. */
void state_random(struct state *s, struct random *r);

/* Differences between two ends, one line each with `names[2]`; returns their number. Flags are compared under
 * the mask. The FPU's last instruction and data pointers are not compared: they are those of the code that executed
 * it. */
unsigned state_compare(const struct state *a, const struct state *b, u32 flags_mask,
                       const char *const names[2], FILE *out);
void state_print(const struct state *s, FILE *out);

#endif
