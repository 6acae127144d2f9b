/* The random numbers of the 64-bit tests: the same ones after the same seed. */
#ifndef RINGER_LOCKSTEP_RANDOM64_H
#define RINGER_LOCKSTEP_RANDOM64_H

#include "base/types.h"

#include <stdbool.h>

void random64_seed(u64 seed);
u64 random64(void);
u64 random64_below(u64 n);
bool random64_chance(unsigned percent);
/* A random number, often one at the boundary of a size. */
u64 random64_boundary(void);
/* Such numbers, side by side. */
void random64_fill(u8 *to, unsigned bytes);

#endif
