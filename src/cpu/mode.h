/*
 * The mode key: the bits of processor state that the code of a block depends on. It is part of the block key.
 * vcpu_update_mode() keeps v->mode up to date.
 */
#ifndef RINGER_CPU_MODE_H
#define RINGER_CPU_MODE_H

#include "vcpu.h"

enum mode_bits {
    MODE_CPL = 3 << 0,
    MODE_CODE32 = 1 << 2,  /* CS.D */
    MODE_STACK32 = 1 << 3, /* SS.B; not in 64-bit mode, where it means nothing */
    /* With MODE_WINDOW, 64-bit mode: RSP lies in a segment that is LONG_HIGH (mmu/long_window.h). The translator sets it
     * when it enters translated code. */
    MODE_STACK_HIGH = MODE_STACK32,
    MODE_PE = 1 << 4,
    MODE_VM86 = 1 << 5,
    MODE_TS = 1 << 6,
    MODE_EM = 1 << 7,
    MODE_MP = 1 << 8,      /* with MODE_TS alone: it has no effect otherwise */
    MODE_AVX512 = MODE_MP, /* without MODE_TS: MODE_AVX, and XCR0 has AVX-512 */
    MODE_OSFXSR = 1 << 9,
    MODE_IOPL = 1 << 10,      /* CPL <= IOPL: CLI, STI, IN and OUT are allowed, and POPF changes IF */
    MODE_STEP = 1 << 11,      /* TF or an enabled breakpoint: the interpreter executes */
    MODE_ALIGN = 1 << 12,     /* CR0.AM, EFLAGS.AC and CPL 3: the interpreter executes */
    MODE_TSD = 1 << 13,       /* RDTSC is privileged (CR4.TSD and CPL > 0) */
    MODE_WINDOW = 1 << 14,    /* CPL 3 of a space with a window: no checks (mmu/window.h) */
    MODE_UNHOISTED = 1 << 15, /* in block keys only: no hoisted checks (translator/hoist.c) */
    MODE_LONG = 1 << 28,      /* EFER.LMA: IA-32e mode */
    MODE_CODE64 = 1 << 29,    /* 64-bit mode: EFER.LMA and CS.L */
    /* Protected mode, CR4.OSXSAVE and XCR0 with AVX: instructions with VEX use the YMM registers. */
    MODE_AVX = 1 << 30,
    /* With MODE_WINDOW, 64-bit mode: most addresses are LONG_SAME (mmu/long_window.h). */
    MODE_SAME = (int)(1u << 31),
    /* from here on two bits (enum mode_seg) for each segment register, in the order of enum seg */
    MODE_SEG_SHIFT = 16,
};

enum mode_seg {
    MODE_SEG_FLAT,  /* base 0, limit 4 GB, readable and writable (CS: readable code; never written through) */
    MODE_SEG_BASED, /* the same with a base */
    MODE_SEG_LIMITED, /* expand-up data, readable and writable (CS: readable), any base and limit */
    MODE_SEG_ODD,     /* null, read-only, expand-down, execute-only: the interpreter makes every access */
};

/* In 64-bit mode ES, CS, SS and DS are flat, and FS and GS are MODE_SEG_BASED, whatever their hidden parts say. */
static inline enum mode_seg mode_seg(u32 mode, enum seg seg)
{
    return (mode >> (MODE_SEG_SHIFT + 2 * seg)) & 3;
}

/* Code in a window: of 64-bit mode, with checks of segments, and of other modes, without checks. */
static inline bool mode_has_window64(u32 mode)
{
    return (mode & (MODE_WINDOW | MODE_CODE64)) == (MODE_WINDOW | MODE_CODE64);
}
static inline bool mode_has_window32(u32 mode)
{
    return (mode & (MODE_WINDOW | MODE_CODE64)) == MODE_WINDOW;
}

/* The width of the code that runs. */
static inline unsigned mode_code_size(u32 mode)
{
    return mode & MODE_CODE64 ? 2 : mode & MODE_CODE32 ? 1 : 0;
}
/* The instruction pointer wraps at 4 GB outside 64-bit mode. */
static inline u64 mode_mask_rip(u32 mode, u64 rip)
{
    return likely(!(mode & MODE_CODE64)) ? (u32)rip : rip;
}
/* The bits of RSP that a stack of this mode uses. */
static inline u64 vcpu_stack_mask(const struct vcpu *v)
{
    if (unlikely(v->mode & MODE_CODE64)) return UINT64_MAX;
    return vcpu_stack32(v) ? 0xffffffff : 0xffff;
}

#endif
