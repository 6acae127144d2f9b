/*
 * RSP of 64-bit user code in a window (verify.c).
 *
 * RSP needs no check where it is used, if the mode key says that it lies in a segment that is LONG_HIGH
 * (MODE_STACK_HIGH, set by translator_next()). The block then keeps that true for the block that follows: behind an
 * instruction that gives RSP a value of which nothing is known, it checks RSP, and a miss goes to C code, which changes
 * the mode. A constant sum needs no check if the block also reaches the window at an address nearby, its *anchor*,
 * because what is mapped there lies in such a segment. So PUSH, POP, CALL, RET and most functions check nothing:
 *
 *     push  rbx                    mov [r8 + r13 - 8], rbx ; lea r8, [r8 - 8]      anchor: RSP at entry - 8
 *     sub   rsp, 32                sub r8, 32                                      32 from it
 *     mov   rsp, [rdi]             mov r8, [rdi + r13] ; then the check of r8
 */
#include "scratch.h"
#include "verify.h"

static const struct value at_entry = {ROOT_STACK, 0};

static bool is_anchored(const struct build *b, struct value at, u64 reach)
{
    for (unsigned n = 0; n < b->anchors; n++)
        if (value_is_near(b->anchor[n], at, reach)) return true;
    return false;
}

void rsp_anchor(struct build *b, struct value at)
{
    if (at.root == ROOT_NONE || is_anchored(b, at, LONG_SLACK / 2)) return;
    if (b->anchors == ARRAY_SIZE(b->anchor)) b->anchors = 0;
    b->anchor[b->anchors++] = at;
}

bool rsp_reaches_slot(const struct build *b, unsigned n)
{
    return follows_stack(b) && verify_reaches_window(b, n) && b->access[n][HOIST_STACK].root &&
           value_is_near(b->stack[n], at_entry, LONG_SLACK);
}

bool rsp_is_plain_slot(const struct build *b, unsigned n)
{
    const struct insn *i = &b->insn[n];
    const struct operand *o = &i->op[0];
    bool moves = (i->row->emitter == EMITTER_push || i->row->emitter == EMITTER_pop) && i->stack_access == 8;
    bool plain = o->kind == OPND_IMM || (o->kind == OPND_REG && o->reg != REG_ESP);
    return b->decision[n] == BY_EMITTER && moves && plain && rsp_reaches_slot(b, n);
}

/* Will the block reach memory next to RSP before it can be left, or RSP changes again? */
static bool is_reached_soon(const struct build *b, struct value rsp)
{
    if (!value_is_near(rsp, at_entry, LONG_REACH - LONG_SLACK)) return false; /* it may not be LONG_HIGH */
    for (unsigned n = b->n + 1; n < b->count; n++) {
        for (enum hoist_slot slot = 0; slot < HOIST_SLOTS; slot++) {
            struct value at = access_at(&b->access[n][slot]);
            if (value_is_near(at, rsp, LONG_SLACK) && verify_is_certain(b, n, slot) &&
                verify_reaches_window(b, n))
                return true;
        }
        bool follows = b->passed[n] && b->insn[n].row->emitter == EMITTER_jump;
        if (isa_ends_block(&b->insn[n]) && !follows) return false;
        if (!value_is_same(rsp, b->stack[n + 1])) return true;
    }
    return false;
}

/* Compare the class of RSP's segment. `behind`: the instructions that are done when it is compared. */
static void check_stack(struct build *b, unsigned behind)
{
    struct value rsp = b->stack[b->n + behind];
    verify_test_class(b, REG_TEMP, GUEST_ESP, LONG_HIGH);
    scratch_note(b, REG_TEMP, 0);
    struct stub *step = stub_add(b, STUB_STEP, emit_jcc(&b->e, CC_Z));
    if (behind) step->eip = b->next_eip;
    step->index += behind;
    verify_note(b, rsp, LONG_HIGH);
    rsp_anchor(b, rsp);
}

/* A call or return goes on elsewhere, so RSP must be anchored when it is done. It is if its slot of the stack is known
 * to be LONG_HIGH, and reached through the window. */
void rsp_before(struct build *b)
{
    struct value rsp = b->stack[b->n];
    if (!follows_stack(b)) return;
    if (b->decision[b->n] != BY_EMITTER || b->i->stack_effect == STACK_NONE) return;
    if (is_anchored(b, rsp, LONG_SLACK / 2) || rsp_reaches_slot(b, b->n)) return;
    flags_clobber(b);
    check_stack(b, 0);
}

void rsp_begin(struct build *b)
{
    b->anchors = 0;
    b->rsp_away = 0;
    if (follows_stack(b)) verify_note(b, at_entry, LONG_HIGH);
}

void rsp_behind(struct build *b)
{
    if (!follows_stack(b)) return;
    struct value rsp = b->stack[b->n + 1];
    if (value_is_same(rsp, b->stack[b->n]) || value_is_same(rsp, at_entry) || is_anchored(b, rsp, LONG_SLACK))
        return;
    assert(!b->ended);
    if (is_reached_soon(b, rsp)) return;
    flags_leave_host(b);
    check_stack(b, 1);
}
