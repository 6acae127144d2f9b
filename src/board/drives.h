/*
 * The drives of a machine: which medium is where. A controller asks for the drive at its place and gets a
 * struct disk, which is there as long as the machine.
 */
#ifndef RINGER_BOARD_DRIVES_H
#define RINGER_BOARD_DRIVES_H

#include "block/block_disk.h"
#include "options/options_drive.h"

struct board;

struct drive {
    enum drive_interface interface;
    unsigned index;
    enum drive_medium medium;
    const char *id, *serial; /* NULL: none */
    unsigned boot_index;     /* where firmware tries it, from 1 on; 0: after all that have an index */
    const struct drive_option *option;
    struct block_disk block;
};

struct drives {
    struct disk_crew crew;
    struct drive drive[DRIVES_MAX];
    unsigned count;
    bool snapshot; /* what is written to any of them is forgotten at the end */
    bool there;    /* init() has been called */
};

/* Open all images. False with one sentence in error. */
bool drives_init(struct drives *drives, struct board *board, char *error, size_t error_bytes);
/* End all I/O, which uses guest memory and requests of devices; then write back and close. */
void drives_destroy(struct drives *drives);

/* The drive at a place, or NULL: none is fitted. */
struct drive *drives_at(struct drives *drives, enum drive_interface interface, unsigned index);
struct drive *drives_by_id(struct drives *drives, const char *id);

/* The image of another medium for a drive, opened as its first one was. NULL with one sentence in error. */
struct disk_image *drives_open_medium(struct drives *drives, const struct drive *drive, const char *file,
                                      char *error, size_t error_bytes);
/* Put it in (NULL: nothing), and close what was there. The device must be told. False with one sentence in
 * error, and the image is still the caller's. */
bool drives_change(struct drives *drives, struct drive *drive, struct disk_image *image, const char *file,
                   char *error, size_t error_bytes);

static inline struct disk *drive_disk(struct drive *drive)
{
    return &drive->block.disk;
}

#endif
