/*
 * The device seam: everything that a device may see of the machine.
 *
 * A device has registers, read and write handlers, one function that recomputes its outputs, and a reset. It sees
 * offsets in its own ranges (io_ops), wires (irq_line), guest time (clock, timer) and guest memory (dma): by address,
 * or by host pointers that map() returns. It never sees a vCPU, a port number or a host clock. All these functions run
 * on the vCPU thread, so they need no locks. Other threads may use only the memory behind map().
 */
#ifndef RINGER_BASE_DEVICE_H
#define RINGER_BASE_DEVICE_H

#include "types.h"

/* A range of ports or memory. `offset` is relative to its start; size is 1, 2 or 4 bytes. */
struct io_ops {
    u32 (*read)(void *device, u32 offset, unsigned size);
    void (*write)(void *device, u32 offset, unsigned size, u32 value);
};

/* String I/O (REP INS and REP OUTS) at one port of a range, for ports that stream data: `count` elements of
 * `size` bytes at once. Returns how many were transferred; the others are transferred one by one. */
struct io_string_ops {
    u32 (*read)(void *device, u32 offset, unsigned size, u8 *to, u32 count);
    u32 (*write)(void *device, u32 offset, unsigned size, const u8 *from, u32 count);
};

/* One wire. The receiver installs set(). A device raises and lowers the wire, and may raise it again while it
 * is up. */
struct irq_line {
    void (*set)(void *receiver, unsigned pin, bool level);
    void *receiver;
    unsigned pin;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set) line->set(line->receiver, line->pin, level);
}

/* Guest-physical memory as a bus master sees it. Addresses without memory read as ones and ignore writes. */
struct dma {
    void (*read)(void *memory, u64 gpa, void *buffer, u64 bytes);
    void (*write)(void *memory, u64 gpa, const void *buffer, u64 bytes);
    /* The host address of RAM at gpa, or NULL if there is no RAM. *bytes is lowered to the number of contiguous bytes.
     * The address is valid as long as the machine exists, and any thread may read and write there. */
    u8 *(*map)(void *memory, u64 gpa, u64 *bytes);
    /* RAM was changed through map(): the vCPU thread must report it before it tells the guest. */
    void (*written)(void *memory, u64 gpa, u64 bytes);
    /* The guest does not need the contents of these pages of RAM: they read as zeros from now on, and the host has the
     * memory back until something touches it. The ends are rounded inwards to pages. */
    void (*release)(void *memory, u64 gpa, u64 bytes);
    void *memory;
};

/* Guest time, in nanoseconds since the machine was switched on; never goes back. In deterministic mode it is
 * derived from the number of executed instructions. */
struct clock {
    u64 (*now_ns)(const struct clock *clock);
    /* Called whenever the earliest deadline may have changed. May be NULL. */
    void (*deadline_changed)(struct clock *clock);
    struct timer *armed; /* sorted by deadline */
};

struct timer {
    struct clock *clock;
    void (*fire)(void *device);
    void *device;
    u64 deadline_ns;
    bool armed;
    struct timer *next;
};

static inline u64 clock_now(const struct clock *clock)
{
    return clock->now_ns(clock);
}

void timer_init(struct timer *timer, struct clock *clock, void (*fire)(void *device), void *device);

/* Fire once at or after deadline_ns (absolute). Re-arming moves the deadline. */
void timer_arm(struct timer *timer, u64 deadline_ns);
void timer_cancel(struct timer *timer);

/* Earliest deadline, or UINT64_MAX when no timer is armed. */
u64 clock_next_deadline(const struct clock *clock);

/* Fire every timer with a deadline that has passed, in order of deadline. */
void clock_run(struct clock *clock);

#endif
