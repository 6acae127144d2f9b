/*
 * Constants and types of the architecture: registers, flags, vectors, descriptors (SDM 1 3.4, SDM 3A 3.4 and 6.3).
 */
#ifndef RINGER_CPU_ARCH_H
#define RINGER_CPU_ARCH_H

#include "base/types.h"

enum gpr { REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI };
#define GPR_COUNT 16 /* in 64-bit mode; other modes have the first eight */

/* In the order of the sreg field of ModRM. */
enum seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

enum eflags {
    FL_CF = 1 << 0,
    FL_ONE = 1 << 1,
    FL_PF = 1 << 2,
    FL_AF = 1 << 4,
    FL_ZF = 1 << 6,
    FL_SF = 1 << 7,
    FL_TF = 1 << 8,
    FL_IF = 1 << 9,
    FL_DF = 1 << 10,
    FL_OF = 1 << 11,
    FL_IOPL = 3 << 12,
    FL_NT = 1 << 14,
    FL_RF = 1 << 16,
    FL_VM = 1 << 17,
    FL_AC = 1 << 18,
    FL_VIF = 1 << 19,
    FL_VIP = 1 << 20,
    FL_ID = 1 << 21,
    FL_ARITH = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF,
};
#define FL_IOPL_SHIFT 12

enum vector {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_BR = 5,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_MC = 18,
    VEC_XM = 19,
};

/*
 * The hidden part of a segment register. `access` has the layout of the descriptor's second dword shifted
 * right by 8 (SDM 3A 3.4.5), that is
 *
 *   16 unusable (null selector) | 15 G | 14 D/B | 13 L | 12 AVL | 11-8 zero | 7 P | 6-5 DPL | 4 S | 3-0 type
 *
 * limit is in bytes with granularity applied: the last valid offset (expand-down: the last invalid one).
 */
struct segment {
    u32 base;
    u32 limit;
    u32 access;
    u16 selector;
    u16 comparable; /* the descriptor was loaded from the GDT: */
    u64 raw; /* its bytes there; while the GDT holds them, loading the selector again changes nothing */
};

enum seg_access {
    AR_ACCESSED = 1 << 0,
    AR_WRITABLE = 1 << 1 /* data */,
    AR_READABLE = 1 << 1 /* code */,
    AR_EXPAND_DOWN = 1 << 2 /* data */,
    AR_CONFORMING = 1 << 2 /* code */,
    AR_CODE = 1 << 3,
    AR_S = 1 << 4,
    AR_DPL = 3 << 5,
    AR_P = 1 << 7,
    AR_AVL = 1 << 12,
    AR_L = 1 << 13,
    AR_DB = 1 << 14,
    AR_G = 1 << 15,
    AR_UNUSABLE = 1 << 16,
};
#define AR_DPL_SHIFT    5
#define AR_TYPE(access) ((access)&15)

struct desc_table {
    u64 base;
    u16 limit;
};

/* A guest exception on its way to delivery. */
struct fault {
    u8 vector;
    bool has_error;
    u32 error;
};

/* XCR0 and the bitmaps of XSAVE areas: components of the extended state (SDM 1 13.1). */
enum xcr0 {
    XCR0_X87 = 1 << 0,
    XCR0_SSE = 1 << 1,
    XCR0_AVX = 1 << 2,
    XCR0_OPMASK = 1 << 5, /* K0 to K7 */
    XCR0_ZMM = 1 << 6,    /* bits 511 to 256 of ZMM0 to ZMM15 */
    XCR0_ZMM16 = 1 << 7,  /* ZMM16 to ZMM31 */
    XCR0_AVX512 = XCR0_OPMASK | XCR0_ZMM | XCR0_ZMM16,
};

/* IA32_APIC_BASE, bits below the base */
enum { APIC_BASE_BSP = 1 << 8, APIC_BASE_ENABLED = 1 << 11 };

/* IA32_MISC_ENABLE (SDM 4, table 2-2) */
enum { MISC_FAST_STRINGS = 1 << 0, MISC_LIMIT_CPUID = 1 << 22 };
#define MISC_XD_DISABLE (1ull << 34)
#define MISC_READ_ONLY  (3ull << 11) /* no branch trace storage, no precise event-based sampling */

#endif
