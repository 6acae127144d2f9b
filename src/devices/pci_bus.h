/*
 * One PCI bus and the door to it: configuration mechanism 1 (PCI Local Bus Specification 2.1, 3.7.4.1).
 *
 * Window: pci_config_ops at CF8h-CFFh, 4 bytes wide, device: the struct pci_bus. The address register answers
 * to dword accesses only; narrower ones at CF8h-CFBh are not for it (CF9h is another device's, claimed after
 * this window).
 *
 *   CF8h   31 enable | 30-24 0 | 23-16 bus | 15-11 device | 10-8 function | 7-2 register | 1-0 0
 *
 * A device is 256 bytes of configuration space with a mask of the bits that may be written, and base address
 * registers that tell when what they decode changes. Interrupt pins reach the four PIRQ lines with the usual
 * rotation by device number; what listens there (the PIIX3) installs `pirq`.
 */
#ifndef RINGER_DEVICES_PCI_BUS_H
#define RINGER_DEVICES_PCI_BUS_H

#include "base/device.h"

#define PCI_BARS 6

/* Offsets in configuration space */
enum {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09, /* programming interface, subclass, class */
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};

enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4 };
#define PCI_MULTI_FUNCTION 0x80

#define PCI_DEVFN(device, function) ((device) << 3 | (function))

struct pci_bus;
struct pci_device;

struct pci_bar {
    u32 bytes; /* 0: there is none */
    bool io;
    bool mapped; /* as last told */
    u32 base;
    void (*map)(struct pci_device *device, unsigned bar, u32 base, bool mapped);
};

struct pci_device {
    struct pci_bus *bus;
    u8 devfn;
    bool interrupting;
    u8 config[256];
    u8 writable[256];     /* bits a guest may write */
    u8 write_clears[256]; /* bits that a guest clears by writing 1 */
    struct pci_bar bar[PCI_BARS];
    /* After a byte of config space was written; may be NULL. */
    void (*written)(struct pci_device *device, unsigned offset);
};

struct pci_bus {
    u32 address; /* CF8h */
    struct pci_device *device[256];
    unsigned pirq_count[4]; /* devices that hold each PIRQ up */
    struct irq_line pirq[4];
};

void pci_bus_init(struct pci_bus *bus);
void pci_bus_reset(struct pci_bus *bus);

/* Put a device on the bus. class_code: class << 16 | subclass << 8 | interface. Zeroes config space first;
 * the command register's I/O, memory and master bits and the interrupt line are writable. */
void pci_device_init(struct pci_device *device, struct pci_bus *bus, u8 devfn, u16 vendor, u16 device_id,
                     u32 class_code);
/* bytes: a power of two, at least 4 (I/O) or 16 (memory). map() is told when base or enabling changes. */
void pci_bar_init(struct pci_device *device, unsigned bar, u32 bytes, bool io,
                  void (*map)(struct pci_device *device, unsigned bar, u32 base, bool mapped));
/* Command register and base addresses back to 0. */
void pci_device_reset(struct pci_device *device);

/* The PIRQ line that an interrupt pin is wired to, as on the 440FX boards: device 1's INTA is PIRQA, device
 * 2's PIRQB, and so on. */
static inline unsigned pci_pirq(u8 devfn, u8 pin)
{
    return ((devfn >> 3) - 1u + pin - 1u) & 3;
}

/* Interrupt pin, numbered in config space (1 INTA to 4 INTD): level. */
void pci_set_interrupt(struct pci_device *device, bool level);

static inline void pci_put16(u8 *at, u16 value)
{
    at[0] = value;
    at[1] = value >> 8;
}

static inline u16 pci_get16(const u8 *at)
{
    return at[0] | at[1] << 8;
}

static inline u32 pci_get32(const u8 *at)
{
    return pci_get16(at) | (u32)pci_get16(at + 2) << 16;
}

extern const struct io_ops pci_config_ops;

#endif
