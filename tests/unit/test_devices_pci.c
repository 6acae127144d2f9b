/*
 * The PCI host: Linux' probe of configuration mechanism 1, byte and word accesses, base address sizing, the
 * PAM registers and the routing of interrupts.
 */
#include "devices/i440fx.h"
#include "devices/pci_bus.h"
#include "devices/piix3.h"

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

static void select(unsigned devfn, unsigned reg)
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
    select(PCI_DEVFN(0, 0), 0);
    CHECK_EQ(in(0xcfc, 4), 0x12378086);
    CHECK_EQ(in(0xcfc, 2), 0x8086);
    CHECK_EQ(in(0xcfe, 2), 0x1237);
    CHECK_EQ(in(0xcfd, 1), 0x80);
    select(0, 8);
    CHECK_EQ(in(0xcfc, 4), 0x06000002);
    select(0, 4);
    CHECK_EQ(in(0xcfc, 4), 0x02800006);
    select(PCI_DEVFN(1, 0), 0);
    CHECK_EQ(in(0xcfc, 4), 0x70008086);
    select(PCI_DEVFN(1, 0), 8);
    CHECK_EQ(in(0xcfc, 4), 0x06010000);
    select(PCI_DEVFN(1, 0), 0x0c);
    CHECK_EQ(in(0xcfe, 1), 0x80);
    select(PCI_DEVFN(1, 1), 0);
    CHECK_EQ(in(0xcfc, 4), 0xffffffff);
    out(0xcf8, 4, 0x80010000); /* another bus */
    CHECK_EQ(in(0xcfc, 4), 0xffffffff);
    out(0xcf8, 4, 0xffffffff);
    CHECK_EQ(in(0xcf8, 4), 0x80fffffc);
}

static void test_identity_is_read_only(void)
{
    start();
    select(0, 0);
    out(0xcfc, 4, 0);
    CHECK_EQ(in(0xcfc, 4), 0x12378086);
    select(0, 4);
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
    select(0, 0x58);
    out(0xcfd, 1, 0x30); /* PAM0 */
    CHECK_EQ(areas, 1);
    CHECK_EQ(area[0].gpa, 0xf0000);
    CHECK_EQ(area[0].bytes, 0x10000);
    CHECK(area[0].read && area[0].write);
    out(0xcfd, 1, 0x30);
    CHECK_EQ(areas, 1);
    CHECK_EQ(in(0xcfd, 1), 0x30);
    select(0, 0x5c);
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
static u32 mapped_base[2];
static bool mapped[2];

static void map(struct pci_device *device, unsigned bar, u32 base, bool on)
{
    CHECK(device == &card);
    mapped_base[bar] = base;
    mapped[bar] = on;
}

static void test_bars(void)
{
    start();
    pci_device_init(&card, &bus, PCI_DEVFN(3, 0), 0x10ec, 0x8139, 0x020000);
    pci_bar_init(&card, 0, 256, true, map);
    pci_bar_init(&card, 1, 65536, false, map);
    select(PCI_DEVFN(3, 0), 0x10);
    CHECK_EQ(in(0xcfc, 4), 1);
    out(0xcfc, 4, 0xffffffff);
    CHECK_EQ(in(0xcfc, 4), 0xffffff01);
    out(0xcfc, 4, 0xc000);
    select(PCI_DEVFN(3, 0), 0x14);
    out(0xcfc, 4, 0xffffffff);
    CHECK_EQ(in(0xcfc, 4), 0xffff0000);
    out(0xcfc, 4, 0xfebf1234);
    CHECK_EQ(in(0xcfc, 4), 0xfebf0000);
    CHECK(!mapped[0] && !mapped[1]); /* decoding is off */
    select(PCI_DEVFN(3, 0), 0x18);
    out(0xcfc, 4, 0xffffffff);
    CHECK_EQ(in(0xcfc, 4), 0); /* there is none */
    select(PCI_DEVFN(3, 0), 4);
    out(0xcfc, 2, 3);
    CHECK(mapped[0] && mapped[1]);
    CHECK_EQ(mapped_base[0], 0xc000);
    CHECK_EQ(mapped_base[1], 0xfebf0000);
    select(PCI_DEVFN(3, 0), 0x14);
    out(0xcfc, 4, 0xffffffff); /* sizing while decoding: nobody lives at FFFF0000h */
    CHECK(!mapped[1]);
    out(0xcfe, 2, 0xe000);
    CHECK(mapped[1]);
    CHECK_EQ(mapped_base[1], 0xe0000000);
    pci_device_reset(&card);
    CHECK(!mapped[0] && !mapped[1]);
    select(PCI_DEVFN(3, 0), 0x10);
    CHECK_EQ(in(0xcfc, 4), 1);
}

static void test_interrupts(void)
{
    static struct pci_device second;
    start();
    pci_device_init(&card, &bus, PCI_DEVFN(3, 0), 0x10ec, 0x8139, 0x020000);
    pci_device_init(&second, &bus, PCI_DEVFN(7, 0), 0x10ec, 0x8139, 0x020000);
    card.config[PCI_INTERRUPT_PIN] = second.config[PCI_INTERRUPT_PIN] = 1; /* devices 3 and 7: both PIRQC */
    select(PCI_DEVFN(1, 0), 0x60);
    CHECK_EQ(in(0xcfc, 4), 0x80808080);
    pci_set_interrupt(&card, true);
    CHECK_EQ(isa_calls, 0);
    out(0xcfe, 1, 0x0b);
    CHECK(isa[11]);
    pci_set_interrupt(&second, true);
    pci_set_interrupt(&card, false);
    CHECK(isa[11]);      /* shared */
    out(0xcfe, 1, 0x0a); /* routed anew while up */
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
    test_interrupts();
    return check_report();
}
