/*
 * Edges out of a block: direct branches that are chained by patching, indirect ones that look their target
 * up.
 *
 * Every cycle of blocks passes a backward edge, an indirect branch or C code; these are where v->pending is
 * looked at. In deterministic mode every block looks at its entry instead.
 *
 * Direct edges are reached with the flags in the host. What they do besides jumping leaves the flags alone:
 * the tests are MOV, LEA and JRCXZ, with ECX waiting in r11.
 */
#include "build.h"

#include <Zydis/Mnemonic.h>

static u32 linear_of(const struct build *b, u32 eip)
{
    return b->block->key.cs_base + eip;
}

static bool same_page(const struct build *b, u32 eip)
{
    return (linear_of(b, eip) ^ linear_of(b, b->block->key.eip)) < PAGE_SIZE;
}

static bool is_backward(const struct build *b, u32 eip)
{
    return eip <= b->eip;
}

static bool needs_poll(const struct build *b, u32 eip)
{
    return is_backward(b, eip) && !b->v->deterministic;
}

/* Jump to the edge's stub unless ecx, loaded by what came before with rcx waiting in r11, is zero. */
static void stub_unless_zero(struct build *b, struct stub *stub, unsigned use)
{
    u32 zero = emit_jrcxz(&b->e);
    emit_mov_rr64(&b->e, RCX, REG_TEMP);
    stub->from[use] = emit_jmp(&b->e);
    emit_here8(&b->e, zero);
    emit_mov_rr64(&b->e, RCX, REG_TEMP);
}

static void poll_pending(struct build *b, struct stub *stub)
{
    emit_mov_rr64(&b->e, REG_TEMP, RCX);
    emit_load32(&b->e, RCX, mem_frame(FRAME_PENDING));
    stub_unless_zero(b, stub, 1);
}

/* Does the target's page still map the frame it mapped when the edge was linked? The imm32 is patched then.
 */
static u32 check_frame(struct build *b, struct stub *stub, u32 eip)
{
    emit_mov_rr64(&b->e, REG_TEMP, RCX);
    emit_load64(&b->e, RCX, mem_frame(FRAME_EXEC_TABLE));
    emit_load32(&b->e, RCX, mem_bd(RCX, (s32)((linear_of(b, eip) >> PAGE_SHIFT) * sizeof(u32))));
    emit8(&b->e, 0x8d); /* lea ecx, [rcx + disp32] */
    emit8(&b->e, 0x89);
    emit32(&b->e, 0);
    u32 patch = b->e.at - 4;
    stub_unless_zero(b, stub, 2);
    return patch;
}

void emit_edge(struct build *b, unsigned index, u32 eip)
{
    struct edge *edge = &b->block->out[index];
    struct stub *stub = stub_add(b, STUB_EDGE, 0);
    *edge = (struct edge){.from = b->block, .eip = eip};
    stub->edge = (u8)index;
    if (needs_poll(b, eip)) poll_pending(b, stub);
    if (!same_page(b, eip)) edge->frame_patch = check_frame(b, stub, eip);
    edge->patch = emit_jmp(&b->e);
    stub->from[0] = edge->patch;
}

/* An edge that needs no code of its own hangs directly on the conditional jump. */
static void emit_edge_on_jcc(struct build *b, unsigned index, u32 eip, u32 place)
{
    struct edge *edge = &b->block->out[index];
    struct stub *stub = stub_add(b, STUB_EDGE, place);
    *edge = (struct edge){.from = b->block, .eip = eip, .patch = place};
    stub->edge = (u8)index;
}

void emit_edge_stub(struct build *b, const struct stub *stub)
{
    struct edge *edge = &b->block->out[stub->edge];
    edge->stub = b->e.at;
    emit_mov_ri(&b->e, REG_TEMP, (u32)(uintptr_t)edge);
    emit_jmp_thunk(&b->e, THUNK_LINK);
}

void emit_indirect(struct build *b)
{
    if (b->t->config.no_inline_cache || b->t->config.no_chaining ||
        mode_seg(b->mode, SEG_CS) != MODE_SEG_FLAT || !(b->mode & MODE_CODE32)) {
        emit_jmp_thunk(&b->e, THUNK_INDIRECT);
        return;
    }
    emit_alu_mi(&b->e, 7, mem_frame(FRAME_PENDING), 0);
    u32 pending = emit_jcc(&b->e, CC_NZ);
    /* key = mode number << 56 | (frame + 1) << 32 | EIP */
    emit_mov_rr32(&b->e, REG_ENTRY, REG_LINEAR);
    emit_shift_ri(&b->e, false, 5, REG_ENTRY, PAGE_SHIFT);
    emit_load64(&b->e, REG_TEMP, mem_frame(FRAME_EXEC_TABLE));
    emit_load32(&b->e, REG_TEMP, mem_bis(REG_TEMP, REG_ENTRY, 4));
    emit_shift_ri(&b->e, true, 4, REG_TEMP, 32);
    emit_rr(&b->e, true, 0x09, REG_LINEAR, REG_TEMP); /* or r11, r9 */
    emit_rm(&b->e, true, 0x0b, REG_TEMP, mem_frame(FRAME_JUMP_TAG));
    emit_movzx16(&b->e, REG_ENTRY, REG_LINEAR);
    emit_shift_ri(&b->e, false, 4, REG_ENTRY, 4);
    emit_rm(&b->e, true, 0x03, REG_ENTRY, mem_frame(FRAME_JUMP_TABLE));
    emit_rm(&b->e, true, 0x3b, REG_TEMP, mem_bd(REG_ENTRY, 0)); /* cmp r11, [r10].key */
    u32 miss = emit_jcc(&b->e, CC_NZ);
    emit_rm(&b->e, false, 0xff, 4, mem_bd(REG_ENTRY, offsetof(struct jump_entry, code)));
    emit_here32(&b->e, pending);
    emit_here32(&b->e, miss);
    emit_jmp_thunk(&b->e, THUNK_INDIRECT);
}
_Static_assert(sizeof(struct jump_entry) == 16 && offsetof(struct jump_entry, key) == 0,
               "emit_indirect indexes it");
_Static_assert(JUMP_ENTRIES == 65536, "emit_indirect takes 16 bits of EIP");

/* Relative branches whose operand size is that of the code segment: others truncate EIP, which is rare
 * enough. */
static bool target_of(const struct build *b, u32 *target)
{
    const struct insn *i = b->i;
    bool code32 = b->mode & MODE_CODE32;
    if (i->op[0].kind != OPND_IMM || i->operand_bytes != (code32 ? 4 : 2)) return false;
    *target = b->next_eip + (u32)i->imm[0];
    if (!code32) *target &= 0xffff;
    return *target <= b->block->key.cs_limit;
}

/* An indirect target beyond the segment's limit is #GP at the branch: only where no target can be is the
 * check left out. */
static bool any_target_is_legal(const struct build *b)
{
    return (b->mode & MODE_CODE32) && b->block->key.cs_limit == UINT32_MAX;
}

static bool falls_through(const struct build *b)
{
    return b->next_eip <= b->block->key.cs_limit && b->next_eip != 0;
}

static bool emit_jump(struct build *b)
{
    u32 target;
    const struct operand *to = &b->i->op[0];
    if (to->kind == OPND_IMM) {
        if (!target_of(b, &target)) return false;
        flags_to_host(b);
        emit_edge(b, 0, target);
    } else if (to->kind == OPND_REG) {
        if (to->reg_class != RC_GPR32 || !any_target_is_legal(b)) return false;
        flags_to_parked(b);
        emit_mov_rr32(&b->e, REG_LINEAR, host_gpr(to->reg));
        emit_indirect(b);
    } else {
        if (to->kind != OPND_MEM || to->bytes != 4 || !any_target_is_legal(b) || !access_address(b, 4, false))
            return false;
        access_check(b, 4, false);
        emit_load32(&b->e, REG_LINEAR, access_mem());
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
    u32 taken = emit_jcc(&b->e, condition_of(b->i));
    bool direct = same_page(b, target) && !needs_poll(b, target);
    if (direct) emit_edge_on_jcc(b, 0, target, taken);
    emit_edge(b, 1, b->next_eip);
    if (!direct) {
        emit_here32(&b->e, taken);
        emit_edge(b, 0, target);
    }
    b->ended = true;
    return true;
}

/* JECXZ and LOOP test RCX itself, whose upper half is zero. */
static bool emit_count_branch(struct build *b, bool decrement, bool taken_if_zero)
{
    u32 target;
    if (!target_of(b, &target) || !falls_through(b) || b->i->address_bytes != 4) return false;
    flags_to_host(b);
    if (decrement) emit_lea32(&b->e, RCX, mem_bd(RCX, -1));
    u32 zero = emit_jrcxz(&b->e);
    u32 nonzero = emit_jmp(&b->e);
    emit_here8(&b->e, zero);
    emit_edge(b, 0, taken_if_zero ? target : b->next_eip);
    emit_here32(&b->e, nonzero);
    emit_edge(b, 1, taken_if_zero ? b->next_eip : target);
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
    push_check(b);
    emit_mov_mi(&b->e, access_mem(), b->next_eip);
    emit_mov_rr32(&b->e, GUEST_ESP, REG_LINEAR);
}

static bool emit_call(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    u32 target;
    if (!stack_is_flat(b) || !(b->mode & MODE_CODE32) || b->i->operand_bytes != 4 || to->kind == OPND_FAR)
        return false;
    if (to->kind == OPND_IMM) {
        if (!target_of(b, &target)) return false;
        push_return_address(b);
        flags_to_host(b);
        emit_edge(b, 0, target);
    } else if (to->kind == OPND_REG) {
        if (to->reg_class != RC_GPR32 || !any_target_is_legal(b)) return false;
        emit_store32(&b->e, mem_frame(FRAME_SLOW_SCRATCH), host_gpr(to->reg));
        push_return_address(b);
        flags_to_parked(b);
        emit_load32(&b->e, REG_LINEAR, mem_frame(FRAME_SLOW_SCRATCH));
        emit_indirect(b);
    } else {
        if (to->bytes != 4 || !any_target_is_legal(b) || !access_address(b, 4, false)) return false;
        access_check(b, 4, false);
        emit_load32(&b->e, REG_TEMP, access_mem());
        emit_store32(&b->e, mem_frame(FRAME_SLOW_SCRATCH), REG_TEMP);
        push_return_address(b);
        flags_to_parked(b);
        emit_load32(&b->e, REG_LINEAR, mem_frame(FRAME_SLOW_SCRATCH));
        emit_indirect(b);
    }
    b->ended = true;
    return true;
}

static bool emit_ret(struct build *b)
{
    if (!stack_is_flat(b) || !any_target_is_legal(b) || b->i->operand_bytes != 4) return false;
    if (b->i->opcode != 0xc2 && b->i->opcode != 0xc3) return false; /* far */
    u32 release = b->i->opcode == 0xc2 ? (u32)b->i->imm[0] & 0xffff : 0;
    emit_mov_rr32(&b->e, REG_LINEAR, GUEST_ESP);
    access_check(b, 4, false);
    emit_load32(&b->e, REG_LINEAR, access_mem());
    emit_lea32(&b->e, GUEST_ESP, mem_bd(GUEST_ESP, (s32)(4 + release)));
    flags_to_parked(b);
    emit_indirect(b);
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
    case ZYDIS_MNEMONIC_JECXZ: return emit_jecxz;
    case ZYDIS_MNEMONIC_LOOP: return emit_loop;
    case ZYDIS_MNEMONIC_CALL: return emit_call;
    case ZYDIS_MNEMONIC_RET: return emit_ret;
    default: return NULL;
    }
}
