/*
 * A cable over a stream socket, TCP or Unix: -netdev stream, and -netdev socket with listen or connect. The other end
 * is another Ringer, QEMU, passt, or anything else that sends frames so:
 *
 *      length, 32 bits, high byte first | the frame
 *
 * Frames on the wire are finished: large segments are cut and checksums filled here.
 */
#ifndef RINGER_NET_STREAM_H
#define RINGER_NET_STREAM_H

#include "address.h"
#include "backend.h"

struct stream_options {
    struct net_address address;
    bool server;             /* listen, for one peer at a time, and again when that has left */
    int fd;                  /* a connected socket, which is used instead, or -1 */
    unsigned reconnect_s;    /* client: try again so long after a failure or a loss; 0: never */
    const char *description; /* for messages */
};

/* A server is listening when this returns; a client without reconnect_s has connected. NULL with one sentence in
 * error. */
struct net_backend *stream_create(struct net_loop *loop, const struct stream_options *options, char *error,
                                  size_t error_bytes);

#endif
