/*
 * The types of devices that -device can put on a board. A type is a row: its name, its bus, its properties and
 * the function that creates a device. A wire_*.c of the board defines its row; board/device_table.c lists all rows.
 * The command line knows the types only through that list. So a new device is a new wire file and a line in the list:
 * -device, `-device help` and `-device NAME,help` need no change.
 *
 *   -device virtio-blk-pci,drive=d,serial=S77
 *           |              |
 *           type           property = value, checked by the property's kind
 *
 * First the whole command line is read. Then names are resolved (drives, chardevs, the devices that others plug into).
 * When the machine is made, devices are created in the order of the command line.
 */
#ifndef RINGER_OPTIONS_DEVICE_TYPE_H
#define RINGER_OPTIONS_DEVICE_TYPE_H

#include "options_drive.h"

#include <stdio.h>

struct board;
struct char_options;
struct device_option;

enum property_kind {
    PROPERTY_TEXT,
    PROPERTY_FILE,    /* a path, or nothing */
    PROPERTY_NUMBER,  /* up to `most` */
    PROPERTY_BOOT,    /* a boot index, up to 99: firmware tries small numbers first */
    PROPERTY_SWITCH,  /* on or off: 1 or 0 */
    PROPERTY_AUTO,    /* the same, or auto: 0 */
    PROPERTY_CHOICE,  /* one of `choices`, words with blanks between them: its number */
    PROPERTY_SLOT,    /* of the PCI bus: "1f", "1.2"; the number has the function from bit 5 on */
    PROPERTY_DRIVE,   /* the id of a -drive that no other device has */
    PROPERTY_CHARDEV, /* the id of a -chardev */
    PROPERTY_SOCKET,  /* the id of a -chardev socket that is not opened: the device itself speaks there */
    PROPERTY_MAC,     /* "52:54:00:12:34:56": 48 bits, the first byte highest */
};

struct property {
    const char *name; /* NULL: the end of the list */
    enum property_kind kind;
    const char *help;
    const char *choices;
    u64 most;
    u64 preset;  /* of numbers, switches and choices: the value where none is given */
    bool chosen; /* where none is given, the board chooses: board_device.chosen, or the place of the drive */
    bool required; /* a type for CDs needs no drive all the same: a CD drive may be empty */
};

/* What a device plugs into. Devices on the board's own buses need no parent; any other bus is provided by
 * another device (device_type.provides). */
struct device_bus {
    const char *name;
    const struct property *properties; /* of every device on it */
    bool on_board;
};

extern const struct device_bus bus_pci, bus_isa, bus_ide, bus_floppy;

struct device_type {
    const char *name; /* QEMU's */
    const struct device_bus *bus;
    const char *help;
    const struct property *properties;
    /* Check the values together; NULL: the kinds of the properties suffice. False with one sentence in error. */
    bool (*check)(const struct device_option *device, char *error, size_t error_bytes);
    /* Wire it to the board. False with one sentence in error. NULL: its drive goes into a controller that every
     * board has, as the next two fields say. */
    bool (*create)(struct board *board, const struct device_option *device, char *error, size_t error_bytes);
    enum drive_interface interface;
    enum drive_medium medium;
    const struct device_bus *provides; /* NULL: nothing plugs into it */
    unsigned sockets;                  /* how many devices can */
    bool takes_input;                  /* its chardev gives input to the guest */
    bool plugs;                        /* it can come and go while the machine runs */
    /* It goes, and its parent stays. For a device that is no device of its own on the board. */
    void (*unplug)(struct board *board, const struct device_option *device);
};

#define DEVICE_VALUES 16

/* One -device. */
struct device_option {
    const struct device_type *type; /* NULL: the device has gone; its number is free for another one */
    const char *id;                 /* NULL: none */
    unsigned
        parent; /* the device that it plugs into: number in the list of devices + 1; 0: a bus of the board */
    unsigned children;
    struct device_value {
        const struct property *property;
        char *text;
        u64 number;
        const struct char_options *chardev;
    } value[DEVICE_VALUES];
    unsigned values;
};

/* "NAME,KEY=VALUE,...". False with one sentence in error. */
bool device_parse(struct device_option *device, const struct device_type *const *types, const char *list,
                  char *error, size_t error_bytes);
void device_release(struct device_option *device);
/* Set a property that the command line has not set for this device. False with one sentence in error. */
bool device_set_default(struct device_option *device, const char *property, const char *text, char *error,
                        size_t error_bytes);

/* --- values, by the names of properties that the type has --- */

bool device_type_has(const struct device_type *type, const char *property);
/* NULL: it has none with this name. */
const struct property *device_type_property(const struct device_type *type, const char *name);
/* False with one sentence in error if such devices cannot come or go while the machine runs. */
bool device_type_plugs(const struct device_type *type, char *error, size_t error_bytes);
/* NULL: not given. */
const char *device_text(const struct device_option *device, const char *property);
/* Where it is not given, what the property's row has. */
u64 device_number(const struct device_option *device, const char *property);
/* The device's place in firmware's order, from 1 on. */
unsigned device_boot_index(const struct device_option *device, unsigned otherwise);
/* The -chardev that a property names. NULL: not given. */
const struct char_options *device_chardev(const struct device_option *device, const char *property);

/* --- help --- */

/* All types, or the properties of one. */
void device_help(const struct device_type *const *types, const struct device_type *type, FILE *out);
/* By any of QEMU's names: also without "-pci", and with a suffix for the interfaces of a virtio device. */
const struct device_type *device_type_find(const struct device_type *const *types, const char *name);

#endif
