/*
 * Jumps, calls and returns. edge.c has the way out of the block; a form that is not for these (16-bit
 * operands in 32-bit code, far ones, stacks that are not flat) is left to the interpreter by returning false.
 */
#include "build.h"

#include <Zydis/MetaInfo.h>
#include <Zydis/Mnemonic.h>

/* Relative branches whose operand size is that of the code segment: others truncate EIP, which is rare
 * enough. */
static bool find_target(const struct build *b, const struct insn *i, u32 next_eip, u32 *target)
{
    bool code32 = b->mode & MODE_CODE32;
    if (i->op[0].kind != OPND_IMM || i->operand_bytes != (code32 ? 4 : 2)) return false;
    *target = next_eip + (u32)i->imm[0];
    if (!code32) *target &= 0xffff;
    return *target <= b->key.cs_limit;
}

static bool target_of(const struct build *b, u32 *target)
{
    return find_target(b, b->i, b->next_eip, target);
}

unsigned branch_targets(const struct build *b, const struct insn *i, u32 next_eip, u32 targets[2])
{
    targets[1] = next_eip;
    if (i->category == ZYDIS_CATEGORY_COND_BR) return find_target(b, i, next_eip, &targets[0]) ? 2 : 0;
    if (i->mnemonic != ZYDIS_MNEMONIC_JMP && i->mnemonic != ZYDIS_MNEMONIC_CALL) return 0;
    return find_target(b, i, next_eip, &targets[0]) ? 1 : 0;
}

/* An indirect target beyond the segment's limit is #GP at the branch: only where no target can be is the
 * check left out. */
static bool any_target_is_legal(const struct build *b)
{
    return (b->mode & MODE_CODE32) && b->key.cs_limit == UINT32_MAX;
}

static bool falls_through(const struct build *b)
{
    return b->next_eip <= b->key.cs_limit && b->next_eip != 0;
}

static bool emit_jump(struct build *b)
{
    u32 target;
    const struct operand *to = &b->i->op[0];
    if (to->kind == OPND_IMM) {
        if (!target_of(b, &target)) return false;
        if (b->passed[b->n]) {
            b->v->counters->jumps_followed++;
            return true;
        }
        emit_edge(b, target);
    } else if (to->kind == OPND_REG) {
        if (to->reg_class != RC_GPR32 || !any_target_is_legal(b)) return false;
        emit_mov_rr32(&b->e, REG_LINEAR, host_gpr(to->reg));
        emit_indirect(b);
    } else {
        struct host_mem mem;
        if (to->kind != OPND_MEM || to->bytes != 4 || !any_target_is_legal(b) ||
            !access_operand(b, 4, false, &mem))
            return false;
        emit_load32(&b->e, REG_LINEAR, mem);
        emit_indirect(b);
    }
    b->ended = true;
    return true;
}

static u8 condition_of(const struct insn *i)
{
    return i->opcode & 15; /* 70-7F and 0F 80-8F */
}

static bool emit_jcond(struct build *b)
{
    u32 target;
    if (!target_of(b, &target) || !falls_through(b)) return false;
    flags_to_host(b);
    u8 cc = condition_of(b->i);
    if (b->passed[b->n]) {
        b->v->counters->jumps_passed++;
        emit_side_exit(b, target, cc);
        return true;
    }
    /* The side whose edge needs no code of its own hangs on the conditional jump: of a loop that is the way
     * out. */
    if (emit_edge_on_jcc(b, target, cc)) {
        emit_edge(b, b->next_eip);
    } else if (emit_edge_on_jcc(b, b->next_eip, cc ^ 1)) {
        emit_edge(b, target);
    } else {
        u32 taken = emit_jcc(&b->e, cc);
        emit_edge(b, b->next_eip);
        emit_here32(&b->e, taken);
        emit_edge(b, target);
    }
    b->ended = true;
    return true;
}

/* JECXZ and LOOP test RCX itself, whose upper half is zero. */
static bool emit_count_branch(struct build *b, bool decrement, bool taken_if_zero)
{
    u32 target;
    if (!target_of(b, &target) || !falls_through(b)) return false;
    if (b->i->address_bytes != 4) return emit_count_branch16(b, target, decrement, taken_if_zero);
    flags_to_host(b);
    if (decrement) emit_lea32(&b->e, RCX, mem_bd(RCX, -1));
    u32 zero = emit_jrcxz(&b->e);
    u32 nonzero = emit_jmp(&b->e);
    emit_here8(&b->e, zero);
    emit_edge(b, taken_if_zero ? target : b->next_eip);
    emit_here32(&b->e, nonzero);
    emit_edge(b, taken_if_zero ? b->next_eip : target);
    b->ended = true;
    return true;
}

static bool emit_jecxz(struct build *b)
{
    return emit_count_branch(b, false, true);
}

static bool emit_loop(struct build *b)
{
    return emit_count_branch(b, true, false);
}

static void push_return_address(struct build *b)
{
    emit_mov_mi(&b->e, access_push(b), b->next_eip);
    fix_last(b, FIX_EIP);
    access_pushed(b);
}

static bool emit_call(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    u32 target;
    if (to->kind == OPND_FAR) return false;
    if (!stack_is_flat(b) || !(b->mode & MODE_CODE32) || b->i->operand_bytes != 4) return emit_call16(b);
    if (to->kind == OPND_IMM) {
        if (!target_of(b, &target)) return false;
        push_return_address(b);
        emit_edge_call(b, target);
    } else if (to->kind == OPND_REG) {
        /* CALL ESP goes to what ESP was before the push. */
        if (to->reg_class != RC_GPR32 || to->reg == REG_ESP || !any_target_is_legal(b)) return false;
        push_return_address(b);
        emit_mov_rr32(&b->e, REG_LINEAR, host_gpr(to->reg));
        emit_indirect_call(b);
    } else {
        struct host_mem mem;
        if (to->bytes != 4 || !any_target_is_legal(b) || !access_operand(b, 4, false, &mem)) return false;
        emit_load32(&b->e, REG_TEMP, mem);
        push_return_address(b); /* its slow path keeps r11 */
        emit_mov_rr32(&b->e, REG_LINEAR, REG_TEMP);
        emit_indirect_call(b);
    }
    b->ended = true;
    return true;
}

static bool emit_ret(struct build *b)
{
    if (!stack_is_flat(b) || !any_target_is_legal(b) || b->i->operand_bytes != 4) return emit_ret16(b);
    if (b->i->opcode != 0xc2 && b->i->opcode != 0xc3) return false; /* far */
    u32 release = b->i->opcode == 0xc2 ? (u32)b->i->imm[0] & 0xffff : 0;
    emit_load32(&b->e, REG_LINEAR, access_pop(b));
    emit_lea32(&b->e, GUEST_ESP, mem_bd(GUEST_ESP, (s32)(4 + release)));
    emit_return(b);
    b->ended = true;
    return true;
}

emit_function *branch_emitter(u16 mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_JMP: return emit_jump;
    case ZYDIS_MNEMONIC_JO:
    case ZYDIS_MNEMONIC_JNO:
    case ZYDIS_MNEMONIC_JB:
    case ZYDIS_MNEMONIC_JNB:
    case ZYDIS_MNEMONIC_JZ:
    case ZYDIS_MNEMONIC_JNZ:
    case ZYDIS_MNEMONIC_JBE:
    case ZYDIS_MNEMONIC_JNBE:
    case ZYDIS_MNEMONIC_JS:
    case ZYDIS_MNEMONIC_JNS:
    case ZYDIS_MNEMONIC_JP:
    case ZYDIS_MNEMONIC_JNP:
    case ZYDIS_MNEMONIC_JL:
    case ZYDIS_MNEMONIC_JNL:
    case ZYDIS_MNEMONIC_JLE:
    case ZYDIS_MNEMONIC_JNLE: return emit_jcond;
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ: return emit_jecxz;
    case ZYDIS_MNEMONIC_LOOP: return emit_loop;
    case ZYDIS_MNEMONIC_CALL: return emit_call;
    case ZYDIS_MNEMONIC_RET: return emit_ret;
    default: return NULL;
    }
}
