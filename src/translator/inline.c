/*
 * Stack instructions, and sensitive instructions that are emulated inline. stack16.c has PUSH and POP on 16-bit stacks.
 * The interpreter executes the other cases, such as segments that are not flat and virtual-8086 mode.
 */
#include "build.h"
#include "scratch.h"

static bool has_stack(const struct build *b)
{
    return has_plain_stack(b, b->i);
}

/* A register of the size of a slot. */
static bool is_slot_register(const struct build *b, const struct operand *o)
{
    return o->kind == OPND_REG && o->reg_class == (is_code64(b) ? RC_GPR64 : RC_GPR32);
}

bool can_push(const struct build *b)
{
    const struct operand *from = &b->i->op[0];
    bool from_memory =
        from->kind == OPND_MEM && from->bytes == slot_bytes(b) && operand_is_reachable(b, false);
    if (!has_stack(b)) return can_push16(b);
    return is_slot_register(b, from) || from->kind == OPND_IMM || from_memory;
}

void emit_push(struct build *b)
{
    const struct operand *from = &b->i->op[0];
    if (!has_stack(b)) {
        emit_push16(b);
        return;
    }
    bool wide = is_code64(b);
    if (from->kind == OPND_REG) {
        struct host_mem slot = access_push(b);
        emit_store(&b->e, wide, slot, gpr_load(b, from->reg, REG_TEMP)); /* PUSH ESP stores the old value */
    } else if (from->kind == OPND_IMM) {
        struct host_mem slot = access_push(b);
        emit_rm(&b->e, wide, 0xc7, 0, slot);
        emit32(&b->e, (u32)b->i->imm[from->imm]);
    } else {
        emit_load(&b->e, wide, REG_TEMP, access_operand(b, (unsigned)slot_bytes(b), false));
        temp_is_kept(b);
        emit_store(&b->e, wide, access_push(b), REG_TEMP); /* its slow path keeps r11 */
    }
    access_pushed(b);
}

/* An address that contains ESP uses the new ESP (SDM 2 "POP"), but ESP may change only once the store cannot fault.
 * The interpreter does that. */
static bool can_pop_to_memory(const struct build *b)
{
    const struct insn *i = b->i;
    return i->op[0].bytes == slot_bytes(b) && i->mem_base != REG_ESP && operand_is_reachable(b, true) &&
           mode_seg(b->mode, i->mem_seg) != MODE_SEG_LIMITED;
}

bool can_pop(const struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (!has_stack(b)) return can_pop16(b);
    return to->kind == OPND_MEM ? can_pop_to_memory(b) : is_slot_register(b, to);
}

void emit_pop(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (!has_stack(b)) {
        emit_pop16(b);
        return;
    }
    bool wide = is_code64(b);
    if (to->kind == OPND_REG && to->reg == REG_ESP) {
        emit_load(&b->e, wide, GUEST_ESP, access_pop(b)); /* what is popped replaces the new ESP */
        return;
    }
    if (to->kind == OPND_MEM) {
        emit_load(&b->e, wide, REG_TEMP, access_pop(b));
        temp_is_kept(b);
        emit_store(&b->e, wide, access_operand(b, (unsigned)slot_bytes(b), true),
                   REG_TEMP); /* its slow path keeps r11 */
    } else {
        u8 reg = gpr_target(to->reg, REG_TEMP);
        emit_load(&b->e, wide, reg, access_pop(b));
        gpr_store(b, to->reg, reg);
    }
    access_was_popped(b);
}

bool can_leave(const struct build *b)
{
    return has_stack(b);
}

void emit_leave(struct build *b)
{
    struct host_mem slot = access_popped(b, RBP);
    bool wide = is_code64(b);
    emit_load(&b->e, wide, REG_TEMP, slot);
    emit_lea_sized(&b->e, wide, GUEST_ESP, mem_bd(RBP, slot_bytes(b)));
    emit_mov_rr(&b->e, wide, RBP, REG_TEMP);
}

bool can_lea(const struct build *b)
{
    return true;
}

static void lea64(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (to->reg_class == RC_GPR16) {
        access_effective64(b, REG_LINEAR, true);
        u8 reg = gpr_load(b, to->reg, REG_TEMP);
        emit_mov_rr16(&b->e, reg, REG_LINEAR);
        gpr_store(b, to->reg, reg);
        return;
    }
    u64 constant;
    bool wide = to->reg_class == RC_GPR64;
    if (access_is_constant(b, b->i, &constant)) {
        u8 reg = gpr_target(to->reg, scratch_choose(b, 0));
        access_effective64(b, reg, wide);
        gpr_store(b, to->reg, reg);
        return;
    }
    struct host_mem ea = operand_address(b);
    u8 reg = gpr_target(to->reg, scratch_choose(b, scratch_bit(ea.base) | scratch_bit(ea.index)));
    emit_lea_sized(&b->e, wide && b->i->address_bytes == 8, reg, ea);
    gpr_store(b, to->reg, reg);
}

void emit_lea(struct build *b)
{
    if (is_code64(b)) {
        lea64(b);
        return;
    }
    const struct insn *i = b->i;
    const struct operand *to = &i->op[0];
    u8 reg = host_gpr(to->reg);
    struct host_mem ea = guest_address(i);
    if (i->address_bytes == 4 && to->reg_class == RC_GPR32) {
        emit_lea32(&b->e, reg, ea);
        return;
    }
    /* A 16-bit address is zero-extended; a 16-bit result leaves the upper half of the register alone. */
    emit_lea32(&b->e, REG_LINEAR, ea);
    if (to->reg_class == RC_GPR16)
        emit_mov_rr16(&b->e, reg, REG_LINEAR);
    else
        emit_movzx16(&b->e, reg, REG_LINEAR);
}

/* NOPs and hints. Their memory operand is not accessed. */
bool can_nothing(const struct build *b)
{
    return true;
}

void emit_nothing(struct build *b) {}

bool can_prefetch(const struct build *b)
{
    return true;
}

/* In a window the guest's prefetch is the host's. It cannot fault, and reads nothing that a program could see, so the
 * address is not checked. Elsewhere the search for the host's address would cost more than a prefetch saves. */
void emit_prefetch(struct build *b)
{
    const struct insn *i = b->i;
    struct host_mem at;
    if (access_is_direct(b, i)) {
        at = guest_address(i);
        at.window = WINDOW_32;
    } else if (!verify_prefetch(b, &at)) {
        return;
    }
    emit_rm_0f(&b->e, 0, false, i->opcode, i->modrm >> 3 & 7, at);
}

static void step_if(struct build *b, u8 cc)
{
    stub_add(b, STUB_STEP, emit_jcc(&b->e, cc));
}

static bool may_change_if(const struct build *b)
{
    return (b->mode & MODE_IOPL) && !(b->mode & MODE_VM86);
}

bool can_cli(const struct build *b)
{
    return may_change_if(b);
}

void emit_cli(struct build *b)
{
    flags_clobber(b);
    emit_alu_mi(&b->e, ALU_AND, mem_frame(FRAME_EFLAGS), ~FL_IF);
}

/* STI inhibits interrupts for one instruction (SDM 2 "STI"). No interrupt is taken within a block, so it suffices that
 * another instruction of the block follows and that the block is not left before it: note() in hoist.c puts no hoisted
 * check there. If an interrupt waits, the interpreter executes STI and the dispatcher delivers the interrupt. */
bool can_sti(const struct build *b)
{
    return may_change_if(b) && b->n + 1 < b->count;
}

void emit_sti(struct build *b)
{
    flags_clobber(b);
    emit_cmp_m8_zero(&b->e, mem_frame(FRAME_INTERRUPT));
    step_if(b, CC_NZ);
    emit_alu_mi(&b->e, ALU_OR, mem_frame(FRAME_EFLAGS), FL_IF);
}

/* r11d = EFLAGS as PUSHF stores it, from vcpu.eflags and the parked flags. */
static void gather_eflags(struct build *b)
{
    emit_load32(&b->e, REG_TEMP, mem_frame(FRAME_EFLAGS));
    emit_alu_ri(&b->e, false, ALU_AND, REG_TEMP, ~(s32)(FL_ARITH | FL_RF | FL_VM));
    emit_mov_rr32(&b->e, REG_ENTRY, REG_PARKED);
    emit_shift_ri(&b->e, false, SHIFT_SHR, REG_ENTRY, 8);
    emit_alu_ri(&b->e, false, ALU_AND, REG_ENTRY, FL_ARITH & 0xff);
    emit_alu_rr(&b->e, false, ALU_OR, REG_TEMP, REG_ENTRY);
    emit_mov_rr32(&b->e, REG_ENTRY, REG_PARKED);
    emit_alu_ri(&b->e, false, ALU_AND, REG_ENTRY, 1);
    emit_shift_ri(&b->e, false, SHIFT_SHL, REG_ENTRY, 11);
    emit_alu_rr(&b->e, false, ALU_OR, REG_TEMP, REG_ENTRY);
}

bool can_pushf(const struct build *b)
{
    return has_stack(b) && !(b->mode & MODE_VM86);
}

void emit_pushf(struct build *b)
{
    flags_to_parked(b);
    gather_eflags(b);
    temp_is_kept(b);
    emit_store(&b->e, is_code64(b), access_push(b), REG_TEMP);
    access_pushed(b);
}

/* r12 = the arithmetic flags of r11d. */
static void scatter_arithmetic(struct build *b)
{
    emit_mov_rr32(&b->e, REG_PARKED, REG_TEMP);
    emit_shift_ri(&b->e, false, SHIFT_SHR, REG_PARKED, 11);
    emit_alu_ri(&b->e, false, ALU_AND, REG_PARKED, 1);
    emit_alu_ri(&b->e, false, ALU_AND, REG_TEMP, FL_ARITH & 0xff);
    emit_shift_ri(&b->e, false, SHIFT_SHL, REG_TEMP, 8);
    emit_alu_rr(&b->e, false, ALU_OR, REG_PARKED, REG_TEMP);
    b->flags = FLAGS_PARKED;
}

bool can_popf(const struct build *b)
{
    return can_pushf(b);
}

/* A POPF that changes only arithmetic flags, DF and, if IOPL allows it, IF. The interpreter executes a POPF that
 * changes other bits, and one that sets IF while an interrupt waits. */
void emit_popf(struct build *b)
{
    bool changes_if = may_change_if(b), kernel = (b->mode & MODE_CPL) == 0;
    u32 others = FL_TF | FL_NT | FL_RF | FL_AC | FL_VIF | FL_VIP | FL_ID | (kernel ? FL_IOPL : 0);
    u32 taken = FL_DF | (changes_if ? FL_IF : 0);
    flags_clobber(b);
    emit_load32(&b->e, REG_TEMP, access_pop(b)); /* in 64-bit mode the high half is not looked at */
    emit_load32(&b->e, REG_ENTRY, mem_frame(FRAME_EFLAGS));
    emit_alu_rr(&b->e, false, ALU_XOR, REG_ENTRY, REG_TEMP);
    emit_test_ri(&b->e, REG_ENTRY, others);
    step_if(b, CC_NZ);
    if (changes_if) {
        emit_test_ri(&b->e, REG_TEMP, FL_IF);
        u32 off = emit_jcc(&b->e, CC_Z);
        emit_cmp_m8_zero(&b->e, mem_frame(FRAME_INTERRUPT));
        step_if(b, CC_NZ);
        emit_here32(&b->e, off);
    }
    emit_alu_ri(&b->e, false, ALU_AND, REG_ENTRY, (s32)taken); /* bits that differ and that POPF may change */
    emit_alu_mr(&b->e, false, ALU_XOR, mem_frame(FRAME_EFLAGS), REG_ENTRY);
    access_was_popped(b);
    scatter_arithmetic(b);
}

/* In deterministic mode the interpreter computes the time. */
bool can_rdtsc(const struct build *b)
{
    return !b->v->deterministic && !(b->mode & MODE_TSD);
}

/* The guest's TSC is the host's plus an offset. */
void emit_rdtsc(struct build *b)
{
    flags_clobber(b);
    emit_host_rdtsc(&b->e);
    emit_shift_ri(&b->e, true, SHIFT_SHL, RDX, 32);
    emit_alu_rr(&b->e, true, ALU_OR, RAX, RDX);
    emit_alu_rm(&b->e, true, ALU_ADD, RAX, mem_frame(FRAME_TSC_OFFSET));
    emit_mov_rr64(&b->e, RDX, RAX);
    emit_shift_ri(&b->e, true, SHIFT_SHR, RDX, 32);
    emit_mov_rr32(&b->e, RAX, RAX);
}

bool can_rdtscp(const struct build *b)
{
    return can_rdtsc(b);
}

void emit_rdtscp(struct build *b)
{
    emit_rdtsc(b);
    emit_load32(&b->e, RCX, mem_frame(FRAME_TSC_AUX));
}

bool can_cld(const struct build *b)
{
    return true;
}

/* DF is kept in vcpu.eflags. The host's DF stays clear, as the ABI requires. */
void emit_cld(struct build *b)
{
    flags_clobber(b);
    emit_alu_mi(&b->e, ALU_AND, mem_frame(FRAME_EFLAGS), ~FL_DF);
}

bool can_std(const struct build *b)
{
    return true;
}

void emit_std(struct build *b)
{
    flags_clobber(b);
    emit_alu_mi(&b->e, ALU_OR, mem_frame(FRAME_EFLAGS), FL_DF);
}
