/*
 * The cable between a character device of the guest (a UART, a virtio console) and a back end of the host.
 * Input is queued until the device has room. Output is gathered until a line ends, the guest idles or 2 ms have
 * passed. Escape keys are taken out of the input here.
 *
 * Real time: the waker reports input once per request, and the link asks again when its queue has room.
 * Deterministic time: the back end is polled every millisecond of guest time, so that a run with a file for
 * input repeats exactly.
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
    /* Give input to the device. Returns how much it took. */
    u32 (*receive)(void *device, const u8 *bytes, u32 count);
    /* The line is held in break. NULL: the device has no such state. */
    void (*receive_break)(void *device);
    void *device;
    struct chardev chardev;
    struct escape_keys keys;
    bool
        drops_overflow; /* a terminal: keys are read even if the guest takes none, because one may be Ctrl-A x */
    bool flush_armed;
    struct timer flush; /* real time */
    struct timer poll;  /* deterministic */
    struct char_link *mirror;
    u8 queue[CHAR_LINK_BYTES];
    u32 head, tail; /* never wrap; the index is modulo CHAR_LINK_BYTES */
};

/* `specification`: as for chardev_open(). Sets receive_break to NULL. False with one sentence in error. */
bool char_link_init(struct char_link *link, struct board *board,
                    u32 (*receive)(void *device, const u8 *bytes, u32 count), void *device,
                    const char *specification, char *error, size_t error_bytes);
void char_link_destroy(struct char_link *link);
/* Begin to read input. The clock and the waker must exist. */
void char_link_start(struct char_link *link);
/* The waker has reported input. */
void char_link_input_ready(struct char_link *link);
void char_link_flush(struct char_link *link);
/* For the device: send output; report room for input. */
void char_link_send(struct char_link *link, const u8 *bytes, u64 count);
void char_link_room(struct char_link *link);
void char_link_mirror(struct char_link *leader, struct char_link *follower);

#endif
