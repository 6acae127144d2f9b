/*
 * The options that put devices on buses: -device, -chardev, and shorthands for some devices.
 */
#ifndef RINGER_OPTIONS_OPTIONS_DEVICE_H
#define RINGER_OPTIONS_OPTIONS_DEVICE_H

#include "chardev/char_options.h"
#include "device_type.h"

#define DEVICES_MAX         48
#define CHARDEV_OPTIONS_MAX 32
#define GLOBALS_MAX         32
#define RNGS_MAX            4

/* -global: a value for a property of every device of a type that does not set it. */
struct global_option {
    char *type, *property, *value;
    const struct device_type *applies_to; /* NULL: there is no such type, or it lacks the property */
};

/* -object rng-random or rng-builtin: where a virtio-rng's numbers come from. */
struct rng_option {
    char *id, *file; /* file: NULL: the host's generator */
};

struct device_options {
    const struct device_type *const *types; /* ends with NULL */
    struct device_option device[DEVICES_MAX];
    unsigned count;
    struct char_options chardev[CHARDEV_OPTIONS_MAX];
    unsigned chardevs;
    struct global_option global[GLOBALS_MAX];
    unsigned globals;
    struct rng_option rng[RNGS_MAX];
    unsigned rngs;
};

/* "NAME,KEY=VALUE,...", from the user or from ourselves. False with one sentence in error. */
bool device_options_add(struct device_options *options, const char *list, char *error, size_t error_bytes);
/* The same, as number `at`. No device may have been settled. */
bool device_options_insert(struct device_options *options, unsigned at, const char *list, char *error,
                           size_t error_bytes);

/* Resolve the names in device options, in three steps. (1) device_options_take_drives(): drives; a device without a
 * create() puts its drive into a controller. (2) drive_options_settle(). (3) device_options_settle(): chardevs, the
 * devices that others plug into, and a virtio-blk device for each drive with if=virtio. False with one sentence in
 * error. */
bool device_options_take_drives(struct device_options *options, struct drive_options *drives, char *error,
                                size_t error_bytes);
bool device_options_settle(struct device_options *options, struct drive_options *drives, char *error,
                           size_t error_bytes);

/* "rng-random,id=ID,filename=FILE" or "rng-builtin,id=ID". False with one sentence in error. */
bool device_options_add_rng(struct device_options *options, const char *list, char *error,
                            size_t error_bytes);
/* NULL: there is no such object. */
const struct rng_option *device_options_rng(const struct device_options *options, const char *id);

/* "NAME,KEY=VALUE,..." for a machine that runs: the type must be one that plugs, and all that the device names must be
 * there. NULL with one sentence in error. */
struct device_option *device_options_plug(struct device_options *options, struct drive_options *drives,
                                          const char *list, char *error, size_t error_bytes);
/* Frees what the option owns; its number is free for another one. */
void device_options_unplug(struct device_options *options, struct device_option *device);
/* NULL: no device has this id. */
struct device_option *device_options_find(struct device_options *options, const char *id);
/* The device that has this drive, or NULL. */
const struct device_option *device_options_use_drive(const struct device_options *options, const char *id);

void device_options_release(struct device_options *options);

/* Does some device take the guest's input from standard input? */
bool device_options_type_from_stdio(const struct device_options *options);

/* A -chardev. False with one sentence in error. */
bool device_options_add_chardev(struct device_options *options, const char *list, char *error,
                                size_t error_bytes);
/* A device, or a network, speaks itself at the socket of this chardev. False with one sentence in error. */
bool device_options_lend(struct device_options *options, const char *id, char *error, size_t error_bytes);
/* NULL: there is no such chardev. */
const struct char_options *device_options_chardev(const struct device_options *options, const char *id);
/* The id of the chardev that an argument such as that of -serial means: "chardev:ID" names one; any other gets one,
 * with this id. Standard input and output are one chardev, also if several devices use them. NULL with one sentence in
 * error. */
const char *device_options_chardev_for(struct device_options *options, const char *id, const char *text,
                                       char *error, size_t error_bytes);

#endif
