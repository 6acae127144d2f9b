/*
 * What the devices that a vhost-user back end serves have in common.
 */
#ifndef RINGER_BOARD_WIRE_VHOST_USER_H
#define RINGER_BOARD_WIRE_VHOST_USER_H

#include "chardev/char_options.h"
#include "devices/virtio/vhost_user_device.h"
#include "wire_virtio.h"

/* Connect to the back end at this socket, and make the device for the option. False with one sentence in error. */
bool wire_vhost_user(struct board *board, const struct device_option *option,
                     const struct char_options *socket, const struct vhost_user_kind *kind, const u8 *config,
                     u8 *devfn, char *error, size_t error_bytes);

#endif
