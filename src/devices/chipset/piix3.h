/*
 * The PIIX3's PCI-to-ISA bridge: function 0 of device 1 (Intel 82371SB datasheet, order 290550). It steers
 * the four PIRQ lines of the PCI bus to inputs of the 8259 pair. Function 1 is piix3_ide.h. USB
 * controllers are devices of their own (usb/uhci.h).
 *
 *   60h-63h   7 not routed | 6-4 0 | 3-0 IRQ: 3-7, 9-12, 14, 15        PIRQA-PIRQD
 */
#ifndef RINGER_DEVICES_CHIPSET_PIIX3_H
#define RINGER_DEVICES_CHIPSET_PIIX3_H

#include "devices/pci/pci_bus.h"

struct piix3 {
    struct pci_device pci;
    struct irq_line isa[16];
    u8 pirq_levels; /* bit n: PIRQ n is up */
    u16 driven;     /* ISA interrupts that the bridge holds up */
};

/* isa: the wires of the 8259 pair. Those to which no PIRQ can be routed may be empty. The bridge receives the
 * bus's PIRQ lines from now on. */
void piix3_init(struct piix3 *piix3, struct pci_bus *bus, const struct irq_line isa[16]);
void piix3_reset(struct piix3 *piix3);

#endif
