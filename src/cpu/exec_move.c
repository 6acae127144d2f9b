/*
 * Moving data: MOV and its kin, exchange, conditional moves, addresses.
 */
#include "exec.h"

void exec_mov(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, exec_read(v, i, 1));
}

void exec_movzx(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, exec_read(v, i, 1));
}

/* MOVSX and MOVSXD. */
void exec_movsx(struct vcpu *v, const struct insn *i)
{
    u64 value = exec_read(v, i, 1);
    unsigned bytes = i->op[1].bytes;
    exec_write(v, i, 0, bytes == 1 ? (u64)(s8)value : bytes == 2 ? (u64)(s16)value : (u64)(s32)value);
}

void exec_movbe(struct vcpu *v, const struct insn *i)
{
    u64 value = exec_read(v, i, 1);
    unsigned bytes = i->op[0].bytes;
    exec_write(v, i, 0, __builtin_bswap64(value) >> (64 - 8 * bytes));
}

/* The decoder may report a memory operand as operand 0 or 1. Memory is checked for writing first, and is written
 * before the register. */
void exec_xchg(struct vcpu *v, const struct insn *i)
{
    unsigned first = i->op[1].kind == OPND_MEM;
    u64 a = exec_read_modify(v, i, first), b = exec_read(v, i, !first);
    exec_write(v, i, first, b);
    exec_write(v, i, !first, a);
}

void exec_lea(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, exec_address(v, i));
}

void exec_xlat(struct vcpu *v, const struct insn *i)
{
    u64 address = exec_mask_address(i, v->gpr[REG_EBX] + (u8)v->gpr[REG_EAX]);
    exec_reg_write(v, RC_GPR8, REG_EAX, mem_read(v, i->mem_seg, address, 1));
}

/* The source is read, and may fault, even if the condition is false. */
void exec_cmovcc(struct vcpu *v, const struct insn *i)
{
    u64 value = exec_read(v, i, 1), old = exec_read(v, i, 0);
    exec_write(v, i, 0, exec_condition(v->eflags, i->opcode) ? value : old);
}

void exec_setcc(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, exec_condition(v->eflags, i->opcode));
}
