/*
 * Jumps, calls and returns. edge.c has the ways out of the block. The interpreter executes 16-bit operands in
 * 32-bit code and calls on stacks that are neither flat nor 16-bit.
 */
#include "build.h"

static bool is_within_32(u64 distance)
{
    return distance == (u64)(s64)(s32)distance;
}

/* The target of a relative branch with the operand size of the code segment. Branches of the other size
 * truncate or widen EIP; they are rare and have no target here. */
static bool find_target(const struct build *b, const struct insn *i, u64 next_eip, u64 *target)
{
    bool code32 = b->mode & MODE_CODE32;
    if (is_code64(b)) {
        *target = next_eip + i->imm[0];
        bool near =
            is_within_32(*target - b->key.eip); /* an edge keeps its distance from the block's beginning */
        return i->op[0].kind == OPND_IMM && i->operand_bytes == 8 && is_canonical(*target) && near;
    }
    if (i->op[0].kind != OPND_IMM || i->operand_bytes != (code32 ? 4 : 2)) return false;
    *target = (u32)(next_eip + i->imm[0]);
    if (!code32) *target &= 0xffff;
    return *target <= b->key.cs_limit;
}

/* The same for the current instruction. */
static bool has_target(const struct build *b)
{
    u64 target = 0;
    return find_target(b, b->i, b->next_eip, &target);
}

static u64 target_of(const struct build *b)
{
    u64 target = 0;
    bool found = find_target(b, b->i, b->next_eip, &target);
    assert(found);
    (void)found;
    return target;
}

unsigned branch_targets(const struct build *b, const struct insn *i, u64 next_eip, u64 targets[2])
{
    targets[1] = next_eip;
    switch (i->row->emitter) {
    case EMITTER_jcond:
    case EMITTER_jecxz:
    case EMITTER_loop: return find_target(b, i, next_eip, &targets[0]) ? 2 : 0;
    case EMITTER_jump:
    case EMITTER_call: return find_target(b, i, next_eip, &targets[0]) ? 1 : 0;
    default: return 0;
    }
}

/* An indirect target beyond the segment's limit raises #GP at the branch. Translated code does not check that,
 * so the segment must have no such targets. In 64-bit mode require_canonical() checks the target. */
static bool any_target_is_legal(const struct build *b)
{
    return is_wide_code(b) && b->key.cs_limit == UINT32_MAX;
}

static bool falls_through(const struct build *b)
{
    return is_code64(b) || (b->next_eip <= b->key.cs_limit && b->next_eip != 0);
}

/* JMP and CALL through a register or memory. */
static bool can_go_through(const struct build *b, const struct operand *to)
{
    if (!any_target_is_legal(b)) return false;
    if (to->kind == OPND_REG) return to->reg_class == (is_code64(b) ? RC_GPR64 : RC_GPR32);
    return to->kind == OPND_MEM && to->bytes == slot_bytes(b) && operand_is_reachable(b, false);
}

/* `to` = the target in a register or in memory. */
static void load_target(struct build *b, u8 to)
{
    const struct operand *from = &b->i->op[0];
    bool wide = is_code64(b);
    if (from->kind == OPND_REG)
        emit_mov_rr(&b->e, wide, to, gpr_load(b, from->reg, to));
    else
        emit_load(&b->e, wide, to, access_operand(b, (unsigned)slot_bytes(b), false));
}

void require_canonical(struct build *b)
{
    if (!is_code64(b)) return;
    flags_clobber(b);
    emit_mov_rr64(&b->e, REG_ENTRY, REG_LINEAR);
    if (b->key.eip >> 63) {
        emit_shift_ri(&b->e, true, SHIFT_SAR, REG_ENTRY, 47);
        emit_alu_ri(&b->e, false, ALU_CMP, REG_ENTRY, -1);
    } else {
        emit_shift_ri(&b->e, true, SHIFT_SHR, REG_ENTRY, 47);
    }
    stub_add(b, STUB_STEP, emit_jcc(&b->e, CC_NZ));
}

bool can_jump(const struct build *b)
{
    const struct operand *to = &b->i->op[0];
    return to->kind == OPND_IMM ? has_target(b) : can_go_through(b, to);
}

void emit_jump(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (b->passed[b->n]) {
        b->v->counters->jumps_followed++;
        return;
    }
    b->ended = true;
    if (to->kind == OPND_IMM) {
        emit_edge(b, target_of(b));
        return;
    }
    load_target(b, REG_LINEAR);
    emit_indirect(b);
}

static u8 condition_of(const struct insn *i)
{
    return i->opcode & 15; /* 70-7F and 0F 80-8F */
}

bool can_jcond(const struct build *b)
{
    return has_target(b) && falls_through(b);
}

void emit_two_edges(struct build *b, u32 field, u64 first, u64 second)
{
    enum flags_location flags = b->flags;
    emit_edge(b, first);
    emit_here32(&b->e, field);
    b->flags = flags;
    emit_edge(b, second);
}

void emit_jcond(struct build *b)
{
    u64 target = target_of(b);
    flags_to_host(b);
    u8 cc = condition_of(b->i);
    if (b->passed[b->n]) {
        b->v->counters->jumps_passed++;
        emit_side_exit(b, target, cc);
        return;
    }
    /* If one edge needs no tests, the conditional jump itself is that edge. */
    if (emit_edge_on_jcc(b, target, cc)) {
        emit_edge(b, b->next_eip);
    } else if (emit_edge_on_jcc(b, b->next_eip, cc ^ 1)) {
        emit_edge(b, target);
    } else {
        emit_two_edges(b, emit_jcc(&b->e, cc), b->next_eip, target);
    }
    b->ended = true;
}

/* JECXZ and LOOP test all of RCX; its upper half is zero. */
static void count_branch(struct build *b, u64 if_zero, u64 if_not)
{
    u32 zero = emit_jrcxz(&b->e);
    u32 nonzero = emit_jmp(&b->e);
    emit_here8(&b->e, zero);
    emit_two_edges(b, nonzero, if_zero, if_not);
    b->ended = true;
}

bool can_jecxz(const struct build *b)
{
    return can_jcond(b);
}

void emit_jecxz(struct build *b)
{
    flags_to_host(b);
    if (b->i->address_bytes == 4)
        count_branch(b, target_of(b), b->next_eip);
    else
        emit_count_branch16(b, false, target_of(b), b->next_eip);
}

bool can_loop(const struct build *b)
{
    return can_jcond(b) && (!is_code64(b) || b->i->address_bytes == 8);
}

void emit_loop(struct build *b)
{
    flags_to_host(b);
    if (b->i->address_bytes != 2) {
        emit_lea_sized(&b->e, is_code64(b), RCX, mem_bd(RCX, -1));
        count_branch(b, b->next_eip, target_of(b));
    } else {
        emit_count_branch16(b, true, b->next_eip, target_of(b));
    }
}

static bool has_plain_slots(const struct build *b)
{
    if (is_code64(b)) return b->i->operand_bytes == 8;
    return stack_is_flat(b) && (b->mode & MODE_CODE32) && b->i->operand_bytes == 4;
}

static void push_return_address(struct build *b)
{
    struct host_mem slot = access_push(b);
    if (!is_code64(b)) {
        emit_mov_mi(&b->e, slot, (u32)b->next_eip);
        fix_last(b, FIX_EIP);
    } else if (b->next_eip == (u64)(s64)(s32)b->next_eip) {
        emit_mov_mi64(&b->e, slot, (u32)b->next_eip);
    } else {
        if (slot.index == REG_ENTRY) {
            emit_lea64(&b->e, REG_LINEAR, slot);
            slot = mem_bd(REG_LINEAR, 0);
        }
        emit_mov_rip(b, REG_ENTRY, b->next_eip); /* r11 may have the target */
        emit_store64(&b->e, slot, REG_ENTRY);
    }
    access_pushed(b);
}

bool can_call(const struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (!has_plain_slots(b)) return can_call16(b);
    if (to->kind == OPND_IMM) return has_target(b);
    /* CALL ESP goes to the value of ESP before the push. */
    return can_go_through(b, to) && !(to->kind == OPND_REG && to->reg == REG_ESP);
}

void emit_call(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (!has_plain_slots(b)) {
        emit_call16(b);
        return;
    }
    b->ended = true;
    if (to->kind == OPND_IMM) {
        push_return_address(b);
        emit_edge_call(b, target_of(b));
        return;
    }
    if (is_code64(b)) {
        load_target(b, REG_LINEAR);
        require_canonical(b);
        bool keeps_target = rsp_reaches_slot(b, b->n);
        if (!keeps_target) {
            emit_mov_rr64(&b->e, REG_TEMP, REG_LINEAR);
            temp_is_kept(b);
        }
        push_return_address(b);
        if (!keeps_target) emit_mov_rr64(&b->e, REG_LINEAR, REG_TEMP);
        emit_indirect_call(b);
        return;
    }
    if (to->kind == OPND_MEM) load_target(b, REG_TEMP);
    temp_is_kept(b);
    push_return_address(b); /* its slow path keeps r11 */
    emit_mov_rr32(&b->e, REG_LINEAR, to->kind == OPND_MEM ? REG_TEMP : host_gpr(to->reg));
    emit_indirect_call(b);
}

bool can_ret(const struct build *b)
{
    return has_plain_slots(b) ? any_target_is_legal(b) : can_ret16(b);
}

void emit_ret(struct build *b)
{
    if (!has_plain_slots(b)) {
        emit_ret16(b);
        return;
    }
    u32 release = b->i->operand_count ? (u16)b->i->imm[0] : 0;
    emit_load(&b->e, is_code64(b), REG_LINEAR, access_pop(b));
    /* Else translator_return_miss() finds out. It takes back a RET that releases nothing. */
    if (release || !uses_return_stack(b)) require_canonical(b);
    emit_lea_sized(&b->e, is_code64(b), GUEST_ESP, mem_bd(GUEST_ESP, slot_bytes(b) + (s32)release));
    emit_return(b);
    b->ended = true;
}
