/*
 * --stats: every counter, and what follows from them.
 */
#ifndef RINGER_VM_STATS_H
#define RINGER_VM_STATS_H

#include "vm.h"

#include <stdio.h>

void stats_print(struct vm *vm, FILE *out);

#endif
