/*
 * Larger TCP windows: a connection between a guest, which scales its windows, and a router that does not. If the module
 * is wrong, data are lost, doubled, out of order, or acknowledged beyond what the other side takes.
 */
#include "tcp_rig.h"

enum { AHEAD_SHIFT = 2, AHEAD = (65535 << AHEAD_SHIFT) - 65535 };

/* What came out on both sides. */
static struct {
    u8 frame[NET_HEADER_BYTES + 40];  /* the last acknowledgement for the router */
    u8 answer[NET_HEADER_BYTES + 40]; /* the last for the guest */
    unsigned acks, answers, segments, released;
    u32 next;    /* the router has the guest's bytes up to here */
    u32 segment; /* the sequence number of the last */
    bool refuses;
} out;

static void to_router(void *user, u8 *bytes, u32 count)
{
    struct frame_layout l;
    CHECK(frame_parse(bytes, count, &l) && checksum_is_good(bytes, &l));
    if (count > sizeof(out.frame)) {
        CHECK_EQ(get_be32(bytes + l.transport + TCP_SEQUENCE), out.next);
        out.next += l.bytes - l.payload;
        out.released++;
        return;
    }
    memcpy(out.frame, bytes, sizeof(out.frame));
    out.acks++;
}

static void ack_to_guest(void *user, const u8 *bytes, u32 count)
{
    struct frame_layout l;
    CHECK_EQ(count, sizeof(out.answer));
    CHECK(frame_parse(bytes, count, &l) && checksum_is_good(bytes, &l));
    memcpy(out.answer, bytes, sizeof(out.answer));
    out.answers++;
}

static bool to_guest(void *user, u8 *bytes, const struct frame_layout *l)
{
    out.segments++;
    out.segment = get_be32(bytes + l->transport + TCP_SEQUENCE);
    put_be16(bytes + l->transport + TCP_CHECKSUM, 0); /* as user.c does */
    return !out.refuses;
}

/* A connection to a guest with a window of this size, in units of 1 << SHIFT. */
static void connect_with(const char *options, u32 window, u32 router_window)
{
    static const struct tcp_windows_ops ops = {to_router, to_guest, ack_to_guest};
    memset(&out, 0, sizeof(out));
    shake_hands(&ops, options, router_window);
    CHECK(guest(TCP_ACK, GUEST_ISS + 1, FIRST, window, 0));
}

static void connect_guest(const char *options, u32 window)
{
    connect_with(options, window, 65535);
}

/* RFC 7323 2.2: both SYNs must have the option. */
static void test_option(void)
{
    connect_guest(scale, 1000);
    CHECK_EQ(window_of(frame), LARGE); /* of 128,000 */
    connect_guest(scale, 100);
    CHECK_EQ(window_of(frame), 12800);
    make(true, TCP_SYN, GUEST_ISS, 0, 64240, 0, scale);
    CHECK(tcp_windows_from_guest(windows, frame, &layout));
    make(false, TCP_SYN | TCP_ACK, ROUTER_ISS, GUEST_ISS + 1, 65535, 0, segment_size);
    u32 before = layout.bytes;
    tcp_windows_from_router(windows, frame, &layout);
    struct frame_layout parsed;
    CHECK(layout.bytes == before + 4 && frame_parse(frame, layout.bytes, &parsed));
    CHECK_EQ(parsed.payload, layout.payload);
    u8 *option = frame_tcp_option(frame, &parsed, TCP_OPTION_SCALE, 3);
    CHECK(option && option[2] == AHEAD_SHIFT);
    CHECK(frame_tcp_option(frame, &parsed, TCP_OPTION_MSS, 4) != NULL);
    /* A guest without it: nothing is changed, nothing acknowledged. */
    connect_guest(NULL, 1000);
    CHECK_EQ(window_of(frame), 1000);
    router(TCP_ACK, FIRST, LARGE, true);
    tcp_windows_flush(windows);
    CHECK_EQ(out.acks, 0);
    CHECK_EQ(out.segments, 1);
}

static void test_acknowledgements(void)
{
    connect_guest(scale, 1000); /* 128,000 bytes: three segments of 32 KB */
    router(TCP_ACK, FIRST, LARGE, true);
    CHECK_EQ(out.acks, 0); /* not from within the router */
    tcp_windows_flush(windows);
    CHECK(out.acks == 1 && ack_of(out.frame) == FIRST + LARGE && window_of(out.frame) == LARGE);
    CHECK_EQ(get_be32(out.frame + TRANSPORT + TCP_SEQUENCE), GUEST_ISS + 1);
    CHECK(frame_parse(out.frame, sizeof(out.frame), &layout) && checksum_is_good(out.frame, &layout));
    CHECK(!memcmp(out.frame + ETHERNET + 12, "\x0a\0\2\17\x0a\0\2\2", 8));
    router(TCP_ACK, FIRST + LARGE, LARGE, true);
    router(TCP_ACK, FIRST + 2 * LARGE, LARGE, true);
    tcp_windows_flush(windows);
    CHECK_EQ(ack_of(out.frame), FIRST + 3 * LARGE);
    CHECK_EQ(window_of(out.frame), 128000 - 3 * LARGE);
    /* The fourth would be beyond the edge. It goes to the guest, which answers itself. */
    unsigned acks = out.acks;
    router(TCP_ACK, FIRST + 3 * LARGE, LARGE, true);
    tcp_windows_flush(windows);
    CHECK(out.acks == acks && out.segments == 4);
    /* The guest's own acknowledgement of what the router knows already, with the same edge, is not repeated. */
    CHECK(!guest(TCP_ACK, GUEST_ISS + 1, FIRST + LARGE, 1000 - LARGE / 128, 0));
    /* One with news: the edge has moved. The number stays what it was. */
    CHECK(guest(TCP_ACK, GUEST_ISS + 1, FIRST + 2 * LARGE, 1000, 0));
    CHECK(ack_of(frame) == FIRST + 3 * LARGE && window_of(frame) == LARGE);
    CHECK(guest(TCP_ACK, GUEST_ISS + 1, FIRST + 4 * LARGE, 1000, 0));
    CHECK_EQ(ack_of(frame), FIRST + 4 * LARGE);
    /* Data of the guest pass always, with the router's numbers; later acknowledgements begin behind them. */
    router(TCP_ACK, FIRST + 4 * LARGE, LARGE, true);
    CHECK(guest(TCP_ACK | TCP_PSH, GUEST_ISS + 1, FIRST + 4 * LARGE, 1000, 100));
    CHECK_EQ(ack_of(frame), FIRST + 5 * LARGE);
    router(TCP_ACK, FIRST + 5 * LARGE, LARGE, true);
    tcp_windows_flush(windows);
    CHECK_EQ(get_be32(out.frame + TRANSPORT + TCP_SEQUENCE), GUEST_ISS + 101);
    /* A segment out of order, and one for which the guest has no room. */
    acks = out.acks;
    router(TCP_ACK, FIRST + 7 * LARGE, LARGE, true);
    router(TCP_ACK, FIRST + 6 * LARGE, LARGE, false);
    out.refuses = true;
    router(TCP_ACK, FIRST + 6 * LARGE, LARGE, true);
    tcp_windows_flush(windows);
    CHECK_EQ(out.acks, acks);
}

/* A small segment between large ones does not hold up those behind it. One that stands alone is the guest's to
 * acknowledge. */
static void test_small(void)
{
    enum { SMALL = 1 };
    connect_guest(scale, 2000);
    router(TCP_ACK, FIRST, SMALL, true);
    tcp_windows_flush(windows);
    CHECK(out.acks == 0 && out.segments == 1);
    CHECK(guest(TCP_ACK, GUEST_ISS + 1, FIRST + SMALL, 2000, 0));
    CHECK_EQ(ack_of(frame), FIRST + SMALL);
    u32 next = FIRST + SMALL;
    for (unsigned n = 0; n < 3; n++, next += LARGE + 2 * SMALL) {
        router(TCP_ACK, next, LARGE, true);
        router(TCP_ACK, next + LARGE, SMALL, true);
        router(TCP_ACK, next + LARGE + SMALL, SMALL, true);
        tcp_windows_flush(windows);
        CHECK_EQ(ack_of(out.frame), next + LARGE + 2 * SMALL);
    }
    /* The guest has all. The first small segment behind a large one belongs to it; further ones stand alone. */
    guest(TCP_ACK, GUEST_ISS + 1, next, 2000, 0);
    unsigned acks = out.acks;
    router(TCP_ACK, next, SMALL, true);
    tcp_windows_flush(windows);
    CHECK_EQ(out.acks, acks);
    /* Single bytes, which take far more memory than their payload, are not kept up to the guest's edge. */
    enum { MANY = 4096 };
    connect_guest(scale, 2000);
    router(TCP_ACK, FIRST, LARGE, true);
    for (u32 n = 0; n < MANY; n++)
        router(TCP_ACK, FIRST + LARGE + n, SMALL, true);
    tcp_windows_flush(windows);
    u32 kept = ack_of(out.frame) - (FIRST + LARGE);
    CHECK(kept > 0 && kept < MANY / 2);
}

/* RFC 5681 3.2: three duplicates. */
static void test_loss(void)
{
    connect_guest(scale, 1000);
    router(TCP_ACK, FIRST, LARGE, true);
    router(TCP_ACK, FIRST + LARGE, LARGE, true);
    tcp_windows_flush(windows);
    CHECK_EQ(out.segments, 2);
    for (unsigned n = 0; n < 2; n++)
        guest(TCP_ACK, GUEST_ISS + 1, FIRST, 1000, 0);
    CHECK_EQ(out.segments, 2);
    guest(TCP_ACK, GUEST_ISS + 1, FIRST, 1000, 0);
    CHECK(out.segments == 3 && out.segment == FIRST);
    guest(TCP_ACK, GUEST_ISS + 1, FIRST, 1000, 0);
    CHECK_EQ(out.segments, 3);
    /* The first has come; then the guest is silent until its time is up. */
    guest(TCP_ACK, GUEST_ISS + 1, FIRST + LARGE, 1000, 0);
    struct net_poll poll = {.wake_ns = UINT64_MAX};
    tcp_windows_fill(windows, &poll);
    CHECK(poll.wake_ns != UINT64_MAX);
    while (out.segments == 3)
        tcp_windows_ready(windows);
    CHECK_EQ(out.segment, FIRST + LARGE);
    guest(TCP_ACK, GUEST_ISS + 1, FIRST + 2 * LARGE, 1000, 0);
    poll.wake_ns = UINT64_MAX;
    tcp_windows_fill(windows, &poll);
    CHECK_EQ(poll.wake_ns, UINT64_MAX);
}

/* What is not kept the router sends again itself, if it sees that the guest asks for it. */
static void test_loss_unkept(void)
{
    connect_guest(scale, 1000);
    CHECK(!guest(TCP_ACK, GUEST_ISS + 1, FIRST, 1000, 0));
    router(TCP_ACK, FIRST, 100, true);
    router(TCP_ACK, FIRST + 100, 100, true);
    for (unsigned n = 0; n < 3; n++)
        CHECK(guest(TCP_ACK, GUEST_ISS + 1, FIRST, 1000, 0) && ack_of(frame) == FIRST);
}

static void test_end(void)
{
    /* A reset by either side: what was kept is forgotten, and later packets pass as they are. */
    connect_guest(scale, 1000);
    router(TCP_ACK, FIRST, LARGE, true);
    CHECK(guest(TCP_RST, GUEST_ISS + 1, 0, 0, 0));
    tcp_windows_flush(windows);
    CHECK_EQ(out.acks, 0);
    CHECK(guest(TCP_ACK, GUEST_ISS + 1, FIRST, 1000, 0));
    CHECK_EQ(window_of(frame), 1000);
    /* The router ends; the guest must still acknowledge that itself. */
    connect_guest(scale, 1000);
    router(TCP_ACK, FIRST, LARGE, true);
    tcp_windows_flush(windows);
    router(TCP_ACK | TCP_FIN, FIRST + LARGE, LARGE, true);
    tcp_windows_flush(windows);
    CHECK_EQ(out.acks, 1);
    CHECK(guest(TCP_ACK | TCP_FIN, GUEST_ISS + 1, FIRST + 2 * LARGE + 1, 1000, 0));
    CHECK_EQ(ack_of(frame), FIRST + 2 * LARGE + 1);
    /* The same addresses and ports again. */
    make(true, TCP_SYN, 7, 0, 64240, 0, scale);
    CHECK(tcp_windows_from_guest(windows, frame, &layout));
    tcp_windows_destroy(windows);
    windows = NULL;
}

/* The router acknowledges, with the rest of its window. Leaves the guest's view of that in `frame`. */
static void router_acks(u32 ack, u32 window)
{
    make(false, TCP_ACK, FIRST, ack, window, 0, NULL);
    tcp_windows_from_router(windows, frame, &layout);
    CHECK(checksum_is_good(frame, &layout));
}

/* The guest sends segments of 32 KB from its first byte on. */
static void test_ahead(void)
{
    enum { BEGIN = GUEST_ISS + 1 };
    /* Its first bytes, which follow the SYNs before the router has sent anything else, do not wait. */
    connect_guest(scale, 1000);
    out.next = BEGIN;
    CHECK(guest(TCP_ACK | TCP_PSH, BEGIN, FIRST, 1000, 300));
    connect_guest(scale, 1000);
    out.next = BEGIN;
    router_acks(BEGIN, 65535);
    CHECK_EQ(window_of(frame), 65535); /* << AHEAD_SHIFT */
    /* Two fit; the router is slow, and takes the others later. */
    for (u32 n = 0; n < 2; n++) {
        CHECK(guest(TCP_ACK, BEGIN + n * LARGE - (n ? 1 : 0), FIRST, 1000, LARGE - 1 + (n ? 1 : 0)));
    }
    u32 next = BEGIN + 2 * LARGE - 1, all = BEGIN + 65535 + AHEAD;
    out.next = next;
    for (u32 n = 0; n < 3; n++) {
        CHECK(!guest(TCP_ACK, next + n * LARGE, FIRST, 1000, LARGE));
        CHECK(out.answers == n + 1 && ack_of(out.answer) == next + (n + 1) * LARGE);
        u32 left = BEGIN + 65535 + AHEAD - (next + (n + 1) * LARGE);
        CHECK_EQ(window_of(out.answer), left >> AHEAD_SHIFT);
    }
    /* One that is held already, one behind a gap, one beyond the edge: the guest is told what is next, and no more. */
    CHECK(!guest(TCP_ACK, next, FIRST, 1000, LARGE));
    CHECK(!guest(TCP_ACK, next + 4 * LARGE, FIRST, 1000, 100));
    CHECK_EQ(ack_of(out.answer), next + 3 * LARGE);
    CHECK(!guest(TCP_ACK, next + 3 * LARGE, FIRST, 1000, LARGE));
    CHECK(!guest(TCP_ACK, next + 4 * LARGE, FIRST, 1000, LARGE));
    CHECK(!guest(TCP_ACK, next + 5 * LARGE, FIRST, 1000, LARGE)); /* 3 bytes too many */
    CHECK_EQ(ack_of(out.answer), next + 5 * LARGE);
    CHECK(!guest(TCP_ACK, next + 5 * LARGE, FIRST, 1000, LARGE - 3));
    CHECK_EQ(ack_of(out.answer), all);
    CHECK_EQ(window_of(out.answer), 0);
    CHECK(!guest(TCP_ACK, all, FIRST, 1000, 1)); /* its probe */
    CHECK_EQ(ack_of(out.answer), all);
    tcp_windows_flush(windows);
    CHECK_EQ(out.released, 0);
    /* Segments without data pass them, with the number that the router expects. */
    CHECK(guest(TCP_ACK, all, FIRST, 100, 0));
    CHECK_EQ(get_be32(frame + TRANSPORT + TCP_SEQUENCE), next);
    /* The router says nothing: it is asked. */
    unsigned acks = out.acks;
    struct net_poll poll = {.wake_ns = UINT64_MAX};
    tcp_windows_fill(windows, &poll);
    CHECK(poll.wake_ns != UINT64_MAX);
    while (out.acks == acks)
        tcp_windows_ready(windows);
    CHECK_EQ(get_be32(out.frame + TRANSPORT + TCP_SEQUENCE), next - 1);
    /* It takes one, which says so to the guest with the same edge, and then all. */
    router_acks(next, LARGE);
    CHECK_EQ(ack_of(frame), all);
    CHECK_EQ(window_of(frame), (next + LARGE + AHEAD - all) >> AHEAD_SHIFT);
    tcp_windows_flush(windows);
    CHECK_EQ(out.released, 1);
    for (u32 n = 1; n < 6; n++) {
        router_acks(next + n * LARGE, 65535);
        tcp_windows_flush(windows);
    }
    CHECK(out.released == 6 && out.next == all);
    CHECK(guest(TCP_ACK, out.next, FIRST, 1000, 100));
}

/* The end of the connection is held, too. Only the router acknowledges it. */
static void test_ahead_end(void)
{
    enum { BEGIN = GUEST_ISS + 1 };
    connect_with(scale, 1000, 100);
    out.next = BEGIN;
    CHECK(!guest(TCP_ACK, BEGIN, FIRST, 1000, 200));
    CHECK(!guest(TCP_ACK | TCP_FIN, BEGIN + 200, FIRST, 1000, 10));
    CHECK_EQ(ack_of(out.answer), BEGIN + 210);
    router_acks(BEGIN, 1000);
    tcp_windows_flush(windows);
    CHECK_EQ(out.next, BEGIN + 210);
    router_acks(BEGIN + 211, 1000);
    CHECK_EQ(ack_of(frame), BEGIN + 211);
    /* A reset forgets what is held. It has the number that the router expects. */
    connect_with(scale, 1000, 100);
    CHECK(!guest(TCP_ACK, BEGIN, FIRST, 1000, 200));
    CHECK(guest(TCP_RST | TCP_ACK, BEGIN + 200, FIRST, 0, 0));
    CHECK_EQ(get_be32(frame + TRANSPORT + TCP_SEQUENCE), BEGIN);
    tcp_windows_flush(windows);
    CHECK_EQ(out.released, 0);
    /* A guest that does not scale was told of no larger window: its segments pass. */
    connect_guest(NULL, 1000);
    CHECK(guest(TCP_ACK, BEGIN, FIRST, 1000, LARGE));
    CHECK(guest(TCP_ACK, BEGIN + LARGE, FIRST, 1000, LARGE));
    CHECK(guest(TCP_ACK, BEGIN + 2 * LARGE, FIRST, 1000, LARGE));
    tcp_windows_destroy(windows);
    windows = NULL;
}

/* The connection from that port sends up to `most` segments ahead. Returns how many were held. */
static u32 send_ahead(u16 port, u32 payload, u32 most)
{
    enum { BEGIN = GUEST_ISS + 1 };
    u32 held = 0;
    guest_port = port;
    while (held < most && !guest(TCP_ACK, BEGIN + held * payload, FIRST, 1000, payload) &&
           ack_of(out.answer) == BEGIN + (held + 1) * payload)
        held++;
    return held;
}

/* 500 connections of a guest to a slow router: each may send 192 KB ahead, and all together HELD_BYTES. What is beyond
 * that is dropped, until a connection goes. */
static void test_ahead_memory(void)
{
    enum { HELD_MB = 64, EACH = 5, CONNECTIONS = 500 };
    u32 held = 0, none = 0;
    connect_with(scale, 1000, 100);
    for (u16 port = 1000; port < 1000 + CONNECTIONS; port++) {
        guest_port = port;
        shake_hands_too(scale, 100);
        CHECK(guest(TCP_ACK, GUEST_ISS + 1, FIRST, 1000, 0));
        u32 of_this = send_ahead(port, LARGE, EACH);
        held += of_this;
        none += !of_this;
    }
    CHECK(held < (HELD_MB << 20) / LARGE && held > (HELD_MB - 1) * ((1 << 20) / LARGE));
    CHECK_EQ(none, CONNECTIONS - (held + EACH - 1) / EACH);
    guest_port = 1000;
    CHECK(guest(TCP_RST | TCP_ACK, GUEST_ISS + 1 + EACH * LARGE, FIRST, 0, 0));
    CHECK(send_ahead(1000 + CONNECTIONS - 1, LARGE, EACH) > 0);
    /* Single bytes cost their headers too. */
    connect_with(scale, 1000, 100);
    held = 0;
    for (u16 port = 1000; port < 1010; port++) {
        guest_port = port;
        shake_hands_too(scale, 100);
        CHECK(guest(TCP_ACK, GUEST_ISS + 1, FIRST, 1000, 0));
        held += send_ahead(port, 1, AHEAD + 100);
    }
    CHECK(held < (HELD_MB << 20) / (TRANSPORT + TCP_BYTES + 1));
    tcp_windows_destroy(windows);
    windows = NULL;
    guest_port = 0x0102;
}

static void router_ends(u8 flags, u32 sequence, u32 ack)
{
    make(false, flags, sequence, ack, 65535, 0, NULL);
    tcp_windows_from_router(windows, frame, &layout);
}

/* libslirp is in TIME-WAIT when it has acknowledged the guest's end after its own was acknowledged. It forgets the
 * connection then, not before. */
static void test_time_wait(void)
{
    connect_guest(scale, 2000);
    router_ends(TCP_ACK | TCP_FIN, FIRST, GUEST_ISS + 1);
    CHECK(!tcp_windows_end(windows));
    guest(TCP_ACK, GUEST_ISS + 1, FIRST + 1, 2000, 0);
    CHECK(!tcp_windows_end(windows));
    guest(TCP_ACK | TCP_FIN, GUEST_ISS + 1, FIRST + 1, 2000, 0);
    CHECK(!tcp_windows_end(windows));
    router_ends(TCP_ACK, FIRST + 1, GUEST_ISS + 2);
    unsigned acks = out.acks;
    CHECK(tcp_windows_end(windows));
    CHECK_EQ(out.acks, acks + 1);
    CHECK(out.frame[TRANSPORT + TCP_FLAGS] & TCP_RST);
    CHECK_EQ(get_be32(out.frame + TRANSPORT + TCP_SEQUENCE), GUEST_ISS + 2);
    CHECK(!tcp_windows_end(windows));
    /* The guest has ended first: it waits itself, and libslirp does not. */
    connect_guest(scale, 2000);
    guest(TCP_ACK | TCP_FIN, GUEST_ISS + 1, FIRST, 2000, 0);
    router_ends(TCP_ACK, FIRST, GUEST_ISS + 2);
    router_ends(TCP_ACK | TCP_FIN, FIRST, GUEST_ISS + 2);
    guest(TCP_ACK, GUEST_ISS + 2, FIRST + 1, 2000, 0);
    CHECK(!tcp_windows_end(windows));
}

int main(void)
{
    test_option();
    test_acknowledgements();
    test_small();
    test_loss();
    test_loss_unkept();
    test_end();
    test_ahead();
    test_ahead_end();
    test_ahead_memory();
    test_time_wait();
    return check_report();
}
