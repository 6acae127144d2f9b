/*
 * TCP windows that are larger than libslirp's.
 *
 * libslirp knows no window scaling (RFC 7323), so at most 64 KB are on their way in either direction, and after each 64
 * KB one side waits for the other. This module lies between libslirp and the guest. It tells the guest of window
 * scaling, which most guests offer, and of larger windows.
 *
 * To the guest (early_ack.c): what libslirp sends in large segments, and in small ones between them, is kept, and
 * acknowledged in the guest's name at once. Bytes of a connection, in sequence numbers:
 *
 *       guest_acked          acked             sent
 *   ---------|-----------------|-----------------|-------------------------------> edge of the guest's window
 *   the guest|kept here;       | on its way;     | not sent yet
 *   has them | libslirp has    | libslirp has    |
 *            | forgotten them  | them still      |
 *
 * 1. What is acknowledged early is kept until the guest acknowledges it. It is sent again, piece by piece, if the guest
 *    does not (RESEND_NS) or asks for it (its SACK option, RFC 2018, or three duplicate acknowledgements, RFC 5681
 *    3.2).
 * 2. Nothing is acknowledged early beyond the guest's window. Of all connections together no more than KEPT_BYTES are
 *    acknowledged early; a segment that comes then, or while the card has no room, is kept, too, and acknowledged when
 *    the guest has taken enough. (libslirp would send it again after a second and more.)
 * 3. libslirp sees acknowledgements of the guest only with numbers and windows that agree with what it was told early.
 *    It does not see one that says nothing new.
 *
 * From the guest (send_ahead.c): the guest may send AHEAD_BYTES more than libslirp takes. What libslirp does not take
 * yet is held:
 *
 *            guest_next                     held_next
 *   ----------------|---------------------------|--------------------------------> router_edge + AHEAD_BYTES
 *   libslirp has    | held here; the guest      | not sent yet
 *   seen them       | has forgotten them        |
 *
 * 4. What is held is acknowledged in libslirp's name, all but the end of the connection, and reaches libslirp in order
 *    as its window opens.
 * 5. The edge that the guest is told never moves back, but for what a scaled field cannot say (RFC 7323 2.4).
 * 6. If the segments of all connections would take more than HELD_BYTES of memory, some are dropped, as a router may.
 *    The guest sends them again.
 *
 * Only connections over IPv4 that the guest opens are served; all others pass unchanged. Everything is called on the
 * network thread.
 */
#ifndef RINGER_NET_TCP_WINDOWS_H
#define RINGER_NET_TCP_WINDOWS_H

#include "frame.h"
#include "loop.h"

struct tcp_windows;

struct tcp_windows_ops {
    /* A packet of the guest's for libslirp: an acknowledgement, or what was held. It may be changed. */
    void (*to_router)(void *user, u8 *frame, u32 bytes);
    /* A segment with data for the guest. `frame` may be changed. False: it was lost. */
    bool (*to_guest)(void *user, u8 *frame, const struct frame_layout *layout);
    /* An acknowledgement of libslirp's for the guest. */
    void (*ack_to_guest)(void *user, const u8 *frame, u32 bytes);
};

/* NULL: out of memory. */
struct tcp_windows *tcp_windows_create(const struct tcp_windows_ops *ops, void *user);
void tcp_windows_destroy(struct tcp_windows *windows);

/* The most bytes by which a frame may grow. */
#define TCP_WINDOWS_OPTION_BYTES 8

/* A frame of the guest with its checksums. It may be changed. False: libslirp must not see it now. */
bool tcp_windows_from_guest(struct tcp_windows *windows, u8 *frame, const struct frame_layout *layout);
/* A frame of libslirp, before the guest sees it; `frame` has room for TCP_WINDOWS_OPTION_BYTES more. */
void tcp_windows_from_router(struct tcp_windows *windows, u8 *frame, struct frame_layout *layout);
/* A segment with data of libslirp, in place of to_guest(), which this calls. */
void tcp_windows_send(struct tcp_windows *windows, u8 *frame, const struct frame_layout *layout,
                      bool has_room);
/* Send libslirp the acknowledgements that are due, and what was held and fits now. Not from within libslirp. */
void tcp_windows_flush(struct tcp_windows *windows);

/* Connections that both sides have ended and know to be ended: libslirp forgets them now. It would keep them, with
 * their buffers, in TIME-WAIT for seconds, and walk over them in each round; but frames do not overtake each other
 * here, and nothing is lost on the way to libslirp. Only to be called while no socket of libslirp has bytes of the
 * guest left to send: they would be lost. Returns whether there were any. Not from within libslirp. */
bool tcp_windows_end(struct tcp_windows *windows);

/* For the loop: wait until the next repetition; repeat what is due. */
void tcp_windows_fill(struct tcp_windows *windows, struct net_poll *poll);
void tcp_windows_ready(struct tcp_windows *windows);

#endif
