/*
 * Stacks with a 16-bit pointer: pushes and pops. Also the near calls and returns of 16-bit code, and the branches that
 * count in CX. Firmware, boot loaders and their unpackers consist of little else.
 *
 * A slot lies at SS:SP. SP wraps at 64 KB, and the upper half of ESP does not change (SDM 1 6.2.3). SS has a base and
 * usually a limit, so slots are accessed like operands (access_register()). The interpreter executes the rare cases:
 * memory operands, pops into SP, and branches of the other operand size.
 */
#include "build.h"

static bool has_stack16(const struct build *b)
{
    return !(b->mode & (MODE_STACK32 | MODE_CODE64)) && segment_is_reachable(b, SEG_SS, true);
}

/* The slot of `size` bytes below SP (push) or at SP. Clobbers r11; the operand does not use r11. */
static struct host_mem stack_slot(struct build *b, unsigned size, bool push)
{
    flags_clobber(b);
    emit_lea32(&b->e, REG_TEMP, mem_bd(GUEST_ESP, push ? -(s32)size : 0));
    emit_movzx16(&b->e, REG_TEMP, REG_TEMP);
    access_register(b, SEG_SS, REG_TEMP, size);
    return access_linear(b, size, push);
}

/* Add to the low half of a register, without changing flags. */
static void add_to_half(struct build *b, u8 reg, s32 by)
{
    emit_lea16(&b->e, reg, mem_bd(reg, by));
}

bool can_push16(const struct build *b)
{
    const struct operand *from = &b->i->op[0];
    unsigned size = b->i->operand_bytes;
    bool reg = from->kind == OPND_REG && (from->reg_class == RC_GPR16 || from->reg_class == RC_GPR32);
    return has_stack16(b) && (size == 2 || size == 4) && (reg || from->kind == OPND_IMM);
}

void emit_push16(struct build *b)
{
    const struct operand *from = &b->i->op[0];
    unsigned size = b->i->operand_bytes;
    struct host_mem slot = stack_slot(b, size, true);
    u8 value = REG_TEMP;
    if (from->kind == OPND_REG)
        value = host_gpr(from->reg);
    else
        emit_mov_ri(&b->e, REG_TEMP, (u32)b->i->imm[from->imm]);
    if (size == 2)
        emit_store16(&b->e, slot, value);
    else
        emit_store32(&b->e, slot, value);
    add_to_half(b, GUEST_ESP, -(s32)size);
}

bool can_pop16(const struct build *b)
{
    const struct operand *to = &b->i->op[0];
    bool reg = to->kind == OPND_REG && (to->reg_class == RC_GPR16 || to->reg_class == RC_GPR32);
    return has_stack16(b) && reg && to->reg != REG_ESP;
}

void emit_pop16(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    bool wide = to->reg_class == RC_GPR32;
    struct host_mem slot = stack_slot(b, wide ? 4 : 2, false);
    if (wide) {
        emit_load32(&b->e, host_gpr(to->reg), slot);
    } else {
        emit_load16(&b->e, REG_TEMP, slot);
        emit_mov_rr16(&b->e, host_gpr(to->reg), REG_TEMP);
    }
    add_to_half(b, GUEST_ESP, wide ? 4 : 2);
}

/* --- branches of 16-bit code --- */

static bool is_code16(const struct build *b)
{
    return !is_wide_code(b) && b->i->operand_bytes == 2;
}

/* IP is at most FFFFh. */
static bool any_target16_is_legal(const struct build *b)
{
    return b->key.cs_limit >= 0xffff;
}

static void push_ip(struct build *b)
{
    struct host_mem slot = stack_slot(b, 2, true);
    emit_mov_ri(&b->e, REG_TEMP, (u32)b->next_eip);
    b->has_half_eip = true;
    emit_store16(&b->e, slot, REG_TEMP);
    add_to_half(b, GUEST_ESP, -2);
}

bool can_call16(const struct build *b)
{
    const struct operand *to = &b->i->op[0];
    u64 target[2];
    if (!is_code16(b) || !has_stack16(b)) return false;
    if (to->kind == OPND_IMM) return branch_targets(b, b->i, b->next_eip, target) == 1;
    /* CALL SP goes to the value of SP before the push. */
    return to->kind == OPND_REG && to->reg_class == RC_GPR16 && to->reg != REG_ESP &&
           any_target16_is_legal(b);
}

void emit_call16(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    u64 target[2];
    b->ended = true;
    push_ip(b);
    if (to->kind == OPND_IMM) {
        branch_targets(b, b->i, b->next_eip, target);
        emit_edge_call(b, target[0]);
    } else {
        emit_movzx16(&b->e, REG_LINEAR, host_gpr(to->reg));
        emit_indirect_call(b);
    }
}

bool can_ret16(const struct build *b)
{
    return is_code16(b) && has_stack16(b) && any_target16_is_legal(b);
}

void emit_ret16(struct build *b)
{
    u32 release = b->i->operand_count ? (u16)b->i->imm[0] : 0;
    emit_load16(&b->e, REG_LINEAR, stack_slot(b, 2, false));
    add_to_half(b, GUEST_ESP, (s32)(2 + release));
    emit_return(b);
    b->ended = true;
}

/* JRCXZ changes no flag, but tests all of RCX, so the upper half of ECX is zero during the test. */
void emit_count_branch16(struct build *b, bool decrement, u64 if_zero, u64 if_not)
{
    if (decrement) add_to_half(b, RCX, -1);
    emit_mov_rr32(&b->e, REG_TEMP, RCX);
    emit_movzx16(&b->e, RCX, RCX);
    u32 zero = emit_jrcxz(&b->e);
    emit_mov_rr32(&b->e, RCX, REG_TEMP);
    u32 nonzero = emit_jmp(&b->e);
    emit_here8(&b->e, zero);
    emit_mov_rr32(&b->e, RCX, REG_TEMP);
    emit_two_edges(b, nonzero, if_zero, if_not);
    b->ended = true;
}
