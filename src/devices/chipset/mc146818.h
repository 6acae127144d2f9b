/*
 * The real-time clock and CMOS memory: an MC146818A (Motorola datasheet) on a 32.768 kHz crystal, with 128
 * bytes.
 *
 * Ports: mc146818_ops at 70h-71h, byte-wide.
 *
 * The time is kept in the bytes that the guest sees, in the format that the guest chose (BCD or binary, 12
 * or 24 hours). sync() makes every update that was due since the last access. A timer is armed only while
 * an interrupt is enabled, so an idle machine sleeps unless its guest uses the clock.
 *
 * An update ends at the full second. For 244 us + 1984 us before it UIP reads 1 (datasheet, "Update cycle").
 * The bytes stay readable then, unlike the chip's.
 */
#ifndef RINGER_DEVICES_CHIPSET_MC146818_H
#define RINGER_DEVICES_CHIPSET_MC146818_H

#include "base/device.h"

struct mc146818 {
    struct clock *clock;
    struct irq_line irq8;
    struct timer timer;
    u8 index;        /* 0-127 */
    bool nmi_masked; /* bit 7 of port 70h */
    u8 bytes[128];
    s64 second_ns; /* a time at which a second began: the phase of the divider chain */
    s64 updates;   /* seconds since second_ns for which the update was made */
    s64 periods;   /* periods of the periodic interrupt since second_ns that were counted */
};

/* start_time: seconds since 1970, UTC, at clock time 0. */
void mc146818_init(struct mc146818 *rtc, struct clock *clock, struct irq_line irq8, s64 start_time);
/* The RESET pin: interrupts off. Time and memory stay. */
void mc146818_reset(struct mc146818 *rtc);

/* For the board: CMOS bytes 0Eh-7Fh (memory size, boot order). */
void mc146818_set(struct mc146818 *rtc, unsigned index, u8 value);

extern const struct io_ops mc146818_ops;

#endif
