/*
 * The machine's time, from one of two sources behind the same struct clock.
 *
 * Real: CLOCK_MONOTONIC since power-on. The guest's TSC is the host's (plus vcpu.tsc_offset), so translated code may
 * read it inline. The waker gets the next deadline.
 *
 * Deterministic: one nanosecond an instruction, plus the idle time that was skipped. The TSC runs at 1 GHz. The next
 * deadline becomes vcpu.icount_limit, so timers fire between the same two instructions in every run.
 */
#ifndef RINGER_VM_VMTIME_H
#define RINGER_VM_VMTIME_H

#include "base/device.h"
#include "cpu/vcpu.h"
#include "waker.h"

struct vm_time {
    struct clock clock; /* first: the clock's callbacks find the rest */
    struct vcpu *vcpu;
    struct waker *waker; /* NULL: deadlines are not published */
    bool deterministic;
    bool running_timers; /* vm_time_run() publishes once, at its end */
    u64 origin_ns;       /* real: CLOCK_MONOTONIC at power-on */
    u64 origin_tsc;      /* and the host's TSC then */
    u64 tsc_hz;          /* 0: not known yet */
    u64 skipped_ns;      /* deterministic: idle time */
    bool frozen;         /* real: time stands still */
    u64 frozen_ns;       /* guest time at which it stopped */
    u64 frozen_tsc;      /* and the host's TSC then */
    u64 budget;          /* icount at which engines stop in any case; UINT64_MAX: none */
};

void vm_time_init(struct vm_time *time, struct vcpu *vcpu, bool deterministic);
/* From now on deadlines are published there. */
void vm_time_set_waker(struct vm_time *time, struct waker *waker);
/* Have engines return EXIT_BUDGET at this icount. */
void vm_time_set_budget(struct vm_time *time, u64 icount);
/* Stop the clock and the TSC, or let both continue from where they stopped. */
void vm_time_freeze(struct vm_time *time, bool frozen);
/* Fire what is due. */
void vm_time_run(struct vm_time *time);
/* Real and idle: wait until the next deadline, or until something is pending; poll for the first look_out_ns. Then run
 * timers. */
void vm_time_wait(struct vm_time *time, u64 look_out_ns);
/* Deterministic and idle: jump to the next deadline. False when there is none. */
bool vm_time_skip(struct vm_time *time);
/* The TSC before vcpu.tsc_offset. */
u64 vm_time_tsc(struct vm_time *time);
/* The TSC's rate. Real: measured against CLOCK_MONOTONIC since power-on, over 10 ms at least, for which the first
 * caller may have to wait. All callers get the same rate. */
u64 vm_time_tsc_hz(struct vm_time *time);
/* The rate of the host's TSC. */
u64 vm_time_host_tsc_hz(struct vm_time *time);
/* All clocks at one moment. The caller fills in `wall_ns`. */
struct time_sample vm_time_sample(struct vm_time *time);

#endif
