/*
 * Delivery of exceptions and external interrupts, with the escalation to #DF and shutdown (SDM 3A 6.15
 * "Interrupt 8", table 6-5). Nothing here raises.
 */
#include "fast_entry.h"
#include "memory.h"
#include "system.h"

#define DR7_GD (1u << 13)
/* DEBUGCTL.LBR and BTF are cleared on the way to a #DB handler (SDM 3B 17.4.1). */
#define DEBUGCTL_CLEARED 3

enum exception_class { CLASS_NONE, CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

static enum exception_class exception_class(u8 vector)
{
    switch (vector) {
    case VEC_DE:
    case VEC_TS:
    case VEC_NP:
    case VEC_SS:
    case VEC_GP: return CLASS_CONTRIBUTORY;
    case VEC_PF: return CLASS_PAGE_FAULT;
    case VEC_DF: return CLASS_DOUBLE_FAULT;
    default: return CLASS_BENIGN;
    }
}

/* One attempt to deliver, in a fault scope of its own. False: v->fault has the reason. */
static __attribute__((noinline)) bool attempt(struct vcpu *v, const struct fault *event,
                                              enum interrupt_source source)
{
    void *outer[ARRAY_SIZE(v->fault_jump)];
    for (unsigned i = 0; i < ARRAY_SIZE(outer); i++)
        outer[i] = v->fault_jump[i];
    bool delivered;
    if (FAULT_CATCH(v)) {
        delivered = false;
    } else {
        interrupt_deliver(v, event->vector, source, event->has_error, event->error);
        delivered = true;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(outer); i++)
        v->fault_jump[i] = outer[i];
    return delivered;
}

static bool makes_double_fault(enum exception_class first, enum exception_class second)
{
    if (first == CLASS_CONTRIBUTORY) return second == CLASS_CONTRIBUTORY;
    return first == CLASS_PAGE_FAULT && second != CLASS_BENIGN;
}

/* Instruction breakpoints come before all other faults of an instruction, general detect included. */
static bool is_code_breakpoint(const struct vcpu *v, const struct fault *fault)
{
    return fault->vector == VEC_DB && debug_match_code(v, segment_linear(v, SEG_CS, v->rip));
}

/* Set the state that the handler of a fault finds. */
static void prepare_fault(struct vcpu *v, const struct fault *fault)
{
    v->in_new_task = false;
    v->counters->exceptions++;
    if (fault->vector == VEC_PF) {
        v->cr2 = v->fault_address;
        v->counters->page_faults++;
        note_event(v->counters->events, EVENT_INTERRUPT_PAGE_FAULT, v->cr2, fault->error, v->rip);
    } else {
        note_event(v->counters->events, EVENT_INTERRUPT_EXCEPTION, fault->vector, fault->error, v->rip);
    }
    if (fault->vector == VEC_DB) v->dr[7] &= ~DR7_GD;
    /* The pushed image has RF set, so that the restarted instruction does not hit its breakpoint again. For the
     * fault of the breakpoint itself the handler must set RF (SDM 3B 17.3.1.1). Nothing restarts after #DF. */
    if (fault->vector != VEC_DF && !is_code_breakpoint(v, fault)) v->eflags |= FL_RF;
}

static enum exit_reason deliver(struct vcpu *v, struct fault event, enum interrupt_source source,
                                enum exception_class first)
{
    if (fast_deliver(v, event.vector, source, event.has_error, event.error)) return EXIT_NONE;
    for (;;) {
        v->delivering = first;
        if (attempt(v, &event, source)) {
            v->delivering = CLASS_NONE;
            return EXIT_NONE;
        }
        enum exception_class second = exception_class(v->fault.vector);
        if (first == CLASS_DOUBLE_FAULT && second != CLASS_BENIGN) {
            v->delivering = CLASS_NONE;
            return EXIT_SHUTDOWN;
        }
        event = v->fault;
        prepare_fault(v, &event);
        if (makes_double_fault(first, second)) event = (struct fault){VEC_DF, true, 0};
        source = SOURCE_EXCEPTION;
        first = exception_class(event.vector);
    }
}

enum exit_reason exception_deliver(struct vcpu *v)
{
    struct fault event = v->fault;
    prepare_fault(v, &event);
    return deliver(v, event, SOURCE_EXCEPTION, exception_class(event.vector));
}

enum exit_reason interrupt_external(struct vcpu *v, u8 vector)
{
    v->halted = false;
    v->counters->interrupts++;
    note_event(v->counters->events, EVENT_INTERRUPT_EXTERNAL, vector, v->rip);
    return deliver(v, (struct fault){.vector = vector}, SOURCE_EXTERNAL, CLASS_BENIGN);
}

enum exit_reason interrupt_nmi(struct vcpu *v)
{
    v->halted = false;
    v->nmi_masked = true;
    v->counters->interrupts++;
    note_event(v->counters->events, EVENT_INTERRUPT_NMI, v->rip);
    return deliver(v, (struct fault){.vector = VEC_NMI}, SOURCE_EXTERNAL, CLASS_BENIGN);
}

enum exit_reason debug_trap_deliver(struct vcpu *v, u32 dr6_bits)
{
    v->halted = false;
    v->dr[6] = (v->dr[6] & ~DR6_BREAKPOINTS) | dr6_bits;
    v->dr[7] &= ~DR7_GD;
    v->debugctl &= ~(u64)DEBUGCTL_CLEARED;
    v->counters->exceptions++;
    note_event(v->counters->events, EVENT_INTERRUPT_EXCEPTION, VEC_DB, 0, v->rip);
    return deliver(v, (struct fault){.vector = VEC_DB}, SOURCE_EXCEPTION, CLASS_BENIGN);
}
