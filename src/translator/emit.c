#include "emit.h"

void emit_window_prefixes(struct emitter *e, const struct host_mem *mem)
{
    if (mem->window != WINDOW_32) return;
    emit8(e, HOST_GS);
    emit8(e, HOST_ADDRESS32);
}

void emit_rex(struct emitter *e, bool wide, u8 reg, const struct host_mem *mem, u8 rm, bool force)
{
    u8 rex = (u8)(wide << 3 | (reg >= 8) << 2);
    if (mem) {
        if (mem->index != HOST_NONE) rex |= (u8)((mem->index >= 8) << 1);
        if (mem->base != HOST_NONE) rex |= mem->base >= 8;
    } else {
        rex |= rm >= 8;
    }
    if (rex || force) emit8(e, HOST_REX | rex);
}

static u8 sib(u8 scale, u8 index, u8 base)
{
    u8 log = scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
    return (u8)(log << 6 | (index & 7) << 3 | (base & 7));
}

void emit_modrm_mem(struct emitter *e, u8 reg, const struct host_mem *mem)
{
    u8 field = (u8)((reg & 7) << 3);
    bool indexed = mem->index != HOST_NONE;
    if (mem->base == HOST_NONE) {
        /* mod 00 rm 101 is RIP-relative in 64-bit code (SDM 2A 2.2.1.6), so use SIB without a base. */
        emit8(e, field | 4);
        emit8(e, sib(mem->scale, indexed ? mem->index : 4, 5));
        emit32(e, (u32)mem->disp);
        return;
    }
    u8 low = mem->base & 7;
    /* A base of rBP or r13 needs a displacement. */
    u8 mod = mem->disp32 ? 2 : mem->disp == 0 && low != 5 ? 0 : mem->disp == (s8)mem->disp ? 1 : 2;
    if (indexed || low == 4) {
        emit8(e, (u8)(mod << 6) | field | 4);
        emit8(e, sib(mem->scale, indexed ? mem->index : 4, mem->base));
    } else {
        emit8(e, (u8)(mod << 6) | field | low);
    }
    if (mod == 1) emit8(e, (u8)mem->disp);
    if (mod == 2) emit32(e, (u32)mem->disp);
}

void emit_rm(struct emitter *e, bool wide, u8 opcode, u8 reg, struct host_mem mem)
{
    emit_window_prefixes(e, &mem);
    emit_rex(e, wide, reg, &mem, 0, false);
    emit8(e, opcode);
    emit_modrm_mem(e, reg, &mem);
}

void emit_rr(struct emitter *e, bool wide, u8 opcode, u8 reg, u8 rm)
{
    emit_rex(e, wide, reg, NULL, rm, false);
    emit8(e, opcode);
    emit8(e, (u8)(0xc0 | (reg & 7) << 3 | (rm & 7)));
}

void emit_rm_prefixed(struct emitter *e, u8 prefix, u8 opcode, u8 reg, struct host_mem mem)
{
    emit_window_prefixes(e, &mem);
    if (prefix) emit8(e, prefix);
    emit_rex(e, false, reg, &mem, 0, false);
    emit8(e, opcode);
    emit_modrm_mem(e, reg, &mem);
}

void emit_rm_0f(struct emitter *e, u8 prefix, bool wide, u8 opcode, u8 reg, struct host_mem mem)
{
    emit_window_prefixes(e, &mem);
    if (prefix) emit8(e, prefix);
    emit_rex(e, wide, reg, &mem, 0, false);
    emit8(e, HOST_ESCAPE);
    emit8(e, opcode);
    emit_modrm_mem(e, reg, &mem);
}

void emit_rr_0f(struct emitter *e, bool wide, u8 opcode, u8 reg, u8 rm)
{
    emit_rex(e, wide, reg, NULL, rm, false);
    emit8(e, HOST_ESCAPE);
    emit8(e, opcode);
    emit8(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void emit_mov_ri(struct emitter *e, u8 reg, u32 value)
{
    emit_rex(e, false, 0, NULL, reg, false);
    emit8(e, 0xb8 | (reg & 7));
    emit32(e, value);
}

static void emit64(struct emitter *e, u64 value)
{
    emit32(e, (u32)value);
    emit32(e, (u32)(value >> 32));
}

u32 emit_mov_patched64(struct emitter *e, u8 reg, u64 value)
{
    emit_rex(e, true, 0, NULL, reg, false);
    emit8(e, 0xb8 | (reg & 7));
    emit64(e, value);
    return e->at - 8;
}

void emit_mov_ri64(struct emitter *e, u8 reg, u64 value)
{
    if (value <= UINT32_MAX) {
        emit_mov_ri(e, reg, (u32)value);
    } else if (value == (u64)(s64)(s32)value) {
        emit_rr(e, true, 0xc7, 0, reg);
        emit32(e, (u32)value);
    } else {
        emit_mov_patched64(e, reg, value);
    }
}

void emit_mov_mi64(struct emitter *e, struct host_mem mem, u32 value)
{
    emit_rm(e, true, 0xc7, 0, mem);
    emit32(e, value);
}

void emit_cmp_mi64(struct emitter *e, struct host_mem mem, u32 value)
{
    emit_rm(e, true, 0x81, ALU_CMP, mem);
    emit32(e, value);
}

void emit_mov_mi(struct emitter *e, struct host_mem mem, u32 value)
{
    emit_rm(e, false, 0xc7, 0, mem);
    emit32(e, value);
}

static void emit_imm(struct emitter *e, bool small, s32 value)
{
    if (small)
        emit8(e, (u8)value);
    else
        emit32(e, (u32)value);
}

void emit_alu_ri(struct emitter *e, bool wide, enum alu_op op, u8 reg, s32 value)
{
    bool small = value == (s8)value;
    emit_rr(e, wide, small ? 0x83 : 0x81, op, reg);
    emit_imm(e, small, value);
}

void emit_alu_mi(struct emitter *e, enum alu_op op, struct host_mem mem, s32 value)
{
    bool small = value == (s8)value;
    emit_rm(e, false, small ? 0x83 : 0x81, op, mem);
    emit_imm(e, small, value);
}

void emit_alu_rr(struct emitter *e, bool wide, enum alu_op op, u8 to, u8 from)
{
    emit_rr(e, wide, (u8)(op << 3 | 1), from, to);
}

void emit_alu_rm(struct emitter *e, bool wide, enum alu_op op, u8 to, struct host_mem from)
{
    emit_rm(e, wide, (u8)(op << 3 | 3), to, from);
}

void emit_alu_mr(struct emitter *e, bool wide, enum alu_op op, struct host_mem to, u8 from)
{
    emit_rm(e, wide, (u8)(op << 3 | 1), from, to);
}

void emit_test_rr(struct emitter *e, bool wide, u8 reg)
{
    emit_rr(e, wide, 0x85, reg, reg);
}

void emit_test_mi(struct emitter *e, struct host_mem mem, u32 value)
{
    emit_rm(e, false, 0xf7, 0, mem);
    emit32(e, value);
}

void emit_cmp_ri32(struct emitter *e, u8 reg, u32 value)
{
    emit_rr(e, false, 0x81, ALU_CMP, reg);
    emit32(e, value);
}

void emit_cmp_mi32_begin(struct emitter *e, struct host_mem mem)
{
    emit_rm(e, false, 0x81, ALU_CMP, mem);
}

struct cmp_fields emit_cmp_patched(struct emitter *e, u8 base)
{
    assert((base & 7) != RSP);
    emit_rex(e, false, 0, NULL, base, false);
    emit8(e, 0x81);
    emit8(e, (u8)(0x80 | ALU_CMP << 3 | (base & 7)));
    emit32(e, 0);
    emit32(e, 0);
    return (struct cmp_fields){.disp = e->at - 8, .imm = e->at - 4};
}

void emit_sub64_mi8(struct emitter *e, struct host_mem mem, u8 value)
{
    emit_rm(e, true, 0x83, ALU_SUB, mem);
    emit8(e, value);
}

void emit_inc64(struct emitter *e, struct host_mem mem)
{
    emit_rm(e, true, 0xff, 0, mem);
}

void emit_not64(struct emitter *e, u8 reg)
{
    emit_rr(e, true, 0xf7, 2, reg);
}

void emit_ud2(struct emitter *e)
{
    emit8(e, HOST_ESCAPE);
    emit8(e, 0x0b);
}

void emit_xchg64(struct emitter *e, u8 reg, u8 rm)
{
    emit_rr(e, true, 0x87, reg, rm);
}

void emit_xchg_high(struct emitter *e, u8 reg)
{
    assert(reg < 4);
    emit_rr(e, false, 0x86, reg + 4, reg);
}

u32 emit_lea32_disp32(struct emitter *e, u8 to, u8 base)
{
    assert(to < 8 && base < 8 && base != RSP);
    emit8(e, 0x8d);
    emit8(e, (u8)(0x80 | to << 3 | base));
    emit32(e, 0);
    return e->at - 4;
}

void emit_lea64_rip(struct emitter *e, u8 to, u32 target)
{
    emit_rex(e, true, to, NULL, 0, false);
    emit8(e, 0x8d);
    emit8(e, (u8)((to & 7) << 3 | 5));
    emit32(e, target - (e->at + 4));
}

void emit_push64(struct emitter *e, u8 reg)
{
    emit_rex(e, false, 0, NULL, reg, false);
    emit8(e, 0x50 | (reg & 7));
}

u32 emit_call_rel(struct emitter *e)
{
    emit8(e, 0xe8);
    emit32(e, 0);
    return e->at - 4;
}

void emit_go_mem(struct emitter *e, bool call, struct host_mem mem)
{
    emit_rm(e, false, 0xff, call ? 2 : 4, mem);
}

void emit_ret_near(struct emitter *e)
{
    emit8(e, 0xc3);
}

void emit_host_rdtsc(struct emitter *e)
{
    emit8(e, HOST_ESCAPE);
    emit8(e, 0x31);
}

void emit_host_ldmxcsr(struct emitter *e, struct host_mem mem)
{
    emit_rm_0f(e, 0, false, 0xae, 2, mem);
}

void emit_host_repeat(struct emitter *e, bool while_differing, unsigned size, u8 opcode)
{
    emit8(e, while_differing ? HOST_REPNE : HOST_REP);
    if (size == 2) emit8(e, HOST_OPERAND16);
    emit_rex(e, size == 8, 0, NULL, 0, false);
    emit8(e, opcode);
}

void emit_shift_ri(struct emitter *e, bool wide, enum shift_op op, u8 reg, u8 count)
{
    emit_rr(e, wide, 0xc1, op, reg);
    emit8(e, count);
}

/* VEX.LZ.F2.W1 between registers (SDM 2A 2.3.5). */
static void emit_vex_rr(struct emitter *e, u8 map, u8 opcode, u8 reg, u8 vvvv, u8 rm)
{
    emit8(e, HOST_VEX3);
    emit8(e, (u8)((reg >= 8 ? 0 : 0x80) | 0x40 | (rm >= 8 ? 0 : 0x20) | map));
    emit8(e, (u8)(VEX_WIDE | (~vvvv & 15) << 3 | VEX_REPNE));
    emit8(e, opcode);
    emit8(e, (u8)(0xc0 | (reg & 7) << 3 | (rm & 7)));
}

void emit_shrx(struct emitter *e, u8 to, u8 from, u8 count)
{
    emit_vex_rr(e, VEX_MAP_38, 0xf7, to, count, from);
}

void emit_rorx(struct emitter *e, u8 to, u8 from, u8 count)
{
    emit_vex_rr(e, VEX_MAP_3A, 0xf0, to, 0, from);
    emit8(e, count);
}

void emit_neg64(struct emitter *e, u8 reg)
{
    emit_rr(e, true, 0xf7, 3, reg);
}

void emit_load8(struct emitter *e, u8 to, struct host_mem mem)
{
    emit_rm_0f(e, 0, false, 0xb6, to, mem);
}

void emit_movsxd(struct emitter *e, u8 to, u8 from)
{
    emit_rr(e, true, 0x63, to, from);
}

void emit_movzx16(struct emitter *e, u8 to, u8 from)
{
    emit_rr_0f(e, false, 0xb7, to, from);
}

void emit_load16(struct emitter *e, u8 to, struct host_mem mem)
{
    emit_rm_0f(e, 0, false, 0xb7, to, mem);
}

void emit_store16(struct emitter *e, struct host_mem mem, u8 from)
{
    emit_rm_prefixed(e, HOST_OPERAND16, 0x89, from, mem);
}

void emit_mov_rr16(struct emitter *e, u8 to, u8 from)
{
    emit8(e, HOST_OPERAND16);
    emit_rr(e, false, 0x89, from, to);
}

void emit_lea16(struct emitter *e, u8 to, struct host_mem mem)
{
    emit_rm_prefixed(e, HOST_OPERAND16, 0x8d, to, mem);
}

void emit_test_r8i(struct emitter *e, u8 reg, u8 value)
{
    emit_rex(e, false, 0, NULL, reg, true);
    emit8(e, 0xf6);
    emit8(e, 0xc0 | (reg & 7));
    emit8(e, value);
}

void emit_test_ri(struct emitter *e, u8 reg, u32 value)
{
    emit_rr(e, false, 0xf7, 0, reg);
    emit32(e, value);
}

void emit_cmp_m8_zero(struct emitter *e, struct host_mem mem)
{
    emit_rm(e, false, 0x80, 7, mem);
    emit8(e, 0);
}

u32 emit_jcc(struct emitter *e, u8 cc)
{
    emit8(e, HOST_ESCAPE);
    emit8(e, 0x80 | cc);
    emit32(e, 0);
    return e->at - 4;
}

u32 emit_jmp(struct emitter *e)
{
    emit8(e, 0xe9);
    emit32(e, 0);
    return e->at - 4;
}

u32 emit_jrcxz(struct emitter *e)
{
    emit8(e, 0xe3);
    emit8(e, 0);
    return e->at - 1;
}

void emit_fix32(struct emitter *e, u32 field, u32 target)
{
    u32 rel = target - (field + 4);
    for (unsigned n = 0; n < 4; n++)
        e->base[field + n] = (u8)(rel >> (8 * n));
}

void emit_fix8(struct emitter *e, u32 field, u32 target)
{
    s32 rel = (s32)(target - (field + 1));
    assert(rel == (s8)rel);
    e->base[field] = (u8)rel;
}

void emit_jmp_to(struct emitter *e, u32 target)
{
    u32 field = emit_jmp(e);
    emit_fix32(e, field, target);
}

void emit_call_thunk(struct emitter *e, unsigned thunk)
{
    emit_go_mem(e, true, mem_frame(FRAME_THUNK + 8 * (s32)thunk));
}

void emit_jmp_thunk(struct emitter *e, unsigned thunk)
{
    emit_go_mem(e, false, mem_frame(FRAME_THUNK + 8 * (s32)thunk));
}

void emit_park_flags(struct emitter *e)
{
    emit_mov_rr64(e, REG_PARKED, RAX);
    emit8(e, 0x9f);        /* lahf */
    emit8(e, HOST_ESCAPE); /* seto al */
    emit8(e, 0x90);
    emit8(e, 0xc0);
    emit_xchg64(e, REG_PARKED, RAX);
}

void emit_unpark_flags(struct emitter *e)
{
    emit_xchg64(e, REG_PARKED, RAX);
    emit8(e, 0x04); /* add al, 7Fh: restores OF */
    emit8(e, 0x7f);
    emit8(e, 0x9e); /* sahf: restores the others */
    emit_mov_rr64(e, RAX, REG_PARKED);
}
