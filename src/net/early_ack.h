/*
 * Early acknowledgements: TCP windows that are larger than libslirp's, for what goes to the guest.
 *
 * libslirp knows no window scaling, so it has 64 KB on their way to the guest at most, and waits for the guest after each 64 KB. This file
 * lies between libslirp and the guest. It tells the guest of window scaling (RFC 7323), which most guests offer. What libslirp sends in
 * large segments it keeps, and acknowledges it in the guest's name at once. Bytes of a connection, in sequence numbers:
 *
 *       guest_acked          acked             sent
 *   ---------|-----------------|-----------------|-------------------------------> edge of the guest's window
 *   the guest|kept here;       | on its way;     | not sent yet
 *   has them | libslirp has    | libslirp has    |
 *            | forgotten them  | them still      |
 *
 * Invariants
 * 1. What is acknowledged early is kept until the guest acknowledges it, and is sent again if the guest does not (RESEND_NS) or asks for it
 *    (three duplicate acknowledgements, RFC 5681 3.2).
 * 2. Nothing is acknowledged early beyond the guest's window, and no more than KEPT_BYTES are kept.
 * 3. libslirp sees acknowledgements of the guest only with numbers and windows that agree with what it was told early. One that says nothing
 *    new it does not see.
 *
 * Only connections over IPv4 that the guest opens are served; all others pass unchanged. Everything is called on the network thread.
 */
#ifndef RINGER_NET_EARLY_ACK_H
#define RINGER_NET_EARLY_ACK_H

#include "frame.h"
#include "loop.h"

struct early_ack;

struct early_ack_ops {
    /* An acknowledgement for libslirp. */
    void (*to_router)(void *user, const u8 *frame, u32 bytes);
    /* A large segment for the guest. `frame` may be changed. False: it was lost. */
    bool (*to_guest)(void *user, u8 *frame, const struct frame_layout *layout);
};

/* NULL: out of memory. */
struct early_ack *early_ack_create(const struct early_ack_ops *ops, void *user);
void early_ack_destroy(struct early_ack *early);

/* The most bytes by which a frame may grow. */
#define EARLY_ACK_OPTION_BYTES 4

/* A frame of the guest with its checksums. It may be changed. False: libslirp need not see it. */
bool early_ack_from_guest(struct early_ack *early, u8 *frame, const struct frame_layout *layout);
/* A frame of libslirp, before the guest sees it; `frame` has room for EARLY_ACK_OPTION_BYTES more. */
void early_ack_from_router(struct early_ack *early, u8 *frame, struct frame_layout *layout);
/* A large segment of libslirp, in place of to_guest(), which this calls. */
void early_ack_send(struct early_ack *early, u8 *frame, const struct frame_layout *layout, bool has_room);
/* Send libslirp the acknowledgements that are due. Not from within libslirp. */
void early_ack_flush(struct early_ack *early);

/* For the loop: wait until the next repetition; repeat what is due. */
void early_ack_fill(struct early_ack *early, struct net_poll *poll);
void early_ack_ready(struct early_ack *early);

#endif
