/*
 * MSI-X: interrupts as messages, each with its own address and mask (PCI Local Bus Specification 3.0, 6.8.2). The
 * table is in the range of one of the device's base addresses. The device passes on accesses to it.
 *
 *   capability    +2 15 enable | 14 mask all | 10-0 vectors - 1
 *                 +4 table: offset | BAR        +8 pending bits: offset | BAR
 *   table entry   +0 address | +4 its upper half | +8 data | +12 bit 0 masked
 *
 * Invariant: a vector's pending bit is set only while MSI-X is enabled and the vector is masked. Unmasking
 * sends it.
 */
#ifndef RINGER_DEVICES_PCI_PCI_MSIX_H
#define RINGER_DEVICES_PCI_PCI_MSIX_H

#include "pci_bus.h"

#define PCI_MSIX_VECTORS     32
#define PCI_MSIX_ENTRY_BYTES 16
#define PCI_MSIX_TABLE_BYTES (PCI_MSIX_VECTORS * PCI_MSIX_ENTRY_BYTES)

struct pci_msix {
    struct pci_device *pci;
    u8 capability;
    unsigned vectors;
    u32 pending;
    u8 table[PCI_MSIX_TABLE_BYTES];
};

/* Give the device the capability: table and pending bits are at these offsets in the range of `bar`. */
void pci_msix_init(struct pci_msix *msix, struct pci_device *device, unsigned vectors, u8 bar,
                   u32 table_offset, u32 pending_offset);
void pci_msix_reset(struct pci_msix *msix);

bool pci_msix_enabled(const struct pci_msix *msix);
/* Send vector n, or remember it until it may be sent. Without MSI-X enabled, or without
 * such a vector, nothing happens. */
void pci_msix_send(struct pci_msix *msix, unsigned vector);
/* The bus calls this when the capability may have been written. */
void pci_msix_update(struct pci_msix *msix);

/* Accesses by offset within the table, and to the pending bits. */
u32 pci_msix_table_read(const struct pci_msix *msix, u32 offset, unsigned size);
void pci_msix_table_write(struct pci_msix *msix, u32 offset, unsigned size, u32 value);
u32 pci_msix_pending_read(const struct pci_msix *msix, u32 offset, unsigned size);

#endif
