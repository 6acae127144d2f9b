/*
 * Disks over images: the host side of struct disk (base/disk.h).
 *
 * A machine has one disk_crew. Its threads take requests from one queue and do them, straight into and out of
 * the memory that the request names; the letter that each request is comes back through the machine's mailbox
 * box. The vCPU thread never waits.
 *
 * Deterministic: no threads. A request is done at a fixed guest time after it was submitted, on the vCPU
 * thread, in the order of submission.
 *
 * Errors: after the drive's policy a request that failed is reported to the device, taken for done, or held
 * until it succeeds: then `stalled` is called, and the machine should stand still until `resumed`. Held
 * requests are tried again whenever disk_crew_retry() is called (deterministic: at once, as guest time stands
 * still meanwhile). Requests that no disk could do (out of range, a write to a medium that is read only) are
 * reported in any case.
 *
 * Every function here is the vCPU thread's.
 */
#ifndef RINGER_BLOCK_BLOCK_DISK_H
#define RINGER_BLOCK_BLOCK_DISK_H

#include "base/device.h"
#include "base/disk.h"
#include "image.h"

#include <pthread.h>

#define DISK_CREW_THREADS 4
#define WRITE_BACK_NS     5000000000u

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
    struct block_disk *next; /* of the crew's; lock */
};

struct request_queue {
    struct letter *first, **end; /* linked by the requests' letters, which are ours until done() */
    unsigned count;
};

struct disk_crew {
    struct mailbox *box;
    struct clock *clock; /* deterministic: whose guest time counts; NULL: threads */
    struct timer timer;
    struct request_queue later;                          /* deterministic: what is under way */
    struct request_queue held;                           /* what failed and waits for another try */
    unsigned retrying;                                   /* of these, under way once more */
    unsigned under_way;                                  /* submitted, and neither held nor done yet */
    void (*stalled)(void *machine, const char *message); /* set by the owner */
    void (*resumed)(void *machine);
    void *machine;
    /* shared */
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_cond_t idle; /* nothing is queued, and no thread is at work */
    struct request_queue queue;
    unsigned threads, waiting;
    unsigned working; /* requests taken and not yet sent back, and write-backs */
    unsigned quick;   /* threads at something that should take next to no time, and back for more then */
    u64 hurry_at;     /* atomic: if letters still lie there then, the vCPU thread is called; 0: it has been */
    bool polls;       /* the host has processors enough for a thread to look out for work a little */
    bool polling;     /* one does */
    bool stop;
    struct block_disk *disks;
    u64 write_back_ns; /* for so long images may keep in memory what was written (WRITE_BACK_NS) */
    u64 write_back_at; /* CLOCK_MONOTONIC; UINT64_MAX: nothing to write back */
    pthread_t thread[DISK_CREW_THREADS];
};

void disk_crew_init(struct disk_crew *crew, struct mailbox *box, struct clock *deterministic);
/* Wait for what is under way, and end the threads. No letter comes after; done() is not called for what was. */
void disk_crew_destroy(struct disk_crew *crew);
/* Have everything done that was submitted, and what follows from it: the caller wants memory for itself. What
 * is held stays so. */
void disk_crew_drain(struct disk_crew *crew);
/* Try again what is held. */
void disk_crew_retry(struct disk_crew *crew);

/* The image (NULL: an empty drive) becomes the disk's. Policies are set by the caller afterwards. */
void block_disk_init(struct block_disk *disk, struct disk_crew *crew, struct disk_image *image,
                     const char *name);
/* Another image (NULL: none) for the old one, which is written back and closed. What is under way is done
 * before; nothing may be held. False when the host is out of memory. */
bool block_disk_change(struct block_disk *disk, struct disk_image *image, const char *name);
/* Nothing may be under way. Writes back and closes the image. */
void block_disk_destroy(struct block_disk *disk);

#endif
