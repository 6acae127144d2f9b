/*
 * Arithmetic by the host's own instructions, flags included. Translated code runs the same instructions, so
 * even flags that the manual leaves undefined are equal.
 *
 * Flags are passed parked, as in translated code: bits 15-8 are SF ZF 0 AF 0 PF 1 CF, bit 0 is OF. To load
 * them, ADD AL,7Fh makes OF from bit 0, and SAHF sets the others.
 */
#ifndef RINGER_CPU_HOST_ALU_H
#define RINGER_CPU_HOST_ALU_H

#include "host_flags.h"

#define FLAGS_IN  "addb $127, %%al\n\tsahf\n\t"
#define FLAGS_OUT "\n\tlahf\n\tseto %%al"

/* Two operands: the result replaces the first. X(name, instruction) */
#define HOST_BINARY(X)                                                                                       \
    X(add, "add")                                                                                            \
    X(or, "or")                                                                                              \
    X(adc, "adc") X(sbb, "sbb") X(and, "and") X(sub, "sub") X(xor, "xor") X(cmp, "cmp") X(test, "test")
/* One operand. */
#define HOST_UNARY(X) X(inc, "inc") X(dec, "dec") X(neg, "neg")
/* Shifted by CL. */
#define HOST_SHIFT(X)                                                                                        \
    X(rol, "rol") X(ror, "ror") X(rcl, "rcl") X(rcr, "rcr") X(shl, "shl") X(shr, "shr") X(sar, "sar")
/* Rotated by an immediate. */
#define HOST_ROTATE(X) X(rol, "rol") X(ror, "ror")
/* Two operands of 16, 32 or 64 bits. Some instructions leave the first one unchanged. */
#define HOST_WIDE(X)                                                                                         \
    X(bt, "bt")                                                                                              \
    X(bts, "bts")                                                                                            \
    X(btr, "btr")                                                                                            \
    X(btc, "btc")                                                                                            \
    X(bsf, "bsf") X(bsr, "bsr") X(tzcnt, "tzcnt") X(lzcnt, "lzcnt") X(popcnt, "popcnt") X(imul, "imul")
/* Double shifts by CL, 16, 32 or 64 bits. */
#define HOST_DOUBLE_SHIFT(X) X(shld, "shld") X(shrd, "shrd")

#define RUN(instruction, ...)                                                                                \
    __asm__(FLAGS_IN instruction FLAGS_OUT : "+&a"(*flags), [a] "+r"(a) : __VA_ARGS__ : "cc")
#define BINARY(name, text)                                                                                   \
    static inline u64 host_##name(u64 *flags, u64 a, u64 b, unsigned bytes)                                  \
    {                                                                                                        \
        if (bytes == 8)                                                                                      \
            RUN(text "q %q[b], %q[a]", [b] "r"(b));                                                          \
        else if (bytes == 4)                                                                                 \
            RUN(text "l %k[b], %k[a]", [b] "r"(b));                                                          \
        else if (bytes == 2)                                                                                 \
            RUN(text "w %w[b], %w[a]", [b] "r"(b));                                                          \
        else                                                                                                 \
            RUN(text "b %b[b], %b[a]", [b] "r"(b));                                                          \
        return a;                                                                                            \
    }
#define UNARY(name, text)                                                                                    \
    static inline u64 host_##name(u64 *flags, u64 a, unsigned bytes)                                         \
    {                                                                                                        \
        if (bytes == 8)                                                                                      \
            RUN(text "q %q[a]", );                                                                           \
        else if (bytes == 4)                                                                                 \
            RUN(text "l %k[a]", );                                                                           \
        else if (bytes == 2)                                                                                 \
            RUN(text "w %w[a]", );                                                                           \
        else                                                                                                 \
            RUN(text "b %b[a]", );                                                                           \
        return a;                                                                                            \
    }
#define SHIFT(name, text)                                                                                    \
    static inline u64 host_##name(u64 *flags, u64 a, u32 count, unsigned bytes)                              \
    {                                                                                                        \
        if (bytes == 8)                                                                                      \
            RUN(text "q %%cl, %q[a]", "c"(count));                                                           \
        else if (bytes == 4)                                                                                 \
            RUN(text "l %%cl, %k[a]", "c"(count));                                                           \
        else if (bytes == 2)                                                                                 \
            RUN(text "w %%cl, %w[a]", "c"(count));                                                           \
        else                                                                                                 \
            RUN(text "b %%cl, %b[a]", "c"(count));                                                           \
        return a;                                                                                            \
    }
#define COUNTS_8(X, instruction, n)                                                                          \
    X(instruction, n)                                                                                        \
    X(instruction, n + 1)                                                                                    \
    X(instruction, n + 2)                                                                                    \
    X(instruction, n + 3)                                                                                    \
    X(instruction, n + 4)                                                                                    \
    X(instruction, n + 5)                                                                                    \
    X(instruction, n + 6)                                                                                    \
    X(instruction, n + 7)
#define COUNTS_32(X, instruction, n)                                                                         \
    COUNTS_8(X, instruction, n)                                                                              \
    COUNTS_8(X, instruction, n + 8)                                                                          \
    COUNTS_8(X, instruction, n + 16)                                                                         \
    COUNTS_8(X, instruction, n + 24)
#define ROTATE_CASE(instruction, n)                                                                          \
    case n: RUN(instruction, [count] "i"(n)); break;
/* OF is undefined behind counts other than 1 (SDM 2B RCL/RCR/ROL/ROR). Intel's CPUs of 2023 leave it unchanged if the
 * operand is a register and the count an immediate, and change it in all other forms. */
#define ROTATE(name, text)                                                                                   \
    static inline u64 host_##name##_immediate(u64 *flags, u64 a, u32 count, unsigned bytes)                  \
    {                                                                                                        \
        if (bytes == 8) {                                                                                    \
            switch (count & 63) {                                                                            \
                COUNTS_32(ROTATE_CASE, text "q %[count], %q[a]", 0)                                          \
                COUNTS_32(ROTATE_CASE, text "q %[count], %q[a]", 32)                                         \
            }                                                                                                \
        } else if (bytes == 4) {                                                                             \
            switch (count & 31) {                                                                            \
                COUNTS_32(ROTATE_CASE, text "l %[count], %k[a]", 0)                                          \
            }                                                                                                \
        } else if (bytes == 2) {                                                                             \
            switch (count & 31) {                                                                            \
                COUNTS_32(ROTATE_CASE, text "w %[count], %w[a]", 0)                                          \
            }                                                                                                \
        } else {                                                                                             \
            switch (count & 31) {                                                                            \
                COUNTS_32(ROTATE_CASE, text "b %[count], %b[a]", 0)                                          \
            }                                                                                                \
        }                                                                                                    \
        return a;                                                                                            \
    }
#define WIDE(name, text)                                                                                     \
    static inline u64 host_##name(u64 *flags, u64 a, u64 b, unsigned bytes)                                  \
    {                                                                                                        \
        if (bytes == 8)                                                                                      \
            RUN(text "q %q[b], %q[a]", [b] "r"(b));                                                          \
        else if (bytes == 4)                                                                                 \
            RUN(text "l %k[b], %k[a]", [b] "r"(b));                                                          \
        else                                                                                                 \
            RUN(text "w %w[b], %w[a]", [b] "r"(b));                                                          \
        return a;                                                                                            \
    }
#define DOUBLE_SHIFT(name, text)                                                                             \
    static inline u64 host_##name(u64 *flags, u64 a, u64 b, u32 count, unsigned bytes)                       \
    {                                                                                                        \
        if (bytes == 8)                                                                                      \
            RUN(text "q %%cl, %q[b], %q[a]", [b] "r"(b), "c"(count));                                        \
        else if (bytes == 4)                                                                                 \
            RUN(text "l %%cl, %k[b], %k[a]", [b] "r"(b), "c"(count));                                        \
        else                                                                                                 \
            RUN(text "w %%cl, %w[b], %w[a]", [b] "r"(b), "c"(count));                                        \
        return a;                                                                                            \
    }
HOST_BINARY(BINARY)
HOST_UNARY(UNARY)
HOST_SHIFT(SHIFT)
HOST_ROTATE(ROTATE)
HOST_WIDE(WIDE)
HOST_DOUBLE_SHIFT(DOUBLE_SHIFT)
#undef RUN
#undef BINARY
#undef UNARY
#undef SHIFT
#undef ROTATE
#undef ROTATE_CASE
#undef COUNTS_8
#undef COUNTS_32
#undef WIDE
#undef DOUBLE_SHIFT
#undef HOST_BINARY
#undef HOST_UNARY
#undef HOST_SHIFT
#undef HOST_ROTATE
#undef HOST_WIDE
#undef HOST_DOUBLE_SHIFT

#endif
