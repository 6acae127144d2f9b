#include "event_log.h"

#include "cpu/insn.h"
#include "mmu/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct event_log {
    FILE *out;
    u64 from;
    /* the values before the instruction */
    u64 gpr[8];
    u32 eflags;
    u16 cs;
};

static const char *const gpr_names[8] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
static const char *const seg_names[SEG_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs"};

struct event_log *event_log_open(const char *path, u64 from, char *error, size_t error_bytes)
{
    FILE *out = strcmp(path, "stderr") ? fopen(path, "we") : stderr;
    struct event_log *log = out ? calloc(1, sizeof(*log)) : NULL;
    if (!log) {
        snprintf(error, error_bytes, "cannot write the event log to %s: %s", path, strerror(errno));
        if (out && out != stderr) fclose(out);
        return NULL;
    }
    log->out = out;
    log->from = from;
    return log;
}

void event_log_close(struct event_log *log)
{
    if (!log) return;
    if (log->out != stderr) fclose(log->out);
    free(log);
}

/* Read at most `bytes` bytes at CS:EIP, up to the first byte that would fault. */
static unsigned fetch(struct vcpu *v, u8 *buffer, unsigned bytes)
{
    unsigned got = 0;
    for (; got < bytes; got++) {
        u32 linear = v->seg[SEG_CS].base + (u32)v->rip + got, error;
        struct walk walk;
        if (!mmu_walk(v->phys, &v->paging, linear, ACCESS_FETCH, v->cpl == 3, false, &walk, &error)) break;
        u8 *host = phys_host(v->phys, walk.gpa);
        if (!host) break;
        buffer[got] = *host;
    }
    return got;
}

void event_log_print_instruction(struct vcpu *v, FILE *out)
{
    u8 bytes[INSN_MAX_BYTES];
    char text[128] = "(cannot be fetched)";
    struct insn insn;
    unsigned available = fetch(v, bytes, sizeof(bytes));
    int length = available ? insn_decode(&insn, bytes, available, vcpu_code32(v)) : -1;
    if (length > 0)
        insn_format(&insn, (u32)v->rip, vcpu_code32(v), text, sizeof(text));
    else if (length == 0)
        snprintf(text, sizeof(text), "(undefined)");
    unsigned shown = length > 0 ? (unsigned)length : available ? 1 : 0;
    int column = 0;
    for (unsigned i = 0; i < shown; i++)
        column += fprintf(out, "%02x", bytes[i]);
    fprintf(out, "%*s %s", column < 20 ? 20 - column : 0, "", text);
}

void event_log_print_state(struct vcpu *v, FILE *out)
{
    fprintf(out, "icount %llu  mode %08x  cpl %u%s%s\n", (unsigned long long)v->icount, v->mode, v->cpl,
            v->halted ? "  halted" : "", v->inhibit ? "  interrupts inhibited" : "");
    for (unsigned r = 0; r < 8; r++)
        fprintf(out, "%s %08x%s", gpr_names[r], (u32)v->gpr[r], r % 4 == 3 ? "\n" : "  ");
    fprintf(out, "eip %08x  eflags %08x  cr0 %08x  cr2 %08x  cr3 %08x  cr4 %08x\n", (u32)v->rip, v->eflags,
            v->paging.cr0, v->cr2, (u32)v->paging.cr3, v->paging.cr4);
    for (unsigned s = 0; s < SEG_COUNT; s++)
        fprintf(out, "%s %04x base %08x limit %08x access %05x\n", seg_names[s], v->seg[s].selector,
                v->seg[s].base, v->seg[s].limit, v->seg[s].access);
    fprintf(out, "ldtr %04x  tr %04x  gdtr %08x+%04x  idtr %08x+%04x\n", v->ldtr.selector, v->tr.selector,
            v->gdtr.base, v->gdtr.limit, v->idtr.base, v->idtr.limit);
}

bool event_log_before(struct event_log *log, struct vcpu *v)
{
    if (v->icount < log->from) return false;
    fpu_park(v);
    memcpy(log->gpr, v->gpr, sizeof(log->gpr));
    log->eflags = v->eflags;
    log->cs = v->seg[SEG_CS].selector;
    fprintf(log->out, "%llu %04x:%08x  ", (unsigned long long)v->icount, log->cs, (u32)v->rip);
    event_log_print_instruction(v, log->out);
    return true;
}

void event_log_after(struct event_log *log, struct vcpu *v)
{
    FILE *out = log->out;
    const char *lead = "  ;";
    fpu_park(v);
    for (unsigned r = 0; r < 8; r++)
        if ((u32)v->gpr[r] != (u32)log->gpr[r]) {
            fprintf(out, "%s %s=%08x", lead, gpr_names[r], (u32)v->gpr[r]);
            lead = "";
        }
    if (v->eflags != log->eflags) {
        fprintf(out, "%s eflags=%08x", lead, v->eflags);
        lead = "";
    }
    if (v->seg[SEG_CS].selector != log->cs) fprintf(out, "%s cs=%04x", lead, v->seg[SEG_CS].selector);
    fputc('\n', out);
}
