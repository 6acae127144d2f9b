#include "media.h"

#include "vm/vm.h"

#include <stdio.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), MEDIA_FAILED)

static struct drive *find(struct drives *drives, const char *place)
{
    static const struct {
        const char *name;
        enum drive_interface interface;
        unsigned index;
    } places[] = {{"fda", DRIVE_FLOPPY, 0}, {"fdb", DRIVE_FLOPPY, 1}, {"hda", DRIVE_IDE, 0},
                  {"hdb", DRIVE_IDE, 1},    {"hdc", DRIVE_IDE, 2},    {"hdd", DRIVE_IDE, 3}};
    for (unsigned n = 0; n < ARRAY_SIZE(places); n++)
        if (!strcmp(places[n].name, place)) return drives_at(drives, places[n].interface, places[n].index);
    for (unsigned n = 0; n < 4 && !strcmp(place, "cdrom"); n++) {
        struct drive *drive = drives_at(drives, DRIVE_IDE, n);
        if (drive && drive->medium == MEDIUM_CDROM) return drive;
    }
    return NULL;
}

static enum media_outcome change_floppy(struct vm *vm, struct drive *drive, struct disk_image *image,
                                        const char *file, char *error, size_t error_bytes)
{
    if (image && !floppy_format_of(image->bytes))
        return SAY("no diskette holds %llu bytes", (unsigned long long)image->bytes);
    if (!drives_change(vm, drive, image, file, error, error_bytes)) return MEDIA_FAILED;
    i82077_medium_changed(&vm->chipset.floppy.controller, drive->index);
    return MEDIA_CHANGED;
}

static enum media_outcome change_cd(struct vm *vm, struct drive *drive, struct disk_image *image,
                                    const char *file, char *error, size_t error_bytes)
{
    struct ide_drive *ide = &vm->chipset.ide.ide.channel[drive->index / 2].drive[drive->index % 2];
    if (ide_is_locked(ide)) {
        snprintf(error, error_bytes, "the guest does not let go of the disc");
        return MEDIA_LOCKED;
    }
    if (!drives_change(vm, drive, image, file, error, error_bytes)) return MEDIA_FAILED;
    ide_medium_changed(ide);
    return MEDIA_CHANGED;
}

enum media_outcome media_change(struct vm *vm, const char *place, const char *file, char *error,
                                size_t error_bytes)
{
    struct drive *drive = find(&vm->drives, place);
    struct disk_image *image = NULL;
    bool floppy = drive && drive->interface == DRIVE_FLOPPY;
    if (!drive || (!floppy && drive->medium != MEDIUM_CDROM))
        return SAY("there is no drive \"%s\" whose medium can be changed", place);
    if (file && !(image = drives_open_medium(vm, drive, file, error, error_bytes))) return MEDIA_FAILED;
    enum media_outcome outcome = floppy ? change_floppy(vm, drive, image, file, error, error_bytes)
                                        : change_cd(vm, drive, image, file, error, error_bytes);
    if (outcome != MEDIA_CHANGED) disk_image_close(image);
    return outcome;
}
