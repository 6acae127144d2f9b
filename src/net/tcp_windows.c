#include "tcp_windows_private.h"

#include "base/host_time.h"

#include <stdlib.h>
#include <string.h>

/* A connection that both sides have closed is forgotten after this time. */
#define CLOSED_NS       2000000000u
#define CONNECTIONS_MAX 16384u
#define SHIFT_MOST      14 /* RFC 7323 2.3 */

/* --- connections --- */

void tcp_mark_busy(struct tcp_windows *windows, struct tcp_connection *c)
{
    if (c->busy_from) return;
    c->busy = windows->busy;
    c->busy_from = &windows->busy;
    if (c->busy) c->busy->busy_from = &c->busy;
    windows->busy = c;
}

void tcp_mark_quiet(struct tcp_connection *c)
{
    if (!c->busy_from || c->kept || c->due || c->held || c->over) return;
    *c->busy_from = c->busy;
    if (c->busy) c->busy->busy_from = c->busy_from;
    c->busy_from = NULL;
}

static void free_connection(struct tcp_windows *windows, struct tcp_connection **at)
{
    struct tcp_connection *c = *at;
    *at = c->next;
    c->over = false;
    early_ack_forget_all(windows, c);
    send_ahead_forget_all(windows, c);
    windows->connections--;
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

static struct tcp_connection **bucket_of(struct tcp_windows *windows, const u8 key[12])
{
    u32 hash = 2166136261u; /* FNV-1a */
    for (unsigned n = 0; n < 12; n++)
        hash = (hash ^ key[n]) * 16777619u;
    return &windows->bucket[(hash ^ hash >> 16) % TCP_BUCKETS];
}

/* The pointer to the connection, or the end of its bucket. Connections that were closed long ago are freed on the
 * way. */
static struct tcp_connection **find(struct tcp_windows *windows, const u8 key[12])
{
    struct tcp_connection **at = bucket_of(windows, key);
    while (*at && memcmp((*at)->key, key, sizeof((*at)->key))) {
        if ((*at)->closed_at_ns && host_now_ns() - (*at)->closed_at_ns > CLOSED_NS)
            free_connection(windows, at);
        else
            at = &(*at)->next;
    }
    return at;
}

void tcp_forget_connection(struct tcp_windows *windows, struct tcp_connection *c)
{
    free_connection(windows, find(windows, c->key));
}

static bool is_served(const struct frame_layout *layout)
{
    return layout->version == 4 && layout->ip == NET_HEADER_BYTES && layout->protocol == PROTOCOL_TCP &&
           !layout->fragment;
}

/* The guest opens a connection. */
static void open_connection(struct tcp_windows *windows, struct tcp_connection **at, u8 *frame,
                            const struct frame_layout *layout, const u8 key[12])
{
    const u8 *scale = frame_tcp_option(frame, layout, TCP_OPTION_SCALE, 3);
    if (*at) free_connection(windows, at);
    if (!scale || windows->connections == CONNECTIONS_MAX) return;
    struct tcp_connection *c = calloc(1, sizeof(*c));
    if (!c) return;
    memcpy(c->key, key, sizeof(c->key));
    memcpy(c->mac, frame, sizeof(c->mac));
    c->shift = scale[2] < SHIFT_MOST ? scale[2] : SHIFT_MOST;
    c->sack = frame_tcp_option(frame, layout, TCP_OPTION_SACK_PERMITTED, 2);
    c->guest_next = get_be32(frame + layout->transport + TCP_SEQUENCE) + 1;
    c->kept_last = &c->kept;
    c->held_last = &c->held;
    c->next = *at;
    *at = c;
    windows->connections++;
}

/* libslirp answers: add the options that it lacks. */
static void answer(struct tcp_connection *c, u8 *frame, struct frame_layout *layout)
{
    static const u8 options[TCP_WINDOWS_OPTION_BYTES] = {
        TCP_OPTION_NOP, TCP_OPTION_SCALE,          3, AHEAD_SHIFT, TCP_OPTION_NOP,
        TCP_OPTION_NOP, TCP_OPTION_SACK_PERMITTED, 2};
    enum { HEADER_MOST = 60, WORD = 4, OFFSET_SHIFT = 4 };
    u32 more = c->sack ? sizeof(options) : WORD;
    u8 *tcp = frame + layout->transport;
    if (!c->established) {
        c->guest_acked = c->acked = c->sent = get_be32(tcp + TCP_SEQUENCE) + 1;
        c->duplicate_behind = c->acked;
        c->edge = c->acked; /* until the guest says more */
        c->router_edge = c->guest_next + get_be16(tcp + TCP_WINDOW);
        c->established = true;
    }
    if (layout->payload - layout->transport + more > HEADER_MOST) {
        c->shift = 0; /* no room: the guest will not scale */
        c->sack = false;
        return;
    }
    c->scaled = true;
    memmove(tcp + TCP_BYTES + more, tcp + TCP_BYTES, layout->bytes - layout->transport - TCP_BYTES);
    memcpy(tcp + TCP_BYTES, options, more);
    layout->payload = (u16)(layout->payload + more);
    layout->bytes += more;
    tcp[TCP_OFFSET] = (u8)(tcp[TCP_OFFSET] + (more / WORD << OFFSET_SHIFT));
    frame_put_ip_length(frame, layout, layout->bytes);
    frame_fill_tcp(frame, layout);
}

/* --- packets --- */

struct kept_segment *tcp_keep(const u8 *frame, const struct frame_layout *layout)
{
    const u8 *tcp = frame + layout->transport;
    struct kept_segment *kept = malloc(sizeof(*kept) + layout->bytes);
    if (!kept) return NULL;
    kept->next = NULL;
    kept->sequence = get_be32(tcp + TCP_SEQUENCE);
    kept->payload = layout->bytes - layout->payload;
    kept->end = kept->sequence + kept->payload + (tcp[TCP_FLAGS] & TCP_FIN ? 1 : 0);
    kept->layout = *layout;
    memcpy(kept->frame, frame, layout->bytes);
    return kept;
}

void tcp_change16(u8 *tcp, unsigned field, u16 value)
{
    u32 sum = (u16)~get_be16(tcp + TCP_CHECKSUM) + (u32)(u16)~get_be16(tcp + field) + value;
    put_be16(tcp + field, value);
    put_be16(tcp + TCP_CHECKSUM, ~checksum_fold(sum));
}

void tcp_change32(u8 *tcp, unsigned field, u32 value)
{
    tcp_change16(tcp, field, (u16)(value >> 16));
    tcp_change16(tcp, field + 2, (u16)value);
}

u32 tcp_make_packet(const struct tcp_connection *c, const struct tcp_packet *packet,
                    u8 frame[ACK_PACKET_BYTES])
{
    enum { IP = NET_HEADER_BYTES, IP_BYTES = 20, TTL = 8, TTL_MOST = 64, PROTOCOL = 9 };
    struct frame_layout layout = {.ip = IP,
                                  .version = 4,
                                  .protocol = PROTOCOL_TCP,
                                  .transport = IP + IP_BYTES,
                                  .payload = IP + IP_BYTES + TCP_BYTES,
                                  .bytes = IP + IP_BYTES + TCP_BYTES};
    u8 *ip = frame + IP, *tcp = ip + IP_BYTES;
    unsigned mine = packet->from_guest ? 0 : 1;
    memset(frame, 0, layout.bytes);
    for (unsigned n = 0; n < 2; n++) {
        memcpy(frame + n * NET_MAC_BYTES, c->mac + (n ^ mine) * NET_MAC_BYTES, NET_MAC_BYTES);
        memcpy(ip + IPV4_SOURCE + 4 * n, c->key + 4 * (n ^ mine), 4);
        memcpy(tcp + 2 * n, c->key + 8 + 2 * (n ^ mine), 2);
    }
    put_be16(frame + 2 * NET_MAC_BYTES, ETHERTYPE_IPV4);
    ip[0] = 0x45;
    ip[TTL] = TTL_MOST;
    ip[PROTOCOL] = PROTOCOL_TCP;
    put_be32(tcp + TCP_SEQUENCE, packet->sequence);
    put_be32(tcp + TCP_ACK_NUMBER, packet->ack);
    tcp[TCP_OFFSET] = TCP_BYTES / 4 << 4;
    tcp[TCP_FLAGS] = packet->flags;
    put_be16(tcp + TCP_WINDOW, packet->window);
    frame_put_ip_length(frame, &layout, layout.bytes);
    frame_fill_tcp(frame, &layout);
    return layout.bytes;
}

/* --- what passes --- */

/* Both sides have ended, and each knows of the other. */
static void note_end(struct tcp_connection *c)
{
    if (c->guest_ended && c->router_ended && c->guest_acked == c->sent && !c->closed_at_ns)
        c->closed_at_ns = host_now_ns();
}

/* libslirp acknowledges the guest's end after the guest has acknowledged its own: it is in TIME-WAIT now. */
static void note_over(struct tcp_windows *windows, struct tcp_connection *c, u32 ack)
{
    if (!c->guest_ended || !c->router_ended || c->guest_acked != c->sent || ack != c->guest_next) return;
    c->over = true;
    tcp_mark_busy(windows, c);
}

bool tcp_windows_from_guest(struct tcp_windows *windows, u8 *frame, const struct frame_layout *layout)
{
    u8 key[12], *tcp = frame + layout->transport, flags = tcp[TCP_FLAGS];
    if (!is_served(layout)) return true;
    make_key(key, frame, layout, true);
    struct tcp_connection **at = find(windows, key), *c = *at;
    if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
        open_connection(windows, at, frame, layout, key);
        return true;
    }
    if (!c || !c->established || (flags & TCP_SYN)) return true;
    /* A packet without data overtakes the held segments, so it gets the sequence number that libslirp expects. */
    u32 payload = layout->bytes - layout->payload;
    if (c->held && !payload && !(flags & TCP_FIN)) tcp_change32(tcp, TCP_SEQUENCE, c->guest_next);
    if (flags & TCP_RST) {
        free_connection(windows, at);
        return true;
    }
    if (!(flags & TCP_ACK)) return true;
    u32 sequence = get_be32(tcp + TCP_SEQUENCE), end = sequence + payload + (flags & TCP_FIN ? 1 : 0);
    bool pure = !payload && (flags & ~TCP_PSH) == TCP_ACK;
    early_ack_take(windows, c, frame, layout, pure);
    early_ack_change(c, tcp);
    if (sequence != end && send_ahead_hold(windows, c, frame, layout)) return false;
    if (before(c->guest_next, end) && !before(c->guest_next, sequence)) c->guest_next = end;
    if (flags & TCP_FIN) c->guest_ended = true;
    note_end(c);
    if (pure && early_ack_is_old(c, sequence)) return false;
    early_ack_told(c);
    return true;
}

void tcp_windows_from_router(struct tcp_windows *windows, u8 *frame, struct frame_layout *layout)
{
    u8 key[12], *tcp = frame + layout->transport, flags = tcp[TCP_FLAGS];
    if (!is_served(layout)) return;
    make_key(key, frame, layout, false);
    struct tcp_connection **at = find(windows, key), *c = *at;
    if (!c) return;
    if (flags & TCP_RST) {
        free_connection(windows, at);
        return;
    }
    if (flags & TCP_SYN) {
        answer(c, frame, layout);
        return;
    }
    u32 end = get_be32(tcp + TCP_SEQUENCE) + layout->bytes - layout->payload + (flags & TCP_FIN ? 1 : 0);
    if (before(c->sent, end)) c->sent = end;
    if (flags & TCP_FIN) c->router_ended = true;
    if (!(flags & TCP_ACK)) return;
    note_over(windows, c, get_be32(tcp + TCP_ACK_NUMBER));
    send_ahead_take(c, tcp);
}

void tcp_windows_send(struct tcp_windows *windows, u8 *frame, const struct frame_layout *layout,
                      bool has_room)
{
    u8 key[12];
    struct tcp_connection *c = NULL;
    struct kept_segment *kept = NULL;
    if (is_served(layout)) {
        make_key(key, frame, layout, false);
        c = *find(windows, key);
        if (c) kept = early_ack_keep(c, frame, layout);
        if (c) c->after_large = layout->bytes > NET_FRAME_MTU;
    }
    bool taken = windows->ops->to_guest(windows->user, frame, layout);
    if (kept) early_ack_kept(windows, c, kept, has_room && taken);
}

void tcp_windows_flush(struct tcp_windows *windows)
{
    for (bool any = true; any;) {
        any = false;
        for (struct tcp_connection *c = windows->busy; c && !any; c = c->busy)
            any = early_ack_flush(windows, c) || send_ahead_flush(windows, c);
    }
}

bool tcp_windows_end(struct tcp_windows *windows)
{
    bool any = false;
    struct tcp_connection *c = windows->busy;
    while (c) {
        u8 frame[ACK_PACKET_BYTES];
        if (!c->over) {
            c = c->busy;
            continue;
        }
        u32 bytes = early_ack_packet(c, TCP_RST | TCP_ACK, c->guest_next, frame);
        tcp_forget_connection(windows, c);
        windows->ops->to_router(windows->user, frame, bytes);
        any = true;
        c = windows->busy; /* libslirp may have changed the list */
    }
    return any;
}

/* --- time --- */

void tcp_windows_fill(struct tcp_windows *windows, struct net_poll *poll)
{
    for (const struct tcp_connection *c = windows->busy; c; c = c->busy) {
        if (c->kept) net_poll_until(poll, c->resend_at_ns);
        if (c->held) net_poll_until(poll, c->probe_at_ns);
    }
}

void tcp_windows_ready(struct tcp_windows *windows)
{
    if (!windows->busy) return;
    u64 now = host_now_ns();
    for (struct tcp_connection *c = windows->busy, *next; c; c = next) {
        next = c->busy;
        /* libslirp may have changed the list; the others are due in the next round. */
        if (early_ack_repeat(windows, c, now) || send_ahead_probe(windows, c, now)) return;
    }
}

/* --- set-up --- */

struct tcp_windows *tcp_windows_create(const struct tcp_windows_ops *ops, void *user)
{
    struct tcp_windows *windows = calloc(1, sizeof(*windows));
    if (!windows) return NULL;
    windows->ops = ops;
    windows->user = user;
    return windows;
}

void tcp_windows_destroy(struct tcp_windows *windows)
{
    if (!windows) return;
    for (unsigned n = 0; n < TCP_BUCKETS; n++)
        while (windows->bucket[n])
            free_connection(windows, &windows->bucket[n]);
    free(windows);
}
