/*
 * The callbacks of struct phys: a write to guest memory makes code, shadow entries or the picture stale.
 */
#ifndef RINGER_VM_MEMORY_EVENTS_H
#define RINGER_VM_MEMORY_EVENTS_H

#include "base/types.h"

struct vm;

/* Set these callbacks of vm->phys. */
void memory_events_wire(struct vm *vm);
/* Other memory answers at [gpa, gpa + bytes) than before. */
void memory_changed_at(struct vm *vm, u64 gpa, u64 bytes);

#endif
