/*
 * What if a monitor only trapped and emulated? A small guest kernel runs under such a monitor (its code executed by the
 * host CPU at CPL 3 in a child, each trap emulated against the kernel's virtual state), and then under Ringer.
 */
#ifndef RINGER_STUDY_WHAT_IF_H
#define RINGER_STUDY_WHAT_IF_H

#include "base/types.h"

#include <stdio.h>

/* The kernel's answers, in the order of its dwords (what_if_kernel.inc). */
enum what_if_step {
    STEP_SGDT,
    STEP_SIDT,
    STEP_PUSHF,
    STEP_POPF,
    STEP_CS,
    STEP_STR,
    STEP_SMSW,
    STEP_CR0,
    STEP_LAR,
    STEP_VERR,
    STEP_MSR,
    STEP_PORT,
    WHAT_IF_STEPS,
};

struct what_if_run {
    bool ended; /* the kernel came to its end */
    u32 found[WHAT_IF_STEPS];
    unsigned traps; /* of the trap-and-emulate monitor */
};

/* Under the trap-and-emulate monitor. host_experiment_init() came before. */
struct what_if_run what_if_trap_and_emulate(bool code32);

/* Under Ringer: this program is started again. Returns 0 or -errno. */
int what_if_ringer(struct what_if_run *run);

struct what_if {
    bool code32; /* the host executes 32-bit code: the trap-and-emulate monitor runs the kernel in it */
    struct what_if_run naive, ringer;
};

/* Runs both. Returns false, with one sentence in error, if an experiment cannot be made. */
bool what_if_take(struct what_if *w, char *error, size_t error_bytes);

/* what_if_report.c: right answers beside those found. format: text, json or html. */
void what_if_print(const struct what_if *w, const char *format, FILE *out);

#endif
