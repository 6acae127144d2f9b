/*
 * The interrupt controller: functions that PC kernels rely on (priority, EOI, cascade, levels by ELCR), and those
 * that are in the data sheet only (spurious vectors, polling, rotation, special modes).
 */
#include "devices/chipset/i8259.h"

#include "check.h"

static struct i8259_pair pair;
static bool intr;

static void set_intr(void *receiver, unsigned pin, bool level)
{
    intr = level;
}

static void out(unsigned port, u8 value)
{
    struct i8259 *chip = port & 0x80 ? &pair.slave : &pair.master;
    i8259_ops.write(chip, port & 1, 1, value);
}

static u8 in(unsigned port)
{
    struct i8259 *chip = port & 0x80 ? &pair.slave : &pair.master;
    return i8259_ops.read(chip, port & 1, 1);
}

static void irq(unsigned number, bool level)
{
    struct irq_line line = i8259_pin(&pair, number);
    irq_set(&line, level);
}

/* As a PC kernel does: vectors 20h and 28h, nothing masked. */
static void program(u8 icw4_master, u8 icw4_slave)
{
    i8259_init(&pair, (struct irq_line){.set = set_intr});
    out(0x20, 0x11), out(0x21, 0x20), out(0x21, 0x04), out(0x21, icw4_master);
    out(0xa0, 0x11), out(0xa1, 0x28), out(0xa1, 0x02), out(0xa1, icw4_slave);
    CHECK_EQ(in(0x21), 0);
}

static u8 in_service(unsigned port)
{
    out(port, 0x0b);
    u8 value = in(port);
    out(port, 0x0a);
    return value;
}

static void test_priority_and_eoi(void)
{
    program(1, 1);
    CHECK(!intr);
    irq(4, true);
    CHECK(intr);
    irq(1, true);
    CHECK_EQ(in(0x20), 0x12);
    CHECK_EQ(i8259_acknowledge(&pair), 0x21);
    CHECK(!intr); /* 4 is less urgent than 1, which is in service */
    CHECK_EQ(in_service(0x20), 0x02);
    irq(0, true);
    CHECK(intr);
    CHECK_EQ(i8259_acknowledge(&pair), 0x20);
    out(0x20, 0x20);
    CHECK_EQ(in_service(0x20), 0x02);
    out(0x20, 0x20);
    CHECK(intr);
    CHECK_EQ(i8259_acknowledge(&pair), 0x24);
    out(0x20, 0x64); /* specific EOI */
    CHECK_EQ(in_service(0x20), 0);
    CHECK(!intr); /* edges: lines that stay up cause no further request */
    irq(1, false), irq(1, true);
    CHECK(intr);
    out(0x21, 0x02);
    CHECK(!intr);
    CHECK_EQ(in(0x21), 0x02);
    out(0x21, 0x00);
    CHECK(intr);
}

static void test_cascade(void)
{
    program(1, 1);
    irq(14, true);
    CHECK_EQ(in(0x20), 0x04);
    CHECK_EQ(i8259_acknowledge(&pair), 0x2e);
    CHECK_EQ(in_service(0x20), 0x04);
    CHECK_EQ(in_service(0xa0), 0x40);
    irq(3, true);
    CHECK(!intr);
    irq(8, true); /* more urgent on the slave, but the master serves its IR2 */
    CHECK(!intr);
    out(0xa0, 0x20);
    CHECK(!intr);
    out(0x20, 0x20);
    CHECK(intr);
    CHECK_EQ(i8259_acknowledge(&pair), 0x28);
    out(0xa0, 0x20), out(0x20, 0x20);
    CHECK_EQ(i8259_acknowledge(&pair), 0x23);
}

static void test_special_fully_nested(void)
{
    program(0x11, 1);
    irq(14, true);
    CHECK_EQ(i8259_acknowledge(&pair), 0x2e);
    irq(15, true);
    CHECK(!intr);
    irq(8, true);
    CHECK(intr);
    CHECK_EQ(i8259_acknowledge(&pair), 0x28);
}

static void test_spurious(void)
{
    program(1, 1);
    irq(5, true), irq(5, false);
    CHECK(!intr);
    CHECK_EQ(i8259_acknowledge(&pair), 0x27);
    CHECK_EQ(in_service(0x20), 0);
    /* The slave's request goes between the two INTA cycles: the master is in service, the slave is not. */
    irq(10, true);
    pair.slave.irr = 0;
    CHECK_EQ(i8259_acknowledge(&pair), 0x2f);
    CHECK_EQ(in_service(0x20), 0x04);
    CHECK_EQ(in_service(0xa0), 0);
}

static void test_level(void)
{
    program(1, 1);
    i8259_elcr_ops.write(&pair, 0, 1, 0xff);
    i8259_elcr_ops.write(&pair, 1, 1, 0xff);
    CHECK_EQ(i8259_elcr_ops.read(&pair, 0, 1), 0xf8);
    CHECK_EQ(i8259_elcr_ops.read(&pair, 1, 1), 0xde);
    irq(11, true);
    CHECK_EQ(i8259_acknowledge(&pair), 0x2b);
    CHECK(!intr);
    out(0xa0, 0x20), out(0x20, 0x20);
    CHECK(intr); /* still up: asks again */
    irq(11, false);
    CHECK(!intr);
    irq(11, true);
    CHECK_EQ(i8259_acknowledge(&pair), 0x2b);
    irq(11, false);
    out(0xa0, 0x20), out(0x20, 0x20);
    CHECK(!intr);
}

static void test_auto_eoi(void)
{
    program(3, 3);
    irq(4, true), irq(6, true);
    CHECK_EQ(i8259_acknowledge(&pair), 0x24);
    CHECK_EQ(in_service(0x20), 0);
    CHECK_EQ(i8259_acknowledge(&pair), 0x26);
    CHECK(!intr);
    irq(9, true), irq(12, true);
    CHECK_EQ(i8259_acknowledge(&pair), 0x29);
    CHECK_EQ(i8259_acknowledge(&pair), 0x2c);
    out(0x20, 0x80); /* rotate in automatic EOI mode: after 3, 3 is the least urgent */
    irq(3, true);
    CHECK_EQ(i8259_acknowledge(&pair), 0x23);
    irq(3, false), irq(3, true), irq(4, false), irq(4, true);
    CHECK_EQ(i8259_acknowledge(&pair), 0x24);
    CHECK_EQ(i8259_acknowledge(&pair), 0x23);
}

static void test_rotation(void)
{
    program(1, 1);
    out(0x20, 0xc4); /* set priority: 4 lowest, 5 highest */
    irq(4, true), irq(5, true), irq(0, true);
    CHECK_EQ(i8259_acknowledge(&pair), 0x25);
    out(0x20, 0xa0); /* rotate on non-specific EOI: 5 lowest */
    CHECK_EQ(i8259_acknowledge(&pair), 0x20);
    irq(5, false), irq(5, true);
    out(0x20, 0xe0); /* rotate on specific EOI of 0: 0 lowest */
    CHECK_EQ(i8259_acknowledge(&pair), 0x24);
    CHECK_EQ(pair.master.lowest, 0);
}

static void test_special_mask(void)
{
    program(1, 1);
    irq(3, true);
    CHECK_EQ(i8259_acknowledge(&pair), 0x23);
    irq(6, true);
    CHECK(!intr);
    out(0x21, 0x08); /* masking the one in service lets less urgent ones through in special mask mode */
    CHECK(!intr);
    out(0x20, 0x68);
    CHECK(intr);
    CHECK_EQ(i8259_acknowledge(&pair), 0x26);
    out(0x20, 0x20); /* a non-specific EOI does not end a masked one */
    CHECK_EQ(in_service(0x20), 0x08);
    out(0x20, 0x48);
    CHECK_EQ(pair.master.special_mask, false);
}

static void test_poll(void)
{
    program(1, 1);
    out(0x20, 0x0c);
    CHECK_EQ(in(0x20), 0);
    irq(13, true);
    out(0x20, 0x0c);
    CHECK_EQ(in(0x20), 0x82);
    out(0xa0, 0x0c);
    CHECK_EQ(in(0xa0), 0x85);
    CHECK_EQ(in_service(0xa0), 0x20);
    CHECK(!intr);
}

static void test_initialization_waits_for_edges(void)
{
    program(1, 1);
    irq(1, true);
    out(0x20, 0x11), out(0x21, 0x20), out(0x21, 0x04), out(0x21, 0x01);
    CHECK(!intr);
    irq(1, false), irq(1, true);
    CHECK(intr);
    i8259_reset(&pair);
    CHECK(!intr);
}

int main(void)
{
    test_priority_and_eoi();
    test_cascade();
    test_special_fully_nested();
    test_spurious();
    test_level();
    test_auto_eoi();
    test_rotation();
    test_special_mask();
    test_poll();
    test_initialization_waits_for_edges();
    return check_report();
}
