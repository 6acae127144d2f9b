/*
 * The HPET: a 64-bit counter of 100 MHz with three comparators (IA-PC HPET Specification 1.0a).
 *
 * Memory: hpet_ops, 1 KB; the device is the struct hpet. Registers have 64 bits and are written by dwords.
 *
 *   000h        GCAP_ID    63-32 period in fs | 31-16 vendor | 15 legacy replacement | 13 counts 64 bits |
 *                          12-8 last timer | 7-0 revision
 *   010h        GEN_CONF   1 legacy replacement | 0 the counter runs
 *   020h        GINTR_STA  2-0 level-triggered interrupts that are asserted, cleared by writing 1
 *   0F0h        MAIN_CNT
 *   100h+20h*n  timer n    63-32 possible routes | 13-9 route | 8 compare 32 bits |
 *                          6 the next write sets the comparator | 5 compares 64 bits | 4 can be periodic |
 *                          3 periodic | 2 interrupt enable | 1 level-triggered
 *   108h+20h*n  comparator of timer n. Periodic: it reads as the next match; a write sets the period, and
 *               with bit 6 the next match too.
 *
 * Every timer can be periodic. No timer can send messages (FSB interrupts), so bit 15 of a timer and the
 * register at 110h read 0.
 *
 * With legacy replacement timer 0 drives IRQ 0, timer 1 drives IRQ 8, and the board disconnects the 8254 and
 * the RTC. Otherwise a timer drives one of the I/O APIC's pins 20 to 23, which no other device uses.
 *
 * Invariants
 * 1. While the counter runs, next_match of a timer is the first value of the full 64-bit counter at which it
 *    will match, or NEVER.
 * 2. An edge-triggered interrupt raises its wire at a match and leaves it up until just before the next
 *    match: an 8259 drops an edge if its level is gone when the CPU acknowledges it.
 * 3. If the host is late for several periods, there is one interrupt for them, and the next one is on time.
 */
#ifndef RINGER_DEVICES_CHIPSET_HPET_H
#define RINGER_DEVICES_CHIPSET_HPET_H

#include "base/device.h"

#define HPET_BASE      0xfed00000u
#define HPET_TIMERS    3
#define HPET_HZ        100000000u
#define HPET_ID        0x8086a201u /* GCAP_ID 31-0, which the ACPI table repeats */
#define HPET_FIRST_PIN 20
#define HPET_PINS      4

struct hpet_wiring {
    struct irq_line legacy[2]; /* IRQ 0 and IRQ 8, while legacy replacement is on */
    struct irq_line pin[HPET_PINS];
    bool has_pins; /* there is an I/O APIC */
    /* Legacy replacement was switched. */
    void (*replace)(void *machine, bool on);
    void *machine;
};

struct hpet_timer {
    struct hpet *hpet;
    struct timer timer;
    u32 config; /* low dword, without the read-only bits */
    u64 comparator, period;
    u64 next_match;
    bool up; /* edge-triggered: the wire is up */
};

struct hpet {
    struct clock *clock;
    struct hpet_wiring wiring;
    u32 config, status;
    u64 base_count, base_ns; /* the counter was base_count at base_ns; while it is stopped, it still is */
    struct hpet_timer timer[HPET_TIMERS];
    u32 wires; /* wires that are driven: bits 0 and 1 legacy, bits from 2 on pins */
};

void hpet_init(struct hpet *hpet, struct clock *clock, const struct hpet_wiring *wiring);
void hpet_reset(struct hpet *hpet);

extern const struct io_ops hpet_ops;

#endif
