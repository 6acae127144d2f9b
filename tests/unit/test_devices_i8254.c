/*
 * The interval timer: the count of every mode at exact times, OUT0's edges without drift, and what happens
 * when the host is late.
 */
#include "devices/chipset/i8254.h"

#include "check.h"

struct fake_clock {
    struct clock clock;
    u64 now;
};

static struct fake_clock fake;
static struct i8254 pit;
static unsigned edges;
static bool line;
static u64 last_edge_ns;

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->now;
}

static void set_line(void *receiver, unsigned pin, bool level)
{
    if (level && !line) {
        edges++;
        last_edge_ns = fake.now;
    }
    line = level;
}

/* The first nanosecond of a tick: the smallest n with n * 1193182 / 10^9 >= tick. */
static u64 ns_of(u64 tick)
{
    __uint128_t n = ((__uint128_t)tick * 1000000000 + 1193181) / 1193182;
    return (u64)n;
}

/* Lets time pass and fires timers when they are due. */
static void run_to(u64 ns)
{
    while (clock_next_deadline(&fake.clock) <= ns) {
        if (clock_next_deadline(&fake.clock) > fake.now) fake.now = clock_next_deadline(&fake.clock);
        clock_run(&fake.clock);
    }
    fake.now = ns;
}

static void run_to_tick(u64 tick)
{
    run_to(ns_of(tick));
}

static void out(unsigned port, u8 value)
{
    i8254_ops.write(&pit, port, 1, value);
}
static u8 in(unsigned port)
{
    return i8254_ops.read(&pit, port, 1);
}
static void port61(u8 value)
{
    i8254_port61_ops.write(&pit, 0, 1, value);
}

static u16 latched(unsigned channel)
{
    out(3, channel << 6);
    u8 low = in(channel);
    return low | in(channel) << 8;
}

static u8 status(unsigned channel)
{
    out(3, 0xe0 | 2 << channel);
    return in(channel);
}

static bool out2(void)
{
    return i8254_port61_ops.read(&pit, 0, 1) & 0x20;
}

static void start(u64 ns)
{
    fake = (struct fake_clock){.clock = {.now_ns = now_ns}, .now = ns};
    line = false;
    i8254_init(&pit, &fake.clock, (struct irq_line){.set = set_line});
    edges = 0;
}

/* Write a 16-bit count to channel 2, low byte first, at tick 1000; it is loaded at tick 1001. */
static void program2(unsigned mode, u16 count, bool gate)
{
    start(ns_of(1000));
    port61(gate ? 1 : 0);
    out(3, 0xb0 | mode << 1);
    out(2, count & 0xff), out(2, count >> 8);
}

static void test_mode0(void)
{
    program2(0, 100, true);
    CHECK(!out2());
    CHECK_EQ(status(2), 0x70); /* null count */
    run_to_tick(1001);
    CHECK_EQ(status(2), 0x30);
    CHECK_EQ(latched(2), 100);
    run_to(ns_of(1002) - 1);
    CHECK_EQ(latched(2), 100);
    run_to_tick(1002);
    CHECK_EQ(latched(2), 99);
    run_to(ns_of(1101) - 1);
    CHECK(!out2());
    run_to_tick(1101); /* N + 1 clocks after the write */
    CHECK(out2());
    CHECK_EQ(latched(2), 0);
    run_to_tick(1102);
    CHECK_EQ(latched(2), 0xffff); /* and it goes on */
    /* The gate stops it. */
    program2(0, 100, true);
    run_to_tick(1011);
    port61(0);
    run_to_tick(5000);
    CHECK_EQ(latched(2), 90);
    port61(1);
    run_to_tick(5089);
    CHECK(!out2());
    run_to_tick(5090);
    CHECK(out2());
    /* The first byte of a new count stops it and lowers OUT. */
    out(2, 10);
    CHECK(!out2());
    run_to_tick(6000);
    CHECK(!out2());
    out(2, 0);
    run_to_tick(6011);
    CHECK(out2());
}

static void test_mode1(void)
{
    program2(1, 50, false);
    run_to_tick(2000);
    CHECK(out2());
    CHECK_EQ(status(2), 0xf2); /* OUT high, the count not loaded: no trigger yet */
    port61(1);
    run_to_tick(2001);
    CHECK(!out2());
    CHECK_EQ(latched(2), 50);
    run_to_tick(2031);
    CHECK_EQ(latched(2), 20);
    port61(0), port61(1); /* triggered again */
    run_to_tick(2081);
    CHECK(!out2());
    run_to_tick(2082);
    CHECK(out2());
}

static void test_mode2(void)
{
    program2(2, 10, true);
    CHECK(out2());
    run_to_tick(1001);
    CHECK_EQ(latched(2), 10);
    run_to_tick(1009);
    CHECK_EQ(latched(2), 2);
    CHECK(out2());
    run_to_tick(1010);
    CHECK_EQ(latched(2), 1);
    CHECK(!out2());
    run_to_tick(1011);
    CHECK_EQ(latched(2), 10);
    CHECK(out2());
    /* A new count waits for the end of the cycle. */
    out(2, 20), out(2, 0);
    CHECK_EQ(status(2) & 0x40, 0x40);
    run_to_tick(1020);
    CHECK_EQ(latched(2), 1);
    run_to_tick(1021);
    CHECK_EQ(latched(2), 20);
    CHECK_EQ(status(2) & 0x40, 0);
    /* Gate low forces OUT high; its rise reloads. */
    run_to_tick(1040);
    CHECK(!out2());
    port61(0);
    CHECK(out2());
    run_to_tick(3000);
    CHECK_EQ(latched(2), 1);
    port61(1);
    run_to_tick(3001);
    CHECK_EQ(latched(2), 20);
}

static void test_mode3(void)
{
    program2(3, 8, true);
    static const u16 even[] = {8, 6, 4, 2, 8, 6, 4, 2, 8};
    for (unsigned i = 0; i < 9; i++) {
        run_to_tick(1001 + i);
        CHECK_EQ(latched(2), even[i]);
        CHECK_EQ(out2(), i % 8 < 4);
    }
    program2(7, 5, true); /* mode 7 is mode 3 */
    static const u16 odd[] = {4, 2, 0, 4, 2, 4};
    for (unsigned i = 0; i < 6; i++) {
        run_to_tick(1001 + i);
        CHECK_EQ(latched(2), odd[i]);
        CHECK_EQ(out2(), i % 5 < 3);
    }
    CHECK_EQ(status(2), 0xb6);
    /* A new count waits for the end of the half period. */
    program2(3, 8, true);
    run_to_tick(1002);
    out(2, 20), out(2, 0);
    run_to_tick(1004);
    CHECK_EQ(latched(2), 2);
    run_to_tick(1005);
    CHECK_EQ(latched(2), 20);
    CHECK(!out2());
    run_to_tick(1014);
    CHECK(!out2());
    run_to_tick(1015);
    CHECK(out2());
}

static void test_mode4_and_5(void)
{
    program2(4, 10, true);
    run_to_tick(1010);
    CHECK(out2());
    run_to_tick(1011);
    CHECK(!out2());
    CHECK_EQ(latched(2), 0);
    run_to_tick(1012);
    CHECK(out2());
    program2(5, 10, false);
    run_to_tick(2000);
    port61(1);
    run_to_tick(2010);
    CHECK(out2());
    run_to_tick(2011);
    CHECK(!out2());
    run_to_tick(2012);
    CHECK(out2());
}

static void test_bcd_and_access(void)
{
    start(ns_of(1000));
    port61(1);
    out(3, 0xb1); /* mode 0, BCD */
    out(2, 0x00), out(2, 0x10);
    run_to_tick(1002);
    CHECK_EQ(latched(2), 0x0999);
    run_to_tick(2002);
    CHECK_EQ(latched(2), 0x9999);
    out(3, 0x91); /* low byte only */
    out(2, 0x25);
    run_to_tick(2003);
    CHECK_EQ(in(2), 0x25);
    CHECK_EQ(in(2), 0x25);
    out(3, 0xa0); /* high byte only */
    out(2, 0x12);
    run_to_tick(2004);
    CHECK_EQ(in(2), 0x12);
    CHECK_EQ(pit.channel[2].count, 0x1200);
}

static void test_latches(void)
{
    program2(0, 1000, true);
    run_to_tick(1101);
    out(3, 0xc8); /* read-back: status and count of channel 2 */
    run_to_tick(1201);
    out(3, 0x80); /* a second latch is ignored until the first is read */
    CHECK_EQ(in(2), 0x30);
    CHECK_EQ(in(2), 900 & 0xff);
    CHECK_EQ(in(2), 900 >> 8);
    CHECK_EQ(in(2), 800 & 0xff); /* not latched any more */
    CHECK_EQ(in(2), 800 >> 8);
    CHECK_EQ(in(3), 0xff);
}

static void test_rate_does_not_drift(void)
{
    start(0);
    out(3, 0x34); /* mode 2, 1000 Hz, nearly */
    out(0, 1193 & 0xff), out(0, 1193 >> 8);
    edges = 0;
    run_to(3600ull * 1000000000);
    CHECK_EQ(edges, (3600ull * 1193182 - 1) / 1193);
    CHECK_EQ(last_edge_ns, ns_of(1 + edges * 1193ull));
    /* At Linux' HZ of 250, one after the other. */
    out(3, 0x34);
    out(0, 4773 & 0xff), out(0, 4773 >> 8);
    u64 base = fake.now;
    edges = 0;
    run_to(base + 1000000000);
    CHECK_EQ(edges, 249);
}

static void test_host_is_late(void)
{
    start(0);
    out(3, 0x34);
    out(0, 1193 & 0xff), out(0, 1193 >> 8);
    u64 period = ns_of(1193);
    run_to_tick(1);
    edges = 0;
    fake.now = ns_of(1 + 10 * 1193); /* ten are due, none was reported */
    clock_run(&fake.clock);
    CHECK_EQ(edges, 1); /* no burst */
    clock_run(&fake.clock);
    CHECK_EQ(edges, 1);
    run_to(fake.now + period / 2);
    CHECK_EQ(edges, 2);
    run_to_tick(1 + 20 * 1193);
    CHECK(edges >= 19 && edges <= 20); /* caught up: none lost */
    run_to_tick(1 + 40 * 1193);
    CHECK_EQ(edges, 40);
    CHECK_EQ(last_edge_ns, ns_of(1 + 40 * 1193)); /* and on time again */
}

static void test_one_shots(void)
{
    start(0);
    out(3, 0x30);
    out(0, 100), out(0, 0);
    CHECK(!line);
    run_to(ns_of(101) - 1);
    CHECK_EQ(edges, 0);
    run_to_tick(101);
    CHECK_EQ(edges, 1);
    run_to_tick(1000000);
    CHECK_EQ(edges, 1);
    out(0, 50);
    CHECK(!line); /* a new count lowers OUT */
    out(0, 0);
    run_to_tick(1000051);
    CHECK_EQ(edges, 2);
    /* Mode 4, as Linux' one-shot clock event does. */
    out(3, 0x38);
    edges = 0;
    for (unsigned i = 0; i < 5; i++) {
        out(0, 200), out(0, 0);
        run_to_tick(1000051 + (i + 1) * 1000);
        CHECK_EQ(edges, i + 1);
    }
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX); /* an idle guest is not woken */
}

static void test_port61(void)
{
    start(0);
    CHECK_EQ(i8254_port61_ops.read(&pit, 0, 1) & 0x0f, 0);
    port61(0xff);
    CHECK_EQ(i8254_port61_ops.read(&pit, 0, 1) & 0xcf, 0x0f);
    unsigned toggles = 0;
    bool before = false;
    for (unsigned tick = 0; tick < 180; tick++) {
        run_to_tick(tick);
        bool refresh = i8254_port61_ops.read(&pit, 0, 1) & 0x10;
        toggles += refresh != before;
        before = refresh;
    }
    CHECK_EQ(toggles, 9); /* one in 15.09 us */
}

int main(void)
{
    test_mode0();
    test_mode1();
    test_mode2();
    test_mode3();
    test_mode4_and_5();
    test_bcd_and_access();
    test_latches();
    test_rate_does_not_drift();
    test_host_is_late();
    test_one_shots();
    test_port61();
    return check_report();
}
