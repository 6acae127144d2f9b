/*
 * --stats and --stats-json: every counter, and what follows from them.
 */
#ifndef RINGER_OBSERVE_STATS_H
#define RINGER_OBSERVE_STATS_H

#include "vm/vm.h"

#include <stdio.h>

void stats_print(struct vm *vm, FILE *out);
/* The same for programs: one object, the counters under their names in base/counters.h. */
void stats_print_json(const struct vm *vm, FILE *out);

#endif
