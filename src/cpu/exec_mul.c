/*
 * Multiplication, division and sign extension of the accumulator.
 */
#include "exec.h"
#include "host_alu.h"

/* --- one-operand MUL and IMUL --- */

#define MULTIPLY(name, text)                                                                                 \
    static inline u64 multiply_##name(u64 *flags, u32 a, u32 b, unsigned bytes)                              \
    {                                                                                                        \
        u64 low, high = 0;                                                                                   \
        if (bytes == 4)                                                                                      \
            __asm__(FLAGS_IN "movl %k[a], %%eax\n\t" text "l %k[b]\n\tmovl %%eax, %k[low]" FLAGS_OUT         \
                    : "+a"(*flags), [low] "=&r"(low), "+&d"(high)                                            \
                    : [a] "r"(a), [b] "r"(b)                                                                 \
                    : "cc");                                                                                 \
        else if (bytes == 2)                                                                                 \
            __asm__(FLAGS_IN "movl %k[a], %%eax\n\t" text "w %w[b]\n\tmovzwl %%ax, %k[low]" FLAGS_OUT        \
                    : "+a"(*flags), [low] "=&r"(low), "+&d"(high)                                            \
                    : [a] "r"(a), [b] "r"(b)                                                                 \
                    : "cc");                                                                                 \
        else                                                                                                 \
            __asm__(FLAGS_IN "movl %k[a], %%eax\n\t" text "b %b[b]\n\tmovzwl %%ax, %k[low]" FLAGS_OUT        \
                    : "+a"(*flags), [low] "=&r"(low)                                                         \
                    : [a] "r"(a), [b] "r"(b)                                                                 \
                    : "cc");                                                                                 \
        return (u32)low | high << (8 * bytes);                                                               \
    }
MULTIPLY(unsigned, "mul")
MULTIPLY(signed, "imul")
#undef MULTIPLY

/* The double-width product: AX, DX:AX or EDX:EAX. */
static void write_double(struct vcpu *v, u64 value, unsigned bytes)
{
    switch (bytes) {
    case 1: exec_reg_write(v, RC_GPR16, REG_EAX, value); break;
    case 2:
        exec_reg_write(v, RC_GPR16, REG_EAX, value);
        exec_reg_write(v, RC_GPR16, REG_EDX, value >> 16);
        break;
    default: v->gpr[REG_EAX] = (u32)value; v->gpr[REG_EDX] = value >> 32;
    }
}

void exec_mul(struct vcpu *v, const struct insn *i)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    write_double(v, multiply_unsigned(&flags, v->gpr[REG_EAX], exec_read(v, i, 0), bytes), bytes);
    flags_unpack(v, flags);
}

void exec_imul(struct vcpu *v, const struct insn *i)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    if (i->operand_count == 1)
        write_double(v, multiply_signed(&flags, v->gpr[REG_EAX], exec_read(v, i, 0), bytes), bytes);
    else if (i->operand_count == 2)
        exec_write(v, i, 0, host_imul(&flags, exec_read(v, i, 0), exec_read(v, i, 1), bytes));
    else
        exec_write(v, i, 0, host_imul(&flags, exec_read(v, i, 1), exec_read(v, i, 2), bytes));
    flags_unpack(v, flags);
}

/* BMI2. The high half is written last, so that it remains if both destinations are one register. */
void exec_mulx(struct vcpu *v, const struct insn *i)
{
    u64 product = (u64)(u32)v->gpr[REG_EDX] * exec_read(v, i, 2);
    exec_write(v, i, 1, product);
    exec_write(v, i, 0, product >> 32);
}

/* --- division --- */

/* A division leaves the flags undefined, so the host's instruction sets them. The caller has excluded overflow. */
#define DIVIDE(name, text)                                                                                   \
    static inline void divide_##name(u64 *flags, u64 dividend, u32 divisor, unsigned bytes, u32 *quotient,   \
                                     u32 *remainder)                                                         \
    {                                                                                                        \
        u32 low, high = dividend >> (bytes == 1 ? 0 : 8 * bytes);                                            \
        if (bytes == 4)                                                                                      \
            __asm__(FLAGS_IN "movl %k[a], %%eax\n\t" text "l %k[b]\n\tmovl %%eax, %k[low]" FLAGS_OUT         \
                    : "+a"(*flags), [low] "=&r"(low), "+&d"(high)                                            \
                    : [a] "r"(dividend), [b] "r"(divisor)                                                    \
                    : "cc");                                                                                 \
        else if (bytes == 2)                                                                                 \
            __asm__(FLAGS_IN "movl %k[a], %%eax\n\t" text "w %w[b]\n\tmovzwl %%ax, %k[low]" FLAGS_OUT        \
                    : "+a"(*flags), [low] "=&r"(low), "+&d"(high)                                            \
                    : [a] "r"(dividend), [b] "r"(divisor)                                                    \
                    : "cc");                                                                                 \
        else                                                                                                 \
            __asm__(FLAGS_IN "movl %k[a], %%eax\n\t" text "b %b[b]\n\tmovzwl %%ax, %k[low]" FLAGS_OUT        \
                    : "+a"(*flags), [low] "=&r"(low)                                                         \
                    : [a] "r"(dividend), [b] "r"(divisor)                                                    \
                    : "cc");                                                                                 \
        *quotient = low;                                                                                     \
        *remainder = bytes == 1 ? low >> 8 : high;                                                           \
    }
DIVIDE(unsigned, "div")
DIVIDE(signed, "idiv")
#undef DIVIDE

static u64 read_double(const struct vcpu *v, unsigned bytes)
{
    switch (bytes) {
    case 1: return (u16)v->gpr[REG_EAX];
    case 2: return (u32)v->gpr[REG_EDX] << 16 | (u16)v->gpr[REG_EAX];
    default: return v->gpr[REG_EDX] << 32 | (u32)v->gpr[REG_EAX];
    }
}

static void write_quotient(struct vcpu *v, u32 quotient, u32 remainder, unsigned bytes)
{
    if (bytes == 1)
        exec_reg_write(v, RC_GPR16, REG_EAX, (quotient & 0xff) | remainder << 8);
    else
        write_double(v, mask_bytes(quotient, bytes) | (u64)remainder << (8 * bytes), bytes);
}

void exec_div(struct vcpu *v, const struct insn *i)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    u64 dividend = read_double(v, bytes);
    u32 divisor = exec_read(v, i, 0), quotient, remainder;
    if (!divisor || dividend >> (8 * bytes) >= divisor) fault_raise(v, VEC_DE);
    divide_unsigned(&flags, dividend, divisor, bytes, &quotient, &remainder);
    write_quotient(v, quotient, remainder, bytes);
    flags_unpack(v, flags);
}

/* Does the quotient fit? The dividend is sign-extended from twice the size. C cannot divide -2^63 by -1, so
 * that case is excluded. */
static bool signed_fits(u64 dividend, u32 divisor, unsigned bytes)
{
    unsigned spare = 64 - 16 * bytes;
    s64 a = (s64)(dividend << spare) >> spare;
    s64 b = (s64)((u64)divisor << (64 - 8 * bytes)) >> (64 - 8 * bytes);
    if (!b || (b == -1 && a == INT64_MIN)) return false;
    s64 quotient = a / b, limit = 1ll << (8 * bytes - 1);
    return quotient >= -limit && quotient < limit;
}

void exec_idiv(struct vcpu *v, const struct insn *i)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    u64 dividend = read_double(v, bytes);
    u32 divisor = exec_read(v, i, 0), quotient, remainder;
    if (!signed_fits(dividend, divisor, bytes)) fault_raise(v, VEC_DE);
    divide_signed(&flags, dividend, divisor, bytes, &quotient, &remainder);
    write_quotient(v, quotient, remainder, bytes);
    flags_unpack(v, flags);
}

/* --- sign extension --- */

void exec_cbw(struct vcpu *v, const struct insn *i)
{
    exec_reg_write(v, RC_GPR16, REG_EAX, (s8)v->gpr[REG_EAX]);
}
void exec_cwde(struct vcpu *v, const struct insn *i)
{
    v->gpr[REG_EAX] = (u32)(s16)v->gpr[REG_EAX];
}
void exec_cwd(struct vcpu *v, const struct insn *i)
{
    exec_reg_write(v, RC_GPR16, REG_EDX, (s16)v->gpr[REG_EAX] >> 15);
}
void exec_cdq(struct vcpu *v, const struct insn *i)
{
    v->gpr[REG_EDX] = (u32)((s32)v->gpr[REG_EAX] >> 31);
}
