/*
 * The local APIC's timer at exact times in all modes, at rates that no nanosecond divides, and when the host
 * is late.
 */
#include "lapic_rig.h"

/* Lets time pass and fires timers when they are due. Returns how many interrupts of `vector` came. */
static unsigned run_to(u64 ns, u8 vector)
{
    unsigned count = 0;
    while (clock_next_deadline(&fake.clock) <= ns) {
        if (clock_next_deadline(&fake.clock) > fake.now) fake.now = clock_next_deadline(&fake.clock);
        clock_run(&fake.clock);
        while (intr) {
            CHECK_EQ(lapic_acknowledge(&lapic), vector);
            out(EOI, 0);
            count++;
        }
    }
    fake.now = ns;
    return count;
}

static void test_one_shot(void)
{
    ready();
    out(LVT_TIMER, 0x30);
    CHECK_EQ(in(DIVIDE), 0);
    out(INITIAL, 1000); /* divided by 2 */
    CHECK_EQ(in(CURRENT), 1000);
    fake.now = 1;
    CHECK_EQ(in(CURRENT), 1000);
    fake.now = 2;
    CHECK_EQ(in(CURRENT), 999);
    CHECK_EQ(run_to(1999, 0x30), 0);
    CHECK_EQ(in(CURRENT), 1);
    CHECK_EQ(run_to(2000, 0x30), 1);
    CHECK_EQ(in(CURRENT), 0);
    CHECK_EQ(in(INITIAL), 1000);
    CHECK_EQ(run_to(1000000, 0x30), 0);

    static const u8 divides[] = {0, 1, 2, 3, 8, 9, 10, 11}, shifts[] = {1, 2, 3, 4, 5, 6, 7, 0};
    for (unsigned n = 0; n < sizeof divides; n++) {
        out(DIVIDE, divides[n]);
        u64 from = fake.now;
        out(INITIAL, 10);
        CHECK_EQ(run_to(from + (10ull << shifts[n]) - 1, 0x30), 0);
        CHECK_EQ(run_to(from + (10ull << shifts[n]), 0x30), 1);
    }

    /* The divisor is changed during a count; the count is stopped and begun again. */
    out(DIVIDE, BY_1), out(INITIAL, 1000);
    u64 from = fake.now;
    fake.now += 400;
    out(DIVIDE, 0);
    CHECK_EQ(in(CURRENT), 600);
    CHECK_EQ(run_to(from + 1599, 0x30), 0);
    CHECK_EQ(run_to(from + 1600, 0x30), 1);
    out(INITIAL, 1000), out(INITIAL, 0);
    CHECK_EQ(run_to(from + 10000, 0x30), 0);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    out(INITIAL, 0xffffffff), out(DIVIDE, 10); /* the longest: 2^32 - 1 times 128 */
    CHECK_EQ(in(CURRENT), 0xffffffff);
    CHECK_EQ(run_to(fake.now + (0xffffffffull << 7) - 1, 0x30), 0);
    CHECK_EQ(run_to(fake.now + 1, 0x30), 1);
}

/* At a rate that no nanosecond divides: 1000 periods end when 1000 periods should. */
static void test_periodic(void)
{
    ready();
    timer_hz = 2596122000;
    fake.now = 77777;
    out(LVT_TIMER, PERIODIC | 0x30), out(DIVIDE, BY_1);
    u64 ticks = (u64)((unsigned __int128)fake.now * timer_hz / 1000000000);
    out(INITIAL, 1000003);
    for (unsigned n = 1; n <= 1000; n++) {
        u64 end = ticks + n * 1000003ull;
        u64 ns = (u64)(((unsigned __int128)end * 1000000000 + timer_hz - 1) / timer_hz);
        CHECK_EQ(run_to(ns - 1, 0x30), 0);
        CHECK_EQ(run_to(ns, 0x30), 1);
    }
    /* The host stood still for 30 seconds: one interrupt, and the next at its regular time. */
    fake.now += 30000000000;
    clock_run(&fake.clock);
    CHECK(intr);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x30);
    out(EOI, 0);
    CHECK(!intr);
    u64 now = (u64)((unsigned __int128)fake.now * timer_hz / 1000000000);
    CHECK_EQ(in(CURRENT), 1000003 - (now - ticks) % 1000003);
    CHECK(clock_next_deadline(&fake.clock) > fake.now);
    CHECK_EQ(run_to(fake.now + 1000003 * 1000000000ull / timer_hz + 1, 0x30), 1);
    /* The shortest period there is does not hold the clock up. */
    out(INITIAL, 1);
    CHECK(run_to(fake.now + 1000, 0x30) > 100);
}

/* A masked count goes on, without wake-ups. */
static void test_masked(void)
{
    ready();
    out(LVT_TIMER, PERIODIC | MASKED | 0x30), out(DIVIDE, BY_1), out(INITIAL, 1000);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    fake.now = 10300;
    CHECK_EQ(in(CURRENT), 700);
    out(LVT_TIMER, PERIODIC | 0x30);
    CHECK(!intr);
    CHECK_EQ(run_to(10999, 0x30), 0);
    CHECK_EQ(run_to(11000, 0x30), 1);
    out(LVT_TIMER, MASKED | 0x30), out(INITIAL, 500); /* one-shot, and over before it is unmasked */
    fake.now += 500;
    out(LVT_TIMER, 0x30);
    CHECK(!intr);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    out(LVT_TIMER, PERIODIC | 0x30), out(INITIAL, 500);
    out(SVR, 0xff);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
}

static void test_deadline(void)
{
    ready();
    tsc_hz = 3000000000;
    fake.now = 1000000;
    lapic_set_deadline(&lapic, 5000000); /* not in this mode */
    CHECK_EQ(lapic_deadline(&lapic), 0);
    out(LVT_TIMER, DEADLINE | 0x31);
    out(INITIAL, 1000);
    CHECK_EQ(in(INITIAL), 0);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    lapic_set_deadline(&lapic, 3000000 + 3000);
    CHECK_EQ(lapic_deadline(&lapic), 3003000);
    CHECK_EQ(in(CURRENT), 0);
    CHECK_EQ(run_to(1000999, 0x31), 0);
    CHECK_EQ(run_to(1001000, 0x31), 1);
    CHECK_EQ(lapic_deadline(&lapic), 0);
    lapic_set_deadline(&lapic, 1); /* long past */
    CHECK(intr);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x31);
    out(EOI, 0);
    CHECK_EQ(lapic_deadline(&lapic), 0);
    lapic_set_deadline(&lapic, UINT64_MAX); /* never */
    CHECK_EQ(run_to(fake.now + 1000000000000, 0x31), 0);
    lapic_set_deadline(&lapic, 0); /* disarmed */
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    /* The TSC jumps beyond the deadline; and back before it. */
    lapic_set_deadline(&lapic, tsc(NULL) + 1000000);
    tsc_offset += 2000000;
    lapic_tsc_moved(&lapic);
    CHECK_EQ(lapic_acknowledge(&lapic), 0x31);
    out(EOI, 0);
    lapic_set_deadline(&lapic, tsc(NULL) + 3000);
    tsc_offset -= 3000;
    lapic_tsc_moved(&lapic);
    u64 from = fake.now;
    CHECK_EQ(run_to(from + 1999, 0x31), 0);
    CHECK_EQ(run_to(from + 2001, 0x31), 1);
    /* The TSC is slower than its assumed rate: the interrupt does not come early. */
    lapic_set_deadline(&lapic, tsc(NULL) + 3000000);
    tsc_offset -= 30;
    from = fake.now;
    CHECK_EQ(run_to(from + 1000009, 0x31), 0);
    CHECK_EQ(run_to(from + 1000012, 0x31), 1);
    lapic_set_deadline(&lapic, tsc(NULL) + 3000);
    out(LVT_TIMER, 0x31);
    CHECK_EQ(lapic_deadline(&lapic), 0);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    out(INITIAL, 1000), out(LVT_TIMER, DEADLINE | 0x31);
    CHECK_EQ(in(INITIAL), 0);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);

    lapic.has_deadline = false;
    out(LVT_TIMER, DEADLINE | PERIODIC | 0x31);
    CHECK_EQ(in(LVT_TIMER), PERIODIC | 0x31);
}

int main(void)
{
    test_one_shot();
    test_periodic();
    test_masked();
    test_deadline();
    return check_report();
}
