/*
 * Stack instructions, and sensitive ones that are emulated in line. Forms that are not for these (16-bit stacks, segments
 * that are not flat, virtual-8086 mode) fall back to the interpreter by returning false.
 */
#include "build.h"

#include <Zydis/Mnemonic.h>

static bool plain_stack(const struct build *b)
{
    bool size_prefix = b->i->prefixes & PFX_OPSIZE;
    return stack_is_flat(b) && (b->mode & MODE_CODE32) && !size_prefix;
}

static bool emit_push(struct build *b)
{
    const struct operand *from = &b->i->op[0];
    if (!plain_stack(b)) return false;
    if (from->kind == OPND_REG && from->reg_class == RC_GPR32) {
        push_check(b);
        emit_store32(&b->e, access_mem(), host_gpr(from->reg)); /* PUSH ESP stores the old value */
    } else if (from->kind == OPND_IMM) {
        push_check(b);
        emit_mov_mi(&b->e, access_mem(), (u32)b->i->imm[from->imm]);
    } else if (from->kind == OPND_MEM && from->bytes == 4) {
        if (!access_address(b, 4, false)) return false;
        access_check(b, 4, false);
        emit_load32(&b->e, REG_TEMP, access_mem());
        push_check(b); /* its slow path keeps r11 */
        emit_store32(&b->e, access_mem(), REG_TEMP);
    } else {
        return false;
    }
    emit_mov_rr32(&b->e, GUEST_ESP, REG_LINEAR);
    return true;
}

static bool emit_pop(struct build *b)
{
    const struct operand *to = &b->i->op[0];
    if (!plain_stack(b) || to->kind != OPND_REG || to->reg_class != RC_GPR32 || to->reg == REG_ESP) return false;
    emit_mov_rr32(&b->e, REG_LINEAR, GUEST_ESP);
    access_check(b, 4, false);
    emit_load32(&b->e, host_gpr(to->reg), access_mem());
    emit_lea32(&b->e, GUEST_ESP, mem_bd(GUEST_ESP, 4));
    return true;
}

static bool emit_leave(struct build *b)
{
    if (!plain_stack(b)) return false;
    emit_mov_rr32(&b->e, REG_LINEAR, RBP);
    access_check(b, 4, false);
    emit_load32(&b->e, RBP, access_mem());
    emit_lea32(&b->e, GUEST_ESP, mem_bd(REG_LINEAR, 4));
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

/* CLI where IOPL allows it. STI goes to the interpreter, which knows the shadow and looks for waiting interrupts. */
static bool emit_cli(struct build *b)
{
    if (!(b->mode & MODE_IOPL) || (b->mode & MODE_VM86)) return false;
    flags_clobber(b);
    emit_alu_mi(&b->e, 4, mem_frame(FRAME_EFLAGS), ~FL_IF);
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

emit_function *inline_emitter(u16 mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_PUSH: return emit_push;
    case ZYDIS_MNEMONIC_POP: return emit_pop;
    case ZYDIS_MNEMONIC_LEAVE: return emit_leave;
    case ZYDIS_MNEMONIC_LEA: return emit_lea;
    case ZYDIS_MNEMONIC_NOP: case ZYDIS_MNEMONIC_PREFETCH: case ZYDIS_MNEMONIC_PREFETCHW:
    case ZYDIS_MNEMONIC_PREFETCHNTA: case ZYDIS_MNEMONIC_PREFETCHT0: case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2:
        return emit_nothing;
    case ZYDIS_MNEMONIC_CLI: return emit_cli;
    case ZYDIS_MNEMONIC_CLD: return emit_cld;
    case ZYDIS_MNEMONIC_STD: return emit_std;
    default: return NULL;
    }
}
