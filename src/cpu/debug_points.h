/*
 * A debugger's points: addresses at which it wants the machine to stop. The guest cannot see them: they are not in its
 * memory, nor in its debug registers.
 *
 *   code point   a linear address; execution stops before the instruction that begins there (a breakpoint)
 *   data point   a range of linear addresses; execution stops behind an instruction that writes or reads it
 *                (a watchpoint)
 *
 * Invariants
 * 1. No translated block has an instruction at the address of a code point, or has found flags dead behind it. Planning
 *    ends a block there, and setting a point kills the blocks that break the rule. So the interpreter executes
 *    the instruction, and looks for points before it does. Other code runs as if there were none.
 * 2. A code point that was cleared stays in the table, inactive, until code at its address is translated. A debugger
 *    that clears its points and sets them again at each stop costs the cache nothing.
 * 3. Pages that data points touch have no entries that would let an access pass unseen (mmu/watch.h). So accesses to
 *    them take the slow path, which compares the address.
 *
 * Only the vCPU's thread calls this.
 */
#ifndef RINGER_CPU_DEBUG_POINTS_H
#define RINGER_CPU_DEBUG_POINTS_H

#include "vcpu.h"

#define CODE_POINTS_MAX 1024
#define DATA_POINTS_MAX 32
/* Addresses with the same low bits share a bit. */
#define CODE_POINT_BITS 1024u

enum data_point_kind { DATA_WRITE = 1, DATA_READ = 2, DATA_ACCESS = DATA_WRITE | DATA_READ };

struct code_point {
    u64 linear;
    bool active;
};

struct data_point {
    u64 linear, bytes;
    enum data_point_kind kind;
};

struct debug_points {
    struct code_point code[CODE_POINTS_MAX];
    u32 codes, active_codes;
    u64 code_bits[CODE_POINT_BITS / 64]; /* of active and inactive ones */
    struct data_point data[DATA_POINTS_MAX];
    u32 datas;
    /* Execution goes on at this address although there is a code point. */
    bool passes;
    u64 passed;
    /* The data point that the last instruction hit (PENDING_DEBUGGER). */
    struct data_point hit;
};

/* False: there are too many. */
bool debug_points_set_code(struct vcpu *v, u64 linear);
bool debug_points_set_data(struct vcpu *v, u64 linear, u64 bytes, enum data_point_kind kind);
/* False: there is none. */
bool debug_points_clear_code(struct vcpu *v, u64 linear);
bool debug_points_clear_data(struct vcpu *v, u64 linear, u64 bytes, enum data_point_kind kind);
void debug_points_clear_all(struct vcpu *v);

/* Execute the instruction at CS:RIP although there is a code point. */
void debug_points_pass(struct vcpu *v);

/* Is there an active code point at CS:RIP that is not to be passed? */
bool debug_points_stop_slow(struct vcpu *v);
static inline bool debug_points_stop(struct vcpu *v)
{
    return unlikely(v->instruments.points != NULL) && debug_points_stop_slow(v);
}

/* An access of the running instruction: does it hit a data point? Then a stop is due behind the instruction. */
void debug_points_access_slow(struct vcpu *v, u64 linear, u64 bytes, bool write);
static inline void debug_points_access(struct vcpu *v, u64 linear, u64 bytes, bool write)
{
    if (unlikely(v->instruments.points != NULL)) debug_points_access_slow(v, linear, bytes, write);
}
/* The instruction faulted, and will be executed again. */
void debug_points_forget_access(struct vcpu *v);

/* --- for the translator --- */

/* Does an access to these bytes perhaps hit a data point? */
bool debug_points_may_hit(const struct debug_points *points, u64 linear, u64 bytes);
/* Is there a code point, active or not, in [linear, linear + bytes)? */
bool debug_points_in(const struct debug_points *points, u64 linear, u64 bytes);
/* May a block begin here? If so, an inactive code point at this address is removed. */
bool debug_points_admit_block(struct debug_points *points, u64 linear);

#endif
