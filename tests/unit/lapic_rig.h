/*
 * A local APIC by itself: injected time, recorded wires, registers by offset.
 */
#ifndef RINGER_TESTS_LAPIC_RIG_H
#define RINGER_TESTS_LAPIC_RIG_H

#include "devices/chipset/lapic.h"

#include "check.h"

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    APR = 0x90,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_THERMAL = 0x330,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0,
};

enum { MASKED = 1 << 16, PERIODIC = 1 << 17, DEADLINE = 1 << 18, BY_1 = 0xb };
enum { DELIVER_NMI = 4 << 8, DELIVER_INIT = 5 << 8, DELIVER_EXTINT = 7 << 8, LOGICAL = 1 << 11 };
enum { LEVEL_TRIGGERED = 1 << 15, ACTIVE_LOW = 1 << 13, REMOTE_IRR = 1 << 14 };
enum { TO_SELF = 1 << 18, TO_ALL = 2 << 18, TO_OTHERS = 3 << 18 };

struct fake_clock {
    struct clock clock;
    u64 now;
};

static struct fake_clock fake;
static struct lapic lapic;
static bool intr;
static unsigned nmis, inits, eois, retries;
static u8 eoi_vector;
static u64 timer_hz, tsc_hz, tsc_offset;

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->now;
}

static void set_intr(void *receiver, unsigned pin, bool level)
{
    intr = level;
}
static void nmi(void *machine)
{
    nmis++;
}
static void init(void *machine)
{
    inits++;
}
static void eoi(void *machine, u8 vector)
{
    eois++;
    eoi_vector = vector;
}
static void accepting(void *machine)
{
    retries++;
}
static u64 tsc(void *machine)
{
    return (u64)((unsigned __int128)fake.now * tsc_hz / 1000000000) + tsc_offset;
}
static u64 get_tsc_hz(void *machine)
{
    return tsc_hz;
}
static u64 get_timer_hz(void *machine)
{
    return timer_hz;
}

static inline u32 in(u32 offset)
{
    return lapic_ops.read(&lapic, offset, 4);
}
static inline void out(u32 offset, u32 value)
{
    lapic_ops.write(&lapic, offset, 4, value);
}

static inline bool in_set(u32 set, unsigned vector)
{
    return in(set + vector / 32 * 16) >> vector % 32 & 1;
}

static inline bool send(u8 vector, u8 delivery, u8 destination, bool logical, bool level)
{
    return lapic_message(&lapic, &(struct apic_message){.vector = vector,
                                                        .delivery = delivery,
                                                        .destination = destination,
                                                        .logical = logical,
                                                        .level = level});
}
static inline bool fixed(u8 vector)
{
    return send(vector, APIC_FIXED, 0, false, false);
}

static inline void pin(unsigned n, bool level)
{
    struct irq_line line = lapic_pin(&lapic, n);
    irq_set(&line, level);
}

static inline void power_on(void)
{
    fake = (struct fake_clock){.clock.now_ns = now_ns};
    nmis = inits = eois = retries = 0;
    timer_hz = tsc_hz = 1000000000;
    tsc_offset = 0;
    lapic_init(&lapic, &fake.clock, true,
               &(struct lapic_wiring){.intr = {.set = set_intr},
                                      .nmi = nmi,
                                      .init = init,
                                      .eoi = eoi,
                                      .accepting = accepting,
                                      .tsc = tsc,
                                      .tsc_hz = get_tsc_hz,
                                      .timer_hz = get_timer_hz});
}

static inline void ready(void)
{
    power_on();
    out(SVR, 0x1ff);
}

#endif
