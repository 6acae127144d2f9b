/*
 * Fast routines of kernel entry, kernel exit, segment loads, XSAVE and XRSTOR. The cost of system calls, page faults,
 * signals and switches of processes depends on them.
 *
 * Each routine does all of the common case and returns true, or changes nothing and returns false. Then the
 * caller calls the general routine, which handles all cases. The common cases are 32-bit flat protected mode and 64-bit
 * mode (fast_long.c), with gates and segments as today's kernels have them and all memory in pages with shadow entries.
 * No routine raises a fault, so none needs a fault scope. Their callers are translator_fast() and exception.c.
 */
#ifndef RINGER_CPU_FAST_ENTRY_H
#define RINGER_CPU_FAST_ENTRY_H

#include "insn.h"
#include "system.h"

/* v->rip is the next instruction's address, as for the routines of exec.h. */
typedef bool fast_routine(struct vcpu *v, const struct insn *i);
/* The fast routine of this instruction in 64-bit mode or in other code, or NULL. */
fast_routine *fast_routine_of(const struct insn *i, bool code64);

/* interrupt_deliver() for the common case. */
bool fast_deliver(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error);

/* fast_long.c: the same in IA-32e mode. */
bool fast_deliver_long(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error);
fast_routine fast_syscall, fast_sysret, fast_iretq;

/* exec_xsave.c */
fast_routine fast_xsave, fast_xsaveopt, fast_xsavec, fast_xrstor;

#endif
