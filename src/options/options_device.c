/*
 * Options: devices that -device adds one by one. The types of devices and their properties are in the table that
 * device_type.h describes.
 */
#include "options_table.h"

#include <stdlib.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

bool device_options_add(struct device_options *options, const char *list, char *error, size_t error_bytes)
{
    if (options->count == DEVICES_MAX) return SAY("there are more than %u devices", DEVICES_MAX);
    return device_parse(&options->device[options->count++], options->types, list, error, error_bytes);
}

/* --- setters --- */

/* "help", "NAME,help" */
static bool asks_for_help(struct options *o, const char *value)
{
    size_t length = strcspn(value, ",");
    if (!strcmp(value, "help") || !strcmp(value, "?")) return o->device_help = true;
    if (strcmp(value + length, ",help") && strcmp(value + length, ",?")) return false;
    char *name = strndup(value, length);
    o->device_help_type = name ? device_type_find(o->board.devices.types, name) : NULL;
    o->device_help = o->device_help_type != NULL;
    free(name);
    return o->device_help;
}

static bool set_device(struct options *o, const char *value, struct complaint *c)
{
    return asks_for_help(o, value) || device_options_add(&o->board.devices, value, c->text, c->bytes);
}

static bool set_debug_exit(struct options *o, const char *value, struct complaint *c)
{
    char list[64];
    u64 port = 0xf4;
    if (value && !option_number(value, &port))
        return COMPLAIN(c, "--debug-exit takes the number of a port, not \"%s\"", value);
    snprintf(list, sizeof(list), "isa-debug-exit,iobase=%llu,iosize=4", (unsigned long long)port);
    return device_options_add(&o->board.devices, list, c->text, c->bytes);
}

static bool add_chardev(struct device_options *devices, const char *id, char *back_end)
{
    if (!back_end || devices->chardevs == CHARDEVS_MAX) {
        free(back_end);
        return false;
    }
    struct chardev_option *chardev = &devices->chardev[devices->chardevs++];
    *chardev = (struct chardev_option){strdup(id), back_end};
    return chardev->id;
}

/* Add a device together with a chardev that no option names. Its id begins with '#', which ids of users do not. */
static bool add_with_chardev(struct options *o, const char *device, const char *back_end, struct complaint *c)
{
    struct device_options *devices = &o->board.devices;
    char id[16], list[96];
    snprintf(id, sizeof(id), "#%u", devices->chardevs);
    snprintf(list, sizeof(list), "%s,chardev=%s", device, id);
    if (!add_chardev(devices, id, strdup(back_end)))
        return COMPLAIN(c, "there are more than %u chardevs", CHARDEVS_MAX);
    return device_options_add(devices, list, c->text, c->bytes);
}

static bool set_virtio_console(struct options *o, const char *value, struct complaint *c)
{
    return device_options_add(&o->board.devices, "virtio-serial-pci", c->text, c->bytes) &&
           add_with_chardev(o, "virtconsole", value, c);
}

bool options_set_debugcon(struct options *o, const char *value, struct complaint *c)
{
    return add_with_chardev(o, "isa-debugcon", value, c);
}

bool options_set_firmware_log(struct options *o, const char *value, struct complaint *c)
{
    return add_with_chardev(o, "isa-debugcon,iobase=0x402", value, c);
}

/* The argument of chardev_open() for this chardev, to be freed; NULL: there is none. */
static char *back_end_of(const char *kind, const char *path)
{
    char *text;
    if (!strcmp(kind, "stdio") || !strcmp(kind, "null")) return strdup(kind);
    if (strcmp(kind, "file") || !path || asprintf(&text, "file:%s", path) < 0) return NULL;
    return text;
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
    bool good = id && add_chardev(&o->board.devices, id, back_end_of(kind, path));
    option_list_close(&list);
    return good ? true
                : COMPLAIN(c, "-chardev takes stdio,id=ID or null,id=ID or file,id=ID,path=FILE, %u at most",
                           CHARDEVS_MAX);
}

/* --- drives --- */

/* NULL: the type has no such property, or it was not given. */
static const char *drive_of(const struct device_option *device)
{
    for (unsigned n = 0; n < device->values; n++)
        if (device->value[n].property->kind == PROPERTY_DRIVE) return device->value[n].text;
    return NULL;
}

/* The drive that a device names. NULL with one sentence in error; also if an earlier device has the drive. */
static struct drive_option *named_drive(const struct device_options *options,
                                        const struct device_option *device, struct drive_options *drives,
                                        char *error, size_t error_bytes)
{
    const char *id = drive_of(device);
    struct drive_option *drive = drive_options_find(drives, id);
    bool twice = false;
    for (const struct device_option *other = options->device; other < device; other++)
        twice |= drive_of(other) && !strcmp(drive_of(other), id);
    if (drive && !twice && drive->interface == DRIVE_NONE) return drive;
    snprintf(error, error_bytes,
             !drive  ? "there is no -drive with the id \"%s\""
             : twice ? "two devices have the drive \"%s\""
                     : "the drive \"%s\" is already at a controller; a drive for a -device needs if=none",
             id);
    return NULL;
}

static bool put_into_controller(const struct device_option *device, struct drive_option *drive, char *error,
                                size_t error_bytes)
{
    const struct device_type *type = device->type;
    bool ide = type->interface == DRIVE_IDE;
    if (drive->medium == MEDIUM_CDROM && type->medium != MEDIUM_CDROM)
        return SAY("the drive \"%s\" has media=cdrom: that is for -device ide-cd", drive->id);
    drive->interface = type->interface;
    drive->medium = type->medium;
    drive->read_only |= type->medium == MEDIUM_CDROM;
    drive->index = (unsigned)device_number(device, "unit", 0);
    drive->index_given = device_text(device, "unit");
    if (ide) {
        drive->index += 2 * (unsigned)device_number(device, "bus", 0);
        drive->index_given |= device_text(device, "bus") != NULL;
        const char *serial = device_text(device, "serial");
        if (serial) {
            free(drive->serial);
            drive->serial = strdup(serial);
        }
    }
    if (device_text(device, "bootindex"))
        drive->boot_index = (unsigned)device_number(device, "bootindex", 0) + 1;
    return true;
}

bool device_options_take_drives(const struct device_options *options, struct drive_options *drives,
                                char *error, size_t error_bytes)
{
    for (unsigned n = 0; n < options->count; n++) {
        const struct device_option *device = &options->device[n];
        if (!drive_of(device)) continue;
        struct drive_option *drive = named_drive(options, device, drives, error, error_bytes);
        if (!drive) return false;
        if (!device->type->create && !put_into_controller(device, drive, error, error_bytes)) return false;
    }
    return true;
}

/* The drive's id may have commas, which are doubled in a list. */
static bool add_virtio_disk(struct device_options *options, const struct drive_option *drive, char *error,
                            size_t error_bytes)
{
    static const char start[] = "virtio-blk-pci,drive=";
    char *list = malloc(sizeof(start) + 2 * strlen(drive->id));
    if (!list) return SAY("out of memory");
    char *to = stpcpy(list, start);
    for (const char *from = drive->id; *from; from++) {
        if (*from == ',') *to++ = ',';
        *to++ = *from;
    }
    *to = 0;
    bool good = device_options_add(options, list, error, error_bytes);
    free(list);
    return good;
}

/* if=virtio is a virtio-blk device, as in QEMU. */
static bool add_virtio_disks(struct device_options *options, struct drive_options *drives, char *error,
                             size_t error_bytes)
{
    for (unsigned index = 0; index < DRIVES_MAX; index++)
        for (unsigned n = 0; n < drives->count; n++) {
            struct drive_option *drive = &drives->drive[n];
            if (drive->interface != DRIVE_VIRTIO || drive->index != index) continue;
            if (!drive->id && asprintf(&drive->id, "#virtio%u", index) < 0) return SAY("out of memory");
            if (!add_virtio_disk(options, drive, error, error_bytes)) return false;
        }
    return true;
}

/* --- what else devices name --- */

static bool find_chardev(const struct device_options *options, struct device_value *value, char *error,
                         size_t error_bytes)
{
    for (unsigned n = 0; n < options->chardevs && !value->back_end; n++)
        if (!strcmp(options->chardev[n].id, value->text)) value->back_end = options->chardev[n].back_end;
    return value->back_end || SAY("there is no -chardev with the id \"%s\"", value->text);
}

/* "ID" or, as QEMU names buses of devices, "ID.0". */
static bool is_bus_of(const struct device_option *device, const char *bus)
{
    size_t length = device->id ? strlen(device->id) : 0;
    return device->id && !strncmp(bus, device->id, length) && (!bus[length] || !strcmp(bus + length, ".0"));
}

/* Find the parent: the device that this one names, or the last one before it with a free socket. */
static bool plug_in(struct device_options *options, struct device_option *device, char *error,
                    size_t error_bytes)
{
    const struct device_bus *bus = device->type->bus;
    if (bus->on_board) return true;
    const char *wanted = device_text(device, "bus"), *provider = "";
    for (struct device_option *other = device; other-- > options->device && !device->parent;) {
        if (other->type->provides != bus || other->children == other->type->sockets) continue;
        if (wanted && !is_bus_of(other, wanted)) continue;
        other->children++;
        device->parent = (unsigned)(other - options->device) + 1;
    }
    for (unsigned n = 0; options->types[n]; n++)
        if (options->types[n]->provides == bus) provider = options->types[n]->name;
    return device->parent ||
           SAY("-device %s needs a -device %s with a free port before it", device->type->name, provider);
}

bool device_options_settle(struct device_options *options, struct drive_options *drives, char *error,
                           size_t error_bytes)
{
    if (!add_virtio_disks(options, drives, error, error_bytes)) return false;
    for (unsigned n = 0; n < options->count; n++) {
        struct device_option *device = &options->device[n];
        if (!plug_in(options, device, error, error_bytes)) return false;
        for (unsigned i = 0; i < device->values; i++)
            if (device->value[i].property->kind == PROPERTY_CHARDEV &&
                !find_chardev(options, &device->value[i], error, error_bytes))
                return false;
    }
    return true;
}

void device_options_release(struct device_options *options)
{
    for (unsigned n = 0; n < options->count; n++)
        device_release(&options->device[n]);
    for (unsigned n = 0; n < options->chardevs; n++) {
        free(options->chardev[n].id);
        free(options->chardev[n].back_end);
    }
    options->count = options->chardevs = 0;
}

bool device_options_type_from(const struct device_options *options, const char *back_end)
{
    for (unsigned n = 0; n < options->count; n++) {
        const struct device_option *device = &options->device[n];
        for (unsigned i = 0; i < device->values && device->type->takes_input; i++)
            if (device->value[i].back_end && !strcmp(device->value[i].back_end, back_end)) return true;
    }
    return false;
}

static const struct option_row rows[] = {
    {"device", "NAME,KEY=VALUE,...",
     "add a device: -device help lists them, -device NAME,help its properties", .set = set_device},
    {"chardev", "KIND,id=ID", "a back end that a -device can name: stdio, null or file,path=FILE",
     .set = set_chardev},
    {"virtio-console", "TO", "add a virtio console (hvc0, ...) that goes to stdio, null or file:PATH",
     .set = set_virtio_console},
    {"debug-exit", "[=PORT]",
     "add the debug exit port (default F4h): writing V ends the run with status 2V+1", .set = set_debug_exit},
};

const struct option_group options_devices = {"Devices", rows, ARRAY_SIZE(rows)};
