/*
 * The drives of a machine: which medium is where. A controller asks for the drive at its place and gets a
 * struct disk, which is there as long as the machine.
 */
#ifndef RINGER_VM_DRIVES_H
#define RINGER_VM_DRIVES_H

#include "block/block_disk.h"
#include "options_drive.h"

struct vm;

struct drive {
    enum drive_interface interface;
    unsigned index;
    enum drive_medium medium;
    const char *id; /* NULL: none */
    /* For firmware, by the controller or the option: where it tries this drive (from 1 on; 0: after all that
     * have an index), and the PCI slot of a device for this drive alone (0: it has none). */
    unsigned boot_index;
    u8 slot;
    struct block_disk block;
};

struct drives {
    struct disk_crew crew;
    struct drive drive[DRIVES_MAX];
    unsigned count;
    bool there; /* init() has been called */
};

/* Open all images. False with one sentence in error. */
bool drives_init(struct drives *drives, struct vm *vm, char *error, size_t error_bytes);
/* End all I/O, and then (the devices may be gone by now) write back and close. */
void drives_destroy(struct drives *drives);

/* The drive at a place, or NULL: none is fitted. */
struct drive *drives_at(struct drives *drives, enum drive_interface interface, unsigned index);
struct drive *drives_by_id(struct drives *drives, const char *id);

/* Another medium for a drive (NULL: none), opened as its first one was: in *fresh, which then either goes to
 * drives_swap() or is closed by block_disk_destroy(). False with one sentence in error. */
bool drives_open_medium(struct vm *vm, const struct drive *drive, const char *file, struct drive *fresh,
                        char *error, size_t error_bytes);
/* Put it in, and close what was there, which has nothing under way any more. The device must be told. */
void drives_swap(struct drives *drives, struct drive *drive, struct drive *fresh);

static inline struct disk *drive_disk(struct drive *drive)
{
    return &drive->block.disk;
}

#endif
