/*
 * The registers of the target, in the order and with the names of QEMU's descriptions of i386 and x86-64, because
 * clients know them. Values are little-endian.
 */
#include "gdb_private.h"

#include "cpu/cpuid.h"
#include "cpu/fault.h"
#include "cpu/fxsave.h"
#include "cpu/mode.h"
#include "cpu/system.h"

#include <stdio.h>
#include <string.h>

#define MSR_EFER 0xc0000080u

enum group {
    GENERAL,
    IP,
    FLAGS,
    SEGMENTS,
    BASES,
    CONTROL,
    FLOATS,
    FLOAT_CONTROL,
    VECTORS,
    VECTOR_CONTROL,
    VECTORS_UPPER, /* from here on what AVX adds: the upper halves of the YMM registers */
    VECTORS_LATE,  /* from here on what AVX-512 adds: XMM16 to XMM31 */
    VECTORS_LATE_UPPER,
    MASKS,
    ZMM_UPPER,
    GROUPS
};

/* count and bytes: of the 32-bit and of the 64-bit target. */
static const struct {
    u8 count[2], bytes[2];
} groups[GROUPS] = {
    [GENERAL] = {{8, 16}, {4, 8}},
    [IP] = {{1, 1}, {4, 8}},
    [FLAGS] = {{1, 1}, {4, 4}},
    [SEGMENTS] = {{6, 6}, {4, 4}},
    [BASES] = {{3, 3}, {4, 8}},
    [CONTROL] = {{6, 6}, {4, 8}},
    [FLOATS] = {{8, 8}, {10, 10}},
    [FLOAT_CONTROL] = {{8, 8}, {4, 4}},
    [VECTORS] = {{8, 16}, {16, 16}},
    [VECTOR_CONTROL] = {{1, 1}, {4, 4}},
    [VECTORS_UPPER] = {{8, 16}, {16, 16}},
    [VECTORS_LATE] = {{0, 16}, {16, 16}},
    [VECTORS_LATE_UPPER] = {{0, 16}, {16, 16}},
    [MASKS] = {{0, 8}, {8, 8}},
    [ZMM_UPPER] = {{0, 32}, {32, 32}},
};

/* gdb's order of the 64-bit target's first eight differs from the CPU's. */
static const u8 general64[] = {REG_EAX, REG_EBX, REG_ECX, REG_EDX, REG_ESI, REG_EDI, REG_EBP, REG_ESP};
static const u8 segments[] = {SEG_CS, SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS};

unsigned registers_count(bool wide, enum gdb_vectors vectors)
{
    static const enum group ends[] = {
        [GDB_SSE] = VECTORS_UPPER, [GDB_AVX] = VECTORS_LATE, [GDB_AVX512] = GROUPS};
    unsigned count = 0;
    for (unsigned g = 0; g < ends[vectors]; g++)
        count += groups[g].count[wide];
    return count;
}

static enum group group_of(bool wide, unsigned *number)
{
    unsigned g = 0;
    while (*number >= groups[g].count[wide])
        *number -= groups[g++].count[wide];
    return (enum group)g;
}

unsigned register_bytes(bool wide, unsigned number)
{
    return groups[group_of(wide, &number)].bytes[wide];
}

const char *register_name(bool wide, unsigned number, char *text, size_t bytes)
{
    static const char *const general[] = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    static const char *const names[GROUPS][8] = {
        [IP] = {"ip"},
        [FLAGS] = {"eflags"},
        [SEGMENTS] = {"cs", "ss", "ds", "es", "fs", "gs"},
        [BASES] = {"fs_base", "gs_base", "k_gs_base"},
        [CONTROL] = {"cr0", "cr2", "cr3", "cr4", "cr8", "efer"},
        [FLOAT_CONTROL] = {"fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"},
        [VECTOR_CONTROL] = {"mxcsr"},
    };
    enum group group = group_of(wide, &number);
    char letter = wide ? 'r' : 'e';
    if (group == GENERAL && number >= 8)
        snprintf(text, bytes, "r%u", number);
    else if (group == GENERAL)
        snprintf(text, bytes, "%c%s", letter, general[wide ? general64[number] : number]);
    else if (group == IP)
        snprintf(text, bytes, "%cip", letter);
    else if (group == FLOATS || group == VECTORS)
        snprintf(text, bytes, "%s%u", group == FLOATS ? "st" : "xmm", number);
    else if (group == VECTORS_UPPER)
        snprintf(text, bytes, "ymm%uh", number);
    else if (group == VECTORS_LATE)
        snprintf(text, bytes, "xmm%u", 16 + number);
    else if (group == VECTORS_LATE_UPPER)
        snprintf(text, bytes, "ymm%uh", 16 + number);
    else if (group == MASKS)
        snprintf(text, bytes, "k%u", number);
    else if (group == ZMM_UPPER)
        snprintf(text, bytes, "zmm%uh", number);
    else
        snprintf(text, bytes, "%s", names[group][number]);
    return text;
}

static unsigned gpr_of(bool wide, unsigned number)
{
    return wide && number < 8 ? general64[number] : number;
}

/* --- x87 --- */

/* Two bits a register, which the abridged tag word of the image does not have (SDM 1 8.1.7, SDM 2A "FXSAVE"): 0 valid,
 * 1 zero, 2 special, 3 empty. */
static u32 full_tags(const u8 *image)
{
    u32 tags = 0, top = image[FX_FSW + 1] >> 3 & 7;
    for (unsigned physical = 0; physical < 8; physical++) {
        const u8 *st = image + FX_ST + 16 * ((physical - top) & 7);
        u64 mantissa = load_any(st, 8);
        u32 exponent = (u32)load_any(st + 8, 2) & 0x7fff, tag = 0;
        if (!(image[FX_FTW] >> physical & 1))
            tag = 3;
        else if (!exponent && !mantissa)
            tag = 1;
        else if (!exponent || exponent == 0x7fff || !(mantissa >> 63))
            tag = 2;
        tags |= tag << 2 * physical;
    }
    return tags;
}

static u8 abridged_tags(u32 tags)
{
    u8 abridged = 0;
    for (unsigned n = 0; n < 8; n++)
        if ((tags >> 2 * n & 3) != 3) abridged |= (u8)(1 << n);
    return abridged;
}

/* The fields behind fctrl, fstat and ftag: FIP, FDP and FOP, which the guest always finds 0. */
static u32 float_control(const u8 *image, unsigned number)
{
    switch (number) {
    case 0: return (u32)load_any(image + FX_FCW, 2);
    case 1: return (u32)load_any(image + FX_FSW, 2);
    case 2: return full_tags(image);
    default: return 0;
    }
}

static bool write_float_control(struct vcpu *v, unsigned number, u32 value)
{
    switch (number) {
    case 0: store_any(v->fpu + FX_FCW, 2, value); break;
    case 1: store_any(v->fpu + FX_FSW, 2, value); break;
    case 2: v->fpu[FX_FTW] = abridged_tags(value); break;
    default: return !value;
    }
    fpu_settle(v);
    fpu_park(v);
    return true;
}

/* --- reading --- */

static u64 base_of(const struct vcpu *v, unsigned number)
{
    if (number == 2) return v->kernel_gs_base;
    if (vcpu_long_mode(v)) return number ? v->base64.gs : v->base64.fs;
    return v->seg[number ? SEG_GS : SEG_FS].base;
}

static u64 control_value(struct vcpu *v, unsigned number)
{
    switch (number) {
    case 0: return v->paging.cr0;
    case 1: return v->cr2;
    case 2: return v->paging.cr3;
    case 3: return v->paging.cr4;
    case 4: return cpu_model_has_long_mode(v->model) ? control_read(v, 8) : 0;
    default: return v->paging.efer;
    }
}

static u64 integer(struct vcpu *v, bool wide, enum group group, unsigned number)
{
    switch (group) {
    case GENERAL: return vcpu_gpr_read(v, gpr_of(wide, number));
    case IP: return v->rip;
    case FLAGS: return v->eflags;
    case SEGMENTS: return v->seg[segments[number]].selector;
    case BASES: return base_of(v, number);
    case CONTROL: return control_value(v, number);
    case FLOAT_CONTROL: return float_control(v->fpu, number);
    default: return load_any(v->fpu + FX_MXCSR, 4);
    }
}

/* Where the image has a register of these groups, NULL: of another one. */
static u8 *in_image(struct vcpu *v, enum group group, unsigned number)
{
    switch (group) {
    case FLOATS: return v->fpu + FX_ST + 16 * number;
    case VECTORS: return v->fpu + FX_XMM + 16 * number;
    case VECTORS_UPPER: return v->fpu + FX_YMM + 16 * number;
    case VECTORS_LATE: return v->fpu + FX_ZMM16 + 64 * number;
    case VECTORS_LATE_UPPER: return v->fpu + FX_ZMM16 + 64 * number + 16;
    case MASKS: return v->fpu + FX_OPMASK + 8 * number;
    case ZMM_UPPER: return v->fpu + (number < 16 ? FX_ZMM + 32 * number : FX_ZMM16 + 64 * (number - 16) + 32);
    default: return NULL;
    }
}

void register_read(struct vcpu *v, bool wide, unsigned number, u8 *bytes)
{
    enum group group = group_of(wide, &number);
    const u8 *at = in_image(v, group, number);
    u8 value[8];
    if (at) {
        memcpy(bytes, at, groups[group].bytes[wide]);
    } else {
        store_any(value, 8, integer(v, wide, group, number));
        memcpy(bytes, value, groups[group].bytes[wide]);
    }
}

/* --- writing --- */

/* In real and virtual-8086 mode as MOV does; a protected-mode descriptor is loaded, except for CS, which takes more
 * than a selector. */
static bool write_segment(struct vcpu *v, enum seg seg, u64 value)
{
    if (value == v->seg[seg].selector) return true;
    if (value > 0xffff || (seg == SEG_CS && vcpu_protected(v))) return false;
    if (FAULT_CATCH(v)) return false;
    if (seg == SEG_CS)
        segment_set_real(v, seg, (u16)value);
    else
        segment_load(v, seg, (u16)value);
    vcpu_update_mode(v);
    return true;
}

static bool write_base(struct vcpu *v, unsigned number, u64 value)
{
    if (number == 2)
        v->kernel_gs_base = value;
    else
        segment_set_base(v, number ? SEG_GS : SEG_FS, value);
    vcpu_update_mode(v);
    return true;
}

static bool write_control(struct vcpu *v, unsigned number, u64 value)
{
    static const u8 cr[] = {0, 2, 3, 4, 8};
    if (value == control_value(v, number)) return true;
    if (number == 1) {
        v->cr2 = value;
        return true;
    }
    if (FAULT_CATCH(v)) return false;
    if (number == 5)
        msr_write(v, MSR_EFER, value);
    else
        control_write(v, cr[number], value);
    return true;
}

static bool write_integer(struct vcpu *v, bool wide, enum group group, unsigned number, u64 value)
{
    if (group <= IP) value = mode_mask_rip(v->mode, value);
    switch (group) {
    case GENERAL: *vcpu_gpr(v, gpr_of(wide, number)) = value; return true;
    case IP:
        if (value != v->rip) v->instruments.points->passes = false;
        v->rip = value;
        return true;
    case FLAGS:
        v->eflags = ((u32)value & ~(u32)FL_VM) | (v->eflags & FL_VM) | FL_ONE;
        vcpu_update_mode(v);
        vcpu_recheck_interrupts(v);
        return true;
    case SEGMENTS: return write_segment(v, segments[number], value);
    case BASES: return write_base(v, number, value);
    case CONTROL: return write_control(v, number, value);
    case FLOAT_CONTROL: return write_float_control(v, number, (u32)value);
    default:
        if (value & ~(u64)MXCSR_MASK) return false;
        store_any(v->fpu + FX_MXCSR, 4, value);
        return true;
    }
}

/* Before the guest has enabled AVX or AVX-512 in XCR0 there is nothing to write to. */
static bool has_state(const struct vcpu *v, enum group group)
{
    return group < VECTORS_UPPER || (group < VECTORS_LATE ? v->fpu_ymm : v->fpu_zmm);
}

bool register_write(struct vcpu *v, bool wide, unsigned number, const u8 *bytes)
{
    enum group group = group_of(wide, &number);
    u8 value[8] = {0}, *at = in_image(v, group, number);
    if (!has_state(v, group)) return false;
    if (at) {
        memcpy(at, bytes, groups[group].bytes[wide]);
        if (group >= VECTORS_UPPER) {
            fpu_image_changed(v);
            fpu_park(v);
        }
        return true;
    }
    memcpy(value, bytes, groups[group].bytes[wide]);
    return write_integer(v, wide, group, number, load_any(value, 8));
}
