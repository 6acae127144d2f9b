/*
 * A cable: what lies between a card, on the vCPU thread, and a back end, on the network thread. See
 * base/net.h.
 *
 *   card                      struct net_end                       back end
 *     send ----> outgoing (atomic stack) -> sending ----> ops->send()
 *     sent <---- letter <---------------------- done <------'
 *    offer ----> offering (atomic stack) -> offered ----> net_receive()
 * received <---- letter <------------------ received <------'
 *
 * Invariants
 * 1. `lock` covers the lists, the filter and the flags, for moments only: while a frame is being sent or a
 * buffer filled, it is `busy` and not locked, and net_withdraw() waits for that.
 * 2. The letter is under way at most once. It takes everything there is.
 * 3. A letter about nothing but sent frames and acknowledgements is put off if the guest has been busy for a while and
 *    sends small frames
 * (net_card_ops.patient). The network thread does not sleep meanwhile, and sends the letter when the guest halts.
 */
#ifndef RINGER_NET_CABLE_H
#define RINGER_NET_CABLE_H

#include "backend.h"
#include "base/mailbox.h"

/* The most bytes of received frames that wait for buffers. Further frames are lost, as on any wire. */
#define CABLE_WAITING_MAX_BYTES (1u << 20)

/* --pcap and filter-dump: sees every frame, on the network thread. */
struct net_tap_ear {
    void (*hear)(struct net_tap_ear *ear, const struct iovec *part, unsigned part_count, u32 bytes,
                 const struct net_offload *offload);
    struct net_tap_ear *next;
};

struct waiting_frame;

struct net_list {
    void *first, **last;
};

struct net_end {
    struct net_cable cable; /* first: the card's side */
    const struct net_card_ops *card_ops;
    void *card;
    struct net_backend *backend;
    struct net_source source;
    struct mailbox *box;
    struct net_tap_ear *ears;

    /* Atomic: stacks, newest first. */
    struct net_frame *outgoing;
    struct net_buffer *offering;
    pthread_mutex_t lock;
    pthread_cond_t idle; /* no longer busy */
    bool busy, withdrawing;
    bool blocked; /* the back end accepts no frames for now */
    struct net_frame *sending, **sending_last;
    struct net_frame *done, **done_last;
    unsigned done_count;
    struct net_buffer *offered, **offered_last;
    struct net_buffer *received, **received_last;
    struct waiting_frame *waiting, **waiting_last;
    u32 waiting_bytes;
    bool starved; /* net_receive() had no buffer */
    bool accepts; /* there is a filter */
    struct net_filter filter;
    u32 card_takes;
    bool card_merges;
    bool wanted_up; /* set_link's */
    bool backend_up, carrier_news;
    struct letter letter;
    bool letter_under_way;
    u64 put_off_until_ns; /* 0: no letter is put off */
    u32 run;              /* the guest's, mailbox_owner_run(), and since when */
    u64 run_since_ns;
    u32 last_sent_bytes;
    u64 hurry_at_ns; /* 0: no letter waits */
    u64 hurry_ns;    /* the delay from which that follows */
};

/* Returns 0 or -errno. The loop has not been started. */
int net_end_init(struct net_end *end, struct net_loop *loop, struct net_backend *backend,
                 struct mailbox *box);
/* After the thread's end. */
void net_end_destroy(struct net_end *end);

/* vCPU thread: pull the cable (set_link of the monitor), or plug it in. */
void net_end_set_link(struct net_end *end, bool up);

/* --- network thread --- */

/* A frame has come in for the card. Returns false, and has not taken it, if the card has no room and the
 * cable's queue is full. */
bool net_receive(struct net_end *end, const u8 *frame, u32 bytes, const struct net_offload *offload);
/* May net_receive() be called with success now? */
bool net_has_room(struct net_end *end);
/* The back end takes frames again. */
void net_end_unblock(struct net_end *end);
/* The back end's other side came or went. */
void net_end_carrier(struct net_end *end, bool up);

#endif
