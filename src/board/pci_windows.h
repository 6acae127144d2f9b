/*
 * Where the base address registers of PCI devices show in the two address spaces.
 *
 * Memory: the host bridge gives PCI what lies between the end of RAM and the interrupt controllers, and
 * nothing else answers there. A register that points elsewhere, even in part (over RAM, at a local APIC, at
 * firmware), decodes nothing, as on a board whose bridge does not pass such cycles on. Where two windows
 * overlap, the one that came into use later is seen; when it moves away the other shows again.
 *
 * Ports: the same, and windows of the board's own chips are among those that came earlier. A register beyond
 * the 65536 ports decodes nothing.
 *
 * Invariant: in the hole, phys has exactly the windows that are `placed`, later ones on top.
 */
#ifndef RINGER_BOARD_PCI_WINDOWS_H
#define RINGER_BOARD_PCI_WINDOWS_H

#include "base/types.h"
#include "devices/pci/pci_bus.h"

struct vm;
struct port_window;

#define PCI_WINDOWS_MAX 96

/* The interrupt controllers' pages, flash memory and the reset vector are from here on. */
#define PCI_HOLE_END 0xfec00000u

struct pci_window {
    const struct pci_bar *bar;
    struct port_window *ports; /* NULL: memory */
    bool placed;
    u32 base; /* while it is placed */
};

struct pci_windows {
    struct vm *vm;
    struct pci_window window[PCI_WINDOWS_MAX];
    unsigned count;
    bool complained;
};

/* Takes the bus' `map`. */
void pci_windows_init(struct pci_windows *windows, struct vm *vm, struct pci_bus *bus);

#endif
