/*
 * The 440FX host bridge. See i440fx.h. Register names are those of the 82441FX datasheet.
 *
 * PAM0 (59h) bits 5-4 are F0000h-FFFFFh (64 KB). PAM1-PAM6 (5Ah-5Fh) hold two areas of 16 KB each,
 * C0000h-EFFFFh in ascending order, bits 1-0 the lower and 5-4 the upper. In each pair bit 0 is read enable,
 * bit 1 write enable.
 */
#include "i440fx.h"

enum {
    PAM0 = 0x59,
    PAM_COUNT = 7,
    PAM_READ = 1,
    PAM_WRITE = 2,
    SMRAM = 0x72,
};

struct writable_row {
    u8 first, last, mask, reset;
};

/* Registers that a BIOS writes and reads back. */
static const struct writable_row rows[] = {
    {0x0d, 0x0d, 0xf8, 0x00},         /* latency timer */
    {0x50, 0x51, 0xff, 0x00},         /* PMC configuration */
    {0x52, 0x55, 0xff, 0x00},         /* deturbo counter, DBX buffer control, AUX */
    {0x57, 0x58, 0xff, 0x00},         /* DRAM control, DRAM timing */
    {PAM0, PAM0, 0x30, 0x00},         /* PAM0 */
    {PAM0 + 1, PAM0 + 6, 0x33, 0x00}, /* PAM1-6 */
    {0x60, 0x67, 0xff, 0x01},         /* DRAM row boundaries */
    {0x68, 0x68, 0xff, 0x00},         /* fixed DRAM hole */
    {0x70, 0x71, 0xff, 0x00},         /* multi-transaction and CPU latency timers */
    {SMRAM, SMRAM, 0x7f, 0x02},       /* SMRAM control */
    {0x90, 0x90, 0xff, 0x00},         /* error command */
    {0x93, 0x93, 0xff, 0x00},         /* turbo reset control */
};

static void area_changed(struct i440fx *bridge, u32 gpa, u32 bytes, u8 old, u8 bits)
{
    if (((old ^ bits) & (PAM_READ | PAM_WRITE)) && bridge->shadow)
        bridge->shadow(bridge->machine, gpa, bytes, bits & PAM_READ, bits & PAM_WRITE);
}

/* Call shadow() for the areas that have changed. */
static void update(struct i440fx *bridge)
{
    for (unsigned i = 0; i < PAM_COUNT; i++) {
        u8 old = bridge->pam[i], new = bridge->pci.config[PAM0 + i];
        bridge->pam[i] = new;
        if (i == 0) {
            area_changed(bridge, 0xf0000, 0x10000, old >> 4, new >> 4);
        } else {
            u32 gpa = 0xc0000 + (i - 1) * 0x8000;
            area_changed(bridge, gpa, 0x4000, old, new);
            area_changed(bridge, gpa + 0x4000, 0x4000, old >> 4, new >> 4);
        }
    }
}

static void config_written(struct pci_device *device, unsigned offset)
{
    if (offset >= PAM0 && offset < PAM0 + PAM_COUNT) update(container_of(device, struct i440fx, pci));
}

void i440fx_reset(struct i440fx *bridge)
{
    pci_device_reset(&bridge->pci);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned at = rows[i].first; at <= rows[i].last; at++) {
            bridge->pci.config[at] = rows[i].reset;
        }
    }
    update(bridge);
}

void i440fx_init(struct i440fx *bridge, struct pci_bus *bus,
                 void (*shadow)(void *machine, u32 gpa, u32 bytes, bool read_dram, bool write_dram),
                 void *machine)
{
    *bridge = (struct i440fx){.shadow = shadow, .machine = machine};
    struct pci_device *pci = &bridge->pci;
    pci_device_init(pci, bus, PCI_DEVFN(0, 0), 0x8086, 0x1237, 0x060000);
    pci->written = config_written;
    pci->config[PCI_REVISION] = 0x02;
    /* PCICMD: memory access and bus master are always on. PCISTS: medium DEVSEL timing, fast back-to-back. */
    pci->config[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    pci->writable[PCI_COMMAND] = 0x40; /* parity error response */
    pci->writable[PCI_COMMAND + 1] = 0x01;
    pci->writable[PCI_INTERRUPT_LINE] = 0;
    pci_put16(&pci->config[PCI_STATUS], 0x0280);
    pci->write_clears[PCI_STATUS + 1] = 0xf9;
    pci->write_clears[0x91] = 0xff; /* error status */
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        for (unsigned at = rows[i].first; at <= rows[i].last; at++) {
            pci->writable[at] = rows[i].mask;
        }
    }
    i440fx_reset(bridge);
}
