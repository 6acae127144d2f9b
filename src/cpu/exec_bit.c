/*
 * Single bits, bit scans and counts, BMI.
 */
#include "cpuid.h"
#include "exec.h"
#include "host_alu.h"

typedef u32 wide_function(u64 *flags, u32 a, u32 b, unsigned bytes);

/* A bit number in a register may address bits before and behind a memory operand, in units of the operand's
 * size. An immediate may not (SDM 2 "BT"). */
static u32 bit_address(struct vcpu *v, const struct insn *i, u32 bit)
{
    unsigned bytes = i->op[0].bytes;
    u32 address = exec_address(v, i);
    if (i->op[1].kind == OPND_REG) {
        s32 index = bytes == 2 ? (s16)bit : (s32)bit;
        address += bytes == 2 ? (u32)(index >> 4) * 2 : (u32)(index >> 5) * 4;
    }
    return i->address_bytes == 2 ? (u16)address : address;
}

static inline __attribute__((always_inline)) void bit_test(struct vcpu *v, const struct insn *i,
                                                           wide_function *compute, bool write)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    u32 bit = exec_read(v, i, 1);
    if (i->op[0].kind == OPND_REG) {
        u32 result = compute(&flags, exec_read(v, i, 0), bit, bytes);
        if (write) exec_write(v, i, 0, result);
    } else {
        u32 address = bit_address(v, i, bit);
        u32 old =
            write ? mem_read_modify(v, i->mem_seg, address, bytes) : mem_read(v, i->mem_seg, address, bytes);
        u32 result = compute(&flags, old, bit, bytes);
        if (write) mem_write(v, i->mem_seg, address, bytes, result);
    }
    flags_unpack(v, flags);
}

void exec_bt(struct vcpu *v, const struct insn *i)
{
    bit_test(v, i, host_bt, false);
}
void exec_bts(struct vcpu *v, const struct insn *i)
{
    bit_test(v, i, host_bts, true);
}
void exec_btr(struct vcpu *v, const struct insn *i)
{
    bit_test(v, i, host_btr, true);
}
void exec_btc(struct vcpu *v, const struct insn *i)
{
    bit_test(v, i, host_btc, true);
}

/* With a source of zero, BSF and BSR leave the destination unchanged. */
static inline __attribute__((always_inline)) void scan(struct vcpu *v, const struct insn *i,
                                                       wide_function *compute)
{
    u64 flags = flags_pack(v->eflags);
    u32 source = exec_read(v, i, 1);
    exec_write(v, i, 0, compute(&flags, exec_read(v, i, 0), source, i->op[0].bytes));
    flags_unpack(v, flags);
}

void exec_bsf(struct vcpu *v, const struct insn *i)
{
    scan(v, i, host_bsf);
}
void exec_bsr(struct vcpu *v, const struct insn *i)
{
    scan(v, i, host_bsr);
}
void exec_popcnt(struct vcpu *v, const struct insn *i)
{
    scan(v, i, host_popcnt);
}

/* CPUs without TZCNT and LZCNT ignore the F3 prefix and execute BSF and BSR. */
void exec_tzcnt(struct vcpu *v, const struct insn *i)
{
    scan(v, i, v->model->f7_ebx & F7B_BMI1 ? host_tzcnt : host_bsf);
}
void exec_lzcnt(struct vcpu *v, const struct insn *i)
{
    scan(v, i, v->model->x1_ecx & X1C_LZCNT ? host_lzcnt : host_bsr);
}

/* With a 16-bit operand size the result is undefined; CPUs give 0. */
void exec_bswap(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, i->op[0].bytes == 2 ? 0 : __builtin_bswap32(exec_read(v, i, 0)));
}

void exec_crc32(struct vcpu *v, const struct insn *i)
{
    u32 crc = exec_read(v, i, 0), data = exec_read(v, i, 1);
    switch (i->op[1].bytes) {
    case 1: __asm__("crc32b %b1, %0" : "+r"(crc) : "r"(data)); break;
    case 2: __asm__("crc32w %w1, %0" : "+r"(crc) : "r"(data)); break;
    default: __asm__("crc32l %1, %0" : "+r"(crc) : "r"(data)); break;
    }
    exec_write(v, i, 0, crc);
}

/* --- BMI1, BMI2: exposed where the host has them --- */

#define BMI_UNARY(name)                                                                                      \
    void exec_##name(struct vcpu *v, const struct insn *i)                                                   \
    {                                                                                                        \
        u64 flags = flags_pack(v->eflags);                                                                   \
        u32 result;                                                                                          \
        __asm__(FLAGS_IN #name " %[b], %[to]" FLAGS_OUT                                                      \
                : "+a"(flags), [to] "=&r"(result)                                                            \
                : [b] "r"(exec_read(v, i, 1))                                                                \
                : "cc");                                                                                     \
        exec_write(v, i, 0, result);                                                                         \
        flags_unpack(v, flags);                                                                              \
    }
BMI_UNARY(blsi)
BMI_UNARY(blsmsk)
BMI_UNARY(blsr)
#undef BMI_UNARY

/* first, second: operands in the order of AT&T syntax. */
#define BMI_BINARY(name, first, second)                                                                      \
    void exec_##name(struct vcpu *v, const struct insn *i)                                                   \
    {                                                                                                        \
        u64 flags = flags_pack(v->eflags);                                                                   \
        u32 result;                                                                                          \
        __asm__(FLAGS_IN #name " %[a], %[b], %[to]" FLAGS_OUT                                                \
                : "+a"(flags), [to] "=&r"(result)                                                            \
                : [a] "r"(exec_read(v, i, first)), [b] "r"(exec_read(v, i, second))                          \
                : "cc");                                                                                     \
        exec_write(v, i, 0, result);                                                                         \
        flags_unpack(v, flags);                                                                              \
    }
BMI_BINARY(andn, 2, 1)
BMI_BINARY(bextr, 2, 1)
BMI_BINARY(bzhi, 2, 1)
BMI_BINARY(pdep, 2, 1)
BMI_BINARY(pext, 2, 1)
#undef BMI_BINARY
