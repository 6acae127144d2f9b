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

static enum media_outcome change_floppy(struct chipset *c, struct drive *drive, struct disk_image *image,
                                        const char *file, char *error, size_t error_bytes)
{
    if (image && !floppy_format_of(image->bytes))
        return SAY("no diskette format has %llu bytes", (unsigned long long)image->bytes);
    if (!drives_change(c->board->drives, drive, image, file, error, error_bytes)) return MEDIA_FAILED;
    i82077_medium_changed(&c->floppy.controller, drive->index);
    return MEDIA_CHANGED;
}

static struct ide_drive *ide_drive_of(struct chipset *c, const struct drive *drive)
{
    return &c->ide.ide.channel[drive->index / 2].drive[drive->index % 2];
}

static enum media_outcome change_cd(struct chipset *c, struct drive *drive, struct disk_image *image,
                                    const char *file, char *error, size_t error_bytes)
{
    struct scsi_unit *scsi = wire_scsi_cd_of(c->board, drive);
    struct ide_drive *ide = drive->interface == DRIVE_IDE ? ide_drive_of(c, drive) : NULL;
    if (ide ? ide_is_locked(ide) : scsi && scsi_is_locked(scsi)) {
        snprintf(error, error_bytes, "the guest has locked the disc in the drive");
        return MEDIA_LOCKED;
    }
    if (!drives_change(c->board->drives, drive, image, file, error, error_bytes)) return MEDIA_FAILED;
    if (ide) ide_medium_changed(ide);
    if (scsi) scsi_medium_changed(scsi);
    return MEDIA_CHANGED;
}

struct media_state media_state(struct chipset *c, const struct drive *drive)
{
    const struct scsi_unit *scsi = wire_scsi_cd_of(c->board, drive);
    if (scsi) return (struct media_state){scsi->locked, scsi->tray_open};
    if (drive->interface != DRIVE_IDE || drive->medium != MEDIUM_CDROM)
        return (struct media_state){false, false};
    const struct ide_drive *ide = ide_drive_of(c, drive);
    return (struct media_state){ide->cd.locked, ide->cd.tray_open};
}

enum media_outcome media_change(struct chipset *c, struct drive *drive, const char *file, char *error,
                                size_t error_bytes)
{
    struct disk_image *image = NULL;
    bool floppy = drive && drive->interface == DRIVE_FLOPPY;
    if (!drive || (!floppy && drive->medium != MEDIUM_CDROM))
        return SAY("there is no such drive with a medium that can be changed");
    if (file && !(image = drives_open_medium(c->board->drives, drive, file, error, error_bytes)))
        return MEDIA_FAILED;
    enum media_outcome outcome = floppy ? change_floppy(c, drive, image, file, error, error_bytes)
                                        : change_cd(c, drive, image, file, error, error_bytes);
    if (outcome != MEDIA_CHANGED) disk_image_close(image);
    return outcome;
}
