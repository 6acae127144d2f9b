/*
 * The machine's answers to struct phys: what writes to guest memory make stale.
 */
#ifndef RINGER_VM_MEMORY_EVENTS_H
#define RINGER_VM_MEMORY_EVENTS_H

struct vm;

/* Set these callbacks of vm->phys. */
void memory_events_wire(struct vm *vm);

#endif
