/*
 * The UART: the probes of Linux' 8250 driver as sequences, FIFOs and trigger levels, the character timeout,
 * interrupts in order of priority, loopback, and input that waits and is not lost.
 */
#include "devices/serial/uart16550.h"

#include "check.h"

struct fake_clock {
    struct clock clock;
    u64 now;
};

static struct fake_clock fake;
static struct uart16550 uart;
static bool line;
static unsigned edges, rooms, sent_count;
static u8 sent[64];

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->now;
}

static void set_line(void *receiver, unsigned pin, bool level)
{
    edges += level && !line;
    line = level;
}

static void transmit(void *sink, u8 byte)
{
    sent[sent_count++ % sizeof(sent)] = byte;
}
static void has_room(void *sink)
{
    rooms++;
}

static void run_to(u64 ns)
{
    fake.now = ns;
    clock_run(&fake.clock);
}

enum { RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = 2 };

static u8 in(unsigned reg)
{
    return uart16550_ops.read(&uart, reg, 1);
}
static void out(unsigned reg, u8 value)
{
    uart16550_ops.write(&uart, reg, 1, value);
}

static void start(void)
{
    fake = (struct fake_clock){.clock = {.now_ns = now_ns}};
    line = false;
    uart_init(&uart, &fake.clock, (struct irq_line){.set = set_line}, transmit, has_room, NULL);
    edges = rooms = sent_count = 0;
}

static void test_linux_autoconfig(void)
{
    start();
    /* IER sticks in its low four bits only */
    out(IER, 0);
    CHECK_EQ(in(IER)&0x0f, 0);
    out(IER, 0xff);
    CHECK_EQ(in(IER), 0x0f);
    out(IER, 0);
    /* loopback: OUT2 and RTS come back as DCD and CTS */
    u8 mcr = in(MCR);
    out(MCR, 0x1a);
    CHECK_EQ(in(MSR)&0xf0, 0x90);
    out(MCR, mcr);
    CHECK_EQ(in(MSR)&0xf0, 0xb0);
    /* 16550A: both FIFO bits, and no EFR behind DLAB or LCR BFh */

    out(LCR, 0);
    out(FCR, 1);
    CHECK_EQ(in(IIR) >> 6, 3);
    out(LCR, 0x80);
    CHECK(in(2) != 0);
    out(LCR, 0xbf);
    CHECK(in(2) != 0);
    /* not a 16750: bit 5 of FCR does not show */
    out(LCR, 0), out(FCR, 0x21);
    CHECK_EQ(in(IIR) >> 5, 6);
    out(LCR, 0x80), out(FCR, 0x21);
    CHECK_EQ(in(IIR) >> 5, 6);
    out(LCR, 0);
    out(SCR, 0x5a);
    CHECK_EQ(in(SCR), 0x5a);
    /* FIFO size by loopback */
    out(FCR, 7), out(MCR, 0x10);
    for (unsigned i = 0; i < 256; i++) {
        out(RBR, i);
    }
    unsigned count = 0;
    while ((in(LSR)&1) && count < 256) {
        CHECK_EQ(in(RBR), count);
        count++;
    }
    CHECK_EQ(count, 16);
    CHECK_EQ(sent_count, 0);
}

static void test_linux_thre(void)
{
    start();
    out(MCR, 0x08);
    out(IER, 2);
    CHECK(line);
    CHECK_EQ(in(IIR)&0x0f, 2);
    CHECK(!line); /* reading it clears it */
    CHECK_EQ(in(IIR)&0x0f, 1);
    out(IER, 0), out(IER, 2);
    CHECK_EQ(in(IIR)&0x0f, 2); /* asserted again */
    CHECK_EQ(in(LSR), 0x60);
    edges = 0;
    out(RBR, 'x'), out(RBR, 'y');
    CHECK_EQ(edges, 2); /* each write makes a new edge */
    CHECK_EQ(sent_count, 2);
    CHECK_EQ(sent[0], 'x');
    CHECK_EQ(in(IIR)&0x0f, 2);
    CHECK_EQ(in(IIR)&0x0f, 1);
}

static void test_divisor(void)
{
    start();
    out(LCR, 0x83);
    out(0, 0x01), out(1, 0x02);
    CHECK_EQ(in(0), 1);
    CHECK_EQ(in(1), 2);
    out(LCR, 0x03);
    CHECK_EQ(uart.divisor, 0x201);
    CHECK_EQ(in(IER), 0);
    out(LCR, 0x02); /* 7 bits */
    out(RBR, 0xff);
    CHECK_EQ(sent[0], 0x7f);
}

static void test_fifo_and_timeout(void)
{
    start();
    out(LCR, 0x83), out(0, 1), out(1, 0), out(LCR, 0x03); /* 115200 8N1: 10 bits, 86.8 us a character */
    out(MCR, 0x08), out(IER, 1), out(FCR, 0x81);          /* trigger at 8 */
    for (unsigned i = 0; i < 7; i++) {
        CHECK(uart_receive(&uart, 'a' + i));
    }
    CHECK(!line);
    u64 four_characters = 4ull * 10 * 16 * 1000000000 / 1843200;
    run_to(four_characters - 1);
    CHECK(!line);
    run_to(four_characters);
    CHECK(line);
    CHECK_EQ(in(IIR), 0xcc);
    CHECK_EQ(in(RBR), 'a');
    CHECK(!line); /* a read ends the timeout and restarts it */
    run_to(2 * four_characters);
    CHECK_EQ(in(IIR), 0xcc);
    CHECK(uart_receive(&uart, 'h') && uart_receive(&uart, 'i'));
    CHECK_EQ(in(IIR), 0xc4);
    for (unsigned i = 0; i < 8; i++) {
        CHECK_EQ(in(RBR), 'b' + i);
    }
    CHECK_EQ(in(LSR), 0x60);
    CHECK_EQ(in(IIR), 0xc1);
    CHECK_EQ(clock_next_deadline(&fake.clock), UINT64_MAX);
    /* trigger levels */
    static const u8 levels[] = {1, 4, 8, 14};
    for (unsigned i = 0; i < 4; i++) {
        out(FCR, i << 6 | 3);
        for (unsigned n = 1; n <= 16; n++) {
            CHECK(uart_receive(&uart, n));
            CHECK_EQ(line, n >= levels[i]);
        }
        CHECK(!uart_receive(&uart, 17));
    }
    rooms = 0;
    CHECK_EQ(in(RBR), 1);
    CHECK_EQ(rooms, 1);
    CHECK(uart_receive(&uart, 17));
    out(FCR, 0); /* turning the FIFOs off empties them */
    CHECK_EQ(in(LSR), 0x60);
    CHECK(uart_receive(&uart, 'q'));
    CHECK(!uart_receive(&uart, 'r'));
    CHECK_EQ(in(IIR), 0x04);
    CHECK_EQ(in(RBR), 'q');
}

static void test_priorities(void)
{
    start();
    out(MCR, 0x08), out(FCR, 0x01), out(IER, 0x0f);
    uart_set_modem(&uart, UART_DCD);
    uart_receive(&uart, 'a');
    uart_receive_break(&uart);
    CHECK_EQ(in(IIR), 0xc4);
    CHECK_EQ(in(LSR), 0xe1); /* an error is somewhere in the FIFO */
    CHECK_EQ(in(RBR), 'a');
    CHECK_EQ(in(IIR), 0xc6);
    CHECK_EQ(in(LSR), 0xf9); /* break, framing */
    CHECK_EQ(in(IIR), 0xc4);
    CHECK_EQ(in(RBR), 0);
    CHECK_EQ(in(IIR), 0xc2);
    CHECK_EQ(in(IIR), 0xc0);
    CHECK_EQ(in(MSR), 0x83); /* CTS and DSR went */
    CHECK_EQ(in(IIR), 0xc1);
    CHECK(!line);
    uart_set_modem(&uart, UART_DCD | UART_RI);
    CHECK_EQ(in(MSR), 0xc0); /* the leading edge of RI is not reported */
    uart_set_modem(&uart, UART_DCD);
    CHECK_EQ(in(MSR), 0x84);
}

static void test_loopback(void)
{
    start();
    out(IER, 0x05);
    out(MCR, 0x18);
    out(RBR, 'z');
    CHECK(!line); /* OUT2's pin is inactive in loopback */
    CHECK_EQ(in(IIR), 0x04);
    out(RBR, 'y');
    CHECK_EQ(in(IIR), 0x06);
    CHECK_EQ(in(LSR), 0x63); /* overrun, reported once */
    CHECK_EQ(in(LSR), 0x61);
    CHECK_EQ(in(RBR), 'y');
    CHECK(!uart_receive(&uart, 'a')); /* the line is not listened to */
    rooms = 0;
    out(MCR, 0x08);
    CHECK_EQ(rooms, 1);
    CHECK(uart_receive(&uart, 'a'));
    CHECK(line);
    CHECK_EQ(sent_count, 0);
    uart_reset(&uart);
    CHECK_EQ(in(LSR), 0x60);
    CHECK_EQ(in(IER), 0);
}

/* Kernels of operating system courses write MCR = 0 and expect input to interrupt, as QEMU's UART does. */
static void test_interrupt_without_out2(void)
{
    start();
    out(MCR, 0x00), out(IER, 0x01);
    CHECK(uart_receive(&uart, 'a'));
    CHECK(line);
    CHECK_EQ(in(IIR), 0x04);
    out(MCR, 0x10);
    CHECK(!line); /* loopback still disconnects the wire */
    out(MCR, 0x00);
    CHECK(line);
    CHECK_EQ(in(RBR), 'a');
    CHECK(!line);
}

int main(void)
{
    test_interrupt_without_out2();
    test_linux_autoconfig();
    test_linux_thre();
    test_divisor();
    test_fifo_and_timeout();
    test_priorities();
    test_loopback();
    return check_report();
}
