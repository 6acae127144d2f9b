/*
 * The interpreter. It is complete and exact: tests take it as the oracle. Translated code calls its routines.
 */
#ifndef RINGER_CPU_INTERP_H
#define RINGER_CPU_INTERP_H

#include "insn.h"

/* The engine: run until an exit. Before each instruction it tests v->pending (unless v->inhibit holds
 * interrupts off) and icount_limit. It honours TF and breakpoints, the guest's and a
 * debugger's (debug_points.h). */
enum exit_reason interp_run(struct vcpu *v);

/* Execute one instruction at CS:EIP, or one run of a repeated string instruction, without looking at v->pending.
 * Faults and traps (TF, breakpoints) are delivered. Adds one to icount. Where a debugger has a code point it
 * executes nothing and returns EXIT_BREAKPOINT. */
enum exit_reason interp_step(struct vcpu *v);

/* For translated code: execute the decoded instruction at v->rip. TF and breakpoints are not armed: the
 * dispatcher would have chosen interp_run(). The caller counts icount. Faults are delivered. Afterwards v->rip
 * is the next instruction, a branch target, a handler, or the same instruction (a repeated string instruction
 * that v->pending interrupted). v->inhibit is what this instruction leaves: set by STI, MOV SS and POP SS. */
enum exit_reason interp_callout(struct vcpu *v, const struct insn *i, bool plain);
/* Can the instruction's routine be called without checks, always? If so, `plain` may be true. */
bool insn_is_plain(const struct vcpu *v, const struct insn *i);

/* For translated code: do as much of a repeated MOVS, STOS, SCAS or CMPS as can be done page by page through
 * segments that translated code may use. True: all is done. False: the registers say how much was done, and
 * interp_callout() must do the rest (a fault, a device, code, an element across pages, something pending).
 * Never raises. */
bool string_in_bulk(struct vcpu *v, const struct insn *i);

/* Make the decode cache and the thunks. Returns 0 or -errno. */
int interp_init(struct vcpu *v);
void interp_destroy(struct vcpu *v);
/* Code bytes changed, by the CPU or a device: drop what was decoded from them. Returns whether the page has
 * decoded instructions left. If not, and the translator has no blocks there, PHYS_CODE can be dropped. */
bool interp_code_written(struct vcpu *v, u64 gpa, u64 bytes);

/* For the handler of SIGFPE, which must be installed before an interpreter runs: the host CPU has raised an
 * exception at `pc`. If the interpreter executed a guest instruction there, returns the host address at which to
 * go on, and the guest gets the exception. Otherwise 0. */
u64 interp_host_exception(u64 pc);

#endif
