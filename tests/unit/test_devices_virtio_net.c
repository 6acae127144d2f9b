/*
 * The virtio network card by its registers and rings (virtio 1.2, 5.1), with a cable that records. Hazards: a frame
 * other than the driver sent; an offload that was not negotiated; a header in the wrong buffer; a filter that
 * forgets; false rings and commands.
 */
#include "devices/virtio/virtio_net.h"

#include "check.h"
#include "virtio_rig.h"

#include <stdlib.h>

enum { RECEIVE, SEND, COMMAND, QUEUES };
enum { DATA = 0x40000, SEAM = RIG_RAM_BYTES / 2 };
#define ALL_FEATURES                                                                                         \
    (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 |        \
     VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX |            \
     VIRTIO_NET_F_CTRL_VLAN | VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_CTRL_OFFLOADS | VIRTIO_NET_F_MAC)

static struct rig rig;
static struct virtio_net net;
static const u8 mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 1, 2, 3};

/* --- a cable that records --- */

static struct {
    struct net_cable cable;
    const struct net_card_ops *ops;
    void *card;
    struct net_frame *sent[64];
    struct net_buffer *offered[64];
    unsigned sent_count, offered_count, flushes, withdrawals;
    struct net_filter filter;
    bool filters, merges;
    u32 takes;
} far;

static void attach(struct net_cable *cable, const struct net_card_ops *ops, void *card)
{
    far.ops = ops;
    far.card = card;
}
static void send_frame(struct net_cable *cable, struct net_frame *frame)
{
    if (far.sent_count < ARRAY_SIZE(far.sent)) far.sent[far.sent_count++] = frame;
}
static void flush(struct net_cable *cable)
{
    far.flushes++;
}
static void offer(struct net_cable *cable, struct net_buffer *buffer)
{
    if (far.offered_count < ARRAY_SIZE(far.offered)) far.offered[far.offered_count++] = buffer;
}
static void withdraw(struct net_cable *cable)
{
    far.sent_count = far.offered_count = 0;
    far.withdrawals++;
}
static void filter(struct net_cable *cable, const struct net_filter *wanted)
{
    far.filters = wanted;
    if (wanted) far.filter = *wanted;
}
static void receive(struct net_cable *cable, u32 takes, bool merges)
{
    far.takes = takes;
    far.merges = merges;
}

static void make(void)
{
    static const struct net_cable_ops ops = {attach, send_frame, flush, offer, withdraw, filter, receive};
    struct virtio_net_options options = {.mtu = 1400};
    memset(&far, 0, sizeof(far));
    far.cable = (struct net_cable){.ops = &ops, .up = true};
    rig_init(&rig);
    struct dma dma = rig_dma(&rig);
    memcpy(options.mac, mac, sizeof(mac));
    memset(&net, 0, sizeof(net));
    CHECK(virtio_net_init(&net, &rig.bus, &dma, &(struct virtio_options){.devfn = PCI_DEVFN(3, 0)}, &options,
                          &far.cable));
    rig.virtio = &net.virtio;
    virtio_hard_reset(&net.virtio);
}

static void start(u64 features, bool legacy)
{
    make();
    rig.legacy = legacy;
    rig_start(&rig, features, QUEUES);
    rig_notify(&rig, RECEIVE);
}

static bool is_broken(void)
{
    return rig_status(&rig) & VIRTIO_NEEDS_RESET;
}

static u32 far_gather(unsigned n, u8 *to)
{
    u32 bytes = 0;
    for (unsigned part = 0; part < far.sent[n]->part_count; part++) {
        memcpy(to + bytes, far.sent[n]->part[part].iov_base, far.sent[n]->part[part].iov_len);
        bytes += (u32)far.sent[n]->part[part].iov_len;
    }
    return bytes;
}

/* --- configuration --- */

/* 5.1.4; 5.1.3: frames to send may need all offloads. */
static void test_config(void)
{
    make();
    for (unsigned n = 0; n < NET_MAC_BYTES; n++)
        CHECK_EQ(rig_read(&rig, 0x2000 + n, 1), mac[n]);
    CHECK_EQ(rig_read(&rig, 0x2006, 2), 1); /* the link is up */
    CHECK_EQ(rig_read(&rig, 0x200a, 2), 1400);
    rig_write(&rig, 0, 4, 0);
    u32 features = rig_read(&rig, 4, 4);
    CHECK((features & VIRTIO_NET_F_CSUM) && (features & VIRTIO_NET_F_HOST_TSO4) &&
          (features & VIRTIO_NET_F_HOST_TSO6));
    CHECK(features & VIRTIO_NET_F_MTU);
    virtio_net_destroy(&net);
}

/* A carrier that goes and comes: status and a configuration interrupt, if negotiated (5.1.5.4). */
static void test_carrier(void)
{
    start(ALL_FEATURES, false);
    far.cable.up = false;
    far.ops->carrier(far.card, false);
    CHECK_EQ(rig_read(&rig, 0x2006, 2), 0);
    CHECK(rig_interrupt_status(&rig) & 2);
    far.cable.up = true;
    far.ops->carrier(far.card, true);
    CHECK_EQ(rig_read(&rig, 0x2006, 2) & 1, 1);
    virtio_net_destroy(&net);
}

/* --- sending --- */

static void send_bytes(u32 header, u32 bytes, const u8 *first)
{
    struct rig_buffer buffer[2] = {{DATA, header, false}, {DATA + 0x100, bytes, false}};
    memset(rig.ram + DATA, 0, header);
    memcpy(rig.ram + DATA, first, 10);
    for (u32 n = 0; n < bytes; n++)
        rig.ram[DATA + 0x100 + n] = (u8)(n * 7 + 1);
    rig_add(&rig, SEND, buffer, bytes ? 2 : 1);
    rig_notify(&rig, SEND);
}

/* Frames of all sizes go out as the driver sent them: nothing, less than an Ethernet header, the largest segment, and
 * too much. */
static void test_sizes(void)
{
    static const u32 sizes[] = {1, 13, 14, 60, 1514, 4096, 65535, NET_FRAME_MAX};
    static u8 frame[NET_FRAME_MAX + 16];
    static const u8 none[10];
    u32 head, written;
    for (unsigned legacy = 0; legacy < 2; legacy++) {
        u32 header = legacy ? 10 : 12;
        start(VIRTIO_NET_F_MAC, legacy);
        for (unsigned n = 0; n < ARRAY_SIZE(sizes); n++) {
            send_bytes(header, sizes[n], none);
            CHECK_EQ(far.sent_count, 1);
            CHECK_EQ(far.sent[0]->bytes, sizes[n]);
            CHECK_EQ(far_gather(0, frame), sizes[n]);
            CHECK(!memcmp(frame, rig.ram + DATA + 0x100, sizes[n]));
            CHECK(!rig_get(&rig, SEND, &head, &written));
            far.sent[0]->next = NULL;
            far.sent_count = 0;
            far.ops->sent(far.card, far.sent[0]);
            CHECK(rig_get(&rig, SEND, &head, &written) && !written);
        }
        static const u32 bad[] = {0, NET_FRAME_MAX + 1};
        for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) { /* no frame: given back, not sent */
            send_bytes(header, bad[n], none);
            CHECK_EQ(far.sent_count, 0);
            CHECK(rig_get(&rig, SEND, &head, &written));
        }
        send_bytes(4, 0, none); /* less than a header */
        CHECK_EQ(far.sent_count, 0);
        CHECK(rig_get(&rig, SEND, &head, &written));
        CHECK(!is_broken());
        virtio_net_destroy(&net);
    }
}

/* 5.1.6.2: offloads that were not negotiated, or that there are none of, are not done. */
static void test_offloads(void)
{
    static const struct {
        u64 features;
        u8 header[10];
        u8 flags, segmentation;
    } cases[] = {
        {ALL_FEATURES, {1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0}, 1, 1},
        {ALL_FEATURES, {1, 0x81, 54, 0, 0xb4, 5, 34, 0, 16, 0}, 1, 0x81},
        {ALL_FEATURES, {0xff, 0, 0, 0, 0, 0, 34, 0, 16, 0}, 1, 0},  /* flags of the other direction */
        {ALL_FEATURES, {1, 4, 54, 0, 0xb4, 5, 34, 0, 16, 0}, 0, 0}, /* TSO6 was not negotiated */
        {ALL_FEATURES, {1, 3, 54, 0, 0xb4, 5, 34, 0, 16, 0}, 0, 0}, /* UFO is not offered */
        {ALL_FEATURES, {1, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 0},
        {VIRTIO_NET_F_MAC, {1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0}, 0, 0},
    };
    for (unsigned n = 0; n < ARRAY_SIZE(cases); n++) {
        start(cases[n].features, false);
        send_bytes(12, 200, cases[n].header);
        CHECK_EQ(far.sent_count, 1);
        CHECK_EQ(far.sent[0]->offload.flags, cases[n].flags);
        CHECK_EQ(far.sent[0]->offload.segmentation, cases[n].segmentation);
        virtio_net_destroy(&net);
    }
}

/* A driver that never takes anything back: the card holds what a ring holds, and no more. */
static void test_full_ring(void)
{
    static const u8 none[10];
    start(VIRTIO_NET_F_MAC, false);
    for (unsigned n = 0; n < 8; n++)
        send_bytes(12, 60, none);
    CHECK_EQ(far.sent_count, 8);
    CHECK(!is_broken());
    virtio_hard_reset(&net.virtio);
    CHECK(far.withdrawals >= 1 && !far.filters);
    virtio_net_destroy(&net);
}

/* --- receiving --- */

static void add_buffer(u32 gpa, u32 bytes)
{
    struct rig_buffer buffer = {gpa, bytes, true};
    rig_add(&rig, RECEIVE, &buffer, 1);
}

/* A frame in two buffers: the header, with their number, in the first only (5.1.6.4). */
static void test_merged(void)
{
    u32 head, written;
    start(ALL_FEATURES, false);
    CHECK(far.merges && far.filters);
    add_buffer(DATA, 100);
    add_buffer(SEAM - 50, 100); /* two pieces of host memory */
    rig_notify(&rig, RECEIVE);
    CHECK_EQ(far.offered_count, 2);
    CHECK_EQ(far.offered[0]->reserved, 12);
    CHECK_EQ(far.offered[1]->part_count, 2);
    far.offered[0]->used = 88;
    far.offered[0]->count = 2;
    far.offered[0]->offload = (struct net_offload){.flags = NET_CHECKSUM_GOOD};
    far.offered[1]->used = 70;
    far.offered[1]->count = 0;
    far.offered[0]->next = far.offered[1];
    far.offered[1]->next = NULL;
    rig.written_bytes = 0;
    memset(rig.ram + DATA, 0xee, 100);
    memset(rig.ram + SEAM - 50, 0xee, 100);
    far.ops->received(far.card, far.offered[0]);
    CHECK(rig_get(&rig, RECEIVE, &head, &written) && written == 100);
    CHECK(rig_get(&rig, RECEIVE, &head, &written) && written == 70);
    CHECK_EQ(load_any(rig.ram + DATA + 10, 2), 2);
    CHECK_EQ(rig.ram[DATA], NET_CHECKSUM_GOOD);
    CHECK_EQ(rig.ram[DATA + 12], 0xee); /* where the back end wrote */
    CHECK_EQ(rig.ram[SEAM - 50], 0xee);
    CHECK_EQ(rig.written_bytes, 170 + 2 * (8 + 2)); /* and the used ring */
    virtio_net_destroy(&net);
}

/* Linux adds the used lengths of a frame's buffers, without the first one's header. Frames that end at each place of a
 * buffer. */
static void test_receive_lengths(void)
{
    enum { BUFFER = 1536, HEADER = 12 };
    u32 head, written = 0;
    start(ALL_FEATURES, false);
    for (u32 bytes = 60; bytes <= 9018; bytes++) {
        unsigned count = 0;
        u32 left = bytes;
        far.offered_count = 0;
        for (; count * BUFFER < bytes + HEADER; count++)
            add_buffer(DATA + BUFFER * count, BUFFER);
        rig_notify(&rig, RECEIVE);
        CHECK_EQ(far.offered_count, count);
        for (unsigned n = 0; n < count; n++) {
            struct net_buffer *buffer = far.offered[n];
            u32 room = buffer->capacity - buffer->reserved;
            CHECK_EQ(buffer->reserved, HEADER);
            room = n ? buffer->capacity : room;
            buffer->used = left < room ? left : room;
            buffer->count = n ? 0 : (u16)count;
            buffer->next = n + 1 < count ? far.offered[n + 1] : NULL;
            left -= buffer->used;
        }
        CHECK_EQ(left, 0);
        far.ops->received(far.card, far.offered[0]);
        u32 all = 0;
        for (unsigned n = 0; n < count; n++, all += written)
            CHECK(rig_get(&rig, RECEIVE, &head, &written) && written > (n ? 0 : HEADER) && written <= BUFFER);
        CHECK(all == bytes + HEADER && !rig_get(&rig, RECEIVE, &head, &written));
        CHECK_EQ(load_any(rig.ram + DATA + 10, 2), count);
    }
    virtio_net_destroy(&net);
}

/* Buffers that hold no frame, or that the card would have to read: the device is broken, and whole again after a
 * reset. */
static void test_bad_buffers(void)
{
    static const struct rig_buffer bad[] = {
        {DATA, 12, true}, {DATA, 100, false}, {RIG_RAM_BYTES - 4, 100, true}, {0xfffffff0u, 2048, true}};
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        start(ALL_FEATURES, false);
        rig_add(&rig, RECEIVE, &bad[n], 1);
        rig_notify(&rig, RECEIVE);
        CHECK(is_broken());
        CHECK_EQ(far.offered_count, 0);
        rig_start(&rig, ALL_FEATURES, QUEUES);
        add_buffer(DATA, 100);
        rig_notify(&rig, RECEIVE);
        CHECK(!is_broken());
        CHECK_EQ(far.offered_count, 1);
        virtio_net_destroy(&net);
    }
}

/* A chain that loops, in both directions. */
static void test_loops(void)
{
    for (unsigned queue = RECEIVE; queue < QUEUES; queue++) {
        start(ALL_FEATURES, false);
        u32 table = rig.queue[queue].descriptors;
        rig_put_descriptor(&rig, table, 0, DATA, 64, queue == RECEIVE ? 3 : 1, 1);
        rig_put_descriptor(&rig, table, 1, DATA, 64, queue == RECEIVE ? 3 : 1, 0);
        rig_offer(&rig, queue, 0);
        rig_notify(&rig, queue);
        CHECK(is_broken());
        CHECK_EQ(far.sent_count + far.offered_count, 0);
        virtio_net_destroy(&net);
    }
}

/* --- commands --- */

/* Returns the answer: 0 good, 1 error, 0xff none. */
static u8 command(const u8 *bytes, u32 count)
{
    struct rig_buffer buffer[2] = {{DATA, count, false}, {DATA + 0x2000, 1, true}};
    memcpy(rig.ram + DATA, bytes, count);
    rig.ram[DATA + 0x2000] = 0xff;
    rig_add(&rig, COMMAND, buffer, 2);
    rig_notify(&rig, COMMAND);
    return rig.ram[DATA + 0x2000];
}

static bool accepts(const u8 to[NET_MAC_BYTES], int vlan)
{
    u8 frame[64] = {0};
    memcpy(frame, to, NET_MAC_BYTES);
    if (vlan >= 0) {
        frame[12] = 0x81;
        frame[14] = (u8)(vlan >> 8);
        frame[15] = (u8)vlan;
    }
    return far.filters && far.filter.accepts(&far.filter, frame, sizeof(frame));
}

/* 5.1.6.5.1 to 5.1.6.5.3 */
static void test_filters(void)
{
    static const u8 other[NET_MAC_BYTES] = {2, 0, 0, 0, 0, 9}, group[NET_MAC_BYTES] = {1, 0, 0x5e, 0, 0, 5},
                    all[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    u8 table[2 + 4 + 6 + 4 + 6] = {1, 0, 1};
    start(ALL_FEATURES & ~VIRTIO_NET_F_CTRL_VLAN, false);
    CHECK(accepts(mac, -1) && accepts(all, -1) && !accepts(other, -1) && !accepts(group, -1));
    memcpy(table + 6, other, 6);
    table[12] = 1;
    memcpy(table + 16, group, 6);
    CHECK_EQ(command(table, sizeof(table)), 0);
    CHECK(accepts(other, -1) && accepts(group, -1) && accepts(mac, 5));
    CHECK_EQ(command((u8[]){0, 5, 1}, 3), 0); /* no broadcast */
    CHECK(!accepts(all, -1));
    CHECK_EQ(command((u8[]){0, 0, 1}, 3), 0); /* promiscuous */
    CHECK(accepts(all, -1) && accepts((u8[]){2, 7, 7, 7, 7, 7}, -1));
    virtio_net_destroy(&net);
    start(ALL_FEATURES, false);
    CHECK(!accepts(mac, 5) && accepts(mac, -1));
    CHECK_EQ(command((u8[]){2, 0, 5, 0}, 4), 0);
    CHECK(accepts(mac, 5) && !accepts(mac, 6));
    CHECK_EQ(command((u8[]){2, 1, 5, 0}, 4), 0);
    CHECK(!accepts(mac, 5));
    CHECK_EQ(command((u8[]){1, 1, 2, 0, 0, 0, 0, 9}, 8), 0); /* another address */
    CHECK(accepts(other, -1) && !accepts(mac, -1));
    virtio_net_destroy(&net);
}

/* Commands with false lengths, commands of unknown classes, and a table that is too large. */
static void test_bad_commands(void)
{
    static u8 large[2 + 4 + 6 * 100 + 4];
    static const struct {
        u8 bytes[8];
        u32 count;
    } bad[] = {
        {{0, 0}, 2},       {{0, 0, 2}, 3},       {{0, 9, 1}, 3},       {{1, 0, 0xff, 0xff, 0xff, 0xff}, 6},
        {{1, 0, 1, 0}, 4}, {{2, 0, 0, 0x10}, 4}, {{2, 2, 1, 0}, 4},    {{9, 9, 9}, 3},
        {{1, 1, 2}, 3},    {{5, 0, 0xff}, 3},    {{4, 0, 1, 0, 0}, 5}, {{0}, 1},
    };
    start(ALL_FEATURES, false);
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++)
        CHECK_EQ(command(bad[n].bytes, bad[n].count), 1);
    CHECK(accepts(mac, -1) && !accepts((u8[]){2, 0, 0, 0, 0, 9}, -1));
    large[0] = 1;
    large[2] = 100;
    CHECK_EQ(command(large, sizeof(large)), 0);
    CHECK(accepts((u8[]){2, 0, 0, 0, 0, 9}, -1)); /* more than was asked for (5.1.6.5.2) */
    CHECK(!is_broken());
    struct rig_buffer silent = {DATA, 3, false}; /* no space for an answer */
    rig_add(&rig, COMMAND, &silent, 1);
    rig_notify(&rig, COMMAND);
    CHECK(is_broken());
    virtio_net_destroy(&net);
}

/* 5.1.6.5.6: the driver may switch the offloads that it negotiated off and on, and no others. */
static void test_guest_offloads(void)
{
    start(ALL_FEATURES, false);
    CHECK_EQ(far.takes, NET_TAKES_CHECKSUM | NET_TAKES_TCP4);
    CHECK_EQ(command((u8[]){5, 0, 2, 0, 0, 0, 0, 0, 0, 0}, 10), 0);
    CHECK_EQ(far.takes, NET_TAKES_CHECKSUM);
    CHECK_EQ(command((u8[]){5, 0, 2, 1, 0, 0, 0, 0, 0, 0}, 10), 1); /* TSO6 */
    CHECK_EQ(far.takes, NET_TAKES_CHECKSUM);
    virtio_net_destroy(&net);
}

/* A queue that is reset alone (2.6.1): the cable has nothing of it any more, and the other queue goes on. */
static void test_queue_reset(void)
{
    enum { SELECT = 22, QUEUE_RESET = 58 };
    static const u8 none[10];
    u32 head, written;
    for (unsigned queue = RECEIVE; queue <= SEND; queue++) {
        start(ALL_FEATURES | VIRTIO_F_RING_RESET, false);
        add_buffer(DATA + 0x1000, 2000);
        rig_notify(&rig, RECEIVE);
        send_bytes(12, 60, none);
        unsigned withdrawals = far.withdrawals;
        rig_write(&rig, SELECT, 2, queue);
        rig_write(&rig, QUEUE_RESET, 2, 1);
        CHECK_EQ(far.withdrawals, withdrawals + 1);
        CHECK_EQ(rig_read(&rig, QUEUE_RESET, 2), 0);
        CHECK(far.filters && far.sent_count == 0);
        CHECK_EQ(far.offered_count, queue == SEND ? 1 : 0);
        CHECK_EQ(rig_get(&rig, SEND, &head, &written), queue == RECEIVE);
        CHECK(!rig_get(&rig, RECEIVE, &head, &written));
        rig_place_queue(&rig, queue);
        far.offered_count = queue == SEND ? far.offered_count : 0;
        if (queue == RECEIVE) add_buffer(DATA + 0x1000, 2000);
        if (queue == RECEIVE) rig_notify(&rig, RECEIVE);
        send_bytes(12, 60, none);
        CHECK(far.offered_count == 1 && far.sent_count == 1 && !is_broken());
        far.offered[0]->next = NULL;
        far.offered[0]->used = 60;
        far.offered[0]->count = 1;
        far.ops->received(far.card, far.offered[0]);
        CHECK(rig_get(&rig, RECEIVE, &head, &written) && written == 72);
        far.sent[0]->next = NULL;
        far.ops->sent(far.card, far.sent[0]);
        CHECK(rig_get(&rig, SEND, &head, &written));
        virtio_net_destroy(&net);
    }
}

int main(void)
{
    test_config();
    test_carrier();
    test_sizes();
    test_offloads();
    test_full_ring();
    test_merged();
    test_receive_lengths();
    test_bad_buffers();
    test_loops();
    test_filters();
    test_bad_commands();
    test_guest_offloads();
    test_queue_reset();
    return check_report();
}
