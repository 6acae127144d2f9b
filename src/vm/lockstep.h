/*
 * --lockstep: two whole deterministic machines made from the same options, one under the translator, one
 * under the interpreter. The translator's machine leads: it runs some blocks; the interpreter's is stepped to
 * the same instruction count; registers, flags, segments, control and FPU registers and the memory written
 * are compared. The first difference ends the run with both states and the listings of the block.
 *
 * Interrupts are delivered where the leader notices them (the follower is stepped past pending ones), so the
 * engines may differ in how soon they look, but in nothing else.
 */
#ifndef RINGER_VM_LOCKSTEP_H
#define RINGER_VM_LOCKSTEP_H

#include "vm.h"

/* Run `lead` (already made, engine: translate) against a second machine until it stops. Returns the exit
 * status; prints what there is to say. */
int lockstep_run(struct vm *lead);

#endif
