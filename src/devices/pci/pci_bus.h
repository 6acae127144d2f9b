/*
 * One PCI bus, reached by configuration mechanism 1 (PCI Local Bus Specification 2.1, 3.7.4.1).
 *
 * Ports: pci_config_ops at CF8h-CFFh, 4 bytes wide, device: the struct pci_bus. The address register
 * answers to dword accesses only. (The reset control register takes CF9h: it is claimed later.)
 *
 *   CF8h   31 enable | 30-24 0 | 23-16 bus | 15-11 device | 10-8 function | 7-2 register | 1-0 0
 *
 * A device has 256 bytes of configuration space with a mask of the bits that may be written, base address
 * registers, and possibly an expansion ROM and capabilities. A base address register has the handlers or the memory
 * for its addresses. The board installs `map`, which is called when a base address changes. The board decides which
 * device answers where two overlap.
 *
 * Interrupt pins reach the four PIRQ lines with the usual rotation by device number. The PIIX3 receives
 * them as `pirq`. Messages (MSI-X: pci_msix.h) leave by `msi`.
 */
#ifndef RINGER_DEVICES_PCI_PCI_BUS_H
#define RINGER_DEVICES_PCI_PCI_BUS_H

#include "base/device.h"

#define PCI_BARS 6
/* The number of the expansion ROM's base address register. */
#define PCI_ROM_BAR 6

/* Offsets in configuration space */
enum {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09, /* programming interface, subclass, class */
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_ROM = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
    PCI_DEVICE_SPECIFIC = 0x40, /* capabilities from here on */
};

enum {
    PCI_COMMAND_IO = 1,
    PCI_COMMAND_MEMORY = 2,
    PCI_COMMAND_MASTER = 4,
    PCI_COMMAND_INVALIDATE = 1 << 4,
    PCI_COMMAND_NO_INTX = 1 << 10,
};
enum { PCI_STATUS_INTERRUPT = 1 << 3, PCI_STATUS_CAPABILITIES = 1 << 4 };
enum { PCI_CAPABILITY_VENDOR = 0x09, PCI_CAPABILITY_MSIX = 0x11 };
#define PCI_MULTI_FUNCTION 0x80

#define PCI_DEVFN(device, function) ((device) << 3 | (function))

struct pci_bus;
struct pci_device;
struct pci_msix;

enum pci_bar_kind {
    PCI_BAR_NONE,
    PCI_BAR_PORTS,  /* ops */
    PCI_BAR_MMIO,   /* ops */
    PCI_BAR_IMAGE,  /* read-only memory at `host` */
    PCI_BAR_MEMORY, /* a part of video memory at `host` */
};

struct pci_bar {
    enum pci_bar_kind kind;
    u32 bytes; /* a power of two */
    u8 widest; /* ports: the widest access the handlers take */
    const struct io_ops *ops;
    const struct io_string_ops *string_ops; /* ports: NULL, or for string I/O */
    void *handler;                          /* the device of ops */
    u8 *host;
    /* The addresses that it decodes now. `base` is valid only while it is mapped. */
    bool mapped;
    u32 base;
};

struct pci_device {
    struct pci_bus *bus;
    u8 devfn;
    bool interrupt;    /* the device asserts its interrupt */
    bool interrupting; /* its pin is driven */
    u8 config[256];
    u8 writable[256];     /* bits a guest may write */
    u8 write_clears[256]; /* bits that a guest clears by writing 1 */
    u16 capabilities_end; /* 0: there are none */
    struct pci_bar bar[PCI_BARS + 1];
    struct pci_msix *msix; /* NULL: it has none */
    /* After a byte of config space was written; may be NULL. */
    void (*written)(struct pci_device *device, unsigned offset);
    /* Before bytes of config space are read: the device may bring them up to date. May be NULL. */
    void (*reading)(struct pci_device *device, unsigned offset, unsigned size);
};

struct pci_bus {
    u32 address; /* CF8h */
    struct pci_device *device[256];
    unsigned pirq_count[4]; /* devices that hold each PIRQ up */
    struct irq_line pirq[4];
    /* Installed by the board. map: the addresses that this register decodes have changed. forget: the register, which
     * decodes nothing, will no longer exist. msi: a message,
     * that is a write of 4 bytes to the address of an interrupt controller. NULL: no controller takes
     * messages. */
    void (*map)(void *owner, struct pci_bar *bar);
    void (*forget)(void *owner, struct pci_bar *bar);
    void (*msi)(void *owner, u64 address, u32 data);
    void *map_owner, *msi_owner;
};

void pci_bus_init(struct pci_bus *bus);
void pci_bus_reset(struct pci_bus *bus);

/* Put a device on the bus. class_code: class << 16 | subclass << 8 | interface. Zeroes config space first;
 * the command register's I/O, memory and master bits and the interrupt line are writable. */
void pci_device_init(struct pci_device *device, struct pci_bus *bus, u8 devfn, u16 vendor, u16 device_id,
                     u32 class_code);
/* Take a device off the bus. */
void pci_device_remove(struct pci_device *device);
/* Command register and base addresses back to 0. */
void pci_device_reset(struct pci_device *device);

/* The PIRQ line that an interrupt pin is wired to, as on the 440FX boards: device 1's INTA is PIRQA, device
 * 2's PIRQB, and so on. */
static inline unsigned pci_pirq(u8 devfn, u8 pin)
{
    return ((devfn >> 3) - 1u + pin - 1u) & 3;
}

/* Base address registers of `bytes`: a power of two, at least 4 for ports and a page for memory. */
void pci_bar_ports(struct pci_device *device, unsigned bar, u32 bytes, u8 widest, const struct io_ops *ops,
                   void *handler);
void pci_bar_mmio(struct pci_device *device, unsigned bar, u32 bytes, const struct io_ops *ops,
                  void *handler);
void pci_bar_memory(struct pci_device *device, unsigned bar, u32 bytes, u8 *host);
/* The expansion ROM. `image` has a power of two bytes, at least a page, and must outlive the device. */
void pci_expansion_rom(struct pci_device *device, u8 *image, u32 bytes);

/* Append a capability of `bytes` in all, the first two of which are written here. Returns its offset. */
u8 pci_add_capability(struct pci_device *device, u8 id, u8 bytes);

/* Give the device an interrupt pin of PCI 2.3, 1 INTA to 4 INTD, which can be disabled and has a status bit. */
void pci_interrupt_pin(struct pci_device *device, u8 pin);
/* The level of the interrupt pin, numbered in config space. */
void pci_set_interrupt(struct pci_device *device, bool level);

/* May the device access memory? (Messages are accesses too.) */
static inline bool pci_is_master(const struct pci_device *device)
{
    return device->config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

static inline void pci_put16(u8 *at, u16 value)
{
    at[0] = value;
    at[1] = value >> 8;
}

static inline void pci_put32(u8 *at, u32 value)
{
    pci_put16(at, value);
    pci_put16(at + 2, value >> 16);
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
