/*
 * The PIIX3's ISA bridge. See piix3.h. Register names are those of the 82371SB datasheet.
 */
#include "piix3.h"

enum { PIRQ_ROUTE = 0x60, PIRQ_NOT_ROUTED = 0x80, PIRQ_LINES = 4 };

/* PIRQRC: interrupts that a PIRQ may be routed to. */
#define ROUTABLE 0xdef8

struct writable_row {
    u8 first, last, mask, reset;
};

/* Registers that a BIOS writes and reads back. */
static const struct writable_row rows[] = {
    {0x4c, 0x4c, 0xff, 0x4d}, /* ISA I/O recovery timer */
    {0x4e, 0x4e, 0xff, 0x03},
    {0x4f, 0x4f, 0x01, 0x00},                            /* X-bus chip select */
    {PIRQ_ROUTE, PIRQ_ROUTE + 3, 0x8f, PIRQ_NOT_ROUTED}, /* PIRQ route control */
    {0x69, 0x69, 0xfe, 0x02},                            /* top of memory */
    {0x6a, 0x6b, 0xff, 0x00},                            /* miscellaneous status */
    {0x70, 0x71, 0xff, 0x80},                            /* motherboard device IRQ route */
    {0x76, 0x77, 0x8f, 0x0c},                            /* motherboard device DMA */
    {0x78, 0x79, 0xff, 0x00},                            /* programmable chip select */
    {0x80, 0x80, 0x7f, 0x00},                            /* APIC base address relocation */
    {0x82, 0x82, 0x0f, 0x00},                            /* deterministic latency */
    {0xa0, 0xa0, 0x1f, 0x08},
    {0xa2, 0xa3, 0xff, 0x00}, /* SMI control and enable */
    {0xa4, 0xa7, 0xff, 0x00},
    {0xa8, 0xa8, 0xff, 0x0f}, /* system events, fast-off timer */
    {0xaa, 0xab, 0xff, 0x00},
    {0xac, 0xac, 0xff, 0x00},
    {0xae, 0xae, 0xff, 0x00}, /* SMI request, throttle */
};

/* Recompute the interrupts held up. A wire that the bridge does not drive is left alone. */
static void update(struct piix3 *piix3)
{
    u16 wanted = 0;
    for (unsigned i = 0; i < PIRQ_LINES; i++) {
        u8 route = piix3->pci.config[PIRQ_ROUTE + i];
        if ((piix3->pirq_levels & 1 << i) && !(route & PIRQ_NOT_ROUTED)) wanted |= 1 << (route & 15);
    }
    wanted &= ROUTABLE;
    u16 changed = wanted ^ piix3->driven;
    piix3->driven = wanted;
    for (unsigned irq = 0; irq < 16; irq++) {
        if (changed & 1 << irq) irq_set(&piix3->isa[irq], wanted & 1 << irq);
    }
}

static void pirq_changed(void *receiver, unsigned pin, bool level)
{
    struct piix3 *piix3 = receiver;
    piix3->pirq_levels = (piix3->pirq_levels & ~(1 << pin)) | level << pin;
    update(piix3);
}

static void config_written(struct pci_device *device, unsigned offset)
{
    if (offset >= PIRQ_ROUTE && offset < PIRQ_ROUTE + PIRQ_LINES)
        update(container_of(device, struct piix3, pci));
}

void piix3_reset(struct piix3 *piix3)
{
    pci_device_reset(&piix3->pci);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned at = rows[i].first; at <= rows[i].last; at++) {
            piix3->pci.config[at] = rows[i].reset;
        }
    }
    update(piix3);
}

void piix3_init(struct piix3 *piix3, struct pci_bus *bus, const struct irq_line isa[16])
{
    *piix3 = (struct piix3){.pirq_levels = 0};
    struct pci_device *pci = &piix3->pci;
    for (unsigned irq = 0; irq < 16; irq++) {
        piix3->isa[irq] = isa[irq];
    }
    pci_device_init(pci, bus, PCI_DEVFN(1, 0), 0x8086, 0x7000, 0x060100);
    pci->written = config_written;
    pci->config[PCI_HEADER_TYPE] = PCI_MULTI_FUNCTION;
    /* PCICMD: I/O, memory and master are always on. PCISTS: medium DEVSEL timing. */
    pci->config[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    pci->writable[PCI_COMMAND] = 0x08; /* special cycles */
    pci->writable[PCI_INTERRUPT_LINE] = 0;
    pci_put16(&pci->config[PCI_STATUS], 0x0200);
    pci->write_clears[PCI_STATUS + 1] = 0x78;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned at = rows[i].first; at <= rows[i].last; at++) {
            pci->writable[at] = rows[i].mask;
        }
    }
    for (unsigned i = 0; i < PIRQ_LINES; i++) {
        bus->pirq[i] = (struct irq_line){.set = pirq_changed, .receiver = piix3, .pin = i};
    }
    piix3_reset(piix3);
}
