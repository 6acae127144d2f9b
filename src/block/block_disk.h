/*
 * Disks over images: the host side of struct disk (base/disk.h). disk_crew.h has the threads that do the I/O.
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
 * The drive's policy decides what happens to a request that failed: the error is reported to the device, or success is
 * reported, or the request is held until it succeeds. When the first request is held, `stalled` is called, and the
 * machine should be paused until `resumed`. disk_crew_retry() tries held requests again; in deterministic mode it does
 * so at once, because guest time stands still. A request that no disk could do (beyond the end, a write to a read-only
 * medium) is reported in any case.
 *
 * All functions here must be called on the vCPU thread.
 */
#ifndef RINGER_BLOCK_BLOCK_DISK_H
#define RINGER_BLOCK_BLOCK_DISK_H

#include "base/device.h"
#include "base/disk.h"
#include "disk_crew.h"
#include "image.h"

/* What a disk has done, for the monitors. On the vCPU thread, like all of the disk's own. */
struct block_disk_counts {
    struct {
        u64 done, bytes; /* requests that succeeded */
        u64 failed;      /* the host could not do it */
        u64 refused;     /* no disk could */
        u64 total_ns;    /* from submit() to done(), of all that the host has tried */
    } of[DISK_ZERO + 1];
    u64 written_to; /* the end of the highest byte written */
    u64 last_ns;    /* host time of the last done(); 0: none yet */
};

struct block_disk {
    struct disk disk;         /* for the device */
    struct disk_image *image; /* NULL: no medium */
    struct disk_crew *crew;
    char *name; /* for messages */
    enum error_policy on_read_error, on_write_error;
    enum detect_zeroes detect_zeroes;
    bool discard;       /* DISK_DISCARD gives space back; otherwise it does nothing */
    bool write_through; /* every write is followed by a flush */
    bool never_flush;   /* cache=unsafe */
    struct block_disk_counts counts;
    u64 failures;  /* number of failed requests, without held ones; tell() prints some */
    bool written;  /* the image has been written since the last flush; atomic */
    bool quick[2]; /* the last small read [0] or write [1] by a thread was quick; guarded by the lock */
    struct block_disk *next; /* in crew->disks; changes only while no thread uses an image */
};

/* The disk takes ownership of the image (NULL: an empty drive). The caller sets the policies afterwards. */
void block_disk_init(struct block_disk *disk, struct disk_crew *crew, struct disk_image *image,
                     const char *name);
/* Replace the image by another one (NULL: none). Waits for requests in progress, writes the old image back and closes
 * it. No request may be held. False when the host is out of memory. */
bool block_disk_change(struct block_disk *disk, struct disk_image *image, const char *name);
/* Exchange the images of two disks, and their names. Otherwise the same. */
void block_disk_swap(struct block_disk *one, struct block_disk *other);
/* Take the disk from the crew, which goes on. No request may be in progress. */
void block_disk_leave(struct block_disk *disk);
/* Requests of the disk that are held end with their error. */
void block_disk_give_up(struct block_disk *disk);
/* Write the image back and close it. No request may be in progress. */
void block_disk_destroy(struct block_disk *disk);

/* Try held requests again. */
void disk_crew_retry(struct disk_crew *crew);

#endif
