/*
 * The seam of shared folders: what a device that carries messages of the 9P protocol sees of the server.
 *
 * Requests are asynchronous. submit() never blocks; several requests may be under way and may complete in any
 * order. done() is called on the vCPU thread, never from within submit().
 */
#ifndef RINGER_BASE_SHARE_H
#define RINGER_BASE_SHARE_H

#include "mailbox.h"

#include <sys/uio.h>

/* Bytes of every message's head: size, 32 bits; type, 8 bits; tag, 16 bits. */
#define SHARE_HEAD_BYTES 7

struct share_request {
    /* The message, and room for the reply: host memory, often guest RAM, that must stay until done(). */
    const struct iovec *in, *out;
    unsigned in_count, out_count;
    u64 in_bytes, out_bytes;
    u32 written; /* at done(): bytes of the reply; 0: there is none, because the client was forgotten */
    bool broken; /* at done(): what came is not a message, or there was no room for a reply */
    void (*done)(struct share_request *request);
    void *device; /* of the submitter */
    /* of the server, from submit() to done() */
    struct letter letter;
    struct share_request *next;    /* in the queue, or among those at work */
    struct share_request *flushes; /* Tflush messages that wait for this request */
    struct share_request *flushed; /* a Tflush: the next one that waits for the same request */
    u8 head[SHARE_HEAD_BYTES];     /* read once, because the guest may change it */
};

struct share {
    void (*submit)(struct share *share, struct share_request *request);
    /* The client is gone: close all that it opened. Waits until nothing uses the memory of requests; their done() is
     * called later. */
    void (*forget)(struct share *share);
};

#endif
