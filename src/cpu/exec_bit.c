/*
 * Single bits, bit scans and counts, BMI.
 */
#include "cpuid.h"
#include "exec.h"
#include "host_alu.h"

typedef u64 wide_function(u64 *flags, u64 a, u64 b, unsigned bytes);

/* A bit number in a register may address bits before and behind a memory operand, in units of the operand's
 * size. An immediate may not (SDM 2 "BT"). */
static u64 bit_address(struct vcpu *v, const struct insn *i, u64 bit)
{
    unsigned bytes = i->op[0].bytes;
    u64 address = exec_address(v, i);
    if (i->op[1].kind == OPND_REG) {
        s64 index = bytes == 2 ? (s16)bit : bytes == 4 ? (s32)bit : (s64)bit;
        address += (u64)(index >> (bytes == 2 ? 4 : bytes == 4 ? 5 : 6)) * bytes;
    }
    return exec_mask_address(i, address);
}

static inline __attribute__((always_inline)) void bit_test(struct vcpu *v, const struct insn *i,
                                                           wide_function *compute, bool write)
{
    u64 flags = flags_pack(v->eflags);
    unsigned bytes = i->op[0].bytes;
    u64 bit = exec_read(v, i, 1);
    if (i->op[0].kind == OPND_REG) {
        u64 result = compute(&flags, exec_read(v, i, 0), bit, bytes);
        if (write) exec_write(v, i, 0, result);
    } else {
        u64 address = bit_address(v, i, bit);
        u64 old =
            write ? mem_read_modify(v, i->mem_seg, address, bytes) : mem_read(v, i->mem_seg, address, bytes);
        u64 result = compute(&flags, old, bit, bytes);
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

/* With a source of zero, BSF and BSR leave the destination unchanged, also the upper half of a register. */
static inline __attribute__((always_inline)) void scan(struct vcpu *v, const struct insn *i,
                                                       wide_function *compute)
{
    u64 flags = flags_pack(v->eflags);
    u64 source = exec_read(v, i, 1);
    u64 result = compute(&flags, exec_read(v, i, 0), source, i->op[0].bytes);
    bool unchanged = !source && (compute == host_bsf || compute == host_bsr);
    if (!unchanged) exec_write(v, i, 0, result);
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
    u64 value = exec_read(v, i, 0);
    unsigned bytes = i->op[0].bytes;
    exec_write(v, i, 0,
               bytes == 2   ? 0
               : bytes == 4 ? __builtin_bswap32((u32)value)
                            : __builtin_bswap64(value));
}

void exec_crc32(struct vcpu *v, const struct insn *i)
{
    u32 crc = (u32)exec_read(v, i, 0);
    u64 crc64 = crc, data = exec_read(v, i, 1);
    switch (i->op[1].bytes) {
    case 1: __asm__("crc32b %b1, %0" : "+r"(crc) : "r"(data)); break;
    case 2: __asm__("crc32w %w1, %0" : "+r"(crc) : "r"(data)); break;
    case 4: __asm__("crc32l %k1, %0" : "+r"(crc) : "r"(data)); break;
    default: __asm__("crc32q %1, %0" : "+r"(crc64) : "r"(data)); crc = (u32)crc64;
    }
    exec_write(v, i, 0, crc);
}

/* --- BMI1, BMI2: exposed where the host has them --- */

#define BMI_UNARY(name)                                                                                      \
    void exec_##name(struct vcpu *v, const struct insn *i)                                                   \
    {                                                                                                        \
        u64 flags = flags_pack(v->eflags), result;                                                           \
        if (i->op[0].bytes == 8)                                                                             \
            __asm__(FLAGS_IN #name " %[b], %[to]" FLAGS_OUT                                                  \
                    : "+&a"(flags), [to] "=&r"(result)                                                       \
                    : [b] "r"(exec_read(v, i, 1))                                                            \
                    : "cc");                                                                                 \
        else                                                                                                 \
            __asm__(FLAGS_IN #name " %k[b], %k[to]" FLAGS_OUT                                                \
                    : "+&a"(flags), [to] "=&r"(result)                                                       \
                    : [b] "r"(exec_read(v, i, 1))                                                            \
                    : "cc");                                                                                 \
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
        u64 flags = flags_pack(v->eflags), result;                                                           \
        if (i->op[0].bytes == 8)                                                                             \
            __asm__(FLAGS_IN #name " %[a], %[b], %[to]" FLAGS_OUT                                            \
                    : "+&a"(flags), [to] "=&r"(result)                                                       \
                    : [a] "r"(exec_read(v, i, first)), [b] "r"(exec_read(v, i, second))                      \
                    : "cc");                                                                                 \
        else                                                                                                 \
            __asm__(FLAGS_IN #name " %k[a], %k[b], %k[to]" FLAGS_OUT                                         \
                    : "+&a"(flags), [to] "=&r"(result)                                                       \
                    : [a] "r"(exec_read(v, i, first)), [b] "r"(exec_read(v, i, second))                      \
                    : "cc");                                                                                 \
        exec_write(v, i, 0, result);                                                                         \
        flags_unpack(v, flags);                                                                              \
    }
BMI_BINARY(andn, 2, 1)
BMI_BINARY(bextr, 2, 1)
BMI_BINARY(bzhi, 2, 1)
BMI_BINARY(pdep, 2, 1)
BMI_BINARY(pext, 2, 1)
#undef BMI_BINARY
