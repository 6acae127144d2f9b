/*
 * The PCI bus and configuration mechanism 1. See pci_bus.h.
 */
#include "pci_bus.h"

#include "pci_msix.h"

#include <assert.h>

#define ADDRESS_ENABLE   0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu
#define DATA_OFFSET      4 /* CFCh, from CF8h */

#define BAR_IO     1u
#define ROM_ENABLE 1u
#define ROM_LEAST  2048u /* bits 10-1 of its register are 0 */

/* The device that the address register selects. There is one bus only. */
static struct pci_device *selected(const struct pci_bus *bus)
{
    if (!(bus->address & ADDRESS_ENABLE) || (bus->address >> 16 & 0xff)) return NULL;
    return bus->device[bus->address >> 8 & 0xff];
}

/* --- base addresses --- */

static unsigned bar_offset(unsigned index)
{
    return index == PCI_ROM_BAR ? PCI_ROM : PCI_BAR0 + 4 * index;
}

static bool bar_enabled(const struct pci_device *device, unsigned index, u32 content)
{
    u8 command = device->config[PCI_COMMAND];
    if (device->bar[index].kind == PCI_BAR_PORTS) return command & PCI_COMMAND_IO;
    return (command & PCI_COMMAND_MEMORY) && (index != PCI_ROM_BAR || (content & ROM_ENABLE));
}

static void tell(struct pci_bus *bus, struct pci_bar *bar)
{
    if (bus->map) bus->map(bus->map_owner, bar);
}

static void update_bar(struct pci_device *device, unsigned index)
{
    struct pci_bar *bar = &device->bar[index];
    if (bar->kind == PCI_BAR_NONE) return;
    u32 content = pci_get32(&device->config[bar_offset(index)]), base = content & -bar->bytes;
    /* Zero is not an address, and neither is the value of all ones that is written to learn the size. */
    bool mapped = bar_enabled(device, index, content) && base && base != -bar->bytes;
    if (mapped == bar->mapped && (!mapped || base == bar->base)) return;
    bar->mapped = mapped;
    bar->base = base;
    tell(device->bus, bar);
}

static void update_bars(struct pci_device *device)
{
    for (unsigned i = 0; i < ARRAY_SIZE(device->bar); i++)
        update_bar(device, i);
}

static struct pci_bar *new_bar(struct pci_device *device, unsigned index, enum pci_bar_kind kind, u32 bytes)
{
    assert(index < ARRAY_SIZE(device->bar) && device->bar[index].kind == PCI_BAR_NONE);
    assert((bytes & (bytes - 1)) == 0 && bytes >= (kind == PCI_BAR_PORTS ? 4 : PAGE_SIZE));
    struct pci_bar *bar = &device->bar[index];
    *bar = (struct pci_bar){.kind = kind, .bytes = bytes};
    pci_put32(&device->writable[bar_offset(index)], -bytes);
    return bar;
}

void pci_bar_ports(struct pci_device *device, unsigned index, u32 bytes, u8 widest, const struct io_ops *ops,
                   void *handler)
{
    struct pci_bar *bar = new_bar(device, index, PCI_BAR_PORTS, bytes);
    bar->widest = widest;
    bar->ops = ops;
    bar->handler = handler;
    device->config[bar_offset(index)] = BAR_IO;
}

void pci_bar_mmio(struct pci_device *device, unsigned index, u32 bytes, const struct io_ops *ops,
                  void *handler)
{
    struct pci_bar *bar = new_bar(device, index, PCI_BAR_MMIO, bytes);
    bar->ops = ops;
    bar->handler = handler;
}

void pci_bar_memory(struct pci_device *device, unsigned index, u32 bytes, u8 *host)
{
    new_bar(device, index, PCI_BAR_MEMORY, bytes)->host = host;
}

void pci_expansion_rom(struct pci_device *device, u8 *image, u32 bytes)
{
    static_assert(PAGE_SIZE >= ROM_LEAST, "the smallest ROM is a page");
    new_bar(device, PCI_ROM_BAR, PCI_BAR_IMAGE, bytes)->host = image;
    device->writable[PCI_ROM] = ROM_ENABLE;
}

/* --- interrupts --- */

static void set_status(struct pci_device *device, u8 bits, bool set)
{
    u8 *status = &device->config[PCI_STATUS];
    *status = set ? *status | bits : *status & ~bits;
}

/* Recompute the wire of the interrupt pin. */
static void update_interrupt(struct pci_device *device)
{
    bool disabled = pci_get16(&device->config[PCI_COMMAND]) & PCI_COMMAND_NO_INTX;
    bool level = device->interrupt && !disabled && !(device->msix && pci_msix_enabled(device->msix));
    if (level == device->interrupting) return;
    device->interrupting = level;
    u8 pin = device->config[PCI_INTERRUPT_PIN];
    unsigned pirq = pci_pirq(device->devfn, pin);
    struct pci_bus *bus = device->bus;
    bus->pirq_count[pirq] += level ? 1 : -1;
    irq_set(&bus->pirq[pirq], bus->pirq_count[pirq] != 0);
}

void pci_interrupt_pin(struct pci_device *device, u8 pin)
{
    device->config[PCI_INTERRUPT_PIN] = pin;
    device->writable[PCI_COMMAND + 1] |= PCI_COMMAND_NO_INTX >> 8;
}

void pci_set_interrupt(struct pci_device *device, bool level)
{
    assert(device->config[PCI_INTERRUPT_PIN] >= 1 && device->config[PCI_INTERRUPT_PIN] <= 4);
    device->interrupt = level;
    if (device->writable[PCI_COMMAND + 1] & PCI_COMMAND_NO_INTX >> 8)
        set_status(device, PCI_STATUS_INTERRUPT, level);
    update_interrupt(device);
}

/* --- configuration space --- */

static void write_config(struct pci_device *device, unsigned offset, unsigned size, u32 value)
{
    for (unsigned i = 0; i < size; i++, value >>= 8) {
        u8 *byte = &device->config[offset + i], writable = device->writable[offset + i];
        *byte = (*byte & ~writable) | (value & writable);
        *byte &= ~(value & device->write_clears[offset + i]);
    }
    /* All bytes are stored before written() is called: a base address must not be seen half written. */
    update_bars(device);
    if (device->msix) pci_msix_update(device->msix);
    update_interrupt(device);
    for (unsigned i = 0; i < size && device->written; i++) {
        device->written(device, offset + i);
    }
}

static u32 config_read(void *opaque, u32 offset, unsigned size)
{
    struct pci_bus *bus = opaque;
    if (offset < DATA_OFFSET) return offset == 0 && size == 4 ? bus->address : 0xffffffff;
    struct pci_device *device = selected(bus);
    if (!device) return 0xffffffff;
    unsigned at = (bus->address & 0xfc) + (offset - DATA_OFFSET);
    if (device->reading) device->reading(device, at, size);
    u32 value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= (u32)device->config[at + i] << (8 * i);
    }
    return value;
}

static void config_write(void *opaque, u32 offset, unsigned size, u32 value)
{
    struct pci_bus *bus = opaque;
    if (offset < DATA_OFFSET) {
        if (offset == 0 && size == 4) bus->address = value & ADDRESS_WRITABLE;
        return;
    }
    struct pci_device *device = selected(bus);
    if (device) write_config(device, (bus->address & 0xfc) + (offset - DATA_OFFSET), size, value);
}

const struct io_ops pci_config_ops = {config_read, config_write};

u8 pci_add_capability(struct pci_device *device, u8 id, u8 bytes)
{
    u8 *config = device->config;
    unsigned at = device->capabilities_end ? device->capabilities_end : PCI_DEVICE_SPECIFIC;
    assert(bytes >= 2 && at + bytes <= sizeof(device->config));
    /* The newest capability becomes the first of the list, so the list need not be walked. */
    config[at] = id;
    config[at + 1] = config[PCI_CAPABILITIES];
    config[PCI_CAPABILITIES] = (u8)at;
    set_status(device, PCI_STATUS_CAPABILITIES, true);
    device->capabilities_end = (u16)align_up(at + bytes, 4);
    return (u8)at;
}

/* --- set-up --- */

void pci_device_init(struct pci_device *device, struct pci_bus *bus, u8 devfn, u16 vendor, u16 device_id,
                     u32 class_code)
{
    assert(!bus->device[devfn]);
    *device = (struct pci_device){.bus = bus, .devfn = devfn};
    pci_put16(&device->config[PCI_VENDOR], vendor);
    pci_put16(&device->config[PCI_DEVICE], device_id);
    device->config[PCI_CLASS] = class_code;
    pci_put16(&device->config[PCI_CLASS + 1], class_code >> 8);
    device->writable[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    device->writable[PCI_INTERRUPT_LINE] = 0xff;
    bus->device[devfn] = device;
}

void pci_device_reset(struct pci_device *device)
{
    for (unsigned i = 0; i < 2; i++)
        device->config[PCI_COMMAND + i] &= ~device->writable[PCI_COMMAND + i];
    for (unsigned i = 0; i < ARRAY_SIZE(device->bar); i++) {
        if (device->bar[i].kind == PCI_BAR_NONE) continue;
        pci_put32(&device->config[bar_offset(i)], device->bar[i].kind == PCI_BAR_PORTS ? BAR_IO : 0);
    }
    device->config[PCI_INTERRUPT_LINE] = 0;
    update_bars(device);
    if (device->msix) pci_msix_reset(device->msix);
    if (device->interrupt) pci_set_interrupt(device, false);
}

void pci_device_remove(struct pci_device *device)
{
    struct pci_bus *bus = device->bus;
    pci_device_reset(device);
    for (unsigned i = 0; i < ARRAY_SIZE(device->bar) && bus->forget; i++)
        if (device->bar[i].kind != PCI_BAR_NONE) bus->forget(bus->map_owner, &device->bar[i]);
    bus->device[device->devfn] = NULL;
}

void pci_bus_reset(struct pci_bus *bus)
{
    bus->address = 0;
}

void pci_bus_init(struct pci_bus *bus)
{
    *bus = (struct pci_bus){.address = 0};
}
