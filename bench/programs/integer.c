/*
 * Integer user code: loops, hashes, sorting, chains of loads, bytes and strings. Nothing here makes a system
 * call while it is measured.
 */
#include "micro.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SIEVE = 1 << 16, WORDS = 2048, SORTED = 1 << 20, NODE_BYTES = 64, TEXT = 1 << 16 };

static uint32_t sieve(uint32_t n)
{
    static uint8_t composite[SIEVE];
    uint32_t primes = 0;
    while (n--) {
        memset(composite, 0, sizeof(composite));
        for (uint32_t i = 2; i < SIEVE; i++) {
            if (composite[i]) continue;
            primes++;
            for (uint32_t j = i + i; j < SIEVE; j += i)
                composite[j] = 1;
        }
    }
    return primes;
}

/* The hashed words fit in the first-level cache, and go through independent lanes, as in hash functions. */
static uint32_t words[WORDS];

static void words_prepare(void)
{
    uint32_t state = 9;
    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = random_next(&state) * 257;
}

static uint32_t rotated(uint32_t x, int count)
{
    return x << count | x >> (32 - count);
}

static uint32_t mix32(uint32_t n)
{
    uint32_t a = n, b = 1, c = 2;
    while (n--) {
        for (uint32_t i = 0; i < WORDS; i += 4) {
            a = rotated(a + words[i] * 0x85ebca77u, 13) * 0x9e3779b1u;
            b = rotated(b ^ (words[i + 1] + i), 7) - (words[i + 3] >> 5);
            c += (words[i + 2] ^ c >> 3) + (words[i + 3] & 0xff00ff);
        }
    }
    return a ^ b ^ c;
}

static uint32_t mix64(uint32_t n)
{
    uint64_t a = n, b = 1;
    while (n--) {
        for (uint32_t i = 0; i < WORDS; i += 2) {
            uint64_t w = (uint64_t)words[i] << 32 | words[i + 1];
            a += w * 0x9e3779b97f4a7c15ull;
            b = (b ^ w) + (b << 9) - (w >> 29);
        }
    }
    return (uint32_t)(a ^ a >> 32 ^ b ^ b >> 32);
}

static uint32_t div64(uint32_t n)
{
    uint64_t h = 0x123456789abcdefull;
    for (uint32_t i = 0; i < n * 1000; i++)
        h = h / (i | 3) + ((uint64_t)i << 40);
    return (uint32_t)h;
}

static uint32_t *sorted;

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_prepare(void)
{
    sorted = must_map(SORTED * sizeof(*sorted), PROT_READ | PROT_WRITE);
}

static uint32_t sort(uint32_t n)
{
    uint32_t state = 1;
    while (n--) {
        for (uint32_t i = 0; i < SORTED; i++)
            sorted[i] = random_next(&state);
        qsort(sorted, SORTED, sizeof(*sorted), compare);
    }
    return sorted[SORTED / 2];
}

/* A ring of cache lines in random order. Sattolo's shuffle makes it a single cycle. */
struct node {
    struct node *next;
    uint8_t fill[NODE_BYTES - sizeof(void *)];
};
static struct node *ring;

static void ring_prepare(uint32_t bytes)
{
    uint32_t count = bytes / NODE_BYTES, state = 7, *order = malloc(count * sizeof(*order));
    must(order != NULL, "malloc");
    ring = must_map(bytes, PROT_READ | PROT_WRITE);
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = random_next(&state) % i, t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (uint32_t i = 0; i < count; i++)
        ring[order[i]].next = &ring[order[(i + 1) % count]];
    free(order);
}

static void ring_small(void)
{
    ring_prepare(16 << 10);
}
static void ring_large(void)
{
    ring_prepare(32 << 20);
}

static uint32_t chase(uint32_t n)
{
    struct node *at = ring;
    for (uint32_t i = 0; i < n * 256; i++)
        at = at->next;
    return (uint32_t)(at - ring);
}

static char text[TEXT + 1];

static void text_prepare(void)
{
    uint32_t state = 3;
    for (uint32_t i = 0; i < TEXT; i++) {
        uint32_t r = random_next(&state);
        text[i] = (char)(r % 23 == 0 ? ' ' : 'a' + r % 26);
    }
}

/* A checksum and a histogram, a byte at a time. */
static uint32_t bytes(uint32_t n)
{
    static uint32_t histogram[256];
    uint32_t a = 1, b = 0;
    while (n--) {
        for (uint32_t i = 0; i < TEXT; i++) {
            uint8_t c = (uint8_t)text[i];
            a += c;
            b += a;
            histogram[c]++;
        }
    }
    return a ^ b ^ histogram['e'];
}

static size_t own_strlen(const char *s)
{
    const char *p = s;
    while (*p) {
        /* Keeps the compiler from turning this loop into a library call. */
        __asm__ volatile("");
        p++;
    }
    return (size_t)(p - s);
}

static const char *own_strchr(const char *s, char c)
{
    for (; *s != c; s++)
        if (!*s) return NULL;
    return s;
}

static uint32_t strings(uint32_t n)
{
    uint32_t words = 0, length = 0;
    while (n--) {
        length += own_strlen(text);
        for (const char *p = text; (p = own_strchr(p, ' ')); p++)
            words++;
    }
    return words ^ length;
}

const struct test integer_tests[] = {
    {"sieve", "number", sieve, SIEVE, NULL, NULL},
    {"mix32", "word", mix32, WORDS, words_prepare, NULL},
    {"mix64", "64-bit word", mix64, WORDS / 2, words_prepare, NULL},
    {"div64", "division", div64, 1000, NULL, NULL},
    {"qsort", "element of 1 M", sort, SORTED, sort_prepare, NULL},
    {"chase16k", "load", chase, 256, ring_small, NULL},
    {"chase32m", "load", chase, 256, ring_large, NULL},
    {"bytes", "byte", bytes, TEXT, text_prepare, NULL},
    {"strings", "byte", strings, 2.0 * TEXT, text_prepare, NULL},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
