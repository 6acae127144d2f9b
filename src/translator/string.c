/*
 * String instructions on elements of 1, 2, 4 and 8 bytes with 32-bit addresses, or with 64-bit ones in 64-bit mode.
 *
 * Without REP: LODS, STOS, MOVS, SCAS, CMPS. The code tests DF; if it is set, the interpreter executes the instruction.
 *
 * With REP, MOVS, STOS, CMPS and SCAS become the host's own instruction on host addresses, provided that each operand
 * lies within one page, or in a window, and DF is clear. All other cases go to THUNK_STRING, which works page by page.
 */
#include "build.h"
#include "mmu/long_window.h"

static unsigned element_bytes(const struct insn *i)
{
    /* In A4h-A7h and AAh-AFh the low bit of the opcode is clear for bytes. */
    return i->opcode & 1 ? i->operand_bytes : 1;
}

static bool has_wide_addresses(const struct build *b)
{
    return b->i->address_bytes == slot_bytes(b);
}

static bool is_repeated(const struct build *b)
{
    return b->i->prefixes & (PFX_REP | PFX_REPNE);
}

/* Emits a jump that is taken if DF is set. */
static u32 if_backward(struct build *b)
{
    flags_clobber(b);
    emit_test_mi(&b->e, mem_frame(FRAME_EFLAGS), FL_DF);
    return emit_jcc(&b->e, CC_NZ);
}

static void require_forward(struct build *b)
{
    stub_add(b, STUB_STEP, if_backward(b));
}

static struct host_mem source(struct build *b, unsigned size)
{
    access_register(b, b->i->mem_seg, RSI, size);
    return access_linear(b, size, false);
}

static struct host_mem destination(struct build *b, unsigned size, bool write)
{
    access_register(b, SEG_ES, RDI, size);
    return access_linear(b, size, write);
}

/* op reg, mem of 1, 2 or 4 bytes; `opcode` is that of the byte form. */
static void sized(struct build *b, u8 opcode, u8 reg, unsigned size, struct host_mem mem)
{
    if (size == 8)
        emit_rm(&b->e, true, opcode | 1, reg, mem);
    else
        emit_rm_prefixed(&b->e, size == 2 ? HOST_OPERAND16 : 0, size == 1 ? opcode : opcode | 1, reg, mem);
}

enum { OP_STORE = 0x88, OP_LOAD = 0x8a, OP_CMP = 0x3a };

static void advance(struct build *b, u8 reg, unsigned size)
{
    emit_lea_sized(&b->e, is_code64(b), reg, mem_bd(reg, (s32)size));
}

/* --- repeated --- */

static unsigned log2_of(unsigned size)
{
    return (unsigned)__builtin_ctz(size);
}

/* Is the segment reachable without a limit check? */
static bool is_unlimited(const struct build *b, u8 seg, bool write)
{
    return segment_is_reachable(b, seg, write) && mode_seg(b->mode, seg) != MODE_SEG_LIMITED;
}

static struct stub *string_stub(struct build *b, u32 callout, u32 from)
{
    struct stub *stub = stub_add(b, STUB_STRING, from);
    stub->callout = callout;
    return stub;
}

/* `host` becomes the host address of the linear address in it, if the TLB has an entry for its page. */
static void reach_by_tlb(struct build *b, u8 host, u8 scratch, bool write, struct stub *stub)
{
    access_tlb_slot(b, scratch, host);
    b->has_delta = false;
    emit_mov_rr64(&b->e, REG_HOISTED, host);
    emit_alu_ri(&b->e, true, ALU_AND, REG_HOISTED, ~(s32)PAGE_MASK);
    emit_alu_rm(&b->e, true, ALU_CMP, REG_HOISTED, mem_tlb(scratch, tlb_tag_field(write)));
    stub->from[2] = emit_jcc(&b->e, CC_NZ);
    emit_alu_rm(&b->e, true, ALU_ADD, host, mem_tlb(scratch, offsetof(struct tlb_slot, delta)));
}

/* Register `host` = host address of [seg:offset], if the r11 bytes there lie in one page that has an entry. Otherwise
 * jump to the stub. */
static void reach_range(struct build *b, u8 seg, u8 offset, u8 host, u8 scratch, bool write,
                        struct stub *stub)
{
    emit_mov_rr(&b->e, is_code64(b), host, offset);
    if (mode_seg(b->mode, seg) == MODE_SEG_BASED)
        emit_alu_rm(&b->e, false, ALU_ADD, host,
                    mem_frame(FRAME_SEG + FRAME_SEG_BYTES * seg + FRAME_SEG_BASE));
    emit_mov_rr32(&b->e, scratch, host);
    emit_alu_ri(&b->e, false, ALU_AND, scratch, PAGE_MASK);
    emit_alu_rr(&b->e, true, ALU_ADD, scratch, REG_TEMP);
    emit_alu_ri(&b->e, true, ALU_CMP, scratch, PAGE_SIZE);
    stub->from[1] = emit_jcc(&b->e, CC_A);
    if (has_tlb(b)) {
        reach_by_tlb(b, host, scratch, write, stub);
        return;
    }
    emit_mov_rr32(&b->e, scratch, host);
    emit_shift_ri(&b->e, false, SHIFT_SHR, scratch, PAGE_SHIFT);
    emit_load64(&b->e, scratch, mem_table(scratch, write));
    emit_test_rr(&b->e, true, scratch);
    stub->from[2] = emit_jcc(&b->e, CC_Z);
    emit_alu_rr(&b->e, true, ALU_ADD, host, scratch);
}

/* `reg` = the host address in `host`; `host` = the difference that turns it into the guest address again. */
static void enter_host(struct build *b, u8 reg, u8 host)
{
    emit_xchg64(&b->e, reg, host);
    emit_alu_rr(&b->e, true, ALU_SUB, host, reg);
}

static void leave_host(struct build *b, u8 reg, u8 difference)
{
    emit_lea_sized(&b->e, is_code64(b), reg, mem_bis(reg, difference, 1));
}

static void restore_count(struct build *b, unsigned log2)
{
    emit_mov_rr64(&b->e, RCX, REG_TEMP);
    if (log2) emit_shift_ri(&b->e, true, SHIFT_SHR, RCX, (u8)log2);
}

/* In a window: the host's instruction on window addresses, regardless of page boundaries. If it raises a host page
 * fault, the handler turns RSI and RDI into guest addresses again (signal_frame.c). Strings of more than MOST_AT_ONCE
 * bytes go to the stub: its C code works in portions and tests for interrupts in between. */
#define MOST_AT_ONCE (4u << 20)

static bool window_reaches(const struct build *b, bool source, bool destination)
{
    return has_window(b) && (!source || mode_seg(b->mode, b->i->mem_seg) == MODE_SEG_FLAT) &&
           (!destination || mode_seg(b->mode, SEG_ES) == MODE_SEG_FLAT);
}

/* The host's own repeated instruction. Before it, RSI and RDI have become host addresses by subtraction of the
 * registers `source` and `destination` (HOST_NONE: no such operand). Behind it they are guest addresses again. */
static void repeat_on_host(struct build *b, u8 source, u8 destination, bool compares)
{
    emit_count(b, &b->v->counters->string_inline);
    if (compares) flags_to_host(b); /* with a count of 0, the flags do not change */
    emit_host_repeat(&b->e, b->i->prefixes & PFX_REPNE, element_bytes(b->i), b->i->opcode);
    if (source != HOST_NONE) leave_host(b, RSI, source);
    if (destination != HOST_NONE) leave_host(b, RDI, destination);
    if (compares) b->flags = FLAGS_HOST;
}

static void repeat_in_window(struct build *b, bool source, bool destination, bool compares)
{
    u32 callout = make_callout(b, false);
    struct stub *stub = string_stub(b, callout, if_backward(b));
    emit_alu_ri(&b->e, false, ALU_CMP, RCX, (s32)(MOST_AT_ONCE >> log2_of(element_bytes(b->i))));
    stub->from[1] = emit_jcc(&b->e, CC_A);
    emit_load64(&b->e, REG_LINEAR, mem_frame(FRAME_WINDOW_NEGATED));
    if (source) emit_alu_rr(&b->e, true, ALU_SUB, RSI, REG_LINEAR);
    if (destination) emit_alu_rr(&b->e, true, ALU_SUB, RDI, REG_LINEAR);
    repeat_on_host(b, source ? REG_LINEAR : HOST_NONE, destination ? REG_LINEAR : HOST_NONE, compares);
    b->site[b->n].parked = b->flags != FLAGS_HOST;
    stub->back = b->e.at;
    stub->flags = compares;
}

/* In a window of 64-bit code: the segment of each operand is verified (verify.c), and licenses what the instruction
 * reaches from there (long_window.h, invariant 1). Either class will do, but one of them is expected, because a delta
 * that depends on the address would delay the instruction. The handler of a host page fault turns RSI and RDI into
 * guest addresses by r9 and r10. */
static bool long_window_reaches(const struct build *b)
{
    return mode_has_window64(b->mode) && !b->checked[b->n];
}

/* `minus` = what is to be subtracted from a guest address in the segment of `reg`: 0 for LONG_SAME. Returns the rel32
 * of a jump that is taken if the segment is in no window. */
static u32 find_delta(struct build *b, u8 reg, u8 minus)
{
    verify_segment_number(b, minus, reg);
    emit_load8(&b->e, minus, mem_segment_class(minus));
    emit_alu_ri(&b->e, false, ALU_SUB, minus, LONG_SAME);
    u32 none = emit_jcc(&b->e, CC_B);
    emit_neg64(&b->e, minus);
    emit_alu_rm(&b->e, true, ALU_AND, minus, mem_frame(FRAME_WINDOW_NEGATED));
    return none;
}
_Static_assert(LONG_NONE == 0 && LONG_SAME == 1 && LONG_HIGH == 2, "find_delta() makes 0 and ones of them");

/* The operands do not have the expected class: find the deltas. The next stub serves segments that are in no window. */
void emit_delta_stub(struct build *b, const struct stub *stub)
{
    struct stub *string = &b->stub[stub - b->stub + 1];
    if (stub->source) string->from[2] = find_delta(b, RSI, REG_LINEAR);
    if (stub->destination) string->from[3] = find_delta(b, RDI, REG_ENTRY);
    emit_jmp_to(&b->e, stub->back);
}

/* Jump to the stub unless the segment of `reg` has this class. */
static void expect_class(struct build *b, u8 reg, u8 minus, enum long_class class, u32 *from)
{
    verify_test_class(b, minus, reg, class);
    *from = emit_jcc(&b->e, CC_Z);
}

static void expected_delta(struct build *b, u8 minus, enum long_class class)
{
    if (class == LONG_HIGH)
        emit_load64(&b->e, minus, mem_frame(FRAME_WINDOW_NEGATED));
    else
        emit_mov_ri(&b->e, minus, 0);
}

static void repeat_in_long_window(struct build *b, bool source, bool destination, bool compares)
{
    enum long_class class = b->mode & MODE_SAME ? LONG_SAME : LONG_HIGH;
    u32 callout = make_callout(b, false), backward = if_backward(b);
    struct stub *delta = stub_add(b, STUB_DELTA, 0), *stub = string_stub(b, callout, backward);
    delta->source = source;
    delta->destination = destination;
    emit_alu_ri(&b->e, true, ALU_CMP, RCX, LONG_REACH >> log2_of(element_bytes(b->i)));
    stub->from[1] = emit_jcc(&b->e, CC_A);
    if (source) expect_class(b, RSI, REG_LINEAR, class, &delta->from[0]);
    if (destination) expect_class(b, RDI, REG_ENTRY, class, &delta->from[1]);
    if (source) expected_delta(b, REG_LINEAR, class);
    if (destination) expected_delta(b, REG_ENTRY, class);
    delta->back = b->e.at;
    if (source) emit_alu_rr(&b->e, true, ALU_SUB, RSI, REG_LINEAR);
    if (destination) emit_alu_rr(&b->e, true, ALU_SUB, RDI, REG_ENTRY);
    repeat_on_host(b, source ? REG_LINEAR : HOST_NONE, destination ? REG_ENTRY : HOST_NONE, compares);
    b->site[b->n].parked = b->flags != FLAGS_HOST;
    stub->back = b->e.at;
    stub->flags = compares;
    hoist_forget(b);
}

static bool can_repeat(const struct build *b, bool source, bool destination, bool writes)
{
    bool based = (source && mode_seg(b->mode, b->i->mem_seg) != MODE_SEG_FLAT) ||
                 (destination && mode_seg(b->mode, SEG_ES) != MODE_SEG_FLAT);
    if (has_tlb(b) && based) return false;
    return !b->v->instruments.no_bulk_strings && (!source || is_unlimited(b, b->i->mem_seg, false)) &&
           (!destination || is_unlimited(b, SEG_ES, writes));
}

/* Registers: r11 = number of bytes, r9 = source, r10 = destination; RCX is scratch for the second of two operands.
 * `source` and `destination`: which operands the instruction has. */
static void emit_repeated(struct build *b, bool source, bool destination, bool writes, bool compares)
{
    unsigned log2 = log2_of(element_bytes(b->i));
    if (window_reaches(b, source, destination)) {
        repeat_in_window(b, source, destination, compares);
        return;
    }
    if (long_window_reaches(b)) {
        repeat_in_long_window(b, source, destination, compares);
        return;
    }
    struct stub *stubs[2];
    unsigned count = 0;
    u32 callout = make_callout(b, false);
    u32 backward = if_backward(b);
    u32 many = 0;
    if (is_code64(b)) { /* so that the number of bytes does not overflow */
        emit_alu_ri(&b->e, true, ALU_CMP, RCX, PAGE_SIZE);
        many = emit_jcc(&b->e, CC_A);
    }
    emit_mov_rr(&b->e, is_code64(b), REG_TEMP, RCX);
    if (log2) emit_shift_ri(&b->e, true, SHIFT_SHL, REG_TEMP, (u8)log2);
    if (source) {
        stubs[count] = string_stub(b, callout, backward);
        reach_range(b, b->i->mem_seg, RSI, REG_LINEAR, REG_ENTRY, false, stubs[count++]);
    }
    if (destination) {
        stubs[count] = string_stub(b, callout, source ? 0 : backward);
        if (source) stubs[count]->restore = (u8)(log2 + 1);
        reach_range(b, SEG_ES, RDI, REG_ENTRY, source ? RCX : REG_LINEAR, writes, stubs[count++]);
    }
    if (source) enter_host(b, RSI, REG_LINEAR);
    if (destination) enter_host(b, RDI, REG_ENTRY);
    if (source && destination) restore_count(b, log2);
    repeat_on_host(b, source ? REG_LINEAR : HOST_NONE, destination ? REG_ENTRY : HOST_NONE, compares);
    stubs[0]->from[3] = many;
    for (unsigned n = 0; n < count; n++) {
        stubs[n]->back = b->e.at;
        stubs[n]->flags = compares;
    }
    hoist_forget(b);
}

void emit_string_stub(struct build *b, const struct stub *stub)
{
    if (stub->restore) restore_count(b, stub->restore - 1u);
    emit_callout_name(b, stub->callout);
    emit_call_thunk(&b->e, THUNK_STRING);
    if (stub->flags) emit_unpark_flags(&b->e);
    emit_jmp_to(&b->e, stub->back);
}

/* --- single or repeated --- */

bool can_lods(const struct build *b)
{
    return has_wide_addresses(b) && !is_repeated(b) && operand_is_reachable(b, false);
}

void emit_lods(struct build *b)
{
    unsigned size = element_bytes(b->i);
    require_forward(b);
    sized(b, OP_LOAD, RAX, size, source(b, size));
    advance(b, RSI, size);
}

bool can_stos(const struct build *b)
{
    return has_wide_addresses(b) && segment_is_reachable(b, SEG_ES, true) &&
           (!is_repeated(b) || can_repeat(b, false, true, true));
}

void emit_stos(struct build *b)
{
    unsigned size = element_bytes(b->i);
    if (is_repeated(b)) {
        emit_repeated(b, false, true, true, false);
        return;
    }
    require_forward(b);
    sized(b, OP_STORE, RAX, size, destination(b, size, true));
    advance(b, RDI, size);
}

static bool can_reach_both(const struct build *b, bool write)
{
    bool limited = mode_seg(b->mode, SEG_ES) == MODE_SEG_LIMITED; /* the limit check clobbers r11 */
    return has_wide_addresses(b) && operand_is_reachable(b, false) &&
           segment_is_reachable(b, SEG_ES, write) && !limited &&
           (!is_repeated(b) || can_repeat(b, true, true, write));
}

bool can_movs(const struct build *b)
{
    return can_reach_both(b, true);
}

void emit_movs(struct build *b)
{
    unsigned size = element_bytes(b->i);
    if (is_repeated(b)) {
        emit_repeated(b, true, true, true, false);
        return;
    }
    require_forward(b);
    sized(b, OP_LOAD, REG_TEMP, size, source(b, size));
    temp_is_kept(b);
    sized(b, OP_STORE, REG_TEMP, size, destination(b, size, true));
    advance(b, RSI, size);
    advance(b, RDI, size);
}

bool can_scas(const struct build *b)
{
    return has_wide_addresses(b) && segment_is_reachable(b, SEG_ES, false) &&
           (!is_repeated(b) || can_repeat(b, false, true, false));
}

void emit_scas(struct build *b)
{
    unsigned size = element_bytes(b->i);
    if (is_repeated(b)) {
        emit_repeated(b, false, true, false, true);
        return;
    }
    require_forward(b);
    sized(b, OP_CMP, RAX, size, destination(b, size, false));
    b->flags = FLAGS_HOST;
    advance(b, RDI, size);
}

bool can_cmps(const struct build *b)
{
    return can_reach_both(b, false);
}

void emit_cmps(struct build *b)
{
    unsigned size = element_bytes(b->i);
    if (is_repeated(b)) {
        emit_repeated(b, true, true, false, true);
        return;
    }
    require_forward(b);
    sized(b, OP_LOAD, REG_TEMP, size, source(b, size));
    temp_is_kept(b);
    sized(b, OP_CMP, REG_TEMP, size, destination(b, size, false));
    b->flags = FLAGS_HOST;
    advance(b, RSI, size);
    advance(b, RDI, size);
}
