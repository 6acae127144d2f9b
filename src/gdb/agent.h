/*
 * Conditions of breakpoints, as agent expressions: code for a small stack machine that gdb compiles from the
 * user's condition (the manual's appendix "The GDB Agent Expression Mechanism"). They are evaluated here, so that a
 * false one costs microseconds and no exchange with gdb.
 */
#ifndef RINGER_GDB_AGENT_H
#define RINGER_GDB_AGENT_H

#include "base/types.h"

struct gdb;

#define CONDITIONS_MAX       256
#define CONDITION_BYTES      (64u << 10) /* of all together */
#define AGENT_STEPS_MAX      100000      /* an expression that runs longer is false */
#define AGENT_STACK_ELEMENTS 100

/* A breakpoint with several conditions stops if one is true; without any, always. */
struct condition {
    u64 linear;
    u32 at, bytes; /* in `code` */
};

struct conditions {
    struct condition condition[CONDITIONS_MAX];
    u32 count;
    u8 code[CONDITION_BYTES];
    u32 used;
};

/* Add one. False: there is no room. */
bool conditions_add(struct conditions *conditions, u64 linear, const u8 *code, u32 bytes);
void conditions_remove(struct conditions *conditions, u64 linear);
/* Does the breakpoint at this address stop? An expression with an error (memory that is not there, a division by zero)
 * counts as true, so that the user sees it. */
bool conditions_hold(struct gdb *gdb, u64 linear);

#endif
