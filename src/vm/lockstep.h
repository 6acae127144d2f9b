/*
 * --lockstep: two deterministic machines from the same options, one with the translator and one with the
 * interpreter. The translator's machine leads: it runs some blocks. The interpreter's machine follows to the same
 * instruction count. Then registers, flags, segments, control and FPU registers and the memory that was
 * written are compared. The first difference ends the run with both states and the listing of the block.
 *
 * Interrupts are delivered at the instruction at which the leader notices them. Until there the follower ignores
 * pending ones. So the engines may differ in how soon they notice an interrupt, but in nothing else.
 */
#ifndef RINGER_VM_LOCKSTEP_H
#define RINGER_VM_LOCKSTEP_H

#include "vm.h"

/* Before the sandbox is shut: load the library for the listing, because nothing can be loaded in the sandbox. */
void lockstep_prepare(void);

/* Make the follower of `lead`, a machine with the translator, and run both until `lead` stops. Prints differences.
 * Returns the exit status. */
int lockstep_run(struct vm *lead);

#endif
