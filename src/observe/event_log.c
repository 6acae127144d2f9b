#include "event_log.h"

#include "cpu/insn.h"
#include "cpu/memory.h"
#include "mmu/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct event_log {
    FILE *out;
    u64 from;
    /* the values before the instruction */
    u64 gpr[GPR_COUNT];
    u32 eflags;
    u16 cs;
};

typedef unsigned long long ull; /* for printf */

static const char *gpr_name(const struct vcpu *v, unsigned number)
{
    static const char *const names[8] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    static const char *const names64[GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                   "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    return vcpu_long_mode(v) ? names64[number] : names[number];
}

static unsigned gpr_count(const struct vcpu *v)
{
    return vcpu_long_mode(v) ? GPR_COUNT : 8;
}

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
        u32 error;
        u64 linear = segment_linear(v, SEG_CS, v->rip + got);
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
    enum code_size size = mode_code_size(v->mode);
    int length = available ? insn_decode(&insn, bytes, available, size) : -1;
    if (length > 0)
        insn_format(&insn, v->rip, size, text, sizeof(text));
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
    for (unsigned r = 0; r < gpr_count(v); r++)
        fprintf(out, "%s %08llx%s", gpr_name(v, r), (ull)vcpu_gpr_read(v, r), r % 4 == 3 ? "\n" : "  ");
    fprintf(out, "%s %08llx  eflags %08x  cr0 %08x  cr2 %08llx  cr3 %08llx  cr4 %08x  efer %03x\n",
            vcpu_code64(v) ? "rip" : "eip", (ull)v->rip, v->eflags, v->paging.cr0, (ull)v->cr2,
            (ull)v->paging.cr3, v->paging.cr4, (u32)v->paging.efer);
    for (unsigned s = 0; s < SEG_COUNT; s++)
        fprintf(out, "%s %04x base %08llx limit %08x access %05x\n", seg_names[s], v->seg[s].selector,
                (ull)segment_linear(v, s, 0), v->seg[s].limit, v->seg[s].access);
    fprintf(out, "ldtr %04x  tr %04x  gdtr %08llx+%04x  idtr %08llx+%04x\n", v->ldtr.selector, v->tr.selector,
            (ull)v->gdtr.base, v->gdtr.limit, (ull)v->idtr.base, v->idtr.limit);
}

bool event_log_before(struct event_log *log, struct vcpu *v)
{
    if (v->icount < log->from) return false;
    fpu_park(v);
    for (unsigned r = 0; r < GPR_COUNT; r++)
        log->gpr[r] = vcpu_gpr_read(v, r);
    log->eflags = v->eflags;
    log->cs = v->seg[SEG_CS].selector;
    fprintf(log->out, "%llu %04x:%08llx  ", (ull)v->icount, log->cs, (ull)v->rip);
    event_log_print_instruction(v, log->out);
    return true;
}

void event_log_after(struct event_log *log, struct vcpu *v)
{
    FILE *out = log->out;
    const char *lead = "  ;";
    fpu_park(v);
    for (unsigned r = 0; r < gpr_count(v); r++)
        if (vcpu_gpr_read(v, r) != log->gpr[r]) {
            fprintf(out, "%s %s=%08llx", lead, gpr_name(v, r), (ull)vcpu_gpr_read(v, r));
            lead = "";
        }
    if (v->eflags != log->eflags) {
        fprintf(out, "%s eflags=%08x", lead, v->eflags);
        lead = "";
    }
    if (v->seg[SEG_CS].selector != log->cs) fprintf(out, "%s cs=%04x", lead, v->seg[SEG_CS].selector);
    fputc('\n', out);
}
