/*
 * PIIX4 power management: the addresses of its ports, the PM timer and its overflow to the nanosecond, the SCI as a
 * level, the power button, soft off, the SMI commands.
 */
#include "devices/chipset/piix4_pm.h"

#include "check.h"

enum { PMSTS = 0, PMEN = 2, PMCNTRL = 4, PMTMR = 8, GPSTS = 12, GPEN = 14 };
enum { TMROF = 0x0001, PWRBTN = 0x0100, RTC = 0x0400 };

#define SECOND 1000000000ull
#define HALF   0x800000ull /* ticks between two overflows */

struct fake_clock {
    struct clock clock;
    u64 now;
};

static struct fake_clock fake;
static struct pci_bus bus;
static struct piix4_pm pm;
static bool sci, mapped, smbus_mapped;
static u16 base, smbus_base;
static unsigned maps, power_offs, suspends, wakes;

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->now;
}
static void set_sci(void *receiver, unsigned pin, bool level)
{
    sci = level;
}
static void map(void *machine, u16 at, bool decoded)
{
    maps++;
    base = at;
    mapped = decoded;
}
static void map_smbus(void *machine, u16 at, bool decoded)
{
    smbus_base = at;
    smbus_mapped = decoded;
}
static void power_off(void *machine)
{
    power_offs++;
}

static void suspend(void *machine)
{
    suspends++;
}
static void wake(void *machine)
{
    wakes++;
}

static void run_to(u64 ns)
{
    while (clock_next_deadline(&fake.clock) <= ns) {
        fake.now = clock_next_deadline(&fake.clock);
        clock_run(&fake.clock);
    }
    fake.now = ns;
}

static u32 in(u32 offset, unsigned size)
{
    return (u32)mask_bytes(piix4_pm_ops.read(&pm, offset, size), size);
}
static void out(u32 offset, unsigned size, u32 value)
{
    piix4_pm_ops.write(&pm, offset, size, value);
}
static void smi(u8 command)
{
    piix4_smi_ops.write(&pm, 0, 1, command);
}

static u32 config(unsigned at, unsigned size)
{
    pci_config_ops.write(&bus, 0, 4, 0x80000000 | PCI_DEVFN(1, 3) << 8 | (at & ~3u));
    return (u32)mask_bytes(pci_config_ops.read(&bus, 4 + (at & 3), size), size);
}
static void set_config(unsigned at, unsigned size, u32 value)
{
    pci_config_ops.write(&bus, 0, 4, 0x80000000 | PCI_DEVFN(1, 3) << 8 | (at & ~3u));
    pci_config_ops.write(&bus, 4 + (at & 3), size, value);
}

static void start(void)
{
    fake = (struct fake_clock){.clock = {.now_ns = now_ns}};
    sci = mapped = false;
    base = 0;
    maps = power_offs = suspends = wakes = 0;
    pci_bus_init(&bus);
    piix4_pm_init(&pm, &bus, &fake.clock,
                  &(struct piix4_pm_wiring){.sci = {.set = set_sci},
                                            .map = map,
                                            .map_smbus = map_smbus,
                                            .power_off = power_off,
                                            .suspend = suspend,
                                            .wake = wake});
}

static void test_config(void)
{
    start();
    CHECK_EQ(config(0, 4), 0x71138086);
    CHECK_EQ(config(8, 4), 0x06800003);
    CHECK_EQ(config(0x3d, 1), 1);
    CHECK_EQ(config(0x40, 4), 1);
    CHECK_EQ(config(0x90, 4), 1);
    CHECK_EQ(config(0x5b, 1), 2); /* firmware need not set SMIs up */
    set_config(0x40, 4, 0x600);
    CHECK_EQ(config(0x40, 4), 0x601);
    CHECK(!mapped);
    set_config(0x80, 1, 0xff);
    CHECK_EQ(config(0x80, 1), 1);
    CHECK(mapped && base == 0x600);
    set_config(0x40, 4, 0xffffffff);
    CHECK_EQ(config(0x40, 4), 0xffc1);
    CHECK(mapped && base == 0xffc0);
    unsigned before = maps;
    set_config(0x40, 4, 0xffffffff);
    CHECK_EQ(maps, before);
    set_config(0x80, 1, 0);
    CHECK(!mapped);
    set_config(0x80, 1, 1);
    piix4_pm_reset(&pm);
    CHECK(!mapped);
    CHECK_EQ(config(0x40, 4), 1);
}

/* The ports are where the guest puts them; no device answers on the bus, which the host controller reports at once. */
static void test_smbus(void)
{
    start();
    struct piix4_smbus *smbus = &pm.smbus;
    set_config(0x90, 4, 0x700);
    set_config(0xd2, 1, 9);
    CHECK_EQ(config(0xd2, 1), 9);
    CHECK(!smbus_mapped);
    set_config(4, 2, 1);
    CHECK(smbus_mapped && smbus_base == 0x700);
    piix4_smbus_ops.write(smbus, 4, 1, 0xa1);
    CHECK_EQ(piix4_smbus_ops.read(smbus, 4, 1), 0xa1);
    piix4_smbus_ops.write(smbus, 2, 1, 0x48);
    CHECK_EQ(piix4_smbus_ops.read(smbus, 2, 1), 0x08);
    CHECK_EQ(piix4_smbus_ops.read(smbus, 0, 1), 0x04);
    piix4_smbus_ops.write(smbus, 0, 1, 0x1e);
    CHECK_EQ(piix4_smbus_ops.read(smbus, 0, 1), 0);
    for (u32 n = 0; n < 40; n++)
        piix4_smbus_ops.write(smbus, 7, 1, n);
    piix4_smbus_ops.read(smbus, 2, 1);
    CHECK_EQ(piix4_smbus_ops.read(smbus, 7, 1), 32);
    CHECK_EQ(piix4_smbus_ops.read(smbus, 7, 1), 33);
    piix4_pm_reset(&pm);
    CHECK(!smbus_mapped);
    CHECK_EQ(config(0xd2, 1), 0);
}

static void test_timer(void)
{
    start();
    CHECK_EQ(in(PMTMR, 4), 0);
    fake.now = SECOND;
    CHECK_EQ(in(PMTMR, 4), 3579545);
    fake.now = SECOND - 1;
    CHECK_EQ(in(PMTMR, 4), 3579544);
    /* Twenty years later it is still exact. */
    fake.now = 20ull * 365 * 86400 * SECOND;
    CHECK_EQ(in(PMTMR, 4), 20ull * 365 * 86400 * 3579545 & 0xffffff);
    CHECK_EQ(in(PMTMR + 2, 1), in(PMTMR, 4) >> 16);
    CHECK_EQ(in(PMTMR + 3, 1), 0);
    CHECK_EQ(in(PMTMR, 2), in(PMTMR, 4) & 0xffff);
    out(PMTMR, 4, 0);
    CHECK_EQ(in(PMTMR, 4), 20ull * 365 * 86400 * 3579545 & 0xffffff);
}

static void test_overflow(void)
{
    const u64 first = (HALF * SECOND + 3579544) / 3579545;
    start();
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    smi(PIIX4_ACPI_ENABLE);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX); /* no event enabled: sleep */
    out(PMEN, 2, TMROF);
    CHECK_EQ(clock_next_deadline(&fake.clock), first);
    run_to(first - 1);
    CHECK_EQ(in(PMTMR, 4), HALF - 1);
    CHECK_EQ(in(PMSTS, 2), 0);
    CHECK(!sci);
    run_to(first);
    CHECK_EQ(in(PMTMR, 4), HALF);
    CHECK_EQ(in(PMSTS, 2), TMROF);
    CHECK(sci);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX); /* until it is cleared */
    out(PMSTS, 2, TMROF);
    CHECK(!sci);
    CHECK_EQ(in(PMSTS, 2), 0);
    CHECK_EQ(clock_next_deadline(&fake.clock), (2 * HALF * SECOND + 3579544) / 3579545);
    run_to(clock_next_deadline(&fake.clock));
    CHECK_EQ(in(PMTMR, 4), 0);
    CHECK(sci);
    out(PMEN, 2, 0);
    CHECK(!sci);
    CHECK_EQ(in(PMSTS, 2), TMROF);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
}

static void test_events(void)
{
    start();
    piix4_pm_power_button(&pm);
    CHECK_EQ(in(PMSTS, 2), PWRBTN);
    out(PMEN, 2, 0xffff);
    CHECK_EQ(in(PMEN, 2), 0x0521);
    CHECK(!sci); /* not while the firmware has the events */
    smi(PIIX4_ACPI_ENABLE);
    CHECK_EQ(piix4_smi_ops.read(&pm, 0, 1), PIIX4_ACPI_ENABLE);
    CHECK_EQ(in(PMCNTRL, 2), 1);
    CHECK(sci);
    /* A byte is cleared alone; writing zeros clears nothing. */
    out(PMSTS, 1, 0xff);
    CHECK(sci);
    out(PMSTS, 2, 0);
    CHECK(sci);
    out(PMSTS + 1, 1, 0x01);
    CHECK(!sci);
    CHECK_EQ(in(PMSTS, 2), 0);
    piix4_pm_rtc(&pm, true);
    CHECK_EQ(in(PMSTS, 2), RTC);
    CHECK(sci);
    out(PMSTS, 2, RTC);
    piix4_pm_rtc(&pm, true); /* the same interrupt still */
    CHECK(!sci);
    piix4_pm_rtc(&pm, false);
    piix4_pm_rtc(&pm, true);
    CHECK(sci);
    smi(PIIX4_ACPI_DISABLE);
    CHECK(!sci);
    CHECK_EQ(in(PMCNTRL, 2), 0);
    /* Status and enable in one dword. */
    out(PMSTS, 4, 0x01000000 | RTC);
    CHECK_EQ(in(PMSTS, 4), 0x01000000);
    out(GPSTS, 4, 0xffffffff);
    CHECK_EQ(in(GPSTS, 4), 0x0f010000);
    piix4_pm_reset(&pm);
    CHECK_EQ(in(PMSTS, 4), 0);
    CHECK_EQ(in(GPSTS, 4), 0);
}

static void test_soft_off(void)
{
    start();
    out(PMCNTRL, 2, 5 << 10 | 1 << 13);
    CHECK_EQ(power_offs, 0);
    CHECK_EQ(in(PMCNTRL, 2), 5 << 10); /* SUS_EN reads 0 */
    out(PMCNTRL, 2, 1);
    CHECK_EQ(power_offs, 0);
    out(PMCNTRL, 2, 1 << 13 | 1);
    CHECK_EQ(power_offs, 1);
    /* By bytes: the type at the time of the second write counts. */
    out(PMCNTRL + 1, 1, 5 << 2);
    out(PMCNTRL, 1, 1);
    CHECK_EQ(power_offs, 1);
    out(PMCNTRL + 1, 1, 1 << 5);
    CHECK_EQ(power_offs, 2);
}

/* S3: enabled events wake the machine, and the power button always does. Status and enable bits are kept; the rest is
 * reset. */
static void test_suspend(void)
{
    enum { SLEEP = 0x2400, SCI_EN = 1, RSM = 0x8000 };
    start();
    set_config(0x40, 4, 0x600);
    set_config(0x80, 1, 1);
    smi(PIIX4_ACPI_ENABLE);
    out(PMEN, 2, RTC);
    out(PMCNTRL, 2, SLEEP | SCI_EN);
    CHECK_EQ(suspends, 1);
    CHECK_EQ(power_offs, 0);
    piix4_pm_suspend(&pm);
    CHECK(!mapped);
    CHECK_EQ(config(0x40, 4), 1);
    CHECK_EQ(wakes, 0);
    piix4_pm_rtc(&pm, true);
    CHECK_EQ(wakes, 1);
    CHECK_EQ(in(PMSTS, 2), RSM | RTC);
    CHECK_EQ(in(PMEN, 2), RTC);
    CHECK(in(PMCNTRL, 2) & SCI_EN);
    CHECK(sci);
    piix4_pm_rtc(&pm, false);
    out(PMSTS, 2, RSM | RTC);
    CHECK_EQ(in(PMSTS, 2), 0);

    out(PMEN, 2, 0); /* the alarm is not enabled */
    piix4_pm_suspend(&pm);
    piix4_pm_rtc(&pm, true);
    CHECK_EQ(wakes, 1);
    CHECK(!sci);
    piix4_pm_power_button(&pm);
    CHECK_EQ(wakes, 2);
    CHECK_EQ(in(PMSTS, 2), RSM | RTC | PWRBTN);
    piix4_pm_power_button(&pm);
    CHECK_EQ(wakes, 2); /* awake already */

    out(PMEN, 2, PWRBTN); /* pressed before the machine slept */
    piix4_pm_suspend(&pm);
    CHECK_EQ(wakes, 3);
    piix4_pm_suspend(&pm);
    piix4_pm_reset(&pm);
    piix4_pm_power_button(&pm);
    CHECK_EQ(wakes, 4); /* the one of the pending event */
}

/* GPI1# sets a status bit that stays until it is cleared, and raises the SCI if it is enabled. */
static void test_general_purpose(void)
{
    enum { GPI = 0x200 };
    start();
    smi(PIIX4_ACPI_ENABLE);
    piix4_pm_gpi(&pm);
    CHECK_EQ(in(GPSTS, 2), GPI);
    CHECK(!sci);
    out(GPEN, 2, GPI);
    CHECK(sci);
    out(GPSTS, 2, 0);
    CHECK(sci);
    out(GPSTS, 2, GPI);
    CHECK(!sci);
    CHECK_EQ(in(GPSTS, 2), 0);
    piix4_pm_gpi(&pm);
    CHECK(sci);
    out(GPSTS + 1, 1, GPI >> 8);
    CHECK(!sci);
    out(GPSTS, 2, GPI);
    /* While the machine is suspended there is no SCI; an event from outside ends that. */
    piix4_pm_suspend(&pm);
    piix4_pm_gpi(&pm);
    CHECK(!sci);
    CHECK_EQ(wakes, 0);
    piix4_pm_wake(&pm);
    CHECK_EQ(wakes, 1);
    CHECK(sci);
    piix4_pm_wake(&pm);
    CHECK_EQ(wakes, 1);
    piix4_pm_reset(&pm);
    CHECK_EQ(in(GPSTS, 4), 0);
}

int main(void)
{
    test_suspend();
    test_config();
    test_smbus();
    test_timer();
    test_overflow();
    test_events();
    test_soft_off();
    test_general_purpose();
    return check_report();
}
