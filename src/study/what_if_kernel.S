/*
 * The guest kernel of the what-if experiment as two arrays of bytes: what_if_kernel_32 and what_if_kernel_64, each up to its _end.
 */
#include "what_if_data.h"

#define POINTER 0x80
#define STORED  0x90
#define GDT     0x100
#define IDT     0x200
#define TSS     0x400
/* Limit 67h, base WHAT_IF_DATA + TSS, present, DPL 0, available 32-bit TSS (SDM 3A 7.2.2) */
#define TSS_AT              (WHAT_IF_DATA + TSS)
#define TSS_DESCRIPTOR_LOW  (((TSS_AT & 0xffff) << 16) | 0x67)
#define TSS_DESCRIPTOR_HIGH ((TSS_AT & 0xff000000) | 0x8900 | ((TSS_AT >> 16) & 0xff))

    .intel_syntax noprefix
    .section .rodata
    .globl what_if_kernel_32, what_if_kernel_32_end, what_if_kernel_64, what_if_kernel_64_end

    .code32
#define A eax
what_if_kernel_32:
#include "what_if_kernel.inc"
what_if_kernel_32_end:
#undef A

    .code64
#define A rax
what_if_kernel_64:
#include "what_if_kernel.inc"
what_if_kernel_64_end:
    .section .note.GNU-stack, "", @progbits
