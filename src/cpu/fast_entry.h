/*
 * Short ways into the kernel and out of it, and of segment registers: what they cost is what a system call, a
 * page fault and a signal cost.
 *
 * Each does the whole of the common case (32-bit flat protected mode, gates and segments as every kernel of
 * today has them, everything touched within pages that have shadow entries) and returns true; or it has
 * changed nothing and returns false, and the general routine, which knows all cases, is to be called. So
 * nothing here raises, and no fault scope need be open. Translated code gets here without one
 * (translator_fast()), exception delivery on its way to the general routine.
 */
#ifndef RINGER_CPU_FAST_ENTRY_H
#define RINGER_CPU_FAST_ENTRY_H

#include "insn.h"
#include "system.h"

/* v->rip is the next instruction's, as for the routines of exec.h. */
typedef bool fast_routine(struct vcpu *v, const struct insn *i);
/* The short way of this instruction, or NULL. */
fast_routine *fast_routine_of(const struct insn *i);

/* interrupt_deliver() of the common case. */
bool fast_deliver(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error);

#endif
