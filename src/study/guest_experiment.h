/*
 * One instruction on a guest's CPU, by the interpreter, in any mode: its meaning to the kernel that executes it at
 * CPL 0, and its outcome elsewhere.
 *
 * The guest is a vCPU in a small memory with a GDT, IDT, LDT and TSS of its own. `elsewhere` puts tables and other
 * resources at other addresses, with other contents. If the outcome changes then, the instruction is location-
 * sensitive.
 */
#ifndef RINGER_STUDY_GUEST_EXPERIMENT_H
#define RINGER_STUDY_GUEST_EXPERIMENT_H

#include "forms.h"
#include "outcome.h"

struct guest_setting {
    const char *name;
    bool protected, vm86;
    bool code64; /* 64-bit mode, with `protected` */
    u8 cpl, iopl;
    u8 gate_dpl;       /* of the gates of INT n, INT3, INTO, #DB */
    bool port_allowed; /* by an I/O bitmap of zeros */
    bool tsd, pce, umip, cpuid_faults;
    bool other_mode;       /* CR0.MP and CR0.NE inverted, XCR0 with SSE */
    bool kernel_selectors; /* the example has the selectors of CPL 0, whatever CPL is; else those in use */
    bool elsewhere;
};

struct guest_experiment;

/* NULL: out of memory. */
struct guest_experiment *guest_experiment_open(void);
void guest_experiment_close(struct guest_experiment *g);

/* Executes the example once. */
struct outcome guest_experiment_run(struct guest_experiment *g, const struct form_example *e,
                                    const struct guest_setting *setting);

#endif
