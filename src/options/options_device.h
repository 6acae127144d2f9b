/*
 * The options that put devices on buses: -device, -chardev, and shorthands for some devices.
 */
#ifndef RINGER_OPTIONS_OPTIONS_DEVICE_H
#define RINGER_OPTIONS_OPTIONS_DEVICE_H

#include "device_type.h"

#define DEVICES_MAX  48
#define CHARDEVS_MAX 24

struct chardev_option {
    char *id, *back_end; /* back_end as for chardev_open() */
};

struct device_options {
    const struct device_type *const *types; /* ends with NULL */
    struct device_option device[DEVICES_MAX];
    unsigned count;
    struct chardev_option chardev[CHARDEVS_MAX];
    unsigned chardevs;
};

/* "NAME,KEY=VALUE,...", from the user or from ourselves. False with one sentence in error. */
bool device_options_add(struct device_options *options, const char *list, char *error, size_t error_bytes);

/* Resolve the names in device options, in three steps. (1) device_options_take_drives(): drives; a device without a
 * create() puts its drive into a controller. (2) drive_options_settle(). (3) device_options_settle(): chardevs, the
 * devices that others plug into, and a virtio-blk device for each drive with if=virtio. False with one sentence in
 * error. */
bool device_options_take_drives(const struct device_options *options, struct drive_options *drives,
                                char *error, size_t error_bytes);
bool device_options_settle(struct device_options *options, struct drive_options *drives, char *error,
                           size_t error_bytes);

void device_options_release(struct device_options *options);

/* Does a device take input from this back end? */
bool device_options_type_from(const struct device_options *options, const char *back_end);

#endif
