/*
 * What tests and measurements attach to a vCPU. A guest cannot tell the difference.
 */
#ifndef RINGER_CPU_VCPU_INSTRUMENTS_H
#define RINGER_CPU_VCPU_INSTRUMENTS_H

#include "base/types.h"

struct debug_points; /* debug_points.h */
struct vcpu;
struct write_log; /* memory.h */

struct vcpu_instruments {
    struct write_log *write_log; /* lockstep; NULL otherwise */
    struct debug_points *points; /* of a debugger outside the guest; NULL: it has none */
    /* A code point was set: blocks with the instruction there die. NULL: there are none. */
    void (*code_point_set)(struct vcpu *v, u64 linear);
    /* Fault injection: */
    bool no_fast_entry;   /* kernel entry and exit take the general routines only */
    bool no_bulk_strings; /* repeated string instructions go element by element */
    bool fpu_always_park; /* --no-fpu-shelter */
    u64 log_at, log_end;  /* of the buffer that blocks write their ids to (cache/block_log.h) */
};

#endif
