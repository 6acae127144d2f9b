/*
 * Raising guest exceptions: record the fault, and jump to the fault scope (fault.h).
 */
#include "fault.h"

_Noreturn static void raise_fault(struct vcpu *v, struct fault fault)
{
    v->fault = fault;
    __builtin_longjmp(v->fault_jump, 1);
}

void fault_raise(struct vcpu *v, u8 vector)
{
    raise_fault(v, (struct fault){.vector = vector});
}

void fault_raise_error(struct vcpu *v, u8 vector, u32 error)
{
    raise_fault(v, (struct fault){.vector = vector, .has_error = true, .error = error});
}

void fault_raise_page(struct vcpu *v, u64 linear, u32 error)
{
    v->fault_address = linear;
    raise_fault(v, (struct fault){.vector = VEC_PF, .has_error = true, .error = error});
}
