/*
 * The PIIX3's IDE function. See piix3_ide.h. Register names are those of the 82371SB datasheet.
 */
#include "piix3_ide.h"

enum { IDETIM = 0x40, SIDETIM = 0x44, IDETIM_DECODE = 0x80 /* of the high byte */ };
enum { MASTER_BAR = 4, MASTER_PORTS = 16, CHANNEL_PORTS = 8 };

static void update_channels(struct piix3_ide *ide)
{
    const u8 *config = ide->pci.config;
    for (unsigned n = 0; n < 2; n++) {
        bool decoded = (config[PCI_COMMAND] & PCI_COMMAND_IO) && (config[IDETIM + 2 * n + 1] & IDETIM_DECODE);
        ide_master_enable(&ide->channel[n], config[PCI_COMMAND] & PCI_COMMAND_MASTER);
        if (decoded == ide->decoded[n]) continue;
        ide->decoded[n] = decoded;
        ide->wiring.map_channel(ide->wiring.machine, n, decoded);
    }
}

static void config_written(struct pci_device *device, unsigned offset)
{
    if (offset == PCI_COMMAND || (offset >= IDETIM && offset < SIDETIM))
        update_channels(container_of(device, struct piix3_ide, pci));
}

/* --- bus master registers: a wide access is several of one byte --- */

static u32 master_read(void *device, u32 offset, unsigned size)
{
    struct piix3_ide *ide = device;
    u32 value = 0;
    for (unsigned n = 0; n < size; n++) {
        u32 at = offset + n;
        value |= (u32)ide_master_read(&ide->channel[at / CHANNEL_PORTS], at % CHANNEL_PORTS) << (8 * n);
    }
    return value;
}

static void master_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct piix3_ide *ide = device;
    for (unsigned n = 0; n < size; n++) {
        u32 at = offset + n;
        ide_master_write(&ide->channel[at / CHANNEL_PORTS], at % CHANNEL_PORTS, (u8)(value >> (8 * n)));
    }
}

static const struct io_ops master_ops = {master_read, master_write};

/* --- set-up --- */

void piix3_ide_suspend(struct piix3_ide *ide)
{
    pci_device_reset(&ide->pci);
    update_channels(ide);
    ide_reset(&ide->channel[0]);
    ide_reset(&ide->channel[1]);
}

void piix3_ide_reset(struct piix3_ide *ide)
{
    for (unsigned n = IDETIM; n <= SIDETIM; n++)
        ide->pci.config[n] = 0;
    for (unsigned n = 0; n < 2; n++)
        ide->pci.config[IDETIM + 2 * n + 1] = IDETIM_DECODE;
    piix3_ide_suspend(ide);
}

void piix3_ide_init(struct piix3_ide *ide, struct pci_bus *bus, const struct piix3_ide_wiring *wiring)
{
    struct pci_device *pci = &ide->pci;
    ide->wiring = *wiring;
    for (unsigned n = 0; n < 2; n++) {
        ide->decoded[n] = false;
        ide_init(&ide->channel[n], wiring->irq[n], wiring->memory);
    }
    /* Programming interface 80h: bus master, both channels at their legacy ports only. */
    pci_device_init(pci, bus, PCI_DEVFN(1, 1), 0x8086, 0x7010, 0x010180);
    pci_put16(&pci->config[PCI_STATUS], 0x0280);
    pci->write_clears[PCI_STATUS + 1] = 0x38;
    pci->writable[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MASTER;
    pci->writable[PCI_INTERRUPT_LINE] = 0;
    for (unsigned n = IDETIM; n <= SIDETIM; n++)
        pci->writable[n] = 0xff;
    pci->written = config_written;
    pci_bar_ports(pci, MASTER_BAR, MASTER_PORTS, 4, &master_ops, ide);
    piix3_ide_reset(ide);
}
