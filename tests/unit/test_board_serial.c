/*
 * The cable between UART and host: nothing typed is lost when the guest is slow, escape keys, a reader that
 * vanishes.
 */
#include "board/serial_port.h"

#include "base/log.h"
#include "board_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DATA = 0, LSR = 5 };

static struct board_rig *rig;
static struct serial_port serial, *port = &serial;
static struct char_link *link_ = &serial.link;

static void new_machine(bool nographic)
{
    char error[256];
    if (rig) board_rig_free(rig);
    rig = board_rig_new(2u << 20, &(struct board_options){.nographic = nographic});
    CHECK(serial_port_init(port, &rig->board, (struct irq_line){0}, "stdio", error, sizeof(error)));
    char_link_start(link_);
}

/* Let a millisecond of guest time pass. */
static void pass(void)
{
    rig->now_ns += 1000000;
    clock_run(&rig->clock);
}

static bool guest_reads(u8 *byte)
{
    if (!(uart16550_ops.read(&port->uart, LSR, 1) & 1)) return false;
    *byte = (u8)uart16550_ops.read(&port->uart, DATA, 1);
    return true;
}

/* A pipe for standard input; returns the writing end. */
static int new_input(void)
{
    int fds[2];
    if (pipe(fds) < 0 || dup2(fds[0], STDIN_FILENO) < 0) abort();
    close(fds[0]);
    return fds[1];
}

static void test_nothing_is_lost(void)
{
    const unsigned total = 10000; /* more than FIFO and queue hold */
    int input = new_input();
    new_machine(false);
    u8 text[10000], byte;
    for (unsigned i = 0; i < total; i++)
        text[i] = (u8)(i * 7);
    CHECK_EQ(write(input, text, total), total);
    close(input);
    unsigned got = 0, wrong = 0;
    for (unsigned ms = 0; ms < 1000 && got < total; ms++) {
        pass();
        for (unsigned n = 0; n < 100 && guest_reads(&byte); n++)
            wrong += byte != text[got++];
    }
    CHECK_EQ(got, total);
    CHECK_EQ(wrong, 0);
    pass();
    pass();
    CHECK(!link_->poll.armed); /* at the end of input nothing keeps the guest awake */
    CHECK(!rig->stopped);
}

static void test_escape(void)
{
    u8 byte;
    int input = new_input();
    new_machine(true);
    CHECK_EQ(write(input, "a\1\1b\1x", 6), 6);
    for (unsigned i = 0; i < 4; i++)
        pass();
    CHECK(guest_reads(&byte) && byte == 'a');
    CHECK(guest_reads(&byte) && byte == 1);
    CHECK(guest_reads(&byte) && byte == 'b');
    CHECK(!guest_reads(&byte));
    CHECK(rig->stopped && rig->cause == STOP_HOST);
    CHECK_EQ(rig->status, STATUS_OK);
    close(input);
    input = new_input();
    new_machine(true);
    CHECK_EQ(write(input, "\1b", 2), 2);
    pass();
    CHECK_EQ(uart16550_ops.read(&port->uart, LSR, 1) & 0x19, 0x19); /* break, framing error, and a byte */
    CHECK(guest_reads(&byte) && byte == 0);
    close(input);
    /* A pipe without -nographic is transparent. */
    input = new_input();
    new_machine(false);
    CHECK_EQ(write(input, "\1x", 2), 2);
    pass();
    CHECK(guest_reads(&byte) && byte == 1);
    CHECK(guest_reads(&byte) && byte == 'x');
    CHECK(!rig->stopped);
    close(input);
}

/* Without the end of a line, too. */
static void test_full_disk(void)
{
    char error[256];
    new_machine(false);
    char_link_destroy(link_);
    CHECK(serial_port_init(port, &rig->board, (struct irq_line){0}, "file:/dev/full", error, sizeof(error)));
    for (unsigned n = 0; n < 2 * sizeof(link_->chardev.buffer); n++)
        uart16550_ops.write(&port->uart, DATA, 1, '.');
    CHECK(rig->stopped && rig->cause == STOP_HOST);
    CHECK_EQ(rig->status, STATUS_HOST);
    char_link_destroy(link_);
}

static void test_vanished_reader(void)
{
    int fds[2], saved = dup(STDOUT_FILENO);
    new_machine(false);
    fflush(stdout);
    if (pipe(fds) < 0 || dup2(fds[1], STDOUT_FILENO) < 0) abort();
    close(fds[1]);
    close(fds[0]);
    uart16550_ops.write(&port->uart, DATA, 1, '!');
    uart16550_ops.write(&port->uart, DATA, 1, '\n');
    dup2(saved, STDOUT_FILENO);
    CHECK(rig->stopped && rig->cause == STOP_HOST);
    CHECK_EQ(rig->status, STATUS_OK);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_nothing_is_lost();
    test_escape();
    test_full_disk();
    test_vanished_reader();
    board_rig_free(rig);
    return check_report();
}
