/*
 * Hoisted checks (tier 1). Some accesses of a block have addresses that differ by constants: runs of PUSH and POP,
 * [ESP+x] and [EBP+x], the fields of a structure. They form a group with one check, before its first member: all
 * bytes must lie in one page, and the page must have an entry. The group's host address is then held in a register
 * or in the vCPU, and each member is just the guest's instruction with another address.
 *
 * Values are followed through the block as root + offset. A root stands for an unknown value: the content of a
 * register at the block's beginning, or the result of some instruction. MOV, LEA, ADD, PUSH and the like keep the
 * root.
 *
 *     mov  eax, [ebp+8]     group: root "EBP at entry", offset 8    check; r13 = host address of offset -4;
 *                                                                   mov eax, [r13 + 12]
 *     lea  edx, [ebp-4]     EDX: the same root, offset -4           lea edx, [rbp - 4]
 *     mov  [edx], eax       group: offset -4                        mov [r13], eax
 *
 * The check itself never faults. If it fails, an edge leads to the unhoisted block (MODE_UNHOISTED in its key) that
 * begins with the current instruction, and the checks there find the cause.
 *
 * C code that the block calls may drop the entry of a checked group. A slow access that drops an entry
 * does not return into a block with an open group (translator_slow_access()). Behind callouts and other calls of C
 * code, groups are checked again.
 */
#include "hoist.h"

#include "build.h"
#include "scratch.h"

/* Bytes of a group: an 8-bit displacement reaches them, and they seldom cross the end of a page. */
#define REACH 128

/* --- values --- */

struct values {
    bool wide; /* 64-bit mode */
    struct value reg[GPR_COUNT];
    struct sum sum[MAX_SUMS];
    unsigned sums;
    u16 roots;
};

enum { ROOT_ZERO = 0 };

static void forget(struct values *values, unsigned reg)
{
    values->reg[reg] = (struct value){.root = ++values->roots};
}

static void forget_all(struct values *values)
{
    for (unsigned n = 0; n < GPR_COUNT; n++)
        forget(values, n);
}

static s64 wrap(const struct values *values, u64 offset)
{
    return values->wide ? (s64)offset : (s32)offset;
}

static struct value plus(const struct values *values, struct value value, u64 by)
{
    value.offset = wrap(values, (u64)value.offset + by);
    return value;
}

static struct value sum_of(struct values *values, struct value base, struct value index, u8 scale)
{
    struct value sum = {.offset = wrap(values, (u64)base.offset + (u64)index.offset * scale)};
    for (unsigned n = 0; n < values->sums; n++) {
        const struct sum *known = &values->sum[n];
        if (known->base == base.root && known->index == index.root && known->scale == scale) {
            sum.root = known->root;
            return sum;
        }
    }
    sum.root = ++values->roots;
    if (values->sums < MAX_SUMS)
        values->sum[values->sums++] = (struct sum){sum.root, base.root, index.root, scale};
    return sum;
}

static struct value address_of(struct values *values, const struct insn *i)
{
    struct value value = {.root = ROOT_ZERO};
    if (i->mem_base != INSN_NO_REG) value = values->reg[i->mem_base];
    if (i->mem_index != INSN_NO_REG) value = sum_of(values, value, values->reg[i->mem_index], i->mem_scale);
    return plus(values, value, i->mem_disp);
}

/* Is it a register of the width of addresses? In 64-bit mode an instruction that writes 32 bits makes a new value. */
static bool is_register(const struct values *values, const struct operand *o)
{
    return o->kind == OPND_REG && o->reg_class == (values->wide ? RC_GPR64 : RC_GPR32);
}

/* Has the operand an address that can be followed? Constant ones in 64-bit mode have cheap checks of their own. */
static bool has_address(const struct values *values, const struct insn *i)
{
    if (!values->wide) return i->address_bytes == 4;
    return i->address_bytes == 8 && i->mem_base != INSN_RIP &&
           (i->mem_base != INSN_NO_REG || i->mem_index != INSN_NO_REG);
}

/* If the instruction sets a register to a known value plus a constant, note that and return true. */
static bool follow_sum(struct values *values, const struct insn *i)
{
    const struct operand *to = &i->op[0], *from = &i->op[1];
    if (!is_register(values, to)) return false;
    struct value *reg = &values->reg[to->reg];
    unsigned traits = i->row->traits;
    if (i->row->emitter == EMITTER_lea) {
        if (!has_address(values, i)) return false;
        *reg = address_of(values, i);
    } else if (traits & ISA_COPIES) {
        if (!is_register(values, from)) return false;
        *reg = values->reg[from->reg];
    } else if (traits & (ISA_ADDS | ISA_SUBTRACTS)) {
        bool by_one = i->operand_count == 1; /* INC, DEC */
        if (!by_one && from->kind != OPND_IMM) return false;
        u64 by = by_one ? 1 : i->imm[from->imm];
        *reg = plus(values, *reg, traits & ISA_ADDS ? by : -by);
    } else {
        return false;
    }
    return true;
}

/* The value of ESP after a push, a pop or LEAVE of dwords. */
static struct value stack_after(const struct values *values, const struct insn *i)
{
    switch (i->stack_effect) {
    case STACK_PUSH: return plus(values, values->reg[REG_ESP], -(u64)i->stack_access);
    case STACK_POP: return plus(values, values->reg[REG_ESP], i->stack_access);
    default: return plus(values, values->reg[REG_EBP], i->stack_access);
    }
}

static bool writes_esp(const struct values *values, const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (is_register(values, &i->op[n]) && i->op[n].written && i->op[n].reg == REG_ESP) return true;
    return false;
}

static void follow(struct values *values, const struct insn *i)
{
    if (follow_sum(values, i)) return;
    bool moves = i->stack_effect != STACK_NONE && i->stack_effect != STACK_OTHER && !writes_esp(values, i);
    struct value esp = stack_after(values, i);
    for (unsigned reg = 0; reg < GPR_COUNT; reg++)
        if (i->gprs_written >> reg & 1) forget(values, reg);
    if (moves) values->reg[REG_ESP] = esp;
}

/* --- groups --- */

static bool fits(const struct hoist *group, const struct value *at, s64 end)
{
    s64 low = group->low < at->offset ? group->low : at->offset, high = group->high > end ? group->high : end;
    if (high - low > REACH) return false;
    return at->root != ROOT_ZERO || ((u32)low ^ ((u32)high - 1)) < PAGE_SIZE;
}

static struct hoist *group_for(struct hoist_plan *plan, const struct value *at, s64 end)
{
    for (unsigned n = plan->count; n-- > 0;)
        if (plan->group[n].root == at->root && fits(&plan->group[n], at, end)) return &plan->group[n];
    if (plan->count == MAX_HOISTS) return NULL;
    struct hoist *group = &plan->group[plan->count++];
    *group = (struct hoist){.root = at->root, .low = at->offset, .high = end};
    return group;
}

static void note(struct build *b, unsigned n, enum hoist_slot slot, struct value at, unsigned size,
                 bool write)
{
    s64 end = is_code64(b) ? at.offset + size : (s32)((u32)at.offset + size);
    if (end < at.offset || (n && b->insn[n - 1].row->emitter == EMITTER_sti)) return; /* see emit_sti() */
    if (b->mode & MODE_WINDOW) { /* verify.c needs no groups */
        b->access[n][slot] =
            (struct hoist_access){.size = (u8)size, .write = write, .root = at.root, .offset = at.offset};
        return;
    }
    struct hoist *group = group_for(&b->hoist, &at, end);
    if (!group) return;
    if (at.offset < group->low) group->low = at.offset;
    if (end > group->high) group->high = end;
    group->left++;
    group->last = (u8)n;
    group->write |= write;
    b->access[n][slot] = (struct hoist_access){.group = (u8)(group - b->hoist.group + 1),
                                               .size = (u8)size,
                                               .write = write,
                                               .root = at.root,
                                               .offset = at.offset};
    b->hoist.any |= group->left > 1;
}

static void note_operand(struct build *b, unsigned n, struct values *values)
{
    const struct insn *i = &b->insn[n];
    if (!has_address(values, i) || mode_seg(b->mode, i->mem_seg) != MODE_SEG_FLAT) return;
    for (unsigned k = 0; k < i->operand_count; k++) {
        const struct operand *o = &i->op[k];
        bool prefetched =
            i->row->emitter == EMITTER_prefetch && b->mode & MODE_WINDOW; /* verify_prefetch() */
        if (o->kind == OPND_MEM && o->bytes <= 32 && !i->mask && (o->bytes || prefetched))
            note(b, n, HOIST_OPERAND, address_of(values, i), o->bytes, o->written);
    }
}

static void note_stack(struct build *b, unsigned n, const struct values *values)
{
    const struct insn *i = &b->insn[n];
    unsigned bytes = (unsigned)slot_bytes(b);
    if (!has_plain_stack(b, i) || i->stack_access != bytes) return;
    switch (i->stack_effect) {
    case STACK_PUSH:
        note(b, n, HOIST_STACK, plus(values, values->reg[REG_ESP], -(u64)bytes), bytes, true);
        break;
    case STACK_POP: note(b, n, HOIST_STACK, values->reg[REG_ESP], bytes, false); break;
    case STACK_LEAVE: note(b, n, HOIST_STACK, values->reg[REG_EBP], bytes, false); break;
    default: break;
    }
}

void hoist_plan(struct build *b)
{
    struct values values;
    values.wide = is_code64(b);
    values.roots = ROOT_ZERO;
    values.sums = 0;
    b->hoist.count = 0;
    b->hoist.any = false;
    for (unsigned n = 0; n < HOIST_HOLDERS; n++)
        b->hoist.owner[n] = 0;
    for (unsigned n = 0; n < b->count; n++)
        for (unsigned k = 0; k < HOIST_SLOTS; k++)
            b->access[n][k] = (struct hoist_access){.group = 0};
    if (!b->hoists) return;
    forget_all(&values);
    struct value *rsp = &values.reg[REG_ESP];
    b->stack[0] = *rsp;
    for (unsigned n = 0; n < b->count; n++) {
        const struct insn *i = &b->insn[n];
        if (b->decision[n] == BY_CALLOUT) {
            forget_all(&values);
            if (follows_stack(b)) *rsp = b->stack[n]; /* a routine that changes RSP leaves the block */
        } else {
            note_operand(b, n, &values);
            note_stack(b, n, &values);
            follow(&values, i);
        }
        b->stack[n + 1] = *rsp;
    }
    for (unsigned n = 0; n < GPR_COUNT; n++)
        b->at_end[n] = values.reg[n];
    for (unsigned n = 0; n < values.sums; n++)
        b->sum[n] = values.sum[n];
    b->sums = values.sums;
}

/* --- emitting --- */

static bool is_over(const struct build *b, const struct hoist *group)
{
    return !group->checked || !group->left || group->last < b->n;
}

static bool find_holder(struct build *b, struct hoist *group)
{
    for (unsigned n = 0; n < HOIST_HOLDERS; n++) {
        u8 *owner = &b->hoist.owner[n];
        if (*owner && !is_over(b, &b->hoist.group[*owner - 1])) continue;
        *owner = (u8)(group - b->hoist.group + 1);
        group->holder = (u8)n;
        return true;
    }
    return false;
}

static struct host_mem frame_holder(const struct hoist *group)
{
    return mem_frame(FRAME_HOISTED + 8 * (group->holder - 1));
}

/* r10 = the entry of the page of the group's lowest address. Leaves the block if the check fails. Returns the register
 * that has the address: r9d, or in 64-bit mode another one. */
static u8 check_group(struct build *b, const struct hoist *group, struct host_mem low)
{
    u32 crossing = 0;
    if (has_tlb(b)) {
        u8 linear = access_plain_register(b, low);
        if (linear == HOST_NONE) {
            emit_lea_sized(&b->e, is_code64(b), linear = REG_LINEAR, low);
            scratch_note(b, REG_LINEAR, 0);
        }
        emit_unhoisted_exit(b, access_by_tlb(b, linear, (unsigned)(group->high - group->low), group->write));
        return linear;
    }
    if (group->root == ROOT_ZERO) {
        emit_load64(&b->e, REG_ENTRY, mem_entry((u32)group->low, group->write));
        emit_mov_ri(&b->e, REG_LINEAR, (u32)group->low);
    } else {
        emit_lea32(&b->e, REG_LINEAR, low);
        emit_lea32(&b->e, REG_ENTRY, mem_bd(REG_LINEAR, (s32)(group->high - group->low) - 1));
        emit_alu_rr(&b->e, false, ALU_XOR, REG_ENTRY, REG_LINEAR);
        emit_shift_ri(&b->e, false, SHIFT_SHR, REG_ENTRY, PAGE_SHIFT);
        crossing = emit_jcc(&b->e, CC_NZ);
        emit_mov_rr32(&b->e, REG_ENTRY, REG_LINEAR);
        emit_shift_ri(&b->e, false, SHIFT_SHR, REG_ENTRY, PAGE_SHIFT);
        emit_load64(&b->e, REG_ENTRY, mem_table(REG_ENTRY, group->write));
    }
    emit_test_rr(&b->e, true, REG_ENTRY);
    emit_unhoisted_exit(b, emit_jcc(&b->e, CC_Z))->from[1] = crossing;
    return REG_LINEAR;
}

static void hold_address(struct build *b, const struct hoist *group, u8 linear)
{
    if (!group->holder) {
        emit_lea64(&b->e, REG_HOISTED, mem_bis(linear, REG_ENTRY, 1));
        return;
    }
    if (linear == REG_LINEAR)
        emit_alu_rr(&b->e, true, ALU_ADD, REG_LINEAR, REG_ENTRY);
    else
        emit_lea64(&b->e, REG_LINEAR, mem_bis(linear, REG_ENTRY, 1));
    scratch_note(b, REG_LINEAR, 0);
    emit_store64(&b->e, frame_holder(group), REG_LINEAR);
}

/* The displacement of the lowest address of the group, from the registers of this access's address. False: 64-bit code
 * cannot have it. */
static bool find_displacement(const struct build *b, const struct hoist *group,
                              const struct hoist_access *access, const struct host_mem *stack_slot, s32 *disp)
{
    s64 of_access = stack_slot ? stack_slot->disp : (s32)b->i->mem_disp;
    s64 lowest = of_access + group->low - access->offset;
    *disp = (s32)lowest;
    return !is_code64(b) || lowest == *disp;
}

bool hoist_access(struct build *b, enum hoist_slot slot, const struct host_mem *stack_slot, unsigned size,
                  bool write, struct host_mem *mem)
{
    struct host_mem address = stack_slot ? *stack_slot : mem_bd(HOST_NONE, 0);
    const struct hoist_access *access = &b->access[b->n][slot];
    if (!b->hoist.any || !access->group) return false;
    struct hoist *group = &b->hoist.group[access->group - 1];
    unsigned left = group->left--;
    bool now = !group->checked, other = size > access->size || (write && !access->write);
    if (other) return false;
    if (now) {
        s32 disp;
        if (!find_displacement(b, group, access, stack_slot, &disp)) return false;
        if (left < 2 || b->block->edge_count >= MAX_HOIST_EDGES || !find_holder(b, group)) return false;
        flags_clobber(b);
        if (!stack_slot) address = operand_address(b);
        address.disp = disp;
        hold_address(b, group, check_group(b, group, address));
        group->checked = true;
        b->v->counters->hoists++;
    } else {
        b->v->counters->hoisted_checks++;
        if (group->holder) emit_load64(&b->e, REG_LINEAR, frame_holder(group));
        if (group->holder) scratch_note(b, REG_LINEAR, 0);
    }
    *mem = mem_bd(group->holder ? REG_LINEAR : REG_HOISTED, (s32)(access->offset - group->low));
    return true;
}

static void give_up(struct build *b, unsigned holder)
{
    u8 *owner = &b->hoist.owner[holder];
    if (*owner) b->hoist.group[*owner - 1].checked = false;
    *owner = 0;
}

void hoist_yield(struct build *b)
{
    give_up(b, 0);
}

void hoist_forget(struct build *b)
{
    for (unsigned n = 0; n < HOIST_HOLDERS; n++)
        give_up(b, n);
}

bool hoist_is_open(const struct build *b)
{
    for (unsigned n = 0; n < HOIST_HOLDERS; n++) {
        u8 owner = b->hoist.owner[n];
        if (owner && !is_over(b, &b->hoist.group[owner - 1])) return true;
    }
    return false;
}
