/*
 * Far JMP and CALL through the call gates of IA-32e mode (SDM 3A 5.8.3.1, 5.8.5.1). Such a gate has 16 bytes, names a
 * 64-bit code segment, and copies no parameters. An inner ring's stack comes from the TSS, with a null SS.
 */
#include "stack_frame.h"

/* The gate's code segment and offset. */
static u64 fetch_target(struct vcpu *v, const struct descriptor *gate, struct descriptor *code)
{
    u64 upper;
    u16 selector = gate_selector(gate);
    descriptor_fetch_system64(v, gate, VEC_GP, 0, &upper);
    if (selector_null(selector)) fault_raise_error(v, VEC_GP, 0);
    descriptor_fetch(v, selector, VEC_GP, 0, code);
    if (!descriptor_code(code) || descriptor_dpl(code) > v->cpl ||
        (descriptor_access(code) & (AR_L | AR_DB)) != AR_L)
        fault_raise_selector(v, VEC_GP, selector, 0);
    return upper << 32 | gate_offset(gate);
}

static void jump(struct vcpu *v, const struct descriptor *code, u64 offset)
{
    if (!descriptor_conforming(code) && descriptor_dpl(code) != v->cpl)
        fault_raise_selector(v, VEC_GP, code->selector, 0);
    if (!descriptor_present(code)) fault_raise_selector(v, VEC_NP, code->selector, 0);
    descriptor_check_offset(v, code, offset, 0);
    struct descriptor accessed = *code;
    descriptor_set_accessed(v, &accessed);
    transfer_enter_code(v, &accessed, offset, v->cpl);
}

static void call(struct vcpu *v, struct descriptor *code, u64 offset)
{
    struct stack_frame frame;
    unsigned cpl = descriptor_conforming(code) ? v->cpl : descriptor_dpl(code);
    bool inner = cpl < v->cpl;
    if (!descriptor_present(code)) fault_raise_selector(v, VEC_NP, code->selector, 0);
    u64 rsp = inner ? task_inner_stack64(v, cpl, 0) : v->gpr[REG_ESP] & vcpu_stack_mask(v);
    stack_frame_begin64(&frame, rsp, cpl, 8);
    if (inner) {
        stack_frame_push(&frame, v->seg[SEG_SS].selector);
        stack_frame_push(&frame, v->gpr[REG_ESP]);
    }
    stack_frame_push(&frame, v->seg[SEG_CS].selector);
    stack_frame_push(&frame, v->rip);
    stack_frame_check(v, &frame, 0);
    descriptor_check_offset(v, code, offset, 0);
    stack_frame_probe(v, &frame);
    descriptor_set_accessed(v, code);

    v->gpr[REG_ESP] = stack_frame_write(v, &frame);
    if (inner) v->seg[SEG_SS] = segment_null_stack(cpl);
    transfer_enter_code(v, code, offset, cpl);
}

void transfer_gate64(struct vcpu *v, const struct descriptor *gate, enum task_switch_cause cause)
{
    struct descriptor code;
    u64 offset = fetch_target(v, gate, &code);
    if (cause == TASK_CALL)
        call(v, &code, offset);
    else
        jump(v, &code, offset);
}
