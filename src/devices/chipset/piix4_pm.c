/*
 * The PIIX4's power management function. See piix4_pm.h. Register names are those of the 82371AB datasheet.
 */
#include "piix4_pm.h"

enum { CONFIG_PMBA = 0x40, CONFIG_DEVACTB = 0x58, CONFIG_PMREGMISC = 0x80 };
enum { CONFIG_SMBBA = 0x90, CONFIG_SMBHSTCFG = 0xd2 };
enum { PMIOSE = 0x01, SMB_HST_EN = 0x01, SMB_CONFIG = 0x0f };
#define DEVACTB_APMC_EN (1u << 25)

enum { PMSTS = 0x00, PMEN = 0x02, PMCNTRL = 0x04, PMTMR = 0x08, GPSTS = 0x0c, GPEN = 0x0e };
enum { TMROF = 1 << 0, GBL = 1 << 5, PWRBTN = 1 << 8, RTC = 1 << 10, RSM = 1 << 15 };
enum { SCI_EN = 1 << 0, BRLD_EN_BM = 1 << 1, SUS_TYP = 7 << 10, SUS_EN = 1 << 13 };

#define ENABLES    (TMROF | GBL | PWRBTN | RTC)
#define GP_ENABLES 0x0f01
#define GPI        (1 << 9)
#define WAKES      (PWRBTN | RTC)

/* PMCNTRL.SUS_TYP */
enum { SOFT_OFF = 0 << 10, SUSPEND_TO_RAM = 1 << 10 };

#define NS_PER_SECOND 1000000000ull
/* "TMROF_STS: set any time bit 23 changes" (ACPI 1.0b, 4.7.3.1.1, for a 24-bit timer). */
#define OVERFLOW_SHIFT 23
#define TIMER_MASK     0xffffff

/* Whole seconds are computed apart, because ns * Hz soon exceeds 64 bits. */
static u64 ticks_now(const struct piix4_pm *pm)
{
    u64 now = clock_now(pm->clock);
    return now / NS_PER_SECOND * PIIX4_PMTMR_HZ + now % NS_PER_SECOND * PIIX4_PMTMR_HZ / NS_PER_SECOND;
}

/* The first nanosecond of a tick. */
static u64 tick_ns(u64 tick)
{
    u64 rest = tick % PIIX4_PMTMR_HZ;
    return tick / PIIX4_PMTMR_HZ * NS_PER_SECOND +
           (rest * NS_PER_SECOND + PIIX4_PMTMR_HZ - 1) / PIIX4_PMTMR_HZ;
}

static u16 status_now(const struct piix4_pm *pm)
{
    bool overflowed = ticks_now(pm) >> OVERFLOW_SHIFT != pm->overflows;
    return pm->status | (overflowed ? TMROF : 0);
}

/* Recompute the SCI, and when the timer may raise it. */
static void update(struct piix4_pm *pm)
{
    u16 status = status_now(pm);
    bool sci_enabled = pm->control & SCI_EN && !pm->suspended;
    bool event = (status & pm->enable & ENABLES) || (pm->gp_status & pm->gp_enable);
    irq_set(&pm->wiring.sci, sci_enabled && event);
    if (sci_enabled && (pm->enable & TMROF) && !(status & TMROF))
        timer_arm(&pm->timer, tick_ns((pm->overflows + 1) << OVERFLOW_SHIFT));
    else
        timer_cancel(&pm->timer);
}

static void timer_fired(void *device)
{
    update(device);
}

/* --- the I/O block --- */

static void write_status(struct piix4_pm *pm, u16 value, u16 mask)
{
    value &= mask;
    pm->status &= ~value;
    if (value & TMROF) pm->overflows = ticks_now(pm) >> OVERFLOW_SHIFT;
}

static void write_control(struct piix4_pm *pm, u16 value, u16 mask)
{
    const u16 kept = (SCI_EN | BRLD_EN_BM | SUS_TYP) & mask;
    pm->control = (pm->control & ~kept) | (value & kept);
    if (!(value & mask & SUS_EN)) return;
    switch (pm->control & SUS_TYP) {
    case SOFT_OFF: pm->wiring.power_off(pm->wiring.machine); break;
    case SUSPEND_TO_RAM: pm->wiring.suspend(pm->wiring.machine); break;
    default: break; /* not in this machine's tables */
    }
}

static u16 read_word(const struct piix4_pm *pm, u32 offset)
{
    switch (offset) {
    case PMSTS: return status_now(pm);
    case PMEN: return pm->enable;
    case PMCNTRL: return pm->control;
    case PMTMR: return (u16)ticks_now(pm);
    case PMTMR + 2: return (ticks_now(pm) & TIMER_MASK) >> 16;
    case GPSTS: return pm->gp_status;
    case GPEN: return pm->gp_enable;
    default: return 0;
    }
}

/* mask: the bits of the word that are written. */
static void write_word(struct piix4_pm *pm, u32 offset, u16 value, u16 mask)
{
    switch (offset) {
    case PMSTS: write_status(pm, value, mask); break;
    case PMEN: pm->enable = ((pm->enable & ~mask) | (value & mask)) & ENABLES; break;
    case PMCNTRL: write_control(pm, value, mask); break;
    case GPSTS: pm->gp_status &= ~(value & mask); break;
    case GPEN: pm->gp_enable = ((pm->gp_enable & ~mask) | (value & mask)) & GP_ENABLES; break;
    default: break;
    }
}

static u32 block_read(void *device, u32 offset, unsigned size)
{
    struct piix4_pm *pm = device;
    if (size == 4 && offset == PMTMR) return ticks_now(pm) & TIMER_MASK; /* in one piece */
    u32 value = read_word(pm, offset & ~1u) >> (offset & 1) * 8;
    for (unsigned at = 2 - (offset & 1); at < size; at += 2)
        value |= (u32)read_word(pm, offset + at) << at * 8;
    return value;
}

static void block_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct piix4_pm *pm = device;
    u64 bytes = mask_bytes(~0ull, size) << (offset & 1) * 8, data = (u64)value << (offset & 1) * 8;
    for (u32 at = offset & ~1u; bytes; at += 2, bytes >>= 16, data >>= 16)
        write_word(pm, at, (u16)data, (u16)bytes);
    update(pm);
}

const struct io_ops piix4_pm_ops = {block_read, block_write};

/* --- the SMI command ports --- */

static u32 smi_read(void *device, u32 offset, unsigned size)
{
    struct piix4_pm *pm = device;
    return offset ? pm->smi_status : pm->smi_command;
}

static void smi_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct piix4_pm *pm = device;
    if (offset) {
        pm->smi_status = (u8)value;
        return;
    }
    pm->smi_command = (u8)value;
    if (value == PIIX4_ACPI_ENABLE) pm->control |= SCI_EN;
    if (value == PIIX4_ACPI_DISABLE) pm->control &= ~SCI_EN;
    update(pm);
}

const struct io_ops piix4_smi_ops = {smi_read, smi_write};

/* --- suspend to RAM --- */

static void wake(struct piix4_pm *pm)
{
    pm->suspended = false;
    pm->status |= RSM;
    update(pm);
    pm->wiring.wake(pm->wiring.machine);
}

static void wake_if_enabled(struct piix4_pm *pm)
{
    if (pm->suspended && (pm->status & pm->enable & WAKES)) wake(pm);
}

/* --- inputs --- */

void piix4_pm_power_button(struct piix4_pm *pm)
{
    pm->status |= PWRBTN;
    if (pm->suspended)
        wake(pm); /* even if PWRBTN_EN is clear */
    else
        update(pm);
}

void piix4_pm_rtc(struct piix4_pm *pm, bool level)
{
    if (level && !pm->rtc_level) {
        pm->status |= RTC;
        update(pm);
        wake_if_enabled(pm);
    }
    pm->rtc_level = level;
}

void piix4_pm_wake(struct piix4_pm *pm)
{
    if (pm->suspended) wake(pm);
}

void piix4_pm_gpi(struct piix4_pm *pm)
{
    pm->gp_status |= GPI;
    update(pm);
}

/* --- the PCI function --- */

static void update_range(struct piix4_pm *pm)
{
    u16 base = pci_get16(&pm->pci.config[CONFIG_PMBA]) & -PIIX4_PM_PORTS;
    bool mapped = pm->pci.config[CONFIG_PMREGMISC] & PMIOSE;
    if (mapped == pm->mapped && base == pm->base) return;
    pm->mapped = mapped;
    pm->base = base;
    pm->wiring.map(pm->wiring.machine, base, mapped);
}

static void update_smbus_window(struct piix4_pm *pm)
{
    const u8 *config = pm->pci.config;
    u16 base = pci_get16(&config[CONFIG_SMBBA]) & -PIIX4_SMBUS_PORTS;
    bool mapped = (config[CONFIG_SMBHSTCFG] & SMB_HST_EN) && (config[PCI_COMMAND] & PCI_COMMAND_IO);
    if (mapped == pm->smbus_mapped && base == pm->smbus_base) return;
    pm->smbus_mapped = mapped;
    pm->smbus_base = base;
    pm->wiring.map_smbus(pm->wiring.machine, base, mapped);
}

static void config_written(struct pci_device *device, unsigned offset)
{
    struct piix4_pm *pm = container_of(device, struct piix4_pm, pci);
    if (offset == CONFIG_PMBA + 1 || offset == CONFIG_PMBA || offset == CONFIG_PMREGMISC)
        update_range(pm);
    else
        update_smbus_window(pm);
}

static void reset_core(struct piix4_pm *pm)
{
    pci_device_reset(&pm->pci);
    u8 *config = pm->pci.config;
    pci_put16(&config[CONFIG_PMBA], 1);
    pci_put16(&config[CONFIG_DEVACTB + 2], DEVACTB_APMC_EN >> 16);
    pci_put16(&config[CONFIG_SMBBA], 1);
    config[CONFIG_PMREGMISC] = config[CONFIG_SMBHSTCFG] = 0;
    piix4_smbus_reset(&pm->smbus);
    pm->smi_command = pm->smi_status = 0;
    update_range(pm);
    update_smbus_window(pm);
}

void piix4_pm_reset(struct piix4_pm *pm)
{
    reset_core(pm);
    pm->status = pm->enable = pm->control = pm->gp_status = pm->gp_enable = 0;
    pm->suspended = false;
    pm->overflows = ticks_now(pm) >> OVERFLOW_SHIFT;
    update(pm);
}

void piix4_pm_suspend(struct piix4_pm *pm)
{
    reset_core(pm);
    pm->suspended = true;
    update(pm);
    wake_if_enabled(pm);
}

void piix4_pm_init(struct piix4_pm *pm, struct pci_bus *bus, struct clock *clock,
                   const struct piix4_pm_wiring *wiring)
{
    *pm = (struct piix4_pm){.clock = clock, .wiring = *wiring};
    timer_init(&pm->timer, clock, timer_fired, pm);
    struct pci_device *pci = &pm->pci;
    pci_device_init(pci, bus, PCI_DEVFN(1, 3), 0x8086, 0x7113, 0x068000);
    pci->written = config_written;
    pci->config[PCI_REVISION] = 0x03;
    pci->config[PCI_INTERRUPT_PIN] = 1;
    pci->writable[PCI_COMMAND] = PCI_COMMAND_IO; /* only the SMBus depends on it */
    pci_put16(&pci->config[PCI_STATUS], 0x0280);
    pci->write_clears[PCI_STATUS + 1] = 0x78;
    pci_put16(&pci->writable[CONFIG_PMBA], (u16)-PIIX4_PM_PORTS);
    pci_put16(&pci->writable[CONFIG_DEVACTB], 0xffff);
    pci_put16(&pci->writable[CONFIG_DEVACTB + 2], 0xffff);
    pci_put16(&pci->writable[CONFIG_SMBBA], (u16)-PIIX4_SMBUS_PORTS);
    pci->writable[CONFIG_SMBHSTCFG] = SMB_CONFIG;
    pci->writable[CONFIG_PMREGMISC] = PMIOSE;
    piix4_pm_reset(pm);
}
