/*
 * The PIIX4's power management function (Intel 82371AB datasheet, order 290562, chapters 7 and 11.2). It
 * has what ACPI calls fixed hardware (ACPI 1.0b, 4.7): event block, control register, PM timer, general
 * purpose events.
 *
 *   config 40h  15-6 base | 5-1 0 | 0 I/O    PMBA: 64 ports, decoded while bit 0 of PMREGMISC (80h) is set
 *   config 90h  15-4 base | 0 I/O            SMBBA: 16 ports of the SMBus host (piix4_smbus.h), decoded
 *                                            while bit 0 of SMBHSTCFG (D2h) and the command's I/O are set
 *
 *   +00h PMSTS    15 RSM | 10 RTC | 8 PWRBTN | 5 GBL | 0 TMROF            cleared by writing 1
 *   +02h PMEN              10 RTC | 8 PWRBTN | 5 GBL | 0 TMROF
 *   +04h PMCNTRL  13 SUS_EN | 12-10 SUS_TYP | 2 GBL_RLS | 1 BRLD_EN_BM | 0 SCI_EN
 *   +08h PMTMR    24 bits at 3579545 Hz
 *   +0Ch GPSTS, +0Eh GPEN    11 LID | 10 RI | 9 GPI | 8 USB | 0 THRM      cleared by writing 1
 *
 * Only GPI1# has a wire: the hot-plug controller's (pci_hotplug.h).
 *
 * A write to port B2h is a command to the firmware's SMI handler. This machine has no system management mode, so the
 * device itself executes ACPI_ENABLE and ACPI_DISABLE. DEVACTB reads from the start as if SMIs had been set up, so
 * firmware does not wait for one. The chip's device monitors are left out.
 *
 * Ports: piix4_pm_ops (at the base that map() gets), up to 4 bytes wide; piix4_smi_ops at B2h-B3h, byte-wide. The
 * device of both is the struct piix4_pm.
 *
 * The SCI is a level: up while SCI_EN and an enabled status bit are set. The timer is armed only while
 * TMROF_EN can raise the SCI, so an idle machine sleeps when its guest does not use the timer.
 */
#ifndef RINGER_DEVICES_CHIPSET_PIIX4_PM_H
#define RINGER_DEVICES_CHIPSET_PIIX4_PM_H

#include "devices/pci/pci_bus.h"
#include "piix4_smbus.h"

#define PIIX4_PM_PORTS 64
#define PIIX4_PMTMR_HZ 3579545

/* Values for B2h in the ACPI tables. QEMU has the same, and firmware made for QEMU relies on them. */
enum { PIIX4_ACPI_DISABLE = 0xf0, PIIX4_ACPI_ENABLE = 0xf1 };

struct piix4_pm_wiring {
    struct irq_line sci;
    /* PMBA moved, or its decoding was switched. */
    void (*map)(void *machine, u16 base, bool mapped);
    /* The same for the SMBus host's ports. */
    void (*map_smbus)(void *machine, u16 base, bool mapped);
    /* The guest switches the power off (soft off, S5). */
    void (*power_off)(void *machine);
    /* The guest suspends to RAM (S3). The machine stops the CPU, resets the chips that lose their
     * power, and calls piix4_pm_suspend(). */
    void (*suspend)(void *machine);
    /* An event ends S3. May be called from within piix4_pm_suspend(). */
    void (*wake)(void *machine);
    void *machine;
};

struct piix4_pm {
    struct pci_device pci;
    struct clock *clock;
    struct timer timer;
    struct piix4_pm_wiring wiring;
    struct piix4_smbus smbus;
    bool mapped, smbus_mapped;
    u16 base, smbus_base; /* the bases that map() and map_smbus() were last called with */
    u16 status;           /* PMSTS without TMROF */
    u16 enable;           /* PMEN */
    u16 control;          /* PMCNTRL */
    u16 gp_status, gp_enable;
    u64 overflows; /* overflows of the PM timer, from power-on to the last time that TMROF_STS was cleared */
    u8 smi_command, smi_status;
    bool rtc_level;
    bool suspended;
};

void piix4_pm_init(struct piix4_pm *pm, struct pci_bus *bus, struct clock *clock,
                   const struct piix4_pm_wiring *wiring);
void piix4_pm_reset(struct piix4_pm *pm);
/* S3: only the resume well keeps its power, with the event, enable and control registers. The rest is reset.
 * S3 ends by RTC_STS with RTC_EN, by PWRBTN_STS with PWRBTN_EN, and by a press of the power button. */
void piix4_pm_suspend(struct piix4_pm *pm);

/* The power button is pressed, for less than four seconds. */
void piix4_pm_power_button(struct piix4_pm *pm);
/* S3 ends by another event than those of the chip. Does nothing if the machine is not suspended. */
void piix4_pm_wake(struct piix4_pm *pm);
/* GPI1# is asserted for a moment: sets GPI_STS. */
void piix4_pm_gpi(struct piix4_pm *pm);
/* The RTC's interrupt is wired here too: its rise sets RTC_STS. */
void piix4_pm_rtc(struct piix4_pm *pm, bool level);

extern const struct io_ops piix4_pm_ops;
extern const struct io_ops piix4_smi_ops;

#endif
