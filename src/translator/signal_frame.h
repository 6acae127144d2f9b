/*
 * The one file that reads the host's signal frame. The host CPU raises on behalf of the guest what the
 * guest's own instruction deserved: #DE by DIV, #MF and #XM by unmasked floating-point exceptions (SIGFPE),
 * #GP by an SSE operand that is not aligned (SIGSEGV). The handler finds the guest instruction and sends it
 * to the interpreter, which raises the guest's exception exactly.
 *
 * And kicks: another thread has set a bit of vcpu.pending. When one arrives in translated code, the block
 * that runs is unlinked from all that its edges lead to, and the top of the shadow return stack (where its
 * RET would go) leads to a look-up; so it ends in C code, which looks at v->pending. When it arrives
 * elsewhere, that code may be about to enter or to resume a block, so the kick comes again a little later, as
 * long as the bit is set.
 */
#ifndef RINGER_TRANSLATOR_SIGNAL_FRAME_H
#define RINGER_TRANSLATOR_SIGNAL_FRAME_H

#include "sample.h"

/* Signals of this thread belong to this vCPU from now on; returns the one before. A signal has no argument of
 * ours, so this is the one thread-local variable. */
struct vcpu *signal_frame_watch(struct vcpu *v);

#endif
