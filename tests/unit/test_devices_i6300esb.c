/*
 * The watchdog timer by its registers, with injected time: the unlocking writes, both stages, reloads, the lock, no
 * output, what survives a reset.
 */
#include "devices/chipset/i6300esb.h"

#include "check.h"

enum { PRELOAD1 = 0, PRELOAD2 = 4, STATUS = 8, RELOAD = 12 };
enum { CONFIG = 0x60, LOCK = 0x68 };
#define MS 1000000ull

static u64 now;
static unsigned alarms;
static struct pci_bus bus;
static struct i6300esb watchdog;
static struct clock fake_time;

static u64 now_ns(const struct clock *clock)
{
    return now;
}
static void alarm(void *owner)
{
    alarms++;
}

static void run(u64 ns)
{
    now += ns;
    clock_run(&fake_time);
}

static void config(unsigned offset, u32 value)
{
    pci_config_ops.write(&bus, 0, 4, 0x80000000u | watchdog.pci.devfn << 8 | (offset & 0xfc));
    pci_config_ops.write(&bus, 4 + (offset & 3), 1, value);
}
static u32 get(u32 offset)
{
    return watchdog.pci.bar[0].ops->read(&watchdog, offset, 4);
}
static void put_locked(u32 offset, u32 value)
{
    watchdog.pci.bar[0].ops->write(&watchdog, offset, 4, value);
}
static void put(u32 offset, u32 value)
{
    put_locked(RELOAD, 0x80);
    put_locked(RELOAD, 0x86);
    put_locked(offset, value);
}

static void start(void)
{
    now = 0;
    alarms = 0;
    fake_time = (struct clock){.now_ns = now_ns};
    pci_bus_init(&bus);
    i6300esb_init(&watchdog, &bus, PCI_DEVFN(4, 0), &fake_time, alarm, NULL);
}

/* 100 counts of 2^15 clocks of 33 MHz: 99.3 ms a stage. */
static void set_stages(void)
{
    put(PRELOAD1, 100);
    put(PRELOAD2, 100);
    put(RELOAD, 0x100);
}

static void test_stages(void)
{
    start();
    set_stages();
    run(10000 * MS);
    CHECK_EQ(alarms, 0); /* not enabled */
    config(LOCK, 2);
    run(98 * MS);
    CHECK_EQ(get(STATUS), 0);
    run(2 * MS);
    CHECK_EQ(get(STATUS), 1);
    CHECK_EQ(alarms, 0);
    put_locked(STATUS, 1);
    CHECK_EQ(get(STATUS), 0);
    put(RELOAD, 0x100); /* the driver is alive: stage 1 again */
    run(98 * MS);
    CHECK_EQ(get(STATUS), 0);
    run(2 * MS);
    run(98 * MS);
    CHECK_EQ(alarms, 0);
    run(4 * MS);
    CHECK_EQ(alarms, 1);
    CHECK_EQ(get(RELOAD), 0x200);
    run(10000 * MS);
    CHECK_EQ(alarms, 1); /* it does not run freely */
    i6300esb_reset(&watchdog);
    CHECK_EQ(get(RELOAD), 0x200); /* the driver finds the cause of the reset */
    put(RELOAD, 0x200);
    CHECK_EQ(get(RELOAD), 0);
}

static void test_unlocking(void)
{
    start();
    config(LOCK, 2);
    put_locked(PRELOAD1, 1); /* without the two writes: no effect */
    put_locked(RELOAD, 0x86);
    put_locked(RELOAD, 0x80);
    put_locked(PRELOAD1, 1); /* in the wrong order: neither */
    put_locked(RELOAD, 0x80);
    put_locked(PRELOAD2, 1); /* something else between them: neither */
    put_locked(RELOAD, 0x86);
    put_locked(PRELOAD2, 1);
    put(RELOAD, 0x100);
    run(1000 * MS);
    CHECK_EQ(get(STATUS), 0);
    CHECK_EQ(alarms, 0);
}

static void test_lock(void)
{
    start();
    set_stages();
    config(LOCK, 3);
    config(LOCK, 0);
    run(100 * MS);
    run(100 * MS);
    CHECK_EQ(alarms, 1); /* it could not be stopped */
    i6300esb_reset(&watchdog);
    set_stages();
    config(LOCK, 2);
    config(LOCK, 0);
    run(1000 * MS);
    CHECK_EQ(alarms, 1);
}

static void test_modes(void)
{
    start();
    set_stages();
    config(CONFIG, 0x20); /* no output */
    config(LOCK, 2);
    run(100 * MS);
    run(100 * MS);
    CHECK_EQ(alarms, 0);
    CHECK_EQ(get(RELOAD), 0x200);
    start();
    put(PRELOAD1, 100);
    put(PRELOAD2, 100);
    config(CONFIG, 0x04); /* 2^5 clocks: 97 us a stage */
    config(LOCK, 6);      /* freely */
    for (unsigned n = 0; n < 6; n++)
        run(MS / 10);
    CHECK_EQ(alarms, 3);
}

int main(void)
{
    test_stages();
    test_unlocking();
    test_lock();
    test_modes();
    return check_report();
}
