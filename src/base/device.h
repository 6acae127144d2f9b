/*
 * The device seam: everything a device may see of the machine.
 *
 * A device is registers + one function that recomputes its output + read/write handlers + reset. It sees an
 * offset in its own window (io_ops), wires (irq_line), injected time (clock, timer) and guest memory by
 * address (dma). It never sees a vCPU, a port number or a host clock. Everything here runs on the vCPU
 * thread: no locks.
 */
#ifndef RINGER_BASE_DEVICE_H
#define RINGER_BASE_DEVICE_H

#include "types.h"

/* A window of ports or memory. `offset` is relative to the window; size is 1, 2 or 4 bytes. */
struct io_ops {
    u32 (*read)(void *device, u32 offset, unsigned size);
    void (*write)(void *device, u32 offset, unsigned size, u32 value);
};

/* String I/O (INS and OUTS with REP) at one port of a window, for ports through which data streams: `count`
 * elements of `size` bytes at once. Returns how many were taken; those that are left are asked for singly. */
struct io_string_ops {
    u32 (*read)(void *device, u32 offset, unsigned size, u8 *to, u32 count);
    u32 (*write)(void *device, u32 offset, unsigned size, const u8 *from, u32 count);
};

/* One wire. The receiver installs set(); a device raises and lowers it, and may do so repeatedly. */
struct irq_line {
    void (*set)(void *receiver, unsigned pin, bool level);
    void *receiver;
    unsigned pin;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set) line->set(line->receiver, line->pin, level);
}

/* Guest-physical memory as a bus master sees it. Reads of nothing give ones; writes to nothing are dropped. */
struct dma {
    void (*read)(void *memory, u64 gpa, void *buffer, u64 bytes);
    void (*write)(void *memory, u64 gpa, const void *buffer, u64 bytes);
    /* Host address of RAM at gpa for *bytes bytes, which is lowered to what lies there in one piece, or NULL
     * where no RAM is. It stays valid as long as the machine, and any thread may read and write there. */
    u8 *(*map)(void *memory, u64 gpa, u64 *bytes);
    /* RAM was changed through map(): the vCPU thread must say so before it tells the guest. */
    void (*written)(void *memory, u64 gpa, u64 bytes);
    void *memory;
};

/* Time, in nanoseconds since the machine was switched on; never goes back. Deterministic mode derives it from
 * instructions executed. */
struct clock {
    u64 (*now_ns)(const struct clock *clock);
    /* Told whenever the earliest deadline may have changed. May be NULL. */
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

/* Fire every timer whose deadline has come, in order of deadline. */
void clock_run(struct clock *clock);

#endif
