/*
 * A virtio network card (virtio 1.2, 5.1) with one pair of queues and a control queue. Frames go straight between guest
 * memory and the cable's back end, which runs on its own thread.
 *
 *   queue 0  the driver's empty buffers, which come back with received frames
 *   queue 1  frames to be sent
 *   queue 2  commands
 *
 * Each chain of queue 0 is one struct net_buffer, each chain of queue 1 one struct net_frame, in the order of
 * the rings. Sent frames may be given back late, because a driver waits for them only when its ring is full.
 */
#ifndef RINGER_DEVICES_VIRTIO_VIRTIO_NET_H
#define RINGER_DEVICES_VIRTIO_VIRTIO_NET_H

#include "base/net.h"
#include "virtio.h"

/* Feature bits (5.1.3) */
#define VIRTIO_NET_F_CSUM           (1ull << 0)
#define VIRTIO_NET_F_GUEST_CSUM     (1ull << 1)
#define VIRTIO_NET_F_CTRL_OFFLOADS  (1ull << 2)
#define VIRTIO_NET_F_MTU            (1ull << 3)
#define VIRTIO_NET_F_MAC            (1ull << 5)
#define VIRTIO_NET_F_GUEST_TSO4     (1ull << 7)
#define VIRTIO_NET_F_GUEST_TSO6     (1ull << 8)
#define VIRTIO_NET_F_GUEST_ECN      (1ull << 9)
#define VIRTIO_NET_F_HOST_TSO4      (1ull << 11)
#define VIRTIO_NET_F_HOST_TSO6      (1ull << 12)
#define VIRTIO_NET_F_HOST_ECN       (1ull << 13)
#define VIRTIO_NET_F_MRG_RXBUF      (1ull << 15)
#define VIRTIO_NET_F_STATUS         (1ull << 16)
#define VIRTIO_NET_F_CTRL_VQ        (1ull << 17)
#define VIRTIO_NET_F_CTRL_RX        (1ull << 18)
#define VIRTIO_NET_F_CTRL_VLAN      (1ull << 19)
#define VIRTIO_NET_F_CTRL_RX_EXTRA  (1ull << 20)
#define VIRTIO_NET_F_GUEST_ANNOUNCE (1ull << 21)
#define VIRTIO_NET_F_CTRL_MAC_ADDR  (1ull << 23)
#define VIRTIO_NET_F_SPEED_DUPLEX   (1ull << 63)

#define VIRTIO_NET_QUEUE VIRTIO_QUEUE_SIZE
#define VIRTIO_NET_MACS                                                                                      \
    64 /* addresses of each kind that are kept; if the driver sets more, all are accepted */

/* What the driver wants to receive. */
struct virtio_net_filter {
    u8 mac[NET_MAC_BYTES];
    bool promiscuous, all_multicast, all_unicast, no_multicast, no_unicast, no_broadcast;
    bool filters_vlans;      /* the driver has negotiated it */
    u8 unicasts, multicasts; /* entries of the tables */
    u8 unicast[VIRTIO_NET_MACS][NET_MAC_BYTES], multicast[VIRTIO_NET_MACS][NET_MAC_BYTES];
    u8 vlan[4096 / 8];
};
_Static_assert(sizeof(struct virtio_net_filter) <= NET_FILTER_STATE_BYTES, "it is a filter's state");

struct virtio_net_frame;
struct virtio_net_buffer;

struct virtio_net {
    struct virtio virtio; /* first */
    struct net_cable *cable;
    u8 mac[NET_MAC_BYTES]; /* the card's own, which the driver may replace until a reset */
    u64 offloads;          /* VIRTIO_NET_F_GUEST_*: accepted and switched on */
    struct virtio_net_filter filter;
    bool started; /* buffers and frames are with the cable */
    struct virtio_net_frame *free_frames;
    struct virtio_net_buffer *free_buffers;
    struct virtio_net_frame *frames;
    struct virtio_net_buffer *buffers;
    struct virtio_chain chain; /* the one just taken */
};

struct virtio_net_options {
    u8 mac[NET_MAC_BYTES];
    u16 mtu; /* 0: the driver's default */
};

/* The cable must outlive the card. Returns false: out of memory. */
bool virtio_net_init(struct virtio_net *net, struct pci_bus *bus, const struct dma *dma,
                     const struct virtio_options *options, const struct virtio_net_options *net_options,
                     struct net_cable *cable);
/* Free what virtio_net_init() allocated. The cable must not have buffers or frames of the card. */
void virtio_net_destroy(struct virtio_net *net);

#endif
