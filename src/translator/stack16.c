/*
 * Stacks with a 16-bit pointer, and what 16-bit code does with them: pushes, pops, near calls and returns, and the branches
 * that count in CX. Firmware, boot loaders and their unpackers consist of little else.
 *
 * A slot lies at SS:SP, and SP wraps at 64 KB while the upper half of ESP stays (SDM 1 6.2.3). SS has a base and, mostly,
 * a limit, so accesses go the way of operands (access_register()). What is rare is left to the interpreter by returning false: memory
 * operands, pops into SP, operands whose size is not that of the code segment in branches.
 */
#include "build.h"

static bool has_stack16(const struct build *b)
{
    return !(b->mode & MODE_STACK32) && segment_is_reachable(b, SEG_SS, true);
}

/* The slot of `size` bytes below SP (push) or at SP. Clobbers r11; the slot does not use it. */
static struct host_mem stack_slot(struct build *b, unsigned size, bool push)
{
    flags_clobber(b);
    emit_lea32(&b->e, REG_TEMP, mem_bd(GUEST_ESP, push ? -(s32)size : 0));
    emit_movzx16(&b->e, REG_TEMP, REG_TEMP);
    access_register(b, SEG_SS, REG_TEMP, size);
    return access_linear(b, size, push);
}

/* The low half of a register, and no flag. */
static void add_to_half(struct build *b, u8 reg, s32 by)
{
    emit8(&b->e, 0x66);
    emit_rm(&b->e, false, 0x8d, reg, mem_bd(reg, by)); /* lea r16, [reg + by] */
}

static bool has_size(const struct insn *i)
{
    return i->operand_bytes == 2 || i->operand_bytes == 4;
}

bool emit_push16(struct build *b)
{
    const struct operand *from = &b->i->op[0];
    unsigned size = b->i->operand_bytes;
    bool reg = from->kind == OPND_REG && (from->reg_class == RC_GPR16 || from->reg_class == RC_GPR32);
    if (!has_stack16(b) || !has_size(b->i) || (!reg && from->kind != OPND_IMM)) return false;
    struct host_mem slot = stack_slot(b, size, true);
    u8 value = REG_TEMP;
    if (reg)
        value = host_gpr(from->reg);
    else
        emit_mov_ri(&b->e, REG_TEMP, (u32)b->i->imm[from->imm]);
    if (size == 2)
        emit_store16(&b->e, slot, value);
    else
        emit_store32(&b->e, slot, value);
    add_to_half(b, GUEST_ESP, -(s32)size);
    return true;
}

bool emit_pop16(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    bool wide = to->kind == OPND_REG && to->reg_class == RC_GPR32;
    bool half = to->kind == OPND_REG && to->reg_class == RC_GPR16;
    if (!has_stack16(b) || (!wide && !half) || to->reg == REG_ESP) return false;
    struct host_mem slot = stack_slot(b, wide ? 4 : 2, false);
    if (wide) {
        emit_load32(&b->e, host_gpr(to->reg), slot);
    } else {
        emit_load16(&b->e, REG_TEMP, slot);
        emit8(&b->e, 0x66);
        emit_rr(&b->e, false, 0x89, REG_TEMP, host_gpr(to->reg)); /* mov r16, r11w */
    }
    add_to_half(b, GUEST_ESP, wide ? 4 : 2);
    return true;
}

/* --- branches of 16-bit code --- */

static bool is_code16(const struct build *b)
{
    return !(b->mode & MODE_CODE32) && b->i->operand_bytes == 2;
}

/* IP is at most FFFFh. */
static bool any_target16_is_legal(const struct build *b)
{
    return b->key.cs_limit >= 0xffff;
}

static void push_ip(struct build *b)
{
    struct host_mem slot = stack_slot(b, 2, true);
    emit_mov_ri(&b->e, REG_TEMP, b->next_eip);
    b->fix_count = MAX_FIXES; /* half an EIP cannot be fixed: the block stays where it is */
    emit_store16(&b->e, slot, REG_TEMP);
    add_to_half(b, GUEST_ESP, -2);
}

bool emit_call16(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    u32 target[2];
    if (!is_code16(b) || !has_stack16(b)) return false;
    if (to->kind == OPND_IMM) {
        if (branch_targets(b, b->i, b->next_eip, target) != 1) return false;
        push_ip(b);
        emit_edge_call(b, target[0]);
    } else if (to->kind == OPND_REG && to->reg_class == RC_GPR16 && to->reg != REG_ESP) {
        if (!any_target16_is_legal(b)) return false;
        push_ip(b);
        emit_movzx16(&b->e, REG_LINEAR, host_gpr(to->reg));
        emit_indirect_call(b);
    } else {
        return false;
    }
    b->ended = true;
    return true;
}

bool emit_ret16(struct build *b)
{
    bool near = b->i->opcode == 0xc2 || b->i->opcode == 0xc3;
    if (!is_code16(b) || !has_stack16(b) || !near || !any_target16_is_legal(b)) return false;
    u32 release = b->i->opcode == 0xc2 ? (u32)b->i->imm[0] & 0xffff : 0;
    emit_load16(&b->e, REG_LINEAR, stack_slot(b, 2, false));
    add_to_half(b, GUEST_ESP, (s32)(2 + release));
    emit_return(b);
    b->ended = true;
    return true;
}

/* JRCXZ changes no flag but looks at all of RCX: the upper half of ECX is put aside for it. */
bool emit_count_branch16(struct build *b, u32 target, bool decrement, bool taken_if_zero)
{
    flags_to_host(b);
    if (decrement) add_to_half(b, RCX, -1);
    emit_mov_rr32(&b->e, REG_TEMP, RCX);
    emit_movzx16(&b->e, RCX, RCX);
    u32 zero = emit_jrcxz(&b->e);
    emit_mov_rr32(&b->e, RCX, REG_TEMP);
    u32 nonzero = emit_jmp(&b->e);
    emit_here8(&b->e, zero);
    emit_mov_rr32(&b->e, RCX, REG_TEMP);
    emit_edge(b, taken_if_zero ? target : b->next_eip);
    emit_here32(&b->e, nonzero);
    emit_edge(b, taken_if_zero ? b->next_eip : target);
    b->ended = true;
    return true;
}
