/*
 * Options: media and the drives they are in.
 */
#include "options_drive.h"

#include "options_json.h"
#include "options_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* --- values --- */

/* The index of a word in a list that ends with NULL, or -1. */
static int word_of(const char *value, const char *const *words)
{
    for (int n = 0; words[n]; n++)
        if (!strcmp(value, words[n])) return n;
    return -1;
}

static bool number_of(const char *value, unsigned *number)
{
    u64 n;
    if (!option_number(value, &n) || n > 99) return false;
    *number = (unsigned)n;
    return true;
}

static const char *const interfaces[] = {"ide", "floppy", "virtio", "pflash", "none", NULL};
static const char *const media[] = {"disk", "cdrom", NULL};
static const char *const formats[] = {"raw", "qcow2", NULL};
static const char *const policies[] = {"report", "ignore", "stop", "enospc", NULL};
static const char *const detections[] = {"off", "on", "unmap", NULL};
static const char *const discards[] = {"ignore", "unmap", "off", "on", NULL};
static const char *const caches[] = {"writeback", "writethrough", "none", "directsync", "unsafe", NULL};

const char *drive_interface_name(enum drive_interface interface)
{
    return interfaces[interface];
}

/* What has been read of a list so far. */
struct reading {
    struct drive_option *drive;
    unsigned bus, unit;
    bool bus_given;
};

static bool set_file(struct reading *r, const char *value)
{
    free(r->drive->file);
    r->drive->file = strdup(value);
    return *value != 0;
}

static bool set_id(struct reading *r, const char *value)
{
    free(r->drive->id);
    r->drive->id = strdup(value);
    return *value != 0;
}

static bool set_format(struct reading *r, const char *value)
{
    int n = word_of(value, formats);
    r->drive->format = n < 0 ? NULL : formats[n];
    return n >= 0;
}

static bool set_interface(struct reading *r, const char *value)
{
    int n = word_of(value, interfaces);
    r->drive->interface = (enum drive_interface)n;
    return n >= 0;
}

static bool set_index(struct reading *r, const char *value)
{
    r->drive->index_given = true;
    return number_of(value, &r->drive->index);
}

static bool set_boot_index(struct reading *r, const char *value)
{
    bool good = number_of(value, &r->drive->boot_index);
    r->drive->boot_index++;
    return good;
}

static bool set_bus(struct reading *r, const char *value)
{
    r->bus_given = true;
    return number_of(value, &r->bus);
}

static bool set_unit(struct reading *r, const char *value)
{
    r->bus_given = true;
    return number_of(value, &r->unit);
}

static bool set_medium(struct reading *r, const char *value)
{
    int n = word_of(value, media);
    r->drive->medium = (enum drive_medium)n;
    return n >= 0;
}

static bool set_read_only(struct reading *r, const char *value)
{
    return option_switch(value, &r->drive->read_only);
}

static bool set_snapshot(struct reading *r, const char *value)
{
    return option_switch(value, &r->drive->snapshot);
}

/* The host's page cache is used even with cache=none. A flush means stable storage in any case. */
static bool set_cache(struct reading *r, const char *value)
{
    int n = word_of(value, caches);
    r->drive->write_through = n == 1 || n == 3;
    r->drive->never_flush = n == 4;
    return n >= 0;
}

static bool set_write_error(struct reading *r, const char *value)
{
    int n = word_of(value, policies);
    r->drive->on_write_error = (enum error_policy)n;
    return n >= 0;
}

static bool set_read_error(struct reading *r, const char *value)
{
    int n = word_of(value, policies);
    r->drive->on_read_error = (enum error_policy)n;
    return n >= 0 && n != ON_ERROR_ENOSPC;
}

static bool set_discard(struct reading *r, const char *value)
{
    int n = word_of(value, discards);
    r->drive->no_discard = !(n & 1);
    return n >= 0;
}

static bool set_detect_zeroes(struct reading *r, const char *value)
{
    int n = word_of(value, detections);
    r->drive->detect_zeroes = (enum detect_zeroes)n;
    return n >= 0;
}

static bool set_nothing(struct reading *r, const char *value)
{
    return true;
}

static const struct {
    const char *key, *values;
    bool (*set)(struct reading *r, const char *value);
} keys[] = {
    {"file", "a file", set_file},
    {"id", "a name", set_id},
    {"format", "raw or qcow2", set_format},
    {"if", "ide, floppy, virtio or none", set_interface},
    {"index", "a number", set_index},
    {"bus", "a number", set_bus},
    {"unit", "a number", set_unit},
    {"media", "disk or cdrom", set_medium},
    {"readonly", "on or off", set_read_only},
    {"read-only", "on or off", set_read_only},
    {"snapshot", "on or off", set_snapshot},
    {"cache", "writeback, writethrough, none, directsync or unsafe", set_cache},
    {"werror", "report, ignore, stop or enospc", set_write_error},
    {"rerror", "report, ignore or stop", set_read_error},
    {"discard", "unmap or ignore", set_discard},
    {"bootindex", "a number", set_boot_index},
    {"detect-zeroes", "on, off or unmap", set_detect_zeroes},
    {"aio", "anything", set_nothing},
};

static bool read_item(struct reading *r, const char *key, const char *value, char *error, size_t error_bytes)
{
    for (unsigned n = 0; n < ARRAY_SIZE(keys); n++) {
        if (strcmp(key, keys[n].key)) continue;
        if (keys[n].set(r, value)) return true;
        return SAY("-drive: %s takes %s, not \"%s\"", key, keys[n].values, value);
    }
    return SAY("-drive: there is no key \"%s\"", key);
}

static struct drive_option *next_drive(struct drive_options *options, char *error, size_t error_bytes)
{
    if (options->count == DRIVES_MAX) {
        snprintf(error, error_bytes, "there are more than %u drives", DRIVES_MAX);
        return NULL;
    }
    struct drive_option *drive = &options->drive[options->count++];
    *drive = (struct drive_option){.on_write_error = ON_ERROR_ENOSPC};
    return drive;
}

bool drive_options_add(struct drive_options *options, const char *list, char *error, size_t error_bytes)
{
    struct reading r = {.drive = next_drive(options, error, error_bytes)};
    struct option_list items;
    char *key, *value;
    if (!r.drive) return false;
    bool good = option_list_open(&items, list) ? true : SAY("out of memory");
    while (good && option_list_next(&items, &key, &value))
        good = value ? read_item(&r, key, value, error, error_bytes)
                     : SAY("-drive takes a list KEY=VALUE,...; \"%s\" has no value", key);
    option_list_close(&items);
    if (!good) return false;
    if (r.bus_given) {
        if (r.drive->index_given) return SAY("-drive: index excludes bus and unit");
        r.drive->index = r.bus * 2 + r.unit;
        r.drive->index_given = true;
    }
    if (r.drive->medium == MEDIUM_CDROM) r.drive->read_only = true;
    if (r.drive->interface == DRIVE_NONE && !r.drive->id)
        return SAY("-drive: if=none needs an id=NAME, by which a -device names the drive");
    return true;
}

bool drive_options_add_file(struct drive_options *options, const char *file, enum drive_interface interface,
                            unsigned index, enum drive_medium medium, char *error, size_t error_bytes)
{
    struct drive_option *drive = next_drive(options, error, error_bytes);
    if (!drive) return false;
    drive->file = strdup(file);
    drive->interface = interface;
    drive->index = index;
    drive->index_given = true;
    drive->medium = medium;
    drive->read_only = medium == MEDIUM_CDROM;
    return true;
}

bool drive_options_add_empty(struct drive_options *options, const char *id, char *error, size_t error_bytes)
{
    struct drive_option *drive = next_drive(options, error, error_bytes);
    if (!drive) return false;
    drive->id = strdup(id);
    drive->interface = DRIVE_NONE;
    drive->medium = MEDIUM_CDROM;
    return drive->id || SAY("out of memory");
}

static bool is_taken(const struct drive_options *options, const struct drive_option *but, unsigned index)
{
    for (unsigned n = 0; n < options->count; n++) {
        const struct drive_option *other = &options->drive[n];
        if (other != but && !other->gone && other->interface == but->interface && other->index_given &&
            other->index == index)
            return true;
    }
    return false;
}

/* How many drives an interface connects. A virtio disk is a PCI device of its own. */
static const unsigned connectors[] = {
    [DRIVE_IDE] = 4, [DRIVE_FLOPPY] = 2, [DRIVE_VIRTIO] = DRIVES_MAX, [DRIVE_FLASH] = 2};

static bool settle(const struct drive_options *options, struct drive_option *drive, char *error,
                   size_t error_bytes)
{
    const char *interface = drive_interface_name(drive->interface);
    for (unsigned n = 0; drive->id && n < options->count; n++)
        if (&options->drive[n] != drive && options->drive[n].id && !strcmp(options->drive[n].id, drive->id))
            return SAY("there are two drives with the id \"%s\"", drive->id);
    if (!drive->file && drive->medium == MEDIUM_DISK && drive->interface != DRIVE_FLOPPY)
        return SAY("-drive: a disk needs file=FILE");
    if (drive->interface == DRIVE_NONE) return true;
    unsigned first = drive->medium == MEDIUM_CDROM && drive->interface == DRIVE_IDE ? 2 : 0;
    if (!drive->index_given) {
        /* A CD-ROM goes to the second channel if there is room, as -cdrom does. */
        drive->index = first;
        while (drive->index < connectors[drive->interface] && is_taken(options, drive, drive->index))
            drive->index++;
        for (unsigned n = 0; drive->index >= connectors[drive->interface] && n < first; n++)
            if (!is_taken(options, drive, n)) drive->index = n;
        drive->index_given = true;
    }
    if (drive->index >= connectors[drive->interface])
        return SAY("there can be at most %u %s drives: there is no room for %s", connectors[drive->interface],
                   interface, drive->file ? drive->file : "another");
    if (is_taken(options, drive, drive->index))
        return SAY("there are two options for %s drive %u", interface, drive->index);
    return true;
}

struct drive_option *drive_options_find(struct drive_options *options, const char *id)
{
    for (unsigned n = 0; n < options->count; n++)
        if (options->drive[n].id && !strcmp(options->drive[n].id, id)) return &options->drive[n];
    return NULL;
}

bool drive_options_settle(struct drive_options *options, char *error, size_t error_bytes)
{
    for (unsigned n = 0; n < options->count; n++)
        if (!settle(options, &options->drive[n], error, error_bytes)) return false;
    return true;
}

/* --- the table --- */

static bool set_blockdev(struct options *o, const char *value, struct complaint *c)
{
    return drive_options_add_node(&o->board.drives, value, c->text, c->bytes);
}

static bool set_drive(struct options *o, const char *value, struct complaint *c)
{
    return drive_options_add(&o->board.drives, value, c->text, c->bytes);
}

#define FILE_SETTER(name, interface, index, medium)                                                          \
    static bool set_##name(struct options *o, const char *value, struct complaint *c)                        \
    {                                                                                                        \
        return drive_options_add_file(&o->board.drives, value, interface, index, medium, c->text, c->bytes); \
    }
/* Each goes to the next chip. */
static bool set_pflash(struct options *o, const char *value, struct complaint *c)
{
    struct drive_options *drives = &o->board.drives;
    if (!drive_options_add_file(drives, value, DRIVE_FLASH, 0, MEDIUM_DISK, c->text, c->bytes)) return false;
    drives->drive[drives->count - 1].index_given = false;
    return true;
}

FILE_SETTER(hda, DRIVE_IDE, 0, MEDIUM_DISK)
FILE_SETTER(hdb, DRIVE_IDE, 1, MEDIUM_DISK)
FILE_SETTER(hdc, DRIVE_IDE, 2, MEDIUM_DISK)
FILE_SETTER(hdd, DRIVE_IDE, 3, MEDIUM_DISK)
FILE_SETTER(cdrom, DRIVE_IDE, 2, MEDIUM_CDROM)
FILE_SETTER(fda, DRIVE_FLOPPY, 0, MEDIUM_DISK)
FILE_SETTER(fdb, DRIVE_FLOPPY, 1, MEDIUM_DISK)
#undef FILE_SETTER

static const struct option_row rows[] = {
    {"hda", "FILE", "disk image in the first IDE drive; -hdb, -hdc, -hdd: the others", .set = set_hda},
    {"hdb", "FILE", NULL, .set = set_hdb},
    {"hdc", "FILE", NULL, .set = set_hdc},
    {"hdd", "FILE", NULL, .set = set_hdd},
    {"cdrom", "FILE", "CD-ROM image in the third IDE drive", .set = set_cdrom},
    {"fda", "FILE", "floppy image in drive A; -fdb: in B", .set = set_fda},
    {"fdb", "FILE", NULL, .set = set_fdb},
    {"drive", "LIST", "file=FILE,if=ide|virtio|floppy|pflash|none,format=raw|qcow2,media=disk|cdrom,...",
     .set = set_drive},
    {"blockdev", "OBJECT", "an image for a -device: driver=raw|qcow2|file,node-name=ID,... or a JSON object",
     .set = set_blockdev},
    {"pflash", "FILE", "firmware in a flash chip (UEFI); twice: the second chip has its variables",
     .set = set_pflash},
    {"snapshot", NULL, "all writes to disks are dropped at the end", SWITCH(board.drives.snapshot)},
};

const struct option_group options_drives = {"Media", rows, ARRAY_SIZE(rows)};

void drive_option_release(struct drive_option *drive)
{
    for (unsigned n = 0; n < ARRAY_SIZE(drive->below); n++)
        if (drive->below[n]) drive->below[n]->above--;
    free(drive->file);
    free(drive->id);
    free(drive->serial);
    *drive = (struct drive_option){.gone = true};
}

struct drive_option *drive_options_plug(struct drive_options *options, const char *list, char *error,
                                        size_t error_bytes)
{
    struct drive_options one = {.count = 0};
    unsigned n = 0;
    while (n < options->count && !options->drive[n].gone)
        n++;
    bool good = n < DRIVES_MAX ? drive_options_add(&one, list, error, error_bytes)
                               : SAY("there are more than %u drives", DRIVES_MAX);
    struct drive_option *drive = &one.drive[0];
    if (good && drive->interface != DRIVE_NONE)
        good = SAY("only a drive with if=none can come while the machine runs");
    if (good && drive_options_find(options, drive->id))
        good = SAY("there is a drive \"%s\" already", drive->id);
    if (good) good = settle(options, drive, error, error_bytes);
    if (!good) {
        drive_options_release(&one);
        return NULL;
    }
    options->drive[n] = *drive;
    if (n == options->count) options->count++;
    return &options->drive[n];
}

void drive_options_release(struct drive_options *options)
{
    for (unsigned n = 0; n < options->count; n++)
        drive_option_release(&options->drive[n]);
    options->count = 0;
}
