/* The guest sends ahead of libslirp's window: see tcp_windows.h. */
#include "base/host_time.h"
#include "tcp_windows_private.h"

#include <stdlib.h>

/* With libslirp's 64 KB, the largest window that a field with AHEAD_SHIFT can tell. */
#define AHEAD_BYTES ((TCP_WINDOW_MOST << AHEAD_SHIFT) - TCP_WINDOW_MOST)
/* Of the host's memory, for all connections together. */
#define HELD_BYTES (64u << 20)
/* libslirp does not say when its window opens; it answers a probe (RFC 9293 3.8.6.1). The first probe comes after
 * PROBE_NS, each further one after twice the last wait, up to PROBE_MOST_NS. */
#define PROBE_NS      1000000ull
#define PROBE_MOST_NS 64000000ull

/* What the guest knows to be taken: all that is held but the end of the connection. */
static u32 taken(const struct tcp_connection *c)
{
    if (!c->held) return c->guest_next;
    const struct kept_segment *last = container_of(c->held_last, struct kept_segment, next);
    return last->sequence + last->payload;
}

static u16 window_of(const struct tcp_connection *c, u32 ack)
{
    return (u16)((c->router_edge + AHEAD_BYTES - ack) >> AHEAD_SHIFT);
}

void send_ahead_take(struct tcp_connection *c, u8 *tcp)
{
    u32 ack = get_be32(tcp + TCP_ACK_NUMBER), edge = ack + get_be16(tcp + TCP_WINDOW);
    if (before(c->router_edge, edge)) {
        c->router_edge = edge;
        c->probe_wait_ns = PROBE_NS;
    }
    if (!c->scaled) return;
    if (c->held && before(ack, taken(c))) ack = taken(c);
    tcp_change32(tcp, TCP_ACK_NUMBER, ack);
    tcp_change16(tcp, TCP_WINDOW, window_of(c, ack));
}

static void answer(const struct tcp_windows *windows, const struct tcp_connection *c)
{
    u8 frame[ACK_PACKET_BYTES];
    u32 ack = taken(c);
    u32 bytes = tcp_make_packet(
        c,
        &(struct tcp_packet){.flags = TCP_ACK, .sequence = c->sent, .ack = ack, .window = window_of(c, ack)},
        frame);
    windows->ops->ack_to_guest(windows->user, frame, bytes);
}

/* A guest may send single bytes, so headers count too. */
static u32 held_bytes(const struct frame_layout *layout)
{
    return (u32)sizeof(struct kept_segment) + layout->bytes;
}

static void append(struct tcp_windows *windows, struct tcp_connection *c, struct kept_segment *segment)
{
    if (!c->held) {
        c->probe_wait_ns = PROBE_NS;
        c->probe_at_ns = host_now_ns() + PROBE_NS;
    }
    *c->held_last = segment;
    c->held_last = &segment->next;
    c->held_next = segment->end;
    windows->held_bytes += held_bytes(&segment->layout);
    tcp_mark_busy(windows, c);
}

bool send_ahead_hold(struct tcp_windows *windows, struct tcp_connection *c, const u8 *frame,
                     const struct frame_layout *layout)
{
    const u8 *tcp = frame + layout->transport;
    u32 sequence = get_be32(tcp + TCP_SEQUENCE), payload = layout->bytes - layout->payload;
    u32 end = sequence + payload + (tcp[TCP_FLAGS] & TCP_FIN ? 1 : 0);
    if (!c->scaled || before(sequence, c->guest_next)) return false;
    if (!c->held && (sequence != c->guest_next || !before(c->router_edge, end))) return false;
    /* If it is held already, comes too early or is too much, the guest is only told what is next. */
    struct kept_segment *segment = NULL;
    if (sequence == (c->held ? c->held_next : c->guest_next) && !before(c->router_edge + AHEAD_BYTES, end) &&
        windows->held_bytes + held_bytes(layout) <= HELD_BYTES)
        segment = tcp_keep(frame, layout);
    if (segment) append(windows, c, segment);
    answer(windows, c);
    return true;
}

static struct kept_segment *take_first(struct tcp_windows *windows, struct tcp_connection *c)
{
    struct kept_segment *segment = c->held;
    c->held = segment->next;
    if (!c->held) c->held_last = &c->held;
    windows->held_bytes -= held_bytes(&segment->layout);
    tcp_mark_quiet(c);
    return segment;
}

void send_ahead_forget_all(struct tcp_windows *windows, struct tcp_connection *c)
{
    while (c->held)
        free(take_first(windows, c));
}

bool send_ahead_flush(struct tcp_windows *windows, struct tcp_connection *c)
{
    if (!c->held || before(c->router_edge, c->held->end)) return false;
    struct kept_segment *segment = take_first(windows, c);
    u8 *tcp = segment->frame + segment->layout.transport;
    /* The guest may have acknowledged more since. */
    early_ack_change(c, tcp);
    c->guest_next = segment->end;
    if (tcp[TCP_FLAGS] & TCP_FIN) c->guest_ended = true;
    early_ack_told(c);
    windows->ops->to_router(windows->user, segment->frame, segment->layout.bytes);
    free(segment);
    return true;
}

bool send_ahead_probe(struct tcp_windows *windows, struct tcp_connection *c, u64 now)
{
    u8 frame[ACK_PACKET_BYTES];
    if (!c->held || now < c->probe_at_ns) return false;
    c->probe_at_ns = now + c->probe_wait_ns;
    c->probe_wait_ns = c->probe_wait_ns * 2 < PROBE_MOST_NS ? c->probe_wait_ns * 2 : PROBE_MOST_NS;
    u32 bytes = early_ack_packet(c, TCP_ACK, c->guest_next - 1, frame);
    windows->ops->to_router(windows->user, frame, bytes);
    return true;
}
