/*
 * Floppy drives and diskettes. See floppy_drive.h.
 */
#include "floppy_drive.h"

/* By size. 160 KB and 320 KB are DOS 1.0's and 1.1's, 180 KB is DOS 2.0's; 1680 KB is Microsoft's
 * distribution format. */
static const struct floppy_format formats[] = {
    {320, 1, 40, 8, FLOPPY_RATE_250K, FLOPPY_DRIVE_360K},
    {360, 1, 40, 9, FLOPPY_RATE_250K, FLOPPY_DRIVE_360K},
    {640, 2, 40, 8, FLOPPY_RATE_250K, FLOPPY_DRIVE_360K},
    {720, 2, 40, 9, FLOPPY_RATE_250K, FLOPPY_DRIVE_360K},
    {1440, 2, 80, 9, FLOPPY_RATE_250K, FLOPPY_DRIVE_720K},
    {2400, 2, 80, 15, FLOPPY_RATE_500K, FLOPPY_DRIVE_1200K},
    {2880, 2, 80, 18, FLOPPY_RATE_500K, FLOPPY_DRIVE_1440K},
    {3360, 2, 80, 21, FLOPPY_RATE_500K, FLOPPY_DRIVE_1440K},
    {5760, 2, 80, 36, FLOPPY_RATE_1M, FLOPPY_DRIVE_2880K},
};
enum { FORMAT_1440K = 6, FORMAT_2880K = ARRAY_SIZE(formats) - 1 };

const struct floppy_format *floppy_format_of(u64 bytes)
{
    const struct floppy_format *common = &formats[FORMAT_1440K];
    u64 sectors = bytes / DISK_SECTOR_BYTES;
    if (!sectors) return NULL;
    for (unsigned n = 0; n < ARRAY_SIZE(formats); n++)
        if (formats[n].sectors == sectors) return &formats[n];
    if (sectors < common->sectors) return common;
    return sectors < formats[FORMAT_2880K].sectors ? &formats[FORMAT_2880K] : NULL;
}

void floppy_drive_init(struct floppy_drive *drive, struct disk *disk)
{
    *drive = (struct floppy_drive){.disk = disk, .format = floppy_format_of(disk->bytes), .changed = true};
    drive->type = drive->format ? drive->format->type : FLOPPY_DRIVE_1440K;
}

void floppy_medium_changed(struct floppy_drive *drive)
{
    drive->format = floppy_format_of(drive->disk->bytes);
    drive->changed = true;
}

void floppy_seek(struct floppy_drive *drive, u8 cylinder)
{
    if (cylinder > FLOPPY_LAST_TRACK) cylinder = FLOPPY_LAST_TRACK;
    if (cylinder != drive->cylinder && drive->format) drive->changed = false;
    drive->cylinder = cylinder;
}

static bool is_double_stepped(const struct floppy_drive *drive)
{
    return drive->format->tracks == 40 && drive->type != FLOPPY_DRIVE_360K;
}

u8 floppy_track(const struct floppy_drive *drive)
{
    return is_double_stepped(drive) ? drive->cylinder / 2 : drive->cylinder;
}

/* A 1.2 MB drive turns faster. */
enum floppy_rate floppy_rate_of(const struct floppy_drive *drive)
{
    enum floppy_rate rate = drive->format->rate;
    return rate == FLOPPY_RATE_250K && drive->type == FLOPPY_DRIVE_1200K ? FLOPPY_RATE_300K : rate;
}
