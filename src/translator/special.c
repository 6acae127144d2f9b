/*
 * Forms that are emulated inline while other forms of the same instruction are rewritten or left to the interpreter:
 * moves from and to segment registers, moves from control registers, bit strings in memory, CMPXCHG, LDMXCSR.
 */
#include "build.h"

static struct host_mem selector_of(u8 seg)
{
    return mem_frame(FRAME_SEG + FRAME_SEG_BYTES * seg + FRAME_SEG_SELECTOR);
}

/* With --no-fast-entry the interpreter executes the instructions on segment and control registers. */
bool can_push_segment(const struct build *b)
{
    return !b->v->instruments.no_fast_entry && has_plain_stack(b, b->i);
}

/* Recent CPUs write only the low word of the dword (SDM 2 "PUSH"). */
void emit_push_segment(struct build *b)
{
    struct host_mem slot = access_push(b);
    emit_load16(&b->e, REG_TEMP, selector_of(b->i->op[0].reg));
    emit_store16(&b->e, slot, REG_TEMP);
    access_pushed(b);
}

bool can_mov_from_segment(const struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (b->v->instruments.no_fast_entry) return false;
    if (to->kind == OPND_MEM) return operand_is_reachable(b, true);
    bool low = to->reg < 8 && to->reg != REG_ESP;
    return to->reg_class == RC_GPR32 || to->reg_class == RC_GPR64 ||
           (to->reg_class == RC_GPR16 && is_code64(b) && low);
}

void emit_mov_from_segment(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (to->kind == OPND_MEM) {
        struct host_mem mem = access_operand(b, 2, true);
        emit_load16(&b->e, REG_TEMP, selector_of(b->i->op[1].reg));
        emit_store16(&b->e, mem, REG_TEMP);
    } else if (to->reg_class == RC_GPR16) {
        emit_load16(&b->e, REG_TEMP, selector_of(b->i->op[1].reg));
        emit_mov_rr16(&b->e, host_gpr(to->reg), REG_TEMP);
    } else {
        u8 reg = gpr_target(to->reg, REG_TEMP);
        emit_load16(&b->e, reg, selector_of(b->i->op[1].reg));
        gpr_store(b, to->reg, reg);
    }
}

/* Load the selector in r11d into a data segment register. If the register has that selector already, and the GDT still
 * has the descriptor that it was loaded from, there is nothing to do. Otherwise call the fast routine, which reads the
 * instruction's operand itself. */
static struct stub *load_segment(struct build *b, u8 seg)
{
    s32 field = FRAME_SEG + FRAME_SEG_BYTES * seg;
    struct stub *stub = stub_add(b, STUB_FAST, 0);
    stub->callout = make_callout(b, false);
    emit_lea32(&b->e, REG_ENTRY, mem_bd(REG_TEMP, 1 << 16));
    emit_alu_rm(&b->e, false, ALU_CMP, REG_ENTRY, selector_of(seg)); /* with `comparable` above it */
    stub->from[0] = emit_jcc(&b->e, CC_NZ);
    emit_alu_ri(&b->e, false, ALU_AND, REG_TEMP, ~7);
    emit_alu_rm(&b->e, false, ALU_ADD, REG_TEMP, mem_frame(FRAME_GDT_BASE));
    emit_mov_rr32(&b->e, REG_ENTRY, REG_TEMP);
    emit_shift_ri(&b->e, false, SHIFT_SHR, REG_ENTRY, PAGE_SHIFT);
    emit_load64(&b->e, REG_ENTRY, mem_table(REG_ENTRY, false));
    emit_test_rr(&b->e, true, REG_ENTRY);
    stub->from[1] = emit_jcc(&b->e, CC_Z);
    emit_load64(&b->e, REG_TEMP, mem_bis(REG_TEMP, REG_ENTRY, 1));
    emit_alu_rm(&b->e, true, ALU_CMP, REG_TEMP, mem_frame(field + FRAME_SEG_RAW));
    stub->from[2] = emit_jcc(&b->e, CC_NZ);
    hoist_forget(b);
    return stub;
}

/* The comparison reads the GDT by the current read table, which is the supervisor's view only at CPL 0. */
static bool may_compare(const struct build *b)
{
    const struct operand *to = &b->i->op[0];
    return !b->v->instruments.no_fast_entry && !has_tlb(b) &&
           (b->mode & (MODE_PE | MODE_VM86 | MODE_CPL)) == MODE_PE && to->reg != SEG_SS && to->reg != SEG_CS;
}

bool can_mov_to_segment(const struct build *b)
{
    return may_compare(b) && (b->i->op[1].kind != OPND_MEM || operand_is_reachable(b, false));
}

void emit_mov_to_segment(struct build *b)
{
    flags_clobber(b);
    if (b->i->op[1].kind == OPND_MEM)
        emit_load16(&b->e, REG_TEMP, access_operand(b, 2, false));
    else
        emit_movzx16(&b->e, REG_TEMP, host_gpr(b->i->op[1].reg));
    load_segment(b, b->i->op[0].reg)->back = b->e.at;
}

bool can_pop_segment(const struct build *b)
{
    return may_compare(b) && has_plain_stack(b, b->i);
}

void emit_pop_segment(struct build *b)
{
    flags_clobber(b);
    emit_load16(&b->e, REG_TEMP, access_pop(b));
    struct stub *stub = load_segment(b, b->i->op[0].reg);
    emit_lea32(&b->e, GUEST_ESP, mem_bd(GUEST_ESP, 4));
    stub->back = b->e.at;
}

bool can_mov_from_cr(const struct build *b)
{
    u8 cr = b->i->op[1].reg;
    return !b->v->instruments.no_fast_entry && (b->mode & MODE_CPL) == 0 && (cr == 0 || cr == 2 || cr == 3);
}

void emit_mov_from_cr(struct build *b)
{
    static const s32 field[] = {
        [0] = FRAME_CR0,
        [2] = FRAME_CR2,
        [3] = FRAME_CR3,
    };
    emit_load32(&b->e, host_gpr(b->i->op[0].reg), mem_frame(field[b->i->op[1].reg]));
}

/* --- bit strings in memory: a register holds the bit number, counted from the operand --- */

bool can_bit_string(const struct build *b)
{
    const struct insn *i = b->i;
    bool wide = is_code64(b) && i->op[1].reg_class == RC_GPR64;
    return (wide || i->op[1].reg_class == RC_GPR32) && i->address_bytes == slot_bytes(b) &&
           operand_is_reachable(b, i->op[0].written) && mode_seg(b->mode, i->mem_seg) != MODE_SEG_LIMITED;
}

/* Bits of the operand, as a power of 2. All of its bytes are accessed. */
static u8 log_of_bits(const struct build *b)
{
    return b->i->op[1].reg_class == RC_GPR64 ? 6 : 5;
}

/* r9 = the address of the unit with the bit: r9 and a signed number of units, because a bit may lie before the operand.
 * A unit is as large as the operand. */
static void go_to_bit(struct build *b)
{
    const struct operand *bit = &b->i->op[1];
    u8 log = log_of_bits(b);
    if (is_code64(b)) {
        u8 reg = gpr_load(b, bit->reg, REG_TEMP);
        if (log == 5)
            emit_movsxd(&b->e, REG_TEMP, reg);
        else if (reg != REG_TEMP)
            emit_mov_rr64(&b->e, REG_TEMP, reg);
        emit_shift_ri(&b->e, true, SHIFT_SAR, REG_TEMP, log);
        emit_lea64(&b->e, REG_LINEAR, mem_bis(REG_LINEAR, REG_TEMP, 1u << (log - 3)));
        return;
    }
    emit_mov_rr32(&b->e, REG_TEMP, host_gpr(bit->reg));
    emit_shift_ri(&b->e, false, SHIFT_SAR, REG_TEMP, 5);
    emit_lea32(&b->e, REG_LINEAR, mem_bis(REG_LINEAR, REG_TEMP, 4));
}

void emit_bit_string(struct build *b)
{
    const struct insn *i = b->i;
    bool write = i->op[0].written;
    u8 log = log_of_bits(b);
    bool wide = log == 6;
    unsigned bytes = 1u << (log - 3);
    flags_clobber(b);
    access_address(b, bytes);
    go_to_bit(b);
    struct host_mem mem = access_linear(b, bytes, write);
    if (!write) emit_load(&b->e, wide, REG_ENTRY, mem);
    u8 bit = gpr_load(b, i->op[1].reg, REG_TEMP);
    if (write) { /* an instruction that addresses memory would go to the bit itself, the others take the remainder */
        if (bit != REG_TEMP) emit_mov_rr32(&b->e, REG_TEMP, bit);
        emit_alu_ri(&b->e, false, ALU_AND, REG_TEMP, (1 << log) - 1);
    }
    if (needs_flags(b, i)) flags_to_host(b);
    if (write) {
        b->site[b->n].parked = b->flags != FLAGS_HOST; /* in a window the store may raise a host page fault */
        emit_rm_0f(&b->e, keeps_lock(b, i) ? HOST_LOCK : 0, wide, i->opcode, REG_TEMP, mem);
    } else {
        emit_rr_0f(&b->e, wide, i->opcode, bit, REG_ENTRY);
    }
    b->flags = FLAGS_HOST;
}

/* --- SWAPGS: in 64-bit mode the mode does not depend on the bases --- */

bool can_swapgs(const struct build *b)
{
    return is_code64(b) && (b->mode & MODE_CPL) == 0;
}

void emit_swapgs(struct build *b)
{
    s32 gs = FRAME_SEG + FRAME_SEG_BYTES * SEG_GS;
    emit_load64(&b->e, REG_LINEAR, mem_frame(FRAME_KERNEL_GS_BASE));
    emit_load64(&b->e, REG_ENTRY, mem_frame(FRAME_GS_BASE64));
    emit_store64(&b->e, mem_frame(FRAME_GS_BASE64), REG_LINEAR);
    emit_store64(&b->e, mem_frame(FRAME_KERNEL_GS_BASE), REG_ENTRY);
    emit_store32(&b->e, mem_frame(gs + FRAME_SEG_BASE), REG_LINEAR); /* segment_set_base() */
    emit_mov_ri(&b->e, REG_ENTRY, 0);
    emit_store16(&b->e, mem_frame(gs + FRAME_SEG_COMPARABLE), REG_ENTRY);
}

/* --- CMPXCHG: load, compare and store are faster than the host's instruction; one vCPU needs no atomicity --- */

bool can_cmpxchg(const struct build *b)
{
    return operand_is_reachable(b, true) && !b->t->config.keep_locks &&
           !(b->t->config.exact_flags &&
             has_window(b)); /* in a window the store may fault after the compare */
}

void emit_cmpxchg(struct build *b)
{
    const struct insn *i = b->i;
    bool wide = i->op[0].bytes == 8;
    struct host_mem mem = access_operand(b, i->op[0].bytes, true);
    emit_load(&b->e, wide, REG_TEMP, mem);
    emit_alu_rr(&b->e, wide, ALU_CMP, RAX, REG_TEMP);
    u32 differs = emit_jcc(&b->e, CC_NZ);
    emit_store(&b->e, wide, mem, gpr_load(b, i->op[1].reg, REG_TEMP));
    u32 done = emit_jmp(&b->e);
    emit_here32(&b->e, differs);
    emit_store(&b->e, wide, mem, REG_TEMP); /* CMPXCHG always writes (SDM 2 "CMPXCHG"), so it may fault */
    emit_mov_rr(&b->e, wide, RAX,
                REG_TEMP); /* only here is the upper half of RAX cleared if 32 bits are compared */
    emit_here32(&b->e, done);
    b->flags = FLAGS_HOST;
}

/* --- LDMXCSR: the interpreter raises #GP for reserved bits; otherwise the host's instruction --- */

bool can_ldmxcsr(const struct build *b)
{
    return operand_is_reachable(b, false);
}

void emit_ldmxcsr(struct build *b)
{
    flags_clobber(b);
    emit_load32(&b->e, REG_TEMP, access_operand(b, 4, false));
    emit_test_ri(&b->e, REG_TEMP, 0xffff0000);
    stub_add(b, STUB_STEP, emit_jcc(&b->e, CC_NZ));
    /* Load from a copy: another thread (disk I/O) may change the operand after the test. */
    struct host_mem mem = mem_frame(FRAME_SLOW_SCRATCH);
    emit_store32(&b->e, mem, REG_TEMP);
    emit_host_ldmxcsr(&b->e, mem);
}
