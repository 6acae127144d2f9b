/*
 * The crew: the threads that do the host's I/O for all disks of a machine (block_disk.h).
 *
 * There is one queue of requests. A thread takes the oldest one, transfers directly between the file and the request's
 * memory, and sends the request's letter to the machine's mailbox. The vCPU thread does not wait. Threads are started
 * when there is work for them.
 *
 *   thread:   asleep --signal--> awake --takes a request--> at work --letter--> awake
 *                ^                 |
 *                +-- 30 us pass ---+  (one thread at a time polls the queue in these 30 us)
 *
 * Waking a thread costs several times as much as a small request. So no thread is woken for a request while another
 * thread polls, or while one works on a *quick* request, which is expected to take a few microseconds only: that thread
 * will soon look at the queue again.
 *
 * In deterministic mode there are no threads. The vCPU thread does each request at a fixed guest time after its
 * submission, in the order of submission.
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
    struct request_queue later; /* deterministic: the queue */

    /* State of block_disk.c for all disks together. Only the vCPU thread uses it. */
    struct request_queue held;                           /* failed requests that wait to be tried again */
    unsigned retrying;                                   /* requests that are being tried again */
    unsigned under_way;                                  /* requests submitted, and neither held nor done */
    void (*stalled)(void *machine, const char *message); /* set by the owner */
    void (*resumed)(void *machine);
    void *machine;

    /* Guarded by the lock, except for fields marked atomic. */
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_cond_t idle; /* the queue is empty, and no thread is at work */
    struct request_queue queue;
    unsigned threads, waiting;
    unsigned working; /* requests taken and not yet sent back, and write-backs in progress */
    unsigned quick;   /* threads at work on a quick request */
    u64 hurry_at; /* atomic: when to interrupt the guest if letters are still in the mailbox; 0: not planned */
    bool polls;   /* constant: the host has enough processors for a thread to poll */
    bool polling; /* a thread polls */
    bool stop;
    struct block_disk *disks;
    u64 write_back_ns; /* how long images may keep changes in memory (WRITE_BACK_NS) */
    u64 write_back_at; /* CLOCK_MONOTONIC; UINT64_MAX: there is nothing to write back */
    pthread_t thread[DISK_CREW_THREADS];
};

/* All of these must be called on the vCPU thread. */

void disk_crew_init(struct disk_crew *crew, struct mailbox *box, struct clock *deterministic);
/* Wait for requests in progress, and end the threads. done() is not called for requests with unread letters. */
void disk_crew_destroy(struct disk_crew *crew);
/* Wait until all submitted requests are done, and those that done() submits. The caller may then use their memory. Held
 * requests stay held. */
void disk_crew_drain(struct disk_crew *crew);

/* For block_disk.c: queue a request. Its letter must be set up. */
void disk_crew_enqueue(struct disk_crew *crew, struct disk_request *request);
/* For block_disk.c: include this disk in write-backs. */
void disk_crew_add(struct disk_crew *crew, struct block_disk *disk);
void disk_crew_remove(struct disk_crew *crew, struct block_disk *disk);
/* For block_disk.c: take the lock while no thread uses an image, and release it. */
void disk_crew_lock_idle(struct disk_crew *crew);
void disk_crew_unlock(struct disk_crew *crew);

#endif
