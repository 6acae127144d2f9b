/*
 * A queue of disk requests. They are linked by their letters (struct disk_request.letter), which belong to the disk
 * from submit() to done(). The caller does the locking; only `count` may be read without the lock.
 */
#ifndef RINGER_BLOCK_REQUEST_QUEUE_H
#define RINGER_BLOCK_REQUEST_QUEUE_H

#include "base/disk.h"

struct request_queue {
    struct letter *first, **end;
    unsigned count; /* atomic */
};

static inline void request_queue_init(struct request_queue *queue)
{
    *queue = (struct request_queue){.end = &queue->first};
}

static inline void request_queue_put(struct request_queue *queue, struct disk_request *request)
{
    request->letter.next = NULL;
    *queue->end = &request->letter;
    queue->end = &request->letter.next;
    __atomic_store_n(&queue->count, queue->count + 1, __ATOMIC_RELAXED);
}

/* The oldest request, or NULL. */
static inline struct disk_request *request_queue_take(struct request_queue *queue)
{
    struct letter *first = queue->first;
    if (!first) return NULL;
    queue->first = first->next;
    if (!queue->first) queue->end = &queue->first;
    __atomic_store_n(&queue->count, queue->count - 1, __ATOMIC_RELAXED);
    return container_of(first, struct disk_request, letter);
}

/* Is a request queued? Without the lock the answer is only a hint. */
static inline bool request_queue_any(const struct request_queue *queue)
{
    return __atomic_load_n(&queue->count, __ATOMIC_RELAXED) != 0;
}

#endif
