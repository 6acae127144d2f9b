/*
 * The memory balloon of a board, for the monitor.
 */
#ifndef RINGER_BOARD_WIRE_VIRTIO_BALLOON_H
#define RINGER_BOARD_WIRE_VIRTIO_BALLOON_H

#include "board.h"
#include "devices/virtio/virtio_balloon.h"

/* NULL: there is none. */
struct virtio_balloon *board_balloon(const struct board *board);
/* Ask the driver for statistics every so many seconds; 0: only when somebody wants them. The machine has a balloon. */
#define BALLOON_POLL_MOST_S 86400u
void board_balloon_poll(struct board *board, unsigned seconds);
unsigned board_balloon_poll_s(const struct board *board);
/* When the driver has told its statistics last, in seconds since 1970; 0: never. */
s64 board_balloon_told_s(const struct board *board);
/* The memory that the guest has, without what is in the balloon. */
u64 board_balloon_bytes(const struct board *board, const struct virtio_balloon *balloon);

#endif
