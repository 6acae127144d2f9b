/*
 * Options: devices that -device adds one by one. The types of devices and their properties are in the table that
 * device_type.h describes.
 */
#include "options_json.h"
#include "options_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

bool device_options_add(struct device_options *options, const char *list, char *error, size_t error_bytes)
{
    if (options->count == DEVICES_MAX) return SAY("there are more than %u devices", DEVICES_MAX);
    return device_parse(&options->device[options->count++], options->types, list, error, error_bytes);
}

bool device_options_insert(struct device_options *options, unsigned at, const char *list, char *error,
                           size_t error_bytes)
{
    if (!device_options_add(options, list, error, error_bytes)) return false;
    struct device_option *to = &options->device[at], added = options->device[options->count - 1];
    memmove(to + 1, to, (options->count - 1 - at) * sizeof(*to));
    *to = added;
    return true;
}

/* --- properties of whole types --- */

/* The power management of QEMU's two PCs, by the names that libvirt gives. */
static bool is_suspend_switch(const struct global_option *global)
{
    bool chip = !strcmp(global->type, "PIIX4_PM") || !strcmp(global->type, "ICH9-LPC");
    return chip && !strcmp(global->property, "disable_s3");
}

static bool set_suspend(struct options *o, const char *value, const char *whole, struct complaint *c)
{
    u64 number;
    if (option_number(value, &number) && number <= 1)
        o->board.no_suspend = number;
    else if (!option_switch(value, &o->board.no_suspend))
        return COMPLAIN(c, "-global %s: disable_s3 is on or off", whole);
    return true;
}

/* TYPE.PROPERTY=VALUE, or driver=TYPE,property=PROPERTY,value=VALUE */
static bool set_global(struct options *o, const char *value, struct complaint *c)
{
    struct device_options *devices = &o->board.devices;
    struct global_option *global = &devices->global[devices->globals];
    if (devices->globals == GLOBALS_MAX) return COMPLAIN(c, "there are more than %u -global", GLOBALS_MAX);
    *global = (struct global_option){.type = option_item(value, "driver"),
                                     .property = option_item(value, "property"),
                                     .value = option_item(value, "value")};
    const char *dot = strchr(value, '.'), *equals = strchr(value, '=');
    if (!global->type && dot && equals && dot < equals) {
        global->type = strndup(value, (size_t)(dot - value));
        global->property = strndup(dot + 1, (size_t)(equals - dot - 1));
        global->value = strdup(equals + 1);
    }
    devices->globals++;
    if (!global->type || !global->property || !global->value)
        return COMPLAIN(c, "-global takes TYPE.PROPERTY=VALUE, not \"%s\"", value);
    if (is_suspend_switch(global)) return set_suspend(o, global->value, value, c);
    const struct device_type *type = device_type_find(devices->types, global->type);
    if (type && device_type_has(type, global->property)) global->applies_to = type;
    if (!global->applies_to) log_warn("-global %s has no effect: no device has this property", value);
    return true;
}

static bool apply_globals_to(const struct device_options *options, struct device_option *device, char *error,
                             size_t error_bytes)
{
    for (unsigned i = options->globals; i-- > 0;) { /* the last one counts */
        const struct global_option *global = &options->global[i];
        if (device->type != global->applies_to) continue;
        if (!device_set_default(device, global->property, global->value, error, error_bytes)) return false;
    }
    return true;
}

static bool apply_globals(struct device_options *options, char *error, size_t error_bytes)
{
    for (unsigned n = 0; n < options->count; n++)
        if (!apply_globals_to(options, &options->device[n], error, error_bytes)) return false;
    return true;
}

/* --- sources of random numbers --- */

bool device_options_add_rng(struct device_options *options, const char *list, char *error, size_t error_bytes)
{
    bool builtin = !strncmp(list, "rng-builtin", strcspn(list, ","));
    struct rng_option *rng = &options->rng[options->rngs];
    if (options->rngs == RNGS_MAX) return SAY("there are more than %u -object rng-...", RNGS_MAX);
    if (!builtin && strncmp(list, "rng-random", strcspn(list, ",")))
        return SAY("-object %s: there are rng-random and rng-builtin", list);
    *rng = (struct rng_option){option_item(list, "id"), builtin ? NULL : option_item(list, "filename")};
    options->rngs++;
    return rng->id || SAY("-object %s needs id=ID", list);
}

const struct rng_option *device_options_rng(const struct device_options *options, const char *id)
{
    for (unsigned n = 0; n < options->rngs; n++)
        if (!strcmp(options->rng[n].id, id)) return &options->rng[n];
    return NULL;
}

/* --- setters --- */

/* "help", "NAME,help" */
static bool asks_for_help(struct options *o, const char *value)
{
    size_t length = strcspn(value, ",");
    if (!strcmp(value, "help") || !strcmp(value, "?")) return o->help = COMMAND_HELP_DEVICES, true;
    if (strcmp(value + length, ",help") && strcmp(value + length, ",?")) return false;
    char *name = strndup(value, length);
    o->device_help_type = name ? device_type_find(o->board.devices.types, name) : NULL;
    free(name);
    if (o->device_help_type) o->help = COMMAND_HELP_DEVICES;
    return o->device_help_type;
}

static bool set_device(struct options *o, const char *value, struct complaint *c)
{
    if (asks_for_help(o, value)) return true;
    char *list = options_list_of(value, "driver", c->text, c->bytes);
    bool good = list && device_options_add(&o->board.devices, list, c->text, c->bytes);
    free(list);
    return good;
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

const struct char_options *device_options_chardev(const struct device_options *options, const char *id)
{
    for (unsigned n = 0; n < options->chardevs; n++)
        if (!strcmp(options->chardev[n].id, id)) return &options->chardev[n];
    return NULL;
}

static const char *add_short(struct device_options *options, const char *id, const char *text, char *error,
                             size_t error_bytes)
{
    struct char_options chardev;
    if (!char_options_short(&chardev, id, text, error, error_bytes)) return NULL;
    for (unsigned n = 0; n < options->chardevs && chardev.kind == CHAR_STDIO; n++)
        if (options->chardev[n].kind == CHAR_STDIO) {
            char_options_release(&chardev);
            return options->chardev[n].id;
        }
    if (options->chardevs == CHARDEV_OPTIONS_MAX || device_options_chardev(options, id)) {
        snprintf(error, error_bytes,
                 options->chardevs == CHARDEV_OPTIONS_MAX ? "there are too many chardevs"
                                                          : "there is a chardev \"%s\" already",
                 id);
        char_options_release(&chardev);
        return NULL;
    }
    options->chardev[options->chardevs++] = chardev;
    return chardev.id;
}

const char *device_options_chardev_for(struct device_options *options, const char *id, const char *text,
                                       char *error, size_t error_bytes)
{
    /* Which -chardev it is turns out when the whole command line is known: see find_chardev(). */
    if (!strncmp(text, "chardev:", 8)) return text + 8;
    return add_short(options, id, text, error, error_bytes);
}

/* Add a device together with a chardev that no option names. Its id begins with '#', which ids of users do not. */
static bool add_with_chardev(struct options *o, const char *device, const char *text, struct complaint *c)
{
    struct device_options *devices = &o->board.devices;
    char name[16], list[160];
    snprintf(name, sizeof(name), "#%u", devices->chardevs);
    const char *id = device_options_chardev_for(devices, name, text, c->text, c->bytes);
    if (!id) return false;
    snprintf(list, sizeof(list), "%s,chardev=%s", device, id);
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

bool device_options_add_chardev(struct device_options *options, const char *list, char *error,
                                size_t error_bytes)
{
    struct char_options *chardev = &options->chardev[options->chardevs];
    if (options->chardevs == CHARDEV_OPTIONS_MAX)
        return SAY("there are more than %u chardevs", CHARDEV_OPTIONS_MAX);
    if (!char_options_parse(chardev, list, error, error_bytes)) return false;
    if (device_options_chardev(options, chardev->id)) {
        bool good = SAY("there are two chardevs with the id \"%s\"", chardev->id);
        char_options_release(chardev);
        return good;
    }
    options->chardevs++;
    return true;
}

static bool set_chardev(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "help") || !strcmp(value, "?")) return o->help = COMMAND_HELP_CHARDEVS, true;
    return device_options_add_chardev(&o->board.devices, value, c->text, c->bytes);
}

/* --- drives --- */

/* NULL: the type has no such property, or it was not given. */
static const char *drive_of(const struct device_option *device)
{
    for (unsigned n = 0; n < device->values; n++)
        if (device->value[n].property->kind == PROPERTY_DRIVE) return device->value[n].text;
    return NULL;
}

/* The device other than `but` that has this drive, or NULL. */
static const struct device_option *user_of(const struct device_options *options, const char *id,
                                           const struct device_option *but)
{
    for (unsigned n = 0; n < options->count; n++) {
        const struct device_option *other = &options->device[n];
        if (other != but && drive_of(other) && !strcmp(drive_of(other), id)) return other;
    }
    return NULL;
}

const struct device_option *device_options_use_drive(const struct device_options *options, const char *id)
{
    return user_of(options, id, NULL);
}

/* The drive that a device names. NULL with one sentence in error; also if another device has the drive. */
static struct drive_option *named_drive(const struct device_options *options,
                                        const struct device_option *device, struct drive_options *drives,
                                        char *error, size_t error_bytes)
{
    const char *id = drive_of(device);
    struct drive_option *drive = drive_options_find(drives, id);
    bool twice = user_of(options, id, device);
    if (drive && !twice && !drive->above && drive->interface == DRIVE_NONE) return drive;
    snprintf(error, error_bytes,
             !drive  ? "there is no -drive with the id \"%s\""
             : twice ? "two devices have the drive \"%s\""
             : drive->above
                 ? "the node \"%s\" has another node above it"
                 : "the drive \"%s\" is already at a controller; a drive for a -device needs if=none",
             id);
    return NULL;
}

/* A CD is for CD drives, and nothing writes it. */
static bool settle_medium(const struct device_option *device, struct drive_option *drive, char *error,
                          size_t error_bytes)
{
    bool cd = device->type->medium == MEDIUM_CDROM;
    if (drive->medium == MEDIUM_CDROM && !cd)
        return SAY("the drive \"%s\" has media=cdrom: that is for -device ide-cd or scsi-cd", drive->id);
    drive->medium = device->type->medium;
    drive->read_only |= cd;
    return true;
}

static bool put_into_controller(const struct device_option *device, struct drive_option *drive, char *error,
                                size_t error_bytes)
{
    const struct device_type *type = device->type;
    bool ide = type->interface == DRIVE_IDE;
    drive->interface = type->interface;
    drive->index = (unsigned)device_number(device, "unit");
    drive->index_given = device_text(device, "unit");
    if (ide) {
        drive->index += 2 * (unsigned)device_number(device, "bus");
        drive->index_given |= device_text(device, "bus") != NULL;
        const char *serial = device_text(device, "serial");
        if (serial) {
            free(drive->serial);
            drive->serial = strdup(serial);
        }
    }
    drive->boot_index = device_boot_index(device, drive->boot_index);
    return true;
}

/* A CD drive whose device names no -drive is empty. */
static bool add_empty_drive(struct device_option *device, struct drive_options *drives, char *error,
                            size_t error_bytes)
{
    char id[24];
    bool empty =
        device->type->medium == MEDIUM_CDROM && device_type_has(device->type, "drive") && !drive_of(device);
    if (!empty) return true;
    snprintf(id, sizeof(id), "#empty%u", drives->count);
    const char *name = device->id && !drive_options_find(drives, device->id) ? device->id : id;
    return drive_options_add_empty(drives, name, error, error_bytes) &&
           device_set_default(device, "drive", name, error, error_bytes);
}

bool device_options_take_drives(struct device_options *options, struct drive_options *drives, char *error,
                                size_t error_bytes)
{
    if (!apply_globals(options, error, error_bytes)) return false;
    for (unsigned n = 0; n < options->count; n++) {
        struct device_option *device = &options->device[n];
        if (!add_empty_drive(device, drives, error, error_bytes)) return false;
        if (!drive_of(device)) continue;
        struct drive_option *drive = named_drive(options, device, drives, error, error_bytes);
        if (!drive || !settle_medium(device, drive, error, error_bytes)) return false;
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

bool device_options_lend(struct device_options *options, const char *id, char *error, size_t error_bytes)
{
    for (unsigned n = 0; n < options->chardevs; n++) {
        if (strcmp(options->chardev[n].id, id)) continue;
        options->chardev[n].lent = true;
        return options->chardev[n].kind == CHAR_SOCKET || SAY("the chardev \"%s\" is no socket", id);
    }
    return SAY("there is no -chardev with the id \"%s\"", id);
}

static bool find_chardev(struct device_options *options, struct device_value *value, char *error,
                         size_t error_bytes)
{
    bool whole = value->property->kind == PROPERTY_SOCKET;
    value->chardev = device_options_chardev(options, value->text);
    if (whole) return device_options_lend(options, value->text, error, error_bytes);
    return value->chardev || SAY("there is no -chardev with the id \"%s\"", value->text);
}

/* "ID" or, as QEMU names buses of devices, "ID.0". */
static bool is_bus_of(const struct device_option *device, const char *bus)
{
    size_t length = device->id ? strlen(device->id) : 0;
    return device->id && !strncmp(bus, device->id, length) && (!bus[length] || !strcmp(bus + length, ".0"));
}

/* Find the parent: the device that this one names, or the last one before `end` with a free socket. */
static bool plug_in(struct device_options *options, struct device_option *device, struct device_option *end,
                    char *error, size_t error_bytes)
{
    const struct device_bus *bus = device->type->bus;
    if (bus->on_board) return true;
    const char *wanted = device_text(device, "bus"), *provider = "";
    for (struct device_option *other = end; other-- > options->device && !device->parent;) {
        if (!other->type || other->type->provides != bus || other->children == other->type->sockets) continue;
        if (wanted && !is_bus_of(other, wanted)) continue;
        other->children++;
        device->parent = (unsigned)(other - options->device) + 1;
    }
    for (unsigned n = 0; options->types[n]; n++)
        if (options->types[n]->provides == bus) provider = options->types[n]->name;
    return device->parent ||
           SAY("-device %s needs a -device %s with a free port before it", device->type->name, provider);
}

static bool find_chardevs(struct device_options *options, struct device_option *device, char *error,
                          size_t error_bytes)
{
    for (unsigned i = 0; i < device->values; i++)
        if ((device->value[i].property->kind == PROPERTY_CHARDEV ||
             device->value[i].property->kind == PROPERTY_SOCKET) &&
            !find_chardev(options, &device->value[i], error, error_bytes))
            return false;
    return true;
}

bool device_options_settle(struct device_options *options, struct drive_options *drives, char *error,
                           size_t error_bytes)
{
    if (!add_virtio_disks(options, drives, error, error_bytes) || !apply_globals(options, error, error_bytes))
        return false;
    for (unsigned n = 0; n < options->count; n++) {
        struct device_option *device = &options->device[n];
        if (!plug_in(options, device, device, error, error_bytes) ||
            !find_chardevs(options, device, error, error_bytes))
            return false;
    }
    return true;
}

/* --- devices that come and go while the machine runs --- */

struct device_option *device_options_find(struct device_options *options, const char *id)
{
    for (unsigned n = 0; n < options->count; n++)
        if (options->device[n].type && options->device[n].id && !strcmp(options->device[n].id, id))
            return &options->device[n];
    return NULL;
}

static bool settle_plugged(struct device_options *options, struct device_option *device,
                           struct drive_options *drives, char *error, size_t error_bytes)
{
    if (!device_type_plugs(device->type, error, error_bytes)) return false;
    if (!apply_globals_to(options, device, error, error_bytes)) return false;
    if (device->type->medium == MEDIUM_CDROM && !drive_of(device))
        return SAY("-device %s needs drive=ID while the machine runs", device->type->name);
    if (drive_of(device)) {
        struct drive_option *drive = named_drive(options, device, drives, error, error_bytes);
        if (!drive || !settle_medium(device, drive, error, error_bytes)) return false;
    }
    return find_chardevs(options, device, error, error_bytes) &&
           plug_in(options, device, options->device + options->count, error, error_bytes);
}

struct device_option *device_options_plug(struct device_options *options, struct drive_options *drives,
                                          const char *list, char *error, size_t error_bytes)
{
    unsigned n = 0;
    while (n < options->count && options->device[n].type)
        n++;
    struct device_option *device = &options->device[n], parsed;
    bool good = n < DEVICES_MAX ? device_parse(&parsed, options->types, list, error, error_bytes)
                                : SAY("there are more than %u devices", DEVICES_MAX);
    if (n < DEVICES_MAX && good && parsed.id && device_options_find(options, parsed.id))
        good = SAY("Duplicate device ID '%.100s'", parsed.id);
    if (n == DEVICES_MAX) return NULL;
    *device = parsed;
    if (good) good = settle_plugged(options, device, drives, error, error_bytes);
    if (!good) {
        device_release(device);
        return NULL;
    }
    if (n == options->count) options->count++;
    return device;
}

void device_options_unplug(struct device_options *options, struct device_option *device)
{
    if (device->parent) options->device[device->parent - 1].children--;
    device_release(device);
}

void device_options_release(struct device_options *options)
{
    for (unsigned n = 0; n < options->count; n++)
        device_release(&options->device[n]);
    for (unsigned n = 0; n < options->chardevs; n++)
        char_options_release(&options->chardev[n]);
    for (unsigned n = 0; n < options->globals; n++) {
        free(options->global[n].type);
        free(options->global[n].property);
        free(options->global[n].value);
    }
    for (unsigned n = 0; n < options->rngs; n++) {
        free(options->rng[n].id);
        free(options->rng[n].file);
    }
    options->count = options->chardevs = options->globals = options->rngs = 0;
}

bool device_options_type_from_stdio(const struct device_options *options)
{
    for (unsigned n = 0; n < options->count; n++) {
        const struct device_option *device = &options->device[n];
        for (unsigned i = 0; i < device->values && device->type->takes_input; i++)
            if (device->value[i].chardev && device->value[i].chardev->kind == CHAR_STDIO) return true;
    }
    return false;
}

static const struct option_row rows[] = {
    {"device", "NAME,KEY=VALUE,...",
     "add a device: -device help lists them, -device NAME,help its properties", .set = set_device},
    {"chardev", "KIND,id=ID",
     "the host's end for a -device: stdio, socket, file, pipe, pty, ...; -chardev help lists them",
     .set = set_chardev},
    {"virtio-console", "TO", "add a virtio console (hvc0, ...); TO as for -serial",
     .set = set_virtio_console},
    {"global", "TYPE.PROPERTY=VALUE", "a property of every -device of a type that does not set it",
     .set = set_global},
    {"debug-exit", "[=PORT]",
     "add the debug exit port (default F4h): writing V ends the run with status 2V+1", .set = set_debug_exit},
};

const struct option_group options_devices = {"Devices", rows, ARRAY_SIZE(rows)};
