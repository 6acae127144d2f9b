/*
 * Raising guest exceptions from C code.
 *
 * fault_raise() and the like leave the routine at once (__builtin_longjmp to v->fault_jump). The instruction
 * must not have committed anything that the manual says it has not. A caller of routines that may raise opens
 * a fault scope:
 *
 *     if (FAULT_CATCH(v)) { ... v->fault is set ... } else { routine(v); }
 *
 * A fault belongs to the start of its instruction, so the code that catches it sets v->rip back to that. There
 * is one exception: v->in_new_task says that a task switch has committed and that the fault belongs to the new
 * task's first instruction (SDM 3A 7.3). exception_deliver() clears that flag.
 *
 * Scopes do not nest: a routine that needs a second one saves and restores v->fault_jump.
 */
#ifndef RINGER_CPU_FAULT_H
#define RINGER_CPU_FAULT_H

#include "vcpu.h"

#define FAULT_CATCH(v) __builtin_setjmp((v)->fault_jump)

_Noreturn void fault_raise(struct vcpu *v, u8 vector); /* no error code: #UD #NM #DE #MF ... */
_Noreturn void fault_raise_error(struct vcpu *v, u8 vector, u32 error); /* #GP #SS #NP #TS #AC */
_Noreturn void fault_raise_page(struct vcpu *v, u64 linear, u32 error);

#endif
