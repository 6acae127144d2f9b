/*
 * Single flags, random numbers, bounds, and instructions that do nothing.
 */
#include "base/hash.h"
#include "exec.h"

void exec_clc(struct vcpu *v, const struct insn *i)
{
    v->eflags &= ~(u32)FL_CF;
}
void exec_stc(struct vcpu *v, const struct insn *i)
{
    v->eflags |= FL_CF;
}
void exec_cmc(struct vcpu *v, const struct insn *i)
{
    v->eflags ^= FL_CF;
}
void exec_cld(struct vcpu *v, const struct insn *i)
{
    v->eflags &= ~(u32)FL_DF;
}
void exec_std(struct vcpu *v, const struct insn *i)
{
    v->eflags |= FL_DF;
}

/* The arithmetic flags in the low byte of EFLAGS: all except OF. */
enum { AH_FLAGS = FL_ARITH & 0xff };

void exec_lahf(struct vcpu *v, const struct insn *i)
{
    exec_reg_write(v, RC_GPR8, REG_ESP /* AH */, (v->eflags & AH_FLAGS) | FL_ONE);
}

void exec_sahf(struct vcpu *v, const struct insn *i)
{
    v->eflags = (v->eflags & ~(u32)AH_FLAGS) | ((u32)(v->gpr[REG_EAX] >> 8) & AH_FLAGS);
}

void exec_salc(struct vcpu *v, const struct insn *i)
{
    exec_reg_write(v, RC_GPR8, REG_EAX, v->eflags & FL_CF ? 0xff : 0);
}

/* In a deterministic run the instruction count is the source, so that both engines of a lockstep run get the
 * same numbers. Mixing as in splitmix64 (Steele, Lea & Flood, OOPSLA 2014). */
static u64 random_number(const struct vcpu *v)
{
    if (!v->deterministic) {
        u64 number;
        bool good = false;
        while (!good)
            __asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(number), "=qm"(good) : : "cc");
        return number;
    }
    return hash_splitmix(v->icount * HASH_MULTIPLIER);
}

void exec_rdrand(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, random_number(v));
    v->eflags = (v->eflags & ~(u32)FL_ARITH) | FL_CF;
}

/* Both bounds are in one memory operand, and both are inclusive. */
void exec_bound(struct vcpu *v, const struct insn *i)
{
    unsigned bytes = i->op[0].bytes;
    u64 pair = mem_read(v, i->mem_seg, exec_address(v, i), 2 * bytes);
    s32 index = (s32)exec_read(v, i, 0), lower = (s32)pair, upper = (s32)(pair >> 32);
    if (bytes == 2) {
        index = (s16)index;
        lower = (s16)pair;
        upper = (s16)(pair >> 16);
    }
    if (index < lower || index > upper) fault_raise(v, VEC_BR);
}

void exec_nop(struct vcpu *v, const struct insn *i) {}
void exec_pause(struct vcpu *v, const struct insn *i)
{
    __asm__ volatile("pause");
}

/* One vCPU sees its own accesses in order. The fence orders them for other host threads that read guest
 * memory. */
void exec_fence(struct vcpu *v, const struct insn *i)
{
    __asm__ volatile("mfence" : : : "memory");
}

/* Faults like the read of a byte. */
void exec_clflush(struct vcpu *v, const struct insn *i)
{
    mem_read(v, i->mem_seg, exec_address(v, i), 1);
}

void exec_ud(struct vcpu *v, const struct insn *i)
{
    fault_raise(v, VEC_UD);
}
void exec_too_long(struct vcpu *v, const struct insn *i)
{
    fault_raise_error(v, VEC_GP, 0);
}
