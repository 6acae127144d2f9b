/*
 * Multiplicative hashing (Knuth, The Art of Computer Programming 3, 6.4): the product's upper bits depend on
 * all bits of the key.
 */
#ifndef RINGER_BASE_HASH_H
#define RINGER_BASE_HASH_H

#include "types.h"

/* 2^64 divided by the golden ratio. */
#define HASH_MULTIPLIER 0x9e3779b97f4a7c15ull

static inline u64 hash_multiply(u64 key)
{
    return key * HASH_MULTIPLIER;
}

/* The output function of splitmix64 (Steele, Lea & Flood, OOPSLA 2014). The caller advances the state z by
 * HASH_MULTIPLIER for each number. */
static inline u64 hash_splitmix(u64 z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

#endif
