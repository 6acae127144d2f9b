/*
 * One instruction on the host CPU at CPL 3, in a child process: does it trap, and what is its result?
 */
#ifndef RINGER_STUDY_HOST_EXPERIMENT_H
#define RINGER_STUDY_HOST_EXPERIMENT_H

#include "forms.h"
#include "outcome.h"

/* Maps the memory that the experiments need. Returns 0 or -errno. */
int host_experiment_init(void);

/* Does this host execute 32-bit code? Where it does not, only 64-bit mode can be tried. */
bool host_experiment_has_32(void);

struct host_trial {
    bool code32;        /* 32-bit code; else 64-bit mode */
    bool own_selectors; /* CS and SS of the example are this process's; else those of a guest's kernel */
    bool cpuid_faults;  /* with CPUID faulting on, if the host has it */
};

/* Executes the example. If there is no memory for a child, the outcome is a trap with OUTCOME_NO_VECTOR. */
struct outcome host_experiment_run(const struct form_example *e, const struct host_trial *t);

/* What the host offers that changes the verdicts. */
struct host_features {
    bool umip; /* CPUID.7.0:ECX[2]; Linux turns it on, and answers for the CPU with made-up values */
    bool cpuid_faulting; /* arch_prctl(ARCH_SET_CPUID) works */
    char name[64];       /* the processor's brand string */
};
struct host_features host_experiment_features(void);

#endif
