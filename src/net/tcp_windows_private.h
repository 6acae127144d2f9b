/* What the two directions of tcp_windows.h share: the table of connections. */
#ifndef RINGER_NET_TCP_WINDOWS_PRIVATE_H
#define RINGER_NET_TCP_WINDOWS_PRIVATE_H

#include "tcp_windows.h"

#define TCP_WINDOW_MOST 65535u /* of a field */
/* The largest window that libslirp is told, which is its largest segment. Two of them are one byte more than a window
 * field can say. The last byte would travel alone, and the guest would handle a frame for it. */
#define TCP_WINDOW_TOLD 32768u
/* An acknowledgement: Ethernet, IPv4 and TCP headers without options. */
#define ACK_PACKET_BYTES (NET_HEADER_BYTES + 40u)

/* A segment that one side was told the other has. */
struct kept_segment {
    struct kept_segment *next;
    u32 sequence, end; /* the number behind its last byte, or behind its FIN */
    u32 payload;
    struct frame_layout layout;
    u8 frame[];
};

struct tcp_connection {
    struct tcp_connection *next; /* of its bucket */
    /* The list of those with `kept`, `due`, `held` or `over`; busy_from NULL: this one has none. */
    struct tcp_connection *busy, **busy_from;
    /* The guest's address, the other's, the guest's port, the other's, as in the guest's packets. */
    u8 key[12];
    u8 mac[2 * NET_MAC_BYTES]; /* of the guest's frames */
    u8 shift;                  /* of the windows in the guest's packets */
    bool scaled;               /* both sides' windows are: the guest was told */
    bool established;          /* libslirp has answered the SYN */
    bool guest_ended, router_ended;
    bool over;        /* both know that both have ended; libslirp keeps it for a while */
    u64 closed_at_ns; /* 0: it is not */

    /* To the guest. */
    u32 guest_acked, acked, sent, edge;
    bool told;        /* libslirp has seen an acknowledgement since */
    bool due;         /* it must see another */
    bool after_large; /* the last segment was a large one */
    u32 told_ack, told_next;
    u16 told_window;
    u16 last_window; /* of the guest's last packet, not scaled */
    struct kept_segment *kept, **kept_last;
    struct kept_segment *unacked; /* the first that is kept and not acknowledged */
    u32 unacked_bytes;
    bool sack;     /* the guest says what it has (RFC 2018) */
    bool repairs;  /* it lacks something in front of `recover` */
    bool late;     /* or is only slow: there was no answer in time */
    bool doubtful; /* nothing but the time tells of it */
    u32 recover;
    /* What was sent again last ends there, and came behind that; 0: nothing was. */
    u32 resent_to, resent_behind, resent_bytes;
    unsigned duplicates;
    u32 duplicate_behind; /* they came because of what was sent before that */
    unsigned echoes;      /* duplicates to come that answer what was sent again in vain */
    unsigned resends;     /* by time, since the guest's last news */
    u64 resend_at_ns;
    /* How long the guest takes to acknowledge: smoothed, and how far from that (RFC 6298); 0: not measured yet. What
     * ends at timed_end was sent at timed_ns; 0: nothing is measured. */
    u64 trip_ns, spread_ns;
    u64 timed_ns;
    u32 timed_end;

    /* From the guest. */
    u32 guest_next, held_next, router_edge;
    struct kept_segment *held, **held_last;
    u64 probe_at_ns, probe_wait_ns;
};

#define TCP_BUCKETS 4096u

struct tcp_windows {
    const struct tcp_windows_ops *ops;
    void *user;
    unsigned connections;
    u32 kept_bytes, held_bytes; /* of all; kept and acknowledged */
    u8 piece[NET_FRAME_MAX];    /* one that is sent again */
    struct tcp_connection *busy;
    struct tcp_connection *bucket[TCP_BUCKETS];
};

/* a is before b in sequence numbers, which wrap around. */
static inline bool before(u32 a, u32 b)
{
    return (s32)(a - b) < 0;
}

void tcp_mark_busy(struct tcp_windows *windows, struct tcp_connection *c);
/* If nothing is left to do for it. */
void tcp_mark_quiet(struct tcp_connection *c);
void tcp_forget_connection(struct tcp_windows *windows, struct tcp_connection *c);

struct kept_segment *tcp_keep(const u8 *frame, const struct frame_layout *layout);
/* A 16-bit and a 32-bit field of a segment take another value; the checksum follows (RFC 1624). */
void tcp_change16(u8 *tcp, unsigned field, u16 value);
void tcp_change32(u8 *tcp, unsigned field, u32 value);

struct tcp_packet {
    bool from_guest;
    u8 flags;
    u32 sequence, ack;
    u16 window;
};
/* A packet of the connection without data. Returns its bytes. */
u32 tcp_make_packet(const struct tcp_connection *c, const struct tcp_packet *packet,
                    u8 frame[ACK_PACKET_BYTES]);

/* --- to the guest: early_ack.c --- */

/* The guest's acknowledgement. */
void early_ack_take(struct tcp_windows *windows, struct tcp_connection *c, u8 *frame,
                    const struct frame_layout *layout, bool pure);
/* Number and window of the guest's packets, as libslirp may know them. */
void early_ack_change(const struct tcp_connection *c, u8 *tcp);
/* Libslirp has seen a packet of the guest with these. */
void early_ack_told(struct tcp_connection *c);
/* Would an acknowledgement say what libslirp knows already? */
bool early_ack_is_old(const struct tcp_connection *c, u32 sequence);
/* A copy of a segment if it may be kept, else NULL. It becomes the connection's when the guest was sent it. It is
 * acknowledged when the guest has answered, or at once. */
struct kept_segment *early_ack_keep(const struct tcp_connection *c, const u8 *frame,
                                    const struct frame_layout *layout);
void early_ack_kept(struct tcp_windows *windows, struct tcp_connection *c, struct kept_segment *kept,
                    bool may_acknowledge);
/* A packet of the guest's that says what libslirp may know. Returns its bytes. */
u32 early_ack_packet(const struct tcp_connection *c, u8 flags, u32 sequence, u8 frame[ACK_PACKET_BYTES]);
/* True: it was due and was sent, and libslirp may have changed the list of busy connections. */
bool early_ack_flush(struct tcp_windows *windows, struct tcp_connection *c);
void early_ack_forget_all(struct tcp_windows *windows, struct tcp_connection *c);
/* True: the connection has ended, as above. */
bool early_ack_repeat(struct tcp_windows *windows, struct tcp_connection *c, u64 now);

/* --- from the guest: send_ahead.c --- */

/* The shift of the windows in libslirp's packets, as the guest sees them. */
#define AHEAD_SHIFT 2

/* A segment with data or the end of the connection. True: libslirp must not see it now. */
bool send_ahead_hold(struct tcp_windows *windows, struct tcp_connection *c, const u8 *frame,
                     const struct frame_layout *layout);
/* Number and window of libslirp's packets, as the guest may know them. */
void send_ahead_take(struct tcp_connection *c, u8 *tcp);
/* True: something was sent, and libslirp may have changed the list of busy connections. */
bool send_ahead_flush(struct tcp_windows *windows, struct tcp_connection *c);
void send_ahead_forget_all(struct tcp_windows *windows, struct tcp_connection *c);
bool send_ahead_probe(struct tcp_windows *windows, struct tcp_connection *c, u64 now);

#endif
