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

void exec_movsx(struct vcpu *v, const struct insn *i)
{
    u32 value = exec_read(v, i, 1);
    exec_write(v, i, 0, i->op[1].bytes == 1 ? (u32)(s8)value : (u32)(s16)value);
}

void exec_movbe(struct vcpu *v, const struct insn *i)
{
    u32 value = exec_read(v, i, 1);
    exec_write(v, i, 0, i->op[0].bytes == 2 ? __builtin_bswap16((u16)value) : __builtin_bswap32(value));
}

/* The decoder may report a memory operand as operand 0 or 1. Memory is checked for writing first, and is written
 * before the register. */
void exec_xchg(struct vcpu *v, const struct insn *i)
{
    unsigned first = i->op[1].kind == OPND_MEM;
    u32 a = exec_read_modify(v, i, first), b = exec_read(v, i, !first);
    exec_write(v, i, first, b);
    exec_write(v, i, !first, a);
}

void exec_lea(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, exec_address(v, i));
}

void exec_xlat(struct vcpu *v, const struct insn *i)
{
    u32 address = (u32)v->gpr[REG_EBX] + (u8)v->gpr[REG_EAX];
    if (i->address_bytes == 2) address = (u16)address;
    exec_reg_write(v, RC_GPR8, REG_EAX, mem_read(v, i->mem_seg, address, 1));
}

/* The source is read, and may fault, even if the condition is false. */
void exec_cmovcc(struct vcpu *v, const struct insn *i)
{
    u32 value = exec_read(v, i, 1);
    if (exec_condition(v->eflags, i->opcode)) exec_write(v, i, 0, value);
}

void exec_setcc(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, exec_condition(v->eflags, i->opcode));
}
