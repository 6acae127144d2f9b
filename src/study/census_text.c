/*
 * The census as text, and the texts that all its reports share.
 */
#include "census.h"

#include "cpu/isa.h"

#include <stdio.h>
#include <string.h>

const char *census_cpu_name(enum census_cpu cpu)
{
    static const char *const names[CENSUS_CPUS] = {
        "this host, 32-bit code",
        "this host, 64-bit mode",
        "a simulated CPU without UMIP",
        "a simulated CPU with UMIP",
        "a simulated CPU with UMIP and CPUID faulting",
        "a simulated CPU in virtual-8086 mode",
        "a simulated CPU in 64-bit mode without UMIP",
        "a simulated CPU in 64-bit mode with UMIP",
        "a simulated CPU in 64-bit mode with UMIP and CPUID faulting"};
    return names[cpu];
}

const char *census_cpu_heading(enum census_cpu cpu)
{
    static const char *const headings[CENSUS_CPUS] = {
        "host, 32-bit",  "host, 64-bit",     "no UMIP*",      "UMIP*",          "UMIP, CPUID*",
        "virtual-8086*", "64-bit, no UMIP*", "64-bit, UMIP*", "64-bit, CPUID*",
    };
    return headings[cpu];
}

const char *census_class_name(enum census_class class)
{
    static const char *const names[CENSUS_CLASSES] = {"innocuous", "privileged", "control-sensitive",
                                                      "behaviour-sensitive"};
    return names[class];
}

static const char *vector_name(u8 vector)
{
    switch (vector) {
    case 1: return "#DB";
    case 3: return "#BP";
    case 4: return "#OF";
    case 6: return "#UD";
    case 13: return "#GP";
    case 14: return "#PF";
    case 32: return "INT";
    case OUTCOME_ENTERED: return "entry";
    case OUTCOME_NO_VECTOR: return "leads away";
    default: return "trap";
    }
}

const char *census_verdict_text(const struct census_observation *o, char *text, size_t bytes)
{
    char parts[64];
    switch (o->verdict) {
    case VERDICT_NOT_TRIED: snprintf(text, bytes, "-"); break;
    case VERDICT_TRAPS: snprintf(text, bytes, "traps (%s)", vector_name(o->vector)); break;
    case VERDICT_SAME: snprintf(text, bytes, o->some_trapped ? "same, or traps" : "same"); break;
    case VERDICT_DIFFERS:
        snprintf(text, bytes, "differs: %s", outcome_part_names(o->parts, parts, sizeof(parts)));
        break;
    }
    return text;
}

const char *census_treatment_text(const struct isa_row *row)
{
    switch ((enum treatment)row->treatment) {
    case TREAT_IDENTICAL: return "runs as it is";
    case TREAT_INLINE: return "own code in line";
    case TREAT_BRANCH: return "rewritten branch";
    case TREAT_CALLOUT: return "callout";
    case TREAT_END: return "callout, ends block";
    }
    return "";
}

/* --- the table --- */

/* Columns are two blanks apart, and no cell has two blanks in a row. */
static void print_row(const char *form, const char *class, const char *sensitive,
                      const char *(*cell)(const void *owner, enum census_cpu cpu, char *text, size_t bytes),
                      const void *owner, const char *treatment, const char *manual, FILE *out)
{
    fprintf(out, "%-17s  %-19s  %-5s", form, class, sensitive);
    for (enum census_cpu cpu = 0; cpu < CENSUS_CPUS; cpu++) {
        char text[80];
        fprintf(out, "  %-26s", cell(owner, cpu, text, sizeof(text)));
    }
    fprintf(out, *manual ? "  %-19s  %s\n" : "  %s\n", treatment, manual);
}

static const char *heading_cell(const void *owner, enum census_cpu cpu, char *text, size_t bytes)
{
    return census_cpu_heading(cpu);
}

static const char *verdict_cell(const void *owner, enum census_cpu cpu, char *text, size_t bytes)
{
    return census_verdict_text(&((const struct census_entry *)owner)->on[cpu], text, bytes);
}

static void print_entry(const struct census_entry *e, enum census_cpu reference, FILE *out)
{
    char sensitive[8];
    snprintf(sensitive, sizeof(sensitive), "%c %c %c", e->control ? 'C' : '.', e->location ? 'L' : '.',
             e->mode ? 'M' : '.');
    print_row(e->form, census_class_name(census_class_of(e, reference)), sensitive, verdict_cell, e,
              census_treatment_text(e->row), e->row->manual ? e->row->manual : "", out);
}

static unsigned print_breaking(const struct census *c, enum census_cpu cpu, FILE *out,
                               bool (*breaks)(const struct census_entry *, enum census_cpu))
{
    unsigned count = 0, column = 4;
    fprintf(out, "   ");
    for (unsigned n = 0; n < c->count; n++) {
        const char *form = c->entry[n].form;
        if (!breaks(&c->entry[n], cpu)) continue;
        if (column + strlen(form) + 2 > 110) {
            fprintf(out, "\n   ");
            column = 4;
        }
        fprintf(out, " %s;", form);
        column += (unsigned)strlen(form) + 2;
        count++;
    }
    fprintf(out, count ? "\n" : " none\n");
    return count;
}

bool census_tried(const struct census *c, enum census_cpu cpu)
{
    for (unsigned n = 0; n < c->count; n++)
        if (c->entry[n].on[cpu].verdict != VERDICT_NOT_TRIED) return true;
    return false;
}

void census_print_verdict(unsigned first, unsigned third, FILE *out)
{
    fprintf(out, "Theorem 1 %s (%u forms); theorem 2, recursion, %s; theorem 3 %s (%u forms).",
            first ? "does not hold" : "holds", first,
            first ? "falls with it" : "holds as far as time does not matter",
            third ? "does not hold" : "holds", third);
}

static void print_theorems(const struct census *c, enum census_cpu cpu, FILE *out)
{
    fprintf(out, "\nOn %s:\n", census_cpu_name(cpu));
    fprintf(out, "  Theorem 1 (a trap-and-emulate monitor): sensitive forms that do not always trap:\n");
    unsigned first = print_breaking(c, cpu, out, census_breaks_theorem_1);
    fprintf(out, "  Theorem 3 (a hybrid monitor, which interprets the kernel): what a program in user mode "
                 "would notice:\n");
    unsigned third = print_breaking(c, cpu, out, census_breaks_theorem_3);
    fputs("  ", out);
    census_print_verdict(first, third, out);
    fputc('\n', out);
}

void census_print_text(const struct census *c, FILE *out)
{
    enum census_cpu reference = census_reference(c);
    fprintf(out, "Host: %s; UMIP %s, CPUID faulting %s, 32-bit code %s.\n", c->host.name,
            c->host.umip ? "yes" : "no", c->host.cpuid_faulting ? "yes" : "no", c->has_32 ? "yes" : "no");
    fprintf(
        out,
        "Each form was executed at CPL 3 and compared with its meaning at CPL 0. The class is that on: %s.\n"
        "C: changed the machine's resources; L: its result depends on where they are; M: on the mode.\n\n",
        census_cpu_name(reference));
    print_row("form", "class", "C L M", heading_cell, NULL, "Ringer", "manual", out);
    for (unsigned n = 0; n < c->count; n++)
        print_entry(&c->entry[n], reference, out);
    fprintf(out, "\n* simulated by Ringer's interpreter, with other tables than the guest's\n");
    fprintf(out,
            "UMIP (SDM 3A 2.5, CR4) makes SGDT, SIDT, SLDT, SMSW and STR trap; the simulated columns "
            "show it.%s\n"
            "CPUID faulting makes CPUID trap, as in the simulated columns \"CPUID\", which have both: this "
            "host %s.\n",
            c->host.umip
                ? " Linux answers\nfor this host's CPU with made-up values, so a program sees no trap."
                : "",
            c->cpuid_faulted ? "has it, and CPUID trapped when it was on" : "has none");
    for (enum census_cpu cpu = 0; cpu < CENSUS_CPUS; cpu++)
        if (cpu != CPU_VM86 && census_tried(c, cpu)) print_theorems(c, cpu, out);
}
