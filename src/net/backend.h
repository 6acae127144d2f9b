/*
 * What a cable leads to: one struct net_backend a -netdev, run by the network thread (loop.h).
 */
#ifndef RINGER_NET_BACKEND_H
#define RINGER_NET_BACKEND_H

#include "base/net.h"
#include "loop.h"

struct net_end;
struct net_backend;

enum net_sent {
    NET_SENT,    /* or dropped, as a network may */
    NET_BLOCKED, /* not now: the same frame is tried again after net_end_unblock() */
};

struct net_backend_ops {
    enum net_sent (*send)(struct net_backend *backend, const struct net_frame *frame);
    /* Buffers are there again after net_receive() had none. May be NULL. */
    void (*room)(struct net_backend *backend);
    /* What the card's driver takes has changed. May be NULL. */
    void (*negotiated)(struct net_backend *backend);
    /* The thread has ended, or runs this; no source is in its list any more. Frees the back end. */
    void (*destroy)(struct net_backend *backend);
};

struct net_backend {
    const struct net_backend_ops *ops;
    struct net_source source;
    struct net_loop *loop;
    struct net_end *end; /* the cable's; NULL: no card is there */
    bool up;             /* carrier at the start; later net_end_carrier() */
};

/* All parts of a frame in one piece. Returns its bytes; 0: it is larger than any frame may be. */
static inline u32 net_gather(const struct net_frame *frame, u8 to[NET_FRAME_MAX])
{
    u32 at = 0;
    if (frame->bytes > NET_FRAME_MAX) return 0;
    for (unsigned n = 0; n < frame->part_count; n++) {
        __builtin_memcpy(to + at, frame->part[n].iov_base, frame->part[n].iov_len);
        at += (u32)frame->part[n].iov_len;
    }
    return at;
}

#endif
