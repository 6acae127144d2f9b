/*
 * The interpreter's routines. A row of isa.def names its routine; the function is exec_<routine>.
 *
 * When a routine is called, v->rip is the address of the *next* instruction. LOCK, the CPU model and the
 * availability of the FPU have been checked; the routine checks privilege itself. A fault scope is open. After
 * a fault, only v->rip is restored to the start of the instruction. So a routine commits late: it changes
 * registers, flags and ESP when nothing can fault any more.
 *
 * A repeated string instruction that v->pending interrupts must be executed again: its routine subtracts
 * i->length from v->rip.
 */
#ifndef RINGER_CPU_EXEC_H
#define RINGER_CPU_EXEC_H

#include "insn.h"
#include "memory.h"
#include "mode.h"
#include "system.h"

#define DECLARE(routine)                              void exec_##routine(struct vcpu *v, const struct insn *i);
#define ISA(mnemonic, routine, ...)                   DECLARE(routine)
#define ISA_FORM(mnemonic, when, routine, ...)        DECLARE(routine)
#define ISA_SYSTEM(mnemonic, routine, ...)            DECLARE(routine)
#define ISA_SYSTEM_FORM(mnemonic, when, routine, ...) DECLARE(routine)
#define ISA_CLASS(isa_set, name, routine, ...)        DECLARE(routine)
#include "isa.def"
#undef DECLARE

/* An instruction longer than 15 bytes: raises #GP(0). */
void exec_too_long(struct vcpu *v, const struct insn *i);

/* --- operands --- */

/* An offset at the width of the address size. */
static inline u64 exec_mask_address(const struct insn *i, u64 address)
{
    if (likely(i->address_bytes == 4)) return (u32)address;
    return i->address_bytes == 2 ? (u16)address : address;
}

/* Offset of the memory operand in its segment, masked to the address size. */
static inline u64 exec_address(const struct vcpu *v, const struct insn *i)
{
    u64 address = i->mem_disp;
    if (i->mem_base < INSN_RIP)
        address += vcpu_gpr_read(v, i->mem_base);
    else if (i->mem_base == INSN_RIP)
        address += v->rip;
    if (i->mem_index != INSN_NO_REG) address += vcpu_gpr_read(v, i->mem_index) * i->mem_scale;
    return exec_mask_address(i, address);
}

static inline bool exec_is_high_byte(unsigned reg)
{
    return reg >= 4 && reg < 8;
}

static inline u64 exec_reg_read(const struct vcpu *v, unsigned reg_class, unsigned reg)
{
    switch (reg_class) {
    case RC_GPR8:
        if (exec_is_high_byte(reg)) return (u8)(v->gpr[reg & 3] >> 8);
        return (u8)vcpu_gpr_read(v, reg % GPR8_LOW);
    case RC_GPR16: return (u16)vcpu_gpr_read(v, reg);
    case RC_GPR64: return vcpu_gpr_read(v, reg);
    default: return (u32)vcpu_gpr_read(v, reg);
    }
}

/* 32 bits are zero-extended. */
static inline void exec_reg_write(struct vcpu *v, unsigned reg_class, unsigned reg, u64 value)
{
    u64 *to;
    switch (reg_class) {
    case RC_GPR8: {
        unsigned shift = exec_is_high_byte(reg) ? 8 : 0;
        to = shift ? &v->gpr[reg & 3] : vcpu_gpr(v, reg % GPR8_LOW);
        *to = (*to & ~(0xffull << shift)) | (u64)(u8)value << shift;
        break;
    }
    case RC_GPR16:
        to = vcpu_gpr(v, reg);
        *to = (*to & ~0xffffull) | (u16)value;
        break;
    case RC_GPR64: *vcpu_gpr(v, reg) = value; break;
    default: *vcpu_gpr(v, reg) = (u32)value;
    }
}

/* The class of a general register of this many bytes. */
static inline unsigned exec_reg_class(unsigned bytes)
{
    return bytes == 1 ? RC_GPR8 : bytes == 2 ? RC_GPR16 : bytes == 4 ? RC_GPR32 : RC_GPR64;
}

/* Operand n: a general register, memory or an immediate. The decoder may have sign-extended an immediate: mask
 * the result. */
static inline u64 exec_read(struct vcpu *v, const struct insn *i, unsigned n)
{
    const struct operand *o = &i->op[n];
    if (o->kind == OPND_REG) return exec_reg_read(v, o->reg_class, o->reg);
    if (o->kind == OPND_MEM) return mem_read(v, i->mem_seg, exec_address(v, i), o->bytes);
    return i->imm[o->imm];
}

/* The same for an operand that will be written: memory is checked for writing, so that exec_write() cannot
 * fault. */
static inline u64 exec_read_modify(struct vcpu *v, const struct insn *i, unsigned n)
{
    const struct operand *o = &i->op[n];
    if (o->kind == OPND_REG) return exec_reg_read(v, o->reg_class, o->reg);
    return mem_read_modify(v, i->mem_seg, exec_address(v, i), o->bytes);
}

static inline void exec_write(struct vcpu *v, const struct insn *i, unsigned n, u64 value)
{
    const struct operand *o = &i->op[n];
    if (o->kind == OPND_REG)
        exec_reg_write(v, o->reg_class, o->reg, value);
    else
        mem_write(v, i->mem_seg, exec_address(v, i), o->bytes, value);
}

/* --- the stack --- */

static inline u64 exec_stack_mask(const struct vcpu *v)
{
    return vcpu_stack_mask(v);
}

/* Set RSP, ESP, or SP on a 16-bit stack: then the high half of ESP stays. */
static inline void exec_set_stack(struct vcpu *v, u64 esp)
{
    u64 mask = exec_stack_mask(v);
    v->gpr[REG_ESP] = (v->gpr[REG_ESP] & ~mask & 0xffffffff) | (esp & mask);
}

static inline void exec_push_value(struct vcpu *v, u64 value, unsigned bytes)
{
    u64 to = v->gpr[REG_ESP] - bytes;
    mem_write(v, SEG_SS, to & exec_stack_mask(v), bytes, mask_bytes(value, bytes));
    exec_set_stack(v, to);
}

/* The value `offset` bytes above the top of the stack, as a pop reads it. exec_drop() then removes it. */
static inline u64 exec_peek(struct vcpu *v, u64 offset, unsigned bytes)
{
    return mem_read(v, SEG_SS, (v->gpr[REG_ESP] + offset) & exec_stack_mask(v), bytes);
}
static inline void exec_drop(struct vcpu *v, u64 bytes)
{
    exec_set_stack(v, v->gpr[REG_ESP] + bytes);
}

/* --- branches --- */

/* The target of a near jump to `rip`: with a 16-bit operand size it wraps at 64 KB. #GP(0) beyond CS's limit, or
 * in 64-bit mode at an address that is not canonical. */
static inline u64 exec_near_target(struct vcpu *v, const struct insn *i, u64 rip)
{
    if (unlikely(v->mode & MODE_CODE64)) {
        if (!is_canonical(rip)) fault_raise_error(v, VEC_GP, 0);
        return rip;
    }
    rip = i->operand_bytes == 2 ? (u16)rip : (u32)rip;
    if (rip > v->seg[SEG_CS].limit) fault_raise_error(v, VEC_GP, 0);
    return rip;
}

/* Conditions, in the order of the opcodes' low four bits. */
static inline bool exec_condition(u32 eflags, unsigned cc)
{
    bool met;
    switch (cc >> 1 & 7) {
    case 0: met = eflags & FL_OF; break;
    case 1: met = eflags & FL_CF; break;
    case 2: met = eflags & FL_ZF; break;
    case 3: met = eflags & (FL_CF | FL_ZF); break;
    case 4: met = eflags & FL_SF; break;
    case 5: met = eflags & FL_PF; break;
    case 6: met = !(eflags & FL_SF) != !(eflags & FL_OF); break;
    default: met = (eflags & FL_ZF) || !(eflags & FL_SF) != !(eflags & FL_OF); break;
    }
    return met != (cc & 1);
}

#endif
