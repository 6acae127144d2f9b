/*
 * What the virtio devices of the board have in common.
 */
#ifndef RINGER_BOARD_WIRE_VIRTIO_H
#define RINGER_BOARD_WIRE_VIRTIO_H

#include "board.h"
#include "device_table.h"
#include "devices/virtio/virtio.h"

/* Rows of every virtio device on the PCI bus. */
#define VIRTIO_PROPERTIES                                                                                    \
    {"disable-legacy", PROPERTY_AUTO, .help = "without the interface of virtio 0.9"},                        \
    {                                                                                                        \
        "disable-modern", PROPERTY_SWITCH, .help = "without the interface of virtio 1.0"                     \
    }

/* device_type.check: one of the two interfaces is left. */
bool virtio_check(const struct device_option *option, char *error, size_t error_bytes);
/* Its slot and its interfaces. False with one sentence in error. */
bool virtio_configure(struct board *board, const struct device_option *option, struct virtio_options *virtio,
                      char *error, size_t error_bytes);
/* The reset line of a device that begins with a struct virtio. */
void virtio_reset_line(void *device);

#endif
