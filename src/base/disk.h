/*
 * The disk seam: what a storage device sees of the medium in it.
 *
 * Requests are asynchronous. submit() never blocks. Several requests may be in flight, and they may complete in any
 * order. done() is called on the vCPU thread, never from within submit(). A device that needs an order waits for
 * done(). A write is stable only when a flush that was submitted after the write's done() has completed. Requests that
 * are in flight when a device is reset complete nevertheless.
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
    DISK_DISCARD, /* the guest no longer needs the contents: the bytes may read as anything */
    DISK_ZERO,    /* the bytes must read as zeros from now on */
};

struct disk_request {
    enum disk_operation operation;
    u64 offset, bytes; /* multiples of DISK_SECTOR_BYTES; flush: 0 */
    /* Read and write: buffers in host memory (often guest RAM), `bytes` bytes in all. They must exist until done(). */
    const struct iovec *part;
    unsigned part_count;
    int error; /* at done(): 0 or -errno, after the error policy (report, ignore, stop) was applied */
    void (*done)(struct disk_request *request);
    void *device; /* belongs to the submitter */
    /* These belong to the disk from submit() to done(). */
    struct disk *disk;
    u64 submitted_ns;
    struct letter letter;
};

/* The treatment of a request that the host fails to do. */
enum error_policy {
    ON_ERROR_REPORT, /* report the error to the device */
    ON_ERROR_IGNORE, /* report success */
    ON_ERROR_STOP,   /* hold the request, and stop the machine until it succeeds */
    ON_ERROR_ENOSPC, /* stop if the host's file system is full, otherwise report; the default of writes */
};

/* The treatment of a write that contains only zeros. */
enum detect_zeroes {
    DETECT_ZEROES_OFF,   /* a write */
    DETECT_ZEROES_ON,    /* a DISK_ZERO */
    DETECT_ZEROES_UNMAP, /* a DISK_ZERO that may give space back */
};

struct disk {
    u64 bytes; /* a multiple of DISK_SECTOR_BYTES; 0: the drive is empty */
    bool read_only;
    bool can_discard; /* DISK_DISCARD and DISK_ZERO are accepted */
    void (*submit)(struct disk *disk, struct disk_request *request);
    /* The drive's tray has opened or closed. NULL: nobody is told. */
    void (*tray_moved)(struct disk *disk, bool open);
};

static inline void disk_submit(struct disk *disk, struct disk_request *request)
{
    disk->submit(disk, request);
}

static inline void disk_tray_moved(struct disk *disk, bool open)
{
    if (disk->tray_moved) disk->tray_moved(disk, open);
}

#endif
