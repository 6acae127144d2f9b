/* Acknowledgements in the guest's name: see tcp_windows.h. */
#include "base/host_time.h"
#include "tcp_windows_private.h"

#include <stdlib.h>
#include <string.h>

/* Kept for all connections together: what is on its way to a guest that takes 1 GB/s and answers after 0.2 ms. Many connections at once
 * fill the time by themselves, and more would only leave the caches. */
#define KEPT_BYTES (256u << 10)
/* A smaller segment counts as this many bytes, because it takes about as many beside its payload: a peer may send single bytes. */
#define KEPT_LEAST 256u
/* If the guest does not answer, kept bytes are sent again after RESEND_NS, then after twice that time, and so on up to RESEND_MOST_NS.
 * After the last attempt, some ten minutes later, the guest is gone, and the connection is reset. */
#define RESEND_NS      300000000ull
#define RESEND_MOST_NS 10000000000ull
#define RESENDS        64u
#define DUPLICATE_ACKS 3u

/* What the segment counts in kept_bytes. */
static u32 weight(u32 payload)
{
    return payload < KEPT_LEAST ? KEPT_LEAST : payload;
}

/* Free what is kept before that sequence number. */
static void forget(struct tcp_windows *windows, struct tcp_connection *c, u32 until)
{
    while (c->kept && !before(until, c->kept->sequence + c->kept->payload)) {
        struct kept_segment *kept = c->kept;
        c->kept = kept->next;
        windows->kept_bytes -= weight(kept->payload);
        free(kept);
    }
    if (!c->kept) c->kept_last = &c->kept;
    tcp_mark_quiet(c);
}

void early_ack_forget_all(struct tcp_windows *windows, struct tcp_connection *c)
{
    c->due = false;
    while (c->kept)
        forget(windows, c, c->kept->end);
    tcp_mark_quiet(c);
}

/* The window for libslirp: up to the guest's edge. */
static u16 window_of(const struct tcp_connection *c)
{
    u32 left = before(c->acked, c->edge) ? c->edge - c->acked : 0;
    return (u16)(left < TCP_WINDOW_TOLD ? left : TCP_WINDOW_TOLD);
}

static void expect_answer(struct tcp_connection *c)
{
    u64 wait = c->resends < 6 ? RESEND_NS << c->resends : RESEND_MOST_NS;
    c->resend_at_ns = host_now_ns() + (wait < RESEND_MOST_NS ? wait : RESEND_MOST_NS);
}

/* What is kept first goes to the guest again. */
static void resend(struct tcp_windows *windows, struct tcp_connection *c)
{
    struct kept_segment *kept = c->kept;
    u32 headers = kept->layout.payload;
    /* to_guest() changes the headers. */
    u8 saved[NET_HEADER_BYTES + 60 + 60];
    memcpy(saved, kept->frame, headers);
    windows->ops->to_guest(windows->user, kept->frame, &kept->layout);
    memcpy(kept->frame, saved, headers);
    expect_answer(c);
}

/* The guest's number and window. Three of the same in a row, without data, ask for what is missing. */
void early_ack_take(struct tcp_windows *windows, struct tcp_connection *c, u8 *tcp, bool pure)
{
    u32 number = get_be32(tcp + TCP_ACK_NUMBER);
    u16 window = get_be16(tcp + TCP_WINDOW);
    if (before(number, c->guest_acked) || before(c->sent, number)) return; /* old, or nonsense */
    bool same = number == c->guest_acked && window == c->last_window && pure;
    if (number != c->guest_acked) {
        c->guest_acked = number;
        c->resends = 0;
        forget(windows, c, number);
        if (c->kept) expect_answer(c);
    }
    if (before(c->acked, number)) c->acked = number;
    c->edge = number + ((u32)window << c->shift);
    c->last_window = window;
    c->duplicates = same && c->kept ? c->duplicates + 1 : 0;
    if (c->duplicates == DUPLICATE_ACKS) resend(windows, c);
}

void early_ack_change(const struct tcp_connection *c, u8 *tcp)
{
    tcp_change32(tcp, TCP_ACK_NUMBER, c->acked);
    tcp_change16(tcp, TCP_WINDOW, window_of(c));
}

void early_ack_told(struct tcp_connection *c)
{
    c->told = true;
    c->told_ack = c->acked;
    c->told_window = window_of(c);
    c->told_next = c->guest_next;
}

bool early_ack_is_old(const struct tcp_connection *c, u32 sequence)
{
    return c->told && c->told_ack == c->acked && c->told_window == window_of(c) && c->told_next == sequence;
}

/* Is it part of a stream? A small segment that is not acknowledged early holds up all that follow until the guest acknowledges it. One that
 * stands alone, such as the answer to a request, is not worth the work. */
static bool in_stream(const struct tcp_connection *c, const struct frame_layout *layout)
{
    return layout->bytes > NET_FRAME_MTU || c->kept || c->after_large;
}

/* May this segment be acknowledged now? It must be the next, in the guest's window, and something must be left to acknowledge. */
static bool may_keep(const struct tcp_windows *windows, const struct tcp_connection *c, const u8 *tcp,
                     u32 payload)
{
    return c->established && !(tcp[TCP_FLAGS] & (TCP_SYN | TCP_FIN | TCP_RST)) &&
           get_be32(tcp + TCP_SEQUENCE) == c->acked && windows->kept_bytes + weight(payload) <= KEPT_BYTES &&
           !before(c->edge, c->acked + payload);
}

struct kept_segment *early_ack_keep(const struct tcp_windows *windows, const struct tcp_connection *c,
                                    const u8 *frame, const struct frame_layout *layout)
{
    if (!in_stream(c, layout) ||
        !may_keep(windows, c, frame + layout->transport, layout->bytes - layout->payload))
        return NULL;
    return tcp_keep(frame, layout);
}

void early_ack_kept(struct tcp_windows *windows, struct tcp_connection *c, struct kept_segment *kept)
{
    if (!c->kept) expect_answer(c);
    *c->kept_last = kept;
    c->kept_last = &kept->next;
    windows->kept_bytes += weight(kept->payload);
    c->acked += kept->payload;
    c->due = true;
    tcp_mark_busy(windows, c);
}

/* --- packets for libslirp --- */

u32 early_ack_packet(const struct tcp_connection *c, u8 flags, u32 sequence, u8 frame[ACK_PACKET_BYTES])
{
    struct tcp_packet packet = {
        .from_guest = true, .flags = flags, .sequence = sequence, .ack = c->acked, .window = window_of(c)};
    return tcp_make_packet(c, &packet, frame);
}

bool early_ack_flush(struct tcp_windows *windows, struct tcp_connection *c)
{
    u8 frame[ACK_PACKET_BYTES];
    if (!c->due) return false;
    c->due = false;
    early_ack_told(c);
    windows->ops->to_router(windows->user, frame, early_ack_packet(c, TCP_ACK, c->guest_next, frame));
    return true;
}

/* The guest does not answer any more: end the connection. */
static void give_up(struct tcp_windows *windows, struct tcp_connection *c)
{
    u8 frame[ACK_PACKET_BYTES];
    u32 bytes = early_ack_packet(c, TCP_RST | TCP_ACK, c->guest_next, frame);
    tcp_forget_connection(windows, c);
    windows->ops->to_router(windows->user, frame, bytes);
}

bool early_ack_repeat(struct tcp_windows *windows, struct tcp_connection *c, u64 now)
{
    if (!c->kept || now < c->resend_at_ns) return false;
    if (++c->resends <= RESENDS) {
        resend(windows, c);
        return false;
    }
    give_up(windows, c);
    return true;
}
