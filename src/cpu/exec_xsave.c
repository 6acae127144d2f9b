/*
 * The extended states: XSAVE, XSAVEOPT, XSAVEC, XRSTOR, XGETBV, XSETBV (SDM 1 chapter 13).
 *
 *     area  0    legacy region: an FXSAVE image          x87 (component 0), SSE (1), MXCSR
 *           512  XSTATE_BV: which components the area has
 *           520  XCOMP_BV: bit 63 and the components of the compacted format; standard format: 0
 *           528  reserved, 0
 *           576  the upper halves of the YMM registers (2), in either format, because no other component follows
 *
 * A component is in use unless all of it has the values of its initial configuration. CPUs may say "in use" of others
 * too; this one does not, so that the result does not depend on the engine. Instruction and operand pointers are 0, see
 * fpu_state.c.
 *
 * All reads, and all checks of writes, come before the first change.
 *
 * Kernels save and restore states at every switch of processes. The fast routines (fast_entry.h) do it for an area in
 * plain RAM; whatever would raise a fault they leave to the others.
 */
#include "cpuid.h"
#include "exec.h"
#include "fast_entry.h"
#include "interp_private.h"
#include "mmu/tlb.h"
#include "mode.h"

enum xsave_header { XSTATE_BV = 512, XCOMP_BV = 520, HEADER_RESERVED = 528, HEADER_END = 576 };
#define COMPACTED (1ull << 63)
enum { FCW_INITIAL = 0x37f, MXCSR_INITIAL = 0x1f80, AREA_ALIGNMENT = 64 };

static void check_enabled(struct vcpu *v)
{
    if (!(v->paging.cr4 & CR4_OSXSAVE)) fault_raise(v, VEC_UD);
}

/* The components that are asked for and enabled: RFBM in the manual. */
static u64 asked_for(const struct vcpu *v)
{
    return v->xcr0 & (v->gpr[REG_EDX] << 32 | (u32)v->gpr[REG_EAX]);
}

static u64 begin(struct vcpu *v, const struct insn *i, u64 *address)
{
    check_enabled(v);
    if (v->paging.cr0 & CR0_TS) fault_raise(v, VEC_NM);
    *address = exec_address(v, i);
    if (segment_linear(v, i->mem_seg, *address) & (AREA_ALIGNMENT - 1)) fault_raise_error(v, VEC_GP, 0);
    return asked_for(v);
}

static u64 quad(const u8 *image, unsigned at)
{
    return *(const u64 *)(image + at);
}

static bool is_zero(const u8 *image, unsigned from, unsigned end)
{
    for (unsigned at = from; at < end; at += 8)
        if (quad(image, at)) return false;
    return true;
}

static void copy_quads(u8 *to, const u8 *from, unsigned bytes)
{
    for (unsigned at = 0; at < bytes; at += 8)
        *(u64 *)(to + at) = quad(from, at);
}

/* A copy of the state, as the guest finds it. v->fpu itself is overwritten if an access to a device parks the state. */
static void take_image(struct vcpu *v, u8 *image)
{
    fpu_snapshot(v);
    copy_quads(image, v->fpu, FX_YMM_END64);
    fxsave_tidy(image);
}

/* The components of the image that are in use: XINUSE in the manual. Only IA-32e mode has more than eight registers. */
static u64 in_use(const struct vcpu *v, const u8 *image)
{
    const u64 control_mask = 0x000000ffffffffff; /* FCW, FSW and FTW */
    bool x87 = (quad(image, FX_FCW) & control_mask) != FCW_INITIAL;
    for (unsigned st = FX_ST; st < FX_XMM && !x87; st += 16)
        x87 = quad(image, st) || quad(image, st + 8);
    bool all = vcpu_long_mode(v);
    bool sse = !is_zero(image, FX_XMM, all ? FX_XMM_END64 : FX_XMM_END);
    bool avx = v->fpu_ymm && v->fpu_upper && !is_zero(image, FX_YMM, all ? FX_YMM_END64 : FX_YMM_END);
    return (x87 ? XCR0_X87 : 0) | (sse ? XCR0_SSE : 0) | (avx ? XCR0_AVX : 0);
}

/* --- the regions of an area --- */

/* Outside 64-bit mode the registers from the ninth on are neither stored nor loaded (SDM 1 13.5.2, 13.5.3). */
static unsigned xmm_end(const struct vcpu *v)
{
    return v->mode & MODE_CODE64 ? FX_XMM_END64 : FX_XMM_END;
}
static unsigned ymm_end(const struct vcpu *v)
{
    return v->mode & MODE_CODE64 ? FX_YMM_END64 : FX_YMM_END;
}

struct region {
    unsigned from, end;
};

/* At most this many regions hold the components and MXCSR. */
#define MOST_REGIONS 5

/* They follow each other by address. */
static unsigned regions_of(const struct vcpu *v, u64 components, bool mxcsr, struct region *regions)
{
    unsigned count = 0;
    if (components & XCR0_X87) regions[count++] = (struct region){FX_FCW, FX_MXCSR};
    if (mxcsr) regions[count++] = (struct region){FX_MXCSR, FX_ST};
    if (components & XCR0_X87) regions[count++] = (struct region){FX_ST, FX_XMM};
    if (components & XCR0_SSE) regions[count++] = (struct region){FX_XMM, xmm_end(v)};
    if (components & XCR0_AVX) regions[count++] = (struct region){FX_YMM, ymm_end(v)};
    return count;
}

/* --- saving --- */

static void store(struct vcpu *v, const struct insn *i, u64 address, const u8 *image, u64 components,
                  bool mxcsr)
{
    struct region regions[MOST_REGIONS];
    unsigned count = regions_of(v, components, mxcsr, regions);
    for (unsigned n = 0; n < count; n++) {
        const struct region *r = &regions[n];
        mem_write_bytes(v, i->mem_seg, exec_mask_address(i, address + r->from), image + r->from,
                        r->end - r->from);
    }
}

static void probe(struct vcpu *v, const struct insn *i, u64 address, u64 components, bool mxcsr,
                  unsigned header)
{
    struct region regions[MOST_REGIONS];
    unsigned count = regions_of(v, components, mxcsr, regions);
    for (unsigned n = 0; n < count; n++) {
        const struct region *r = &regions[n];
        if (r->from == FX_YMM) break;
        mem_probe_write(v, i->mem_seg, exec_mask_address(i, address + r->from), r->end - r->from);
    }
    mem_probe_write(v, i->mem_seg, exec_mask_address(i, address + XSTATE_BV), header);
    if (components & XCR0_AVX)
        mem_probe_write(v, i->mem_seg, exec_mask_address(i, address + FX_YMM), ymm_end(v) - FX_YMM);
}

static void save_standard(struct vcpu *v, const struct insn *i, bool optimizes)
{
    u64 address, asked = begin(v, i, &address);
    bool mxcsr = asked & (XCR0_SSE | XCR0_AVX);
    _Alignas(8) u8 image[FX_YMM_END64];
    take_image(v, image);
    u64 used = in_use(v, image), stored = optimizes ? asked & used : asked;
    u64 header = exec_mask_address(i, address + XSTATE_BV);
    probe(v, i, address, stored, mxcsr, sizeof(u64));
    u64 has = (mem_read(v, i->mem_seg, header, sizeof(u64)) & ~asked) | (used & asked);
    store(v, i, address, image, stored, mxcsr);
    mem_write(v, i->mem_seg, header, sizeof(u64), has);
}

void exec_xsave(struct vcpu *v, const struct insn *i)
{
    save_standard(v, i, false);
}

/* Does not store components that are not in use. */
void exec_xsaveopt(struct vcpu *v, const struct insn *i)
{
    save_standard(v, i, true);
}

/* What XSAVEC stores. MXCSR belongs to the SSE component, which is stored too if only MXCSR is other than initial (SDM
 * 1 13.10). */
static u64 compacted(const struct vcpu *v, const u8 *image, u64 asked)
{
    u64 stored = asked & in_use(v, image);
    if (*(const u32 *)(image + FX_MXCSR) != MXCSR_INITIAL) stored |= asked & XCR0_SSE;
    return stored;
}

void exec_xsavec(struct vcpu *v, const struct insn *i)
{
    _Alignas(8) u8 image[FX_YMM_END64];
    u64 address, asked = begin(v, i, &address);
    take_image(v, image);
    u64 stored = compacted(v, image, asked);
    u64 header[2] = {stored, asked | COMPACTED};
    probe(v, i, address, stored, stored & XCR0_SSE, sizeof(header));
    store(v, i, address, image, stored, stored & XCR0_SSE);
    mem_write_bytes(v, i->mem_seg, exec_mask_address(i, address + XSTATE_BV), header, sizeof(header));
}

/* --- restoring --- */

/* The header's rules (SDM 1 13.8.1, 13.8.2). */
static bool is_valid(const struct vcpu *v, const u64 *header)
{
    u64 has = header[0], compacted = header[1], reserved = 0;
    for (unsigned n = 2; n < (HEADER_END - XSTATE_BV) / sizeof(u64); n++)
        if (n == 2 || compacted) reserved |= header[n];
    if (reserved) return false;
    if (!(compacted & COMPACTED)) return !compacted && !(has & ~v->xcr0);
    compacted &= ~COMPACTED;
    return (v->model->xsave_eax & XSAVE_C) && !(compacted & ~v->xcr0) && !(has & ~compacted);
}

static void initialize(struct vcpu *v, u64 components)
{
    u8 *image = v->fpu;
    if (components & XCR0_X87) {
        for (unsigned at = FX_FCW; at < FX_MXCSR; at += 8)
            *(u64 *)(image + at) = 0;
        *(u16 *)(image + FX_FCW) = FCW_INITIAL;
    }
    struct region regions[MOST_REGIONS];
    unsigned count = regions_of(v, components, false, regions);
    for (unsigned n = 0; n < count; n++)
        for (unsigned at = regions[n].from; at < regions[n].end && regions[n].from != FX_FCW; at += 8)
            *(u64 *)(image + at) = 0;
}

void exec_xrstor(struct vcpu *v, const struct insn *i)
{
    _Alignas(8) u8 area[FX_YMM_END64];
    u64 address, header[(HEADER_END - XSTATE_BV) / sizeof(u64)], asked = begin(v, i, &address);
    mem_read_bytes(v, i->mem_seg, exec_mask_address(i, address + XSTATE_BV), header, sizeof(header));
    if (!is_valid(v, header)) fault_raise_error(v, VEC_GP, 0);
    u64 loaded = asked & header[0], initial = asked & ~header[0];
    bool compacted = header[1], mxcsr = compacted ? loaded & XCR0_SSE : asked & (XCR0_SSE | XCR0_AVX);
    struct region regions[MOST_REGIONS];
    unsigned count = regions_of(v, loaded, mxcsr, regions);
    for (unsigned n = 0; n < count; n++) {
        const struct region *r = &regions[n];
        mem_read_bytes(v, i->mem_seg, exec_mask_address(i, address + r->from), area + r->from,
                       r->end - r->from);
    }
    if (mxcsr && (*(const u32 *)(area + FX_MXCSR) & ~MXCSR_MASK)) fault_raise_error(v, VEC_GP, 0);

    fpu_snapshot(v); /* what is not loaded stays */
    initialize(v, initial);
    for (unsigned n = 0; n < count; n++)
        copy_quads(v->fpu + regions[n].from, area + regions[n].from, regions[n].end - regions[n].from);
    if (compacted && (initial & XCR0_SSE)) *(u32 *)(v->fpu + FX_MXCSR) = MXCSR_INITIAL;
    fpu_image_changed(v);
}

/* --- fast routines --- */

static u64 delta_at(const struct vcpu *v, u64 linear, bool write)
{
    if (vcpu_long_mode(v)) return tlb_entry(v->shadow->tlb, linear, v->cpl == 3, write);
    return (write ? v->write_table : v->read_table)[linear >> PAGE_SHIFT];
}

/* The host address of the area: NULL unless the instruction is legal and the area lies in plain RAM, in one page or in
 * two that follow each other on the host too. */
static u8 *plain_area(const struct vcpu *v, const struct insn *i, bool write)
{
    if (!(v->paging.cr4 & CR4_OSXSAVE) || (v->paging.cr0 & CR0_TS) || (v->mode & (MODE_STEP | MODE_ALIGN)) ||
        v->instruments.write_log || v->instruments.points || !v->fpu_live || v->fpu_sheltered ||
        mode_seg(v->mode, i->mem_seg) != MODE_SEG_FLAT)
        return NULL;
    u64 linear = exec_address(v, i), last = linear + (v->xcr0 & XCR0_AVX ? ymm_end(v) : HEADER_END) - 1;
    bool wraps = last < linear || exec_mask_address(i, last) != last;
    if ((linear & (AREA_ALIGNMENT - 1)) || wraps) return NULL;
    u64 delta = delta_at(v, linear, write);
    if (!delta || delta_at(v, last, write) != delta) return NULL;
    return (u8 *)(uintptr_t)(linear + delta);
}

static void copy_regions(const struct vcpu *v, u8 *to, const u8 *from, u64 components, bool mxcsr)
{
    struct region regions[MOST_REGIONS];
    unsigned count = regions_of(v, components, mxcsr, regions);
    for (unsigned n = 0; n < count; n++)
        copy_quads(to + regions[n].from, from + regions[n].from, regions[n].end - regions[n].from);
}

/* The state is live, so v->fpu serves as scratch. */
static void snapshot(struct vcpu *v)
{
    fpu_snapshot(v);
    fxsave_tidy(v->fpu);
}

static bool fast_save(struct vcpu *v, const struct insn *i, bool optimizes)
{
    u8 *area = plain_area(v, i, true);
    if (!area) return false;
    u64 asked = asked_for(v);
    snapshot(v);
    u64 used = in_use(v, v->fpu);
    copy_regions(v, area, v->fpu, optimizes ? asked & used : asked, asked & (XCR0_SSE | XCR0_AVX));
    *(u64 *)(area + XSTATE_BV) = (quad(area, XSTATE_BV) & ~asked) | (used & asked);
    return true;
}

bool fast_xsave(struct vcpu *v, const struct insn *i)
{
    return fast_save(v, i, false);
}

bool fast_xsaveopt(struct vcpu *v, const struct insn *i)
{
    return fast_save(v, i, true);
}

bool fast_xsavec(struct vcpu *v, const struct insn *i)
{
    u8 *area = plain_area(v, i, true);
    if (!area) return false;
    u64 asked = asked_for(v);
    snapshot(v);
    u64 stored = compacted(v, v->fpu, asked);
    copy_regions(v, area, v->fpu, stored, stored & XCR0_SSE);
    *(u64 *)(area + XSTATE_BV) = stored;
    *(u64 *)(area + XCOMP_BV) = asked | COMPACTED;
    return true;
}

/* Put what XRSTOR leaves alone into v->fpu. */
static void keep_rest(struct vcpu *v, u64 asked)
{
    u64 all = XCR0_X87 | XCR0_SSE | (v->fpu_ymm ? XCR0_AVX : 0);
    if ((asked & all) != all)
        fpu_snapshot(v);
    else if (!(v->mode & MODE_CODE64))
        fpu_snapshot_high(v);
}

/* Other threads may write to the area, so each value is read once. */
bool fast_xrstor(struct vcpu *v, const struct insn *i)
{
    u64 header[(HEADER_END - XSTATE_BV) / sizeof(u64)], asked = asked_for(v);
    const u8 *area = plain_area(v, i, false);
    if (!area) return false;
    copy_quads((u8 *)header, area + XSTATE_BV, sizeof(header));
    if (!is_valid(v, header)) return false;
    u64 loaded = asked & header[0], initial = asked & ~header[0];
    bool compacted = header[1], mxcsr = compacted ? loaded & XCR0_SSE : asked & (XCR0_SSE | XCR0_AVX);
    keep_rest(v, asked);
    initialize(v, initial);
    copy_regions(v, v->fpu, area, loaded, mxcsr);
    if (mxcsr && (*(const u32 *)(v->fpu + FX_MXCSR) & ~MXCSR_MASK)) return false;
    if (compacted && (initial & XCR0_SSE)) *(u32 *)(v->fpu + FX_MXCSR) = MXCSR_INITIAL;
    fpu_image_changed(v);
    return true;
}

/* --- XCR0 --- */

/* Register 0 is XCR0, register 1 tells which of its components are in use. */
void exec_xgetbv(struct vcpu *v, const struct insn *i)
{
    u32 number = (u32)v->gpr[REG_ECX];
    u64 value = v->xcr0;
    check_enabled(v);
    if (number > (v->model->xsave_eax & XSAVE_XGETBV1 ? 1 : 0)) fault_raise_error(v, VEC_GP, 0);
    if (number) {
        _Alignas(8) u8 image[FX_YMM_END64];
        take_image(v, image);
        value &= in_use(v, image);
    }
    v->gpr[REG_EAX] = (u32)value;
    v->gpr[REG_EDX] = value >> 32;
}

void exec_xsetbv(struct vcpu *v, const struct insn *i)
{
    u64 value = v->gpr[REG_EDX] << 32 | (u32)v->gpr[REG_EAX];
    check_enabled(v);
    bool avx_alone = (value & XCR0_AVX) && !(value & XCR0_SSE);
    if (v->cpl || (u32)v->gpr[REG_ECX] || (value & ~(u64)cpu_model_xcr0(v->model)) || !(value & XCR0_X87) ||
        avx_alone)
        fault_raise_error(v, VEC_GP, 0);
    v->xcr0 = value;
    if (value & XCR0_AVX) fpu_extend(v);
    vcpu_update_mode(v);
}
