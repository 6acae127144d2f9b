/*
 * The I/O APIC: edges and levels, remote IRR, polarity, masks, messages that no APIC accepts, and the message of an
 * MSI.
 */
#include "devices/chipset/ioapic.h"

#include "check.h"

static struct ioapic ioapic;
static struct apic_message last;
static unsigned sent;
static bool refuse;

static bool send(void *bus, const struct apic_message *message)
{
    if (refuse) return false;
    last = *message;
    sent++;
    return true;
}

static u32 in(u8 reg)
{
    ioapic_ops.write(&ioapic, 0x00, 4, reg);
    return ioapic_ops.read(&ioapic, 0x10, 4);
}
static void out(u8 reg, u32 value)
{
    ioapic_ops.write(&ioapic, 0x00, 4, reg);
    ioapic_ops.write(&ioapic, 0x10, 4, value);
}

static void entry(unsigned pin, u64 value)
{
    out((u8)(0x11 + 2 * pin), (u32)(value >> 32));
    out((u8)(0x10 + 2 * pin), (u32)value);
}
static u64 entry_read(unsigned pin)
{
    return in((u8)(0x10 + 2 * pin)) | (u64)in((u8)(0x11 + 2 * pin)) << 32;
}

static void pin(unsigned n, bool level)
{
    struct irq_line line = ioapic_pin(&ioapic, n);
    irq_set(&line, level);
}

/* How many messages since last asked. */
static unsigned came(void)
{
    unsigned n = sent;
    sent = 0;
    return n;
}

static void power_on(void)
{
    refuse = false;
    ioapic_init(&ioapic, send, NULL);
    came();
}

static void test_registers(void)
{
    power_on();
    CHECK_EQ(in(1), 0x170011);
    CHECK_EQ(in(0), 0);
    out(0, 0xffffffff);
    CHECK_EQ(in(0), 0x0f000000);
    CHECK_EQ(in(2), 0x0f000000);
    for (unsigned n = 0; n < IOAPIC_PINS; n++)
        CHECK_EQ(entry_read(n), APIC_MASKED);
    entry(5, UINT64_MAX);
    CHECK_EQ(entry_read(5), 0xff0000000001afff);
    CHECK_EQ(in(0x40), 0); /* behind the last pin */
    out(0x40, 0x12345678), out(0xff, 0x12345678), out(1, 0), out(2, 0);
    CHECK_EQ(in(1), 0x170011);
    CHECK_EQ(ioapic_ops.read(&ioapic, 0x20, 4), 0);
    ioapic_ops.write(&ioapic, 0x00, 4, 1);
    CHECK_EQ(ioapic_ops.read(&ioapic, 0x12, 1) & 0xff, 0x17);
    ioapic_ops.write(&ioapic, 0x00, 4, 0);
    ioapic_ops.write(&ioapic, 0x10, 1, 0); /* no dword */
    CHECK_EQ(in(0), 0x0f000000);
    ioapic_reset(&ioapic);
    CHECK_EQ(in(0), 0);
    CHECK_EQ(entry_read(5), APIC_MASKED);
}

static void test_edges(void)
{
    power_on();
    entry(2, 0x1aull << 56 | APIC_LOGICAL | APIC_LOWEST_PRIORITY << 8 | 0x31);
    pin(2, true);
    CHECK_EQ(came(), 1);
    CHECK_EQ(last.vector, 0x31);
    CHECK_EQ(last.delivery, APIC_LOWEST_PRIORITY);
    CHECK_EQ(last.destination, 0x1a);
    CHECK(last.logical && !last.level);
    pin(2, true);
    CHECK_EQ(came(), 0);
    pin(2, false), pin(2, true), pin(2, false);
    CHECK_EQ(came(), 1);
    entry(2, APIC_MASKED | 0x31);
    pin(2, true);
    entry(2, 0x31);
    CHECK_EQ(came(), 0); /* it came while masked */
    pin(2, false);
    refuse = true;
    pin(2, true), pin(2, false);
    CHECK_EQ(entry_read(2), APIC_SEND_PENDING | 0x31);
    refuse = false;
    ioapic_retry(&ioapic);
    CHECK_EQ(came(), 1);
    CHECK_EQ(entry_read(2), 0x31);
    ioapic_retry(&ioapic);
    ioapic_eoi(&ioapic, 0x31);
    CHECK_EQ(came(), 0);
    /* Active low: the falling edge. */
    pin(2, true);
    came();
    entry(2, APIC_ACTIVE_LOW | 0x31);
    CHECK_EQ(came(), 0);
    pin(2, false);
    CHECK_EQ(came(), 1);
}

static void test_levels(void)
{
    power_on();
    pin(9, true);
    entry(9, APIC_LEVEL | 0x59);
    CHECK_EQ(came(), 1); /* it is up already */
    CHECK(last.level);
    CHECK_EQ(entry_read(9), APIC_LEVEL | APIC_REMOTE_IRR | 0x59);
    pin(9, false), pin(9, true);
    CHECK_EQ(came(), 0); /* not before the end of the first */
    ioapic_eoi(&ioapic, 0x58);
    CHECK_EQ(came(), 0);
    ioapic_eoi(&ioapic, 0x59);
    CHECK_EQ(came(), 1);
    pin(9, false);
    ioapic_eoi(&ioapic, 0x59);
    CHECK_EQ(came(), 0);
    CHECK_EQ(entry_read(9), APIC_LEVEL | 0x59);
    pin(9, true);
    CHECK_EQ(came(), 1);
    entry(9, APIC_MASKED | APIC_LEVEL | 0x59);
    CHECK(entry_read(9) & APIC_REMOTE_IRR);
    ioapic_eoi(&ioapic, 0x59);
    CHECK_EQ(came(), 0);
    entry(9, APIC_LEVEL | 0x59);
    CHECK_EQ(came(), 1);
    /* To edge and back to level: software clears a remote IRR in this way if its EOI was lost. */
    entry(9, APIC_MASKED | 0x59), entry(9, APIC_MASKED | APIC_LEVEL | 0x59);
    CHECK_EQ(entry_read(9), APIC_MASKED | APIC_LEVEL | 0x59);
    /* If no APIC accepts the message, there is no remote IRR, and the message is sent again when an APIC may accept
     * it. */
    refuse = true;
    entry(9, APIC_LEVEL | 0x59);
    CHECK_EQ(entry_read(9), APIC_LEVEL | 0x59);
    refuse = false;
    ioapic_retry(&ioapic);
    CHECK_EQ(came(), 1);
    /* Two pins share a vector: one EOI ends both. */
    entry(10, APIC_LEVEL | 0x59);
    pin(10, true);
    CHECK_EQ(came(), 1);
    pin(9, false), pin(10, false);
    ioapic_eoi(&ioapic, 0x59);
    CHECK_EQ(came(), 0);
    CHECK(!((entry_read(9) | entry_read(10)) & APIC_REMOTE_IRR));
}

/* PCI's wires: high while no device asks. */
static void test_idle_high(void)
{
    power_on();
    ioapic_set_idle_high(&ioapic, 0xf << 16);
    entry(16, APIC_LEVEL | APIC_ACTIVE_LOW | 0x60);
    CHECK_EQ(came(), 0);
    pin(16, false);
    CHECK_EQ(came(), 1);
    pin(16, true);
    ioapic_eoi(&ioapic, 0x60);
    CHECK_EQ(came(), 0);
    ioapic_reset(&ioapic);
    entry(17, APIC_LEVEL | 0x61); /* with the wrong polarity it interrupts without end */
    CHECK_EQ(came(), 1);
}

static void test_modes(void)
{
    power_on();
    CHECK(!ioapic_has_nmi(&ioapic));
    entry(0, APIC_EXTINT << 8);
    pin(0, true);
    CHECK_EQ(came(), 1);
    CHECK_EQ(last.delivery, APIC_EXTINT);
    entry(3, APIC_LEVEL | APIC_NMI << 8); /* an edge in any case */
    CHECK(ioapic_has_nmi(&ioapic));
    pin(3, true);
    CHECK_EQ(came(), 1);
    CHECK_EQ(last.delivery, APIC_NMI);
    CHECK(!last.level);
    CHECK(!(entry_read(3) & APIC_REMOTE_IRR));
    entry(3, APIC_MASKED | APIC_NMI << 8);
    CHECK(!ioapic_has_nmi(&ioapic));
}

static void test_msi(void)
{
    struct apic_message m = apic_message_of_msi(0xfee1a00c, 0x4123);
    CHECK_EQ(m.vector, 0x23);
    CHECK_EQ(m.delivery, APIC_LOWEST_PRIORITY);
    CHECK_EQ(m.destination, 0x1a);
    CHECK(m.logical && !m.level);
    m = apic_message_of_msi(0xfeeff000, 0xc0fe);
    CHECK_EQ(m.vector, 0xfe);
    CHECK_EQ(m.delivery, APIC_FIXED);
    CHECK_EQ(m.destination, 0xff);
    CHECK(!m.logical && m.level);
}

static void test_hostile(void)
{
    power_on();
    u64 random = 88172645463325252ull;
    for (unsigned n = 0; n < 300000; n++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        u32 value = (u32)(random >> 32);
        switch (random >> 12 & 3) {
        case 0: out((u8)value, (u32)(random >> 20)); break;
        case 1: pin(value % IOAPIC_PINS, value >> 8 & 1); break;
        case 2: ioapic_ops.write(&ioapic, random & 0xfff, 1u << (value & 1), value); break;
        default:
            refuse = value & 1;
            ioapic_eoi(&ioapic, (u8)(value >> 8));
            ioapic_ops.read(&ioapic, random & 0xfff, 1);
            in((u8)value);
        }
    }
    CHECK_EQ(in(1), 0x170011);
}

int main(void)
{
    test_registers();
    test_edges();
    test_levels();
    test_idle_high();
    test_modes();
    test_msi();
    test_hostile();
    return check_report();
}
