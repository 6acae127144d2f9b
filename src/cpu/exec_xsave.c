/*
 * The extended states: XSAVE, XSAVEOPT, XSAVEC, XRSTOR, XGETBV, XSETBV (SDM 1 chapter 13).
 *
 *     area  0    legacy region: an FXSAVE image          x87 (component 0), SSE (1), MXCSR
 *           512  XSTATE_BV: which components the area has
 *           520  XCOMP_BV: bit 63 and the components of the compacted format; standard format: 0
 *           528  reserved, 0
 *           576  the upper halves of the YMM registers (2)
 *           832  K0 to K7 (5)
 *           896  the upper halves of ZMM0 to ZMM15 (6)
 *           1408 ZMM16 to ZMM31 (7)
 *
 * In the compacted format the components of XCOMP_BV follow each other from 576 on without gaps. Outside 64-bit mode
 * registers from the ninth on are neither stored nor loaded (SDM 1 13.5).
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
#define COMPACTED   (1ull << 63)
#define PIECE_MXCSR (1u << 31) /* no component of its own */
#define LEGACY      (XCR0_X87 | XCR0_SSE | PIECE_MXCSR)
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

/* The pieces of the state in the order of addresses in the image, which has the standard format. Outside 64-bit mode a
 * piece ends at end32. */
static const struct piece {
    u32 component; /* its bit */
    u16 from, end, end32;
} pieces[] = {
    {XCR0_X87, FX_FCW, FX_MXCSR, FX_MXCSR},
    {PIECE_MXCSR, FX_MXCSR, FX_ST, FX_ST},
    {XCR0_X87, FX_ST, FX_XMM, FX_XMM},
    {XCR0_SSE, FX_XMM, FX_XMM_END64, FX_XMM_END},
    {XCR0_AVX, FX_YMM, FX_YMM_END64, FX_YMM_END},
    {XCR0_OPMASK, FX_OPMASK, FX_ZMM, FX_ZMM},
    {XCR0_ZMM, FX_ZMM, FX_ZMM_END64, FX_ZMM_END},
    {XCR0_ZMM16, FX_ZMM16, FX_ALL, FX_ZMM16},
};
enum { EXTENDED = 4 }; /* the first piece behind the header */

static u64 quad(const u8 *image, unsigned at)
{
    return *(const u64 *)(image + at);
}

/* Of a multiple of 64 bytes. */
static bool is_zero(const u8 *image, unsigned from, unsigned end)
{
    for (const u64 *at = (const u64 *)(image + from); at < (const u64 *)(image + end); at += 8)
        if (at[0] | at[1] | at[2] | at[3] | at[4] | at[5] | at[6] | at[7]) return false;
    return true;
}

/* From here on the host's string instructions are faster than a loop. */
enum { LONG_COPY = 256 };

static void clear(u8 *to, unsigned bytes)
{
    u64 count = bytes;
    if (bytes >= LONG_COPY)
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0) : "memory");
    else
        for (unsigned at = 0; at < bytes; at += 8)
            *(u64 *)(to + at) = 0;
}

/* Each quadword is read once. */
static void copy_quads(u8 *to, const u8 *from, unsigned bytes)
{
    if (bytes >= LONG_COPY) {
        u64 count = bytes;
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        return;
    }
    for (unsigned at = 0; at < bytes; at += 8)
        *(u64 *)(to + at) = quad(from, at);
}

static unsigned image_end(const struct vcpu *v)
{
    return v->fpu_zmm ? FX_ALL : FX_YMM_END64;
}

/* A copy of the state, as the guest finds it. v->fpu itself is overwritten if an access to a device parks the state. */
static void take_image(struct vcpu *v, u8 *image)
{
    fpu_snapshot(v);
    copy_quads(image, v->fpu, image_end(v));
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
    u64 used = (x87 ? XCR0_X87 : 0) | (sse ? XCR0_SSE : 0);
    for (unsigned n = EXTENDED; n < ARRAY_SIZE(pieces); n++) {
        const struct piece *p = &pieces[n];
        if ((v->fpu_used & p->component) && !is_zero(image, p->from, all ? p->end : p->end32))
            used |= p->component;
    }
    return used;
}

/* --- the regions of an area --- */

struct region {
    unsigned from, end; /* in the image */
    unsigned at;        /* in the area */
};

/* At most this many regions hold the components and MXCSR. */
#define MOST_REGIONS ARRAY_SIZE(pieces)

/* They follow each other by address; neighbours are one. `layout`: the components for which the area has room. */
static unsigned regions_of(const struct vcpu *v, u64 components, bool mxcsr, u64 layout,
                           struct region *regions)
{
    u64 wanted = components | (mxcsr ? PIECE_MXCSR : 0), room = layout | LEGACY;
    bool code64 = v->mode & MODE_CODE64;
    unsigned count = 0, missing = 0; /* bytes that the area has less than the image up to here */
    const struct piece *p = pieces;
    if ((wanted & LEGACY) == LEGACY) { /* as nearly always */
        regions[count++] = (struct region){FX_FCW, code64 ? FX_XMM_END64 : FX_XMM_END, FX_FCW};
        if (wanted == LEGACY) return count;
        p += EXTENDED;
    }
    for (; p < pieces + ARRAY_SIZE(pieces); p++) {
        unsigned end = code64 ? p->end : p->end32, at = p->from - missing;
        if ((wanted & p->component) && end > p->from) {
            struct region *last = regions + count - 1;
            if (count && last->end == p->from && last->at + (last->end - last->from) == at)
                last->end = end;
            else
                regions[count++] = (struct region){p->from, end, at};
        }
        if (!(room & p->component)) missing += p->end - p->from;
    }
    return count;
}

/* What an area has room for: in the standard format everything, in the compacted one what XCOMP_BV says. */
static u64 layout_of(u64 compacted)
{
    return compacted & COMPACTED ? compacted : UINT64_MAX;
}

/* Bytes of an area. */
static unsigned area_end(const struct vcpu *v)
{
    return v->xcr0 & XCR0_AVX512 ? FX_ALL : v->xcr0 & XCR0_AVX ? FX_YMM_END64 : HEADER_END;
}

/* --- saving --- */

static void store(struct vcpu *v, const struct insn *i, u64 address, const u8 *image,
                  const struct region *regions, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        const struct region *r = &regions[n];
        mem_write_bytes(v, i->mem_seg, exec_mask_address(i, address + r->at), image + r->from,
                        r->end - r->from);
    }
}

static void probe(struct vcpu *v, const struct insn *i, u64 address, const struct region *regions,
                  unsigned count, unsigned header)
{
    unsigned n = 0;
    for (; n < count && regions[n].from < FX_YMM; n++)
        mem_probe_write(v, i->mem_seg, exec_mask_address(i, address + regions[n].at),
                        regions[n].end - regions[n].from);
    mem_probe_write(v, i->mem_seg, exec_mask_address(i, address + XSTATE_BV), header);
    for (; n < count; n++)
        mem_probe_write(v, i->mem_seg, exec_mask_address(i, address + regions[n].at),
                        regions[n].end - regions[n].from);
}

static void save_standard(struct vcpu *v, const struct insn *i, bool optimizes)
{
    u64 address, asked = begin(v, i, &address);
    bool mxcsr = asked & (XCR0_SSE | XCR0_AVX);
    _Alignas(8) u8 image[FX_ALL];
    struct region regions[MOST_REGIONS];
    take_image(v, image);
    u64 used = in_use(v, image), stored = optimizes ? asked & used : asked;
    u64 header = exec_mask_address(i, address + XSTATE_BV);
    unsigned count = regions_of(v, stored, mxcsr, layout_of(0), regions);
    probe(v, i, address, regions, count, sizeof(u64));
    u64 has = (mem_read(v, i->mem_seg, header, sizeof(u64)) & ~asked) | (used & asked);
    store(v, i, address, image, regions, count);
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
    _Alignas(8) u8 image[FX_ALL];
    struct region regions[MOST_REGIONS];
    u64 address, asked = begin(v, i, &address);
    take_image(v, image);
    u64 stored = compacted(v, image, asked);
    u64 header[2] = {stored, asked | COMPACTED};
    unsigned count = regions_of(v, stored, stored & XCR0_SSE, layout_of(header[1]), regions);
    probe(v, i, address, regions, count, sizeof(header));
    store(v, i, address, image, regions, count);
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
    components &= XCR0_X87 | XCR0_SSE | v->fpu_used;
    if (components & XCR0_X87) {
        for (unsigned at = FX_FCW; at < FX_MXCSR; at += 8)
            *(u64 *)(image + at) = 0;
        *(u16 *)(image + FX_FCW) = FCW_INITIAL;
    }
    struct region regions[MOST_REGIONS];
    if (!components) return;
    unsigned count = regions_of(v, components, false, layout_of(0), regions);
    for (unsigned n = 0; n < count; n++)
        if (regions[n].from != FX_FCW) clear(image + regions[n].from, regions[n].end - regions[n].from);
    if (v->mode & MODE_CODE64) v->fpu_used &= ~components;
}

/* The image has these components from memory. */
static void note_loaded(struct vcpu *v, u64 components)
{
    v->fpu_used |= components & (XCR0_AVX | XCR0_AVX512);
}

void exec_xrstor(struct vcpu *v, const struct insn *i)
{
    _Alignas(8) u8 image[FX_ALL];
    u64 address, header[(HEADER_END - XSTATE_BV) / sizeof(u64)], asked = begin(v, i, &address);
    mem_read_bytes(v, i->mem_seg, exec_mask_address(i, address + XSTATE_BV), header, sizeof(header));
    if (!is_valid(v, header)) fault_raise_error(v, VEC_GP, 0);
    u64 loaded = asked & header[0], initial = asked & ~header[0];
    bool compacted = header[1], mxcsr = compacted ? loaded & XCR0_SSE : asked & (XCR0_SSE | XCR0_AVX);
    struct region regions[MOST_REGIONS];
    unsigned count = regions_of(v, loaded, mxcsr, layout_of(header[1]), regions);
    for (unsigned n = 0; n < count; n++) {
        const struct region *r = &regions[n];
        mem_read_bytes(v, i->mem_seg, exec_mask_address(i, address + r->at), image + r->from,
                       r->end - r->from);
    }
    if (mxcsr && (*(const u32 *)(image + FX_MXCSR) & ~MXCSR_MASK)) fault_raise_error(v, VEC_GP, 0);

    fpu_snapshot(v); /* what is not loaded stays */
    initialize(v, initial);
    for (unsigned n = 0; n < count; n++)
        copy_quads(v->fpu + regions[n].from, image + regions[n].from, regions[n].end - regions[n].from);
    if (compacted && (initial & XCR0_SSE)) *(u32 *)(v->fpu + FX_MXCSR) = MXCSR_INITIAL;
    note_loaded(v, loaded);
    fpu_image_loaded(v);
}

/* --- fast routines --- */

static u64 delta_at(const struct vcpu *v, u64 linear, bool write)
{
    if (vcpu_long_mode(v)) return tlb_entry(v->shadow->tlb, linear, v->cpl == 3, write);
    return (write ? v->write_table : v->read_table)[linear >> PAGE_SHIFT];
}

/* Where an area in plain RAM is on the host: in one page or two. The bytes from `split` on are at part[1] + their
 * offset, so both parts have the same offsets. */
struct plain_area {
    u8 *part[2];
    unsigned split;
};

/* Returns false unless the instruction is legal and all of the area lies in plain RAM. */
static bool find_area(const struct vcpu *v, const struct insn *i, bool write, struct plain_area *area)
{
    if (!(v->paging.cr4 & CR4_OSXSAVE) || (v->paging.cr0 & CR0_TS) || (v->mode & (MODE_STEP | MODE_ALIGN)) ||
        v->instruments.write_log || v->instruments.points || !v->fpu_live || v->fpu_sheltered ||
        mode_seg(v->mode, i->mem_seg) != MODE_SEG_FLAT)
        return false;
    u64 linear = exec_address(v, i), last = linear + area_end(v) - 1;
    bool wraps = last < linear || exec_mask_address(i, last) != last;
    if ((linear & (AREA_ALIGNMENT - 1)) || wraps) return false;
    u64 deltas[2] = {delta_at(v, linear, write), delta_at(v, last, write)};
    if (!deltas[0] || !deltas[1]) return false;
    for (unsigned n = 0; n < 2; n++)
        area->part[n] = (u8 *)(uintptr_t)(linear + deltas[n]);
    area->split = (unsigned)(PAGE_SIZE - (linear & PAGE_MASK));
    return true;
}

/* All quadwords of the header are in the same page, because the area is aligned. */
static u8 *area_at(const struct plain_area *area, unsigned at)
{
    return area->part[at >= area->split] + at;
}

/* Between an image and the area. */
static void copy_regions(u8 *image, const struct plain_area *area, bool to_area, const struct region *regions,
                         unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        unsigned bytes = regions[n].end - regions[n].from;
        for (unsigned done = 0, part; done < bytes; done += part) {
            unsigned at = regions[n].at + done;
            u8 *in_image = image + regions[n].from + done, *in_area = area_at(area, at);
            part = bytes - done;
            if (at < area->split && area->split - at < part) part = area->split - at;
            copy_quads(to_area ? in_area : in_image, to_area ? in_image : in_area, part);
        }
    }
}

static void store_plain(struct vcpu *v, const struct plain_area *area, u64 stored, bool mxcsr, u64 layout)
{
    struct region regions[MOST_REGIONS];
    copy_regions(v->fpu, area, true, regions, regions_of(v, stored, mxcsr, layout, regions));
}

/* The state is live, so v->fpu serves as scratch. */
static void snapshot(struct vcpu *v)
{
    fpu_snapshot(v);
    fxsave_tidy(v->fpu);
}

static bool fast_save(struct vcpu *v, const struct insn *i, bool optimizes)
{
    struct plain_area area;
    if (!find_area(v, i, true, &area)) return false;
    u64 asked = asked_for(v);
    snapshot(v);
    u64 used = in_use(v, v->fpu), *has = (u64 *)area_at(&area, XSTATE_BV);
    store_plain(v, &area, optimizes ? asked & used : asked, asked & (XCR0_SSE | XCR0_AVX), layout_of(0));
    *has = (*has & ~asked) | (used & asked);
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
    struct plain_area area;
    if (!find_area(v, i, true, &area)) return false;
    u64 asked = asked_for(v), layout = asked | COMPACTED;
    snapshot(v);
    u64 stored = compacted(v, v->fpu, asked);
    store_plain(v, &area, stored, stored & XCR0_SSE, layout_of(layout));
    *(u64 *)area_at(&area, XSTATE_BV) = stored;
    *(u64 *)area_at(&area, XCOMP_BV) = layout;
    return true;
}

/* Put what XRSTOR leaves alone into v->fpu. */
static void keep_rest(struct vcpu *v, u64 asked)
{
    u64 all = XCR0_X87 | XCR0_SSE | (v->fpu_ymm ? XCR0_AVX : 0) | (v->fpu_zmm ? XCR0_AVX512 : 0);
    if ((asked & all) != all || (v->fpu_zmm && !(v->mode & MODE_CODE64)))
        fpu_snapshot(v);
    else if (vcpu_long_mode(v) && !(v->mode & MODE_CODE64)) /* outside IA-32e mode they are 0 in the image */
        fpu_snapshot_high(v);
}

/* Other threads may write to the area, so each value is read once. */
bool fast_xrstor(struct vcpu *v, const struct insn *i)
{
    u64 header[(HEADER_END - XSTATE_BV) / sizeof(u64)], asked = asked_for(v);
    struct plain_area area;
    if (!find_area(v, i, false, &area)) return false;
    copy_quads((u8 *)header, area_at(&area, XSTATE_BV), sizeof(header));
    if (!is_valid(v, header)) return false;
    u64 loaded = asked & header[0], initial = asked & ~header[0];
    bool compacted = header[1], mxcsr = compacted ? loaded & XCR0_SSE : asked & (XCR0_SSE | XCR0_AVX);
    struct region regions[MOST_REGIONS];
    keep_rest(v, asked);
    initialize(v, initial);
    note_loaded(v, loaded);
    copy_regions(v->fpu, &area, false, regions, regions_of(v, loaded, mxcsr, layout_of(header[1]), regions));
    if (mxcsr && (*(const u32 *)(v->fpu + FX_MXCSR) & ~MXCSR_MASK)) return false;
    if (compacted && (initial & XCR0_SSE)) *(u32 *)(v->fpu + FX_MXCSR) = MXCSR_INITIAL;
    fpu_image_loaded(v);
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
        _Alignas(8) u8 image[FX_ALL];
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
    u64 avx512 = value & XCR0_AVX512;
    bool avx512_alone = avx512 && (avx512 != XCR0_AVX512 || !(value & XCR0_AVX));
    if (v->cpl || (u32)v->gpr[REG_ECX] || (value & ~(u64)cpu_model_xcr0(v->model)) || !(value & XCR0_X87) ||
        avx_alone || avx512_alone)
        fault_raise_error(v, VEC_GP, 0);
    v->xcr0 = value;
    if (value & XCR0_AVX) fpu_extend(v);
    vcpu_update_mode(v);
}
