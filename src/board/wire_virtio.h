/*
 * The virtio devices of a machine, as drives and -device options ask for them.
 */
#ifndef RINGER_BOARD_WIRE_VIRTIO_H
#define RINGER_BOARD_WIRE_VIRTIO_H

#include "devices/virtio/virtio.h"
#include "options/options_device.h"
#include "options/options_drive.h"

struct board;

#define WIRE_VIRTIO_MAX (DEVICES_MAX + DRIVES_MAX)

struct wire_virtio {
    struct board *board;
    struct virtio *device[WIRE_VIRTIO_MAX]; /* ours; each is the first member of a kind's struct */
    unsigned count;
    u64 random; /* deterministic: state of what passes for random */
};

/* Puts them on the machine's bus. Returns false with one sentence in error. */
bool wire_virtio_init(struct wire_virtio *wire, struct board *board, char *error, size_t error_bytes);
void wire_virtio_reset(struct wire_virtio *wire);
void wire_virtio_destroy(struct wire_virtio *wire);

#endif
