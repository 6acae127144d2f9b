/*
 * The command line of the programs that run random tests: --seed, and --count or --seconds. A program adds options of
 * its own.
 */
#ifndef RINGER_LOCKSTEP_RANDOM_RUN_H
#define RINGER_LOCKSTEP_RANDOM_RUN_H

#include "base/types.h"

#include <stdbool.h>
#include <time.h>

/* Set the defaults before random_run_parse(). */
struct random_run {
    u64 seed, count, seconds; /* seconds: 0, or how long it runs instead of `count` tests */
    time_t start;
};

/* A flag, or an option with a text behind it. The last of an array has no name. */
struct own_option {
    const char *name;
    const char *argument; /* what the usage calls the text */
    bool *flag;
    const char **text;
};

/* Prints the seed. False, and a message: bad options; the exit status is 2. `own` may be NULL. */
bool random_run_parse(struct random_run *r, const struct own_option *own, int argc, char **argv);
/* Is there more to do after `done` tests? */
bool random_run_goes_on(const struct random_run *r, u64 done);

#endif
