/*
 * User code of 64-bit mode in a window (mmu/long_window.h): memory operands are the guest's own, after a check of the
 * class of their segment of 4 GB. rsp.c has the rules for the stack.
 *
 *     shrx  r11, base, r15         the base by 32; or: lea r11, [EA] ; shr r11, 32
 *     test  byte [r14 + r11 + table of the class], r15b
 *     jz    miss                   THUNK_SEGMENT: translator_segment() learns the class and interprets the instruction
 *     op    [EA + r13]             LONG_HIGH: r13 = the window's delta; LONG_SAME: op [EA]
 *
 * r13 has the delta whenever an instruction begins and whenever a block is left for another one. What comes from C code
 * loads it (entry.S), and so does what has used r13 for something else (verify_load_delta()).
 *
 * If bits 48 to 63 of the address are not zero, the TEST reads outside the table, somewhere in the 4 GB behind it. That
 * is harmless. If the TEST faults, the interpreter gets the instruction (signal_frame.c). If it finds a bit there by
 * chance, the access faults, because its address is not canonical (long_window.h, invariant 1).
 *
 * Addresses of a block that differ from a verified one by at most LONG_REACH need no check. They are known by roots and
 * offsets (hoist.c). Unlike a hoisted check of the TLB, a verified segment does not depend on pages, so C code that the
 * block calls cannot undo it: the table changes only while no user code is under way.
 *
 * The address of an operand relative to RIP is known, and so is the number of its segment:
 *
 *     mov   r9, address
 *     test  byte [r14 + table of the class + number], r15b
 *
 * The class that a check compares with is a guess, from what the register holds at translation or from where the code
 * lies, until a miss has shown the right one. It is kept by the instruction's gpa in the table of checked sites
 * (checked.h). If an instruction meets both classes, and at first if an operand of code in the lowest 4 GB may be in
 * either, the address is computed in r9 and gets the delta if its class is LONG_HIGH:
 *
 *     test  byte [r14 + r11 + table of LONG_HIGH], r15b
 *     jz    low                    tests for LONG_SAME; if it is, back to the instruction, else a miss
 *     add   r9, delta
 *     op    [r9]
 */
#include "verify.h"
#include "scratch.h"

/* What a check may expect besides one class. */
#define LONG_EITHER (LONG_SAME | LONG_HIGH)
_Static_assert(LONG_SAME == 1 && LONG_HIGH == 2, "they are bits of checked_slot.classes, too");

/* Do all accesses of the instruction happen on all its ways, with nothing changed before the last one? */
static bool has_plain_accesses(const struct build *b, unsigned n)
{
    if (b->decision[n] == BY_REWRITE) return true;
    if (b->decision[n] == BY_CALLOUT) return false;
    switch (b->insn[n].row->emitter) {
    case EMITTER_push:
    case EMITTER_pop:
    case EMITTER_leave:
    case EMITTER_call:
    case EMITTER_jump:
    case EMITTER_ret: return true;
    default: return false;
    }
}

/* LEA and others have an operand in memory, but access nothing. */
static bool accesses_memory(const struct insn *i)
{
    const struct operand *memory = insn_memory(i);
    return memory && memory->bytes;
}

bool verify_reaches_window(const struct build *b, unsigned n)
{
    const struct insn *i = &b->insn[n];
    if (!mode_has_window64(b->mode) || b->checked[n] || !has_plain_accesses(b, n)) return false;
    for (unsigned k = 0; k < i->operand_count; k++) /* the fault would come between two XCHG (rewrite.c) */
        if (accesses_memory(i) && insn_is_high_byte(&i->op[k])) return false;
    return true;
}

static bool has_long_window(const struct build *b)
{
    return verify_reaches_window(b, b->n);
}

bool verify_is_certain(const struct build *b, unsigned n, enum hoist_slot slot)
{
    const struct insn *i = &b->insn[n];
    bool x87 = i->map == 0 && i->opcode >= 0xd8 && i->opcode <= 0xdf;
    bool masked = i->map == 1 && i->opcode == 0xf7;
    if (slot == HOIST_STACK) return true;
    return b->decision[n] == BY_REWRITE && i->encoding == ENC_LEGACY && !x87 && !masked;
}

/* Has the segment of this address a class at the moment? */
static enum long_class current_class(const struct build *b, u64 linear)
{
    return linear < CANONICAL_LOW_END ? tlb_segment(b->v->shadow->tlb, linear) : LONG_NONE;
}

u8 verify_guess(const struct build *b, unsigned n, const struct hoist_access *at, enum hoist_slot slot)
{
    bool same = b->mode & MODE_SAME;
    u8 learnt = checked_classes(&b->t->checked, b->key.gpa + b->offset[n], same);
    if (at->root == ROOT_LOWEST) return LONG_SAME;
    if (slot == HOIST_OPERAND && learnt) return learnt;
    if (root_is_register(at->root)) {
        unsigned reg = at->root - 1u;
        u64 value = reg < 8 ? b->v->gpr[reg] : b->v->gpr_high[reg - 8];
        enum long_class class = current_class(b, value + (u64)at->offset);
        if (class) return class;
    }
    if (slot == HOIST_STACK) return LONG_HIGH;
    if (same) return LONG_SAME;
    /* Programs at a fixed address have their heap behind them, and other objects near their libraries. */
    return b->key.eip >> 32 == 0 ? LONG_EITHER : LONG_HIGH;
}

static struct verified *find_verified(struct build *b, const struct hoist_access *at)
{
    for (unsigned n = 0; at->root != ROOT_NONE && n < b->verified_count; n++) {
        struct verified *known = &b->verified[n];
        if (value_is_near(known->at, access_at(at), LONG_REACH)) return known;
    }
    return NULL;
}

static void emit_segment_number(struct build *b, u8 to, u8 address)
{
    _Static_assert(FRAME_BIAS % 64 == 32, "SHRX by r15 shifts by 32");
    if (b->t->has_bmi2) {
        emit_shrx(&b->e, to, address, REG_FRAME);
        return;
    }
    if (to != address) emit_mov_rr64(&b->e, to, address);
    emit_shift_ri(&b->e, true, SHIFT_SHR, to, 32);
}

void verify_segment_number(struct build *b, u8 to, u8 address)
{
    emit_segment_number(b, to, address);
    emit_movzx16(&b->e, to, to);
}

/* Clear ZF if the segment is of this class: both bytes have bits set. CMP with a constant would take a micro-operation
 * more, because it does not fuse with the jump behind it. */
static void test_entry(struct build *b, u8 class, struct host_mem entry)
{
    _Static_assert(FRAME_BIAS % VCPU_ALIGN, "r15's low byte is not 0");
    entry.disp += (s32)offsetof(struct tlb_segments, is[class - LONG_SAME]);
    emit_rm(&b->e, false, 0x84, REG_FRAME, entry);
}

void verify_test_class(struct build *b, u8 scratch, u8 address, u8 class)
{
    verify_segment_number(b, scratch, address);
    test_entry(b, class, mem_segment_class(scratch));
}

/* The check of an address: the jump is taken if it has another class. *segment: the register that gets the number of
 * its segment; NULL: it need not be in a register. If the base licenses the access, it is checked in place of `ea`;
 * *at becomes what was checked. */
static struct stub *check(struct build *b, struct hoist_access *at, struct host_mem ea, u8 class, u8 *segment)
{
    bool base_suffices =
        ea.base != HOST_NONE && ea.index == HOST_NONE && ea.disp <= LONG_SLACK && ea.disp >= -LONG_SLACK;
    bool entry_is_free = ea.base != REG_ENTRY && ea.index != REG_ENTRY;
    u8 scratch = !b->keeps_temp ? REG_TEMP : entry_is_free ? REG_ENTRY : REG_HOISTED;
    flags_clobber(b);
    if (at->root == ROOT_LOWEST) {
        test_entry(b, class, mem_segment_class(HOST_NONE));
    } else if (at->root == ROOT_RIP && !segment) {
        struct host_mem entry = mem_segment_class(HOST_NONE);
        entry.disp += (s32)((b->key.eip + (u64)at->offset) >> 32 & UINT16_MAX);
        test_entry(b, class, entry);
        if (b->has_full_rip) fix_last(b, FIX_SEGMENT);
    } else {
        if (base_suffices) {
            at->offset = (s64)((u64)at->offset - (u64)(s64)ea.disp);
            ea.disp = 0;
            emit_segment_number(b, scratch, ea.base);
        } else {
            emit_lea64(&b->e, scratch, ea);
            emit_segment_number(b, scratch, scratch);
        }
        test_entry(b, class, mem_segment_class(scratch));
        scratch_note(b, scratch, 0);
        b->has_delta &= scratch != REG_HOISTED;
        if (segment) *segment = scratch;
    }
    struct stub *miss = stub_add(b, STUB_SEGMENT, emit_jcc(&b->e, CC_Z));
    miss->address = ea;
    return miss;
}

void verify_note(struct build *b, struct value at, u8 class)
{
    if (at.root == ROOT_NONE || b->verified_count == ARRAY_SIZE(b->verified)) return;
    b->verified[b->verified_count++] = (struct verified){.at = at, .class = class};
}

/* The same address as a register. */
static struct host_mem in_one_register(struct build *b, struct host_mem ea)
{
    if (ea.base == REG_LINEAR && ea.index == HOST_NONE && !ea.disp) return ea;
    emit_lea64(&b->e, REG_LINEAR, ea);
    scratch_note(b, REG_LINEAR, 0);
    return mem_bd(REG_LINEAR, 0);
}

/* Verify an address of either class. The result is its host address. */
static struct host_mem check_either(struct build *b, struct hoist_access *at, struct host_mem ea)
{
    u8 segment;
    ea = in_one_register(b, ea);
    struct stub *low = check(b, at, ea, LONG_HIGH, &segment);
    emit_alu_rm(&b->e, true, ALU_ADD, REG_LINEAR, mem_frame(FRAME_WINDOW_DELTA));
    scratch_note(b, REG_LINEAR, 0);
    low->segment = segment;
    low->back = b->e.at;
    return ea;
}

void verify_load_delta(struct build *b)
{
    if (b->has_delta || !mode_has_window64(b->mode)) return;
    emit_load64(&b->e, REG_HOISTED, mem_frame(FRAME_WINDOW_DELTA));
    b->has_delta = true;
}

void verify_check_delta(struct build *b)
{
    if (!mode_has_window64(b->mode)) return;
    emit_mov_rr64(&b->e, REG_TEMP, RCX); /* the flags may be live */
    emit_load64(&b->e, RCX, mem_frame(FRAME_WINDOW_DELTA));
    emit_not64(&b->e, RCX);
    emit_lea64(&b->e, RCX, (struct host_mem){.base = RCX, .index = REG_HOISTED, .scale = 1, .disp = 1});
    u32 same = emit_jrcxz(&b->e);
    emit_ud2(&b->e);
    emit_here8(&b->e, same);
    emit_mov_rr64(&b->e, RCX, REG_TEMP);
}

static struct host_mem add_delta(struct build *b, struct host_mem ea)
{
    verify_load_delta(b);
    if (ea.index != HOST_NONE) ea = in_one_register(b, ea);
    ea.index = REG_HOISTED;
    ea.scale = 1;
    return ea;
}

/* The flags stay where they are between the accesses of an instruction: the handler of a host page fault knows one
 * place. */
static void settle_flags(struct build *b)
{
    unsigned emitter = b->decision[b->n] == BY_EMITTER ? b->i->row->emitter : EMITTER_NONE;
    bool stack = emitter == EMITTER_push || emitter == EMITTER_pop || emitter == EMITTER_call;
    if (stack && accesses_memory(b->i)) flags_clobber(b);
}

void verify_begin(struct build *b)
{
    b->verified_count = 0;
    b->has_delta = mode_has_window64(b->mode);
    rsp_begin(b);
}

static struct host_mem access_verified(struct build *b, const struct hoist_access *at, enum hoist_slot slot,
                                       struct host_mem ea)
{
    settle_flags(b);
    const struct verified *known = find_verified(b, at);
    u8 class = known ? known->class : verify_guess(b, b->n, at, slot);
    if (class == LONG_EITHER) {
        ea = check_either(b, &(struct hoist_access){.root = at->root, .offset = at->offset}, ea);
    } else if (!known) {
        if (class == LONG_HIGH && ea.index != HOST_NONE)
            ea = in_one_register(b, ea); /* the delta needs the index */
        struct hoist_access verified = *at;
        check(b, &verified, ea, class, NULL);
        verify_note(b, access_at(&verified), class);
    }
    b->site[b->n].parked = b->flags != FLAGS_HOST;
    if (class != LONG_EITHER && slot == HOIST_OPERAND) loop_note_access(b, class);
    if (class == LONG_HIGH && verify_is_certain(b, b->n, slot)) rsp_anchor(b, access_at(at));
    if (class == LONG_HIGH) ea = add_delta(b, ea);
    ea.window = WINDOW_LONG;
    return ea;
}

bool verify_operand(struct build *b, unsigned size, struct host_mem *mem)
{
    const struct insn *i = b->i;
    struct hoist_access at = {.root = ROOT_NONE};
    u64 linear;
    if (!has_long_window(b) || i->address_bytes != 8) return false;
    if (mode_seg(b->mode, i->mem_seg) != MODE_SEG_FLAT) {
        access_address(b, size);
        *mem = mem_bd(REG_LINEAR, 0);
    } else if (!access_is_constant(b, i, &linear)) {
        at = b->access[b->n][HOIST_OPERAND];
        *mem = operand_address(b);
    } else if (linear <= INT32_MAX) {
        at.root = ROOT_LOWEST;
        *mem = mem_bd(HOST_NONE, (s32)linear);
    } else if (i->mem_base == INSN_RIP) {
        at.root = ROOT_RIP;
        at.offset = (s64)(linear - b->key.eip);
        if (!find_verified(b, &at))
            flags_clobber(b); /* the check must follow the address at once (FIX_SEGMENT) */
        access_effective64(b, REG_LINEAR, true);
        *mem = mem_bd(REG_LINEAR, 0);
    } else {
        return false;
    }
    *mem = access_verified(b, &at, HOIST_OPERAND, *mem);
    return true;
}

bool verify_prefetch(struct build *b, struct host_mem *mem)
{
    const struct hoist_access *at = &b->access[b->n][HOIST_OPERAND];
    if (!mode_has_window64(b->mode) || at->root == ROOT_NONE) return false;
    const struct verified *known = find_verified(b, at);
    u8 class = known ? known->class : verify_guess(b, b->n, at, HOIST_OPERAND);
    *mem = operand_address(b);
    if (class & LONG_HIGH) *mem = add_delta(b, *mem);
    return true;
}

bool verify_stack(struct build *b, struct host_mem *slot)
{
    if (!has_long_window(b)) return false;
    *slot = access_verified(b, &b->access[b->n][HOIST_STACK], HOIST_STACK, *slot);
    return true;
}

void emit_segment_stub(struct build *b, const struct stub *stub)
{
    if (stub->back) {
        emit_movzx16(&b->e, stub->segment, stub->segment); /* here a fault would belong to no instruction */
        test_entry(b, LONG_SAME, mem_segment_class(stub->segment));
        emit_fix32(&b->e, emit_jcc(&b->e, CC_NZ), stub->back);
    }
    if (stub->address.base == HOST_NONE && stub->address.index == HOST_NONE)
        emit_mov_ri64(&b->e, REG_LINEAR, (u64)(s64)stub->address.disp);
    else
        emit_lea64(&b->e, REG_LINEAR, stub->address);
    emit_call_thunk(&b->e, THUNK_SEGMENT);
    emit8(&b->e, 0);
    emit8(&b->e, stub->index);
}
