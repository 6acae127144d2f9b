/*
 * Compares two machines in lockstep at the same instruction count.
 */
#ifndef RINGER_VM_LOCKSTEP_COMPARE_H
#define RINGER_VM_LOCKSTEP_COMPARE_H

#include "cpu/memory.h"
#include "vm.h"

#include <stdio.h>

struct lockstep {
    struct vm *lead, *follow;
    struct options follow_options;
    struct write_log log; /* what the follower has written since the last comparison */
    struct vcpu before;   /* the leader's state at the last comparison: its first part only */
    u64 next_full_compare;
    u64 compared;
};

/* Both return the number of differences. With `out` they print the differences and compare all of memory. Without it
 * they compare what was written, and all of memory now and then. */
unsigned lockstep_compare(struct lockstep *l, FILE *out);
unsigned lockstep_compare_memory(struct lockstep *l, FILE *out);

#endif
