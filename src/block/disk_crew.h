/*
 * The crew: the threads that do the host's I/O for all disks of a machine (block_disk.h).
 *
 * Requests lie in one queue. A thread takes the oldest, does it, straight into and out of the memory that the
 * request names, and sends the request's letter to the machine's mailbox. The vCPU thread never waits.
 * Threads are started when there is work for them.
 *
 *   thread:   asleep --signal--> awake --takes a request--> at work --letter--> awake
 *                ^                 |
 *                +-- 30 us pass ---+  (one thread at a time polls the queue in these 30 us)
 *
 * To wake a thread costs several times what a small request does. So no thread is woken for a request while another
 * polls, or while one is at work on a request that should take next to no time (`quick`) and will look
 * at the queue soon.
 *
 * Deterministic: there are no threads. A request is done at a fixed guest time after it was submitted, on the
 * vCPU thread, in the order of submission.
 */
#ifndef RINGER_BLOCK_DISK_CREW_H
#define RINGER_BLOCK_DISK_CREW_H

#include "base/device.h"
#include "request_queue.h"

#include <pthread.h>

#define DISK_CREW_THREADS 4
#define WRITE_BACK_NS     5000000000u

struct block_disk;

struct disk_crew {
    struct mailbox *box;
    struct clock *clock; /* deterministic: guest time; NULL: threads do the work */
    struct timer timer;
    struct request_queue later; /* deterministic: what is queued */

    /* What block_disk.c keeps for all disks together; the vCPU thread's. */
    struct request_queue held;                           /* what failed and waits for another try */
    unsigned retrying;                                   /* of these, queued or served once more */
    unsigned under_way;                                  /* submitted, and neither held nor done yet */
    void (*stalled)(void *machine, const char *message); /* set by the owner */
    void (*resumed)(void *machine);
    void *machine;

    /* Guarded by the lock, but for what is marked atomic. */
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_cond_t idle; /* nothing is queued, and no thread is at work */
    struct request_queue queue;
    unsigned threads, waiting;
    unsigned working; /* requests taken and not yet sent back, and write-backs */
    unsigned quick;   /* threads at a request that should take next to no time */
    u64 hurry_at;     /* atomic: if letters still lie there then, the vCPU thread is called; 0: it has been */
    bool polls;       /* constant: the host has processors enough for a thread to poll */
    bool polling;     /* a thread does */
    bool stop;
    struct block_disk *disks;
    u64 write_back_ns; /* how long images may keep in memory what was written (WRITE_BACK_NS) */
    u64 write_back_at; /* CLOCK_MONOTONIC; UINT64_MAX: nothing to write back */
    pthread_t thread[DISK_CREW_THREADS];
};

/* All of these are for the vCPU thread. */

void disk_crew_init(struct disk_crew *crew, struct mailbox *box, struct clock *deterministic);
/* Wait for what is under way, and end the threads. No letter comes afterwards: done() is not called for
 * requests with unread letters. */
void disk_crew_destroy(struct disk_crew *crew);
/* Have everything done that was submitted, and what follows from it: the caller wants the memory for itself.
 * Held requests stay held. */
void disk_crew_drain(struct disk_crew *crew);

/* For block_disk.c: have a request done. Its letter must be set up. */
void disk_crew_enqueue(struct disk_crew *crew, struct disk_request *request);
/* For block_disk.c: write-backs look at this disk, too. */
void disk_crew_add(struct disk_crew *crew, struct block_disk *disk);
/* For block_disk.c: take the lock when no thread uses an image, and give it back. */
void disk_crew_lock_idle(struct disk_crew *crew);
void disk_crew_unlock(struct disk_crew *crew);

#endif
