/*
 * Which system calls each role of threads may make. Only the generator of the filters reads this (generator.c): the
 * build turns the table into programs for the kernel, so that a start of Ringer costs no compilation.
 */
#ifndef RINGER_SANDBOX_RULES_H
#define RINGER_SANDBOX_RULES_H

#include "base/confine.h"

/* Stands in conditions for the number of the process; filter.c replaces it. */
#define RULE_OWN_PID 0x52696e67u

struct rule_condition {
    unsigned argument; /* 0..5 */
    unsigned long long mask, value;
};

#define RULE_CONDITIONS 2

/* Rows with one name are alternatives. */
struct rule {
    const char *name;
    unsigned roles; /* a bit a role */
    unsigned conditions;
    struct rule_condition condition[RULE_CONDITIONS];
};

extern const struct rule rules_allowed[];
/* Calls that fail silently with an error where the rows above do not allow them: libraries try them and manage
 * without them. Where a filter can tell, it returns the error itself and raises no SIGSYS, which may be blocked. */
struct rule_refusal {
    const char *name;
    unsigned roles;
    int error;
    unsigned conditions; /* 0, or 1: for these arguments, where rows above allow others */
    struct rule_condition condition;
};

extern const struct rule_refusal rules_refused[];

/* No code of the process makes these calls. A thread that makes one no longer runs Ringer's code. */
extern const char *const rules_deadly[];
/* The same, unless the user network is to start programs (guestfwd=...-cmd:). */
extern const char *const rules_programs[];

#endif
