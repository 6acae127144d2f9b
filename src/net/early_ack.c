#include "early_ack.h"

#include "base/host_time.h"

#include <stdlib.h>
#include <string.h>

/* Kept for all connections together: what is on its way to a guest that takes 1 GB/s and answers after 0.2 ms. Many connections at once
 * fill the time by themselves, and more would only leave the caches. */
#define KEPT_BYTES (256u << 10)
/* If the guest does not answer, kept bytes are sent again after RESEND_NS, then after twice that time, and so on up to RESEND_MOST_NS.
 * After the last attempt, some ten minutes later, the guest is gone, and the connection is reset. */
#define RESEND_NS      300000000ull
#define RESEND_MOST_NS 10000000000ull
#define RESENDS        64u
#define DUPLICATE_ACKS 3u
/* A connection that both sides have closed is forgotten after so long. */
#define CLOSED_NS       2000000000u
#define CONNECTIONS_MAX 16384u
#define BUCKETS         4096u
#define WINDOW_MOST     65535u
#define SHIFT_MOST      14 /* RFC 7323 2.3 */

/* A segment that libslirp was told the guest has. */
struct kept {
    struct kept *next;
    u32 sequence, payload;
    struct frame_layout layout;
    u8 frame[];
};

struct connection {
    struct connection *next;              /* of its bucket */
    struct connection *busy, **busy_from; /* those with `kept` or `due`; busy_from NULL: it has neither */
    u8 key
        [12]; /* the guest's address, the other's, the guest's port, the other's, as in the guest's packets */
    u8 mac[2 * NET_MAC_BYTES]; /* of the guest's frames */
    u8 shift;                  /* of the windows in the guest's packets */
    bool established;          /* libslirp has answered the SYN */
    bool told;                 /* libslirp has seen an acknowledgement since */
    bool due;                  /* it must see another */
    bool guest_ended, router_ended;
    u64 closed_at_ns; /* 0: it is not */
    u32 guest_acked, acked, sent, edge;
    u32 guest_next; /* the guest's own next sequence number */
    u32 told_ack, told_next;
    u16 told_window;
    u16 last_window; /* of the guest's last packet, not scaled */
    unsigned duplicates, resends;
    u64 resend_at_ns;
    struct kept *kept, **kept_last;
};

struct early_ack {
    const struct early_ack_ops *ops;
    void *user;
    unsigned connections;
    u32 kept_bytes; /* of all */
    struct connection *busy;
    struct connection *bucket[BUCKETS];
};

/* a is before b in sequence numbers, which wrap around. */
static bool before(u32 a, u32 b)
{
    return (s32)(a - b) < 0;
}

/* --- connections --- */

static void mark_busy(struct early_ack *early, struct connection *c)
{
    if (c->busy_from) return;
    c->busy = early->busy;
    c->busy_from = &early->busy;
    if (c->busy) c->busy->busy_from = &c->busy;
    early->busy = c;
}

static void mark_quiet(struct connection *c)
{
    if (!c->busy_from || c->kept || c->due) return;
    *c->busy_from = c->busy;
    if (c->busy) c->busy->busy_from = c->busy_from;
    c->busy_from = NULL;
}

/* Free what is kept before that sequence number. */
static void forget(struct early_ack *early, struct connection *c, u32 until)
{
    while (c->kept && !before(until, c->kept->sequence + c->kept->payload)) {
        struct kept *kept = c->kept;
        c->kept = kept->next;
        early->kept_bytes -= kept->payload;
        free(kept);
    }
    if (!c->kept) c->kept_last = &c->kept;
    mark_quiet(c);
}

static void free_connection(struct early_ack *early, struct connection **at)
{
    struct connection *c = *at;
    *at = c->next;
    c->due = false;
    while (c->kept)
        forget(early, c, c->kept->sequence + c->kept->payload);
    mark_quiet(c);
    early->connections--;
    free(c);
}

static void make_key(u8 key[12], const u8 *frame, const struct frame_layout *layout, bool from_guest)
{
    const u8 *address = frame + layout->ip + IPV4_SOURCE, *port = frame + layout->transport;
    unsigned mine = from_guest ? 0 : 1;
    for (unsigned n = 0; n < 2; n++) {
        memcpy(key + 4 * n, address + 4 * (n ^ mine), 4);
        memcpy(key + 8 + 2 * n, port + 2 * (n ^ mine), 2);
    }
}

static struct connection **bucket_of(struct early_ack *early, const u8 key[12])
{
    u32 hash = 2166136261u; /* FNV-1a */
    for (unsigned n = 0; n < 12; n++)
        hash = (hash ^ key[n]) * 16777619u;
    return &early->bucket[(hash ^ hash >> 16) % BUCKETS];
}

/* Where the connection hangs, or the end of its bucket. Those that are closed for long are freed on the way. */
static struct connection **find(struct early_ack *early, const u8 key[12])
{
    struct connection **at = bucket_of(early, key);
    while (*at && memcmp((*at)->key, key, sizeof((*at)->key))) {
        if ((*at)->closed_at_ns && host_now_ns() - (*at)->closed_at_ns > CLOSED_NS)
            free_connection(early, at);
        else
            at = &(*at)->next;
    }
    return at;
}

static bool is_served(const struct frame_layout *layout)
{
    return layout->version == 4 && layout->ip == NET_HEADER_BYTES && layout->protocol == PROTOCOL_TCP &&
           !layout->fragment;
}

/* The guest opens a connection. */
static void open_connection(struct early_ack *early, struct connection **at, u8 *frame,
                            const struct frame_layout *layout, const u8 key[12])
{
    const u8 *scale = frame_tcp_option(frame, layout, TCP_OPTION_SCALE, 3);
    if (*at) free_connection(early, at);
    if (!scale || early->connections == CONNECTIONS_MAX) return;
    struct connection *c = calloc(1, sizeof(*c));
    if (!c) return;
    memcpy(c->key, key, sizeof(c->key));
    memcpy(c->mac, frame, sizeof(c->mac));
    c->shift = scale[2] < SHIFT_MOST ? scale[2] : SHIFT_MOST;
    c->guest_next = get_be32(frame + layout->transport + TCP_SEQUENCE) + 1;
    c->kept_last = &c->kept;
    c->next = *at;
    *at = c;
    early->connections++;
}

/* libslirp answers: add the option that it lacks. Its own windows are not scaled. */
static void answer(struct connection *c, u8 *frame, struct frame_layout *layout)
{
    static const u8 option[EARLY_ACK_OPTION_BYTES] = {TCP_OPTION_NOP, TCP_OPTION_SCALE, 3, 0};
    enum { HEADER_MOST = 60, WORD = 4, OFFSET_SHIFT = 4 };
    u8 *tcp = frame + layout->transport;
    if (!c->established) {
        c->guest_acked = c->acked = c->sent = get_be32(tcp + TCP_SEQUENCE) + 1;
        c->edge = c->acked; /* until the guest says more */
        c->established = true;
    }
    if (layout->payload - layout->transport + sizeof(option) > HEADER_MOST) {
        c->shift = 0; /* no room: the guest will not scale */
        return;
    }
    memmove(frame + layout->payload + sizeof(option), frame + layout->payload,
            layout->bytes - layout->payload);
    memcpy(frame + layout->payload, option, sizeof(option));
    layout->payload += sizeof(option);
    layout->bytes += sizeof(option);
    tcp[TCP_OFFSET] = (u8)(tcp[TCP_OFFSET] + (sizeof(option) / WORD << OFFSET_SHIFT));
    frame_put_ip_length(frame, layout, layout->bytes);
    frame_fill_tcp(frame, layout);
}

/* --- from the guest --- */

/* The window for libslirp: up to the guest's edge. */
static u16 window_of(const struct connection *c)
{
    u32 left = before(c->acked, c->edge) ? c->edge - c->acked : 0;
    return (u16)(left < WINDOW_MOST ? left : WINDOW_MOST);
}

static void expect_answer(struct connection *c)
{
    u64 wait = c->resends < 6 ? RESEND_NS << c->resends : RESEND_MOST_NS;
    c->resend_at_ns = host_now_ns() + (wait < RESEND_MOST_NS ? wait : RESEND_MOST_NS);
}

/* What is kept first goes to the guest again. */
static void resend(struct early_ack *early, struct connection *c)
{
    struct kept *kept = c->kept;
    u32 headers = kept->layout.payload;
    /* to_guest() changes the headers. */
    u8 saved[NET_HEADER_BYTES + 60 + 60];
    memcpy(saved, kept->frame, headers);
    early->ops->to_guest(early->user, kept->frame, &kept->layout);
    memcpy(kept->frame, saved, headers);
    expect_answer(c);
}

/* The guest's number and window. Three of the same in a row, without data, ask for what is missing. */
static void take_ack(struct early_ack *early, struct connection *c, const u8 *tcp, bool pure)
{
    u32 number = get_be32(tcp + TCP_ACK_NUMBER);
    u16 window = get_be16(tcp + TCP_WINDOW);
    if (before(number, c->guest_acked) || before(c->sent, number)) return; /* old, or nonsense */
    bool same = number == c->guest_acked && window == c->last_window && pure;
    if (number != c->guest_acked) {
        c->guest_acked = number;
        c->resends = 0;
        forget(early, c, number);
        if (c->kept) expect_answer(c);
    }
    if (before(c->acked, number)) c->acked = number;
    c->edge = number + ((u32)window << c->shift);
    c->last_window = window;
    c->duplicates = same && c->kept ? c->duplicates + 1 : 0;
    if (c->duplicates == DUPLICATE_ACKS) resend(early, c);
}

/* The ones' complement sum after a 16-bit field has another value (RFC 1624). */
static void change16(u8 *field, u8 *checksum, u16 value)
{
    u32 sum = (u16)~get_be16(checksum) + (u32)(u16)~get_be16(field) + value;
    put_be16(field, value);
    put_be16(checksum, ~checksum_fold(sum));
}

static void change_ack(const struct connection *c, u8 *tcp)
{
    u8 *checksum = tcp + TCP_CHECKSUM;
    change16(tcp + TCP_ACK_NUMBER, checksum, (u16)(c->acked >> 16));
    change16(tcp + TCP_ACK_NUMBER + 2, checksum, (u16)c->acked);
    change16(tcp + TCP_WINDOW, checksum, window_of(c));
}

/* Both sides have ended, and each knows of the other. */
static void note_end(struct connection *c)
{
    if (c->guest_ended && c->router_ended && c->guest_acked == c->sent && !c->closed_at_ns)
        c->closed_at_ns = host_now_ns();
}

bool early_ack_from_guest(struct early_ack *early, u8 *frame, const struct frame_layout *layout)
{
    u8 key[12], *tcp = frame + layout->transport, flags = tcp[TCP_FLAGS];
    if (!is_served(layout)) return true;
    make_key(key, frame, layout, true);
    struct connection **at = find(early, key), *c = *at;
    if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
        open_connection(early, at, frame, layout, key);
        return true;
    }
    if (!c || !c->established || (flags & TCP_SYN)) return true;
    if (flags & TCP_RST) {
        free_connection(early, at);
        return true;
    }
    if (!(flags & TCP_ACK)) return true;
    u32 sequence = get_be32(tcp + TCP_SEQUENCE), payload = layout->bytes - layout->payload;
    bool pure = !payload && (flags & ~TCP_PSH) == TCP_ACK;
    take_ack(early, c, tcp, pure);
    change_ack(c, tcp);
    u32 next = sequence + payload + (flags & TCP_FIN ? 1 : 0);
    if (before(c->guest_next, next)) c->guest_next = next;
    if (flags & TCP_FIN) c->guest_ended = true;
    note_end(c);
    if (pure && c->told && c->told_ack == c->acked && c->told_window == window_of(c) &&
        c->told_next == sequence)
        return false;
    c->told = true;
    c->told_ack = c->acked;
    c->told_window = window_of(c);
    c->told_next = next;
    return true;
}

/* --- from libslirp --- */

void early_ack_from_router(struct early_ack *early, u8 *frame, struct frame_layout *layout)
{
    u8 key[12], *tcp = frame + layout->transport, flags = tcp[TCP_FLAGS];
    if (!is_served(layout)) return;
    make_key(key, frame, layout, false);
    struct connection **at = find(early, key), *c = *at;
    if (!c) return;
    if (flags & TCP_RST) {
        free_connection(early, at);
        return;
    }
    if (flags & TCP_SYN) {
        answer(c, frame, layout);
        return;
    }
    u32 end = get_be32(tcp + TCP_SEQUENCE) + layout->bytes - layout->payload + (flags & TCP_FIN ? 1 : 0);
    if (before(c->sent, end)) c->sent = end;
    if (flags & TCP_FIN) c->router_ended = true;
}

/* May this segment be acknowledged now? It must be the next, in the guest's window, and something must be left to acknowledge. */
static bool may_keep(const struct early_ack *early, const struct connection *c, const u8 *tcp, u32 payload)
{
    return c->established && !(tcp[TCP_FLAGS] & (TCP_SYN | TCP_FIN | TCP_RST)) &&
           get_be32(tcp + TCP_SEQUENCE) == c->acked && early->kept_bytes + payload <= KEPT_BYTES &&
           !before(c->edge, c->acked + payload);
}

static struct kept *keep(const u8 *frame, const struct frame_layout *layout)
{
    struct kept *kept = malloc(sizeof(*kept) + layout->bytes);
    if (!kept) return NULL;
    kept->next = NULL;
    kept->sequence = get_be32(frame + layout->transport + TCP_SEQUENCE);
    kept->payload = layout->bytes - layout->payload;
    kept->layout = *layout;
    memcpy(kept->frame, frame, layout->bytes);
    return kept;
}

void early_ack_send(struct early_ack *early, u8 *frame, const struct frame_layout *layout, bool has_room)
{
    u8 key[12];
    struct connection *c = NULL;
    struct kept *kept = NULL;
    if (is_served(layout) && has_room) {
        make_key(key, frame, layout, false);
        c = *find(early, key);
        if (c && may_keep(early, c, frame + layout->transport, layout->bytes - layout->payload))
            kept = keep(frame, layout);
    }
    bool taken = early->ops->to_guest(early->user, frame, layout);
    if (!kept) return;
    if (!taken) {
        free(kept); /* libslirp will send it again */
        return;
    }
    if (!c->kept) expect_answer(c);
    *c->kept_last = kept;
    c->kept_last = &kept->next;
    early->kept_bytes += kept->payload;
    c->acked += kept->payload;
    c->due = true;
    mark_busy(early, c);
}

/* --- acknowledgements for libslirp --- */

/* A packet of the guest's without data. */
static u32 make_packet(const struct connection *c, u8 flags, u8 frame[NET_HEADER_BYTES + 40])
{
    enum { IP = NET_HEADER_BYTES, IP_BYTES = 20, TTL = 8, TTL_MOST = 64, PROTOCOL = 9 };
    struct frame_layout layout = {.ip = IP,
                                  .version = 4,
                                  .protocol = PROTOCOL_TCP,
                                  .transport = IP + IP_BYTES,
                                  .payload = IP + IP_BYTES + TCP_BYTES,
                                  .bytes = IP + IP_BYTES + TCP_BYTES};
    u8 *ip = frame + IP, *tcp = ip + IP_BYTES;
    memset(frame, 0, layout.bytes);
    memcpy(frame, c->mac, sizeof(c->mac));
    put_be16(frame + 2 * NET_MAC_BYTES, ETHERTYPE_IPV4);
    ip[0] = 0x45;
    ip[TTL] = TTL_MOST;
    ip[PROTOCOL] = PROTOCOL_TCP;
    memcpy(ip + IPV4_SOURCE, c->key, 8);
    memcpy(tcp, c->key + 8, 4);
    put_be32(tcp + TCP_SEQUENCE, c->guest_next);
    put_be32(tcp + TCP_ACK_NUMBER, c->acked);
    tcp[TCP_OFFSET] = TCP_BYTES / 4 << 4;
    tcp[TCP_FLAGS] = flags;
    put_be16(tcp + TCP_WINDOW, window_of(c));
    frame_put_ip_length(frame, &layout, layout.bytes);
    frame_fill_tcp(frame, &layout);
    return layout.bytes;
}

void early_ack_flush(struct early_ack *early)
{
    u8 frame[NET_HEADER_BYTES + 40];
    for (bool any = true; any;) {
        any = false;
        for (struct connection *c = early->busy; c; c = c->busy) {
            if (!c->due) continue;
            c->due = false;
            c->told = true;
            c->told_ack = c->acked;
            c->told_window = window_of(c);
            c->told_next = c->guest_next;
            u32 bytes = make_packet(c, TCP_ACK, frame);
            early->ops->to_router(early->user, frame, bytes);
            any = true;
            break; /* libslirp may have changed the list */
        }
    }
}

/* --- time --- */

void early_ack_fill(struct early_ack *early, struct net_poll *poll)
{
    for (const struct connection *c = early->busy; c; c = c->busy)
        if (c->kept) net_poll_until(poll, c->resend_at_ns);
}

/* The guest does not answer any more: end the connection. */
static void give_up(struct early_ack *early, struct connection *c)
{
    u8 frame[NET_HEADER_BYTES + 40];
    u32 bytes = make_packet(c, TCP_RST | TCP_ACK, frame);
    free_connection(early, find(early, c->key));
    early->ops->to_router(early->user, frame, bytes);
}

void early_ack_ready(struct early_ack *early)
{
    if (!early->busy) return;
    u64 now = host_now_ns();
    for (struct connection *c = early->busy, *next; c; c = next) {
        next = c->busy;
        if (!c->kept || now < c->resend_at_ns) continue;
        if (++c->resends <= RESENDS) {
            resend(early, c);
            continue;
        }
        give_up(early, c);
        return; /* libslirp may have changed the list; the others are due in the next round */
    }
}

/* --- set-up --- */

struct early_ack *early_ack_create(const struct early_ack_ops *ops, void *user)
{
    struct early_ack *early = calloc(1, sizeof(*early));
    if (!early) return NULL;
    early->ops = ops;
    early->user = user;
    return early;
}

void early_ack_destroy(struct early_ack *early)
{
    if (!early) return;
    for (unsigned n = 0; n < BUCKETS; n++)
        while (early->bucket[n])
            free_connection(early, &early->bucket[n]);
    free(early);
}
