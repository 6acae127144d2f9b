/*
 * Multiplication, division and sign extension of the accumulator.
 */
#include "exec.h"
#include "host_alu.h"

/* The halves of a double-width product or dividend: (E/R)AX and (E/R)DX, or AL and AH. */
struct halves {
    u64 low, high;
};

static struct halves read_double(const struct vcpu *v, unsigned bytes)
{
    if (bytes == 1) return (struct halves){(u8)v->gpr[REG_EAX], (u8)(v->gpr[REG_EAX] >> 8)};
    return (struct halves){mask_bytes(v->gpr[REG_EAX], bytes), mask_bytes(v->gpr[REG_EDX], bytes)};
}

static void write_double(struct vcpu *v, struct halves value, unsigned bytes)
{
    if (bytes == 1) {
        exec_reg_write(v, RC_GPR16, REG_EAX, (u8)value.low | (value.high & 0xff) << 8);
        return;
    }
    exec_reg_write(v, exec_reg_class(bytes), REG_EAX, value.low);
    exec_reg_write(v, exec_reg_class(bytes), REG_EDX, value.high);
}

/*
 * The one-operand instructions, on the host: AX or DX:AX in its three wider forms in, and out. In DIV and IDIV the
 * flags are undefined, so the host's instruction sets them there too.
 */
#define ONE_OPERAND(name, text)                                                                              \
    static inline struct halves host_##name(u64 *flags, struct halves a, u64 b, unsigned bytes)              \
    {                                                                                                        \
        u64 low = bytes == 1 ? a.low | a.high << 8 : a.low, high = a.high;                                   \
        if (bytes == 8)                                                                                      \
            __asm__(FLAGS_IN "movq %[low], %%rax\n\t" text "q %q[b]\n\tmovq %%rax, %[low]" FLAGS_OUT         \
                    : "+&a"(*flags), [low] "+&r"(low), "+&d"(high)                                           \
                    : [b] "r"(b)                                                                             \
                    : "cc");                                                                                 \
        else if (bytes == 4)                                                                                 \
            __asm__(FLAGS_IN "movl %k[low], %%eax\n\t" text "l %k[b]\n\tmovl %%eax, %k[low]" FLAGS_OUT       \
                    : "+&a"(*flags), [low] "+&r"(low), "+&d"(high)                                           \
                    : [b] "r"(b)                                                                             \
                    : "cc");                                                                                 \
        else if (bytes == 2)                                                                                 \
            __asm__(FLAGS_IN "movl %k[low], %%eax\n\t" text "w %w[b]\n\tmovzwl %%ax, %k[low]" FLAGS_OUT      \
                    : "+&a"(*flags), [low] "+&r"(low), "+&d"(high)                                           \
                    : [b] "r"(b)                                                                             \
                    : "cc");                                                                                 \
        else                                                                                                 \
            __asm__(FLAGS_IN "movl %k[low], %%eax\n\t" text "b %b[b]\n\tmovzwl %%ax, %k[low]" FLAGS_OUT      \
                    : "+&a"(*flags), [low] "+&r"(low)                                                        \
                    : [b] "r"(b)                                                                             \
                    : "cc");                                                                                 \
        return (struct halves){low, bytes == 1 ? low >> 8 : high};                                           \
    }
ONE_OPERAND(mul, "mul")
ONE_OPERAND(imul_double, "imul")
ONE_OPERAND(div, "div")
ONE_OPERAND(idiv, "idiv")
#undef ONE_OPERAND

/* --- multiplication --- */

void exec_mul(struct vcpu *v, const struct insn *i)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    write_double(v, host_mul(&flags, read_double(v, bytes), exec_read(v, i, 0), bytes), bytes);
    flags_unpack(v, flags);
}

void exec_imul(struct vcpu *v, const struct insn *i)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    if (i->operand_count == 1)
        write_double(v, host_imul_double(&flags, read_double(v, bytes), exec_read(v, i, 0), bytes), bytes);
    else if (i->operand_count == 2)
        exec_write(v, i, 0, host_imul(&flags, exec_read(v, i, 0), exec_read(v, i, 1), bytes));
    else
        exec_write(v, i, 0, host_imul(&flags, exec_read(v, i, 1), exec_read(v, i, 2), bytes));
    flags_unpack(v, flags);
}

/* BMI2. The high half is written last, so that it remains if both destinations are one register. */
void exec_mulx(struct vcpu *v, const struct insn *i)
{
    unsigned bytes = i->op[0].bytes;
    unsigned __int128 product = (unsigned __int128)mask_bytes(v->gpr[REG_EDX], bytes) * exec_read(v, i, 2);
    exec_write(v, i, 1, (u64)product);
    exec_write(v, i, 0, (u64)(product >> (8 * bytes)));
}

/* --- division: overflow is excluded before the host divides --- */

void exec_div(struct vcpu *v, const struct insn *i)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    struct halves dividend = read_double(v, bytes);
    u64 divisor = exec_read(v, i, 0);
    if (dividend.high >= divisor) fault_raise(v, VEC_DE);
    write_double(v, host_div(&flags, dividend, divisor, bytes), bytes);
    flags_unpack(v, flags);
}

/* Does the quotient fit? It does if its magnitude does, which is that of unsigned division, and is at most
 * 2^(n-1) - 1, or 2^(n-1) where the signs differ. */
static bool signed_fits(struct halves dividend, u64 divisor, unsigned bytes)
{
    unsigned bits = 8 * bytes, spare = 128 - 2 * bits;
    unsigned __int128 whole = ((unsigned __int128)dividend.high << bits | dividend.low) << spare;
    bool negative = (__int128)whole < 0;
    unsigned __int128 a = negative ? (-whole) >> spare : whole >> spare;
    s64 extended = (s64)(divisor << (64 - bits)) >> (64 - bits);
    u64 b = extended < 0 ? 0 - (u64)extended : (u64)extended;
    if (!b || (u64)(a >> 64) >= b) return false;
    u64 quotient, remainder, limit = (1ull << (bits - 1)) - (negative == (extended < 0));
    __asm__("divq %[b]"
            : "=a"(quotient), "=d"(remainder)
            : "a"((u64)a), "d"((u64)(a >> 64)), [b] "r"(b)
            : "cc");
    return quotient <= limit;
}

void exec_idiv(struct vcpu *v, const struct insn *i)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    struct halves dividend = read_double(v, bytes);
    u64 divisor = exec_read(v, i, 0);
    if (!signed_fits(dividend, divisor, bytes)) fault_raise(v, VEC_DE);
    write_double(v, host_idiv(&flags, dividend, divisor, bytes), bytes);
    flags_unpack(v, flags);
}

/* --- sign extension --- */

void exec_cbw(struct vcpu *v, const struct insn *i)
{
    exec_reg_write(v, RC_GPR16, REG_EAX, (u64)(s8)v->gpr[REG_EAX]);
}
void exec_cwde(struct vcpu *v, const struct insn *i)
{
    v->gpr[REG_EAX] = (u32)(s16)v->gpr[REG_EAX];
}
void exec_cdqe(struct vcpu *v, const struct insn *i)
{
    v->gpr[REG_EAX] = (u64)(s32)v->gpr[REG_EAX];
}
void exec_cwd(struct vcpu *v, const struct insn *i)
{
    exec_reg_write(v, RC_GPR16, REG_EDX, (u64)((s16)v->gpr[REG_EAX] >> 15));
}
void exec_cdq(struct vcpu *v, const struct insn *i)
{
    v->gpr[REG_EDX] = (u32)((s32)v->gpr[REG_EAX] >> 31);
}
void exec_cqo(struct vcpu *v, const struct insn *i)
{
    v->gpr[REG_EDX] = (u64)((s64)v->gpr[REG_EAX] >> 63);
}
