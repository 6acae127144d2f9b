/*
 * The interpreter: complete, exact, the oracle. Also the emulation routines that translated code calls out
 * to.
 */
#ifndef RINGER_CPU_INTERP_H
#define RINGER_CPU_INTERP_H

#include "insn.h"

/* The engine: run until an exit. Stops before the first instruction when v->pending is set (unless an
 * interrupt shadow holds); honours TF, breakpoints and icount_limit; checks v->pending after every
 * instruction. */
enum exit_reason interp_run(struct vcpu *v);

/* Exactly one instruction at CS:EIP (one iteration batch of a rep string), pending or not; faults it raises
 * are delivered; traps (TF, breakpoints) too. Counts one in icount. */
enum exit_reason interp_step(struct vcpu *v);

/* For translated code: execute this decoded instruction, which is the one at v->rip; no TF, no breakpoints
 * (the dispatcher sees to that), icount is the caller's. Faults are delivered. Afterwards v->rip is where to
 * go on: the next instruction, a branch target, a handler, or the instruction itself (a rep string
 * interrupted by v->pending). Handles v->inhibit: cleared before, set by STI / MOV SS / POP SS. */
enum exit_reason interp_callout(struct vcpu *v, const struct insn *i, bool plain);
/* No check is due before the instruction's routine, ever: what `plain` may say. */
bool insn_is_plain(const struct vcpu *v, const struct insn *i);

/* For translated code: as much of a repeated MOVS, STOS, SCAS or CMPS as can be done by the page,
 * through segments that translated code may reach. True: it is done. False: the registers say how far it got,
 * and the rest (a fault, a device, code, an element across pages, something pending) is interp_callout()'s.
 * Never raises. */
bool string_in_bulk(struct vcpu *v, const struct insn *i);

/* The decode cache: instructions by guest-physical address. Returns 0 or -errno. */
int interp_init(struct vcpu *v);
void interp_destroy(struct vcpu *v);
/* Code bytes changed (any writer): forget what was decoded there. Called through phys->code_written. Returns
 * whether any decoded instruction is left in the page (so that PHYS_CODE can be dropped when the translator
 * agrees). */
bool interp_code_written(struct vcpu *v, u64 gpa, u64 bytes);

/* For the handler of SIGFPE, which must be installed before an interpreter runs: the host CPU has raised an
 * exception at `pc`. Where to go on if the interpreter executed a guest instruction there (the guest gets the
 * exception then), else 0. */
u64 interp_host_exception(u64 pc);

#endif
