/*
 * Decimal arithmetic, by the manual's pseudo-code (SDM 2). The host cannot execute these instructions, because
 * 64-bit mode has none of them. Flags that the manual leaves undefined are as on recent CPUs: unchanged, or
 * set by the result.
 */
#include "exec.h"
#include "host_alu.h"

static u8 al(const struct vcpu *v)
{
    return (u8)v->gpr[REG_EAX];
}
static u8 ah(const struct vcpu *v)
{
    return (u8)(v->gpr[REG_EAX] >> 8);
}
static void set_ax(struct vcpu *v, u16 value)
{
    exec_reg_write(v, RC_GPR16, REG_EAX, value);
}

/* SF, ZF and PF of AL; the given CF and AF; OF clear. */
static void set_flags(struct vcpu *v, bool carry, bool adjust)
{
    u64 flags = 0;
    host_or(&flags, al(v), 0, 1);
    flags_unpack(v, flags);
    v->eflags &= ~(u32)(FL_CF | FL_AF);
    v->eflags |= (carry ? FL_CF : 0) | (adjust ? FL_AF : 0);
}

void exec_aaa(struct vcpu *v, const struct insn *i)
{
    bool adjust = (al(v) & 15) > 9 || (v->eflags & FL_AF);
    if (adjust) set_ax(v, (u16)v->gpr[REG_EAX] + 0x106);
    set_ax(v, (u16)v->gpr[REG_EAX] & 0xff0f);
    set_flags(v, adjust, adjust);
}

void exec_aas(struct vcpu *v, const struct insn *i)
{
    bool adjust = (al(v) & 15) > 9 || (v->eflags & FL_AF);
    if (adjust) set_ax(v, (u16)v->gpr[REG_EAX] - 0x106);
    set_ax(v, (u16)v->gpr[REG_EAX] & 0xff0f);
    set_flags(v, adjust, adjust);
}

void exec_aam(struct vcpu *v, const struct insn *i)
{
    u8 base = (u8)i->imm[0], value = al(v);
    if (!base) fault_raise(v, VEC_DE);
    set_ax(v, (u16)((value / base) << 8 | value % base));
    set_flags(v, false, false);
}

void exec_aad(struct vcpu *v, const struct insn *i)
{
    u8 base = (u8)i->imm[0];
    set_ax(v, (u8)(al(v) + ah(v) * base));
    set_flags(v, false, false);
}

static void write_al(struct vcpu *v, u8 value)
{
    exec_reg_write(v, RC_GPR8, REG_EAX, value);
}

/* DAA and DAS: sign is +1 or -1. */
static void decimal_adjust(struct vcpu *v, int sign)
{
    u8 old = al(v);
    bool old_carry = v->eflags & FL_CF, carry = false;
    bool adjust = (old & 15) > 9 || (v->eflags & FL_AF);
    if (adjust) {
        int value = old + sign * 6;
        write_al(v, (u8)value);
        carry = old_carry || value > 0xff || value < 0;
    }
    if (old > 0x99 || old_carry) {
        write_al(v, (u8)(al(v) + sign * 0x60));
        carry = true;
    } else if (sign > 0) {
        carry = false;
    }
    set_flags(v, carry, adjust);
}

void exec_daa(struct vcpu *v, const struct insn *i)
{
    decimal_adjust(v, 1);
}
void exec_das(struct vcpu *v, const struct insn *i)
{
    decimal_adjust(v, -1);
}
