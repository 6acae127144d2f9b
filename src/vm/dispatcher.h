/*
 * The dispatcher: the run loop of the classic VMM. It picks the engine, delivers interrupts, keeps time and
 * handles exits; every engine has the same signature: run this vCPU until an exit, return the reason.
 *
 * The guest's FPU state may be live in the host's registers whenever an engine has returned: what runs on
 * every exit is compiled without the FPU, and everything else parks it first.
 */
#ifndef RINGER_VM_DISPATCHER_H
#define RINGER_VM_DISPATCHER_H

#include "vm.h"

/* Do everything that is due (interrupts, timers, back ends, halts, resets) until guest code must run next.
 * Returns false once the machine has stopped. Sleeps while the guest is halted. */
bool dispatcher_settle(struct vm *vm);

/* Run guest code until an exit, and note what the exit means: a halt, a triple fault. */
enum exit_reason dispatcher_execute(struct vm *vm);
/* One instruction in the interpreter, likewise. */
enum exit_reason dispatcher_step(struct vm *vm);

/* Run the machine until it stops. */
void dispatcher_run(struct vm *vm);

#endif
