/* The tests of the 32-bit program. */
#include "hazards.h"

const struct test *const test_groups[] = {tests_code,    tests_control,  tests_memory,  tests_precise,
                                          tests_process, tests_segments, tests_signals, NULL};
