#include "debugger.h"

#include "cpu/memory.h"
#include "dispatcher.h"

void debugger_stop(struct vm *vm, enum debugger_cause cause)
{
    struct machine_debugger *d = &vm->debugger;
    fpu_park(&vm->vcpu);
    d->cause = cause;
    d->steps = false;
    d->stopped = true;
    wire_console_pause(&vm->chipset.console, true);
}

void debugger_attach(struct vm *vm)
{
    vm->vcpu.instruments.points = &vm->debugger.points;
}

void debugger_detach(struct vm *vm)
{
    if (!vm->vcpu.instruments.points) return;
    debug_points_clear_all(&vm->vcpu);
    vm->vcpu.instruments.points = NULL;
    vm->debugger.points.codes = 0;
    for (u32 n = 0; n < ARRAY_SIZE(vm->debugger.points.code_bits); n++)
        vm->debugger.points.code_bits[n] = 0;
    vm->debugger.steps = false;
}

void debugger_continue(struct vm *vm)
{
    vm->debugger.begins = false;
    vm->debugger.steps = false;
    wire_console_pause(&vm->chipset.console, false);
}

void debugger_step(struct vm *vm, u64 from, u64 to)
{
    struct machine_debugger *d = &vm->debugger;
    d->begins = false;
    d->steps = d->first = true;
    d->woken = false;
    d->range_from = from;
    d->range_to = to;
    wire_console_pause(&vm->chipset.console, false);
}

void debugger_breakpoint(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    struct machine_debugger *d = &vm->debugger;
    fpu_park(v);
    debug_points_pass(v); /* when it goes on, it executes the instruction */
    bool stops = !d->stops || d->stops(d->owner, segment_linear(v, SEG_CS, v->rip));
    if (stops && !(d->notes && d->notes(d->owner, DEBUGGER_BREAKPOINT)))
        debugger_stop(vm, DEBUGGER_BREAKPOINT);
    else
        dispatcher_step(vm);
}

void debugger_budget(struct vm *vm)
{
    struct machine_debugger *d = &vm->debugger;
    if (!d->arrived || vm->vcpu.icount < vm->time.budget) return;
    fpu_park(&vm->vcpu);
    d->arrived(d->owner);
}

void debugger_data_hit(struct vm *vm)
{
    struct machine_debugger *d = &vm->debugger;
    debug_points_forget_access(&vm->vcpu);
    fpu_park(&vm->vcpu);
    if (!d->notes || !d->notes(d->owner, DEBUGGER_DATA)) debugger_stop(vm, DEBUGGER_DATA);
}

enum exit_reason debugger_execute(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    struct machine_debugger *d = &vm->debugger;
    enum exit_reason reason = EXIT_NONE;
    if (!d->woken) {
        if (d->first) debug_points_pass(v);
        d->first = false;
        reason = dispatcher_step(vm);
        if (!d->steps) return reason; /* a code point within the range */
        if (vcpu_pending(v) & PENDING_DEBUGGER) return reason;
        if (reason == EXIT_NONE && v->rip - d->range_from < d->range_to - d->range_from) return reason;
        if (reason == EXIT_HALT) return reason; /* the step ends where an interrupt leads to */
    }
    debugger_stop(vm, DEBUGGER_STEPPED);
    return reason;
}
