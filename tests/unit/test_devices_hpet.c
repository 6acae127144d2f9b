/*
 * The HPET by its registers, with injected time: capabilities, the counter and its halves, matches of 32 and 64 bits,
 * ways to set a period, edges and levels, routes and legacy replacement, a late host.
 */
#include "devices/chipset/hpet.h"

#include "check.h"

enum { ID = 0, CONFIG = 0x10, STATUS = 0x20, COUNT = 0xf0 };
enum { RUN = 1, LEGACY = 2 };
enum { LEVEL = 2, INTERRUPT = 4, PERIODIC = 8, SET_VALUE = 0x40, ONLY_32 = 0x100 };
enum { TICK = 10 };
#define TIMER(n)      (0x100u + 0x20u * (n))
#define COMPARATOR(n) (0x108u + 0x20u * (n))
#define ROUTE(pin)    ((pin) << 9)

struct fake_clock {
    struct clock clock;
    u64 now;
};

/* Wires: 0 and 1 legacy, from 2 on the pins. */
enum { WIRES = 2 + HPET_PINS };

static struct fake_clock fake;
static struct hpet hpet;
static bool wire[WIRES], replaced;
static unsigned edges[WIRES];
static u64 last_edge_ns;

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->now;
}
static void set_wire(void *receiver, unsigned pin, bool level)
{
    if (level && !wire[pin]) {
        edges[pin]++;
        last_edge_ns = fake.now;
    }
    wire[pin] = level;
}
static void replace(void *machine, bool on)
{
    replaced = on;
}

static void run_to(u64 ns)
{
    while (clock_next_deadline(&fake.clock) <= ns) {
        if (clock_next_deadline(&fake.clock) > fake.now) fake.now = clock_next_deadline(&fake.clock);
        clock_run(&fake.clock);
    }
    fake.now = ns;
}
/* The host does not run this process meanwhile. */
static void stand_still_to(u64 ns)
{
    fake.now = ns;
    clock_run(&fake.clock);
}

static u32 in(u32 at)
{
    return hpet_ops.read(&hpet, at, 4);
}
static void out(u32 at, u32 value)
{
    hpet_ops.write(&hpet, at, 4, value);
}
static u64 in64(u32 at)
{
    return in(at) | (u64)in(at + 4) << 32;
}

static void start(bool has_pins)
{
    fake = (struct fake_clock){.clock = {.now_ns = now_ns}, .now = 12345};
    struct hpet_wiring wiring = {.has_pins = has_pins, .replace = replace};
    for (unsigned n = 0; n < WIRES; n++) {
        wire[n] = false;
        edges[n] = 0;
        *(n < 2 ? &wiring.legacy[n] : &wiring.pin[n - 2]) = (struct irq_line){.set = set_wire, .pin = n};
    }
    replaced = false;
    hpet_init(&hpet, &fake.clock, &wiring);
}

static void test_registers(void)
{
    start(true);
    CHECK_EQ(in(ID), 0x8086a201);
    CHECK_EQ(in(ID + 4), TICK * 1000000);
    CHECK_EQ(in(CONFIG), 0);
    CHECK_EQ(in64(COUNT), 0);
    for (unsigned n = 0; n < 3; n++) {
        CHECK_EQ(in(TIMER(n)), 0x30);
        CHECK_EQ(in(TIMER(n) + 4), 0x00f00000);
        CHECK_EQ(in64(COMPARATOR(n)), UINT64_MAX);
        CHECK_EQ(in64(TIMER(n) + 0x10), 0);
    }
    CHECK_EQ(in64(TIMER(3)), 0);
    out(CONFIG, 0xffffffff);
    CHECK_EQ(in(CONFIG), 3);
    CHECK(replaced);
    out(CONFIG, 0);
    CHECK(!replaced);
    out(TIMER(1), 0xffffffff);
    CHECK_EQ(in(TIMER(1)), 0x3f7e);
    out(TIMER(3), 0xffffffff);
    hpet_ops.write(&hpet, TIMER(1), 1, 0); /* not a whole dword */
    hpet_ops.write(&hpet, TIMER(1), 2, 0);
    CHECK_EQ(in(TIMER(1)), 0x3f7e);
    CHECK_EQ(hpet_ops.read(&hpet, ID + 1, 1) & 0xff, 0xa2);
    start(false);
    CHECK_EQ(in(TIMER(0) + 4), 0);
}

static void test_counter(void)
{
    start(true);
    fake.now += 5000;
    CHECK_EQ(in64(COUNT), 0);
    out(CONFIG, RUN);
    fake.now += 25;
    CHECK_EQ(in64(COUNT), 2);
    out(CONFIG, 0);
    fake.now += 1000;
    CHECK_EQ(in64(COUNT), 2);
    out(COUNT, 0xfffffff0);
    out(COUNT + 4, 7);
    out(CONFIG, RUN);
    fake.now += 32 * TICK;
    CHECK_EQ(in64(COUNT), 0x800000010);
    hpet_reset(&hpet);
    CHECK_EQ(in64(COUNT), 0);
}

static void test_one_shot(void)
{
    start(true);
    out(CONFIG, RUN | LEGACY);
    u64 start_ns = fake.now;
    out(TIMER(0), INTERRUPT | ONLY_32);
    out(COMPARATOR(0), 1000);
    run_to(start_ns + 1000 * TICK - 1);
    CHECK_EQ(edges[0], 0);
    run_to(start_ns + 1000 * TICK);
    CHECK_EQ(edges[0], 1);
    CHECK(wire[0]); /* an 8259 wants to see it when it is acknowledged */
    CHECK_EQ(in(COMPARATOR(0)), 1000);
    out(CONFIG, RUN | LEGACY); /* within the tick of the match: no second one */
    CHECK_EQ(edges[0], 1);
    run_to(start_ns + 2000 * TICK);
    CHECK_EQ(edges[0], 1);
    /* A match that has been passed comes after a turn of 32 bits, */
    out(COMPARATOR(0), 1999);
    run_to(start_ns + 1998 * TICK + (1ull << 32) * TICK);
    CHECK_EQ(edges[0], 1);
    run_to(start_ns + 1999 * TICK + (1ull << 32) * TICK);
    CHECK_EQ(edges[0], 2);
    out(TIMER(0), 0);
    CHECK(!wire[0]);
    /* and with 64 bits practically never. */
    start(true);
    out(CONFIG, RUN);
    start_ns = fake.now;
    out(TIMER(2), INTERRUPT | ROUTE(21));
    out(COMPARATOR(2), 100);
    out(COMPARATOR(2) + 4, 1);
    run_to(start_ns + 1000 * TICK);
    CHECK_EQ(edges[3], 0);
    run_to(start_ns + (100 + (1ull << 32)) * TICK);
    CHECK_EQ(edges[3], 1);
    CHECK_EQ(last_edge_ns, start_ns + (100 + (1ull << 32)) * TICK);
    out(COMPARATOR(2) + 4, 0);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    /* A route that does not exist. */
    out(TIMER(2), INTERRUPT | ROUTE(3));
    CHECK(!wire[3]);
}

/* As Linux sets a period: comparator with bit 6, then the period. Then by one write, as the specification has it. */
static void test_periodic(void)
{
    start(true);
    out(CONFIG, RUN | LEGACY);
    u64 start_ns = fake.now;
    out(TIMER(0), INTERRUPT | PERIODIC | SET_VALUE | ONLY_32);
    CHECK_EQ(in(TIMER(0)) & SET_VALUE, SET_VALUE);
    out(COMPARATOR(0), 5000);
    CHECK_EQ(in(TIMER(0)) & SET_VALUE, 0);
    out(COMPARATOR(0), 300);
    CHECK_EQ(in(COMPARATOR(0)), 5000);
    run_to(start_ns + 4999 * TICK);
    CHECK_EQ(edges[0], 0);
    run_to(start_ns + (5000 + 300 * 9) * TICK);
    CHECK_EQ(edges[0], 10);
    CHECK_EQ(last_edge_ns, start_ns + (5000 + 300 * 9) * TICK);
    CHECK_EQ(in(COMPARATOR(0)), 5000 + 300 * 10);
    /* A late host: one interrupt, and the next one in step. */
    stand_still_to(start_ns + (5000 + 300 * 30 + 7) * TICK);
    CHECK_EQ(edges[0], 11);
    run_to(start_ns + (5000 + 300 * 31) * TICK);
    CHECK_EQ(edges[0], 12);
    CHECK_EQ(last_edge_ns, start_ns + (5000 + 300 * 31) * TICK);
    /* Over the end of 32 bits. */
    out(CONFIG, LEGACY);
    out(COUNT, 0xffffff00);
    out(TIMER(0), INTERRUPT | PERIODIC | SET_VALUE | ONLY_32);
    out(COMPARATOR(0), 0xffffff80);
    out(COMPARATOR(0), 0x100);
    out(CONFIG, RUN | LEGACY);
    edges[0] = 0;
    start_ns = fake.now;
    run_to(start_ns + 0x180 * TICK);
    CHECK_EQ(edges[0], 2);
    CHECK_EQ(in(COMPARATOR(0)), 0x180);
    /* Without interrupts the counter goes on too, and needs no host timer. */
    out(TIMER(0), PERIODIC | ONLY_32);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    run_to(start_ns + 0x881 * TICK);
    CHECK_EQ(in(COMPARATOR(0)), 0x880);

    start(true);
    out(CONFIG, RUN);
    start_ns = fake.now;
    out(TIMER(1), INTERRUPT | PERIODIC | SET_VALUE | ONLY_32 | ROUTE(20));
    out(COMPARATOR(1), 1000);
    run_to(start_ns + 10 * 1000 * TICK);
    CHECK_EQ(edges[2], 10);
    out(COMPARATOR(1), 0); /* no period: a turn of 32 bits */
    run_to(start_ns + 100 * 1000 * TICK);
    CHECK_EQ(edges[2], 11);
}

static void test_level(void)
{
    start(true);
    out(CONFIG, RUN);
    u64 start_ns = fake.now;
    out(TIMER(1), INTERRUPT | LEVEL | ONLY_32 | ROUTE(23));
    out(TIMER(2), INTERRUPT | LEVEL | ONLY_32 | ROUTE(23));
    out(COMPARATOR(1), 100);
    out(COMPARATOR(2), 200);
    run_to(start_ns + 150 * TICK);
    CHECK(wire[5]);
    CHECK_EQ(in(STATUS), 2);
    run_to(start_ns + 250 * TICK);
    CHECK_EQ(in(STATUS), 6);
    out(STATUS, 2);
    CHECK(wire[5]); /* the other timer's */
    out(CONFIG, 0);
    CHECK(!wire[5]);
    CHECK_EQ(in(STATUS), 4);
    out(CONFIG, RUN);
    CHECK(wire[5]);
    out(STATUS, 4);
    CHECK(!wire[5]);
    CHECK_EQ(edges[5], 2);
    /* Legacy replacement takes the wire of timer 1 with it. */
    start_ns = fake.now;
    out(COMPARATOR(1), in(COUNT) + 100);
    run_to(start_ns + 101 * TICK);
    CHECK(wire[5] && !wire[1]);
    out(CONFIG, RUN | LEGACY);
    CHECK(!wire[5] && wire[1]);
    hpet_reset(&hpet);
    CHECK(!wire[1] && !replaced);
    CHECK_EQ(in(STATUS), 0);
}

static void test_noise(void)
{
    u64 state = 88172645463325252ull;
    start(true);
    for (unsigned n = 0; n < 300000; n++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32 at = (state >> 8 & 0xff) * 4, value = (u32)(state >> 20);
        switch (state & 7) {
        case 0: in(at); break;
        case 1: out(at & 0x1f0, value & 0x3fff); break;
        case 2: out(COMPARATOR(value % 3), value >> (value & 31)); break;
        case 3: out(TIMER(value % 3), value >> 4); break;
        case 4: out(CONFIG, value & 3); break;
        case 5: stand_still_to(fake.now + (value & 0xfffff)); break;
        default:
            for (unsigned fires = 0; fires < 20 && clock_next_deadline(&fake.clock) <= fake.now + 5000;
                 fires++) {
                u64 next = clock_next_deadline(&fake.clock);
                stand_still_to(next > fake.now ? next : fake.now);
                CHECK(clock_next_deadline(&fake.clock) > fake.now); /* nothing is due for ever */
            }
        }
    }
}

int main(void)
{
    test_registers();
    test_counter();
    test_one_shot();
    test_periodic();
    test_level();
    test_noise();
    return check_report();
}
