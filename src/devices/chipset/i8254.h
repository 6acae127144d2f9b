/*
 * The PC's interval timer: an 8254 (Intel datasheet, order 231164) at 1193182 Hz, and port 61h beside it,
 * which gates channel 2 and shows its output (82371SB datasheet, NMI status and control register).
 *
 * Ports, byte-wide: i8254_ops at 40h-43h, i8254_port61_ops at 61h. The device is the struct i8254.
 *
 * A count is computed from the clock when it is read, in whole ticks since power-on, so no rate drifts. OUT0 drives
 * its wire by pulses: when OUT0 rises, the wire falls and rises.
 *
 * Invariants
 * 1. Every rising edge of OUT0 is delivered once. When the host is late, edges come one at a time, half a
 *    period apart, until none is owed. Edges more than ten seconds late are forgotten: the process was
 *    stopped.
 * 2. A channel's state is valid at tick `seen`; advance() brings it up to date before any other
 *    function reads it.
 */
#ifndef RINGER_DEVICES_CHIPSET_I8254_H
#define RINGER_DEVICES_CHIPSET_I8254_H

#include "base/device.h"

#define I8254_HZ 1193182

struct i8254_channel {
    /* as programmed */
    u8 mode;   /* 0-5 */
    u8 access; /* 1 low byte, 2 high byte, 3 low then high */
    bool bcd;
    bool gate;
    u16 written;     /* the count register, as the guest wrote it */
    bool write_high; /* the next byte written is the high one */
    bool null_count; /* the count register has not reached the counter yet */

    /* the counter */
    bool running; /* loaded since the control word */
    bool stopped; /* by the gate: it stands `elapsed` ticks after its load */
    u16 standing; /* the count that it shows while it does not run */
    u32 count;    /* what was loaded: 1 to 10000h */
    s64 start;    /* tick of the load */
    s64 elapsed;
    bool load_due; /* a load waits for its tick */
    s64 load_at;
    s64 seen;
    u64 edges; /* rising edges of OUT until `seen`, not yet taken */

    /* reading */
    bool read_high;  /* the next byte read unlatched is the high one */
    u8 latched_left; /* bytes of `latched` still to be read */
    u16 latched;
    bool status_latched;
    u8 status;
};

struct i8254 {
    struct clock *clock;
    struct irq_line irq0;
    struct timer timer;
    struct i8254_channel channel[3];
    u64 owed;          /* rising edges of OUT0 not yet delivered */
    u64 not_before_ns; /* when the next owed edge may be delivered */
    u8 port61;         /* bits 0-3 as written */
    void (*speaker)(void *owner);
    void *speaker_owner;
};

void i8254_init(struct i8254 *pit, struct clock *clock, struct irq_line irq0);
void i8254_reset(struct i8254 *pit);

/* The loudspeaker's square wave: its period in clocks, 0 when it is silent. */
u32 i8254_speaker(const struct i8254 *pit);
/* Have speaker() called whenever the period may have changed. */
void i8254_watch_speaker(struct i8254 *pit, void (*speaker)(void *owner), void *owner);

extern const struct io_ops i8254_ops;
extern const struct io_ops i8254_port61_ops;

#endif
