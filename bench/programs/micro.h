/*
 * micro: one small, self-timed test a run. A test file has a table of tests; micro.c selects and times one.
 *
 * run(n) does n units of work and returns something computed from it, so that the compiler cannot drop the
 * work. The printed value is the time of a unit, divided by `per`. prepare() and finish() are outside the
 * measured time.
 */
#ifndef MICRO_H
#define MICRO_H

#include <stdint.h>

struct test {
    const char *name;
    /* The unit to which the printed time belongs: "element", "call", "4 KB". */
    const char *of;
    uint32_t (*run)(uint32_t n);
    double per;
    void (*prepare)(void);
    void (*finish)(void);
};

/* Each table ends with a row without a name. */
extern const struct test integer_tests[], sse_tests[], x87_tests[], call_tests[], memory_tests[],
    process_tests[], kernel_tests[];

/* Both end the process on failure: a benchmark with a missing part has no result. */
void *must_map(uint32_t bytes, int protection);
void must(int condition, const char *what);

/* The time between these two calls does not count. They enclose steps that the test does not measure. */
void clock_stop(void);
void clock_go(void);

/* The same numbers on every machine. */
static inline uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#endif
