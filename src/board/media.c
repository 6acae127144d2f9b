#include "media.h"

#include "chipset.h"
#include "drives.h"
#include "wire_scsi.h"

#include <stdio.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), MEDIA_FAILED)

/* The drive of a device with this id. */
static struct drive *of_device(const struct board *board, const char *id)
{
    const struct device_options *devices = &board->options->devices;
    for (unsigned n = 0; n < devices->count; n++) {
        const struct device_option *device = &devices->device[n];
        if (!device->type || !device->id || strcmp(device->id, id) || !device_type_has(device->type, "drive"))
            continue;
        const char *drive = device_text(device, "drive");
        return drive ? drives_by_id(board->drives, drive) : NULL;
    }
    return NULL;
}

struct drive *media_find(const struct board *board, const char *name)
{
    struct drives *drives = board->drives;
    static const struct {
        const char *name;
        enum drive_interface interface;
        unsigned index;
    } names[] = {{"fda", DRIVE_FLOPPY, 0}, {"fdb", DRIVE_FLOPPY, 1}, {"hda", DRIVE_IDE, 0},
                 {"hdb", DRIVE_IDE, 1},    {"hdc", DRIVE_IDE, 2},    {"hdd", DRIVE_IDE, 3}};
    struct drive *drive = NULL;
    for (unsigned n = 0; n < ARRAY_SIZE(names) && !drive; n++)
        if (!strcmp(names[n].name, name)) drive = drives_at(drives, names[n].interface, names[n].index);
    for (unsigned n = 0; n < drives->count && !drive && !strcmp(name, "cdrom"); n++)
        if (drives->drive[n].fitted && drives->drive[n].medium == MEDIUM_CDROM) drive = &drives->drive[n];
    if (!drive) drive = drives_by_id(drives, name);
    return drive ? drive : of_device(board, name);
}

/* --- trays --- */

/* A CD drive on the IDE controller or of a virtio-scsi-pci. A diskette drive has no tray: neither. */
struct tray {
    struct ide_drive *ide;
    struct scsi_unit *scsi;
};

static struct tray tray_of(struct chipset *c, const struct drive *drive)
{
    struct tray tray = {NULL, wire_scsi_cd_of(c->board, drive)};
    if (drive->interface == DRIVE_IDE && drive->medium == MEDIUM_CDROM)
        tray.ide = &c->ide.ide.channel[drive->index / 2].drive[drive->index % 2];
    return tray;
}

static void move(struct tray tray, bool open)
{
    if (tray.ide) ide_move_tray(tray.ide, open);
    if (tray.scsi) scsi_move_tray(tray.scsi, open);
}

struct media_state media_state(struct chipset *c, const struct drive *drive)
{
    struct tray tray = tray_of(c, drive);
    if (tray.scsi) return (struct media_state){true, tray.scsi->locked, tray.scsi->tray_open};
    if (tray.ide) return (struct media_state){true, tray.ide->cd.locked, tray.ide->cd.tray_open};
    return (struct media_state){.has_tray = false};
}

enum media_outcome media_open_tray(struct chipset *c, struct drive *drive, bool force, char *error,
                                   size_t error_bytes)
{
    struct tray tray = tray_of(c, drive);
    bool locked = tray.ide ? ide_is_locked(tray.ide) : tray.scsi && scsi_is_locked(tray.scsi);
    if (locked && !force) {
        snprintf(error, error_bytes, "the guest has locked the disc in the drive");
        return MEDIA_LOCKED;
    }
    move(tray, true);
    return MEDIA_CHANGED;
}

void media_close_tray(struct chipset *c, struct drive *drive)
{
    move(tray_of(c, drive), false);
}

/* --- media --- */

static bool fits(const struct drive *drive, const struct disk_image *image, char *error, size_t error_bytes)
{
    if (drive->interface != DRIVE_FLOPPY || floppy_format_of(image->bytes)) return true;
    snprintf(error, error_bytes, "no diskette format has %llu bytes", (ull)image->bytes);
    return false;
}

static void tell(struct chipset *c, const struct drive *drive)
{
    if (drive->interface == DRIVE_FLOPPY) i82077_medium_changed(&c->floppy.controller, drive->index);
}

enum media_outcome media_insert(struct chipset *c, struct drive *drive, struct drive *node, char *error,
                                size_t error_bytes)
{
    if (!fits(drive, node->block.image, error, error_bytes) ||
        !drives_insert(c->board->drives, drive, node, error, error_bytes))
        return MEDIA_FAILED;
    tell(c, drive);
    return MEDIA_CHANGED;
}

enum media_outcome media_remove(struct chipset *c, struct drive *drive, char *error, size_t error_bytes)
{
    if (!drives_change(c->board->drives, drive, NULL, NULL, error, error_bytes)) return MEDIA_FAILED;
    tell(c, drive);
    return MEDIA_CHANGED;
}

/* The tray is open. */
static enum media_outcome exchange(struct chipset *c, struct drive *drive, struct disk_image *image,
                                   const char *file, char *error, size_t error_bytes)
{
    if (!drives_change(c->board->drives, drive, image, file, error, error_bytes)) return MEDIA_FAILED;
    tell(c, drive);
    if (image) media_close_tray(c, drive);
    return MEDIA_CHANGED;
}

enum media_outcome media_change(struct chipset *c, struct drive *drive, const char *file, bool force,
                                char *error, size_t error_bytes)
{
    struct disk_image *image = NULL;
    if (!drive || !drive_is_removable(drive))
        return SAY("there is no such drive with a medium that can be changed");
    if (file && !(image = drives_open_medium(c->board->drives, drive, file, error, error_bytes)))
        return MEDIA_FAILED;
    bool was_open = media_state(c, drive).tray_open;
    enum media_outcome outcome = image && !fits(drive, image, error, error_bytes)
                                     ? MEDIA_FAILED
                                     : media_open_tray(c, drive, force, error, error_bytes);
    if (outcome == MEDIA_CHANGED) {
        outcome = exchange(c, drive, image, file, error, error_bytes);
        if (outcome != MEDIA_CHANGED && !was_open) media_close_tray(c, drive);
    }
    if (outcome != MEDIA_CHANGED) disk_image_close(image);
    return outcome;
}
