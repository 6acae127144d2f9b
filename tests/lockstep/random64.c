#include "random64.h"

#include "base/hash.h"

#include <string.h>

static u64 state = 1;

void random64_seed(u64 seed)
{
    state = seed << 32;
}

u64 random64(void)
{
    return hash_splitmix(state++ * HASH_MULTIPLIER);
}

u64 random64_below(u64 n)
{
    return random64() % n;
}

bool random64_chance(unsigned percent)
{
    return random64_below(100) < percent;
}

u64 random64_boundary(void)
{
    static const u64 values[] = {0,          1,          0x7f,        0x80,       0xff,       0x7fff,
                                 0x8000,     0xffff,     0x7fffffff,  0x80000000, 0xffffffff, 1ull << 47,
                                 1ull << 63, ~0ull >> 1, ~0ull << 47, UINT64_MAX, 31,         63};
    u64 value = random64_chance(50) ? random64() : values[random64_below(ARRAY_SIZE(values))];
    return random64_chance(20) ? (u64)(s32)value : random64_chance(10) ? value >> random64_below(64) : value;
}

void random64_fill(u8 *to, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n += 8)
        memcpy(to + n, &(u64){random64_boundary()}, 8);
}
