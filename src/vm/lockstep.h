/*
 * --lockstep: two deterministic machines from the same options, one with the translator and one with the
 * interpreter. The translator's machine leads: it runs some blocks. Then the interpreter's machine is stepped to
 * the same instruction count, and registers, flags, segments, control and FPU registers and the memory that was
 * written are compared. The first difference ends the run with both states and the listing of the block.
 *
 * Interrupts are delivered where the leader notices them; the follower is stepped past pending ones. So the
 * engines may differ in how soon they notice an interrupt, but in nothing else.
 */
#ifndef RINGER_VM_LOCKSTEP_H
#define RINGER_VM_LOCKSTEP_H

#include "vm.h"

/* Run `lead` (already made, engine: translate) against a second machine until it stops. Returns the exit
 * status; prints what there is to say. */
int lockstep_run(struct vm *lead);

#endif
