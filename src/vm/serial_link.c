#include "serial_link.h"

#include "vm.h"
#include "waker.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_AFTER_NS 2000000u
#define POLL_EVERY_NS  1000000u

static u32 queue_room(const struct serial_link *link)
{
    return SERIAL_QUEUE_BYTES - (link->tail - link->head);
}

static void queue_byte(struct serial_link *link, u8 byte)
{
    if (queue_room(link)) link->queue[link->tail++ % SERIAL_QUEUE_BYTES] = byte;
}

static void feed(struct serial_link *link)
{
    while (link->head != link->tail &&
           uart_receive(&link->uart, link->queue[link->head % SERIAL_QUEUE_BYTES]))
        link->head++;
}

/* --- input --- */

static void take_key(struct serial_link *link, u8 byte)
{
    u8 out;
    switch (escape_key(&link->keys, byte, &out)) {
    case KEY_NOTHING: break;
    case KEY_SEND:
        queue_byte(link, out);
        if (link->mirror) queue_byte(link->mirror, out);
        break;
    case KEY_QUIT: vm_stop(link->vm, STOP_HOST, STATUS_OK, NULL); break;
    case KEY_HELP:
        for (const char *c = escape_help; *c; c++)
            chardev_put(&link->chardev, (u8)*c);
        serial_link_flush(link);
        break;
    }
}

static bool may_read(const struct serial_link *link)
{
    return link->drops_overflow || queue_room(link) > 0;
}

static void take_input(struct serial_link *link)
{
    u8 buffer[256];
    u32 room = link->drops_overflow ? sizeof(buffer) : queue_room(link);
    unsigned count = chardev_read(&link->chardev, buffer, room < sizeof(buffer) ? room : sizeof(buffer));
    for (unsigned i = 0; i < count; i++)
        take_key(link, buffer[i]);
    feed(link);
}

static void want_input(struct serial_link *link)
{
    struct waker *waker = link->vm->waker;
    if (waker && !link->vm->time.deterministic && link->chardev.in_fd >= 0 && may_read(link))
        waker_want_input(waker);
}

void serial_link_input_ready(struct serial_link *link)
{
    take_input(link);
    want_input(link);
}

/* The guest has made room in the receiver. */
static void has_room(void *sink)
{
    struct serial_link *link = sink;
    if (link->head == link->tail) return;
    feed(link);
    want_input(link);
}

static void poll_fired(void *device)
{
    struct serial_link *link = device;
    if (link->vm->role == MACHINE_LEADER && may_read(link)) take_input(link);
    feed(link);
    if (link->mirror) link->mirror->chardev.in_fd = link->chardev.in_fd;
    /* At the end of input the timer ends too, or a guest with nothing else to wait for would never sleep. */
    if (link->chardev.in_fd >= 0 || link->head != link->tail)
        timer_arm(&link->poll, clock_now(link->poll.clock) + POLL_EVERY_NS);
}

/* --- output --- */

void serial_link_flush(struct serial_link *link)
{
    if (link->flush_armed) {
        link->flush_armed = false;
        timer_cancel(&link->flush);
    }
    if (!link->chardev.count) return;
    int failed = chardev_flush(&link->chardev);
    if (failed == -EPIPE)
        vm_stop(link->vm, STOP_HOST, STATUS_OK, NULL); /* as if the reader had quit us */
    else if (failed)
        vm_stop(link->vm, STOP_HOST, STATUS_HOST, "cannot write what the guest sends to its serial port: %s",
                strerror(-failed));
}

static void flush_fired(void *device)
{
    struct serial_link *link = device;
    link->flush_armed = false;
    serial_link_flush(link);
}

static void transmit(void *sink, u8 byte)
{
    struct serial_link *link = sink;
    if (link->chardev.out_fd < 0) return;
    if (link->chardev.count == sizeof(link->chardev.buffer) - 1 || byte == '\n') {
        chardev_put(&link->chardev, byte);
        serial_link_flush(link);
        return;
    }
    chardev_put(&link->chardev, byte);
    /* Deterministic time must not depend on who listens: there, idling and polling flush. */
    if (link->flush_armed || link->vm->time.deterministic) return;
    link->flush_armed = true;
    timer_arm(&link->flush, clock_now(link->flush.clock) + FLUSH_AFTER_NS);
}

/* --- set-up --- */

bool serial_link_init(struct serial_link *link, struct vm *vm, struct irq_line irq, const char *specification,
                      char *error, size_t error_bytes)
{
    bool follower = vm->role == MACHINE_FOLLOWER;
    *link = (struct serial_link){.vm = vm};
    if (!chardev_open(&link->chardev, follower ? "null" : specification, error, error_bytes)) return false;
    if (link->chardev.in_fd >= 0) {
        link->drops_overflow = isatty(link->chardev.in_fd);
        link->keys.enabled = link->drops_overflow || vm->options->nographic;
    }
    struct clock *clock = &vm->time.clock;
    uart_init(&link->uart, clock, irq, transmit, has_room, link);
    timer_init(&link->flush, clock, flush_fired, link);
    timer_init(&link->poll, clock, poll_fired, link);
    /* The follower polls when its leader does: the descriptor is a sign only, nothing is read from it. */
    if (follower && !strcmp(specification, "stdio")) link->chardev.in_fd = STDIN_FILENO;
    return true;
}

void serial_link_start(struct serial_link *link)
{
    if (link->vm->waker) link->chardev.giving_up = &link->vm->waker->giving_up;
    if (link->vm->time.deterministic && link->chardev.in_fd >= 0 && !link->poll.armed)
        timer_arm(&link->poll, clock_now(link->poll.clock) + POLL_EVERY_NS);
}

void serial_link_destroy(struct serial_link *link)
{
    if (link->vm) chardev_close(&link->chardev);
}

void serial_link_mirror(struct serial_link *leader, struct serial_link *follower)
{
    leader->mirror = follower;
}
