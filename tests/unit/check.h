/*
 * A minimal test framework: CHECK(condition) and CHECK_EQ(actual, expected) count, print what failed and where, and go
 * on. main() ends with return check_report().
 */
#ifndef RINGER_TESTS_CHECK_H
#define RINGER_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>

static unsigned check_count, check_failures;

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        check_count++;                                                                                       \
        if (!(condition)) {                                                                                  \
            check_failures++;                                                                                \
            printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                                   \
        }                                                                                                    \
    } while (0)

#define CHECK_EQ(actual, expected)                                                                           \
    do {                                                                                                     \
        unsigned long long check_a = (unsigned long long)(actual), check_e = (unsigned long long)(expected); \
        check_count++;                                                                                       \
        if (check_a != check_e) {                                                                            \
            check_failures++;                                                                                \
            printf("%s:%d: %s is %#llx, expected %#llx\n", __FILE__, __LINE__, #actual, check_a, check_e);   \
        }                                                                                                    \
    } while (0)

/* A program fails after a failed check even if its main() returns something else than check_report(). */
__attribute__((destructor)) static void check_at_exit(void)
{
    if (!check_failures) return;
    fflush(stdout);
    _Exit(EXIT_FAILURE);
}

static inline int check_report(void)
{
    printf("%u checks, %u failed\n", check_count, check_failures);
    return check_failures != 0;
}

#endif
