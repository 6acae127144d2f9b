/*
 * One delivery of an interrupt or exception through the real-mode vector table or the IDT (SDM 3A 6.12, 20.3;
 * SDM 2 "INT n"). A failure raises a fault; exception.c decides which exception follows.
 */
#include "stack_frame.h"

/* The flags that delivery clears (SDM 3A 6.12.1.3, 20.1.4). In protected mode, interrupt gates clear IF too. */
enum { CLEARED_REAL = FL_IF | FL_TF | FL_AC | FL_RF, CLEARED_PROTECTED = FL_TF | FL_NT | FL_RF | FL_VM };

struct delivery {
    u8 vector;
    bool software; /* INT n, INT3, INTO: the gate's DPL is checked */
    u32 ext;       /* EXT bit of error codes that delivery raises */
    bool has_error;
    u32 error;
};

/*
 * Deliver through a vector table at linear address `table`, as real mode and the redirected INT n of virtual-8086
 * mode do. `pushed` is the FLAGS image, `cleared` has the flags to clear.
 */
static void deliver_vector_table(struct vcpu *v, u32 table, u8 vector, u32 pushed, u32 cleared)
{
    struct stack_frame frame;
    u32 entry = sys_read(v, table + vector * 4, 4);
    stack_frame_begin(&frame, &v->seg[SEG_SS], v->gpr[REG_ESP], v->cpl, 2);
    stack_frame_push(&frame, pushed);
    stack_frame_push(&frame, v->seg[SEG_CS].selector);
    stack_frame_push(&frame, v->rip);
    stack_frame_check(v, &frame, 0);
    if ((entry & 0xffff) > v->seg[SEG_CS].limit) fault_raise_error(v, VEC_GP, 0);
    stack_frame_probe(v, &frame);
    v->gpr[REG_ESP] = stack_frame_write(v, &frame);
    v->eflags &= ~cleared;
    segment_assign_real(v, SEG_CS, entry >> 16);
    v->rip = entry & 0xffff;
}

static u32 entry_error(const struct delivery *d)
{
    return d->vector * 8 + 2 + d->ext; /* bit 1: the selector index refers to the IDT */
}

static void fetch_gate(struct vcpu *v, const struct delivery *d, struct descriptor *gate)
{
    static const u16 valid_types =
        1 << SYS_TASK_GATE | 1 << SYS_INTERRUPT16 | 1 << SYS_TRAP16 | 1 << SYS_INTERRUPT32 | 1 << SYS_TRAP32;
    u32 offset = d->vector * 8;
    if (offset + 7 > v->idtr.limit) fault_raise_error(v, VEC_GP, entry_error(d));
    u64 bits = sys_read(v, (u32)(v->idtr.base + offset), 8);
    *gate = (struct descriptor){.linear = (u32)(v->idtr.base + offset), .low = bits, .high = bits >> 32};
    if (!(valid_types >> descriptor_system_type(gate) & 1)) fault_raise_error(v, VEC_GP, entry_error(d));
    if (d->software && descriptor_dpl(gate) < v->cpl) fault_raise_error(v, VEC_GP, entry_error(d));
    if (!descriptor_present(gate)) fault_raise_error(v, VEC_NP, entry_error(d));
}

/* Fetch the handler's code segment; returns the privilege at which it runs. */
static unsigned fetch_handler(struct vcpu *v, const struct delivery *d, const struct descriptor *gate,
                              struct descriptor *code)
{
    u16 selector = gate_selector(gate);
    if (selector_null(selector)) fault_raise_error(v, VEC_GP, d->ext);
    descriptor_fetch(v, selector, VEC_GP, d->ext, code);
    unsigned dpl = descriptor_dpl(code);
    if (!descriptor_code(code) || dpl > v->cpl) fault_raise_selector(v, VEC_GP, selector, d->ext);
    if (!descriptor_present(code)) fault_raise_selector(v, VEC_NP, selector, d->ext);
    bool conforming = descriptor_conforming(code);
    if (vcpu_vm86(v) && (conforming || dpl != 0)) fault_raise_selector(v, VEC_GP, selector, d->ext);
    return conforming ? v->cpl : dpl;
}

static void check_entry(struct vcpu *v, const struct delivery *d, const struct descriptor *gate,
                        const struct descriptor *code)
{
    if (gate_offset(gate) > descriptor_limit(code)) fault_raise_error(v, VEC_GP, d->ext);
}

static void push_return(struct vcpu *v, const struct delivery *d, struct stack_frame *frame)
{
    stack_frame_push(frame, v->eflags);
    stack_frame_push(frame, v->seg[SEG_CS].selector);
    stack_frame_push(frame, v->rip);
    if (d->has_error) stack_frame_push(frame, d->error);
}

static void enter_handler(struct vcpu *v, const struct descriptor *gate, const struct descriptor *code,
                          unsigned cpl)
{
    u32 cleared = CLEARED_PROTECTED;
    if (!(descriptor_system_type(gate) & 1)) cleared |= FL_IF; /* an interrupt gate */
    v->eflags &= ~cleared;
    u16 selector = (gate_selector(gate) & ~SEL_RPL) | cpl;
    v->seg[SEG_CS] = descriptor_segment(code, selector);
    v->rip = gate_offset(gate);
    v->cpl = cpl;
}

static void deliver_same(struct vcpu *v, const struct delivery *d, const struct descriptor *gate,
                         struct descriptor *code)
{
    struct stack_frame frame;
    stack_frame_begin(&frame, &v->seg[SEG_SS], v->gpr[REG_ESP], v->cpl,
                      descriptor_system_type(gate) & SYS_32 ? 4 : 2);
    push_return(v, d, &frame);
    stack_frame_check(v, &frame, d->ext);
    check_entry(v, d, gate, code);
    stack_frame_probe(v, &frame);
    descriptor_set_accessed(v, code);
    v->gpr[REG_ESP] = stack_frame_write(v, &frame);
    enter_handler(v, gate, code, v->cpl);
}

static void push_vm86_segments(struct vcpu *v, struct stack_frame *frame)
{
    static const u8 order[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        stack_frame_push(frame, v->seg[order[i]].selector);
}

static void null_data_segments(struct vcpu *v)
{
    static const u8 order[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};
    for (unsigned i = 0; i < ARRAY_SIZE(order); i++)
        v->seg[order[i]] = segment_null(0);
}

static void deliver_inner(struct vcpu *v, const struct delivery *d, const struct descriptor *gate,
                          struct descriptor *code, unsigned cpl)
{
    struct descriptor stack;
    struct stack_frame frame;
    u16 ss;
    u32 esp;
    bool vm86 = vcpu_vm86(v);
    task_inner_stack(v, cpl, d->ext, &ss, &esp);
    descriptor_fetch_stack(v, ss, cpl, VEC_TS, d->ext, &stack);
    struct segment inner = descriptor_segment(&stack, ss);
    stack_frame_begin(&frame, &inner, esp, cpl, descriptor_system_type(gate) & SYS_32 ? 4 : 2);
    if (vm86) push_vm86_segments(v, &frame);
    stack_frame_push(&frame, v->seg[SEG_SS].selector);
    stack_frame_push(&frame, v->gpr[REG_ESP]);
    push_return(v, d, &frame);
    stack_frame_check(v, &frame, (ss & SEL_ERROR_MASK) | d->ext);
    check_entry(v, d, gate, code);
    stack_frame_probe(v, &frame);
    descriptor_set_accessed(v, &stack);
    descriptor_set_accessed(v, code);

    v->gpr[REG_ESP] = stack_frame_write(v, &frame);
    v->seg[SEG_SS] = descriptor_segment(&stack, ss);
    if (vm86) null_data_segments(v);
    enter_handler(v, gate, code, cpl);
}

static void deliver_protected(struct vcpu *v, const struct delivery *d)
{
    struct descriptor gate, code;
    fetch_gate(v, d, &gate);
    if (descriptor_system_type(&gate) == SYS_TASK_GATE) {
        task_switch_event(v, gate_selector(&gate), TASK_GATE, d->has_error, d->error, d->ext);
        return;
    }
    unsigned cpl = fetch_handler(v, d, &gate, &code);
    if (cpl < v->cpl)
        deliver_inner(v, d, &gate, &code, cpl);
    else
        deliver_same(v, d, &gate, &code);
}

void interrupt_deliver(struct vcpu *v, u8 vector, enum interrupt_source source, bool has_error, u32 error)
{
    struct delivery d = {.vector = vector,
                         .software = source == SOURCE_SOFTWARE,
                         .ext = source != SOURCE_SOFTWARE,
                         .has_error = has_error,
                         .error = error};
    if (vcpu_long_mode(v)) {
        interrupt_deliver64(v, vector, source, has_error, error);
    } else if (vcpu_pe(v)) {
        deliver_protected(v, &d);
    } else {
        if (vector * 4 + 3 > v->idtr.limit) fault_raise_error(v, VEC_GP, entry_error(&d));
        deliver_vector_table(v, (u32)v->idtr.base, vector, v->eflags, CLEARED_REAL);
    }
    v->inhibit = 0;
    vcpu_update_mode(v);
}

/* The software interrupt redirection bitmap: 32 bytes below the I/O permission bitmap (SDM 3A 20.3.3). */
static bool redirected_to_vm86(struct vcpu *v, u8 vector)
{
    if (v->tr.limit < 103) fault_raise_error(v, VEC_GP, 0);
    u32 offset = (u32)sys_read(v, v->tr.base + 102, 2) - 32 + vector / 8;
    if (offset > v->tr.limit) fault_raise_error(v, VEC_GP, 0);
    return !(sys_read(v, v->tr.base + offset, 1) >> (vector & 7) & 1);
}

void interrupt_software(struct vcpu *v, u8 vector, unsigned length)
{
    if (vcpu_vm86(v)) {
        bool iopl3 = vcpu_iopl(v) == 3;
        if ((v->paging.cr4 & CR4_VME) && redirected_to_vm86(v, vector)) {
            /* With IOPL < 3 VIF stands for the program's IF, and the program sees IOPL 3. */
            u32 pushed = v->eflags, cleared = FL_TF | FL_RF | FL_IF;
            if (!iopl3) {
                pushed = (pushed & ~(u32)FL_IF) | FL_IOPL | (pushed & FL_VIF ? FL_IF : 0);
                cleared = FL_TF | FL_RF | FL_VIF;
            }
            deliver_vector_table(v, 0, vector, pushed, cleared);
            v->inhibit = 0;
            vcpu_update_mode(v);
            return;
        }
        if (!iopl3) fault_raise_error(v, VEC_GP, 0);
    }
    interrupt_deliver(v, vector, SOURCE_SOFTWARE, false, 0);
}
