#include "device.h"

void timer_init(struct timer *timer, struct clock *clock, void (*fire)(void *device), void *device)
{
    *timer = (struct timer){.clock = clock, .fire = fire, .device = device};
}

static void unlink_timer(struct timer *timer)
{
    struct timer **at = &timer->clock->armed;
    while (*at != timer)
        at = &(*at)->next;
    *at = timer->next;
    timer->armed = false;
}

static void deadline_changed(struct clock *clock)
{
    if (clock->deadline_changed) clock->deadline_changed(clock);
}

void timer_arm(struct timer *timer, u64 deadline_ns)
{
    if (timer->armed) unlink_timer(timer);
    timer->deadline_ns = deadline_ns;
    struct timer **at = &timer->clock->armed;
    while (*at && (*at)->deadline_ns <= deadline_ns)
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
    timer->armed = true;
    deadline_changed(timer->clock);
}

void timer_cancel(struct timer *timer)
{
    if (!timer->armed) return;
    unlink_timer(timer);
    deadline_changed(timer->clock);
}

u64 clock_next_deadline(const struct clock *clock)
{
    return clock->armed ? clock->armed->deadline_ns : UINT64_MAX;
}

void clock_run(struct clock *clock)
{
    u64 now = clock_now(clock);
    while (clock->armed && clock->armed->deadline_ns <= now) {
        struct timer *timer = clock->armed;
        unlink_timer(timer);
        timer->fire(timer->device);
    }
    deadline_changed(clock);
}
