/*
 * The network seam: what a network card sees of the cable that is plugged into it.
 *
 * A card runs on the vCPU thread. The cable leads to a back end (src/net), which runs on the network thread. The card
 * sends frames, and offers buffers, which come back with received frames in them:
 *
 *      card (vCPU thread)                        back end (network thread)
 *        net_send(), net_flush()  -- frames -->    sends from guest memory
 *        sent()                   <-- done ---
 *        net_offer()              -- buffers -->   writes into guest memory
 *        received()               <-- filled --
 *
 * Invariants
 * 1. A frame and its memory belong to the cable from net_send() to sent(), a buffer from net_offer() to received().
 *    Order is kept in both directions.
 * 2. After net_withdraw() the cable has no frame and no buffer of the card: none is read or written any more, and
 *    neither sent() nor received() is called for those withdrawn.
 * 3. sent(), received() and carrier() are called on the vCPU thread, never from within a function below.
 * 4. A back end that changes guest memory does not report it to the machine (struct dma, written()). The card does that
 *    in received().
 */
#ifndef RINGER_BASE_NET_H
#define RINGER_BASE_NET_H

#include "types.h"

#include <sys/uio.h>

#define NET_MAC_BYTES    6
#define NET_HEADER_BYTES 14 /* destination, source, type */
#define NET_VLAN_BYTES   4
/* The largest frame that any card or back end handles: a segment of 64 KB with its headers. */
#define NET_FRAME_MAX (65535u + NET_HEADER_BYTES + NET_VLAN_BYTES)

/*
 * The work that remains to be done on a sent frame, or that was left out on a received one. The layout is that of
 * struct virtio_net_hdr (virtio 1.2, 5.1.6) without num_buffers. Linux' tap device uses it too:
 *
 *   +0 flags | +1 segmentation | +2 header bytes | +4 segment bytes | +6 checksum start | +8 checksum offset
 */
struct net_offload {
    u8 flags;        /* NET_NEEDS_CHECKSUM, NET_CHECKSUM_GOOD */
    u8 segmentation; /* enum net_segmentation, maybe with NET_SEGMENT_ECN */
    u16 header_bytes;
    u16 segment_bytes; /* payload of each segment */
    u16 checksum_start, checksum_offset;
};
_Static_assert(sizeof(struct net_offload) == 10, "the size of struct virtio_net_hdr");

enum { NET_NEEDS_CHECKSUM = 1, NET_CHECKSUM_GOOD = 2 };
enum net_segmentation { NET_WHOLE = 0, NET_SEGMENT_TCP4 = 1, NET_SEGMENT_TCP6 = 4, NET_SEGMENT_ECN = 0x80 };

/* Which offloads a card accepts on received frames. Frames that it sends may need any. */
enum {
    NET_TAKES_CHECKSUM = 1 << 0, /* frames that need their checksum */
    NET_TAKES_TCP4 = 1 << 1,     /* segments of up to 64 KB */
    NET_TAKES_TCP6 = 1 << 2,
    NET_TAKES_ECN = 1 << 3,
};

/* A frame to send. Its parts, in host memory, begin with the destination address and end before the frame check
 * sequence. */
struct net_frame {
    struct net_frame *next;
    const struct iovec *part;
    unsigned part_count;
    u32 bytes;
    struct net_offload offload;
};

/* Memory of a card for a received frame, or for a piece of one. */
struct net_buffer {
    struct net_buffer *next;
    const struct iovec *part;
    unsigned part_count;
    u32 capacity; /* bytes of all parts */
    u32 reserved; /* bytes that stay free, for a header, if a frame begins in this buffer */
    /* Set when it comes back: */
    u32 used;                   /* bytes of the frame in it */
    u16 count;                  /* buffers that hold this frame, on the first of them; 0 on the others */
    struct net_offload offload; /* on the first */
};

/* Which frames a card accepts. accepts() runs on the network thread and sees only this copy. */
#define NET_FILTER_STATE_BYTES 2048
struct net_filter {
    bool (*accepts)(const struct net_filter *filter, const u8 *frame, u32 bytes);
    u8 state[NET_FILTER_STATE_BYTES] __attribute__((aligned(8)));
};

/* The card as its cable sees it. `first` begins a list in order. */
struct net_card_ops {
    void (*sent)(void *card, struct net_frame *first);
    void (*received)(void *card, struct net_buffer *first);
    void (*carrier)(void *card, bool up); /* the cable was plugged in, or pulled */
    /* The driver goes on while sent frames are not reported, as long as there is room in its ring. So a busy guest may
     * hear of them, and of acknowledgements, a little later, which saves interrupts, and TCP makes larger segments of
     * small writes meanwhile. */
    bool patient;
};

struct net_cable;

struct net_cable_ops {
    void (*attach)(struct net_cable *cable, const struct net_card_ops *ops, void *card);
    void (*send)(struct net_cable *cable, struct net_frame *frame);
    void (*flush)(struct net_cable *cable);
    void (*offer)(struct net_cable *cable, struct net_buffer *buffer);
    void (*withdraw)(struct net_cable *cable);
    void (*filter)(struct net_cable *cable, const struct net_filter *filter);
    void (*receive)(struct net_cable *cable, u32 takes, bool merges);
};

struct net_cable {
    const struct net_cable_ops *ops;
    bool up; /* the carrier as the card knows it */
};

/* Plug the cable into a card, or (NULL) pull it. */
static inline void net_attach(struct net_cable *cable, const struct net_card_ops *ops, void *card)
{
    cable->ops->attach(cable, ops, card);
}

/* Queue a frame. It is sent at the next net_flush(), or earlier. */
static inline void net_send(struct net_cable *cable, struct net_frame *frame)
{
    cable->ops->send(cable, frame);
}

static inline void net_flush(struct net_cable *cable)
{
    cable->ops->flush(cable);
}

/* Offer a buffer. Buffers are filled in the order in which they were offered. */
static inline void net_offer(struct net_cable *cable, struct net_buffer *buffer)
{
    cable->ops->offer(cable, buffer);
}

/* Take back all frames and buffers (invariant 2). Waits for a transfer in progress. */
static inline void net_withdraw(struct net_cable *cable)
{
    cable->ops->withdraw(cable);
}

/* Set the filter. Frames that it does not accept use no buffer. NULL: accept none, which is the initial state. */
static inline void net_set_filter(struct net_cable *cable, const struct net_filter *filter)
{
    cable->ops->filter(cable, filter);
}

/* From now on the card accepts these offloads (NET_TAKES_*) on received frames and, with `merges`, frames in several
 * buffers. Without `merges`, a frame that is larger than the next buffer is dropped. */
static inline void net_set_receive(struct net_cable *cable, u32 takes, bool merges)
{
    cable->ops->receive(cable, takes, merges);
}

/* --- addresses --- */

static inline bool net_is_multicast(const u8 *mac)
{
    return mac[0] & 1;
}

static inline bool net_is_broadcast(const u8 *mac)
{
    return (mac[0] & mac[1] & mac[2] & mac[3] & mac[4] & mac[5]) == 0xff;
}

#endif
