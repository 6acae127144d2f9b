/* Acknowledgements in the guest's name: see tcp_windows.h. */
#include "base/host_time.h"
#include "tcp_windows_private.h"

#include <stdlib.h>
#include <string.h>

/* Kept for all connections together: what is on its way to a guest that takes 1 GB/s and answers after 0.2 ms. Many
 * connections at once fill the time by themselves, and more would only leave the caches. */
#define KEPT_BYTES (256u << 10)
/* A smaller segment counts as this many bytes, because it takes about as many beside its payload: a peer may send
 * single bytes. */
#define KEPT_LEAST 256u
/* If the guest does not answer, kept bytes are sent again after the time that it usually takes, between QUICK_NS and
 * RESEND_NS, then after twice that time, and so on up to RESEND_MOST_NS. An answer to few bytes it may delay (RFC 5681
 * 4.2): they get RESEND_NS. After the last attempt, some ten minutes later, the guest is gone, and the connection is
 * reset. RFC 6298 (2.4) asks for a second at least, because to be wrong costs a congestion window; here it costs one
 * piece. A guest that is known to lack something answers at once to what fills the gap (RFC 5681 4.2), so the first
 * wait is QUICK_NS then. */
#define RESEND_NS      300000000ull
#define QUICK_NS       2000000ull
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
    while (c->kept && !before(until, c->kept->end)) {
        struct kept_segment *kept = c->kept;
        c->kept = kept->next;
        if (c->unacked == kept) {
            c->unacked = kept->next;
            c->unacked_bytes -= weight(kept->payload);
        } else {
            windows->kept_bytes -= weight(kept->payload);
        }
        free(kept);
    }
    if (!c->kept) {
        c->kept_last = &c->kept;
        c->repairs = false;
        c->resent_bytes = 0;
    }
    tcp_mark_quiet(c);
}

/* The number behind what is kept. */
static u32 kept_end(const struct tcp_connection *c)
{
    return c->kept ? container_of(c->kept_last, struct kept_segment, next)->end : c->acked;
}

/* Acknowledge as much of what is kept as the guest's window and KEPT_BYTES allow. */
static void acknowledge(struct tcp_windows *windows, struct tcp_connection *c)
{
    for (struct kept_segment *kept = c->unacked; kept && !before(c->edge, kept->end); kept = kept->next) {
        if (windows->kept_bytes + weight(kept->payload) > KEPT_BYTES) return;
        windows->kept_bytes += weight(kept->payload);
        c->unacked_bytes -= weight(kept->payload);
        c->unacked = kept->next;
        c->acked = kept->end;
        c->due = true;
    }
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

/* --- repair --- */

/* RFC 6298 2.2 and 2.3. What was sent again is not measured: which copy the guest acknowledges is unknown. */
static void measure(struct tcp_connection *c, u64 took_ns)
{
    enum { TRIP_SHIFT = 3, SPREAD_SHIFT = 2 };
    if (!c->trip_ns) {
        c->trip_ns = took_ns;
        c->spread_ns = took_ns / 2;
        return;
    }
    u64 off = c->trip_ns < took_ns ? took_ns - c->trip_ns : c->trip_ns - took_ns;
    c->spread_ns += (off >> SPREAD_SHIFT) - (c->spread_ns >> SPREAD_SHIFT);
    c->trip_ns += (took_ns >> TRIP_SHIFT) - (c->trip_ns >> TRIP_SHIFT);
}

static u32 piece_bytes(const struct kept_segment *kept)
{
    return NET_MTU - (kept->layout.payload - kept->layout.ip);
}

/* May it wait for more before it answers? Not if it lacks what came before something that it has. */
static bool may_delay(const struct tcp_connection *c)
{
    enum { FEW = 2 };
    return kept_end(c) - c->guest_acked <= FEW * piece_bytes(c->kept) &&
           !before(c->guest_acked, c->duplicate_behind);
}

static u64 answer_ns(const struct tcp_connection *c)
{
    enum { SPREADS = 4 };
    u64 most = c->trip_ns + SPREADS * c->spread_ns;
    if (!c->trip_ns || most > RESEND_NS || may_delay(c)) return RESEND_NS;
    return most < QUICK_NS ? QUICK_NS : most;
}

static void expect_answer(struct tcp_connection *c)
{
    enum { DOUBLINGS = 16 };
    bool quick = c->repairs && !c->late;
    u64 wait = (quick ? QUICK_NS : answer_ns(c)) << (c->resends < DOUBLINGS ? c->resends : DOUBLINGS);
    c->resend_at_ns = host_now_ns() + (wait < RESEND_MOST_NS ? wait : RESEND_MOST_NS);
}

/* The guest lacks something of what was kept until now. */
static void begin_repair(struct tcp_connection *c)
{
    c->repairs = true;
    c->doubtful = false;
    c->recover = kept_end(c);
}

/* What the guest lacks first goes to it again, up to that number. */
static void resend(struct tcp_windows *windows, struct tcp_connection *c, u32 end)
{
    const struct kept_segment *kept = c->kept;
    struct frame_layout layout = kept->layout;
    u32 headers = layout.payload, skip = c->guest_acked - kept->sequence;
    u32 bytes = (before(end, kept->end) ? end : kept->end) - c->guest_acked;
    u8 *frame = windows->piece;
    layout.bytes = headers + bytes;
    memcpy(frame, kept->frame, headers);
    memcpy(frame + headers, kept->frame + headers + skip, bytes);
    put_be32(frame + layout.transport + TCP_SEQUENCE, c->guest_acked);
    frame_put_ip_length(frame, &layout, layout.bytes);
    frame_fill_tcp(frame, &layout);
    c->resent_bytes = bytes;
    c->resent_to = c->guest_acked + bytes;
    c->resent_behind = kept_end(c);
    c->timed_ns = 0;
    expect_answer(c);
    windows->ops->to_guest(windows->user, frame, &layout);
}

/* Where the guest's first gap may end, which its option leaves out if there are many gaps. A card that takes large
 * segments whole loses them whole. Others lose what a frame of the wire holds, or more if the guest has nothing behind
 * what was sent again. */
static u32 guess_end(const struct tcp_connection *c)
{
    const struct kept_segment *kept = c->kept;
    if (c->guest_acked == kept->sequence) return kept->end;
    if (c->resent_bytes && c->guest_acked == c->resent_to) return c->guest_acked + 2 * c->resent_bytes;
    return c->guest_acked + piece_bytes(kept);
}

/* Does the guest have something behind a gap, by its SACK option (RFC 2018 3)? *end: where the gap ends; *last: where
 * what it has ends. Other blocks tell what came twice (RFC 2883 4). */
static bool find_gap(const struct tcp_connection *c, u8 *frame, const struct frame_layout *layout, u32 *end,
                     u32 *last)
{
    enum { BLOCK_BYTES = 8, HEAD_BYTES = 2, BLOCKS_MOST = 4 };
    bool found = false;
    for (u32 blocks = 1; blocks <= BLOCKS_MOST; blocks++) {
        const u8 *option =
            frame_tcp_option(frame, layout, TCP_OPTION_SACK, (u8)(HEAD_BYTES + blocks * BLOCK_BYTES));
        for (u32 n = 0; option && n < blocks; n++) {
            u32 left = get_be32(option + HEAD_BYTES + n * BLOCK_BYTES),
                right = get_be32(option + HEAD_BYTES + n * BLOCK_BYTES + 4);
            if (!before(c->guest_acked, left) || !before(left, right) || before(c->sent, right)) continue;
            if (!found || before(left, *end)) *end = left;
            if (!found || before(*last, right)) *last = right;
            found = true;
        }
    }
    return found;
}

/* Fill the gap, unless that is on its way. Frames do not overtake each other, so what was sent before something that
 * the guest has is lost if the guest lacks it. */
static void fill_gap(struct tcp_windows *windows, struct tcp_connection *c, u32 end, u32 last)
{
    begin_repair(c);
    bool on_its_way =
        c->resent_bytes && before(c->guest_acked, c->resent_to) && !before(c->resent_behind, last);
    u32 guess = guess_end(c);
    if (!on_its_way) resend(windows, c, before(end, guess) ? end : guess);
}

/* The guest has taken more. If it had told nothing of a gap, and takes more than was sent again, it lacked nothing and
 * was slow (RFC 5682). Each copy that was sent in vain it will answer by a duplicate. */
static void take_news(struct tcp_windows *windows, struct tcp_connection *c, u32 number)
{
    bool was_slow = c->doubtful && before(c->resent_to, number);
    if (c->timed_ns && !before(number, c->timed_end)) {
        measure(c, host_now_ns() - c->timed_ns);
        c->timed_ns = 0;
    }
    if (was_slow) c->echoes = c->resends;
    c->guest_acked = number;
    c->resends = c->duplicates = 0;
    c->late = c->doubtful = false;
    forget(windows, c, number);
    if (was_slow || !before(number, c->recover)) c->repairs = false;
    if (before(c->duplicate_behind, number)) c->duplicate_behind = number;
    if (c->kept) expect_answer(c);
}

/* An answer that says nothing new. It came because something has arrived behind a gap, or for the second time. */
static void count_duplicate(struct tcp_connection *c)
{
    if (c->echoes) {
        c->echoes--;
        return;
    }
    c->duplicate_behind = kept_end(c);
    c->doubtful = false;
    if (!c->duplicates++ && !c->repairs) expect_answer(c);
}

/* Does the guest lack what comes next, although it has taken what was sent again? Frames do not overtake each other, so
 * it has seen all that was sent before that. */
static bool lacks_more(const struct tcp_connection *c)
{
    return c->repairs && c->resent_bytes && !before(c->guest_acked, c->resent_to) &&
           before(c->guest_acked, c->resent_behind);
}

/* What the guest's answer says about gaps. Without SACK, three duplicates tell of one (RFC 5681 3.2). Then news that
 * leave something in front of `recover` tell of the next (RFC 6582). */
static void look_for_gap(struct tcp_windows *windows, struct tcp_connection *c, u8 *frame,
                         const struct frame_layout *layout, bool is_news, bool same)
{
    u32 end, last;
    if (find_gap(c, frame, layout, &end, &last)) {
        fill_gap(windows, c, end, last);
        return;
    }
    if (same && !c->sack) count_duplicate(c);
    if (c->duplicates == DUPLICATE_ACKS && !c->repairs) {
        begin_repair(c);
        resend(windows, c, guess_end(c));
    } else if (is_news && lacks_more(c)) {
        resend(windows, c, guess_end(c));
    }
}

void early_ack_take(struct tcp_windows *windows, struct tcp_connection *c, u8 *frame,
                    const struct frame_layout *layout, bool pure)
{
    const u8 *tcp = frame + layout->transport;
    u32 number = get_be32(tcp + TCP_ACK_NUMBER);
    u16 window = get_be16(tcp + TCP_WINDOW);
    if (before(number, c->guest_acked) || before(c->sent, number)) return; /* old, or nonsense */
    bool is_news = number != c->guest_acked, same = !is_news && pure && window == c->last_window;
    if (is_news) take_news(windows, c, number);
    if (c->kept) look_for_gap(windows, c, frame, layout, is_news, same);
    if (before(c->acked, number)) c->acked = number;
    c->edge = number + ((u32)window << c->shift);
    c->last_window = window;
    acknowledge(windows, c);
}

/* --- what libslirp may know --- */

void early_ack_change(const struct tcp_connection *c, u8 *tcp)
{
    tcp_change32(tcp, TCP_ACK_NUMBER, c->acked);
    tcp_change16(tcp, TCP_WINDOW, window_of(c));
}

void early_ack_told(struct tcp_connection *c)
{
    c->told = true;
    c->due = false;
    c->told_ack = c->acked;
    c->told_window = window_of(c);
    c->told_next = c->guest_next;
}

bool early_ack_is_old(const struct tcp_connection *c, u32 sequence)
{
    /* What is not kept libslirp sends again itself, if it sees duplicates. */
    if (!c->kept && before(c->acked, c->sent)) return false;
    return c->told && c->told_ack == c->acked && c->told_window == window_of(c) && c->told_next == sequence;
}

/* Is it part of a stream? A small segment that is not acknowledged early holds up all that follow until the guest
 * acknowledges it. One that stands alone, such as the answer to a request, is not worth the work. */
static bool in_stream(const struct tcp_connection *c, const struct frame_layout *layout)
{
    return layout->bytes > NET_FRAME_MTU || c->kept || c->after_large;
}

/* It must be the next, in the guest's window, and no more than libslirp's window of it may be kept without being
 * acknowledged. */
static bool may_keep(const struct tcp_connection *c, const u8 *tcp, u32 payload)
{
    return c->established && !(tcp[TCP_FLAGS] & (TCP_SYN | TCP_FIN | TCP_RST)) &&
           get_be32(tcp + TCP_SEQUENCE) == kept_end(c) &&
           c->unacked_bytes + weight(payload) <= TCP_WINDOW_TOLD && !before(c->edge, kept_end(c) + payload);
}

struct kept_segment *early_ack_keep(const struct tcp_connection *c, const u8 *frame,
                                    const struct frame_layout *layout)
{
    if (!in_stream(c, layout) || !may_keep(c, frame + layout->transport, layout->bytes - layout->payload))
        return NULL;
    return tcp_keep(frame, layout);
}

void early_ack_kept(struct tcp_windows *windows, struct tcp_connection *c, struct kept_segment *kept,
                    bool may_acknowledge)
{
    bool may_wait = !c->kept || may_delay(c);
    *c->kept_last = kept;
    c->kept_last = &kept->next;
    if (may_wait) expect_answer(c);
    if (!c->unacked) c->unacked = kept;
    if (!c->timed_ns && !c->repairs) {
        c->timed_ns = host_now_ns();
        c->timed_end = kept->end;
    }
    c->unacked_bytes += weight(kept->payload);
    if (may_acknowledge) acknowledge(windows, c);
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
        u32 end = guess_end(c);
        if (!c->repairs) {
            begin_repair(c);
            c->late = true;
            c->doubtful = !before(c->guest_acked, c->duplicate_behind);
        }
        /* If the guest is only slow, this costs little. */
        if (c->doubtful) end = c->guest_acked + piece_bytes(c->kept);
        resend(windows, c, end);
        return false;
    }
    give_up(windows, c);
    return true;
}
