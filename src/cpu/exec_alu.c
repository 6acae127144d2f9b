/*
 * Arithmetic and logic with one or two operands: read, compute on the host, write, then set the flags.
 */
#include "exec.h"
#include "host_alu.h"

/* The three shapes. `compute` is a constant in every call, so the compiler makes a separate routine for each. */
typedef u64 binary_function(u64 *flags, u64 a, u64 b, unsigned bytes);
typedef u64 unary_function(u64 *flags, u64 a, unsigned bytes);

static inline __attribute__((always_inline)) void modify(struct vcpu *v, const struct insn *i,
                                                         binary_function *compute)
{
    u64 flags = flags_pack(v->eflags);
    u64 a = exec_read_modify(v, i, 0), b = exec_read(v, i, 1);
    exec_write(v, i, 0, compute(&flags, a, b, i->op[0].bytes));
    flags_unpack(v, flags);
}

static inline __attribute__((always_inline)) void compare(struct vcpu *v, const struct insn *i,
                                                          binary_function *compute)
{
    u64 flags = flags_pack(v->eflags);
    compute(&flags, exec_read(v, i, 0), exec_read(v, i, 1), i->op[0].bytes);
    flags_unpack(v, flags);
}

static inline __attribute__((always_inline)) void modify_one(struct vcpu *v, const struct insn *i,
                                                             unary_function *compute)
{
    u64 flags = flags_pack(v->eflags);
    exec_write(v, i, 0, compute(&flags, exec_read_modify(v, i, 0), i->op[0].bytes));
    flags_unpack(v, flags);
}

void exec_add(struct vcpu *v, const struct insn *i)
{
    modify(v, i, host_add);
}
void exec_or(struct vcpu *v, const struct insn *i)
{
    modify(v, i, host_or);
}
void exec_adc(struct vcpu *v, const struct insn *i)
{
    modify(v, i, host_adc);
}
void exec_sbb(struct vcpu *v, const struct insn *i)
{
    modify(v, i, host_sbb);
}
void exec_and(struct vcpu *v, const struct insn *i)
{
    modify(v, i, host_and);
}
void exec_sub(struct vcpu *v, const struct insn *i)
{
    modify(v, i, host_sub);
}
void exec_xor(struct vcpu *v, const struct insn *i)
{
    modify(v, i, host_xor);
}
void exec_cmp(struct vcpu *v, const struct insn *i)
{
    compare(v, i, host_cmp);
}
void exec_test(struct vcpu *v, const struct insn *i)
{
    compare(v, i, host_test);
}
void exec_inc(struct vcpu *v, const struct insn *i)
{
    modify_one(v, i, host_inc);
}
void exec_dec(struct vcpu *v, const struct insn *i)
{
    modify_one(v, i, host_dec);
}
void exec_neg(struct vcpu *v, const struct insn *i)
{
    modify_one(v, i, host_neg);
}

void exec_not(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, ~exec_read_modify(v, i, 0));
}

/* The sum is written last, so that it remains if both operands are the same register. */
void exec_xadd(struct vcpu *v, const struct insn *i)
{
    u64 flags = flags_pack(v->eflags);
    u64 a = exec_read_modify(v, i, 0), b = exec_read(v, i, 1);
    u64 sum = host_add(&flags, a, b, i->op[0].bytes);
    if (i->op[0].kind == OPND_MEM) exec_write(v, i, 0, sum);
    exec_write(v, i, 1, a);
    if (i->op[0].kind == OPND_REG) exec_write(v, i, 0, sum);
    flags_unpack(v, flags);
}

/* A destination in memory is written in either case, as hardware does it, so it must be writable. */
void exec_cmpxchg(struct vcpu *v, const struct insn *i)
{
    unsigned bytes = i->op[0].bytes;
    u64 flags = flags_pack(v->eflags);
    u64 old = exec_read_modify(v, i, 0), accumulator = mask_bytes(v->gpr[REG_EAX], bytes);
    host_cmp(&flags, accumulator, old, bytes);
    if (accumulator == old) {
        exec_write(v, i, 0, exec_read(v, i, 1));
    } else {
        if (i->op[0].kind == OPND_MEM) exec_write(v, i, 0, old);
        exec_reg_write(v, exec_reg_class(bytes), REG_EAX, old);
    }
    flags_unpack(v, flags);
}

void exec_cmpxchg8b(struct vcpu *v, const struct insn *i)
{
    u64 address = exec_address(v, i);
    u64 old = mem_read_modify(v, i->mem_seg, address, 8);
    u64 expected = v->gpr[REG_EDX] << 32 | (u32)v->gpr[REG_EAX];
    bool equal = old == expected;
    mem_write(v, i->mem_seg, address, 8, equal ? v->gpr[REG_ECX] << 32 | (u32)v->gpr[REG_EBX] : old);
    if (!equal) {
        v->gpr[REG_EAX] = (u32)old;
        v->gpr[REG_EDX] = old >> 32;
    }
    v->eflags = equal ? v->eflags | FL_ZF : v->eflags & ~(u32)FL_ZF;
}

/* REX.W CMPXCHG8B: RDX:RAX, RCX:RBX and an operand on a 16-byte boundary, else #GP(0) (SDM 2A CMPXCHG8B). */
void exec_cmpxchg16b(struct vcpu *v, const struct insn *i)
{
    u64 address = exec_address(v, i), old[2];
    mem_check_aligned(v, i->mem_seg, address, 16, 16, true);
    mem_probe_write(v, i->mem_seg, address, 16);
    mem_read_bytes(v, i->mem_seg, address, old, 16);
    bool equal = old[0] == v->gpr[REG_EAX] && old[1] == v->gpr[REG_EDX];
    if (equal) {
        old[0] = v->gpr[REG_EBX];
        old[1] = v->gpr[REG_ECX];
    }
    mem_write_bytes(v, i->mem_seg, address, old, 16);
    if (!equal) {
        v->gpr[REG_EAX] = old[0];
        v->gpr[REG_EDX] = old[1];
    }
    v->eflags = equal ? v->eflags | FL_ZF : v->eflags & ~(u32)FL_ZF;
}

/* ADCX and ADOX: one flag is carry in and carry out; all others stay. */
static void add_with(struct vcpu *v, const struct insn *i, u32 flag)
{
    unsigned bits = 8 * i->op[0].bytes;
    unsigned __int128 sum = (unsigned __int128)exec_read(v, i, 0) + exec_read(v, i, 1) + !!(v->eflags & flag);
    exec_write(v, i, 0, (u64)sum);
    v->eflags = sum >> bits ? v->eflags | flag : v->eflags & ~flag;
}

void exec_adcx(struct vcpu *v, const struct insn *i)
{
    add_with(v, i, FL_CF);
}
void exec_adox(struct vcpu *v, const struct insn *i)
{
    add_with(v, i, FL_OF);
}
