/*
 * The options that put devices on buses: -device, -chardev, --virtio-console.
 */
#ifndef RINGER_OPTIONS_OPTIONS_DEVICE_H
#define RINGER_OPTIONS_OPTIONS_DEVICE_H

#include "options_drive.h"

#define DEVICES_MAX  16
#define CHARDEVS_MAX 8

enum device_kind {
    DEVICE_VIRTIO_BLK,
    DEVICE_VIRTIO_RNG,
    DEVICE_VIRTIO_CONSOLE,
    DEVICE_DRIVE, /* at a controller that is there anyway: settled among the drives */
};

struct device_option {
    enum device_kind kind;
    char *drive;         /* id of a drive */
    char *serial;        /* number, for the guest; NULL: none */
    char *chardev;       /* id of a -chardev, or NULL */
    char *back_end;      /* what the chardev is, as for chardev_open(); NULL: none */
    u8 slot;             /* on the PCI bus; 0: any that is free */
    unsigned boot_index; /* as of struct drive_option */
    bool no_legacy, no_modern;
    /* DEVICE_DRIVE */
    enum drive_interface interface;
    enum drive_medium medium;
    unsigned bus, unit;
    bool place_given;
};

struct chardev_option {
    char *id, *back_end;
};

struct device_options {
    struct device_option device[DEVICES_MAX];
    unsigned count;
    struct chardev_option chardev[CHARDEVS_MAX];
    unsigned chardevs;
};

/* Find the drives that devices name, and put those of DEVICE_DRIVE where these say. Before
 * drive_options_settle(); false with one sentence in error. */
bool device_options_place(const struct device_options *options, struct drive_options *drives, char *error,
                          size_t error_bytes);
/* Find the chardevs that devices name. False with one sentence in error. */
bool device_options_settle(struct device_options *options, char *error, size_t error_bytes);

void device_options_release(struct device_options *options);

/* Is some device's back end this one? */
bool device_options_use(const struct device_options *options, const char *back_end);

#endif
