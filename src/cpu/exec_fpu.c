/*
 * The x87, MMX and SSE instructions that are not simply executed on the host: loads and stores of whole states
 * and of MXCSR, and masked stores. fpu_state.c tells about instruction and operand pointers.
 */
#include "exec.h"
#include "interp_private.h"

void exec_fp(struct vcpu *v, const struct insn *i)
{
    thunk_execute(v, i);
}
void exec_simd(struct vcpu *v, const struct insn *i)
{
    thunk_execute(v, i);
}

/* Pending exceptions have been raised before. */
void exec_fwait(struct vcpu *v, const struct insn *i) {}

/* FNINIT and FNCLEX clear the exceptions, which takes FERR# down. */
void exec_fp_clear(struct vcpu *v, const struct insn *i)
{
    thunk_execute(v, i);
    if ((v->paging.cr0 & CR0_NE) || !v->host->ferr) return;
    fpu_park(v);
    v->host->ferr(v->host->machine, false);
}

/* --- environments: FCW, FSW, FTW and four pointers, as words or dwords (SDM 1 8.1.10) --- */

/* The environment as the host's 64-bit mode stores it, in the format of 32-bit protected mode. Behind it are the
 * eight registers of FNSAVE. */
struct environment {
    u32 fcw, fsw, ftw, pointers[4];
    u8 st[80];
};
enum { ENVIRONMENT_BYTES = 28, ENVIRONMENT16_BYTES = 14, ST_BYTES = 80 };
_Static_assert(offsetof(struct environment, st) == ENVIRONMENT_BYTES, "the hardware's layout");

static unsigned environment_bytes(const struct insn *i)
{
    return i->operand_bytes == 2 ? ENVIRONMENT16_BYTES : ENVIRONMENT_BYTES;
}

/* Convert to the guest's format: pointers are 0, reserved halves are ones. Returns the bytes of the result. */
static unsigned pack_environment(const struct insn *i, const struct environment *e, u8 *image, bool registers)
{
    unsigned bytes = environment_bytes(i), unit = bytes / 7;
    const u32 fields[7] = {e->fcw | 0xffff0000, e->fsw | 0xffff0000, e->ftw | 0xffff0000, 0, 0, 0,
                           0xffff0000};
    for (unsigned n = 0; n < bytes; n++)
        image[n] = fields[n / unit] >> (8 * (n % unit));
    if (!registers) return bytes;
    for (unsigned n = 0; n < ST_BYTES; n++)
        image[bytes + n] = e->st[n];
    return bytes + ST_BYTES;
}

static void unpack_environment(const struct insn *i, const u8 *image, struct environment *e, bool registers)
{
    unsigned bytes = environment_bytes(i), unit = bytes / 7;
    e->fcw = image[0] | image[1] << 8;
    e->fsw = image[unit] | image[unit + 1] << 8;
    e->ftw = image[2 * unit] | image[2 * unit + 1] << 8;
    for (unsigned n = 0; n < ARRAY_SIZE(e->pointers); n++)
        e->pointers[n] = 0;
    for (unsigned n = 0; n < ST_BYTES && registers; n++)
        e->st[n] = image[bytes + n];
}

void exec_fnstenv(struct vcpu *v, const struct insn *i)
{
    struct environment e;
    u8 image[ENVIRONMENT_BYTES];
    u64 address = exec_address(v, i);
    mem_probe_write(v, i->mem_seg, address, environment_bytes(i));
    fpu_environment(v, FPU_FNSTENV, &e);
    unsigned bytes = pack_environment(i, &e, image, false);
    mem_write_bytes(v, i->mem_seg, address, image, bytes);
}

void exec_fldenv(struct vcpu *v, const struct insn *i)
{
    struct environment e;
    u8 image[ENVIRONMENT_BYTES];
    mem_read_bytes(v, i->mem_seg, exec_address(v, i), image, environment_bytes(i));
    unpack_environment(i, image, &e, false);
    fpu_environment(v, FPU_FLDENV, &e);
}

void exec_fnsave(struct vcpu *v, const struct insn *i)
{
    struct environment e;
    u8 image[ENVIRONMENT_BYTES + ST_BYTES];
    u64 address = exec_address(v, i);
    mem_probe_write(v, i->mem_seg, address, environment_bytes(i) + ST_BYTES);
    fpu_environment(v, FPU_FNSAVE, &e);
    unsigned bytes = pack_environment(i, &e, image, true);
    mem_write_bytes(v, i->mem_seg, address, image, bytes);
}

void exec_frstor(struct vcpu *v, const struct insn *i)
{
    struct environment e;
    u8 image[ENVIRONMENT_BYTES + ST_BYTES];
    mem_read_bytes(v, i->mem_seg, exec_address(v, i), image, environment_bytes(i) + ST_BYTES);
    unpack_environment(i, image, &e, true);
    fpu_environment(v, FPU_FRSTOR, &e);
}

/* --- FXSAVE, FXRSTOR --- */

/* AMD's CPUs look at the first byte's canonical form before the alignment, and at the last byte's after it. */
static u64 fxsave_address(struct vcpu *v, const struct insn *i, bool write)
{
    u64 address = exec_address(v, i);
    if (v->mode & MODE_CODE64) mem_linear(v, i->mem_seg, address, 1, write);
    mem_check_aligned(v, i->mem_seg, address, FX_BYTES, 16, write);
    return address;
}

static void put32(u8 *image, u32 value)
{
    *(u32 *)image = value;
}

/* Copies quadwords, because the guest's kernel does this at every switch of processes and for signals. */
static void copy_quads(u8 *to, const u8 *from, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n += 8)
        *(u64 *)(to + n) = *(const u64 *)(from + n);
}

/* In 64-bit mode the image has XMM8 to XMM15 too (SDM 1 10.5.1.2). */
static unsigned fxsave_end(const struct vcpu *v)
{
    return v->mode & MODE_CODE64 ? FX_XMM_END64 : FX_XMM_END;
}

void fxsave_tidy(u8 *image)
{
    image[FX_FTW + 1] = image[FX_FOP] = image[FX_FOP + 1] = 0;
    *(u64 *)(image + FX_FIP) = *(u64 *)(image + FX_FDP) = 0;
    put32(image + FX_MXCSR_MASK, MXCSR_MASK);
    for (unsigned st = FX_ST; st < FX_XMM; st += 16)
        *(u64 *)(image + st + 8) &= 0xffff;
}

/* The image behind the last XMM register is not written. A state in the host's registers stays there. */
void exec_fxsave(struct vcpu *v, const struct insn *i)
{
    _Alignas(8) u8 image[FX_XMM_END64];
    unsigned end = fxsave_end(v);
    u64 address = fxsave_address(v, i, true);
    fpu_snapshot(v);
    copy_quads(image, v->fpu, end); /* a store to a device may park the state, which overwrites v->fpu */
    fxsave_tidy(image);
    mem_write_bytes(v, i->mem_seg, address, image, end);
}

/* Loads MXCSR and the XMM registers only if the kernel has set CR4.OSFXSR. Otherwise they keep their values. */
void exec_fxrstor(struct vcpu *v, const struct insn *i)
{
    _Alignas(8) u8 image[FX_BYTES];
    u64 address = fxsave_address(v, i, false);
    mem_read_bytes(v, i->mem_seg, address, image, FX_BYTES);
    if (*(u32 *)(image + FX_MXCSR) & ~MXCSR_MASK) fault_raise_error(v, VEC_GP, 0);
    bool sse = v->paging.cr4 & CR4_OSFXSR;
    if (!sse || v->fpu_ymm || fxsave_end(v) != FX_XMM_END64) fpu_snapshot(v); /* what is not loaded stays */
    for (unsigned n = FX_FCW; n <= FX_FTW; n++)
        v->fpu[n] = image[n];
    if (sse) put32(v->fpu + FX_MXCSR, *(u32 *)(image + FX_MXCSR));
    copy_quads(v->fpu + FX_ST, image + FX_ST, (sse ? fxsave_end(v) : FX_XMM) - FX_ST);
    fpu_image_loaded(v);
}

/* --- MXCSR --- */

void exec_ldmxcsr(struct vcpu *v, const struct insn *i)
{
    u32 mxcsr = (u32)exec_read(v, i, 0);
    if (mxcsr & ~MXCSR_MASK) fault_raise_error(v, VEC_GP, 0);
    fpu_set_mxcsr(v, mxcsr);
}

void exec_stmxcsr(struct vcpu *v, const struct insn *i)
{
    exec_write(v, i, 0, fpu_mxcsr(v));
}

/* --- MASKMOVQ, MASKMOVDQU: to [E]DI, the bytes with a negative mask byte --- */

/* A register's bytes in the FXSAVE image. The image has the x87 registers by their distance from the top of the
 * stack. MMX registers are the physical registers. */
static const u8 *register_bytes(const struct vcpu *v, const struct operand *o)
{
    unsigned top = v->fpu[FX_FSW + 1] >> 3 & 7;
    if (o->reg_class == RC_MMX) return v->fpu + FX_ST + 16 * ((o->reg - top) & 7);
    return v->fpu + FX_XMM + 16 * o->reg;
}

void exec_maskmov(struct vcpu *v, const struct insn *i)
{
    bool mmx = i->op[0].reg_class == RC_MMX;
    unsigned bytes = i->op[0].bytes, from = bytes, to = 0;
    u64 address = v->gpr[REG_EDI];
    fpu_park(v);
    const u8 *data = register_bytes(v, &i->op[0]), *masks = register_bytes(v, &i->op[1]);
    for (unsigned n = 0; n < bytes; n++) {
        if (!(masks[n] & 0x80)) continue;
        if (from == bytes) from = n;
        to = n + 1;
    }
    for (unsigned n = from; n < to; n++)
        if (masks[n] & 0x80) mem_probe_write(v, i->mem_seg, exec_mask_address(i, address + n), 1);
    for (unsigned n = from; n < to; n++)
        if (masks[n] & 0x80) mem_write(v, i->mem_seg, exec_mask_address(i, address + n), 1, data[n]);
    if (mmx) fpu_enter_mmx(v);
}
