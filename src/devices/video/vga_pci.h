/*
 * The VGA as a PCI function: 1234:1111, the "standard VGA" that Bochs' drivers know.
 *
 *   base address 0   video memory, the linear frame buffer
 *   base address 2   vga_mmio_ops
 *   expansion ROM    its BIOS
 *
 * The legacy ports and memory need no base address. There is no interrupt.
 */
#ifndef RINGER_DEVICES_VIDEO_VGA_PCI_H
#define RINGER_DEVICES_VIDEO_VGA_PCI_H

#include "devices/pci/pci_bus.h"
#include "vga.h"

enum { VGA_PCI_MEMORY_BAR = 0, VGA_PCI_MMIO_BAR = 2 };

/* `rom` has a power of two bytes, at least a page, and must outlive the device. NULL: there is none. */
void vga_pci_init(struct pci_device *pci, struct pci_bus *bus, u8 devfn, struct vga *vga, u8 *rom,
                  u32 rom_bytes);

#endif
