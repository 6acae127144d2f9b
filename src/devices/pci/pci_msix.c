/*
 * MSI-X. See pci_msix.h.
 */
#include "pci_msix.h"

#include <assert.h>
#include <string.h>

enum { CONTROL = 2, TABLE = 4, PENDING = 8, CAPABILITY_BYTES = 12 };
enum { CONTROL_ENABLE = 0x80, CONTROL_MASK_ALL = 0x40 }; /* of its upper byte */
enum { ENTRY_ADDRESS = 0, ENTRY_ADDRESS_HIGH = 4, ENTRY_DATA = 8, ENTRY_CONTROL = 12 };
#define ENTRY_MASKED 1

static u8 control(const struct pci_msix *msix)
{
    return msix->pci->config[msix->capability + CONTROL + 1];
}

static const u8 *entry(const struct pci_msix *msix, unsigned vector)
{
    return &msix->table[vector * PCI_MSIX_ENTRY_BYTES];
}

static bool masked(const struct pci_msix *msix, unsigned vector)
{
    return (control(msix) & CONTROL_MASK_ALL) || (entry(msix, vector)[ENTRY_CONTROL] & ENTRY_MASKED);
}

bool pci_msix_enabled(const struct pci_msix *msix)
{
    return control(msix) & CONTROL_ENABLE;
}

void pci_msix_send(struct pci_msix *msix, unsigned vector)
{
    if (vector >= msix->vectors || !pci_msix_enabled(msix)) return;
    if (masked(msix, vector)) {
        msix->pending |= 1u << vector;
        return;
    }
    msix->pending &= ~(1u << vector);
    const u8 *at = entry(msix, vector);
    struct pci_bus *bus = msix->pci->bus;
    if (bus->msi && pci_is_master(msix->pci))
        bus->msi(bus->msi_owner, load_any(at + ENTRY_ADDRESS, 8), (u32)load_any(at + ENTRY_DATA, 4));
}

void pci_msix_update(struct pci_msix *msix)
{
    for (unsigned n = 0; msix->pending && n < msix->vectors; n++)
        if ((msix->pending & 1u << n) && !masked(msix, n)) pci_msix_send(msix, n);
}

u32 pci_msix_table_read(const struct pci_msix *msix, u32 offset, unsigned size)
{
    if (offset + size > msix->vectors * PCI_MSIX_ENTRY_BYTES) return 0;
    return (u32)load_any(&msix->table[offset], size);
}

void pci_msix_table_write(struct pci_msix *msix, u32 offset, unsigned size, u32 value)
{
    if (offset + size > msix->vectors * PCI_MSIX_ENTRY_BYTES) return;
    store_any(&msix->table[offset], size, value);
    u8 *at = &msix->table[offset / PCI_MSIX_ENTRY_BYTES * PCI_MSIX_ENTRY_BYTES];
    store_any(at + ENTRY_CONTROL, 4, at[ENTRY_CONTROL] & ENTRY_MASKED);
    at[ENTRY_ADDRESS] &= ~3; /* dwords only */
    pci_msix_update(msix);
}

u32 pci_msix_pending_read(const struct pci_msix *msix, u32 offset, unsigned size)
{
    return offset < sizeof(msix->pending) ? (u32)mask_bytes(msix->pending >> 8 * offset, size) : 0;
}

void pci_msix_reset(struct pci_msix *msix)
{
    u8 *config = msix->pci->config;
    config[msix->capability + CONTROL + 1] &= ~(CONTROL_ENABLE | CONTROL_MASK_ALL);
    memset(msix->table, 0, sizeof(msix->table));
    for (unsigned n = 0; n < msix->vectors; n++)
        msix->table[n * PCI_MSIX_ENTRY_BYTES + ENTRY_CONTROL] = ENTRY_MASKED;
    msix->pending = 0;
}

void pci_msix_init(struct pci_msix *msix, struct pci_device *device, unsigned vectors, u8 bar,
                   u32 table_offset, u32 pending_offset)
{
    assert(vectors && vectors <= PCI_MSIX_VECTORS && !(table_offset & 7) && !(pending_offset & 7));
    *msix = (struct pci_msix){.pci = device, .vectors = vectors};
    msix->capability = pci_add_capability(device, PCI_CAPABILITY_MSIX, CAPABILITY_BYTES);
    u8 *at = &device->config[msix->capability];
    pci_put16(at + CONTROL, (u16)(vectors - 1));
    device->writable[msix->capability + CONTROL + 1] = CONTROL_ENABLE | CONTROL_MASK_ALL;
    pci_put32(at + TABLE, table_offset | bar);
    pci_put32(at + PENDING, pending_offset | bar);
    device->msix = msix;
    pci_msix_reset(msix);
}
