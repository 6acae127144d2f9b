/*
 * The HPET. See hpet.h. Register names are those of the IA-PC HPET Specification 1.0a, chapter 2.3.
 */
#include "hpet.h"

enum {
    GCAP_ID = 0x00,
    GEN_CONF = 0x10,
    GINTR_STA = 0x20,
    MAIN_CNT = 0xf0,
    TIMERS = 0x100,
    TIMER_BYTES = 0x20
};
enum { TIMER_CONFIG = 0x00, TIMER_COMPARATOR = 0x08 };
enum { ENABLE = 1 << 0, LEGACY = 1 << 1 };
enum {
    LEVEL = 1 << 1,
    INTERRUPT = 1 << 2,
    PERIODIC = 1 << 3,
    CAN_PERIODIC = 1 << 4,
    IS_64 = 1 << 5,
    SET_VALUE = 1 << 6,
    ONLY_32 = 1 << 8,
    ROUTE = 0x1f << 9,
    WRITABLE = LEVEL | INTERRUPT | PERIODIC | ONLY_32 | ROUTE
};

#define ROUTE_SHIFT 9
#define TICK_NS     (1000000000u / HPET_HZ)
#define PERIOD_FS   (TICK_NS * 1000000u)
#define NEVER       UINT64_MAX
#define NO_WIRE     UINT32_MAX
/* Some 36 years: a later match is treated as none. */
#define FAR_TICKS ((1ull << 60) / TICK_NS)

_Static_assert(1000000000u % HPET_HZ == 0, "ticks are whole nanoseconds");

/* --- the counter --- */

static bool runs(const struct hpet *hpet)
{
    return hpet->config & ENABLE;
}

static u64 count_now(const struct hpet *hpet)
{
    if (!runs(hpet)) return hpet->base_count;
    return hpet->base_count + (clock_now(hpet->clock) - hpet->base_ns) / TICK_NS;
}

/* Set the counter. It goes on from this value. */
static void set_count(struct hpet *hpet, u64 count)
{
    hpet->base_count = count;
    hpet->base_ns = clock_now(hpet->clock);
}

/* --- wires --- */

static u32 wire_of(const struct hpet *hpet, unsigned n)
{
    u32 route = (hpet->timer[n].config & ROUTE) >> ROUTE_SHIFT;
    if ((hpet->config & LEGACY) && n < ARRAY_SIZE(hpet->wiring.legacy)) return n;
    if (!hpet->wiring.has_pins || route < HPET_FIRST_PIN || route >= HPET_FIRST_PIN + HPET_PINS)
        return NO_WIRE;
    return (u32)ARRAY_SIZE(hpet->wiring.legacy) + route - HPET_FIRST_PIN;
}

static bool wants_interrupt(const struct hpet *hpet, unsigned n)
{
    const struct hpet_timer *timer = &hpet->timer[n];
    if (!(timer->config & INTERRUPT) || !runs(hpet)) return false;
    return timer->config & LEVEL ? hpet->status >> n & 1 : timer->up;
}

static void update_wires(struct hpet *hpet)
{
    u32 wires = 0;
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        u32 wire = wire_of(hpet, n);
        if (wire != NO_WIRE && wants_interrupt(hpet, n)) wires |= 1u << wire;
    }
    u32 changed = wires ^ hpet->wires;
    hpet->wires = wires;
    for (unsigned n = 0; n < ARRAY_SIZE(hpet->wiring.legacy); n++, changed >>= 1, wires >>= 1)
        if (changed & 1) irq_set(&hpet->wiring.legacy[n], wires & 1);
    for (unsigned n = 0; n < HPET_PINS; n++, changed >>= 1, wires >>= 1)
        if (changed & 1) irq_set(&hpet->wiring.pin[n], wires & 1);
}

/* --- matches --- */

static u64 mask_of(const struct hpet_timer *timer)
{
    return timer->config & ONLY_32 ? UINT32_MAX : UINT64_MAX;
}

static bool is_periodic(const struct hpet_timer *timer)
{
    return timer->config & PERIODIC && (timer->period & mask_of(timer));
}

/* Arm the host's timer, but only for a match that interrupts. */
static void arm(struct hpet_timer *timer)
{
    struct hpet *hpet = timer->hpet;
    u64 distance = timer->next_match - hpet->base_count;
    if (runs(hpet) && timer->config & INTERRUPT && timer->next_match != NEVER && distance < FAR_TICKS)
        timer_arm(&timer->timer, hpet->base_ns + distance * TICK_NS);
    else
        timer_cancel(&timer->timer);
}

/* Find the next match. Call after the counter, the comparator or the compared bits have changed. */
static void find_match(struct hpet_timer *timer)
{
    u64 count = count_now(timer->hpet), away = (timer->comparator - count) & mask_of(timer);
    timer->next_match = count + away < count ? NEVER : count + away;
    arm(timer);
}

/* Advance next_match to the first match after `count`. */
static void advance(struct hpet_timer *timer, u64 count)
{
    u64 mask = mask_of(timer), step = is_periodic(timer) ? timer->period & mask : mask + 1;
    if (!step) { /* 2^64: the next match is a full turn of the counter away */
        timer->next_match = NEVER;
        return;
    }
    u64 steps = (count - timer->next_match) / step + 1;
    if (is_periodic(timer)) timer->comparator = (timer->comparator + steps * step) & mask;
    timer->next_match += steps * step;
}

static void interrupt(struct hpet *hpet, unsigned n)
{
    struct hpet_timer *timer = &hpet->timer[n];
    if (timer->config & LEVEL) {
        hpet->status |= 1u << n;
    } else {
        timer->up = false;
        update_wires(hpet);
        timer->up = true;
    }
    update_wires(hpet);
}

/* Handle the match that the counter has reached, if any. */
static void sync(struct hpet_timer *timer)
{
    struct hpet *hpet = timer->hpet;
    u64 count = count_now(hpet);
    if (!runs(hpet) || timer->next_match > count) return;
    advance(timer, count);
    interrupt(hpet, (unsigned)(timer - hpet->timer));
    arm(timer);
}

static void timer_fired(void *device)
{
    struct hpet_timer *timer = device;
    sync(timer);
    arm(timer);
}

/* --- writes: `mask` has the bits of the register that are written --- */

static u64 merge(u64 old, u64 value, u64 mask)
{
    return (old & ~mask) | (value & mask);
}

static void write_config(struct hpet *hpet, u32 value)
{
    u32 old = hpet->config;
    u64 count = count_now(hpet);
    hpet->config = value & (ENABLE | LEGACY);
    set_count(hpet, count);
    if ((old ^ hpet->config) & LEGACY) {
        update_wires(hpet);
        hpet->wiring.replace(hpet->wiring.machine, hpet->config & LEGACY);
    }
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        struct hpet_timer *timer = &hpet->timer[n];
        if (!runs(hpet)) timer->up = false;
        if ((old ^ hpet->config) & ENABLE)
            find_match(timer);
        else
            arm(timer);
    }
    update_wires(hpet);
}

static void write_count(struct hpet *hpet, u64 value, u64 mask)
{
    set_count(hpet, merge(count_now(hpet), value, mask));
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        find_match(&hpet->timer[n]);
}

static void write_timer_config(struct hpet_timer *timer, u32 value)
{
    struct hpet *hpet = timer->hpet;
    u32 old = timer->config;
    timer->config = value & (WRITABLE | SET_VALUE);
    if (!(timer->config & PERIODIC)) timer->config &= ~(u32)SET_VALUE;
    if ((old ^ timer->config) & (LEVEL | INTERRUPT)) timer->up = false;
    if (!(timer->config & LEVEL)) hpet->status &= ~(1u << (timer - hpet->timer));
    if (timer->config & ONLY_32) {
        timer->comparator = (u32)timer->comparator;
        timer->period = (u32)timer->period;
    }
    if ((old ^ timer->config) & ONLY_32)
        find_match(timer);
    else
        arm(timer);
    update_wires(hpet);
}

static void write_comparator(struct hpet_timer *timer, u64 value, u64 mask)
{
    u64 width = mask_of(timer);
    bool periodic = timer->config & PERIODIC, set_value = timer->config & SET_VALUE;
    if (periodic) timer->period = merge(timer->period, value, mask) & width;
    if (periodic && !set_value) return;
    timer->comparator = merge(timer->comparator, value, mask) & width;
    timer->config &= ~(u32)SET_VALUE;
    find_match(timer);
}

static void write_register(struct hpet *hpet, u32 offset, u64 value, u64 mask)
{
    struct hpet_timer *timer = &hpet->timer[(offset - TIMERS) / TIMER_BYTES % HPET_TIMERS];
    switch (offset) {
    case GEN_CONF:
        if (mask & UINT32_MAX) write_config(hpet, (u32)value);
        return;
    case GINTR_STA:
        hpet->status &= ~(u32)(value & mask);
        update_wires(hpet);
        return;
    case MAIN_CNT: write_count(hpet, value, mask); return;
    }
    if (offset < TIMERS || offset >= TIMERS + HPET_TIMERS * TIMER_BYTES) return;
    switch (offset % TIMER_BYTES) {
    case TIMER_CONFIG:
        if (mask & UINT32_MAX) write_timer_config(timer, (u32)value);
        return;
    case TIMER_COMPARATOR: write_comparator(timer, value, mask); return;
    }
}

/* --- reads --- */

static u64 routes(const struct hpet *hpet)
{
    return hpet->wiring.has_pins ? ((1u << HPET_PINS) - 1) << HPET_FIRST_PIN : 0;
}

static u64 read_register(const struct hpet *hpet, u32 offset)
{
    const struct hpet_timer *timer = &hpet->timer[(offset - TIMERS) / TIMER_BYTES % HPET_TIMERS];
    switch (offset) {
    case GCAP_ID: return (u64)PERIOD_FS << 32 | HPET_ID;
    case GEN_CONF: return hpet->config;
    case GINTR_STA: return hpet->status;
    case MAIN_CNT: return count_now(hpet);
    }
    if (offset < TIMERS || offset >= TIMERS + HPET_TIMERS * TIMER_BYTES) return 0;
    switch (offset % TIMER_BYTES) {
    case TIMER_CONFIG: return routes(hpet) << 32 | CAN_PERIODIC | IS_64 | timer->config;
    case TIMER_COMPARATOR: return timer->comparator;
    default: return 0;
    }
}

/* --- the port --- */

static void sync_all(struct hpet *hpet)
{
    for (unsigned n = 0; n < HPET_TIMERS; n++)
        sync(&hpet->timer[n]);
}

static u32 memory_read(void *device, u32 offset, unsigned size)
{
    struct hpet *hpet = device;
    sync_all(hpet);
    return (u32)(read_register(hpet, offset & ~7u) >> (offset & 7) * 8);
}

/* Only writes of whole dwords have an effect (2.3.2). */
static void memory_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct hpet *hpet = device;
    unsigned shift = (offset & 7) * 8;
    if (size != 4 || offset & 3) return;
    sync_all(hpet);
    write_register(hpet, offset & ~7u, (u64)value << shift, (u64)UINT32_MAX << shift);
}

const struct io_ops hpet_ops = {memory_read, memory_write};

/* --- set-up --- */

void hpet_reset(struct hpet *hpet)
{
    bool replaced = hpet->config & LEGACY;
    hpet->config = hpet->status = 0;
    set_count(hpet, 0);
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        struct hpet_timer *timer = &hpet->timer[n];
        timer->config = 0;
        timer->comparator = UINT64_MAX;
        timer->period = 0;
        timer->up = false;
        find_match(timer);
    }
    update_wires(hpet);
    if (replaced) hpet->wiring.replace(hpet->wiring.machine, false);
}

void hpet_init(struct hpet *hpet, struct clock *clock, const struct hpet_wiring *wiring)
{
    *hpet = (struct hpet){.clock = clock, .wiring = *wiring};
    for (unsigned n = 0; n < HPET_TIMERS; n++) {
        hpet->timer[n].hpet = hpet;
        timer_init(&hpet->timer[n].timer, clock, timer_fired, &hpet->timer[n]);
    }
    hpet_reset(hpet);
}
