/*
 * Shifts and rotates. The host executes them with the guest's flags loaded. So a count of zero leaves the flags
 * unchanged, and undefined flags are the host's.
 */
#include "exec.h"
#include "host_alu.h"

typedef u64 shift_function(u64 *flags, u64 a, u32 count, unsigned bytes);
typedef u64 double_shift_function(u64 *flags, u64 a, u64 b, u32 count, unsigned bytes);

static inline __attribute__((always_inline)) void shift(struct vcpu *v, const struct insn *i,
                                                        shift_function *compute)
{
    u64 flags = flags_pack(v->eflags);
    u64 a = exec_read_modify(v, i, 0), count = exec_read(v, i, 1);
    exec_write(v, i, 0, compute(&flags, a, (u32)count, i->op[0].bytes));
    flags_unpack(v, flags);
}

static inline __attribute__((always_inline)) void double_shift(struct vcpu *v, const struct insn *i,
                                                               double_shift_function *compute)
{
    u64 flags = flags_pack(v->eflags);
    u64 a = exec_read_modify(v, i, 0), b = exec_read(v, i, 1), count = exec_read(v, i, 2);
    exec_write(v, i, 0, compute(&flags, a, b, (u32)count, i->op[0].bytes));
    flags_unpack(v, flags);
}

/* A register rotated by an immediate may differ in OF (host_alu.h). */
static bool is_register_by_immediate(const struct insn *i)
{
    return i->op[0].kind == OPND_REG && i->op[1].kind == OPND_IMM;
}

void exec_rol(struct vcpu *v, const struct insn *i)
{
    if (is_register_by_immediate(i))
        shift(v, i, host_rol_immediate);
    else
        shift(v, i, host_rol);
}
void exec_ror(struct vcpu *v, const struct insn *i)
{
    if (is_register_by_immediate(i))
        shift(v, i, host_ror_immediate);
    else
        shift(v, i, host_ror);
}
void exec_rcl(struct vcpu *v, const struct insn *i)
{
    shift(v, i, host_rcl);
}
void exec_rcr(struct vcpu *v, const struct insn *i)
{
    shift(v, i, host_rcr);
}
void exec_shl(struct vcpu *v, const struct insn *i)
{
    shift(v, i, host_shl);
}
void exec_shr(struct vcpu *v, const struct insn *i)
{
    shift(v, i, host_shr);
}
void exec_sar(struct vcpu *v, const struct insn *i)
{
    shift(v, i, host_sar);
}
void exec_shld(struct vcpu *v, const struct insn *i)
{
    double_shift(v, i, host_shld);
}
void exec_shrd(struct vcpu *v, const struct insn *i)
{
    double_shift(v, i, host_shrd);
}

/* BMI2: no flags, count modulo the operand size. */
static unsigned count_of(struct vcpu *v, const struct insn *i)
{
    return exec_read(v, i, 2) & (i->op[0].bytes == 8 ? 63 : 31);
}

void exec_shlx(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, exec_read(v, i, 1) << count_of(v, i));
}
void exec_shrx(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, exec_read(v, i, 1) >> count_of(v, i));
}
void exec_sarx(struct vcpu *v, const struct insn *i)
{
    u64 a = exec_read(v, i, 1);
    exec_write(v, i, 0, (u64)((i->op[0].bytes == 8 ? (s64)a : (s32)a) >> count_of(v, i)));
}
void exec_rorx(struct vcpu *v, const struct insn *i)
{
    unsigned bits = 8 * i->op[0].bytes, count = count_of(v, i);
    u64 a = exec_read(v, i, 1);
    exec_write(v, i, 0, a >> count | a << (-count & (bits - 1)));
}
