#include "event_log.h"

#include "base/events.h"
#include "base/log.h"
#include "cpu/insn.h"
#include "cpu/isa.h"
#include "cpu/memory.h"
#include "mmu/walk.h"
#include "options/options.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct event_log {
    struct events events; /* first */
    const struct event_log_options *options;
    struct vcpu *vcpu;
    const struct clock *clock;
    FILE *out;
    /* the values before the instruction */
    u64 gpr[GPR_COUNT];
    u32 eflags;
    u16 cs;
};

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

/* --- events --- */

static const char *const reason_names[] = {
    [EXIT_NONE] = "none",
    [EXIT_PENDING] = "pending",
    [EXIT_HALT] = "halt",
    [EXIT_SHUTDOWN] = "shutdown",
    [EXIT_BUDGET] = "budget",
    [EXIT_STEP] = "step",
    [EXIT_BREAKPOINT] = "breakpoint",
};

static bool wanted(const struct event_log *log, enum event_category category)
{
    const struct event_log_options *o = log->options;
    const struct vcpu *v = log->vcpu;
    return o->categories >> category & 1 && v->icount >= o->from && v->icount <= o->to &&
           o->cpls >> v->cpl & 1;
}

static void print_field(FILE *out, char kind, u64 value)
{
    switch (kind) {
    case 'x': fprintf(out, "0x%llx", (ull)value); break;
    case 'd': fprintf(out, "%llu", (ull)value); break;
    case 'r': fputs(value < ARRAY_SIZE(reason_names) ? reason_names[value] : "?", out); break;
    case 'f': fputs(value ? isa_row_numbered((unsigned)value)->name : "UNDEFINED", out); break;
    default: assert(false);
    }
}

/* May be called in the middle of an instruction. It is integer code, so the FPU shelter suffices. */
static void note(struct events *events, enum event event, const u64 arg[4])
{
    struct event_log *log = (struct event_log *)events;
    const struct event_row *row = &event_rows[event];
    if (!wanted(log, row->category)) return;
    fpu_shelter(log->vcpu);
    fprintf(log->out, "%llu %s %s", (ull)clock_now(log->clock), event_categories[row->category].name,
            row->name);
    if (row->fields[0]) fputc(' ', log->out);
    for (const char *at = row->fields; *at; at++) {
        if (*at == '%')
            print_field(log->out, *++at, *arg++);
        else
            fputc(*at, log->out);
    }
    fputc('\n', log->out);
}

/* --- open and close --- */

struct event_log *event_log_open(const struct event_log_options *options, char *error, size_t error_bytes)
{
    FILE *out = options->path ? fopen(options->path, "we") : stderr;
    struct event_log *log = out ? calloc(1, sizeof(*log)) : NULL;
    if (!log) {
        snprintf(error, error_bytes, "cannot write the event log to %s: %s",
                 options->path ? options->path : "stderr", strerror(errno));
        if (out && out != stderr) fclose(out);
        return NULL;
    }
    log->events.note = note;
    log->options = options;
    log->out = out;
    return log;
}

void event_log_attach(struct event_log *log, struct vcpu *v, const struct clock *clock)
{
    if (!log) return;
    log->vcpu = v;
    log->clock = clock;
    if (log->options->categories & ~(1u << EVENT_INSTRUCTION))
        v->counters->events = v->phys->events = &log->events;
}

void event_log_close(struct event_log *log)
{
    if (!log) return;
    if (log->vcpu) log->vcpu->counters->events = log->vcpu->phys->events = NULL;
    bool failed = ferror(log->out);
    if ((log->out != stderr && fclose(log->out)) || failed)
        log_warn("the event log could not be written whole: %s", strerror(errno));
    free(log);
}

bool event_log_instructions(const struct event_log *log)
{
    return log->options->categories & 1u << EVENT_INSTRUCTION;
}

/* --- instructions --- */

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
    fprintf(out, "icount %llu  mode %08x  cpl %u%s%s\n", (ull)v->icount, v->mode, v->cpl,
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
    if (!wanted(log, EVENT_INSTRUCTION)) return false;
    fpu_park(v);
    for (unsigned r = 0; r < GPR_COUNT; r++)
        log->gpr[r] = vcpu_gpr_read(v, r);
    log->eflags = v->eflags;
    log->cs = v->seg[SEG_CS].selector;
    fprintf(log->out, "%llu instruction %llu %04x:%08llx  ", (ull)clock_now(log->clock), (ull)v->icount,
            log->cs, (ull)v->rip);
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
