/*
 * The memory balloon of a board, for the monitor.
 */
#ifndef RINGER_BOARD_WIRE_VIRTIO_BALLOON_H
#define RINGER_BOARD_WIRE_VIRTIO_BALLOON_H

#include "board.h"
#include "devices/virtio/virtio_balloon.h"

/* NULL: there is none. */
struct virtio_balloon *board_balloon(const struct board *board);
/* The memory that the guest has, without what is in the balloon. */
u64 board_balloon_bytes(const struct board *board, const struct virtio_balloon *balloon);

#endif
