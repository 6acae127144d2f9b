/*
 * Stack instructions, and sensitive ones that are emulated in line. Forms that are not for these (16-bit
 * stacks, segments that are not flat, virtual-8086 mode) fall back to the interpreter by returning false.
 */
#include "build.h"

#include <Zydis/Mnemonic.h>

static bool emit_push(struct build *b)
{
    const struct operand *from = &b->i->op[0];
    if (!has_plain_stack(b, b->i)) return emit_push16(b);
    if (from->kind == OPND_REG && from->reg_class == RC_GPR32) {
        emit_store32(&b->e, access_push(b), host_gpr(from->reg)); /* PUSH ESP stores the old value */
    } else if (from->kind == OPND_IMM) {
        emit_mov_mi(&b->e, access_push(b), (u32)b->i->imm[from->imm]);
    } else if (from->kind == OPND_MEM && from->bytes == 4) {
        struct host_mem mem;
        if (!access_operand(b, 4, false, &mem)) return false;
        emit_load32(&b->e, REG_TEMP, mem);
        emit_store32(&b->e, access_push(b), REG_TEMP); /* its slow path keeps r11 */
    } else {
        return false;
    }
    access_pushed(b);
    return true;
}

/* An address with ESP in it takes the new ESP (SDM 2 "POP"), which is not there before the store cannot
 * fault: the interpreter's. */
static bool emit_pop_memory(struct build *b)
{
    const struct insn *i = b->i;
    struct host_mem mem;
    if (i->op[0].bytes != 4 || i->mem_base == REG_ESP || !segment_is_reachable(b, i->mem_seg, true) ||
        mode_seg(b->mode, i->mem_seg) == MODE_SEG_LIMITED)
        return false;
    emit_load32(&b->e, REG_TEMP, access_pop(b));
    access_operand(b, 4, true, &mem); /* its slow path keeps r11 */
    emit_store32(&b->e, mem, REG_TEMP);
    emit_lea32(&b->e, GUEST_ESP, mem_bd(GUEST_ESP, 4));
    return true;
}

static bool emit_pop(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (to->kind == OPND_MEM && has_plain_stack(b, b->i)) return emit_pop_memory(b);
    if (!has_plain_stack(b, b->i)) return emit_pop16(b);
    if (to->kind != OPND_REG || to->reg_class != RC_GPR32 || to->reg == REG_ESP) return false;
    emit_load32(&b->e, host_gpr(to->reg), access_pop(b));
    emit_lea32(&b->e, GUEST_ESP, mem_bd(GUEST_ESP, 4));
    return true;
}

static bool emit_leave(struct build *b)
{
    if (!has_plain_stack(b, b->i)) return false;
    struct host_mem slot = access_popped(b, RBP);
    emit_load32(&b->e, REG_TEMP, slot);
    emit_lea32(&b->e, GUEST_ESP, mem_bd(RBP, 4));
    emit_mov_rr32(&b->e, RBP, REG_TEMP);
    return true;
}

static bool emit_lea(struct build *b)
{
    const struct insn *i = b->i;
    const struct operand *to = &i->op[0];
    u8 reg = host_gpr(to->reg);
    struct host_mem ea = guest_address(i);
    if (i->address_bytes == 4 && to->reg_class == RC_GPR32) {
        emit_lea32(&b->e, reg, ea);
        return true;
    }
    /* A 16-bit address is zero-extended; a 16-bit result leaves the upper half of the register alone. */
    emit_lea32(&b->e, REG_LINEAR, ea);
    bool low = to->reg_class == RC_GPR16;
    if (low) emit8(&b->e, 0x66);
    emit_rex(&b->e, false, reg, NULL, REG_LINEAR, false);
    if (low || i->address_bytes == 4) {
        emit8(&b->e, 0x8b); /* mov r16, r9w */
    } else {
        emit8(&b->e, 0x0f); /* movzx r32, r9w */
        emit8(&b->e, 0xb7);
    }
    emit8(&b->e, 0xc0 | (reg & 7) << 3 | (REG_LINEAR & 7));
    return true;
}

/* Nothing to do, and above all no access. */
static bool emit_nothing(struct build *b)
{
    return true;
}

static void step_if(struct build *b, u8 cc)
{
    stub_add(b, STUB_STEP, emit_jcc(&b->e, cc));
}

static bool may_change_if(const struct build *b)
{
    return (b->mode & MODE_IOPL) && !(b->mode & MODE_VM86);
}

/* CLI and STI where IOPL allows them. */
static bool emit_cli(struct build *b)
{
    if (!may_change_if(b)) return false;
    flags_clobber(b);
    emit_alu_mi(&b->e, 4, mem_frame(FRAME_EFLAGS), ~FL_IF);
    return true;
}

/* The shadow of STI is one instruction: no interrupt is looked for before the end of the block, so another
 * instruction of this block after STI is all it takes, if the block is not left before it: it checks no group
 * of accesses. With an interrupt waiting the interpreter does it, and the dispatcher delivers. */
static bool emit_sti(struct build *b)
{
    if (!may_change_if(b) || b->n + 1 == b->count) return false;
    flags_clobber(b);
    emit_cmp_m8_zero(&b->e, mem_frame(FRAME_INTERRUPT));
    step_if(b, CC_NZ);
    emit_alu_mi(&b->e, 1, mem_frame(FRAME_EFLAGS), FL_IF);
    return true;
}

/* r11d = EFLAGS as PUSHF stores it, from the virtual bits and the parked ones. */
static void gather_eflags(struct build *b)
{
    emit_load32(&b->e, REG_TEMP, mem_frame(FRAME_EFLAGS));
    emit_alu_ri(&b->e, false, 4, REG_TEMP, ~(s32)(FL_ARITH | FL_RF | FL_VM));
    emit_mov_rr32(&b->e, REG_ENTRY, REG_PARKED);
    emit_shift_ri(&b->e, false, 5, REG_ENTRY, 8);
    emit_alu_ri(&b->e, false, 4, REG_ENTRY, FL_ARITH & 0xff);
    emit_rr(&b->e, false, 0x09, REG_ENTRY, REG_TEMP);
    emit_mov_rr32(&b->e, REG_ENTRY, REG_PARKED);
    emit_alu_ri(&b->e, false, 4, REG_ENTRY, 1);
    emit_shift_ri(&b->e, false, 4, REG_ENTRY, 11);
    emit_rr(&b->e, false, 0x09, REG_ENTRY, REG_TEMP);
}

static bool emit_pushf(struct build *b)
{
    if (!has_plain_stack(b, b->i) || (b->mode & MODE_VM86)) return false;
    flags_to_parked(b);
    gather_eflags(b);
    emit_store32(&b->e, access_push(b), REG_TEMP);
    access_pushed(b);
    return true;
}

/* r12 = the arithmetic flags of r11d. */
static void scatter_arithmetic(struct build *b)
{
    emit_mov_rr32(&b->e, REG_PARKED, REG_TEMP);
    emit_shift_ri(&b->e, false, 5, REG_PARKED, 11);
    emit_alu_ri(&b->e, false, 4, REG_PARKED, 1);
    emit_alu_ri(&b->e, false, 4, REG_TEMP, FL_ARITH & 0xff);
    emit_shift_ri(&b->e, false, 4, REG_TEMP, 8);
    emit_rr(&b->e, false, 0x09, REG_TEMP, REG_PARKED);
    b->flags = FLAGS_PARKED;
}

/* POPF that changes nothing but arithmetic flags, DF and (where IOPL allows) IF, and lets no waiting
 * interrupt in. */
static bool emit_popf(struct build *b)
{
    if (!has_plain_stack(b, b->i) || (b->mode & MODE_VM86)) return false;
    bool changes_if = may_change_if(b), kernel = (b->mode & MODE_CPL) == 0;
    u32 others = FL_TF | FL_NT | FL_RF | FL_AC | FL_VIF | FL_VIP | FL_ID | (kernel ? FL_IOPL : 0);
    u32 taken = FL_DF | (changes_if ? FL_IF : 0);
    flags_clobber(b);
    emit_load32(&b->e, REG_TEMP, access_pop(b));
    emit_load32(&b->e, REG_ENTRY, mem_frame(FRAME_EFLAGS));
    emit_rr(&b->e, false, 0x31, REG_TEMP, REG_ENTRY); /* xor r10d, r11d */
    emit_test_ri(&b->e, REG_ENTRY, others);
    step_if(b, CC_NZ);
    if (changes_if) {
        emit_test_ri(&b->e, REG_TEMP, FL_IF);
        u32 off = emit_jcc(&b->e, CC_Z);
        emit_cmp_m8_zero(&b->e, mem_frame(FRAME_INTERRUPT));
        step_if(b, CC_NZ);
        emit_here32(&b->e, off);
    }
    emit_alu_ri(&b->e, false, 4, REG_ENTRY, (s32)taken); /* the bits that differ and may change */
    emit_rm(&b->e, false, 0x31, REG_ENTRY, mem_frame(FRAME_EFLAGS));
    emit_lea32(&b->e, GUEST_ESP, mem_bd(GUEST_ESP, 4));
    scatter_arithmetic(b);
    return true;
}

/* The guest's TSC runs with the host's. Deterministic time is the interpreter's. */
static bool emit_rdtsc(struct build *b)
{
    if (b->v->deterministic || (b->mode & MODE_TSD)) return false;
    flags_clobber(b);
    emit8(&b->e, 0x0f);
    emit8(&b->e, 0x31);
    emit_shift_ri(&b->e, true, 4, RDX, 32);
    emit_rr(&b->e, true, 0x09, RDX, RAX); /* or rax, rdx */
    emit_rm(&b->e, true, 0x03, RAX, mem_frame((s32)offsetof(struct vcpu, tsc_offset) - FRAME_BIAS));
    emit_mov_rr64(&b->e, RDX, RAX);
    emit_shift_ri(&b->e, true, 5, RDX, 32);
    emit_mov_rr32(&b->e, RAX, RAX);
    return true;
}

/* DF is virtual: the host's stays clear, as the ABI wants it. */
static bool emit_cld(struct build *b)
{
    flags_clobber(b);
    emit_alu_mi(&b->e, 4, mem_frame(FRAME_EFLAGS), ~FL_DF);
    return true;
}

static bool emit_std(struct build *b)
{
    flags_clobber(b);
    emit_alu_mi(&b->e, 1, mem_frame(FRAME_EFLAGS), FL_DF);
    return true;
}

static bool emit_rdtscp(struct build *b)
{
    if (!emit_rdtsc(b)) return false;
    emit_load32(&b->e, RCX, mem_frame((s32)offsetof(struct vcpu, tsc_aux) - FRAME_BIAS));
    return true;
}

emit_function *inline_emitter(u16 mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_PUSH: return emit_push;
    case ZYDIS_MNEMONIC_POP: return emit_pop;
    case ZYDIS_MNEMONIC_LEAVE: return emit_leave;
    case ZYDIS_MNEMONIC_LEA: return emit_lea;
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_PREFETCH:
    case ZYDIS_MNEMONIC_PREFETCHW:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2: return emit_nothing;
    case ZYDIS_MNEMONIC_CLI: return emit_cli;
    case ZYDIS_MNEMONIC_STI: return emit_sti;
    case ZYDIS_MNEMONIC_PUSHFD: return emit_pushf;
    case ZYDIS_MNEMONIC_POPFD: return emit_popf;
    case ZYDIS_MNEMONIC_RDTSC: return emit_rdtsc;
    case ZYDIS_MNEMONIC_RDTSCP: return emit_rdtscp;
    case ZYDIS_MNEMONIC_CLD: return emit_cld;
    case ZYDIS_MNEMONIC_STD: return emit_std;
    default: return NULL;
    }
}
