/*
 * A floppy drive and the diskette in it: the geometry that an image's size implies, the head's position,
 * and the disk change line.
 */
#ifndef RINGER_DEVICES_STORAGE_FLOPPY_DRIVE_H
#define RINGER_DEVICES_STORAGE_FLOPPY_DRIVE_H

#include "base/disk.h"

/* IBM's numbers, as in CMOS. */
enum floppy_drive_type {
    FLOPPY_DRIVE_NONE,
    FLOPPY_DRIVE_360K,
    FLOPPY_DRIVE_1200K,
    FLOPPY_DRIVE_720K,
    FLOPPY_DRIVE_1440K,
    FLOPPY_DRIVE_2880K,
};

/* Data rates as the controller's registers number them. */
enum floppy_rate { FLOPPY_RATE_500K, FLOPPY_RATE_300K, FLOPPY_RATE_250K, FLOPPY_RATE_1M };

/* A diskette, formatted with sectors of 512 bytes. */
struct floppy_format {
    u16 sectors; /* in all */
    u8 sides, tracks, per_track;
    enum floppy_rate rate;       /* data rate in the drive that is made for it */
    enum floppy_drive_type type; /* that drive */
};

struct floppy_drive {
    enum floppy_drive_type type; /* NONE: there is no drive */
    struct disk *disk;
    const struct floppy_format *format; /* NULL: no diskette */
    u8 cylinder;                        /* of the head */
    bool changed;                       /* the disk change line */
    u8 rotation;                        /* the next sector under the head, counted from 0 */
};

#define FLOPPY_LAST_TRACK 83 /* the head goes no further */

/* The format of an image of this size. An image of an odd size is the beginning of a 1.44 MB diskette or, if it is
 * larger, of a 2.88 MB one. NULL: it is empty, or larger than any diskette. */
const struct floppy_format *floppy_format_of(u64 bytes);

/* The drive gets the type that suits its diskette; 1.44 MB if there is none. */
void floppy_drive_init(struct floppy_drive *drive, struct disk *disk);
/* Call after the diskette was changed, inserted or removed. */
void floppy_medium_changed(struct floppy_drive *drive);
/* Move the head. Steps with a diskette in reset the disk change line. */
void floppy_seek(struct floppy_drive *drive, u8 cylinder);
/* The diskette's track under the head. A diskette of 40 tracks has every second of the drive's 80. */
u8 floppy_track(const struct floppy_drive *drive);
/* The data rate of this diskette in this drive. */
enum floppy_rate floppy_rate_of(const struct floppy_drive *drive);

#endif
