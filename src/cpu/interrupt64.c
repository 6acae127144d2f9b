/*
 * One delivery of an interrupt or exception in IA-32e mode (SDM 3A 6.14; SDM 2 "INT n"). Gates have 16 bytes, handlers
 * run in 64-bit mode, and the frame has SS and RSP even where the privilege stays.
 *
 *   frame, from the top:  SS | RSP | RFLAGS | CS | RIP | error code, if the event has one
 *   TSS:  4 RSP0 | 12 RSP1 | 20 RSP2 | 36 IST1 ... 84 IST7 | 102 offset of the I/O map       (SDM 3A figure 7-11)
 */
#include "stack_frame.h"

enum { TSS64_RSP = 4, TSS64_IST = 36 };

/* The flags that delivery clears besides IF (SDM 3A 6.12.1.3). */
enum { CLEARED = FL_TF | FL_NT | FL_RF };

struct gate64 {
    u64 offset;
    u16 selector;
    u8 ist;
    bool interrupt; /* not a trap gate: it clears IF */
};

static void fetch_gate(struct vcpu *v, u8 vector, bool software, u32 ext, struct gate64 *gate)
{
    u32 offset = vector * 16u, error = vector * 8u + 2 + ext; /* bit 1: the index refers to the IDT */
    if (offset + 15 > v->idtr.limit) fault_raise_error(v, VEC_GP, error);
    u64 low = sys_read(v, v->idtr.base + offset, 8), high = sys_read(v, v->idtr.base + offset + 8, 8);
    struct descriptor d = {.low = (u32)low, .high = (u32)(low >> 32)};
    unsigned type = descriptor_system_type(&d);
    if (type != SYS_INTERRUPT32 && type != SYS_TRAP32) fault_raise_error(v, VEC_GP, error);
    if (software && descriptor_dpl(&d) < v->cpl) fault_raise_error(v, VEC_GP, error);
    if (!descriptor_present(&d)) fault_raise_error(v, VEC_NP, error);
    *gate = (struct gate64){.offset = high << 32 | gate_offset(&d),
                            .selector = gate_selector(&d),
                            .ist = d.high & 7,
                            .interrupt = type == SYS_INTERRUPT32};
}

/* Fetch the handler's code segment; returns the privilege at which it runs. */
static unsigned fetch_handler(struct vcpu *v, const struct gate64 *gate, u32 ext, struct descriptor *code)
{
    u16 selector = gate->selector;
    if (selector_null(selector)) fault_raise_error(v, VEC_GP, ext);
    descriptor_fetch(v, selector, VEC_GP, ext, code);
    unsigned dpl = descriptor_dpl(code);
    if (!descriptor_code(code) || dpl > v->cpl || (descriptor_access(code) & (AR_L | AR_DB)) != AR_L)
        fault_raise_selector(v, VEC_GP, selector, ext);
    if (!descriptor_present(code)) fault_raise_selector(v, VEC_NP, selector, ext);
    return descriptor_conforming(code) ? v->cpl : dpl;
}

static u64 stack_from_tss(struct vcpu *v, u32 at, u32 ext)
{
    if (at + 7 > v->tr.limit) fault_raise_selector(v, VEC_TS, v->tr.selector, ext);
    return sys_read(v, v->base64.tr + at, 8);
}

u64 task_inner_stack64(struct vcpu *v, unsigned cpl, u32 ext)
{
    return stack_from_tss(v, TSS64_RSP + 8 * cpl, ext);
}

struct segment segment_null_stack(unsigned cpl)
{
    return (struct segment){.access = AR_UNUSABLE | cpl << AR_DPL_SHIFT, .selector = (u16)cpl};
}

void interrupt_deliver64(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error)
{
    struct gate64 gate;
    struct descriptor code;
    struct stack_frame frame;
    u32 ext = source != SOURCE_SOFTWARE;
    fetch_gate(v, vector, source == SOURCE_SOFTWARE, ext, &gate);
    unsigned cpl = fetch_handler(v, &gate, ext, &code);
    bool inner = cpl < v->cpl;

    u64 rsp = v->gpr[REG_ESP];
    if (gate.ist)
        rsp = stack_from_tss(v, TSS64_IST + 8 * (gate.ist - 1u), ext);
    else if (inner)
        rsp = task_inner_stack64(v, cpl, ext);
    stack_frame_begin64(&frame, rsp & ~15ull, cpl, 8);
    stack_frame_push(&frame, v->seg[SEG_SS].selector);
    stack_frame_push(&frame, v->gpr[REG_ESP]);
    stack_frame_push(&frame, v->eflags);
    stack_frame_push(&frame, v->seg[SEG_CS].selector);
    stack_frame_push(&frame, v->rip);
    if (has_error) stack_frame_push(&frame, error);
    stack_frame_check(v, &frame, ext);
    if (!is_canonical(gate.offset)) fault_raise_error(v, VEC_GP, ext);
    stack_frame_probe(v, &frame);
    descriptor_set_accessed(v, &code);

    v->gpr[REG_ESP] = stack_frame_write(v, &frame);
    v->eflags &= ~(u32)(CLEARED | (gate.interrupt ? FL_IF : 0));
    if (inner) v->seg[SEG_SS] = segment_null_stack(cpl);
    v->seg[SEG_CS] = descriptor_segment(&code, (gate.selector & ~SEL_RPL) | cpl);
    v->rip = gate.offset;
    v->cpl = (u8)cpl;
}
