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

#include "mailbox.h"

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
    struct letter letter;
};

/* What becomes of a request that the host cannot do: the device hears of it, the device hears nothing, the
 * machine stands still until it can be done; or (the default of writes) that only if the host's file system
 * is full. */
enum error_policy { ON_ERROR_REPORT, ON_ERROR_IGNORE, ON_ERROR_STOP, ON_ERROR_ENOSPC };

/* What becomes of a write of nothing but zeros: a write, a DISK_ZERO, or a DISK_ZERO that gives room back. */
enum detect_zeroes { DETECT_ZEROES_OFF, DETECT_ZEROES_ON, DETECT_ZEROES_UNMAP };

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
