#include "vga_pci.h"

#define VENDOR       0x1234
#define DEVICE       0x1111
#define CLASS_VGA    0x030000
#define PREFETCHABLE 0x08
/* The subsystem IDs of QEMU's VGA: drivers decide about quirks by them. */
#define SUBSYSTEM_VENDOR 0x1af4
#define SUBSYSTEM        0x1100

void vga_pci_init(struct pci_device *pci, struct pci_bus *bus, u8 devfn, struct vga *vga, u8 *rom,
                  u32 rom_bytes)
{
    pci_device_init(pci, bus, devfn, VENDOR, DEVICE, CLASS_VGA);
    pci_put16(&pci->config[PCI_SUBSYSTEM_VENDOR], SUBSYSTEM_VENDOR);
    pci_put16(&pci->config[PCI_SUBSYSTEM], SUBSYSTEM);
    pci_bar_memory(pci, VGA_PCI_MEMORY_BAR, VGA_MEMORY_BYTES, vga->wiring.memory);
    pci->config[PCI_BAR0 + 4 * VGA_PCI_MEMORY_BAR] = PREFETCHABLE;
    pci_bar_mmio(pci, VGA_PCI_MMIO_BAR, PAGE_SIZE, &vga_mmio_ops, vga);
    if (rom) pci_expansion_rom(pci, rom, rom_bytes);
}
