/*
 * Far JMP and CALL (SDM 2 "JMP", "CALL"; SDM 3A 5.8): direct, through call gates, and to tasks. Returns are
 * in return.c. v->rip is the next instruction throughout.
 */
#include "stack_frame.h"

/* A checked destination in a code segment. */
struct code_target {
    struct descriptor d;
    u64 offset;
    unsigned cpl;
};

static void check_offset(struct vcpu *v, const struct descriptor *d, u64 offset)
{
    descriptor_check_offset(v, d, offset, 0);
}

void transfer_enter_code(struct vcpu *v, const struct descriptor *code, u64 offset, unsigned cpl)
{
    u16 selector = (code->selector & ~SEL_RPL) | cpl;
    v->seg[SEG_CS] = descriptor_segment(code, selector);
    v->cpl = cpl;
    v->rip = offset;
    vcpu_update_mode(v);
}

static void enter_code(struct vcpu *v, const struct code_target *to)
{
    transfer_enter_code(v, &to->d, to->offset, to->cpl);
}

/* Real and virtual-8086 mode: any selector is valid; only the offset is checked. */
static void check_offset_real(struct vcpu *v, u64 offset)
{
    if (offset > v->seg[SEG_CS].limit) fault_raise_error(v, VEC_GP, 0);
}

static void enter_code_real(struct vcpu *v, u16 selector, u64 offset)
{
    segment_assign_real(v, SEG_CS, selector);
    v->rip = offset;
    vcpu_update_mode(v);
}

/* Check a code segment that the instruction names directly. The privilege does not change. */
static void check_direct_code(struct vcpu *v, const struct descriptor *d)
{
    unsigned dpl = descriptor_dpl(d);
    bool allowed =
        descriptor_conforming(d) ? dpl <= v->cpl : dpl == v->cpl && selector_rpl(d->selector) <= v->cpl;
    if (!allowed || descriptor_code_malformed(v, d)) fault_raise_selector(v, VEC_GP, d->selector, 0);
    if (!descriptor_present(d)) fault_raise_selector(v, VEC_NP, d->selector, 0);
}

/* DPL protects gates and TSS descriptors from CPL and RPL, as it protects data segments. */
static void check_system_access(struct vcpu *v, const struct descriptor *d)
{
    unsigned dpl = descriptor_dpl(d);
    if (dpl < v->cpl || dpl < selector_rpl(d->selector)) fault_raise_selector(v, VEC_GP, d->selector, 0);
}

static void check_gate_present(struct vcpu *v, const struct descriptor *gate)
{
    if (!descriptor_present(gate)) fault_raise_selector(v, VEC_NP, gate->selector, 0);
}

/* Fetch the code segment of a call gate. to->cpl is the current CPL: the caller decides the new one. */
static void fetch_gate_target(struct vcpu *v, const struct descriptor *gate, struct code_target *to)
{
    u16 selector = gate_selector(gate);
    if (selector_null(selector)) fault_raise_error(v, VEC_GP, 0);
    descriptor_fetch(v, selector, VEC_GP, 0, &to->d);
    if (!descriptor_code(&to->d) || descriptor_dpl(&to->d) > v->cpl)
        fault_raise_selector(v, VEC_GP, selector, 0);
    to->offset = gate_offset(gate);
    to->cpl = v->cpl;
}

static void jump_gate(struct vcpu *v, const struct descriptor *gate)
{
    struct code_target to;
    check_gate_present(v, gate);
    fetch_gate_target(v, gate, &to);
    if (!descriptor_conforming(&to.d) && descriptor_dpl(&to.d) != v->cpl)
        fault_raise_selector(v, VEC_GP, to.d.selector, 0);
    if (!descriptor_present(&to.d)) fault_raise_selector(v, VEC_NP, to.d.selector, 0);
    check_offset(v, &to.d, to.offset);
    descriptor_set_accessed(v, &to.d);
    enter_code(v, &to);
}

/* CALL through a gate to the same privilege. It pushes the return address on the current stack, in the gate's
 * width. */
static void call_gate_same(struct vcpu *v, const struct descriptor *gate, struct code_target *to)
{
    struct stack_frame frame;
    unsigned bytes = descriptor_system_type(gate) & SYS_32 ? 4 : 2;
    stack_frame_begin(&frame, &v->seg[SEG_SS], v->gpr[REG_ESP], v->cpl, bytes);
    stack_frame_push(&frame, v->seg[SEG_CS].selector);
    stack_frame_push(&frame, v->rip);
    stack_frame_check(v, &frame, 0);
    check_offset(v, &to->d, to->offset);
    stack_frame_probe(v, &frame);
    descriptor_set_accessed(v, &to->d);
    v->gpr[REG_ESP] = stack_frame_write(v, &frame);
    enter_code(v, to);
}

/* CALL through a gate to an inner ring. It takes that ring's stack from the TSS and copies the parameters (SDM
 * 3A 5.8.5). */
static void call_gate_inner(struct vcpu *v, const struct descriptor *gate, struct code_target *to)
{
    struct descriptor stack;
    struct stack_frame frame;
    u16 ss;
    u32 esp;
    unsigned bytes = descriptor_system_type(gate) & SYS_32 ? 4 : 2, parameters = gate->high & 31;

    to->cpl = descriptor_dpl(&to->d);
    task_inner_stack(v, to->cpl, 0, &ss, &esp);
    descriptor_fetch_stack(v, ss, to->cpl, VEC_TS, 0, &stack);
    struct segment inner = descriptor_segment(&stack, ss);
    stack_frame_begin(&frame, &inner, esp, to->cpl, bytes);
    frame.count = parameters + 4;
    stack_frame_check(v, &frame, ss & SEL_ERROR_MASK);
    check_offset(v, &to->d, to->offset);

    frame.count = 0;
    stack_frame_push(&frame, v->seg[SEG_SS].selector);
    stack_frame_push(&frame, v->gpr[REG_ESP]);
    for (unsigned i = parameters; i-- > 0;)
        stack_frame_push(&frame, stack_peek(v, i * bytes, bytes));
    stack_frame_push(&frame, v->seg[SEG_CS].selector);
    stack_frame_push(&frame, v->rip);
    stack_frame_probe(v, &frame);
    descriptor_set_accessed(v, &stack);
    descriptor_set_accessed(v, &to->d);

    v->gpr[REG_ESP] = stack_frame_write(v, &frame);
    v->seg[SEG_SS] = descriptor_segment(&stack, ss);
    enter_code(v, to);
}

static void call_gate(struct vcpu *v, const struct descriptor *gate)
{
    struct code_target to;
    check_gate_present(v, gate);
    fetch_gate_target(v, gate, &to);
    if (!descriptor_present(&to.d)) fault_raise_selector(v, VEC_NP, to.d.selector, 0);
    if (!descriptor_conforming(&to.d) && descriptor_dpl(&to.d) < v->cpl)
        call_gate_inner(v, gate, &to);
    else
        call_gate_same(v, gate, &to);
}

/* A far JMP or CALL to a descriptor that is not a code segment. */
static void transfer_system(struct vcpu *v, const struct descriptor *d, enum task_switch_cause cause)
{
    unsigned type = descriptor_system_type(d);
    if (vcpu_long_mode(v)) { /* it has neither tasks nor 16-bit gates */
        if (type != SYS_CALL32) fault_raise_selector(v, VEC_GP, d->selector, 0);
        check_system_access(v, d);
        check_gate_present(v, d);
        transfer_gate64(v, d, cause);
        return;
    }
    switch (type) {
    case SYS_CALL16:
    case SYS_CALL32:
        check_system_access(v, d);
        if (cause == TASK_CALL)
            call_gate(v, d);
        else
            jump_gate(v, d);
        return;
    case SYS_TASK_GATE:
        check_system_access(v, d);
        check_gate_present(v, d);
        task_switch(v, gate_selector(d), cause, false, 0);
        return;
    case SYS_TSS16:
    case SYS_TSS32:
        check_system_access(v, d);
        task_switch(v, d->selector, cause, false, 0);
        return;
    default: /* busy TSS, LDT, interrupt gates, data, reserved */
        fault_raise_selector(v, VEC_GP, d->selector, 0);
    }
}

/* The code segment of a direct far transfer, with its rights checked. Returns false if the selector names a gate or a
 * TSS: then that transfer is done. */
static bool fetch_direct_code(struct vcpu *v, u16 selector, enum task_switch_cause cause,
                              struct descriptor *d)
{
    if (selector_null(selector)) fault_raise_error(v, VEC_GP, 0);
    descriptor_fetch(v, selector, VEC_GP, 0, d);
    if (!descriptor_code(d)) {
        transfer_system(v, d, cause);
        return false;
    }
    check_direct_code(v, d);
    return true;
}

void far_jump(struct vcpu *v, u16 selector, u64 offset, unsigned bytes)
{
    offset = mask_bytes(offset, bytes);
    if (!vcpu_protected(v)) {
        check_offset_real(v, offset);
        enter_code_real(v, selector, offset);
        return;
    }
    struct code_target to = {.offset = offset, .cpl = v->cpl};
    if (!fetch_direct_code(v, selector, TASK_JMP, &to.d)) return;
    check_offset(v, &to.d, offset);
    descriptor_set_accessed(v, &to.d);
    enter_code(v, &to);
}

void far_call(struct vcpu *v, u16 selector, u64 offset, unsigned bytes)
{
    struct stack_frame frame;
    offset = mask_bytes(offset, bytes);
    stack_frame_begin_current(v, &frame, bytes);
    stack_frame_push(&frame, v->seg[SEG_CS].selector);
    stack_frame_push(&frame, v->rip);

    if (!vcpu_protected(v)) {
        stack_frame_check(v, &frame, 0);
        check_offset_real(v, offset);
        stack_frame_probe(v, &frame);
        v->gpr[REG_ESP] = stack_frame_write(v, &frame);
        enter_code_real(v, selector, offset);
        return;
    }
    struct code_target to = {.offset = offset, .cpl = v->cpl};
    if (!fetch_direct_code(v, selector, TASK_CALL, &to.d)) return;
    stack_frame_check(v, &frame, 0);
    check_offset(v, &to.d, offset);
    stack_frame_probe(v, &frame);
    descriptor_set_accessed(v, &to.d);
    v->gpr[REG_ESP] = stack_frame_write(v, &frame);
    enter_code(v, &to);
}
