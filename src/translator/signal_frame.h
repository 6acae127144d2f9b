/*
 * The one file that reads the host's signal frame.
 *
 * Exceptions. The guest's own instruction in translated code raises an exception of the host CPU: #DE by DIV, #MF and
 * #XM by unmasked floating-point exceptions (SIGFPE), #GP by a misaligned SSE operand, #PF in a host window (SIGSEGV).
 * The handler finds the guest instruction and sends it to the interpreter, which raises the guest's exception exactly.
 * For a page fault it first tries to map the page.
 *
 * Kicks. Another thread has set a bit of vcpu.pending. If the kick interrupts translated code, the handler unlinks the
 * edges of the running block and redirects the top of the shadow return stack, where its RET would go, to
 * thunk_return_miss. So the block ends in C code, which tests v->pending. If the kick interrupts other code, that may
 * be about to enter a block, so a timer repeats the kick as long as the bit is set.
 */
#ifndef RINGER_TRANSLATOR_SIGNAL_FRAME_H
#define RINGER_TRANSLATOR_SIGNAL_FRAME_H

#include "sample.h"

/* Attribute this thread's signals to `v` (NULL: to no vCPU) from now on. Returns the vCPU before. The vCPU is in a
 * thread-local variable, because a signal handler has no argument for it. */
struct vcpu *signal_frame_set_vcpu(struct vcpu *v);

#endif
