/*
 * Instructions that load selectors: MOV, POP and LxS with segment registers, far JMP, CALL and RET.
 */
#include "exec.h"
#include "stack_frame.h"

/* MOV SS and POP SS inhibit interrupts and traps for one instruction, so that ESP can be loaded (SDM 3A
 * 6.8.3). */
static void load_and_inhibit(struct vcpu *v, enum seg seg, u16 selector)
{
    segment_load(v, seg, selector);
    if (seg == SEG_SS) v->inhibit |= INHIBIT_MOV_SS;
}

void exec_mov_segment(struct vcpu *v, const struct insn *i)
{
    if (i->op[0].kind == OPND_REG && i->op[0].reg_class == RC_SEG)
        load_and_inhibit(v, i->op[0].reg, exec_read(v, i, 1));
    else
        exec_write(v, i, 0, v->seg[i->op[1].reg].selector);
}

/* ESP moves on the stack from which the selector was read, even if SS is popped. */
void exec_pop_segment(struct vcpu *v, const struct insn *i)
{
    u64 esp = v->gpr[REG_ESP], mask = exec_stack_mask(v),
        popped = (esp & ~mask) | ((esp + i->stack_bytes) & mask);
    load_and_inhibit(v, i->op[0].reg, exec_peek(v, 0, i->stack_bytes));
    v->gpr[REG_ESP] = popped;
}

/* A far pointer in memory: offset, then selector. */
static u64 read_far_pointer(struct vcpu *v, const struct insn *i, u16 *selector)
{
    u64 address = exec_address(v, i);
    u64 offset = mem_read(v, i->mem_seg, address, i->operand_bytes);
    *selector = mem_read(v, i->mem_seg, mask_bytes(address + i->operand_bytes, i->address_bytes), 2);
    return offset;
}

static void load_far(struct vcpu *v, const struct insn *i, enum seg seg)
{
    u16 selector;
    u64 offset = read_far_pointer(v, i, &selector);
    segment_load(v, seg, selector);
    exec_write(v, i, 0, offset);
}

void exec_lds(struct vcpu *v, const struct insn *i)
{
    load_far(v, i, SEG_DS);
}
void exec_les(struct vcpu *v, const struct insn *i)
{
    load_far(v, i, SEG_ES);
}
void exec_lfs(struct vcpu *v, const struct insn *i)
{
    load_far(v, i, SEG_FS);
}
void exec_lgs(struct vcpu *v, const struct insn *i)
{
    load_far(v, i, SEG_GS);
}
void exec_lss(struct vcpu *v, const struct insn *i)
{
    load_far(v, i, SEG_SS);
}

/* The destination of a far JMP or CALL: in the instruction, or in memory. */
static u64 far_target(struct vcpu *v, const struct insn *i, u16 *selector)
{
    if (i->op[0].kind != OPND_FAR) return read_far_pointer(v, i, selector);
    *selector = i->imm[1];
    return i->imm[0];
}

void exec_jmp_far(struct vcpu *v, const struct insn *i)
{
    u16 selector;
    u64 offset = far_target(v, i, &selector);
    far_jump(v, selector, offset, i->operand_bytes);
}

void exec_call_far(struct vcpu *v, const struct insn *i)
{
    u16 selector;
    u64 offset = far_target(v, i, &selector);
    far_call(v, selector, offset, i->operand_bytes);
}

void exec_ret_far(struct vcpu *v, const struct insn *i)
{
    far_return(v, i->operand_bytes, i->op[0].kind == OPND_IMM ? i->imm[0] : 0);
}
