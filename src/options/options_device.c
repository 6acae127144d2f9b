/*
 * Options: devices that are fitted one by one, as QEMU's -device has it.
 */
#include "options_table.h"

#include <stdlib.h>
#include <string.h>

/* The name of a device, and what follows it. */
struct device_list {
    const char *name;
    struct option_list keys;
};

/* --- keys of devices --- */

static bool set_string(char **to, const char *value)
{
    free(*to);
    *to = value ? strdup(value) : NULL;
    return value && *value;
}

static bool set_nothing(struct device_option *d, const char *value)
{
    return value != NULL;
}

static bool set_drive_id(struct device_option *d, const char *value)
{
    return set_string(&d->drive, value);
}

static bool set_serial_number(struct device_option *d, const char *value)
{
    return set_string(&d->serial, value);
}

static bool set_boot_index(struct device_option *d, const char *value)
{
    u64 index;
    if (!value || !option_number(value, &index) || index > 99) return false;
    d->boot_index = (unsigned)index + 1;
    return true;
}

static bool set_chardev_id(struct device_option *d, const char *value)
{
    return set_string(&d->chardev, value);
}

/* Always hexadecimal; a function may follow, which must be 0. */
static bool set_slot(struct device_option *d, const char *value)
{
    char *end;
    unsigned long slot = value ? strtoul(value, &end, 16) : 0;
    d->slot = (u8)slot;
    return slot >= 1 && slot < 32 && (!*end || !strcmp(end, ".0") || !strcmp(end, ".0x0"));
}

/* ide.0, ide.1 */
static bool set_bus(struct device_option *d, const char *value)
{
    d->place_given = true;
    d->bus = value && !strcmp(value, "ide.1");
    return d->bus || (value && !strcmp(value, "ide.0"));
}

static bool set_unit(struct device_option *d, const char *value)
{
    d->place_given = true;
    d->unit = value && !strcmp(value, "1");
    return d->unit || (value && !strcmp(value, "0"));
}

static bool set_no_legacy(struct device_option *d, const char *value)
{
    return (value && !strcmp(value, "auto")) || option_switch(value, &d->no_legacy);
}

static bool set_no_modern(struct device_option *d, const char *value)
{
    return option_switch(value, &d->no_modern);
}

struct key_row {
    const char *key, *values;
    bool (*set)(struct device_option *d, const char *value);
};

static const struct key_row pci_keys[] = {
    {"id", "a name", set_nothing},
    {"bus", "a name", set_nothing},
    {"addr", "the number of a slot, 1 to 1f", set_slot},
    {"disable-legacy", "on, off or auto", set_no_legacy},
    {"disable-modern", "on or off", set_no_modern},
    {NULL, NULL, NULL},
};
static const struct key_row block_keys[] = {
    {"drive", "the id of a drive", set_drive_id},
    {"serial", "a text", set_serial_number},
    {"bootindex", "a number up to 99", set_boot_index},
    {NULL, NULL, NULL},
};
static const struct key_row ide_keys[] = {
    {"id", "a name", set_nothing},
    {"bus", "ide.0 or ide.1", set_bus},
    {"unit", "0 or 1", set_unit},
    {NULL, NULL, NULL},
};
static const struct key_row floppy_keys[] = {
    {"id", "a name", set_nothing},
    {"unit", "0 or 1", set_unit},
    {"drive", "the id of a drive", set_drive_id},
    {"bootindex", "a number up to 99", set_boot_index},
    {NULL, NULL, NULL},
};
static const struct key_row port_keys[] = {
    {"id", "a name", set_nothing},
    {"bus", "a name", set_nothing},
    {"name", "a text", set_nothing},
    {"chardev", "the id of a chardev", set_chardev_id},
    {NULL, NULL, NULL},
};
static const struct key_row no_keys[] = {{NULL, NULL, NULL}};

static const struct key_row *find_key(const struct key_row *rows, const char *key)
{
    for (; rows->key; rows++)
        if (!strcmp(rows->key, key)) return rows;
    return NULL;
}

static bool read_keys(struct device_list *list, struct device_option *d, const struct key_row *first,
                      const struct key_row *second, struct complaint *c)
{
    char *key, *value;
    while (option_list_next(&list->keys, &key, &value)) {
        const struct key_row *row = find_key(first, key);
        if (!row) row = find_key(second, key);
        if (!row) return COMPLAIN(c, "-device %s: there is no key \"%s\"", list->name, key);
        if (!row->set(d, value))
            return COMPLAIN(c, "-device %s: %s takes %s, not \"%s\"", list->name, key, row->values,
                            value ? value : "");
    }
    if (d->no_legacy && d->no_modern)
        return COMPLAIN(c, "-device %s: without its legacy and its modern interface it has none", list->name);
    return true;
}

/* --- devices --- */

static struct device_option *new_device(struct options *o, enum device_kind kind, struct complaint *c)
{
    struct device_options *devices = &o->board.devices;
    if (devices->count == DEVICES_MAX) {
        snprintf(c->text, c->bytes, "there are more than %u devices", DEVICES_MAX);
        return NULL;
    }
    struct device_option *d = &devices->device[devices->count++];
    *d = (struct device_option){.kind = kind};
    return d;
}

static bool needs_drive(const struct device_option *d, struct device_list *list, struct complaint *c)
{
    return d->drive ? true : COMPLAIN(c, "-device %s needs drive=ID", list->name);
}

static bool add_virtio_blk(struct options *o, struct device_list *list, struct complaint *c)
{
    struct device_option *d = new_device(o, DEVICE_VIRTIO_BLK, c);
    return d && read_keys(list, d, pci_keys, block_keys, c) && needs_drive(d, list, c);
}

static bool add_ide(struct options *o, struct device_list *list, struct complaint *c)
{
    struct device_option *d = new_device(o, DEVICE_DRIVE, c);
    if (!d) return false;
    d->interface = DRIVE_IDE;
    d->medium = !strcmp(list->name, "ide-cd") ? MEDIUM_CDROM : MEDIUM_DISK;
    return read_keys(list, d, ide_keys, block_keys, c) && needs_drive(d, list, c);
}

static bool add_floppy(struct options *o, struct device_list *list, struct complaint *c)
{
    struct device_option *d = new_device(o, DEVICE_DRIVE, c);
    if (!d) return false;
    d->interface = DRIVE_FLOPPY;
    return read_keys(list, d, floppy_keys, no_keys, c) && needs_drive(d, list, c);
}

static bool add_virtio_rng(struct options *o, struct device_list *list, struct complaint *c)
{
    struct device_option *d = new_device(o, DEVICE_VIRTIO_RNG, c);
    return d && read_keys(list, d, pci_keys, no_keys, c);
}

static bool add_virtio_serial(struct options *o, struct device_list *list, struct complaint *c)
{
    struct device_option *d = new_device(o, DEVICE_VIRTIO_CONSOLE, c);
    return d && read_keys(list, d, pci_keys, no_keys, c);
}

/* What is plugged into the virtio-serial-pci before it: the one port that such a device has. */
static bool add_virtconsole(struct options *o, struct device_list *list, struct complaint *c)
{
    struct device_option port = {.kind = DEVICE_VIRTIO_CONSOLE}, *to = NULL;
    for (unsigned n = o->board.devices.count; n-- > 0 && !to;) {
        struct device_option *d = &o->board.devices.device[n];
        if (d->kind == DEVICE_VIRTIO_CONSOLE && !d->chardev && !d->back_end) to = d;
    }
    bool good = read_keys(list, &port, port_keys, no_keys, c);
    if (good && !port.chardev)
        good = COMPLAIN(c, "-device %s needs chardev=ID", list->name);
    else if (good && !to)
        good = COMPLAIN(c, "-device virtconsole needs a -device virtio-serial-pci before it, one each");
    if (good)
        to->chardev = port.chardev;
    else
        free(port.chardev);
    return good;
}

static bool fit_debug_exit(struct options *o, const char *port, const char *bytes, struct complaint *c)
{
    u64 base = 0x501, size = 2; /* as QEMU's isa-debug-exit has them */
    if ((port && (!option_number(port, &base) || base > 0xffff)) ||
        (bytes && (!option_number(bytes, &size) || (size != 1 && size != 2 && size != 4))) ||
        base + size > 0x10000)
        return COMPLAIN(c, "isa-debug-exit takes iobase=PORT and iosize=1, 2 or 4");
    o->board.debug_exit = true;
    o->board.debug_exit_port = (u16)base;
    o->board.debug_exit_bytes = (u8)size;
    return true;
}

static bool add_debug_exit(struct options *o, struct device_list *list, struct complaint *c)
{
    char *key, *value;
    const char *port = NULL, *bytes = NULL;
    while (option_list_next(&list->keys, &key, &value)) {
        if (!strcmp(key, "iobase")) port = value;
        if (!strcmp(key, "iosize")) bytes = value;
    }
    return fit_debug_exit(o, port, bytes, c);
}

static const struct {
    const char *name;
    bool (*add)(struct options *o, struct device_list *list, struct complaint *c);
} devices[] = {
    {"ide-hd", add_ide},
    {"ide-cd", add_ide},
    {"floppy", add_floppy},
    {"virtio-blk-pci", add_virtio_blk},
    {"virtio-rng-pci", add_virtio_rng},
    {"virtio-serial-pci", add_virtio_serial},
    {"virtconsole", add_virtconsole},
    {"isa-debug-exit", add_debug_exit},
};

static bool no_such_device(const char *name, struct complaint *c)
{
    int at = snprintf(c->text, c->bytes, "there is no device \"%s\"; there are", name);
    for (unsigned n = 0; n < ARRAY_SIZE(devices) && at >= 0 && (size_t)at < c->bytes; n++)
        at += snprintf(c->text + at, c->bytes - (size_t)at, "%s %s", n ? "," : "", devices[n].name);
    return false;
}

/* --- setters --- */

static bool set_device(struct options *o, const char *value, struct complaint *c)
{
    struct device_list list = {.name = ""};
    char *name, *rest;
    unsigned n = 0;
    if (!option_list_open(&list.keys, value)) return COMPLAIN(c, "out of memory");
    if (option_list_next(&list.keys, &name, &rest)) list.name = name;
    while (n < ARRAY_SIZE(devices) && strcmp(devices[n].name, list.name))
        n++;
    bool good = n < ARRAY_SIZE(devices) ? devices[n].add(o, &list, c) : no_such_device(list.name, c);
    option_list_close(&list.keys);
    return good;
}

static bool set_debug_exit(struct options *o, const char *value, struct complaint *c)
{
    return fit_debug_exit(o, value ? value : "0xf4", "4", c);
}

static bool set_virtio_console(struct options *o, const char *value, struct complaint *c)
{
    struct device_option *d = new_device(o, DEVICE_VIRTIO_CONSOLE, c);
    return d && (d->back_end = strdup(value));
}

/* Into what chardev_open() takes. */
static bool add_chardev(struct device_options *devices, const char *kind, const char *id, const char *path)
{
    bool file = !strcmp(kind, "file");
    bool known = file ? path != NULL : !strcmp(kind, "stdio") || !strcmp(kind, "null");
    if (!known || !id || devices->chardevs == CHARDEVS_MAX) return false;
    struct chardev_option *chardev = &devices->chardev[devices->chardevs++];
    chardev->id = strdup(id);
    if (asprintf(&chardev->back_end, file ? "%s:%s" : "%s", kind, path) < 0) chardev->back_end = NULL;
    return chardev->id && chardev->back_end;
}

/* stdio,id=ID or null,id=ID or file,id=ID,path=FILE; QEMU has more keys. */
static bool set_chardev(struct options *o, const char *value, struct complaint *c)
{
    struct option_list list;
    char *key, *rest, *kind = "", *id = NULL, *path = NULL;
    if (!option_list_open(&list, value)) return COMPLAIN(c, "out of memory");
    for (bool first = true; option_list_next(&list, &key, &rest); first = false) {
        if (first) kind = key;
        if (!strcmp(key, "id")) id = rest;
        if (!strcmp(key, "path")) path = rest;
    }
    bool good = add_chardev(&o->board.devices, kind, id, path);
    option_list_close(&list);
    return good ? true
                : COMPLAIN(c, "-chardev takes stdio,id=ID or null,id=ID or file,id=ID,path=FILE, %u at most",
                           CHARDEVS_MAX);
}

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* The drive that a device names, which is nobody else's. */
static struct drive_option *named_drive(const struct device_options *options, const struct device_option *d,
                                        struct drive_options *drives, char *error, size_t error_bytes)
{
    struct drive_option *drive = NULL;
    bool twice = false;
    for (unsigned n = 0; n < drives->count; n++)
        if (drives->drive[n].id && !strcmp(drives->drive[n].id, d->drive)) drive = &drives->drive[n];
    for (const struct device_option *other = options->device; other < d; other++)
        twice |= other->drive && !strcmp(other->drive, d->drive);
    if (drive && !twice && drive->interface == DRIVE_NONE) return drive;
    snprintf(error, error_bytes,
             !drive  ? "there is no -drive with the id \"%s\""
             : twice ? "two devices want the drive \"%s\""
                     : "the drive \"%s\" has a place already; one for a -device has if=none",
             d->drive);
    return NULL;
}

static bool place(const struct device_option *d, struct drive_option *drive, char *error, size_t error_bytes)
{
    if (drive->medium == MEDIUM_CDROM && d->medium != MEDIUM_CDROM)
        return SAY("the drive \"%s\" has media=cdrom: that is for -device ide-cd", d->drive);
    drive->interface = d->interface;
    drive->medium = d->medium;
    drive->read_only |= d->medium == MEDIUM_CDROM;
    drive->index = d->bus * 2 + d->unit;
    drive->index_given = d->place_given;
    if (d->boot_index) drive->boot_index = d->boot_index;
    return !d->serial || set_string(&drive->serial, d->serial);
}

bool device_options_place(const struct device_options *options, struct drive_options *drives, char *error,
                          size_t error_bytes)
{
    for (unsigned n = 0; n < options->count; n++) {
        const struct device_option *d = &options->device[n];
        struct drive_option *drive = NULL;
        if (d->drive && !(drive = named_drive(options, d, drives, error, error_bytes))) return false;
        if (d->kind == DEVICE_DRIVE && !place(d, drive, error, error_bytes)) return false;
    }
    return true;
}

bool device_options_settle(struct device_options *options, char *error, size_t error_bytes)
{
    for (unsigned n = 0; n < options->count; n++) {
        struct device_option *d = &options->device[n];
        for (unsigned i = 0; d->chardev && i < options->chardevs; i++)
            if (!strcmp(options->chardev[i].id, d->chardev))
                set_string(&d->back_end, options->chardev[i].back_end);
        if (!d->chardev || d->back_end) continue;
        snprintf(error, error_bytes, "there is no -chardev with the id \"%s\"", d->chardev);
        return false;
    }
    return true;
}

void device_options_release(struct device_options *options)
{
    for (unsigned n = 0; n < options->count; n++) {
        free(options->device[n].drive);
        free(options->device[n].serial);
        free(options->device[n].chardev);
        free(options->device[n].back_end);
    }
    for (unsigned n = 0; n < options->chardevs; n++) {
        free(options->chardev[n].id);
        free(options->chardev[n].back_end);
    }
    options->count = options->chardevs = 0;
}

bool device_options_use(const struct device_options *options, const char *back_end)
{
    for (unsigned n = 0; n < options->count; n++)
        if (options->device[n].back_end && !strcmp(options->device[n].back_end, back_end)) return true;
    return false;
}

static const struct option_row rows[] = {
    {"device", "DEVICE,...", "ide-hd,drive=ID, ide-cd, virtio-blk-pci, virtio-rng-pci, ... as in QEMU",
     .set = set_device},
    {"chardev", "KIND,id=ID", "stdio, null or file,path=FILE, for a -device that names it",
     .set = set_chardev},
    {"virtio-console", "TO", "next virtio console (hvc0, ...): stdio, null, file:PATH",
     .set = set_virtio_console},
    {"debug-exit", "[=PORT]", "fit the debug exit port (default F4h): writing V ends with status 2V+1",
     .set = set_debug_exit},
};

const struct option_group options_devices = {"Devices", rows, ARRAY_SIZE(rows)};
