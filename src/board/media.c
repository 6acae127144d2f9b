#include "media.h"

#include "chipset.h"
#include "drives.h"

#include <stdio.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), MEDIA_FAILED)

static struct drive *find(struct drives *drives, const char *name)
{
    static const struct {
        const char *name;
        enum drive_interface interface;
        unsigned index;
    } names[] = {{"fda", DRIVE_FLOPPY, 0}, {"fdb", DRIVE_FLOPPY, 1}, {"hda", DRIVE_IDE, 0},
                 {"hdb", DRIVE_IDE, 1},    {"hdc", DRIVE_IDE, 2},    {"hdd", DRIVE_IDE, 3}};
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        if (!strcmp(names[n].name, name)) return drives_at(drives, names[n].interface, names[n].index);
    for (unsigned n = 0; n < 4 && !strcmp(name, "cdrom"); n++) {
        struct drive *drive = drives_at(drives, DRIVE_IDE, n);
        if (drive && drive->medium == MEDIUM_CDROM) return drive;
    }
    return NULL;
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

static enum media_outcome change_cd(struct chipset *c, struct drive *drive, struct disk_image *image,
                                    const char *file, char *error, size_t error_bytes)
{
    struct ide_drive *ide = &c->ide.ide.channel[drive->index / 2].drive[drive->index % 2];
    if (ide_is_locked(ide)) {
        snprintf(error, error_bytes, "the guest has locked the disc in the drive");
        return MEDIA_LOCKED;
    }
    if (!drives_change(c->board->drives, drive, image, file, error, error_bytes)) return MEDIA_FAILED;
    ide_medium_changed(ide);
    return MEDIA_CHANGED;
}

enum media_outcome media_change(struct chipset *c, const char *name, const char *file, char *error,
                                size_t error_bytes)
{
    struct drive *drive = find(c->board->drives, name);
    struct disk_image *image = NULL;
    bool floppy = drive && drive->interface == DRIVE_FLOPPY;
    if (!drive || (!floppy && drive->medium != MEDIUM_CDROM))
        return SAY("there is no drive \"%s\" with a medium that can be changed", name);
    if (file && !(image = drives_open_medium(c->board->drives, drive, file, error, error_bytes)))
        return MEDIA_FAILED;
    enum media_outcome outcome = floppy ? change_floppy(c, drive, image, file, error, error_bytes)
                                        : change_cd(c, drive, image, file, error, error_bytes);
    if (outcome != MEDIA_CHANGED) disk_image_close(image);
    return outcome;
}
