/*
 * Disks over images: the host side of struct disk (base/disk.h). The threads that do the work are in
 * disk_crew.h.
 *
 * A request goes through these states. QUEUED and SERVED belong to the crew, the others to the vCPU thread:
 *
 *   submit() --+-- no disk could do it -----------> REFUSED ---------------------------+
 *              +-- the host has it in memory -----> READ NOW --------------------------+
 *              |                                                                       v
 *              +--> QUEUED ---> SERVED ---letter---> finish() --success or reported--> done()
 *                      ^                               | policy: hold it
 *                      +---- disk_crew_retry() ---- HELD
 *
 * What comes of a request that failed is the drive's policy: it is reported to the device, taken for done, or
 * held until it succeeds. When the first one is held `stalled` is called, and the machine should stand still
 * until `resumed`. Held requests are tried again whenever disk_crew_retry() is called (deterministic: at
 * once, as guest time stands still). What no disk could do (beyond the end, a write to a medium
 * that is read only) is reported in any case.
 *
 * Every function here is for the vCPU thread.
 */
#ifndef RINGER_BLOCK_BLOCK_DISK_H
#define RINGER_BLOCK_BLOCK_DISK_H

#include "base/device.h"
#include "base/disk.h"
#include "disk_crew.h"
#include "image.h"

struct block_disk {
    struct disk disk;         /* for the device */
    struct disk_image *image; /* NULL: no medium */
    struct disk_crew *crew;
    char *name; /* for messages */
    enum error_policy on_read_error, on_write_error;
    enum detect_zeroes detect_zeroes;
    bool discard;            /* DISCARD gives room back; otherwise it does nothing */
    bool write_through;      /* every write is followed by a flush */
    bool never_flush;        /* cache=unsafe */
    u64 failures;            /* of which the user is told now and then */
    bool written;            /* since the last flush; shared, atomic */
    bool quick[2];           /* the last small read, write that a thread did took next to no time; lock */
    struct block_disk *next; /* in crew->disks; constant once it is there */
};

/* The image (NULL: an empty drive) becomes the disk's. Policies are set by the caller afterwards. */
void block_disk_init(struct block_disk *disk, struct disk_crew *crew, struct disk_image *image,
                     const char *name);
/* Another image (NULL: none) for the old one, which is written back and closed. What is under way is done
 * before; nothing may be held. False when the host is out of memory. */
bool block_disk_change(struct block_disk *disk, struct disk_image *image, const char *name);
/* Nothing may be under way. Writes back and closes the image. */
void block_disk_destroy(struct block_disk *disk);

/* Try again what is held. */
void disk_crew_retry(struct disk_crew *crew);

#endif
