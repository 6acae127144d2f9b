/* The tests of the 64-bit program. Those of programs/process.c are the same for both widths. */
#include "hazards64.h"

const struct test *const test_groups[] = {tests_addresses64, tests_code64,  tests_kernel64,
                                          tests_memory64,    tests_process, tests_segments64,
                                          tests_vectors64,   NULL};
