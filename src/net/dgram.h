/*
 * A cable over datagrams, UDP or Unix: -netdev dgram, and -netdev socket with udp or mcast. Each datagram is one frame.
 * The other end is another Ringer, QEMU, or for a multicast group any number of them.
 *
 * Frames on the wire are finished: large segments are cut and checksums filled here. What the other end does not take
 * in time is lost, as on any wire; a Unix socket with a slow other end holds the sender back instead.
 */
#ifndef RINGER_NET_DGRAM_H
#define RINGER_NET_DGRAM_H

#include "address.h"
#include "backend.h"

struct dgram_options {
    struct net_address local;  /* to be bound to; of a multicast group: the interface. bytes 0: none */
    struct net_address remote; /* where frames go; may be a multicast group. bytes 0: only with fd */
    int fd;                    /* a connected socket, which is used instead, or -1 */
    const char *description;   /* for messages */
};

/* NULL with one sentence in error. */
struct net_backend *dgram_create(struct net_loop *loop, const struct dgram_options *options, char *error,
                                 size_t error_bytes);

#endif
