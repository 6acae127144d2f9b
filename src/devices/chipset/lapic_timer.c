/*
 * The local APIC's timer (SDM 3A 10.5.4): one-shot, periodic, and TSC-deadline. See lapic.h.
 *
 * Ticks are those of the crystal, counted from power-on, so that no rate drifts.
 */
#include "lapic_private.h"

#define NS_PER_SECOND 1000000000u

static u64 ticks_now(const struct lapic *lapic)
{
    u64 hz = lapic->wiring.timer_hz(lapic->wiring.machine);
    return (u64)((unsigned __int128)clock_now(lapic->clock) * hz / NS_PER_SECOND);
}

/* The first nanosecond at which that many ticks have passed. */
static u64 ns_of(u64 ticks, u64 hz)
{
    return (u64)(((unsigned __int128)ticks * NS_PER_SECOND + hz - 1) / hz);
}

/* Bits 3, 1 and 0: 2, 4, ... 128, 1. */
static unsigned divide_shift(u32 divide)
{
    return ((divide & 3) + (divide >> 1 & 4) + 1) & 7;
}

static bool in_mode(const struct lapic *lapic, u32 mode)
{
    return (lapic->lvt[LAPIC_LVT_TIMER] & LAPIC_TIMER_MODE) == mode;
}

static u64 period(const struct lapic *lapic)
{
    return (u64)lapic->initial_count << divide_shift(lapic->divide);
}

static u32 current_count(const struct lapic *lapic)
{
    if (!lapic->counting) return 0;
    u64 elapsed = (ticks_now(lapic) - lapic->start) >> divide_shift(lapic->divide);
    if (in_mode(lapic, LAPIC_TIMER_PERIODIC)) return lapic->initial_count - elapsed % lapic->initial_count;
    return elapsed < lapic->initial_count ? (u32)(lapic->initial_count - elapsed) : 0;
}

/* Arm the timer for the end of the count, if that will interrupt. */
static void arm_count(struct lapic *lapic)
{
    u64 end = lapic->start + period(lapic);
    if (lapic->counting && !(lapic->lvt[LAPIC_LVT_TIMER] & APIC_MASKED))
        timer_arm(&lapic->timer, ns_of(end, lapic->wiring.timer_hz(lapic->wiring.machine)));
    else
        timer_cancel(&lapic->timer);
}

/* Advance over all periods that have ended by now. Returns whether there was one. */
static bool pass_ends(struct lapic *lapic)
{
    u64 elapsed = ticks_now(lapic) - lapic->start;
    if (!lapic->counting || elapsed < period(lapic)) return false;
    if (in_mode(lapic, LAPIC_TIMER_PERIODIC))
        lapic->start += elapsed - elapsed % period(lapic);
    else
        lapic->counting = false;
    return true;
}

static void count_ended(struct lapic *lapic)
{
    bool ended = pass_ends(lapic);
    arm_count(lapic);
    if (ended) lapic_local_event(lapic, LAPIC_LVT_TIMER);
}

/* Fire now, or arm the timer. */
static void check_deadline(struct lapic *lapic)
{
    u64 now = lapic->wiring.tsc(lapic->wiring.machine);
    if (now < lapic->deadline) {
        u64 ticks = lapic->deadline - now;
        /* A deadline that is years away need not be exact. */
        u64 wait = ticks >> 60 ? UINT64_MAX / 2 : ns_of(ticks, lapic->wiring.tsc_hz(lapic->wiring.machine));
        timer_arm(&lapic->timer, clock_now(lapic->clock) + wait);
        return;
    }
    lapic->deadline = 0;
    timer_cancel(&lapic->timer);
    lapic_local_event(lapic, LAPIC_LVT_TIMER);
}

static void timer_fired(void *device)
{
    struct lapic *lapic = device;
    if (in_mode(lapic, LAPIC_TIMER_DEADLINE))
        check_deadline(lapic);
    else
        count_ended(lapic);
}

void lapic_timer_init(struct lapic *lapic)
{
    timer_init(&lapic->timer, lapic->clock, timer_fired, lapic);
}

void lapic_timer_stop(struct lapic *lapic)
{
    lapic->initial_count = 0;
    lapic->counting = false;
    lapic->deadline = 0;
    timer_cancel(&lapic->timer);
}

/* Changes to and from TSC-deadline mode stop the timer (10.5.4.1); the other two modes share their count,
 * which goes on while the entry is masked. */
void lapic_timer_entry_written(struct lapic *lapic, u32 before)
{
    u32 changed = before ^ lapic->lvt[LAPIC_LVT_TIMER];
    if (changed & LAPIC_TIMER_DEADLINE) lapic_timer_stop(lapic);
    if (in_mode(lapic, LAPIC_TIMER_DEADLINE)) return;
    pass_ends(lapic);
    arm_count(lapic);
}

u32 lapic_timer_read_initial(struct lapic *lapic, unsigned n)
{
    return lapic->initial_count;
}

void lapic_timer_write_initial(struct lapic *lapic, unsigned n, u32 value)
{
    if (in_mode(lapic, LAPIC_TIMER_DEADLINE)) return;
    lapic->initial_count = value;
    lapic->counting = value != 0;
    lapic->start = value ? ticks_now(lapic) : 0;
    arm_count(lapic);
}

u32 lapic_timer_read_current(struct lapic *lapic, unsigned n)
{
    return in_mode(lapic, LAPIC_TIMER_DEADLINE) ? 0 : current_count(lapic);
}

u32 lapic_timer_read_divide(struct lapic *lapic, unsigned n)
{
    return lapic->divide;
}

/* The count goes on from its value. */
void lapic_timer_write_divide(struct lapic *lapic, unsigned n, u32 value)
{
    u32 counted = lapic->initial_count - current_count(lapic);
    lapic->divide = value & 0xb;
    if (!lapic->counting) return;
    lapic->start = ticks_now(lapic) - ((u64)counted << divide_shift(lapic->divide));
    arm_count(lapic);
}

u64 lapic_deadline(const struct lapic *lapic)
{
    return lapic->deadline;
}

void lapic_set_deadline(struct lapic *lapic, u64 tsc)
{
    if (!in_mode(lapic, LAPIC_TIMER_DEADLINE)) return;
    lapic->deadline = tsc;
    lapic_tsc_moved(lapic);
}

void lapic_tsc_moved(struct lapic *lapic)
{
    if (lapic->deadline)
        check_deadline(lapic);
    else if (in_mode(lapic, LAPIC_TIMER_DEADLINE))
        timer_cancel(&lapic->timer);
}
