/*
 * The cable between UART and host. Hazards: typed characters that a slow guest loses; escape keys that reach the
 * guest; a reader that vanishes and stops the guest.
 */
#include "board/serial_port.h"

#include "base/log.h"
#include "board_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DATA = 0, LSR = 5 };

static struct board_rig *rig;
static struct serial_port serial, *port = &serial;
static struct char_link *link_ = &serial.link;

static struct chardevs chardevs;
static struct char_options to;

static void stop(void *owner, int status, const char *sentence)
{
    rig_stop(owner, STOP_HOST, status, sentence);
}

/* Makes a board with a serial port that goes to `to`. The test does the host's I/O: there is no character thread. */
static void new_machine_to(const char *where, bool nographic)
{
    char error[256];
    if (rig) {
        char_link_destroy(link_);
        chardevs_destroy(&chardevs);
        char_options_release(&to);
        board_rig_free(rig);
    }
    rig = board_rig_new(2u << 20, NULL);
    CHECK_EQ(chardevs_init(&chardevs), 0);
    chardevs.escape_keys = nographic;
    chardevs.vcpu_mailbox = &rig->mailbox;
    chardevs.stop = stop;
    chardevs.owner = rig;
    CHECK(char_options_short(&to, "c", where, error, sizeof(error)));
    CHECK(chardevs_add(&chardevs, &to, error, sizeof(error)));
    rig->board.chardevs = &chardevs;
    CHECK(serial_port_init(port, &rig->board, (struct irq_line){0}, "c", error, sizeof(error)));
    char_link_start(link_);
}

static void new_machine(bool nographic)
{
    new_machine_to("stdio", nographic);
}

/* Lets a millisecond of guest time pass. */
static void pass(void)
{
    rig->now_ns += 1000000;
    clock_run(&rig->clock);
    mailbox_run(&rig->mailbox);
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
    new_machine_to("file:/dev/full", false);
    for (unsigned n = 0; n < 2 * (CHAR_OUT_BYTES + CHAR_LINK_BYTES); n++)
        uart16550_ops.write(&port->uart, DATA, 1, '.');
    mailbox_run(&rig->mailbox);
    CHECK(rig->stopped && rig->cause == STOP_HOST);
    CHECK_EQ(rig->status, STATUS_HOST);
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
    pass();
    dup2(saved, STDOUT_FILENO);
    CHECK(rig->stopped && rig->cause == STOP_HOST);
    CHECK_EQ(rig->status, STATUS_OK);
}

/* Real time: a reader that is slow makes the transmitter full, and nothing is lost (hazards: a vCPU that waits for a
 * terminal; a driver that looks at LSR and loses characters all the same). */
static void test_slow_reader(void)
{
    char path[] = "/tmp/ringer-serial-XXXXXX", pipe_name[64], where[80];
    static u8 buffer[65536];
    unsigned long long sent = 0, got = 0, wrong = 0;
    CHECK(mkdtemp(path) != NULL);
    snprintf(pipe_name, sizeof(pipe_name), "%s/p", path);
    snprintf(where, sizeof(where), "pipe:%s", pipe_name);
    CHECK_EQ(mkfifo(pipe_name, 0600), 0);
    new_machine_to(where, false);
    rig->board.deterministic = false;
    port->link.front.polled = true; /* what it writes must not come back as input */
    CHECK_EQ(chardevs_start(&chardevs), 0);
    int reader = open(pipe_name, O_RDONLY | O_NONBLOCK);
    while (uart16550_ops.read(&port->uart, LSR, 1) & 0x20) {
        for (unsigned n = 0; n < 16; n++)
            uart16550_ops.write(&port->uart, DATA, 1, (u8)(sent++ * 7));
        CHECK(sent < 10000000);
        if (sent > 10000000) return;
    }
    char_link_flush(link_);
    CHECK(sent > CHAR_OUT_BYTES);
    while (!(uart16550_ops.read(&port->uart, LSR, 1) & 0x20) || got < sent) {
        ssize_t now = read(reader, buffer, sizeof(buffer));
        for (ssize_t n = 0; n < now; n++)
            wrong += buffer[n] != (u8)(got++ * 7);
        mailbox_run(&rig->mailbox);
    }
    CHECK_EQ(got, sent);
    CHECK_EQ(wrong, 0);
    close(reader);
    unlink(pipe_name);
    rmdir(path);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    test_slow_reader();
    test_nothing_is_lost();
    test_escape();
    test_full_disk();
    test_vanished_reader();
    board_rig_free(rig);
    return check_report();
}
