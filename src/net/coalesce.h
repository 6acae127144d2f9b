/*
 * Segments of a TCP connection that come one after the other, joined into one large frame for a card that takes large
 * frames (what Linux calls GRO). The guest then handles one frame in place of up to 45.
 *
 *   headers 1 | payload 1        headers 2 | payload 2        headers 3 | payload 3
 *   headers 1, with other lengths | payload 1 | payload 2 | payload 3
 *
 * Invariants
 * 1. Only segments with good checksums are joined, because the guest does not check that of the large frame: damage
 *    would not be noticed.
 * 2. All headers are equal but for lengths, checksums, sequence numbers and PSH, and for IPv4's identification. All
 *    payloads but the last have the same size. So the large frame can be cut into the same segments again.
 * 3. Order is kept among all frames. After coalescer_flush() nothing is held back.
 */
#ifndef RINGER_NET_COALESCE_H
#define RINGER_NET_COALESCE_H

#include "frame.h"

struct coalescer {
    void (*emit)(void *to, const u8 *frame, u32 bytes, const struct net_offload *offload);
    void *to;
    /* The frame that grows. */
    u32 bytes; /* 0: there is none */
    struct frame_layout layout;
    u32 segment_bytes; /* payload of the first segment */
    u32 next;          /* sequence number behind the last */
    u8 frame[NET_FRAME_MAX];
};

/* A frame for a card that takes these offloads (NET_TAKES_*). It is emitted now, or in a larger one until the flush. */
void coalescer_add(struct coalescer *c, u32 takes, const u8 *frame, u32 bytes);
void coalescer_flush(struct coalescer *c);

#endif
