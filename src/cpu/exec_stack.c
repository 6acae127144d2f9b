/*
 * The stack: one value, all registers, frames. ESP changes after the last access that can fault.
 */
#include "exec.h"

void exec_push(struct vcpu *v, const struct insn *i)
{
    const struct operand *o = &i->op[0];
    bool segment = o->kind == OPND_REG && o->reg_class == RC_SEG;
    u64 value = segment ? v->seg[o->reg].selector : exec_read(v, i, 0);
    if (!segment || i->stack_bytes == 2) {
        exec_push_value(v, value, i->stack_bytes);
        return;
    }
    /* All recent CPUs write a selector as a word, into the low half of the dword (SDM 2 "PUSH"). In 64-bit mode
     * it is zero-extended. */
    if (i->stack_bytes == 8) {
        exec_push_value(v, value, 8);
        return;
    }
    u64 to = v->gpr[REG_ESP] - 4;
    mem_linear(v, SEG_SS, to & exec_stack_mask(v), 4, true);
    mem_write(v, SEG_SS, to & exec_stack_mask(v), 2, value);
    exec_set_stack(v, to);
}

/* A memory operand based on ESP is addressed with the new ESP. POP ESP gives ESP the popped value. */
void exec_pop(struct vcpu *v, const struct insn *i)
{
    const struct operand *o = &i->op[0];
    u64 value = exec_peek(v, 0, i->stack_bytes);
    if (o->kind == OPND_REG) {
        exec_drop(v, i->stack_bytes);
        exec_write(v, i, 0, value);
        return;
    }
    u64 esp = v->gpr[REG_ESP];
    exec_drop(v, i->stack_bytes);
    u64 address = exec_address(v, i);
    u64 popped = v->gpr[REG_ESP];
    v->gpr[REG_ESP] = esp;
    mem_write(v, i->mem_seg, address, i->stack_bytes, value);
    v->gpr[REG_ESP] = popped;
}

/* The offset in SS of the n-th value of a group, counted from the lower end. */
static u32 slot(const struct vcpu *v, u32 bottom, unsigned n, unsigned bytes)
{
    return (bottom + n * bytes) & exec_stack_mask(v);
}

void exec_pusha(struct vcpu *v, const struct insn *i)
{
    unsigned bytes = i->stack_bytes;
    u32 bottom = (u32)v->gpr[REG_ESP] - 8 * bytes;
    for (unsigned n = 8; n-- > 0;) /* a fault is at the first push that fails */
        mem_probe_write(v, SEG_SS, slot(v, bottom, n, bytes), bytes);
    for (unsigned n = 0; n < 8; n++)
        mem_write(v, SEG_SS, slot(v, bottom, n, bytes), bytes, mask_bytes(v->gpr[7 - n], bytes));
    exec_set_stack(v, bottom);
}

void exec_popa(struct vcpu *v, const struct insn *i)
{
    unsigned bytes = i->stack_bytes;
    u32 bottom = v->gpr[REG_ESP], value[8];
    for (unsigned n = 0; n < 8; n++)
        value[n] = mem_read(v, SEG_SS, slot(v, bottom, n, bytes), bytes);
    for (unsigned n = 0; n < 8; n++)
        if (7 - n != REG_ESP) exec_reg_write(v, bytes == 2 ? RC_GPR16 : RC_GPR32, 7 - n, value[n]);
    exec_drop(v, 8 * bytes);
}

/* SDM 2 "ENTER": the frame pointers of enclosing procedures are copied, and the whole new frame must be
 * writable at its end. */
void exec_enter(struct vcpu *v, const struct insn *i)
{
    unsigned bytes = i->stack_bytes, level = i->imm[1] & 31;
    u64 mask = exec_stack_mask(v), value[32 + 1], esp = v->gpr[REG_ESP];
    u64 frame = (esp & ~mask) | ((esp - bytes) & mask);
    unsigned count = 0;
    value[count++] = v->gpr[REG_EBP];
    for (unsigned n = 1; n < level; n++)
        value[count++] = mem_read(v, SEG_SS, (v->gpr[REG_EBP] - n * bytes) & mask, bytes);
    if (level) value[count++] = frame;
    u64 end = esp - count * bytes - (u16)i->imm[0];
    for (unsigned n = 0; n < count; n++)
        mem_probe_write(v, SEG_SS, (esp - (n + 1) * bytes) & mask, bytes);
    mem_probe_write(v, SEG_SS, end & mask, bytes);
    for (unsigned n = 0; n < count; n++) {
        /* Read again: the frames may overlap, and a read must find the pushes before it. */
        if (n && n < level) value[n] = mem_read(v, SEG_SS, (v->gpr[REG_EBP] - n * bytes) & mask, bytes);
        mem_write(v, SEG_SS, (esp - (n + 1) * bytes) & mask, bytes, mask_bytes(value[n], bytes));
    }
    exec_reg_write(v, exec_reg_class(bytes), REG_EBP, frame);
    exec_set_stack(v, end);
}

void exec_leave(struct vcpu *v, const struct insn *i)
{
    unsigned bytes = i->stack_bytes;
    u64 frame = v->gpr[REG_EBP];
    u64 value = mem_read(v, SEG_SS, frame & exec_stack_mask(v), bytes);
    exec_set_stack(v, frame + bytes);
    exec_reg_write(v, exec_reg_class(bytes), REG_EBP, value);
}
