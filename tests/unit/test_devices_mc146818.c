/*
 * The real-time clock: the date, the formats, update cycles and UIP to the nanosecond, the three interrupts.
 */
#include "devices/chipset/mc146818.h"

#include "check.h"

#define SECOND 1000000000ull

struct fake_clock {
    struct clock clock;
    u64 now;
};

static struct fake_clock fake;
static struct mc146818 rtc;
static bool line;

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->now;
}
static void set_line(void *receiver, unsigned pin, bool level)
{
    line = level;
}

static void run_to(u64 ns)
{
    while (clock_next_deadline(&fake.clock) <= ns) {
        if (clock_next_deadline(&fake.clock) > fake.now) fake.now = clock_next_deadline(&fake.clock);
        clock_run(&fake.clock);
    }
    fake.now = ns;
}

static u8 get(u8 index)
{
    mc146818_ops.write(&rtc, 0, 1, index);
    return mc146818_ops.read(&rtc, 1, 1);
}

static void put(u8 index, u8 value)
{
    mc146818_ops.write(&rtc, 0, 1, index);
    mc146818_ops.write(&rtc, 1, 1, value);
}

static void start(s64 time)
{
    fake = (struct fake_clock){.clock = {.now_ns = now_ns}};
    line = false;
    mc146818_init(&rtc, &fake.clock, (struct irq_line){.set = set_line}, time);
}

/* year month day weekday hours minutes seconds, in hexadecimal digits as BCD reads */
static void check_time(u64 date, u32 time)
{
    CHECK_EQ((u64)get(0x32) << 32 | get(9) << 24 | get(8) << 16 | get(7) << 8 | get(6), date);
    CHECK_EQ(get(4) << 16 | get(2) << 8 | get(0), time);
}

static void test_dates(void)
{
    start(0);
    check_time(0x1970010105, 0x000000); /* a Thursday */
    start(951782399);
    check_time(0x2000022802, 0x235959);
    run_to(SECOND);
    check_time(0x2000022903, 0x000000); /* leap day */
    run_to(SECOND * (1 + 86400));
    check_time(0x2000030104, 0x000000);
    start(1735689599); /* 2024-12-31 23:59:59, Tuesday */
    check_time(0x2024123103, 0x235959);
    run_to(SECOND - 1);
    check_time(0x2024123103, 0x235959);
    run_to(SECOND);
    check_time(0x2025010104, 0x000000);
    start(1795252404); /* 2026-11-21 09:13:24, Saturday */
    check_time(0x2026112107, 0x091324);
}

static void test_formats(void)
{
    start(1735689599);
    put(0x0b, 0x86); /* SET, binary, 24 hours: the guest writes the time again in its own format */
    put(0, 58), put(2, 59), put(4, 11), put(6, 1), put(7, 31), put(8, 12), put(9, 25);
    put(0x0b, 0x06);
    run_to(2 * SECOND);
    CHECK_EQ(get(0), 0);
    CHECK_EQ(get(2), 0);
    CHECK_EQ(get(4), 12);
    put(0x0b, 0x80); /* BCD, 12 hours */
    put(0, 0x59), put(2, 0x59), put(4, 0x11);
    put(0x0b, 0x00);
    run_to(3 * SECOND);
    CHECK_EQ(get(4), 0x92); /* 12 PM is noon */
    put(4, 0x12), put(2, 0x59), put(0, 0x59);
    run_to(4 * SECOND);
    CHECK_EQ(get(4), 0x01);                   /* from 12:59:59 AM to 1 AM */
    put(4, 0x91), put(2, 0x59), put(0, 0x59); /* 11:59:59 PM */
    run_to(5 * SECOND);
    CHECK_EQ(get(4), 0x12);
    CHECK_EQ(get(0x0d), 0x80);
}

static void test_set_and_divider(void)
{
    start(100);
    u8 before = get(0);
    put(0x0b, 0x92); /* SET stops updates and clears UIE */
    CHECK_EQ(get(0x0b), 0x82);
    run_to(10 * SECOND);
    CHECK_EQ(get(0), before);
    CHECK_EQ(get(0x0a), 0x26); /* and UIP stays low */
    put(0x0b, 0x02);
    run_to(11 * SECOND);
    CHECK_EQ(get(0), before + 1);
    /* As Linux sets the time: the first update follows half a second after the divider starts. */
    put(0x0a, 0x76);
    run_to(20 * SECOND + 123);
    CHECK_EQ(get(0), before + 1);
    put(0x0a, 0x26);
    run_to(20 * SECOND + 500000122);
    CHECK_EQ(get(0), before + 1);
    run_to(20 * SECOND + 500000123);
    CHECK_EQ(get(0), before + 2);
    run_to(21 * SECOND + 500000123);
    CHECK_EQ(get(0), before + 3);
}

static void test_uip(void)
{
    start(0);
    CHECK_EQ(get(0x0a), 0x26);
    run_to(SECOND - 2228001);
    CHECK_EQ(get(0x0a), 0x26);
    run_to(SECOND - 2228000);
    CHECK_EQ(get(0x0a), 0xa6);
    run_to(SECOND - 1);
    CHECK_EQ(get(0x0a), 0xa6);
    run_to(SECOND);
    CHECK_EQ(get(0x0a), 0x26);
    CHECK_EQ(get(0), 1);
    put(0x0a, 0xa6); /* UIP is read-only */
    CHECK_EQ(get(0x0a), 0x26);
}

static void test_update_interrupt(void)
{
    start(0);
    put(0x0a, 0x20); /* no periodic interrupt: its flag would show too */
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX); /* no interrupt enabled: no wake-up */
    run_to(3 * SECOND);
    CHECK_EQ(get(0x0c), 0x10); /* the flag comes without the interrupt, too */
    CHECK_EQ(get(0x0c), 0x00);
    run_to(3 * SECOND + 5);
    put(0x0b, 0x12);
    run_to(4 * SECOND - 1);
    CHECK(!line);
    run_to(4 * SECOND);
    CHECK(line);
    CHECK_EQ(get(0x0c), 0x90);
    CHECK(!line);
    run_to(5 * SECOND);
    CHECK(line);
    mc146818_reset(&rtc);
    CHECK(!line);
    CHECK_EQ(get(0x0b), 0x02);
}

static void test_alarm(void)
{
    start(0);
    put(0x0a, 0x20);                          /* no periodic interrupt: its flag would show too */
    put(1, 0x05), put(3, 0x01), put(5, 0x00); /* at 00:01:05 */
    put(0x0b, 0x22);
    run_to(65 * SECOND - 1);
    CHECK(!line);
    run_to(65 * SECOND);
    CHECK(line);
    CHECK_EQ(get(0x0c), 0xb0);
    put(1, 0xff), put(3, 0xc0), put(5, 0xff); /* every second */
    run_to(66 * SECOND);
    CHECK_EQ(get(0x0c), 0xb0);
    /* The flag is found even after an hour without a read. */
    put(0x0b, 0x02);
    put(1, 0x30), put(3, 0x30), put(5, 0x00);
    run_to(3600 * SECOND);
    CHECK_EQ(get(0x0c) & 0x20, 0x20);
    run_to(7200 * SECOND);
    CHECK_EQ(get(0x0c) & 0x20, 0x00);
}

static void test_periodic(void)
{
    start(0);
    put(0x0b, 0x42); /* 1024 Hz */
    unsigned count = 0;
    for (u64 ms = 1; ms <= 10000; ms++) {
        run_to(ms * 500000);
        if (line) {
            count++;
            CHECK_EQ(get(0x0c) & 0xc0, 0xc0);
        }
    }
    CHECK_EQ(count, 5120);
    put(0x0a, 0x2f); /* 2 Hz */
    run_to(5 * SECOND + 499999999);
    CHECK(!line);
    run_to(5 * SECOND + 500000000);
    CHECK(line);
    get(0x0c);
    put(0x0a, 0x20);
    run_to(8 * SECOND);
    CHECK(!line);
    put(0x0a, 0x21); /* rate 1 is 256 Hz */
    run_to(8 * SECOND + 3906250);
    CHECK(line);
    /* The process stood still for 30 s: one interrupt, and the next when it is due. */
    get(0x0c);
    fake.now += 30 * SECOND;
    clock_run(&fake.clock);
    CHECK(line);
    get(0x0c);
    clock_run(&fake.clock);
    CHECK(!line);
    run_to(38 * SECOND + 2 * 3906250 - 1);
    CHECK(!line);
    run_to(38 * SECOND + 2 * 3906250);
    CHECK(line);
    check_time(0x1970010105, 0x000038);
}

static void test_memory(void)
{
    start(0);
    mc146818_set(&rtc, 0x15, 0x80);
    mc146818_set(&rtc, 0x7f, 0x55);
    CHECK_EQ(get(0x15), 0x80);
    CHECK_EQ(get(0xff), 0x55); /* bit 7 is the NMI mask */
    CHECK(rtc.nmi_masked);
    put(0x40, 0xa5);
    CHECK(!rtc.nmi_masked);
    CHECK_EQ(get(0x40), 0xa5);
}

int main(void)
{
    test_dates();
    test_formats();
    test_set_and_divider();
    test_uip();
    test_update_interrupt();
    test_alarm();
    test_periodic();
    test_memory();
    return check_report();
}
