/*
 * The cable between a character device of the guest (a UART, a virtio console) and a chardev of the host.
 * Input is queued until the device has room. Output is gathered until a line ends, the guest idles or 2 ms have
 * passed.
 *
 * Real time: the character thread sends a letter when there is input, or room for output that was refused.
 * Deterministic time: the chardev is polled every millisecond of guest time, so that a run with a file for
 * input repeats exactly, and output waits for the host.
 */
#ifndef RINGER_BOARD_CHAR_LINK_H
#define RINGER_BOARD_CHAR_LINK_H

#include "base/device.h"
#include "base/mailbox.h"
#include "chardev/chardev.h"

struct board;

#define CHAR_LINK_BYTES 4096

struct char_link_ops {
    /* Give input to the device. Returns how much it took. NULL: it takes none. */
    u32 (*receive)(void *device, const u8 *bytes, u32 count);
    /* The rest may be NULL. The line is held in break. */
    void (*receive_break)(void *device);
    /* There is room for output again. */
    void (*room)(void *device);
    /* A client is at the other end, or no longer. */
    void (*opened)(void *device, bool open);
};

struct char_link {
    struct char_front front;
    struct board *board; /* NULL: not initialized */
    const struct char_link_ops *ops;
    void *device;
    struct letter letter;
    u32 sent; /* atomic: the letter is under way */
    bool flush_armed;
    bool refused;       /* room() is owed */
    bool polls;         /* deterministic: there may be input */
    struct timer flush; /* real time */
    struct timer poll;  /* deterministic */
    struct char_link *mirror;
    u16 queue[CHAR_LINK_BYTES]; /* items as chardev_take() gives them */
    u32 head, tail;             /* never wrap; modulo CHAR_LINK_BYTES */
    u8 out[CHAR_LINK_BYTES];
    u32 out_count;
};

/* `chardev`: the id of one of board->chardevs, NULL: nothing is connected. False with one sentence in error. */
bool char_link_init(struct char_link *link, struct board *board, const struct char_link_ops *ops,
                    void *device, const char *chardev, char *error, size_t error_bytes);
void char_link_destroy(struct char_link *link);
/* While the machine runs: the link has come, and gets what the other end has sent already; it goes, and no letter of it
 * is under way any more. */
void char_link_join(struct char_link *link);
void char_link_leave(struct char_link *link);
/* Begin to look for input. The clock must exist. */
void char_link_start(struct char_link *link);
void char_link_flush(struct char_link *link);
/* For the device. Send output; returns how much was taken. Less than all: ops->room() is called later. */
u32 char_link_send(struct char_link *link, const u8 *bytes, u32 count);
/* The same for a device that cannot wait. A reader that is only slow loses nothing: the guest waits for it. */
void char_link_force(struct char_link *link, const u8 *bytes, u32 count);
/* How much output would be taken now. */
u32 char_link_out_room(const struct char_link *link);
/* The device has room for input. */
void char_link_room(struct char_link *link);
bool char_link_is_open(struct char_link *link);
void char_link_mirror(struct char_link *leader, struct char_link *follower);

#endif
