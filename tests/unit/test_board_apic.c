/*
 * The board's interrupt wires: ISA interrupts at both controllers, PIRQs active low at the I/O APIC, messages of bus
 * masters, the 8259 pair through the local APIC and without one; and the local APIC's page, which the guest moves
 * over RAM and back, or to an address where it cannot be.
 */
#include "board/wire_apic.h"

#include "board_rig.h"

#include <stdlib.h>
#include <string.h>

#define RAM_BYTES (4u << 20)

/* IA32_APIC_BASE (SDM 3A 11.4.4) */
enum { BASE_BSP = 1 << 8, BASE_ENABLED = 1 << 11 };

static struct board_rig *rig;
static struct i8259_pair pair;
static struct apic_wires apic, *wires = &apic;
static unsigned pirq_calls;

static void pirq_at_piix3(void *receiver, unsigned pin, bool level)
{
    pirq_calls++;
}

static u32 in(u32 gpa)
{
    return (u32)phys_read(&rig->phys, gpa, 4);
}
static void out(u32 gpa, u32 value)
{
    phys_write(&rig->phys, gpa, 4, value);
}

static void redirect(unsigned pin, u32 low)
{
    out(IOAPIC_BASE, 0x10 + 2 * pin);
    out(IOAPIC_BASE + 0x10, low);
}

static void pic(u8 master_mask, u8 slave_mask)
{
    struct i8259 *chip[] = {&pair.master, &pair.slave};
    static const u8 base[] = {0x20, 0x28}, cascade[] = {4, 2};
    u8 mask[] = {master_mask, slave_mask};
    for (unsigned n = 0; n < 2; n++) {
        i8259_ops.write(chip[n], 0, 1, 0x11);
        i8259_ops.write(chip[n], 1, 1, base[n]);
        i8259_ops.write(chip[n], 1, 1, cascade[n]);
        i8259_ops.write(chip[n], 1, 1, 1);
        i8259_ops.write(chip[n], 1, 1, mask[n]);
    }
}

static void pic_eoi(void)
{
    i8259_ops.write(&pair.slave, 0, 1, 0x20);
    i8259_ops.write(&pair.master, 0, 1, 0x20);
}

static void isa(unsigned irq, bool level)
{
    irq_set(&rig->board.irq[irq], level);
}

static int acknowledge(void)
{
    return apic_wires_acknowledge(wires);
}

static void eoi(void)
{
    out(LAPIC_BASE + 0xb0, 0);
}

static void power_on(bool no_apic)
{
    rig = board_rig_new(RAM_BYTES, &(struct board_options){.no_apic = no_apic});
    apic_wires_lay(wires, &rig->board, &pair);
    for (unsigned n = 0; n < 4; n++)
        rig->board.pci.pirq[n] = (struct irq_line){.set = pirq_at_piix3};
    CHECK_EQ(apic_wires_fit(wires), 0);
    CHECK_EQ(rig->board.facts.apic, !no_apic);
    if (!no_apic) apic_wires_base(wires, LAPIC_BASE | BASE_ENABLED | BASE_BSP);
}

static void power_off(void)
{
    board_rig_free(rig);
}

static void test_without(void)
{
    power_on(true);
    CHECK_EQ(in(LAPIC_BASE + 0x30), 0xffffffff);
    CHECK_EQ(in(IOAPIC_BASE + 0x10), 0xffffffff);
    pic(0, 0);
    isa(5, true);
    CHECK(rig->intr);
    CHECK_EQ(acknowledge(), 0x25);
    CHECK_EQ(acknowledge(), -1);
    apic_wires_message(wires, 0xfee00000, 0x40);
    CHECK(!rig->intr && !apic_wires_may_wake(wires));
    power_off();
}

static void test_virtual_wire(void)
{
    power_on(false);
    pic(0, 0);
    isa(1, true); /* firmware without knowledge of APICs */
    CHECK_EQ(acknowledge(), 0x21);
    isa(1, false), pic_eoi();
    out(LAPIC_BASE + 0xf0, 0x1ff); /* as firmware leaves it */
    out(LAPIC_BASE + 0x350, 0x700);
    out(LAPIC_BASE + 0x360, 0x400);
    isa(12, true);
    CHECK(rig->intr);
    CHECK_EQ(acknowledge(), 0x2c);
    isa(12, false), pic_eoi();
    CHECK_EQ(acknowledge(), -1);
    /* By pin 0 of the I/O APIC, and LINT0 masked: an INTA is followed by an edge if the pair wants more. */
    out(LAPIC_BASE + 0x350, 0x10700);
    redirect(0, 0x700);
    isa(3, true), isa(1, true);
    CHECK_EQ(acknowledge(), 0x21);
    CHECK(!rig->intr);
    pic_eoi();
    CHECK_EQ(acknowledge(), 0x23);
    power_off();
}

static void test_isa_and_pirqs(void)
{
    power_on(false);
    pic(0xff, 0xff);
    out(LAPIC_BASE + 0xf0, 0x1ff);
    redirect(IOAPIC_PIN_IRQ0, 0x30);
    redirect(14, 0x3e);
    isa(0, true);
    CHECK_EQ(acknowledge(), 0x30);
    eoi();
    isa(14, true);
    CHECK_EQ(acknowledge(), 0x3e);
    eoi();
    CHECK_EQ(pair.slave.irr, 0x40); /* the pair sees it too */
    redirect(IOAPIC_PIN_PIRQA + 3, APIC_LEVEL | APIC_ACTIVE_LOW | 0x53);
    CHECK(!rig->intr);
    irq_set(&rig->board.pci.pirq[3], true);
    CHECK_EQ(pirq_calls, 1);
    CHECK_EQ(acknowledge(), 0x53);
    eoi();
    CHECK(rig->intr);
    CHECK_EQ(acknowledge(), 0x53);
    irq_set(&rig->board.pci.pirq[3], false);
    eoi();
    CHECK(!rig->intr);
    /* It is not accepted until the local APIC is on. */
    out(LAPIC_BASE + 0xf0, 0xff);
    irq_set(&rig->board.pci.pirq[3], true);
    CHECK(!rig->intr);
    out(LAPIC_BASE + 0xf0, 0x1ff);
    CHECK_EQ(acknowledge(), 0x53);
    CHECK(!apic_wires_may_wake(wires));
    redirect(14, APIC_NMI << 8);
    CHECK(apic_wires_may_wake(wires));
    isa(14, false), isa(14, true);
    CHECK(rig->nmis);
    power_off();
}

static void test_messages(void)
{
    power_on(false);
    out(LAPIC_BASE + 0xf0, 0x1ff);
    rig->board.pci.msi(rig->board.pci.msi_owner, 0xfee00000, 0x41);
    CHECK_EQ(acknowledge(), 0x41);
    eoi();
    rig->board.pci.msi(rig->board.pci.msi_owner, 0xfee05000, 0x41); /* to another processor */
    rig->board.pci.msi(rig->board.pci.msi_owner, 0x1fee00000, 0x41);
    rig->board.pci.msi(rig->board.pci.msi_owner, 0xfef00000, 0x41);
    rig->board.pci.msi(rig->board.pci.msi_owner, 0x1000, 0x41);
    CHECK(!rig->intr);
    power_off();
}

static void test_moves(void)
{
    power_on(false);
    unsigned regions = rig->phys.region_count;
    u64 on = BASE_ENABLED | BASE_BSP;
    CHECK_EQ(in(LAPIC_BASE + 0x30), 0x50014);
    out(0x300030, 0x12345678);
    apic_wires_base(wires, 0x300000 | on);
    CHECK_EQ(in(0x300030), 0x50014);
    CHECK_EQ(in(LAPIC_BASE + 0x30), 0xffffffff);
    apic_wires_base(wires, 0xd0000000 | on);
    CHECK_EQ(in(0x300030), 0x12345678);
    CHECK_EQ(in(0xd0000030), 0x50014);
    apic_wires_base(wires, IOAPIC_BASE | on); /* a device is there */
    CHECK_EQ(in(IOAPIC_BASE), 0);
    CHECK_EQ(in(0xd0000030), 0xffffffff);
    apic_wires_base(wires, LAPIC_BASE | BASE_BSP);
    CHECK_EQ(in(LAPIC_BASE + 0x30), 0xffffffff);
    apic_wires_base(wires, 0 | on);
    apic_wires_base(wires, 0xfffff000 | on);
    CHECK_EQ(in(0xfffff030), 0x50014);
    for (u32 n = 0; n < 2000; n++)
        apic_wires_base(wires, (u64)(n * 2654435761u & ~PAGE_MASK) | on);
    apic_wires_base(wires, LAPIC_BASE | on);
    CHECK_EQ(rig->phys.region_count, regions);
    CHECK_EQ(in(LAPIC_BASE + 0x30), 0x50014);
    power_off();
}

int main(void)
{
    test_without();
    test_virtual_wire();
    test_isa_and_pirqs();
    test_messages();
    test_moves();
    return check_report();
}
