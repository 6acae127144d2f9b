/*
 * The cable between a UART and a back end of the host: input is queued until the receiver has room, output is
 * gathered until a line is full, the guest idles or 2 ms have gone. Escape keys are taken out of the input
 * here.
 *
 * Real time: the waker reports input once per request; the link asks again when its queue has room.
 * Deterministic: the back end is polled every millisecond of guest time, so that with a file for input a run
 * repeats exactly.
 */
#ifndef RINGER_VM_SERIAL_LINK_H
#define RINGER_VM_SERIAL_LINK_H

#include "base/device.h"
#include "devices/uart16550.h"
#include "ui/chardev.h"
#include "ui/terminal.h"

struct vm;

#define SERIAL_QUEUE_BYTES 4096

struct serial_link {
    struct vm *vm;
    struct uart16550 uart;
    struct chardev chardev;
    struct escape_keys keys;
    bool drops_overflow; /* a terminal: keys are read (Ctrl-A x!) even if the guest reads nothing */
    bool flush_armed;
    struct timer flush; /* real time */
    struct timer poll;  /* deterministic */
    struct serial_link *mirror;
    u8 queue[SERIAL_QUEUE_BYTES];
    u32 head, tail; /* free-running */
};

/* `specification` as for chardev_open(). Returns false with one sentence in error. */
bool serial_link_init(struct serial_link *link, struct vm *vm, struct irq_line irq, const char *specification,
                      char *error, size_t error_bytes);
void serial_link_destroy(struct serial_link *link);
/* Call once the vCPU's time and waker are there: begins to look for input. */
void serial_link_start(struct serial_link *link);
/* The waker says that there is input. */
void serial_link_input_ready(struct serial_link *link);
void serial_link_flush(struct serial_link *link);
void serial_link_mirror(struct serial_link *leader, struct serial_link *follower);

#endif
