#include "vmtime.h"

#include "cpu/pvclock.h"

#include <assert.h>

static_assert(offsetof(struct vm_time, clock) == 0, "the clock's callbacks cast");

static u64 real_now(const struct clock *clock)
{
    const struct vm_time *time = (const struct vm_time *)clock;
    return time->frozen ? time->frozen_ns : host_now_ns() - time->origin_ns;
}

static void real_deadline_changed(struct clock *clock)
{
    struct vm_time *time = (struct vm_time *)clock;
    if (!time->waker || time->running_timers || time->frozen) return;
    u64 next = clock_next_deadline(clock);
    waker_set_deadline(time->waker, next == UINT64_MAX ? UINT64_MAX : next + time->origin_ns);
}

static u64 deterministic_now(const struct clock *clock)
{
    const struct vm_time *time = (const struct vm_time *)clock;
    return time->vcpu->icount + time->skipped_ns;
}

static void publish_limit(struct vm_time *time)
{
    const struct clock *clock = &time->clock;
    u64 next = clock_next_deadline(clock), limit = UINT64_MAX;
    if (next != UINT64_MAX) limit = next > time->skipped_ns ? next - time->skipped_ns : 0;
    time->vcpu->icount_limit = limit < time->budget ? limit : time->budget;
}

/* The translator tests the limit only when it enters a block. If an instruction sets a deadline within the running
 * block, the block must end there. Otherwise the timer would fire later than under the interpreter. */
#define LONGEST_BLOCK 64

static void deterministic_deadline_changed(struct clock *clock)
{
    struct vm_time *time = (struct vm_time *)clock;
    struct vcpu *v = time->vcpu;
    publish_limit(time);
    if (!time->running_timers && v->icount_limit < time->budget &&
        v->icount_limit < v->icount + LONGEST_BLOCK)
        __atomic_or_fetch(&v->pending, PENDING_HOST, __ATOMIC_SEQ_CST);
}

void vm_time_init(struct vm_time *time, struct vcpu *vcpu, bool deterministic)
{
    *time = (struct vm_time){.vcpu = vcpu,
                             .deterministic = deterministic,
                             .origin_ns = host_now_ns(),
                             .origin_tsc = __builtin_ia32_rdtsc(),
                             .budget = UINT64_MAX,
                             .clock.now_ns = deterministic ? deterministic_now : real_now,
                             .clock.deadline_changed =
                                 deterministic ? deterministic_deadline_changed : real_deadline_changed};
    vcpu->icount_limit = UINT64_MAX;
    vcpu->icount_soft = UINT64_MAX;
}

void vm_time_set_waker(struct vm_time *time, struct waker *waker)
{
    time->waker = waker;
    time->clock.deadline_changed(&time->clock);
}

void vm_time_set_budget(struct vm_time *time, u64 icount)
{
    time->budget = icount;
    if (time->deterministic)
        publish_limit(time);
    else
        time->vcpu->icount_limit = icount;
}

void vm_time_freeze(struct vm_time *time, bool frozen)
{
    if (time->deterministic || frozen == time->frozen) return;
    u64 tsc = __builtin_ia32_rdtsc();
    if (frozen) {
        time->frozen_ns = clock_now(&time->clock);
        time->frozen_tsc = tsc;
        time->frozen = true;
        return;
    }
    time->frozen = false;
    time->origin_ns = host_now_ns() - time->frozen_ns;
    /* The guest's TSC too, so that a paravirtual clock page stays right. */
    time->origin_tsc += tsc - time->frozen_tsc;
    time->vcpu->tsc_offset -= tsc - time->frozen_tsc;
    real_deadline_changed(&time->clock);
}

/* A busy host is never this late with a timer. So the process or the host was stopped. */
#define STOPPED_NS 1000000000u

void vm_time_run(struct vm_time *time)
{
    u64 next = clock_next_deadline(&time->clock);
    u64 now = time->deterministic ? 0 : clock_now(&time->clock);
    if (now > next && now - next >= STOPPED_NS) pvclock_guest_stopped(time->vcpu);
    time->running_timers = true;
    clock_run(&time->clock);
    time->running_timers = false;
    if (time->deterministic)
        publish_limit(time);
    else
        real_deadline_changed(&time->clock);
}

void vm_time_wait(struct vm_time *time, u64 look_out_ns)
{
    u64 next = time->deterministic ? UINT64_MAX : clock_next_deadline(&time->clock);
    if (next <= clock_now(&time->clock)) return;
    waker_wait(time->waker, next == UINT64_MAX ? UINT64_MAX : next + time->origin_ns, look_out_ns);
}

bool vm_time_skip(struct vm_time *time)
{
    u64 next = clock_next_deadline(&time->clock), now = clock_now(&time->clock);
    if (next == UINT64_MAX) return false;
    if (next > now) time->skipped_ns += next - now;
    return true;
}

u64 vm_time_tsc(struct vm_time *time)
{
    return time->deterministic ? clock_now(&time->clock) : __builtin_ia32_rdtsc();
}

#define DETERMINISTIC_HZ    1000000000u
#define MEASURE_AT_LEAST_NS 10000000u

u64 vm_time_host_tsc_hz(struct vm_time *time)
{
    if (time->tsc_hz) return time->tsc_hz;
    u64 elapsed;
    while ((elapsed = host_now_ns() - time->origin_ns) < MEASURE_AT_LEAST_NS)
        ;
    u64 ticks = __builtin_ia32_rdtsc() - time->origin_tsc;
    time->tsc_hz = (u64)((unsigned __int128)ticks * 1000000000u / elapsed);
    return time->tsc_hz;
}

u64 vm_time_tsc_hz(struct vm_time *time)
{
    return time->deterministic ? DETERMINISTIC_HZ : vm_time_host_tsc_hz(time);
}

struct time_sample vm_time_sample(struct vm_time *time)
{
    /* The TSC was read within the interval that ends at `ns`. */
    u64 hz = vm_time_tsc_hz(time), tsc = vm_time_tsc(time);
    return (struct time_sample){.tsc = tsc, .tsc_hz = hz, .ns = clock_now(&time->clock)};
}
