/*
 * The ranges that the base address registers of PCI devices decode, in memory and among ports.
 *
 * Memory: the addresses between the end of RAM and the interrupt controllers, the hole, belong to PCI alone. A range
 * that is not entirely in the hole (over RAM, a local APIC or firmware) is not decoded, as on a board with a bridge
 * that does not pass on such cycles. Where two ranges overlap, the one that came into use later answers. When it moves
 * away, the other one answers again.
 *
 * Ports: the same. The ranges of the board's own chips count as earlier. A range beyond the 65536 ports is not decoded.
 *
 * Invariant: in the hole, phys has exactly the ranges that are `shown`, later ones on top.
 */
#ifndef RINGER_BOARD_PCI_RANGES_H
#define RINGER_BOARD_PCI_RANGES_H

#include "devices/pci/pci_bus.h"

struct board;
struct port_range;

#define PCI_RANGES_MAX 96

/* The interrupt controllers' pages, flash memory and the reset vector are from here on. */
#define PCI_HOLE_END 0xfec00000u

struct pci_range {
    const struct pci_bar *bar;
    struct port_range *ports; /* NULL: memory */
    bool shown;
    u32 base; /* while it is shown */
};

struct pci_ranges {
    struct board *board;
    struct pci_range range[PCI_RANGES_MAX];
    unsigned count;
    bool warned;
};

/* Installs itself as the `map` of the board's PCI bus. */
void pci_ranges_init(struct pci_ranges *ranges, struct board *board);

#endif
