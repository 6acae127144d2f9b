/*
 * A guest that loses frames on a fast connection, or does not run for a while: the host's clock is the test's, so the
 * time that a transfer takes is the same in each run. If the module is wrong, data are lost, the connection crawls from
 * one timer to the next, or a slow guest gets everything twice.
 */
#include "base/host_time.h"
#include "tcp_rig.h"

enum {
    PIECE = 1448,
    TRIP_NS = 100000,
    PIECE_NS = 2000,
    WINDOW = 4u << 20,
    TOTAL = 4u << 20,
    SLEEP_NS = 50000000,
    SLEEPS = 8
};

static u64 now_ns;
static u8 stream[TOTAL];

/* In place of the base library's. */
u64 host_now_ns(void)
{
    return now_ns;
}

void host_sleep_ns(u64 ns)
{
    now_ns += ns;
}

/* --- the guest --- */

/* An acknowledgement on its way. What came last out of order lies between left and right, unless it has been joined. */
struct answer {
    u32 next, left, right;
    u64 ns; /* when it arrives */
};

/* Bytes of the stream, from 0 on. */
static struct {
    u32 loss_percent, random;
    bool large; /* it takes segments whole, and loses them whole */
    bool sack;
    bool crowded; /* one segment of three finds no room, and has to wait; one of 32 is lost for that */
    unsigned segments;
    bool sleeps; /* SLEEPS times it handles nothing for SLEEP_NS, while frames wait for it */
    unsigned slept;
    u8 have[TOTAL]; /* which bytes came */
    u32 next;       /* all before it have */
    u32 told_left;  /* of the last answer */
    struct answer answer[1 << 16];
    unsigned first_answer, answers;
    u64 busy_ns; /* when the last frame has come over the wire */
    u64 bytes;   /* all that came over it */
} lossy;

static bool is_lost(void)
{
    lossy.random = lossy.random * 1664525u + 1013904223u;
    return (lossy.random >> 16) % 100 < lossy.loss_percent;
}

/* Bytes of the stream come. What is out of order is answered by a duplicate. */
static void take(u32 at, u32 bytes)
{
    memset(lossy.have + at, 1, bytes);
    while (lossy.next < TOTAL && lossy.have[lossy.next])
        lossy.next++;
    CHECK(lossy.answers - lossy.first_answer < ARRAY_SIZE(lossy.answer));
    struct answer answer = {
        .next = lossy.next, .left = at, .right = at + bytes, .ns = lossy.busy_ns + TRIP_NS};
    if (at <= lossy.next) { /* then it is what was told last */
        answer.left = lossy.told_left;
        answer.right = lossy.told_left + 1;
    }
    while (answer.left > lossy.next && lossy.have[answer.left - 1])
        answer.left--;
    while (answer.right < TOTAL && lossy.have[answer.right])
        answer.right++;
    lossy.told_left = answer.left;
    lossy.answer[lossy.answers++ % ARRAY_SIZE(lossy.answer)] = answer;
}

/* Pieces that come one behind the other are joined, and answered once, as Linux does. */
static bool to_guest(void *user, u8 *bytes, const struct frame_layout *l)
{
    u32 at = get_be32(bytes + l->transport + TCP_SEQUENCE) - FIRST, left = l->bytes - l->payload, run = 0;
    if (at >= TOTAL) return true;
    if (lossy.crowded && ++lossy.segments % 32 == 0) return false;
    if (lossy.busy_ns < now_ns) lossy.busy_ns = now_ns;
    if (lossy.sleeps && at / (TOTAL / SLEEPS) > lossy.slept) {
        lossy.slept++;
        lossy.busy_ns += SLEEP_NS;
    }
    CHECK(!memcmp(bytes + l->payload, stream + at, left));
    while (left) {
        u32 piece = lossy.large || left < PIECE ? left : PIECE;
        lossy.busy_ns += PIECE_NS;
        lossy.bytes += piece;
        if (!is_lost()) {
            run += piece;
        } else {
            if (run) take(at - run, run);
            run = 0;
        }
        at += piece;
        left -= piece;
    }
    if (run) take(at - run, run);
    put_be16(bytes + l->transport + TCP_CHECKSUM, 0);
    return true;
}

/* --- the router --- */

static struct {
    u32 acked, sent, window; /* of the stream's bytes */
    unsigned duplicates;
    u64 resend_ns;
} server;

enum { SERVER_RESEND_NS = 1000000000 };

static void server_sends(void)
{
    tcp_windows_flush(windows);
    while (server.sent < TOTAL && server.sent + LARGE <= server.acked + server.window) {
        u32 at = server.sent, bytes = TOTAL - at < LARGE ? TOTAL - at : LARGE;
        make(false, TCP_ACK, FIRST + at, GUEST_ISS + 1, 65535, bytes, NULL);
        memcpy(frame + layout.payload, stream + at, bytes);
        frame_fill_tcp(frame, &layout);
        server.sent += bytes;
        tcp_windows_from_router(windows, frame, &layout);
        tcp_windows_send(windows, frame, &layout, !lossy.crowded || lossy.segments % 3);
        tcp_windows_flush(windows);
    }
}

static void server_takes(const u8 *tcp)
{
    u32 ack = get_be32(tcp + TCP_ACK_NUMBER) - FIRST, window = get_be16(tcp + TCP_WINDOW);
    CHECK(ack <= server.sent);
    if (ack != server.acked) server.resend_ns = now_ns + SERVER_RESEND_NS;
    server.duplicates = ack == server.acked && window == server.window ? server.duplicates + 1 : 0;
    server.acked = ack;
    server.window = window;
    if (server.duplicates == 3) server.sent = ack;
}

static void to_router(void *user, u8 *bytes, u32 count)
{
    server_takes(bytes + TRANSPORT);
}

static void ack_to_guest(void *user, const u8 *bytes, u32 count) {}

/* --- both --- */

static void guest_answers(const struct answer *answer)
{
    u8 option[OPTION_BYTES] = {TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_SACK, 10};
    put_be32(option + 4, FIRST + answer->left);
    put_be32(option + 8, FIRST + answer->right);
    bool tells = lossy.sack && answer->left > answer->next;
    if (guest_says(TCP_ACK, GUEST_ISS + 1, FIRST + answer->next, WINDOW >> SHIFT, 0,
                   tells ? (const char *)option : NULL))
        server_takes(frame + TRANSPORT);
}

/* The next thing that happens: an answer of the guest, or a timer. */
static void step(void)
{
    struct net_poll poll = {.wake_ns = server.resend_ns};
    tcp_windows_fill(windows, &poll);
    const struct answer *answer = &lossy.answer[lossy.first_answer % ARRAY_SIZE(lossy.answer)];
    if (lossy.first_answer != lossy.answers && answer->ns <= poll.wake_ns) {
        if (now_ns < answer->ns) now_ns = answer->ns;
        lossy.first_answer++;
        guest_answers(answer);
    } else {
        now_ns = poll.wake_ns;
        if (now_ns == server.resend_ns) {
            server.sent = server.acked;
            server.resend_ns += SERVER_RESEND_NS;
        }
        tcp_windows_ready(windows);
    }
    server_sends();
}

static void new_guest(bool sack)
{
    memset(&lossy, 0, sizeof(lossy));
    memset(&server, 0, sizeof(server));
    lossy.random = 4711;
    lossy.sack = sack;
}

/* Returns the time in ns. */
static u64 run_transfer(bool sack)
{
    static const struct tcp_windows_ops ops = {to_router, to_guest, ack_to_guest};
    shake_hands(&ops, sack ? scale_sack : scale, 65535);
    CHECK(!sack == !frame_tcp_option(frame, &layout, TCP_OPTION_SACK_PERMITTED, 2));
    CHECK(guest(TCP_ACK, GUEST_ISS + 1, FIRST, WINDOW >> SHIFT, 0));
    server_takes(frame + TRANSPORT);
    u64 begin = now_ns;
    server.resend_ns = now_ns + SERVER_RESEND_NS;
    server_sends();
    for (unsigned n = 0; lossy.next < TOTAL && n < 1000000; n++)
        step();
    CHECK_EQ(lossy.next, TOTAL);
    return now_ns - begin;
}

/* Returns MB/s. */
static u64 transfer(u32 loss_percent, bool large, bool sack)
{
    new_guest(sack);
    lossy.loss_percent = loss_percent;
    lossy.large = large;
    u64 rate = (u64)TOTAL * 1000 / run_transfer(sack);
    printf("%u%% of the %s lost, %s SACK: %llu MB/s, %.3f of the bytes sent\n", loss_percent,
           large ? "segments" : "pieces", sack ? "with" : "without", (unsigned long long)rate,
           (double)lossy.bytes / TOTAL);
    return rate;
}

/* A card with little room: what is not acknowledged at once is repaired all the same. */
static void lose_in_a_crowd(bool sack)
{
    new_guest(sack);
    lossy.crowded = true;
    lossy.loss_percent = 5;
    u64 took = run_transfer(sack);
    CHECK(took < 200000000);
    printf("5%% of the pieces lost by a card with little room, %s SACK: %llu ms for 4 MB, %.3f of the bytes "
           "sent\n",
           sack ? "with" : "without", (unsigned long long)took / 1000000, (double)lossy.bytes / TOTAL);
}

/* What is sent again while the guest sleeps is little, and no more follows when it is awake. */
static void sleep_often(bool sack)
{
    new_guest(sack);
    lossy.sleeps = true;
    u64 took = run_transfer(sack);
    u64 asleep = (u64)lossy.slept * SLEEP_NS;
    CHECK_EQ(lossy.slept, SLEEPS - 1);
    CHECK(took < asleep + asleep / 5);
    CHECK(lossy.bytes - TOTAL < TOTAL / 50);
    printf("a guest that sleeps %u times for 50 ms, %s SACK: %llu ms, %.3f of the bytes sent\n", lossy.slept,
           sack ? "with" : "without", (unsigned long long)took / 1000000, (double)lossy.bytes / TOTAL);
}

static u64 wait_ns(void)
{
    struct net_poll poll = {.wake_ns = ~0ull};
    tcp_windows_fill(windows, &poll);
    return poll.wake_ns - now_ns;
}

/* A guest that answers quickly may wait with the answer to its last piece. */
static void answer_late(void)
{
    new_guest(true);
    run_transfer(true);
    while (lossy.first_answer != lossy.answers)
        step();
    make(false, TCP_ACK, FIRST + TOTAL, GUEST_ISS + 1, 65535, LARGE, NULL);
    tcp_windows_from_router(windows, frame, &layout);
    tcp_windows_send(windows, frame, &layout, true);
    CHECK(wait_ns() < 10000000);
    guest(TCP_ACK, GUEST_ISS + 1, FIRST + TOTAL + LARGE - 3 * PIECE, WINDOW >> SHIFT, 0);
    CHECK(wait_ns() < 10000000);
    guest(TCP_ACK, GUEST_ISS + 1, FIRST + TOTAL + LARGE - 1, WINDOW >> SHIFT, 0);
    CHECK(wait_ns() > 200000000 && wait_ns() < 1000000000);
}

int main(void)
{
    now_ns = 1000000000;
    for (u32 n = 0; n < TOTAL; n++)
        stream[n] = (u8)(n % 251);
    for (unsigned sack = 0; sack < 2; sack++) {
        CHECK(transfer(0, false, sack) > 200 && lossy.bytes == TOTAL);
        CHECK(transfer(0, true, sack) > 200 && lossy.bytes == TOTAL);
        CHECK(transfer(1, false, sack) > (sack ? 200 : 20));
        CHECK(transfer(5, false, sack) > 50);
        CHECK(transfer(1, true, sack) > 500);
        CHECK(transfer(5, true, sack) > 200);
        CHECK(transfer(30, false, sack) > 0);
        lose_in_a_crowd(sack);
        sleep_often(sack);
    }
    answer_late();
    tcp_windows_destroy(windows);
    return check_report();
}
