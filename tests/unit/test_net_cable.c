/*
 * Cables, without their thread: frames and buffers keep their order; a frame may take several buffers, of which only
 * the first has room for a header; withdrawn buffers never come back; what a busy guest does not wait for is put off,
 * and nothing else.
 */
#include "check.h"
#include "net/cable.h"

#include <string.h>

struct rig {
    struct net_loop loop;
    struct net_backend backend;
    struct net_end end;
    struct mailbox box;
    bool blocked;
    u32 guest_run;          /* its number; 0: it waits */
    unsigned sent_frames;   /* by the back end */
    struct net_frame *sent; /* told to the card */
    struct net_buffer *received;
    unsigned letters;
};

static enum net_sent send_frame(struct net_backend *backend, const struct net_frame *frame)
{
    struct rig *rig = container_of(backend, struct rig, backend);
    if (rig->blocked) return NET_BLOCKED;
    rig->sent_frames++;
    return NET_SENT;
}

static void sent(void *card, struct net_frame *first)
{
    struct rig *rig = card;
    rig->sent = first;
    rig->letters++;
}

static void received(void *card, struct net_buffer *first)
{
    struct rig *rig = card;
    rig->received = first;
    rig->letters++;
}

static void carrier(void *card, bool up) {}

static bool all(const struct net_filter *filter, const u8 *frame, u32 bytes)
{
    return true;
}

static void rig_init(struct rig *rig)
{
    static const struct net_backend_ops backend_ops = {.send = send_frame};
    static const struct net_card_ops card_ops = {sent, received, carrier, .patient = true};
    static const struct net_filter filter = {.accepts = all};
    memset(rig, 0, sizeof(*rig));
    CHECK_EQ(net_loop_init(&rig->loop, ROLE_NETWORK), 0);
    rig->backend = (struct net_backend){.ops = &backend_ops, .loop = &rig->loop, .up = true};
    CHECK_EQ(net_end_init(&rig->end, &rig->loop, &rig->backend, &rig->box), 0);
    net_attach(&rig->end.cable, &card_ops, rig);
    net_set_receive(&rig->end.cable, NET_TAKES_CHECKSUM | NET_TAKES_TCP4 | NET_TAKES_TCP6 | NET_TAKES_ECN,
                    true);
    net_set_filter(&rig->end.cable, &filter);
}

static void rig_end(struct rig *rig)
{
    net_end_destroy(&rig->end);
    net_loop_destroy(&rig->loop);
}

static void work(struct rig *rig)
{
    rig->end.source.work(&rig->end.source);
}

static void test_merging(void)
{
    static u8 memory[4][64];
    static const struct net_offload whole;
    struct iovec part[4];
    struct net_buffer buffer[4];
    struct rig rig;
    u8 frame[100];
    rig_init(&rig);
    for (unsigned n = 0; n < sizeof(frame); n++)
        frame[n] = (u8)(n + 1);
    memset(memory, 0xee, sizeof(memory));
    for (unsigned n = 0; n < 4; n++) {
        part[n] = (struct iovec){memory[n], 64};
        buffer[n] = (struct net_buffer){.part = &part[n], .part_count = 1, .capacity = 64, .reserved = 12};
        net_offer(&rig.end.cable, &buffer[n]);
    }
    CHECK(net_receive(&rig.end, frame, sizeof(frame), &whole));
    CHECK(net_receive(&rig.end, frame, 60, &whole));
    mailbox_run(&rig.box);
    CHECK(rig.received == &buffer[0] && buffer[0].next == &buffer[1] && buffer[1].next == &buffer[2]);
    CHECK_EQ(buffer[0].count, 2);
    CHECK_EQ(buffer[0].used, 52);
    CHECK_EQ(buffer[1].count, 0);
    CHECK_EQ(buffer[1].used, 48);
    CHECK(memory[0][11] == 0xee && !memcmp(memory[0] + 12, frame, 52) && !memcmp(memory[1], frame + 52, 48));
    CHECK_EQ(buffer[2].count, 2); /* 60 bytes behind a header of 12 */
    CHECK(!memcmp(memory[3], frame + 52, 8));
    rig_end(&rig);
}

/* Without buffers frames wait, up to a limit, and are there when buffers come. */
static void test_waiting(void)
{
    static u8 memory[2048];
    static const struct net_offload whole;
    struct iovec part = {memory, sizeof(memory)};
    struct net_buffer buffer = {.part = &part, .part_count = 1, .capacity = sizeof(memory)};
    struct rig rig;
    u8 frame[1500] = {1, 2, 3};
    unsigned taken = 0;
    rig_init(&rig);
    while (net_receive(&rig.end, frame, sizeof(frame), &whole))
        taken++;
    CHECK(taken > 600 && taken < 800);
    net_offer(&rig.end.cable, &buffer);
    work(&rig);
    mailbox_run(&rig.box);
    CHECK(rig.received == &buffer && buffer.used == sizeof(frame) && !memcmp(memory, frame, sizeof(frame)));
    CHECK(!net_has_room(&rig.end));
    rig_end(&rig);
}

static void test_sending(void)
{
    struct net_frame frame[3] = {0};
    struct rig rig;
    rig_init(&rig);
    rig.blocked = true;
    for (unsigned n = 0; n < 3; n++)
        net_send(&rig.end.cable, &frame[n]);
    work(&rig);
    mailbox_run(&rig.box);
    CHECK(!rig.sent && !rig.sent_frames);
    rig.blocked = false;
    net_end_unblock(&rig.end);
    work(&rig);
    mailbox_run(&rig.box);
    CHECK_EQ(rig.sent_frames, 3);
    CHECK(rig.sent == &frame[0] && frame[0].next == &frame[1] && frame[1].next == &frame[2] &&
          !frame[2].next);
    rig_end(&rig);
}

static void test_withdrawing(void)
{
    static u8 memory[2048];
    static const struct net_offload whole;
    struct iovec part = {memory, sizeof(memory)};
    struct net_buffer buffer = {.part = &part, .part_count = 1, .capacity = sizeof(memory)};
    struct net_frame frame = {0};
    struct rig rig;
    rig_init(&rig);
    net_offer(&rig.end.cable, &buffer);
    net_send(&rig.end.cable, &frame);
    CHECK(net_receive(&rig.end, memory, 60, &whole));
    net_withdraw(&rig.end.cable);
    work(&rig);
    mailbox_run(&rig.box);
    CHECK(!rig.sent && !rig.received && !rig.sent_frames);
    rig_end(&rig);
}

static void ignore(void *rig) {}

static u32 guest_run(void *rig)
{
    return ((struct rig *)rig)->guest_run;
}

/* Work, and read the mail. Returns the number of letters that have come until now. */
static unsigned letters(struct rig *rig)
{
    work(rig);
    mailbox_run(&rig->box);
    return rig->letters;
}

/* Sent frames and acknowledgements are put off while the guest runs, until the time is over, the guest halts or
 * something comes that matters. Hazards: a reply that waits, a guest that waits for room in its ring. */
static void test_putting_off(void)
{
    enum { FLAGS = 47, ACK = 0x10, PSH = 8 };
    static u8 memory[4][128];
    static const struct net_offload whole;
    struct iovec part[4];
    struct net_buffer buffer[4];
    struct net_frame frame[3] = {0};
    /* A TCP segment without data. */
    u8 segment[54] = {[12] = 8, [14] = 0x45, [17] = 40, [23] = 6, [46] = 0x50, [FLAGS] = ACK};
    struct rig rig;
    rig_init(&rig);
    mailbox_open(&rig.box, &(struct mailbox_calls){ignore, ignore, guest_run}, &rig);
    for (unsigned n = 0; n < 4; n++) {
        part[n] = (struct iovec){memory[n], sizeof(memory[n])};
        buffer[n] = (struct net_buffer){.part = &part[n], .part_count = 1, .capacity = sizeof(memory[n])};
        net_offer(&rig.end.cable, &buffer[n]);
    }
    net_send(&rig.end.cable, &frame[0]);
    CHECK_EQ(letters(&rig), 1); /* it waits: at once */
    rig.guest_run = 1;
    net_send(&rig.end.cable, &frame[1]);
    CHECK_EQ(letters(&rig), 2); /* it has just begun to run: at once */
    rig.end.run_since_ns = 0;
    frame[2].bytes = 60000;
    net_send(&rig.end.cable, &frame[2]);
    CHECK_EQ(letters(&rig), 3);            /* a large frame: at once */
    rig.end.put_off_until_ns = UINT64_MAX; /* not by the time */
    net_send(&rig.end.cable, &frame[1]);
    CHECK_EQ(letters(&rig), 3);
    CHECK(net_receive(&rig.end, segment, sizeof(segment), &whole));
    CHECK_EQ(letters(&rig), 3);
    rig.guest_run = 0; /* it halts */
    CHECK_EQ(letters(&rig), 5);
    CHECK(rig.sent == &frame[1] && rig.received == &buffer[0]);
    rig.guest_run = 1;
    CHECK(net_receive(&rig.end, segment, sizeof(segment), &whole));
    CHECK(rig.end.put_off_until_ns);
    rig.end.put_off_until_ns = 1; /* the time is over */
    CHECK_EQ(letters(&rig), 6);
    CHECK(!rig.end.put_off_until_ns);
    rig.end.put_off_until_ns = UINT64_MAX;
    net_send(&rig.end.cable, &frame[0]);
    CHECK_EQ(letters(&rig), 6);
    segment[FLAGS] = ACK | PSH;
    CHECK(net_receive(&rig.end, segment, sizeof(segment), &whole)); /* it may matter */
    CHECK_EQ(letters(&rig), 8);
    CHECK(!rig.end.put_off_until_ns);
    rig.end.put_off_until_ns = UINT64_MAX;
    segment[FLAGS] = ACK;
    CHECK(net_receive(&rig.end, segment, sizeof(segment), &whole));
    rig.end.source.rest(&rig.end.source); /* the thread does not sleep on it */
    mailbox_run(&rig.box);
    CHECK_EQ(rig.letters, 9);
    rig_end(&rig);
}

int main(void)
{
    test_merging();
    test_waiting();
    test_sending();
    test_withdrawing();
    test_putting_off();
    return check_report();
}
