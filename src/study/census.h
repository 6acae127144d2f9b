/*
 * The census of the instruction set (Popek & Goldberg 1974, Robin & Irvine 2000): each system-related form of the
 * table, and ordinary ones as a control group, is executed at CPL 3 on several CPUs, and the outcome is compared with
 * its meaning to a kernel at CPL 0. The class is derived from these observations, never from the table.
 *
 * The CPUs: this host in 32-bit code and in 64-bit mode, and simulated ones (the interpreter with a monitor's tables
 * in place of the guest's) for CPUs that this host is not: without UMIP, with UMIP, with CPUID faulting, and
 * virtual-8086 mode, where the meaning is that of real mode. In 64-bit mode, of the host and simulated, the meaning is
 * that of a 64-bit kernel.
 */
#ifndef RINGER_STUDY_CENSUS_H
#define RINGER_STUDY_CENSUS_H

#include "forms.h"
#include "host_experiment.h"
#include "outcome.h"

#include <stdio.h>

enum census_cpu {
    CPU_HOST_32,
    CPU_HOST_64,
    CPU_PLAIN,
    CPU_UMIP,
    CPU_FAULTING, /* with UMIP and CPUID faulting */
    CPU_VM86,
    CPU_WIDE, /* 64-bit mode */
    CPU_WIDE_UMIP,
    CPU_WIDE_FAULTING,
    CENSUS_CPUS,
};

/* In order of weight: where several examples of a form disagree, the heaviest counts. */
enum census_verdict {
    VERDICT_NOT_TRIED,
    VERDICT_TRAPS,
    VERDICT_SAME,
    VERDICT_DIFFERS, /* executed without a trap, with another result */
};

enum census_class { CLASS_INNOCUOUS, CLASS_PRIVILEGED, CLASS_CONTROL, CLASS_BEHAVIOUR, CENSUS_CLASSES };

struct census_observation {
    enum census_verdict verdict;
    u8 vector;         /* of a trap */
    bool some_trapped; /* it traps with some operands */
    bool user_differs; /* without a trap, it does not do what it does in the guest's user mode: theorem 3 */
    u32 parts;         /* enum outcome_part: what differs */
    enum census_class class;
};

struct census_entry {
    const char *form;
    const struct isa_row *row;
    u16 traits; /* enum form_traits */
    /* Of the meaning at CPL 0: */
    u32 control;         /* enum control_part: resources it changed */
    bool location, mode; /* the result depends on where resources are; on the mode */
    struct census_observation on[CENSUS_CPUS];
};

struct census {
    struct host_features host;
    bool has_32;
    bool cpuid_faulted; /* CPUID trapped with CPUID faulting on; false where the host has none */
    unsigned count;
    struct census_entry *entry;
};

/* Makes all experiments. False with one sentence in error. */
bool census_take(struct census *c, char *error, size_t error_bytes);
void census_release(struct census *c);

static inline bool census_is_sensitive(const struct census_entry *e)
{
    return e->control || e->location || e->mode;
}
/* Sensitive, and not always trapped: theorem 1 forbids this. */
bool census_breaks_theorem_1(const struct census_entry *e, enum census_cpu cpu);
/* The same for user-sensitive ones: theorem 3. */
bool census_breaks_theorem_3(const struct census_entry *e, enum census_cpu cpu);

/* The CPU on which verdicts are given: this host's 32-bit code, or where it executes none, the simulated CPU that has
 * UMIP if the host has it. */
enum census_cpu census_reference(const struct census *c);

/* On the reference CPU; of a form that only 64-bit mode has, on the simulated one. */
enum census_class census_class_of(const struct census_entry *e, enum census_cpu reference);

const char *census_cpu_name(enum census_cpu cpu);
const char *census_cpu_heading(enum census_cpu cpu); /* of its column */
const char *census_class_name(enum census_class class);
/* "traps (#GP)", "differs: IF". */
const char *census_verdict_text(const struct census_observation *o, char *text, size_t bytes);
/* Ringer's treatment of it, in a few words. */
const char *census_treatment_text(const struct isa_row *row);

/* Were experiments made on it? */
bool census_tried(const struct census *c, enum census_cpu cpu);
/* The three theorems in a sentence, by the numbers of forms that break the first and the third. */
void census_print_verdict(unsigned first, unsigned third, FILE *out);

void census_print_text(const struct census *c, FILE *out);
void census_print_json(const struct census *c, FILE *out);
void census_print_html(const struct census *c, FILE *out);

#endif
