/*
 * The disk seam: what a storage device sees of the medium in it.
 *
 * Requests are asynchronous. submit() never blocks; several requests may be in flight and may complete in any
 * order. done() is called on the vCPU thread, never from within submit(). A device that needs an order waits
 * for done(). A write is stable only when a flush that was submitted after the write's done() has completed.
 * Requests that are in flight when a device is reset complete all the same.
 */
#ifndef RINGER_BASE_DISK_H
#define RINGER_BASE_DISK_H

#include "post.h"

#include <sys/uio.h>

#define DISK_SECTOR_BYTES 512

enum disk_operation {
    DISK_READ,
    DISK_WRITE,
    DISK_FLUSH,
    DISK_DISCARD, /* the guest no longer needs the contents: they may read as anything */
    DISK_ZERO,    /* must read as zeros from now on */
};

struct disk_request {
    enum disk_operation operation;
    u64 offset, bytes; /* multiples of DISK_SECTOR_BYTES; flush: 0 */
    /* read and write: buffers in host memory (often guest RAM), `bytes` bytes in all. They must stay until
     * done(). */
    const struct iovec *part;
    unsigned part_count;
    int error; /* at done(): 0 or -errno, after the error policy (report, ignore, stop) was applied */
    void (*done)(struct disk_request *request);
    void *device; /* of the submitter */
    /* of the disk, from submit() to done() */
    struct disk *disk;
    struct post post;
};

struct disk {
    u64 bytes; /* a multiple of DISK_SECTOR_BYTES; 0: the drive is empty */
    bool read_only;
    bool can_discard; /* DISCARD and ZERO are better than writing */
    void (*submit)(struct disk *disk, struct disk_request *request);
};

static inline void disk_submit(struct disk *disk, struct disk_request *request)
{
    disk->submit(disk, request);
}

#endif
