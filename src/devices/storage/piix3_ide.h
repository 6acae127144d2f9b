/*
 * The PIIX3's IDE function: function 1 of device 1, two channels (Intel 82371SB datasheet, order 290550, 2.3,
 * 2.6 and 3.4).
 *
 *   20h-23h   BAR4: 16 ports, the bus master registers; channel 1's from 8 on
 *   40h, 42h  timing of a channel; bit 15: its ports are decoded     44h  timing of slave drives
 *
 * Bit 15 is set after a reset, where the datasheet has 0: QEMU's PIIX3 always decodes the ports, and OVMF
 * leaves the register alone. Without the ports it waits 35 s for a busy bit that no drive drives.
 *
 * The channels' own ports are those of struct ide_channel, at their legacy addresses.
 */
#ifndef RINGER_DEVICES_STORAGE_PIIX3_IDE_H
#define RINGER_DEVICES_STORAGE_PIIX3_IDE_H

#include "devices/pci/pci_bus.h"
#include "ide.h"

struct piix3_ide_wiring {
    struct irq_line irq[2]; /* 14 and 15 */
    struct dma memory;
    /* The ports of a channel are decoded now, or not. */
    void (*map_channel)(void *machine, unsigned channel, bool decoded);
    void *machine;
};

struct piix3_ide {
    struct pci_device pci;
    struct ide_channel channel[2];
    struct piix3_ide_wiring wiring;
    bool decoded[2];
};

void piix3_ide_init(struct piix3_ide *ide, struct pci_bus *bus, const struct piix3_ide_wiring *wiring);
void piix3_ide_reset(struct piix3_ide *ide);
/* S3: a reset that keeps the timing registers. An operating system that resumes expects the ports to be decoded.
 * Firmware of real boards restores the registers before; SeaBIOS does not. */
void piix3_ide_suspend(struct piix3_ide *ide);

#endif
