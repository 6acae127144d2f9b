/*
 * Loops of 64-bit code in a window. A block that ends with a jump to its beginning is a loop. If it advances an address
 * by a constant, the address is verified (verify.c) once, before the loop:
 *
 *     entry:  shrx  r11, rdx, r15
 *             movzx r11d, r11w
 *             test  byte [r14 + r11 + table of the class], r15b
 *             jz    unhoisted              an edge to the block that verifies rdx in each turn (MODE_UNHOISTED)
 *     loop:   movzx eax, byte [rdx]
 *             add   rdx, 1
 *             ...
 *             jne   loop
 *
 * Invariant
 * 1. Whatever goes to the loop's own entry has reached memory through the window, in the same turn of the loop, at most
 *    LONG_SLACK from where the address is now, by an instruction that cannot end without that, its *anchor*. What is
 *    mapped in a window lies in a segment, so the address licenses accesses like one that was verified (long_window.h,
 *    invariant 1). Only edges of the block's last instruction lead there, so all others have been executed.
 *
 * Also here: early checks. An address that the block uses where flags are live is verified at the block's entry if it
 * is known there, in each turn of a loop, too. A check in front of the access would have to park the flags, and code
 * that needs them behind it would unpark them.
 */
#include "verify.h"

static bool ends_with_jump(const struct build *b)
{
    unsigned last = b->count - 1, emitter = b->insn[last].row->emitter;
    bool jumps = emitter == EMITTER_jcond || emitter == EMITTER_jump;
    return jumps && b->decision[last] == BY_EMITTER && !b->passed[last];
}

/* Is the block a loop? If flags live at its beginning, they would have to be parked in each turn. */
static bool is_loop(const struct build *b)
{
    u64 targets[2] = {0};
    if (!b->loops || b->frame_next || b->live[0] || !ends_with_jump(b)) return false;
    const struct insn *last = &b->insn[b->count - 1];
    u64 next = b->key.eip + b->offset[b->count - 1] + last->length;
    unsigned count = branch_targets(b, last, next, targets);
    return (count > 0 && targets[0] == b->key.eip) || (count > 1 && targets[1] == b->key.eip);
}

static const struct sum *find_sum(const struct build *b, u16 root)
{
    for (unsigned n = 0; n < b->sums; n++)
        if (b->sum[n].root == root) return &b->sum[n];
    return NULL;
}

/* Find the registers of an address by its root. At the block's entry it is a register, or a sum of registers. */
static bool find_registers(const struct build *b, struct entry_address *address)
{
    address->base = address->index = INSN_NO_REG;
    if (root_is_register(address->root)) {
        address->base = (u8)(address->root - 1);
        return true;
    }
    const struct sum *sum = find_sum(b, address->root);
    if (!sum || (sum->base && !root_is_register(sum->base)) || !root_is_register(sum->index)) return false;
    if (sum->base) address->base = (u8)(sum->base - 1);
    address->index = (u8)(sum->index - 1);
    address->scale = sum->scale;
    return true;
}

/* What is the address in the next turn? Its registers change by constants. */
static bool find_next(const struct build *b, const struct entry_address *address, struct value *next)
{
    static const struct value zero = {.root = 0};
    if (address->index == INSN_NO_REG) {
        *next = b->at_end[address->base];
        return true;
    }
    bool has_base = address->base != INSN_NO_REG;
    struct value base = has_base ? b->at_end[address->base] : zero, index = b->at_end[address->index];
    next->root = address->root;
    next->offset = (s64)((u64)base.offset + (u64)index.offset * address->scale);
    return (!has_base || base.root == address->base + 1u) && index.root == address->index + 1u;
}

static bool find_anchor(const struct build *b, struct entry_address *address, struct value next)
{
    for (unsigned n = 0; n < b->count; n++) {
        struct value at = access_at(&b->access[n][HOIST_OPERAND]);
        address->anchor = (u8)n;
        if (value_is_near(at, next, LONG_SLACK) && verify_is_certain(b, n, HOIST_OPERAND) &&
            verify_reaches_window(b, n))
            return true;
    }
    return false;
}

static bool is_planned(const struct entry_addresses *some, u16 root)
{
    for (unsigned n = 0; n < some->count; n++)
        if (some->address[n].root == root) return true;
    return false;
}

static void plan(struct entry_addresses *some, const struct entry_address *address)
{
    bool one_class = address->class == LONG_SAME || address->class == LONG_HIGH;
    if (one_class && some->count < ARRAY_SIZE(some->address)) some->address[some->count++] = *address;
}

static void plan_for_loop(struct build *b, unsigned n)
{
    const struct hoist_access *at = &b->access[n][HOIST_OPERAND];
    struct entry_address address = {.root = at->root, .scale = 1};
    struct value next = {.root = 0};
    if (at->root == ROOT_NONE || at->root == ROOT_STACK) return; /* rsp.c */
    if (is_planned(&b->loop, at->root) || !verify_reaches_window(b, n)) return;
    if (!find_registers(b, &address) || !find_next(b, &address, &next) || !next.root) return;
    if (!find_anchor(b, &address, next)) return;
    address.class = verify_guess(b, n, at, HOIST_OPERAND);
    plan(&b->loop, &address);
}

static void plan_early(struct build *b, unsigned n)
{
    const struct hoist_access *at = &b->access[n][HOIST_OPERAND];
    struct entry_address address = {.root = at->root, .scale = 1};
    if (at->root == ROOT_NONE || at->root == ROOT_STACK || !verify_reaches_window(b, n)) return;
    if (is_planned(&b->loop, at->root) || is_planned(&b->early, at->root)) return;
    if (!find_registers(b, &address) ||
        !value_is_near((struct value){.root = at->root}, access_at(at), LONG_REACH))
        return;
    address.class = verify_guess(b, n, at, HOIST_OPERAND);
    plan(&b->early, &address);
}

void loop_plan(struct build *b)
{
    bool loop = is_loop(b), early = b->loops && (!b->live[0] || plan_wants_parked(b)), flags = false;
    b->loop.count = b->early.count = 0;
    for (unsigned n = 0; n < b->count && loop; n++)
        plan_for_loop(b, n);
    for (unsigned n = 0; n < b->count && early; n++) {
        if (flags && b->live[n]) plan_early(b, n);
        flags |= b->insn[n].flags_written != 0; /* where they are live, they are in EFLAGS */
    }
}

/* The register that has the address; r11, if it has to be loaded or computed. */
static u8 compute(struct build *b, const struct entry_address *address)
{
    struct host_mem sum = {.base = HOST_NONE, .scale = address->scale};
    if (address->index == INSN_NO_REG) return gpr_load(b, address->base, REG_TEMP);
    if (address->base != INSN_NO_REG) sum.base = gpr_load(b, address->base, REG_LINEAR);
    sum.index = gpr_load(b, address->index, REG_ENTRY);
    emit_lea64(&b->e, REG_TEMP, sum);
    return REG_TEMP;
}

static void verify_all(struct build *b, const struct entry_addresses *some)
{
    struct stub *exit = NULL;
    assert(!some->count || b->flags != FLAGS_HOST);
    for (unsigned n = 0; n < some->count; n++) {
        const struct entry_address *address = &some->address[n];
        verify_test_class(b, REG_TEMP, compute(b, address), address->class);
        u32 other = emit_jcc(&b->e, CC_Z);
        if (!exit) {
            plan_select(b, 0);
            exit = emit_unhoisted_exit(b, other);
            exit->early = true;
        }
        exit->from[n] = other;
        verify_note(b, (struct value){.root = address->root}, address->class);
    }
}

void loop_begin(struct build *b)
{
    verify_all(b, &b->loop);
    b->loop_entry = b->e.at;
    verify_all(b, &b->early);
}

void loop_note_access(struct build *b, u8 class)
{
    for (unsigned n = 0; n < b->loop.count; n++) {
        struct entry_address *address = &b->loop.address[n];
        if (address->anchor == b->n && address->class == class) address->anchored = true;
    }
}

bool loop_is_own_edge(const struct build *b, u64 eip)
{
    return b->loop.count && b->n == b->count - 1u && eip == b->key.eip;
}

u8 loop_entry(const struct build *b)
{
    bool anchored = b->loop.count > 0;
    for (unsigned n = 0; n < b->loop.count; n++)
        anchored &= b->loop.address[n].anchored;
    return anchored ? (u8)in_block(b, b->loop_entry) : 0;
}
