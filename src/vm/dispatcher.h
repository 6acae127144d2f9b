/*
 * The dispatcher: the run loop of the classic VMM. It picks the engine, delivers interrupts, keeps time and
 * handles exits. Every engine runs a vCPU until an exit and returns the reason.
 *
 * When an engine returns, the guest's FPU state may be live in the host's registers. Code that runs on every exit
 * is compiled for general registers only; other code parks or shelters the FPU first.
 */
#ifndef RINGER_VM_DISPATCHER_H
#define RINGER_VM_DISPATCHER_H

#include "vm.h"

/* Do everything that is due (interrupts, timers, back ends, halts, resets) until guest code must run next.
 * Returns false once the machine has stopped. Sleeps while the guest is halted. */
bool dispatcher_settle(struct vm *vm);

/* Run guest code until an exit, and act on halts and triple faults. */
enum exit_reason dispatcher_execute(struct vm *vm);
/* The same for one instruction in the interpreter. */
enum exit_reason dispatcher_step(struct vm *vm);

/* Run the machine until it stops. */
void dispatcher_run(struct vm *vm);

#endif
