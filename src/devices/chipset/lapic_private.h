/*
 * Shared by lapic.c and lapic_timer.c.
 */
#ifndef RINGER_DEVICES_CHIPSET_LAPIC_PRIVATE_H
#define RINGER_DEVICES_CHIPSET_LAPIC_PRIVATE_H

#include "lapic.h"

/* The event of an LVT entry has occurred. */
void lapic_local_event(struct lapic *lapic, enum lapic_lvt entry);

void lapic_timer_init(struct lapic *lapic);
/* Stop the timer and clear the deadline. */
void lapic_timer_stop(struct lapic *lapic);
/* The timer's LVT entry has changed; `before` is its old value. */
void lapic_timer_entry_written(struct lapic *lapic, u32 before);
u32 lapic_timer_read_initial(struct lapic *lapic, unsigned n);
void lapic_timer_write_initial(struct lapic *lapic, unsigned n, u32 value);
u32 lapic_timer_read_current(struct lapic *lapic, unsigned n);
u32 lapic_timer_read_divide(struct lapic *lapic, unsigned n);
void lapic_timer_write_divide(struct lapic *lapic, unsigned n, u32 value);

enum {
    LAPIC_TIMER_MODE = 3 << 17,
    LAPIC_TIMER_PERIODIC = 1 << 17,
    LAPIC_TIMER_DEADLINE = 2 << 17,
};

#endif
