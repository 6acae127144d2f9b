/*
 * Host instructions, byte by byte: the few forms that glue code needs. Each function appends one instruction.
 * Register operands are host register numbers. Names give the form in the manual's letters (SDM 2: r = register,
 * m = memory, i = immediate). Code here knows nothing of the guest.
 */
#ifndef RINGER_TRANSLATOR_EMIT_H
#define RINGER_TRANSLATOR_EMIT_H

#include "base/types.h"
#include "frame.h"

#include <assert.h>

enum host_reg {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    HOST_NONE = 0xff,
};

/* The use of each register: see frame.h. */
enum {
    GUEST_ESP = R8,
    REG_LINEAR = R9,
    REG_ENTRY = R10,
    REG_TEMP = R11,
    REG_PARKED = R12,
    REG_HOISTED = R13,
    REG_TABLES = R14,
    REG_FRAME = R15
};

struct emitter {
    u8 *base; /* the arena's writable mapping */
    u32 at;   /* offset of the next byte */
    u32 end;  /* limit of `at`; cache_room() has promised the bytes before it */
};

/* Where a host memory operand is, if not at the sum of its parts. An access to a window may raise a host page fault. */
enum window_kind {
    WINDOW_NONE, /* in no window */
    WINDOW_32,   /* relative to GS, the sum being cut to 32 bits */
    WINDOW_LONG, /* of 64-bit code: at the sum */
};

/* A host memory operand: base + index * scale + disp. Base and index may be HOST_NONE. */
struct host_mem {
    u8 base, index, scale;
    u8 window;   /* enum window_kind */
    bool disp32; /* the displacement has 4 bytes whatever its value, because a copy changes it (relocate.c) */
    s32 disp;
};

static inline struct host_mem mem_bd(u8 base, s32 disp)
{
    return (struct host_mem){.base = base, .index = HOST_NONE, .scale = 1, .disp = disp};
}

static inline struct host_mem mem_frame(s32 offset)
{
    return mem_bd(REG_FRAME, offset);
}

static inline struct host_mem mem_bis(u8 base, u8 index, u8 scale)
{
    return (struct host_mem){.base = base, .index = index, .scale = scale};
}

static inline void emit8(struct emitter *e, u8 byte)
{
    assert(e->at < e->end);
    e->base[e->at++] = byte;
}

static inline void emit32(struct emitter *e, u32 v)
{
    for (unsigned n = 0; n < 4; n++)
        emit8(e, (u8)(v >> (8 * n)));
}

/* The prefixes of an access to a window. They precede REX and the opcode. */
void emit_window_prefixes(struct emitter *e, const struct host_mem *mem);
/* The REX prefix of a ModRM form, if any bit of it is set. `force`: in any case, for byte registers SPL to DIL. */
void emit_rex(struct emitter *e, bool wide, u8 reg, const struct host_mem *mem, u8 rm, bool force);
/* ModRM, SIB and displacement of a memory operand. `reg` may be an opcode extension. */
void emit_modrm_mem(struct emitter *e, u8 reg, const struct host_mem *mem);

/* Prefixes (SDM 2A 2.1.1, 2.3.5) and the first bytes of longer opcodes (SDM 2D A.2.4). */
enum host_byte {
    HOST_ESCAPE = 0x0f, /* opcodes of two bytes; with one of the next two, of three */
    HOST_ESCAPE_38 = 0x38,
    HOST_ESCAPE_3A = 0x3a,
    HOST_REX = 0x40,
    HOST_GS = 0x65,
    HOST_OPERAND16 = 0x66,
    HOST_ADDRESS32 = 0x67,
    HOST_VEX3 = 0xc4, /* VEX of three bytes; some values of its fields follow */
    VEX_MAP_38 = 0x02,
    VEX_MAP_3A = 0x03,
    VEX_WIDE = 0x80,
    VEX_REPNE = 0x03,
    HOST_LOCK = 0xf0,
    HOST_REPNE = 0xf2,
    HOST_REP = 0xf3,
};

/* op reg, mem or op mem, reg, with an opcode of one byte. wide: 64-bit. */
void emit_rm(struct emitter *e, bool wide, u8 opcode, u8 reg, struct host_mem mem);
/* op between registers; `rm` is the ModRM.rm side. */
void emit_rr(struct emitter *e, bool wide, u8 opcode, u8 reg, u8 rm);
/* The same with 32 bits and a prefix (0: none); _0f: opcodes of two bytes, this being the second. */
void emit_rm_prefixed(struct emitter *e, u8 prefix, u8 opcode, u8 reg, struct host_mem mem);
void emit_rm_0f(struct emitter *e, u8 prefix, bool wide, u8 opcode, u8 reg, struct host_mem mem);
void emit_rr_0f(struct emitter *e, bool wide, u8 opcode, u8 reg, u8 rm);

/* mov r32, imm32 */
void emit_mov_ri(struct emitter *e, u8 reg, u32 value);
/* mov r64, imm: the shortest form */
void emit_mov_ri64(struct emitter *e, u8 reg, u64 value);
/* cmp qword [mem], imm32; mov qword [mem], imm32: sign-extended */
void emit_cmp_mi64(struct emitter *e, struct host_mem mem, u32 value);
void emit_mov_mi64(struct emitter *e, struct host_mem mem, u32 value);
/* mov r64, imm64, always with eight bytes; the offset of the lower dword, for patching */
u32 emit_mov_patched64(struct emitter *e, u8 reg, u64 value);
/* cmp qword [base + disp32], reg */
/* mov dword [mem], imm32 */
void emit_mov_mi(struct emitter *e, struct host_mem mem, u32 value);
/* Their numbers in opcodes 00h-3Fh and in group 1 (SDM 2D table A-6). */
enum alu_op { ALU_ADD = 0, ALU_OR = 1, ALU_AND = 4, ALU_SUB = 5, ALU_XOR = 6, ALU_CMP = 7 };
/* Their numbers in group 2. */
enum shift_op { SHIFT_SHL = 4, SHIFT_SHR = 5, SHIFT_SAR = 7 };

/* op reg, reg; op reg, mem; op mem, reg. wide: 64-bit. */
void emit_alu_rr(struct emitter *e, bool wide, enum alu_op op, u8 to, u8 from);
void emit_alu_rm(struct emitter *e, bool wide, enum alu_op op, u8 to, struct host_mem from);
void emit_alu_mr(struct emitter *e, bool wide, enum alu_op op, struct host_mem to, u8 from);
/* op reg, imm and op dword [mem], imm, with an 8-bit immediate if the value fits. */
void emit_alu_ri(struct emitter *e, bool wide, enum alu_op op, u8 reg, s32 value);
void emit_alu_mi(struct emitter *e, enum alu_op op, struct host_mem mem, s32 value);
/* op reg, count */
void emit_shift_ri(struct emitter *e, bool wide, enum shift_op op, u8 reg, u8 count);
/* shrx r64, r64, r64: shift right by the low 6 bits of `count`. Changes no flags. The host must have BMI2. */
void emit_shrx(struct emitter *e, u8 to, u8 from, u8 count);
/* rorx r64, r64, count: rotate right. Changes no flags. The host must have BMI2. */
void emit_rorx(struct emitter *e, u8 to, u8 from, u8 count);
/* test reg, reg: is it zero? */
void emit_test_rr(struct emitter *e, bool wide, u8 reg);
/* test dword [mem], imm32 */
void emit_test_mi(struct emitter *e, struct host_mem mem, u32 value);
/* cmp r32, imm32, always with a 4-byte immediate; and cmp dword [mem], imm32 without the immediate, which the
 * caller emits. */
void emit_cmp_ri32(struct emitter *e, u8 reg, u32 value);
void emit_cmp_mi32_begin(struct emitter *e, struct host_mem mem);
/* cmp dword [base + disp32], imm32, both to be patched: their offsets. */
struct cmp_fields {
    u32 disp, imm;
};
struct cmp_fields emit_cmp_patched(struct emitter *e, u8 base);
/* sub qword [mem], imm8 and inc qword [mem] */
void emit_sub64_mi8(struct emitter *e, struct host_mem mem, u8 value);
void emit_inc64(struct emitter *e, struct host_mem mem);
/* xchg r64, r64 */
void emit_not64(struct emitter *e, u8 reg);
void emit_ud2(struct emitter *e);
void emit_xchg64(struct emitter *e, u8 reg, u8 rm);
/* xchg between the low and the high byte of RAX, RCX, RDX or RBX */
void emit_xchg_high(struct emitter *e, u8 reg);
/* lea r32, [base + disp32]; both are among the first eight registers. Returns the offset of the displacement. */
u32 emit_lea32_disp32(struct emitter *e, u8 to, u8 base);
/* lea r64, [rip + displacement of `target`] */
void emit_lea64_rip(struct emitter *e, u8 to, u32 target);
void emit_push64(struct emitter *e, u8 reg);
void emit_ret_near(struct emitter *e);
void emit_host_rdtsc(struct emitter *e);
void emit_host_ldmxcsr(struct emitter *e, struct host_mem mem);
/* A repeated string instruction: the byte form's or the wider form's opcode. */
void emit_host_repeat(struct emitter *e, bool while_differing, unsigned size, u8 opcode);
/* movsxd r64, r32 */
void emit_movsxd(struct emitter *e, u8 to, u8 from);
/* movzx r32, r16 and movzx r32, m8 */
void emit_movzx16(struct emitter *e, u8 to, u8 from);
void emit_load8(struct emitter *e, u8 to, struct host_mem mem);
/* neg r64 */
void emit_neg64(struct emitter *e, u8 reg);
/* test r8, imm8 for r8-r15 */
void emit_test_r8i(struct emitter *e, u8 reg, u8 value);

static inline void emit_mov_rr32(struct emitter *e, u8 to, u8 from)
{
    emit_rr(e, false, 0x89, from, to);
}
static inline void emit_mov_rr64(struct emitter *e, u8 to, u8 from)
{
    emit_rr(e, true, 0x89, from, to);
}
static inline void emit_load32(struct emitter *e, u8 to, struct host_mem mem)
{
    emit_rm(e, false, 0x8b, to, mem);
}
static inline void emit_load64(struct emitter *e, u8 to, struct host_mem mem)
{
    emit_rm(e, true, 0x8b, to, mem);
}
static inline void emit_store32(struct emitter *e, struct host_mem mem, u8 from)
{
    emit_rm(e, false, 0x89, from, mem);
}
static inline void emit_store64(struct emitter *e, struct host_mem mem, u8 from)
{
    emit_rm(e, true, 0x89, from, mem);
}
/* movzx r32, m16 and mov m16, r16 */
void emit_load16(struct emitter *e, u8 to, struct host_mem mem);
void emit_store16(struct emitter *e, struct host_mem mem, u8 from);
/* mov r16, r16 and lea r16, [mem]: the upper half stays. */
void emit_mov_rr16(struct emitter *e, u8 to, u8 from);
void emit_lea16(struct emitter *e, u8 to, struct host_mem mem);
static inline void emit_lea_sized(struct emitter *e, bool wide, u8 to, struct host_mem mem)
{
    emit_rm(e, wide, 0x8d, to, mem);
}
static inline void emit_load(struct emitter *e, bool wide, u8 to, struct host_mem mem)
{
    emit_rm(e, wide, 0x8b, to, mem);
}
static inline void emit_store(struct emitter *e, bool wide, struct host_mem mem, u8 from)
{
    emit_rm(e, wide, 0x89, from, mem);
}
static inline void emit_mov_rr(struct emitter *e, bool wide, u8 to, u8 from)
{
    emit_rr(e, wide, 0x89, from, to);
}
static inline void emit_lea32(struct emitter *e, u8 to, struct host_mem mem)
{
    emit_rm(e, false, 0x8d, to, mem);
}
static inline void emit_lea64(struct emitter *e, u8 to, struct host_mem mem)
{
    emit_rm(e, true, 0x8d, to, mem);
}

/* test r32, imm32 */
void emit_test_ri(struct emitter *e, u8 reg, u32 value);
/* cmp byte [mem], 0 */
void emit_cmp_m8_zero(struct emitter *e, struct host_mem mem);

/* Condition codes as in Jcc. */
enum { CC_B = 2, CC_AE = 3, CC_Z = 4, CC_NZ = 5, CC_A = 7 };

/* Jumps to a target that is not known yet. They return the offset of the displacement. */
u32 emit_jcc(struct emitter *e, u8 cc); /* rel32 */
u32 emit_jmp(struct emitter *e);        /* rel32 */
u32 emit_call_rel(struct emitter *e);   /* rel32 */
u32 emit_jrcxz(struct emitter *e);      /* rel8 */
void emit_fix32(struct emitter *e, u32 field, u32 target);
void emit_fix8(struct emitter *e, u32 field, u32 target);
static inline void emit_here32(struct emitter *e, u32 field)
{
    emit_fix32(e, field, e->at);
}
static inline void emit_here8(struct emitter *e, u32 field)
{
    emit_fix8(e, field, e->at);
}
void emit_jmp_to(struct emitter *e, u32 target); /* rel32 */

/* call or jmp through a pointer in memory */
void emit_go_mem(struct emitter *e, bool call, struct host_mem mem);
/* call or jmp through vcpu.scratch.thunk[n] */
void emit_call_thunk(struct emitter *e, unsigned thunk);
void emit_jmp_thunk(struct emitter *e, unsigned thunk);

/* Park the arithmetic flags in r12 (LAHF, SETO), and unpark them. All other registers are preserved. */
void emit_park_flags(struct emitter *e);
void emit_unpark_flags(struct emitter *e);

#endif
