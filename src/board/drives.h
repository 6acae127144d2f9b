/*
 * The drives of a machine, and the media in them. A controller asks for the drive at one of its connectors and
 * gets a struct disk, which exists as long as the machine.
 */
#ifndef RINGER_BOARD_DRIVES_H
#define RINGER_BOARD_DRIVES_H

#include "block/block_disk.h"
#include "options/options_drive.h"

struct board;

struct drive {
    bool fitted; /* false: the drive has gone */
    enum drive_interface interface;
    unsigned index;
    enum drive_medium medium;
    const char *id, *serial; /* NULL: none */
    unsigned
        boot_index; /* from 1 on: firmware tries small numbers first; 0: after all drives with an index */
    const struct drive_option *option;
    /* A node's image that is a medium in a drive belongs to the drive's disk meanwhile. */
    struct drive *node; /* in a drive: whose image is in it; NULL: its own, or none */
    struct drive *user; /* in a node: the drive that has its image */
    struct block_disk block;
};

#define DRIVE_NAME_BYTES 128

struct drives {
    struct disk_crew crew;
    struct drive drive[DRIVES_MAX];
    unsigned count;
    bool snapshot; /* writes to all of them are forgotten at the end */
    bool initialized;
};

/* Open all images. False with one sentence in error. */
bool drives_init(struct drives *drives, struct board *board, char *error, size_t error_bytes);
/* End all I/O, write back and close. Call it before guest memory and devices are destroyed: I/O uses both. */
void drives_destroy(struct drives *drives);

/* A drive that comes while the machine runs, for a device that comes after it; and its end. False with one sentence in
 * error. */
bool drives_add(struct drives *drives, const struct drive_option *option, char *error, size_t error_bytes);
void drives_remove(struct drives *drives, struct drive *drive);
/* Nodes have come above a node, or gone: it has an image of its own only without them. */
void drives_settle_node(struct drives *drives, struct drive *node);

/* The drive at a controller's connector, or NULL: none is fitted. */
struct drive *drives_at(struct drives *drives, enum drive_interface interface, unsigned index);
struct drive *drives_by_id(struct drives *drives, const char *id);
/* By QEMU's names: ide0-hd0, ide1-cd0, floppy0; the id of a -drive goes before. */
void drive_name(const struct drive *drive, char name[DRIVE_NAME_BYTES]);
/* Can its medium be changed? */
bool drive_is_removable(const struct drive *drive);

/* Open the image of another medium for a drive, with the options of the first one. NULL with one sentence in error. */
struct disk_image *drives_open_medium(struct drives *drives, const struct drive *drive, const char *file,
                                      char *error, size_t error_bytes);
/* Put the image (NULL: none) into the drive and close the old one, or give it back to its node. The caller tells the
 * device. False with one sentence in error; the caller then still owns the image. */
bool drives_change(struct drives *drives, struct drive *drive, struct disk_image *image, const char *file,
                   char *error, size_t error_bytes);

/* The same with a node's image, for a drive without a medium. */
bool drives_insert(struct drives *drives, struct drive *drive, struct drive *node, char *error,
                   size_t error_bytes);

static inline struct disk *drive_disk(struct drive *drive)
{
    return &drive->block.disk;
}

#endif
