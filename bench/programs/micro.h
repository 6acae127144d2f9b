/*
 * micro: one small, self-timed test a run. A test file offers a table of tests; micro.c chooses and times.
 *
 * run(n) does n units of work and returns anything computed from it, so that the compiler cannot drop it. The
 * time of a unit is what is printed, divided by `per`. prepare() and finish() are outside the measured time.
 */
#ifndef MICRO_H
#define MICRO_H

#include <stdint.h>

struct test {
    const char *name;
    /* What one printed figure is the time of, for people: "element", "call", "4 KB". */
    const char *of;
    uint32_t (*run)(uint32_t n);
    double per;
    void (*prepare)(void);
    void (*finish)(void);
};

/* Each ends with a row without a name. */
extern const struct test integer_tests[], sse_tests[], x87_tests[], call_tests[], memory_tests[],
    process_tests[], kernel_tests[];

/* Both end the process when they cannot do what they should: a benchmark with a hole in it has no result. */
void *must_map(uint32_t bytes, int protection);
void must(int condition, const char *what);

/* Between the two no time is counted: for what a test must do in between and does not mean. */
void clock_stop(void);
void clock_go(void);

/* The same numbers on every machine. */
static inline uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#endif
