/*
 * The cable between a character device of the guest (a UART, a virtio console) and a back end of the host:
 * input is queued until the device has room, output is gathered until a line is full, the guest idles or 2 ms
 * have gone. Escape keys are taken out of the input here.
 *
 * Real time: the waker reports input once per request; the link asks again when its queue has room.
 * Deterministic: the back end is polled every millisecond of guest time, so that with a file for input a run
 * repeats exactly.
 */
#ifndef RINGER_BOARD_CHAR_LINK_H
#define RINGER_BOARD_CHAR_LINK_H

#include "base/device.h"
#include "ui/chardev.h"
#include "ui/terminal.h"

struct board;

#define CHAR_LINK_BYTES 4096

struct char_link {
    struct board *board;
    /* The device takes input. Returns how much of it. */
    u32 (*receive)(void *device, const u8 *bytes, u32 count);
    /* The line is held in break. NULL: this device knows of none. */
    void (*receive_break)(void *device);
    void *device;
    struct chardev chardev;
    struct escape_keys keys;
    bool drops_overflow; /* a terminal: keys are read (Ctrl-A x!) even if the guest reads nothing */
    bool flush_armed;
    struct timer flush; /* real time */
    struct timer poll;  /* deterministic */
    struct char_link *mirror;
    u8 queue[CHAR_LINK_BYTES];
    u32 head, tail; /* free-running */
};

/* `specification` as for chardev_open(). Returns false with one sentence in error. receive_break is NULL
 * then. */
bool char_link_init(struct char_link *link, struct board *board,
                    u32 (*receive)(void *device, const u8 *bytes, u32 count), void *device,
                    const char *specification, char *error, size_t error_bytes);
void char_link_destroy(struct char_link *link);
/* Call once the vCPU's time and waker are there: begins to look for input. */
void char_link_start(struct char_link *link);
/* The waker says that there is input. */
void char_link_input_ready(struct char_link *link);
void char_link_flush(struct char_link *link);
/* The device's: output, and that it has room for input again. */
void char_link_send(struct char_link *link, const u8 *bytes, u64 count);
void char_link_room(struct char_link *link);
void char_link_mirror(struct char_link *leader, struct char_link *follower);

#endif
