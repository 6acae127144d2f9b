/*
 * Deterministic time: deadlines become instruction counts, idle time is skipped, and a deadline that is set within a
 * block ends the block. Hazard: timers that fire at different instructions under the two engines.
 */
#include "vm/vmtime.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static unsigned fired;

static void fire(void *device)
{
    fired++;
}

static struct vcpu *new_vcpu(void)
{
    struct vcpu *v = aligned_alloc(_Alignof(struct vcpu), sizeof(*v));
    memset(v, 0, sizeof(*v));
    return v;
}

static void test_deterministic(void)
{
    struct vcpu *v = new_vcpu();
    struct vm_time time;
    struct timer timer;
    vm_time_init(&time, v, true);
    timer_init(&timer, &time.clock, fire, NULL);
    CHECK_EQ(v->icount_limit, UINT64_MAX);
    CHECK(!vm_time_skip(&time));

    v->icount = 1000;
    CHECK_EQ(clock_now(&time.clock), 1000);
    timer_arm(&timer, 5000);
    CHECK_EQ(v->icount_limit, 5000);
    CHECK_EQ(v->pending, 0);

    /* Idle: time jumps, instructions do not. */
    CHECK(vm_time_skip(&time));
    CHECK_EQ(clock_now(&time.clock), 5000);
    CHECK_EQ(vm_time_tsc(&time), 5000);
    vm_time_run(&time);
    CHECK_EQ(fired, 1);
    CHECK_EQ(v->icount, 1000);
    CHECK_EQ(v->icount_limit, UINT64_MAX);

    /* 4000 ns were skipped: a deadline at 9000 is at instruction 5000. */
    timer_arm(&timer, 9000);
    CHECK_EQ(v->icount_limit, 5000);
    vm_time_set_budget(&time, 3000);
    CHECK_EQ(v->icount_limit, 3000);
    CHECK_EQ(v->pending, 0);
    vm_time_set_budget(&time, UINT64_MAX);
    CHECK_EQ(v->icount_limit, 5000);

    /* So soon that the current block may be longer. */
    timer_arm(&timer, clock_now(&time.clock) + 10);
    CHECK_EQ(v->pending, PENDING_HOST);
    v->pending = 0;
    /* A deadline that has passed already, found while timers run, must not make an endless loop. */
    timer_arm(&timer, clock_now(&time.clock) + 20);
    v->pending = 0;
    vm_time_run(&time);
    CHECK_EQ(v->pending, 0);
    CHECK_EQ(fired, 1);
    timer_cancel(&timer);
    free(v);
}

static void test_real(void)
{
    struct vcpu *v = new_vcpu();
    struct vm_time time;
    vm_time_init(&time, v, false);
    u64 a = clock_now(&time.clock), tsc = vm_time_tsc(&time), b = clock_now(&time.clock);
    CHECK(b >= a);
    CHECK(vm_time_tsc(&time) > tsc);
    CHECK_EQ(v->icount_limit, UINT64_MAX);
    free(v);
}

/* The process was stopped: timers fire once, and a paravirtual clock reports that the guest was stopped. */
static void test_stopped(void)
{
    enum { PAGE = 0x1000, FLAGS = PAGE + 29 };
    struct vcpu *v = new_vcpu();
    struct phys phys;
    struct vm_time time;
    struct timer timer;
    phys_init(&phys, 1 << 20);
    v->phys = &phys;
    v->pvclock_time = PAGE | 1;
    vm_time_init(&time, v, false);
    timer_init(&timer, &time.clock, fire, NULL);
    fired = 0;
    timer_arm(&timer, clock_now(&time.clock));
    vm_time_run(&time);
    CHECK_EQ(fired, 1);
    CHECK_EQ(phys.ram[FLAGS], 0);
    time.origin_ns -= 30000000000; /* nothing was due meanwhile: it only slept */
    vm_time_run(&time);
    CHECK_EQ(phys.ram[FLAGS], 0);
    timer_arm(&timer, clock_now(&time.clock) + 1000);
    time.origin_ns -= 30000000000;
    vm_time_run(&time);
    CHECK_EQ(fired, 2);
    CHECK_EQ(phys.ram[FLAGS], 3);
    phys_destroy(&phys);
    free(v);
}

int main(void)
{
    test_deterministic();
    test_real();
    test_stopped();
    return check_report();
}
