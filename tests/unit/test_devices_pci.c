/*
 * The PCI host: Linux' probe of configuration mechanism 1, byte and word accesses, base address sizing, the
 * PAM registers and the routing of interrupts.
 */
#include "devices/chipset/i440fx.h"
#include "devices/chipset/piix3.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_msix.h"

#include "check.h"

static struct pci_bus bus;
static struct i440fx host;
static struct piix3 piix3;

static bool isa[16];
static unsigned isa_calls;

static void set_isa(void *receiver, unsigned pin, bool level)
{
    isa[pin] = level;
    isa_calls++;
}

static struct {
    u32 gpa, bytes;
    bool read, write;
} area[16];
static unsigned areas;

static void shadow(void *machine, u32 gpa, u32 bytes, bool read, bool write)
{
    area[areas].gpa = gpa;
    area[areas].bytes = bytes;
    area[areas].read = read;
    area[areas++].write = write;
}

static void out(unsigned port, unsigned size, u32 value)
{
    pci_config_ops.write(&bus, port - 0xcf8, size, value);
}
static u32 in(unsigned port, unsigned size)
{
    u32 value = pci_config_ops.read(&bus, port - 0xcf8, size);
    return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

static void select_register(unsigned devfn, unsigned reg)
{
    out(0xcf8, 4, 0x80000000 | devfn << 8 | reg);
}

static void start(void)
{
    struct irq_line lines[16];
    for (unsigned i = 0; i < 16; i++) {
        lines[i] = (struct irq_line){.set = set_isa, .pin = i};
        isa[i] = false;
    }
    areas = isa_calls = 0;
    pci_bus_init(&bus);
    i440fx_init(&host, &bus, shadow, NULL);
    piix3_init(&piix3, &bus, lines);
    CHECK_EQ(areas, 0);
    CHECK_EQ(isa_calls, 0);
}

static void test_linux_probe(void)
{
    start();
    out(0xcfb, 1, 1);
    u32 saved = in(0xcf8, 4);
    out(0xcf8, 4, 0x80000000);
    CHECK_EQ(in(0xcf8, 4), 0x80000000);
    out(0xcf8, 4, saved);
    CHECK_EQ(in(0xcf8, 4), 0);
    CHECK_EQ(in(0xcfc, 4), 0xffffffff); /* not enabled */
    select_register(PCI_DEVFN(0, 0), 0);
    CHECK_EQ(in(0xcfc, 4), 0x12378086);
    CHECK_EQ(in(0xcfc, 2), 0x8086);
    CHECK_EQ(in(0xcfe, 2), 0x1237);
    CHECK_EQ(in(0xcfd, 1), 0x80);
    select_register(0, 8);
    CHECK_EQ(in(0xcfc, 4), 0x06000002);
    select_register(0, 4);
    CHECK_EQ(in(0xcfc, 4), 0x02800006);
    select_register(PCI_DEVFN(1, 0), 0);
    CHECK_EQ(in(0xcfc, 4), 0x70008086);
    select_register(PCI_DEVFN(1, 0), 8);
    CHECK_EQ(in(0xcfc, 4), 0x06010000);
    select_register(PCI_DEVFN(1, 0), 0x0c);
    CHECK_EQ(in(0xcfe, 1), 0x80);
    select_register(PCI_DEVFN(1, 1), 0);
    CHECK_EQ(in(0xcfc, 4), 0xffffffff);
    out(0xcf8, 4, 0x80010000); /* another bus */
    CHECK_EQ(in(0xcfc, 4), 0xffffffff);
    out(0xcf8, 4, 0xffffffff);
    CHECK_EQ(in(0xcf8, 4), 0x80fffffc);
}

static void test_identity_is_read_only(void)
{
    start();
    select_register(0, 0);
    out(0xcfc, 4, 0);
    CHECK_EQ(in(0xcfc, 4), 0x12378086);
    select_register(0, 4);
    out(0xcfc, 2, 0);
    CHECK_EQ(in(0xcfc, 2), 0x0006);
    host.pci.config[PCI_STATUS + 1] |= 0x20; /* received master abort */
    out(0xcfe, 2, 0x0000);
    CHECK_EQ(in(0xcfe, 2), 0x2280);
    out(0xcfe, 2, 0x2000);
    CHECK_EQ(in(0xcfe, 2), 0x0280);
}

static void test_pam(void)
{
    start();
    select_register(0, 0x58);
    out(0xcfd, 1, 0x30); /* PAM0 */
    CHECK_EQ(areas, 1);
    CHECK_EQ(area[0].gpa, 0xf0000);
    CHECK_EQ(area[0].bytes, 0x10000);
    CHECK(area[0].read && area[0].write);
    out(0xcfd, 1, 0x30);
    CHECK_EQ(areas, 1);
    CHECK_EQ(in(0xcfd, 1), 0x30);
    select_register(0, 0x5c);
    out(0xcfc, 4, 0x00001200); /* PAM4: D8000 read, DC000... */
    CHECK_EQ(areas, 3);
    CHECK_EQ(area[1].gpa, 0xd8000);
    CHECK(!area[1].read && area[1].write);
    CHECK_EQ(area[2].gpa, 0xdc000);
    CHECK(area[2].read && !area[2].write);
    i440fx_reset(&host);
    CHECK_EQ(areas, 6);
    CHECK_EQ(area[3].gpa, 0xf0000);
    CHECK(!area[3].read && !area[3].write);
}

static struct pci_device card;
static unsigned maps;

static void map(void *owner, struct pci_bar *bar)
{
    CHECK(owner == &card);
    CHECK(bar >= card.bar && bar < card.bar + ARRAY_SIZE(card.bar));
    maps++;
}

static void start_card(void)
{
    start();
    bus.map = map;
    bus.map_owner = &card;
    pci_device_init(&card, &bus, PCI_DEVFN(3, 0), 0x10ec, 0x8139, 0x020000);
}

static u8 image[8192];

static void test_bars(void)
{
    static const struct io_ops ops;
    start_card();
    pci_bar_ports(&card, 0, 256, 4, &ops, &card);
    pci_bar_mmio(&card, 1, 65536, &ops, &card);
    select_register(PCI_DEVFN(3, 0), 0x10);
    CHECK_EQ(in(0xcfc, 4), 1);
    out(0xcfc, 4, 0xffffffff);
    CHECK_EQ(in(0xcfc, 4), 0xffffff01);
    out(0xcfc, 4, 0xc000);
    select_register(PCI_DEVFN(3, 0), 0x14);
    out(0xcfc, 4, 0xffffffff);
    CHECK_EQ(in(0xcfc, 4), 0xffff0000);
    out(0xcfc, 4, 0xfebf1234);
    CHECK_EQ(in(0xcfc, 4), 0xfebf0000);
    CHECK_EQ(maps, 0); /* decoding is off */
    select_register(PCI_DEVFN(3, 0), 0x18);
    out(0xcfc, 4, 0xffffffff);
    CHECK_EQ(in(0xcfc, 4), 0); /* there is none */
    select_register(PCI_DEVFN(3, 0), 4);
    out(0xcfc, 2, 3);
    CHECK_EQ(maps, 2);
    CHECK(card.bar[0].mapped && card.bar[1].mapped);
    CHECK_EQ(card.bar[0].base, 0xc000);
    CHECK_EQ(card.bar[1].base, 0xfebf0000);
    select_register(PCI_DEVFN(3, 0), 0x14);
    out(0xcfc, 4, 0xffffffff); /* sizing while decoding: FFFF0000h has no device */
    CHECK(!card.bar[1].mapped);
    out(0xcfe, 2, 0xe000);
    CHECK(card.bar[1].mapped);
    CHECK_EQ(card.bar[1].base, 0xe0000000);
    pci_device_reset(&card);
    CHECK(!card.bar[0].mapped && !card.bar[1].mapped);
    select_register(PCI_DEVFN(3, 0), 0x10);
    CHECK_EQ(in(0xcfc, 4), 1);
}

static void test_rom(void)
{
    start_card();
    maps = 0;
    pci_expansion_rom(&card, image, sizeof(image));
    select_register(PCI_DEVFN(3, 0), 4);
    out(0xcfc, 2, 3);
    select_register(PCI_DEVFN(3, 0), 0x30);
    out(0xcfc, 4, 0xfffff800);
    CHECK_EQ(in(0xcfc, 4), 0xffffe000);
    out(0xcfc, 4, 0xe8000000);
    CHECK_EQ(maps, 0);
    out(0xcfc, 1, 1); /* the register's own enable bit */
    CHECK_EQ(maps, 1);
    CHECK(card.bar[PCI_ROM_BAR].mapped);
    CHECK_EQ(card.bar[PCI_ROM_BAR].base, 0xe8000000);
    CHECK_EQ(in(0xcfc, 4), 0xe8000001);
    pci_device_reset(&card);
    CHECK(!card.bar[PCI_ROM_BAR].mapped);
    CHECK_EQ(in(0xcfc, 4), 0);
}

static struct {
    u64 address;
    u32 data;
} message[8];
static unsigned messages;

static void msi(void *owner, u64 address, u32 data)
{
    CHECK(owner == &card);
    message[messages % 8].address = address;
    message[messages++ % 8].data = data;
}

static void test_capabilities(void)
{
    start_card();
    select_register(PCI_DEVFN(3, 0), 4);
    CHECK_EQ(in(0xcfe, 2) & PCI_STATUS_CAPABILITIES, 0);
    u8 first = pci_add_capability(&card, PCI_CAPABILITY_VENDOR, 15);
    u8 second = pci_add_capability(&card, PCI_CAPABILITY_VENDOR, 20);
    CHECK_EQ(first, 0x40);
    CHECK_EQ(second, 0x50);
    CHECK(in(0xcfe, 2) & PCI_STATUS_CAPABILITIES);
    select_register(PCI_DEVFN(3, 0), 0x34);
    u32 at = in(0xcfc, 1);
    unsigned count = 0;
    for (; at && count < 8; count++) {
        select_register(PCI_DEVFN(3, 0), at);
        CHECK_EQ(in(0xcfc, 1), PCI_CAPABILITY_VENDOR);
        at = in(0xcfd, 1);
    }
    CHECK_EQ(count, 2);
}

static void test_msix(void)
{
    static struct pci_msix msix;
    start_card();
    messages = 0;
    bus.msi = msi;
    bus.msi_owner = &card;
    pci_interrupt_pin(&card, 1);
    pci_msix_init(&msix, &card, 3, 4, 0x1000, 0x1800);
    select_register(PCI_DEVFN(3, 0), msix.capability);
    CHECK_EQ(in(0xcfc, 4), 0x00020011);
    select_register(PCI_DEVFN(3, 0), msix.capability + 4);
    CHECK_EQ(in(0xcfc, 4), 0x1004);
    for (unsigned n = 0; n < 3; n++) {
        CHECK_EQ(pci_msix_table_read(&msix, 16 * n + 12, 4), 1); /* masked after reset */
        pci_msix_table_write(&msix, 16 * n, 4, 0xfee00000 | n << 12);
        pci_msix_table_write(&msix, 16 * n + 8, 4, 0x4030 + n);
        pci_msix_table_write(&msix, 16 * n + 12, 4, 0);
    }
    pci_msix_send(&msix, 0);
    CHECK_EQ(messages, 0); /* not enabled: not even remembered */
    pci_set_interrupt(&card, true);
    CHECK(card.interrupting);
    select_register(PCI_DEVFN(3, 0), msix.capability);
    out(0xcfe, 2, 0xc000); /* enabled, all masked */
    CHECK(!card.interrupting);
    pci_msix_send(&msix, 1);
    pci_msix_send(&msix, 7); /* there is none */
    CHECK_EQ(messages, 0);
    CHECK_EQ(pci_msix_pending_read(&msix, 0, 4), 2);
    select_register(PCI_DEVFN(3, 0), 4);
    out(0xcfc, 2, 6);
    select_register(PCI_DEVFN(3, 0), msix.capability);
    out(0xcfe, 2, 0x8000);
    CHECK_EQ(messages, 1);
    CHECK_EQ(message[0].address, 0xfee01000);
    CHECK_EQ(message[0].data, 0x4031);
    CHECK_EQ(pci_msix_pending_read(&msix, 0, 1), 0);
    pci_msix_table_write(&msix, 16 * 2 + 12, 4, 0xffffffff);
    CHECK_EQ(pci_msix_table_read(&msix, 16 * 2 + 12, 4), 1);
    pci_msix_send(&msix, 2);
    CHECK_EQ(messages, 1);
    pci_msix_table_write(&msix, 16 * 2 + 12, 1, 0);
    CHECK_EQ(messages, 2);
    CHECK_EQ(message[1].data, 0x4032);
    CHECK_EQ(pci_msix_table_read(&msix, 16 * 3, 4), 0);
    pci_msix_table_write(&msix, 16 * 3, 4, 1); /* behind its end */
    out(0xcfe, 2, 0);
    CHECK(card.interrupting); /* the pin again */
    select_register(PCI_DEVFN(3, 0), 4);
    CHECK(in(0xcfe, 2) & PCI_STATUS_INTERRUPT);
    out(0xcfc, 2, PCI_COMMAND_NO_INTX);
    CHECK(!card.interrupting);
    CHECK(in(0xcfe, 2) & PCI_STATUS_INTERRUPT);
    pci_device_reset(&card);
    CHECK_EQ(pci_msix_table_read(&msix, 0, 4), 0);
    CHECK(!(in(0xcfe, 2) & PCI_STATUS_INTERRUPT));
}

static void test_interrupts(void)
{
    static struct pci_device second;
    start();
    pci_device_init(&card, &bus, PCI_DEVFN(3, 0), 0x10ec, 0x8139, 0x020000);
    pci_device_init(&second, &bus, PCI_DEVFN(7, 0), 0x10ec, 0x8139, 0x020000);
    card.config[PCI_INTERRUPT_PIN] = second.config[PCI_INTERRUPT_PIN] = 1; /* devices 3 and 7: both PIRQC */
    select_register(PCI_DEVFN(1, 0), 0x60);
    CHECK_EQ(in(0xcfc, 4), 0x80808080);
    pci_set_interrupt(&card, true);
    CHECK_EQ(isa_calls, 0);
    out(0xcfe, 1, 0x0b);
    CHECK(isa[11]);
    pci_set_interrupt(&second, true);
    pci_set_interrupt(&card, false);
    CHECK(isa[11]);      /* shared */
    out(0xcfe, 1, 0x0a); /* routed again while up */
    CHECK(!isa[11] && isa[10]);
    pci_set_interrupt(&second, false);
    CHECK(!isa[10]);
    pci_set_interrupt(&second, true);
    out(0xcfe, 1, 0x00); /* IRQ 0 is no PCI interrupt */
    CHECK(!isa[10] && !isa[0]);
    out(0xcfe, 1, 0x05);
    CHECK(isa[5]);
    pci_device_reset(&second);
    CHECK(!isa[5]);
    piix3_reset(&piix3);
    CHECK_EQ(in(0xcfc, 4), 0x80808080);
}

int main(void)
{
    test_linux_probe();
    test_identity_is_read_only();
    test_pam();
    test_bars();
    test_rom();
    test_capabilities();
    test_msix();
    test_interrupts();
    return check_report();
}
