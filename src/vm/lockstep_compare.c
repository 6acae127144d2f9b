/*
 * The comparison of two machines in lockstep: registers, FPU state, memory. See lockstep_compare.h.
 */
#include "lockstep_compare.h"

#include "cpu/mode.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* After this many instructions, and at the end, all of RAM is compared: the write log has neither DMA nor the
 * accessed and dirty bits of page tables. */
#define FULL_COMPARE_EVERY 50000000u

/* --- registers --- */

struct field {
    const char *name;
    unsigned offset;
    unsigned bytes;
};

#define FIELD(name, member)                                                                                  \
    {                                                                                                        \
        name, offsetof(struct vcpu, member), sizeof(((struct vcpu *)0)->member)                              \
    }
#define SEGMENT(name, member)                                                                                \
    FIELD(name ".selector", member.selector), FIELD(name ".base", member.base),                              \
        FIELD(name ".limit", member.limit), FIELD(name ".access", member.access)
#define TABLE(name, member) FIELD(name ".base", member.base), FIELD(name ".limit", member.limit)

static const struct field fields[] = {
    FIELD("icount", icount),
    FIELD("eip", rip),
    FIELD("eax", gpr[REG_EAX]),
    FIELD("ecx", gpr[REG_ECX]),
    FIELD("edx", gpr[REG_EDX]),
    FIELD("ebx", gpr[REG_EBX]),
    FIELD("esp", gpr[REG_ESP]),
    FIELD("ebp", gpr[REG_EBP]),
    FIELD("esi", gpr[REG_ESI]),
    FIELD("edi", gpr[REG_EDI]),
    FIELD("eflags", eflags),
    FIELD("cpl", cpl),
    FIELD("interrupt shadow", inhibit),
    FIELD("halted", halted),
    FIELD("mode", mode),
    SEGMENT("es", seg[SEG_ES]),
    SEGMENT("cs", seg[SEG_CS]),
    SEGMENT("ss", seg[SEG_SS]),
    SEGMENT("ds", seg[SEG_DS]),
    SEGMENT("fs", seg[SEG_FS]),
    SEGMENT("gs", seg[SEG_GS]),
    SEGMENT("ldtr", ldtr),
    SEGMENT("tr", tr),
    TABLE("gdtr", gdtr),
    TABLE("idtr", idtr),
    FIELD("cr0", paging.cr0),
    FIELD("cr2", cr2),
    FIELD("cr3", paging.cr3),
    FIELD("cr4", paging.cr4),
    FIELD("efer", paging.efer),
    FIELD("dr0", dr[0]),
    FIELD("dr1", dr[1]),
    FIELD("dr2", dr[2]),
    FIELD("dr3", dr[3]),
    FIELD("dr6", dr[6]),
    FIELD("dr7", dr[7]),
    FIELD("interrupt line", interrupt_line),
    FIELD("sysenter_cs", sysenter_cs),
    FIELD("sysenter_esp", sysenter_esp),
    FIELD("sysenter_eip", sysenter_eip),
    FIELD("tsc_offset", tsc_offset),
    FIELD("r8", gpr_high[0]),
    FIELD("r9", gpr_high[1]),
    FIELD("r10", gpr_high[2]),
    FIELD("r11", gpr_high[3]),
    FIELD("r12", gpr_high[4]),
    FIELD("r13", gpr_high[5]),
    FIELD("r14", gpr_high[6]),
    FIELD("r15", gpr_high[7]),
    FIELD("fs base", base64.fs),
    FIELD("gs base", base64.gs),
    FIELD("ldtr base", base64.ldtr),
    FIELD("tr base", base64.tr),
    FIELD("star", star),
    FIELD("lstar", lstar),
    FIELD("cstar", cstar),
    FIELD("fmask", fmask),
    FIELD("kernel_gs_base", kernel_gs_base),
    FIELD("pvclock_time", pvclock_time),
    FIELD("pvclock_wall", pvclock_wall),
    FIELD("pvclock_version", pvclock_version),
    FIELD("xcr0", xcr0),
    FIELD("cpuid_faults", cpuid_faults),
};
#undef FIELD
#undef SEGMENT
#undef TABLE

/* A quick comparison of the registers, as a few runs of bytes. Equal bytes mean equal registers, which is nearly always
 * so. Different bytes may be padding. */
struct stretch {
    unsigned from, to;
};

#define STRETCHES(X)                                                                                         \
    X(icount, icount_limit)                                                                                  \
    X(gpr_high, pending)                                                                                     \
    X(gpr, fpu_live)                                                                                         \
    X(seg, icount_soft)                                                                                      \
    X(ldtr, apic_base)                                                                                       \
    X(idtr, pvclock_time)
#define X(from, to) {offsetof(struct vcpu, from), offsetof(struct vcpu, to)},
static const struct stretch stretches[] = {STRETCHES(X)};
#undef X
#define X(from, to) _Static_assert(offsetof(struct vcpu, from) < offsetof(struct vcpu, to), "in this order");
STRETCHES(X)
#undef X

static bool surely_equal(const struct vcpu *a, const struct vcpu *b)
{
    for (unsigned i = 0; i < ARRAY_SIZE(stretches); i++) {
        const u8 *x = (const u8 *)a + stretches[i].from, *y = (const u8 *)b + stretches[i].from;
        if (memcmp(x, y, stretches[i].to - stretches[i].from)) return false;
    }
    return a->interrupt_line == b->interrupt_line;
}

static u64 field_value(const struct vcpu *v, const struct field *field)
{
    const u8 *at = (const u8 *)v + field->offset;
    switch (field->bytes) {
    case 1: return *at;
    case 2: return *(const u16 *)at;
    case 4: return *(const u32 *)at;
    default: return *(const u64 *)at;
    }
}

/* Compare without the bits for windows: only the translator has windows, and it gives them by host time. */
static bool same_but_window(const struct field *field, u64 x, u64 y)
{
    u32 bits = MODE_WINDOW | MODE_SAME | (y & MODE_CODE64 ? MODE_STACK_HIGH : 0);
    return field->offset == offsetof(struct vcpu, mode) && !((u32)(x ^ y) & ~bits);
}

static unsigned compare_fields(const struct vcpu *a, const struct vcpu *b, FILE *out)
{
    unsigned differences = 0;
    if (surely_equal(a, b)) return 0;
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        u64 x = field_value(a, &fields[i]), y = field_value(b, &fields[i]);
        if (x == y || same_but_window(&fields[i], x, y)) continue;
        differences++;
        if (out)
            fprintf(out, "%-18s translator %08" PRIx64 "  interpreter %08" PRIx64 "\n", fields[i].name, x, y);
    }
    return differences;
}

/* The guest's part of an FXSAVE image (SDM 1 10.5.1). FOP, FIP, FCS, FDP and FDS are not part of it, because they tell
 * where in *host* code the last x87 instruction was; nor are MXCSR_MASK and the reserved bytes. */
struct fpu_part {
    const char *name;
    unsigned offset, bytes, count, stride;
};

static const struct fpu_part fpu_parts[] = {
    {"fcw", 0, 2, 1, 0},           {"fsw", 2, 2, 1, 0},
    {"ftw", 4, 1, 1, 0},           {"mxcsr", 24, 4, 1, 0},
    {"st/mm", 32, 10, 8, 16},      {"xmm", 160, 16, 16, 16},
    {"ymm high", 576, 16, 16, 16}, {"k", 832, 8, 8, 8},
    {"zmm high", 896, 32, 16, 32}, {"zmm 16 +", 1408, 64, 16, 64},
};

static u64 get_u64(const u8 *at)
{
    u64 value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static void print_bytes(const u8 *bytes, unsigned count, FILE *out)
{
    while (count--)
        fprintf(out, "%02x", bytes[count]);
}

/* FCW, FSW and the abridged FTW; all ST and XMM registers. (Those of 64-bit mode are 0 in other guests.) The upper
 * halves of the YMM registers and the components of AVX-512 lie apart; they are 0 in guests without them. */
#define FPU_CONTROL_MASK  0x000000ffffffffffull
#define FPU_REGISTERS     32
#define FPU_REGISTERS_END 416
#define FPU_UPPER         576
#define FPU_UPPER_END     2432

static unsigned compare_fpu(const u8 *a, const u8 *b, FILE *out)
{
    unsigned differences = 0;
    u64 control = (get_u64(a) ^ get_u64(b)) & FPU_CONTROL_MASK, mxcsr = (get_u64(a + 24) ^ get_u64(b + 24))
                                                                        << 32;
    if (!(control | mxcsr) &&
        !memcmp(a + FPU_REGISTERS, b + FPU_REGISTERS, FPU_REGISTERS_END - FPU_REGISTERS) &&
        !memcmp(a + FPU_UPPER, b + FPU_UPPER, FPU_UPPER_END - FPU_UPPER))
        return 0;
    for (unsigned p = 0; p < ARRAY_SIZE(fpu_parts); p++) {
        const struct fpu_part *part = &fpu_parts[p];
        for (unsigned n = 0; n < part->count; n++) {
            const u8 *x = a + part->offset + n * part->stride, *y = b + part->offset + n * part->stride;
            if (!memcmp(x, y, part->bytes)) continue;
            differences++;
            if (!out) continue;
            fprintf(out, "%s %-12u translator ", part->name, n);
            print_bytes(x, part->bytes, out);
            fprintf(out, "  interpreter ");
            print_bytes(y, part->bytes, out);
            fputc('\n', out);
        }
    }
    return differences;
}

/* --- memory --- */

/* The accessed and dirty bits of a present page-table entry, bits 5 and 6 of its first byte. A processor may
 * set A for a translation that it only looked at, and sets neither bit while the translation is cached (SDM 3A 4.8,
 * 4.10.2.3). The engines cache different translations. So when a guest clears these bits without flushing, one engine
 * may set them again and the other not. Both are right: both machines get the union and go on. */
static bool reconcile_accessed_dirty(u8 *x, u8 *y, u64 gpa)
{
    enum { PRESENT = 1, ACCESSED_DIRTY = 0x60 };
    if ((gpa & 3) || (*x ^ *y) & ~ACCESSED_DIRTY || !(*x & PRESENT)) return false;
    *x = *y = *x | *y;
    return true;
}

static unsigned compare_bytes(struct lockstep *l, u64 gpa, u64 bytes, FILE *out)
{
    u8 *x = l->lead->phys.ram + gpa, *y = l->follow->phys.ram + gpa;
    if (!memcmp(x, y, bytes)) return 0;
    for (u64 at = 0; at < bytes; at++) {
        if (x[at] == y[at] || reconcile_accessed_dirty(&x[at], &y[at], gpa + at)) continue;
        if (out)
            fprintf(out, "memory %08" PRIx64 "    translator %02x  interpreter %02x\n", gpa + at, x[at],
                    y[at]);
        return 1;
    }
    return 0;
}

/* What the follower wrote since the last comparison. Only RAM below the device hole is at the same offset in
 * ram[]; writes to the rest, and what a full log has lost, wait for the full comparison. */
static unsigned compare_written(struct lockstep *l, FILE *out)
{
    unsigned differences = 0;
    for (unsigned i = 0; i < l->log.count; i++) {
        u64 gpa = l->log.entry[i].gpa, bytes = l->log.entry[i].bytes;
        struct phys_region *region = phys_find(&l->follow->phys, gpa);
        if (region && region->kind == PHYS_RAM && region->host == l->follow->phys.ram + region->gpa)
            differences += compare_bytes(l, gpa, bytes, out);
    }
    return differences;
}

/* Where the next stretch that the host has backed (SEEK_DATA), or has not (SEEK_HOLE), begins; at the end of the file
 * otherwise. */
static u64 seek_ram(const struct phys *phys, u64 at, int what)
{
    off_t found = lseek(phys->ram_fd, (off_t)at, what);
    return found < 0 ? phys->file_bytes : (u64)found;
}

/* The next stretch that one of the machines has touched. The rest is not read, because the host would have to back
 * it. */
static bool next_touched(struct lockstep *l, u64 *from, u64 *to)
{
    const struct phys *x = &l->lead->phys, *y = &l->follow->phys;
    u64 x_from = seek_ram(x, *from, SEEK_DATA), y_from = seek_ram(y, *from, SEEK_DATA);
    *from = x_from < y_from ? x_from : y_from;
    if (*from == x->file_bytes) return false;
    *to = seek_ram(x_from < y_from ? x : y, *from, SEEK_HOLE);
    return true;
}

unsigned lockstep_compare_memory(struct lockstep *l, FILE *out)
{
    unsigned differences = 0;
    u64 from = 0, to;
    for (; next_touched(l, &from, &to); from = to) {
        if (!memcmp(l->lead->phys.ram + from, l->follow->phys.ram + from, to - from)) continue;
        for (; from < to && differences < 16; from += PAGE_SIZE)
            differences += compare_bytes(l, from, PAGE_SIZE, out);
    }
    return differences;
}

unsigned lockstep_compare(struct lockstep *l, FILE *out)
{
    struct vcpu *a = &l->lead->vcpu, *b = &l->follow->vcpu;
    unsigned differences =
        compare_fields(a, b, out) + compare_fpu(a->fpu, b->fpu, out) + compare_written(l, out);
    if (l->log.overflow || a->icount >= l->next_full_compare || out) {
        differences += lockstep_compare_memory(l, out);
        if (!l->log.overflow) l->next_full_compare = a->icount + FULL_COMPARE_EVERY;
    }
    l->compared++;
    return differences;
}
