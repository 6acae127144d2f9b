/*
 * What a debugger outside the guest does to a machine: it stops it at its points (cpu/debug_points.h) and executes
 * single instructions. The dispatcher calls this; the gdb stub (src/gdb) decides.
 */
#ifndef RINGER_VM_DEBUGGER_H
#define RINGER_VM_DEBUGGER_H

#include "cpu/debug_points.h"

struct vm;

enum debugger_cause {
    DEBUGGER_BREAKPOINT, /* the next instruction has a code point */
    DEBUGGER_DATA,       /* the last one hit a data point: points.hit */
    DEBUGGER_STEPPED,
};

struct machine_debugger {
    struct debug_points points;
    /* Does the machine really stop at this code point? Called with the FPU parked. NULL: yes. */
    bool (*stops)(void *owner, u64 linear);
    void *owner;
    /* A replay runs to the budget of vm_time. notes: a point is hit on the way; true: the machine goes on. arrived: the
     * budget is used up. NULL: there is no replay. */
    bool (*notes)(void *owner, enum debugger_cause cause);
    void (*arrived)(void *owner);
    const char *changed; /* why a replay would differ, as a sentence for the user; NULL: it would not */
    bool begins;         /* the machine is at its first instruction, after a step backwards */
    bool stopped;        /* while the machine is paused: the debugger's points or steps have stopped it */
    enum debugger_cause cause; /* of that */
    bool steps;                /* execute one instruction, then pause */
    bool first;                /* no instruction of the step was executed yet */
    bool woken;                /* the CPU was halted; an interrupt has woken it */
    bool holds_interrupts;     /* while it steps (not in deterministic mode: the run must not change) */
    u64 range_from, range_to;  /* while RIP is within, step on; equal: one instruction */
};

/* From now on the vCPU stops at the points, or ignores them. */
void debugger_attach(struct vm *vm);
void debugger_detach(struct vm *vm);

/* Let the paused machine run; or execute one instruction, or instructions while RIP is in [from, to). */
void debugger_continue(struct vm *vm);
void debugger_step(struct vm *vm, u64 from, u64 to);

/* Pause the machine, and tell the debugger. */
void debugger_stop(struct vm *vm, enum debugger_cause cause);

/* --- for the dispatcher --- */

/* An engine returned EXIT_BUDGET. */
void debugger_budget(struct vm *vm);
/* An engine returned EXIT_BREAKPOINT. */
void debugger_breakpoint(struct vm *vm);
/* PENDING_DEBUGGER. */
void debugger_data_hit(struct vm *vm);
/* Execute an instruction of a step. */
enum exit_reason debugger_execute(struct vm *vm);

#endif
