/*
 * The PCI bus and configuration mechanism 1. See pci_bus.h.
 */
#include "pci_bus.h"

#include <assert.h>

#define ADDRESS_ENABLE   0x80000000u
#define ADDRESS_WRITABLE 0x80fffffcu
#define DATA_OFFSET      4 /* CFCh in the window */

/* The device that the address register selects. There is one bus only. */
static struct pci_device *selected(const struct pci_bus *bus)
{
    if (!(bus->address & ADDRESS_ENABLE) || (bus->address >> 16 & 0xff)) return NULL;
    return bus->device[bus->address >> 8 & 0xff];
}

static u32 bar_flags(const struct pci_bar *bar)
{
    return bar->io ? 1 : 0;
}

static void update_bar(struct pci_device *device, unsigned index)
{
    struct pci_bar *bar = &device->bar[index];
    if (!bar->bytes) return;
    u32 base = pci_get32(&device->config[PCI_BAR0 + 4 * index]) & -bar->bytes;
    u8 enable = bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    /* Zero, and all ones written to learn the size, are no addresses. */
    bool mapped = (device->config[PCI_COMMAND] & enable) && base && base != -bar->bytes;
    if (mapped == bar->mapped && (!mapped || base == bar->base)) return;
    if (bar->mapped && mapped && bar->map) bar->map(device, index, bar->base, false);
    u32 old_base = bar->base;
    bar->mapped = mapped;
    bar->base = base;
    if (bar->map) bar->map(device, index, mapped ? base : old_base, mapped);
}

static void update_bars(struct pci_device *device)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        update_bar(device, i);
    }
}

static void write_config(struct pci_device *device, unsigned offset, unsigned size, u32 value)
{
    for (unsigned i = 0; i < size; i++, value >>= 8) {
        u8 *byte = &device->config[offset + i], writable = device->writable[offset + i];
        *byte = (*byte & ~writable) | (value & writable);
        *byte &= ~(value & device->write_clears[offset + i]);
    }
    /* All bytes are in place before anybody is told: a base address must not be seen half written. */
    update_bars(device);
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

void pci_set_interrupt(struct pci_device *device, bool level)
{
    u8 pin = device->config[PCI_INTERRUPT_PIN];
    assert(pin >= 1 && pin <= 4);
    if (level == device->interrupting) return;
    device->interrupting = level;
    unsigned pirq = pci_pirq(device->devfn, pin);
    struct pci_bus *bus = device->bus;
    bus->pirq_count[pirq] += level ? 1 : -1;
    irq_set(&bus->pirq[pirq], bus->pirq_count[pirq] != 0);
}

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

void pci_bar_init(struct pci_device *device, unsigned index, u32 bytes, bool io,
                  void (*map)(struct pci_device *device, unsigned bar, u32 base, bool mapped))
{
    assert(index < PCI_BARS && (bytes & (bytes - 1)) == 0 && bytes >= (io ? 4 : 16));
    struct pci_bar *bar = &device->bar[index];
    *bar = (struct pci_bar){.bytes = bytes, .io = io, .map = map};
    u8 *config = &device->config[PCI_BAR0 + 4 * index], *writable = &device->writable[PCI_BAR0 + 4 * index];
    config[0] = bar_flags(bar);
    pci_put16(writable, (u16)-bytes);
    pci_put16(writable + 2, -bytes >> 16);
}

void pci_device_reset(struct pci_device *device)
{
    device->config[PCI_COMMAND] &= ~device->writable[PCI_COMMAND];
    for (unsigned i = 0; i < PCI_BARS; i++) {
        if (!device->bar[i].bytes) continue;
        pci_put16(&device->config[PCI_BAR0 + 4 * i], bar_flags(&device->bar[i]));
        pci_put16(&device->config[PCI_BAR0 + 4 * i + 2], 0);
    }
    device->config[PCI_INTERRUPT_LINE] = 0;
    update_bars(device);
    if (device->interrupting) pci_set_interrupt(device, false);
}

void pci_bus_reset(struct pci_bus *bus)
{
    bus->address = 0;
}

void pci_bus_init(struct pci_bus *bus)
{
    *bus = (struct pci_bus){.address = 0};
}
