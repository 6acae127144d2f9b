/*
 * The short integer names, and a few helpers that every module uses.
 */
#ifndef RINGER_BASE_TYPES_H
#define RINGER_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef unsigned long long ull; /* for printf */

#define ARRAY_SIZE(a)            (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, m) ((type *)((char *)(p)-offsetof(type, m)))
#define likely(x)                __builtin_expect(!!(x), 1)
#define unlikely(x)              __builtin_expect(!!(x), 0)

/* The page size of x86, the guest's and the host's. */
#define PAGE_SHIFT 12
#define PAGE_SIZE  (1u << PAGE_SHIFT)
#define PAGE_MASK  (PAGE_SIZE - 1)

static inline u64 align_up(u64 v, u64 to)
{
    return (v + to - 1) & ~(to - 1);
}

/* Values that need not be aligned: guest operands, fields of instructions. */
typedef u16 any16 __attribute__((aligned(1), may_alias));
typedef u32 any32 __attribute__((aligned(1), may_alias));
typedef u64 any64 __attribute__((aligned(1), may_alias));

/* Load or store 1, 2, 4 or 8 bytes in one host access. */
static inline u64 load_any(const u8 *at, unsigned size)
{
    switch (size) {
    case 1: return *at;
    case 2: return *(const any16 *)at;
    case 4: return *(const any32 *)at;
    default: return *(const any64 *)at;
    }
}
static inline void store_any(u8 *at, unsigned size, u64 value)
{
    switch (size) {
    case 1: *at = (u8)value; break;
    case 2: *(any16 *)at = (u16)value; break;
    case 4: *(any32 *)at = (u32)value; break;
    default: *(any64 *)at = value;
    }
}

/* The low `size` bytes of a value; size 1, 2, 4 or 8. */
static inline u64 mask_bytes(u64 v, unsigned size)
{
    return size >= 8 ? v : v & ((1ull << (size * 8)) - 1);
}

#endif
