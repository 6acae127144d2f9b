/*
 * Blocks of memory, by the C library and by single instructions, and locked operations. As in any program,
 * CPUID decides which memcpy the library uses.
 */
#include "micro.h"
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGEST = 1 << 20, APART = 5 * 4096 + 1024 };

static uint8_t *from, *to;

static void prepare(void)
{
    /* Not a power of two apart, which is the worst case for direct-mapped caches and for QEMU's table of pages. */
    from = must_map(2 * LARGEST + APART, PROT_READ | PROT_WRITE);
    to = from + LARGEST + APART;
    for (uint32_t i = 0; i < LARGEST; i++)
        from[i] = to[i] = (uint8_t)i;
}

/* Hides the size from the compiler, which would otherwise copy small blocks inline. */
static inline uint32_t opaque(uint32_t bytes)
{
    __asm__ volatile("" : "+r"(bytes)::"memory");
    return bytes;
}

static void rep_movsb(uint32_t bytes)
{
    void *d = to;
    const void *s = from;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(bytes)::"memory");
}

static void rep_movsd(uint32_t bytes)
{
    void *d = to;
    const void *s = from;
    uint32_t count = bytes / 4;
    __asm__ volatile("rep movsl" : "+D"(d), "+S"(s), "+c"(count)::"memory");
}

static void rep_stosd(uint32_t bytes)
{
    void *d = to;
    uint32_t count = bytes / 4;
    __asm__ volatile("rep stosl" : "+D"(d), "+c"(count) : "a"(0x5a5a5a5a) : "memory");
}

#define CALL_memcpy(bytes)    memcpy(to, from, opaque(bytes))
#define CALL_memset(bytes)    memset(to, 0x5a, opaque(bytes))
#define CALL_rep_movsb(bytes) rep_movsb(bytes)
#define CALL_rep_movsd(bytes) rep_movsd(bytes)
#define CALL_rep_stosd(bytes) rep_stosd(bytes)

#define SIZES(X, operation)                                                                                  \
    X(operation, 64, 64, "64 B")                                                                             \
    X(operation, 4k, 4096, "4 KB")                                                                           \
    X(operation, 64k, 65536, "64 KB")                                                                        \
    X(operation, 1m, 1048576, "1 MB")
#define OPERATIONS(X)                                                                                        \
    SIZES(X, memcpy) SIZES(X, memset) SIZES(X, rep_movsb) SIZES(X, rep_movsd) SIZES(X, rep_stosd)

#define FUNCTION(operation, size, bytes, text)                                                               \
    static uint32_t operation##_##size(uint32_t n)                                                           \
    {                                                                                                        \
        while (n--)                                                                                          \
            CALL_##operation(bytes);                                                                         \
        return to[(bytes) / 2];                                                                              \
    }
OPERATIONS(FUNCTION)
#undef FUNCTION

static volatile uint32_t word;

static uint32_t locked_add(uint32_t n)
{
    for (uint32_t i = 0; i < n * 100; i++)
        __asm__ volatile("lock addl $3, %0" : "+m"(word)::"cc");
    return word;
}

static uint32_t cmpxchg(uint32_t n)
{
    uint32_t seen = word;
    for (uint32_t i = 0; i < n * 100; i++)
        __asm__ volatile("lock cmpxchgl %2, %1" : "+a"(seen), "+m"(word) : "r"(i) : "cc");
    return seen;
}

static uint32_t cmpxchg8b(uint32_t n)
{
    static uint64_t pair __attribute__((aligned(8)));
    for (uint32_t i = 0; i < n * 100; i++)
        __atomic_fetch_add(&pair, 5, __ATOMIC_SEQ_CST);
    return (uint32_t)pair;
}

const struct test memory_tests[] = {
#define ROW(operation, size, bytes, text) {#operation "-" #size, text, operation##_##size, 1, prepare, NULL},
    OPERATIONS(ROW)
#undef ROW
        {"lock-add", "instruction", locked_add, 100, NULL, NULL},
    {"lock-cmpxchg", "instruction", cmpxchg, 100, NULL, NULL},
    {"lock-cmpxchg8b", "addition", cmpxchg8b, 100, NULL, NULL},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
