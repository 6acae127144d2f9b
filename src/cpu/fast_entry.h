/*
 * Fast routines of kernel entry, kernel exit and segment loads, on which the cost of system calls, page
 * faults and signals depends.
 *
 * Each routine does the whole of the common case (32-bit flat protected mode, gates and segments as today's
 * kernels have them, all memory in pages that have shadow entries) and returns true. Otherwise it changes
 * nothing and returns false, and the caller calls the general routine, which handles all cases. So nothing
 * here raises, and no fault scope is needed. Translated code calls them without one (translator_fast()),
 * exception delivery before the general routine.
 */
#ifndef RINGER_CPU_FAST_ENTRY_H
#define RINGER_CPU_FAST_ENTRY_H

#include "insn.h"
#include "system.h"

/* v->rip is the next instruction's address, as for the routines of exec.h. */
typedef bool fast_routine(struct vcpu *v, const struct insn *i);
/* The fast routine of this instruction, or NULL. */
fast_routine *fast_routine_of(const struct insn *i);

/* interrupt_deliver() for the common case. */
bool fast_deliver(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error);

#endif
