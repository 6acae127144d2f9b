/*
 * This program runs while Ringer is built. It writes frame_offsets.h, which frame.h includes, with the offsets at which
 * translated code and assembly find the fields of struct vcpu:
 *
 *     offsets FILE
 *
 * An offset is relative to r15, which holds the address of the vCPU plus FRAME_BIAS.
 */
#include "cpu/mode.h"
#include "cpu/vcpu.h"
#include "mmu/tlb.h"

#include <stdio.h>

/* Half of the range of an 8-bit displacement, and 32: SHRX by r15 shifts by its low 6 bits, and a vCPU is aligned to
 * VCPU_ALIGN (verify.c). */
#define FRAME_BIAS (128 + 32)

struct offset {
    const char *name;
    long value;
};

#define FIELD(name, field)                                                                                   \
    {                                                                                                        \
        "FRAME_" #name, (long)offsetof(struct vcpu, field) - FRAME_BIAS                                      \
    }
static const struct offset offsets[] = {
    {"FRAME_BIAS", FRAME_BIAS},
    FIELD(GPR, gpr),
    FIELD(RIP, rip),
    FIELD(EFLAGS, eflags),
    FIELD(PENDING, pending),
    FIELD(ICOUNT, icount),
    FIELD(ICOUNT_LIMIT, icount_limit),
    FIELD(READ_TABLE, read_table),
    FIELD(WRITE_TABLE, write_table),
    FIELD(EXEC_TABLE, exec_table),
    FIELD(SEG, seg),
    FIELD(THUNK, scratch.thunk),
    FIELD(JUMP_TABLE, scratch.jump_table),
    FIELD(JUMP_TAG, scratch.jump_tag),
    FIELD(REMAINING, scratch.remaining),
    FIELD(SLOW_SCRATCH, scratch.slow_scratch),
    FIELD(PARKED, scratch.parked_flags),
    FIELD(INTERRUPT, interrupt_line),
    FIELD(C_STACK, scratch.c_stack),
    FIELD(RETURN_TOP, scratch.return_top),
    FIELD(RETURN_BASE, scratch.return_base),
    FIELD(RETURN_MISS, scratch.return_misses),
    FIELD(EXIT_CAUSE, scratch.exit_cause),
    FIELD(EXIT_ARG, scratch.exit_argument),
    FIELD(EXIT_SITE, scratch.exit_site),
    FIELD(HOISTED, scratch.hoisted),
    FIELD(LOG_AT, instruments.log_at),
    FIELD(LOG_END, instruments.log_end),
    FIELD(CR0, paging.cr0),
    FIELD(CR2, cr2),
    FIELD(CR3, paging.cr3),
    FIELD(GDT_BASE, gdtr.base),
    FIELD(TSC_OFFSET, tsc_offset),
    FIELD(TSC_AUX, tsc_aux),
    FIELD(MODE, mode),
    FIELD(GPR_HIGH, gpr_high),
    FIELD(FS_BASE64, base64.fs),
    FIELD(GS_BASE64, base64.gs),
    FIELD(KERNEL_GS_BASE, kernel_gs_base),
    FIELD(LONG_JUMP_TABLE, scratch.long_jump_table),
    FIELD(WINDOW_NEGATED, scratch.window_negated),
    FIELD(WINDOW_DELTA, scratch.window_delta),
    {"FRAME_MODE_LONG", MODE_LONG},
    {"FRAME_HOISTED_COUNT", ARRAY_SIZE(((struct vcpu *)0)->scratch.hoisted)},
    {"FRAME_THUNK_COUNT", ARRAY_SIZE(((struct vcpu *)0)->scratch.thunk)},
    {"FRAME_SEG_BYTES", sizeof(struct segment)},
    {"FRAME_SEG_BASE", offsetof(struct segment, base)},
    {"FRAME_SEG_LIMIT", offsetof(struct segment, limit)},
    {"FRAME_SEG_SELECTOR", offsetof(struct segment, selector)},
    {"FRAME_SEG_RAW", offsetof(struct segment, raw)},
    {"FRAME_SEG_COMPARABLE", offsetof(struct segment, comparable)},
};
#undef FIELD

int main(int argc, char **argv)
{
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
    if (!out) return 1;
    fprintf(out, "/* Written by src/translator/offsets.c. */\n");
    for (unsigned n = 0; n < ARRAY_SIZE(offsets); n++)
        fprintf(out, "#define %s (%ld)\n", offsets[n].name, offsets[n].value);
    return fclose(out) ? 1 : 0;
}
