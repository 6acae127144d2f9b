/*
 * The parallel port by its registers: data in both directions, strobe and acknowledge, the interrupt's edge, a slow
 * host, a reset.
 */
#include "devices/parallel/parallel_port.h"

#include "check.h"

enum { DATA, STATUS, CONTROL };
enum { READY = 0x0c, STROBE = 1, INTERRUPT = 0x10, INPUT = 0x20 };

static u64 now;
static struct clock fake_time;
static struct parallel_port port;
static u8 printed[16];
static unsigned count, edges;
static bool level, room = true;

static u64 now_ns(const struct clock *clock)
{
    return now;
}
static void set_irq(void *receiver, unsigned pin, bool up)
{
    edges += up && !level;
    level = up;
}
static bool transmit(void *sink, u8 byte)
{
    printed[count++ % sizeof(printed)] = byte;
    return room;
}

static void out(u32 offset, u8 value)
{
    parallel_port_ops.write(&port, offset, 1, value);
}
static u32 in(u32 offset)
{
    return parallel_port_ops.read(&port, offset, 1);
}
static void run(u64 ns)
{
    now += ns;
    clock_run(&fake_time);
}

static void print(u8 byte, u8 control)
{
    out(DATA, byte);
    out(CONTROL, control | STROBE);
    out(CONTROL, control);
}

static void start(void)
{
    fake_time = (struct clock){.now_ns = now_ns};
    count = edges = 0;
    level = false;
    room = true;
    parallel_port_init(&port, &fake_time, (struct irq_line){set_irq, NULL, 7}, transmit, NULL);
}

static void test_registers(void)
{
    start();
    CHECK_EQ(in(STATUS), 0xdf);
    out(DATA, 0xa5);
    CHECK_EQ(in(DATA), 0xa5);
    out(CONTROL, INPUT);
    CHECK_EQ(in(DATA), 0xff);
    CHECK_EQ(in(CONTROL), 0xe0);
    out(CONTROL, 0);
    CHECK_EQ(in(DATA), 0xa5);
    out(STATUS, 0);
    CHECK_EQ(in(STATUS), 0xdf);
}

static void test_handshake(void)
{
    start();
    print('a', READY);
    CHECK_EQ(count, 1);
    CHECK_EQ(printed[0], 'a');
    CHECK_EQ(in(STATUS), 0x1f); /* busy, acknowledging */
    print('b', READY);          /* a busy printer does not listen */
    CHECK_EQ(count, 1);
    run(5000);
    CHECK_EQ(in(STATUS), 0xdf);
    out(CONTROL, READY);
    CHECK_EQ(count, 1); /* no strobe */
    print('c', 0);      /* not selected */
    CHECK_EQ(count, 1);
    CHECK_EQ(edges, 0);
}

static void test_interrupt(void)
{
    start();
    out(CONTROL, READY | INTERRUPT);
    unsigned before = edges;
    print('a', READY | INTERRUPT);
    CHECK(!level);
    run(5000);
    CHECK_EQ(edges, before + 1);
    out(CONTROL, READY);
    CHECK(!level);
}

static void test_slow_host(void)
{
    start();
    room = false;
    print('a', READY);
    run(1000000);
    CHECK_EQ(in(STATUS), 0x5f); /* busy, no acknowledge yet */
    parallel_port_reset(&port);
    CHECK_EQ(in(STATUS), 0x5f); /* the host has not taken the byte */
    room = true;
    parallel_port_room(&port);
    run(5000);
    CHECK_EQ(in(STATUS), 0xdf);
    parallel_port_room(&port);
    CHECK_EQ(in(STATUS), 0xdf);
}

int main(void)
{
    test_registers();
    test_handshake();
    test_interrupt();
    test_slow_host();
    return check_report();
}
