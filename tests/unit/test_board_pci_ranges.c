/*
 * BARs that a guest moves: which device answers at which address, and that BARs take effect in the hole only. Hazard:
 * a hostile guest that lays a range over RAM, interrupt controllers, firmware or another range, or fills the list of
 * regions.
 */
#include "board/pci_ranges.h"

#include "board_rig.h"

#include <stdlib.h>
#include <string.h>

#define RAM_BYTES (4u << 20)
#define CARDS     24

struct card {
    struct pci_device pci;
    u32 id;
};

static struct board_rig *rig;
static struct pci_bus *bus;
static struct card card[CARDS];
static u8 image[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static u32 read_id(void *device, u32 offset, unsigned size)
{
    const struct card *c = device;
    return c->id << 16 | offset;
}

static void write_nothing(void *device, u32 offset, unsigned size, u32 value) {}

static const struct io_ops id_ops = {read_id, write_nothing};

static void config(unsigned n, unsigned reg, unsigned size, u32 value)
{
    pci_config_ops.write(bus, 0, 4, 0x80000000u | card[n].pci.devfn << 8 | (reg & 0xfc));
    pci_config_ops.write(bus, 4 + (reg & 3), size, value);
}

static void place(unsigned n, unsigned bar, u32 base)
{
    config(n, bar == PCI_ROM_BAR ? PCI_ROM : PCI_BAR0 + 4 * bar, 4, base);
}

static u32 at(u64 gpa)
{
    return (u32)phys_read(&rig->phys, gpa, 4);
}

#define NOTHING       0xffffffffu
#define ID(n, offset) ((u32)(n + 1) << 16 | (offset))

static void test_memory(void)
{
    place(0, 1, 0xe0000000);
    CHECK_EQ(at(0xe0000004), NOTHING); /* not enabled */
    config(0, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    CHECK_EQ(at(0xe0000004), ID(0, 4));
    CHECK_EQ(at(0xe0003ffc), ID(0, 0x3ffc));
    CHECK_EQ(at(0xe0004000), NOTHING);
    unsigned regions = rig->phys.region_count;
    place(0, 1, 0xe1000000);
    CHECK_EQ(at(0xe0000004), NOTHING);
    CHECK_EQ(at(0xe1000004), ID(0, 4));
    CHECK_EQ(rig->phys.region_count, regions);

    /* Over RAM, the local APIC, the reset vector, across the edges of the hole: not there at all. */
    static const u32 forbidden[] = {0x4000,  RAM_BYTES - 0x4000, 0xfec00000, 0xfee00000, 0xfffe0000,
                                    0xa0000, 0xffff8000};
    for (unsigned n = 0; n < ARRAY_SIZE(forbidden); n++) {
        place(0, 1, forbidden[n]);
        CHECK_EQ(rig->phys.region_count, regions - 1);
        CHECK_EQ(at(0xe1000004), NOTHING);
        CHECK_EQ(at(forbidden[n] + 4), forbidden[n] < RAM_BYTES ? 0 : NOTHING);
    }
    place(0, 1, RAM_BYTES); /* the first that is free, and the last */
    CHECK_EQ(at(RAM_BYTES + 8), ID(0, 8));
    place(0, 1, 0xfebfc000);
    CHECK_EQ(at(0xfebffffc), ID(0, 0x3ffc));
}

static void test_rom(void)
{
    memset(image, 0x5a, sizeof(image));
    place(0, PCI_ROM_BAR, 0xf0000001);
    CHECK_EQ(at(0xf0000000), 0x5a5a5a5a);
    phys_write(&rig->phys, 0xf0000000, 4, 0);
    CHECK_EQ(at(0xf0000000), 0x5a5a5a5a);
    place(0, PCI_ROM_BAR, 0xf0000000);
    CHECK_EQ(at(0xf0000000), NOTHING);
}

static void test_overlap(void)
{
    config(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    config(2, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    place(0, 1, 0xd0000000);
    place(1, 0, 0xd0001000); /* a page within card 0's four */
    CHECK_EQ(at(0xd0000ffc), ID(0, 0xffc));
    CHECK_EQ(at(0xd0001000), ID(1, 0));
    CHECK_EQ(at(0xd0002000), ID(0, 0x2000));
    place(2, 0, 0xd0002000);
    place(2, 1, 0xd0000000); /* all of it */
    for (u32 offset = 0; offset < 0x4000; offset += 0x1000)
        CHECK_EQ(at(0xd0000000 + offset), ID(2, offset));
    place(2, 1, 0xd8000000);
    CHECK_EQ(at(0xd0000000), ID(0, 0));
    CHECK_EQ(at(0xd0001000), ID(1, 0));
    CHECK_EQ(at(0xd0002000), ID(2, 0));
    CHECK_EQ(at(0xd0003000), ID(0, 0x3000));
    place(0, 1, 0xe0000000); /* the one beneath goes, the others stay */
    CHECK_EQ(at(0xd0000000), NOTHING);
    CHECK_EQ(at(0xd0001000), ID(1, 0));
    CHECK_EQ(at(0xd0002000), ID(2, 0));
}

static void test_ports(void)
{
    place(0, 2, 0xc001);
    CHECK_EQ(ports_read(&rig->board.ports, 0xc004, 4), ID(0, 4));
    place(1, 2, 0xc001);
    CHECK_EQ(ports_read(&rig->board.ports, 0xc004, 4), ID(1, 4));
    place(1, 2, 0xd001);
    CHECK_EQ(ports_read(&rig->board.ports, 0xc004, 4), ID(0, 4));
    CHECK_EQ(ports_read(&rig->board.ports, 0xd004, 4), ID(1, 4));
    place(0, 2, 0x1c001); /* beyond the ports */
    CHECK_EQ(ports_read(&rig->board.ports, 0xc004, 4), NOTHING);
    place(0, 2, 0xffc1);
    CHECK_EQ(ports_read(&rig->board.ports, 0xffc4, 4), ID(0, 4)); /* the last there are */
    config(1, PCI_COMMAND, 2, 0);
    CHECK_EQ(ports_read(&rig->board.ports, 0xd004, 4), NOTHING);
}

/* After every random change a model with one owner a page agrees. */
static void test_random(void)
{
    static const u32 base = 0xc8000000;
    enum { PAGES = 64 };
    unsigned seed = 1;
    for (unsigned n = 0; n < CARDS; n++)
        config(n, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    for (unsigned step = 0; step < 3000; step++) {
        seed = seed * 1103515245 + 12345;
        unsigned n = seed >> 8 & 31, page = seed >> 13 & 63;
        if (n >= CARDS) continue;
        place(n, seed >> 19 & 1, base + page * PAGE_SIZE);
        u32 owner[PAGES + 4];
        memset(owner, 0xff, sizeof(owner));
        const struct pci_ranges *w = &rig->board.pci_ranges;
        for (unsigned i = 0; i < w->count; i++) {
            const struct pci_bar *bar = w->range[i].bar;
            if (w->range[i].ports || !bar->mapped || bar->base < base || bar->kind != PCI_BAR_MMIO) continue;
            for (u32 offset = 0; offset < bar->bytes; offset += PAGE_SIZE)
                if ((bar->base - base + offset) / PAGE_SIZE < ARRAY_SIZE(owner))
                    owner[(bar->base - base + offset) / PAGE_SIZE] =
                        ((struct card *)bar->handler)->id << 16 | offset;
        }
        for (unsigned i = 0; i < ARRAY_SIZE(owner); i++) {
            if (at(base + i * PAGE_SIZE) == owner[i]) continue;
            CHECK_EQ(at(base + i * PAGE_SIZE), owner[i]);
            return;
        }
    }
    for (unsigned n = 0; n < CARDS; n++)
        pci_device_reset(&card[n].pci);
    CHECK_EQ(rig->phys.region_count, 1);
    CHECK(!rig->board.pci_ranges.warned);
}

/* A card that leaves the bus answers nowhere, and the ranges of the next one in its slot take its places. */
static void test_leaving(void)
{
    place(1, 1, 0xe8000000);
    place(1, 2, 0xc100);
    config(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    CHECK_EQ(at(0xe8000004), ID(1, 4));
    unsigned ranges = rig->board.pci_ranges.count, ports = rig->board.ports.range_count;
    for (unsigned n = 0; n < 2 * PCI_RANGES_MAX; n++) {
        pci_device_remove(&card[1].pci);
        CHECK_EQ(at(0xe8000004), NOTHING);
        CHECK_EQ(ports_read(&rig->board.ports, 0xc100, 4), NOTHING);
        pci_device_init(&card[1].pci, bus, PCI_DEVFN(2, 0), 0x1234, 0x5678, 0x020000);
        pci_bar_mmio(&card[1].pci, 0, 0x1000, &id_ops, &card[1]);
        pci_bar_mmio(&card[1].pci, 1, 0x4000, &id_ops, &card[1]);
        pci_bar_ports(&card[1].pci, 2, 64, 4, &id_ops, &card[1]);
        place(1, 1, 0xe8000000);
        place(1, 2, 0xc100);
        config(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
        CHECK_EQ(at(0xe8000004), ID(1, 4));
        CHECK_EQ(ports_read(&rig->board.ports, 0xc104, 4), ID(1, 4));
    }
    CHECK(rig->board.pci_ranges.count <= ranges);
    CHECK(rig->board.ports.range_count <= ports);
    pci_device_reset(&card[1].pci);
}

int main(void)
{
    rig = board_rig_new(RAM_BYTES, NULL);
    bus = &rig->board.pci;
    for (unsigned n = 0; n < CARDS; n++) {
        card[n].id = n + 1;
        pci_device_init(&card[n].pci, bus, PCI_DEVFN(n + 1, 0), 0x1234, 0x5678, 0x020000);
        pci_bar_mmio(&card[n].pci, 0, 0x1000, &id_ops, &card[n]);
        pci_bar_mmio(&card[n].pci, 1, 0x4000, &id_ops, &card[n]);
        pci_bar_ports(&card[n].pci, 2, 64, 4, &id_ops, &card[n]);
    }
    pci_expansion_rom(&card[0].pci, image, sizeof(image));
    test_memory();
    test_rom();
    test_overlap();
    test_ports();
    test_random();
    test_leaving();
    board_rig_free(rig);
    return check_report();
}
