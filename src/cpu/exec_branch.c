/*
 * Near branches. The target is checked against the limit of CS before anything changes.
 */
#include "exec.h"

/* Where the operand leads, unchecked. */
static u64 operand_target(struct vcpu *v, const struct insn *i)
{
    u64 to = exec_read(v, i, 0);
    return i->op[0].kind == OPND_IMM ? v->rip + to : to;
}

static u64 target(struct vcpu *v, const struct insn *i)
{
    return exec_near_target(v, i, operand_target(v, i));
}

void exec_jmp(struct vcpu *v, const struct insn *i)
{
    v->rip = target(v, i);
}

/* In 64-bit mode a fault of the push comes before that of a target that is not canonical. */
void exec_call(struct vcpu *v, const struct insn *i)
{
    u64 to = operand_target(v, i);
    if (unlikely(v->mode & MODE_CODE64)) mem_probe_write(v, SEG_SS, v->gpr[REG_ESP] - 8, 8);
    to = exec_near_target(v, i, to);
    exec_push_value(v, v->rip, i->operand_bytes);
    v->rip = to;
}

void exec_ret(struct vcpu *v, const struct insn *i)
{
    u32 release = i->operand_count ? (u16)i->imm[0] : 0;
    v->rip = exec_near_target(v, i, exec_peek(v, 0, i->operand_bytes));
    exec_drop(v, i->operand_bytes + release);
}

static void branch_if(struct vcpu *v, const struct insn *i, bool taken)
{
    if (taken) v->rip = target(v, i);
}

void exec_jcc(struct vcpu *v, const struct insn *i)
{
    branch_if(v, i, exec_condition(v->eflags, i->opcode));
}

/* CX, ECX or RCX by the address size. */
static u64 counter(const struct vcpu *v, const struct insn *i)
{
    return exec_mask_address(i, v->gpr[REG_ECX]);
}

void exec_jecxz(struct vcpu *v, const struct insn *i)
{
    branch_if(v, i, !counter(v, i));
}

static void loop_if(struct vcpu *v, const struct insn *i, bool also)
{
    u64 count = exec_mask_address(i, v->gpr[REG_ECX] - 1);
    branch_if(v, i, count && also);
    exec_reg_write(v, exec_reg_class(i->address_bytes), REG_ECX, count);
}

void exec_loop(struct vcpu *v, const struct insn *i)
{
    loop_if(v, i, true);
}
void exec_loope(struct vcpu *v, const struct insn *i)
{
    loop_if(v, i, v->eflags & FL_ZF);
}
void exec_loopne(struct vcpu *v, const struct insn *i)
{
    loop_if(v, i, !(v->eflags & FL_ZF));
}
