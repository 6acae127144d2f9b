/*
 * Segments that are joined: what comes out, cut again, is what went in, in the same order; damage is not hidden;
 * nothing is held back.
 */
#include "check.h"
#include "net/coalesce.h"

#include <stdlib.h>
#include <string.h>

enum { ETHERNET = 14, IPV4 = 20, IPV6 = 40, TCP = 20, STAMPS = 12, SEGMENT = 1000, FRAMES = 4096 };
#define ALL (NET_TAKES_CHECKSUM | NET_TAKES_TCP4 | NET_TAKES_TCP6)

/* A frame without what segmentation may change: the identification and the checksum of IPv4, PSH and the sum over
 * it. */
struct kept {
    u32 bytes;
    u8 frame[1600];
};
static struct kept in[FRAMES], out[FRAMES];
static unsigned ins, outs, emitted, largest;
static struct coalescer coalescer;

static void keep(struct kept *kept, const u8 *frame, u32 bytes)
{
    struct frame_layout layout;
    CHECK(bytes <= sizeof(kept->frame));
    memcpy(kept->frame, frame, bytes);
    kept->bytes = bytes;
    if (!frame_parse(frame, bytes, &layout)) return;
    kept->bytes = layout.bytes; /* without padding */
    if (layout.version == 4) memset(kept->frame + layout.ip + 4, 0, 2);
    if (layout.version == 4) memset(kept->frame + layout.ip + 10, 0, 2);
    if (layout.protocol != PROTOCOL_TCP) return;
    kept->frame[layout.transport + TCP_FLAGS] &= (u8)~TCP_PSH;
    memset(kept->frame + layout.transport + TCP_CHECKSUM, 0, 2);
}

static void keep_out(void *to, const u8 *frame, u32 bytes)
{
    CHECK(outs < FRAMES);
    keep(&out[outs++], frame, bytes);
}

static void emit(void *to, const u8 *frame, u32 bytes, const struct net_offload *offload)
{
    static u8 copy[NET_FRAME_MAX];
    emitted++;
    if (bytes > largest) largest = bytes;
    memcpy(copy, frame, bytes);
    if (offload->segmentation)
        CHECK(frame_segment(copy, bytes, offload, keep_out, NULL));
    else
        keep_out(NULL, copy, bytes);
}

/* What a segment is like. */
struct shape {
    u8 version;
    u16 port, window, vlan;
    u32 sequence, ack, payload, stamp, padding;
    u8 flags;
    bool broken, broken_header; /* its checksum, that of IPv4 */
};

static void add(const struct shape *s, u32 takes)
{
    static u8 frame[NET_FRAME_MAX];
    u32 ip = ETHERNET + (s->vlan ? NET_VLAN_BYTES : 0), tcp = ip + (s->version == 4 ? IPV4 : IPV6);
    u32 options = s->stamp ? STAMPS : 0, bytes = tcp + TCP + options + s->payload;
    memset(frame, 0, bytes + s->padding);
    memcpy(frame, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
    if (s->vlan) {
        put_be16(frame + 12, ETHERTYPE_VLAN);
        put_be16(frame + 14, s->vlan);
    }
    put_be16(frame + ip - 2, s->version == 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
    frame[ip] = s->version == 4 ? 0x45 : 0x60;
    if (s->version == 4) {
        memcpy(frame + ip + 8, "\100\6\0\0\12\0\0\1\12\0\0\2", 12);
        put_be16(frame + ip + 4, ins);
    } else {
        frame[ip + 6] = PROTOCOL_TCP;
        memset(frame + ip + 8, 0xfe, 32);
    }
    put_be16(frame + tcp, s->port);
    put_be32(frame + tcp + TCP_SEQUENCE, s->sequence);
    put_be32(frame + tcp + TCP_ACK_NUMBER, s->ack);
    frame[tcp + TCP_OFFSET] = (u8)((TCP + options) / 4 << 4);
    frame[tcp + TCP_FLAGS] = s->flags;
    put_be16(frame + tcp + TCP_WINDOW, s->window);
    if (s->stamp) put_be32(frame + tcp + TCP + 4, s->stamp);
    for (u32 n = 0; n < s->payload; n++)
        frame[tcp + TCP + options + n] = (u8)(s->sequence + n);
    struct frame_layout layout;
    put_be16(frame + ip + (s->version == 4 ? 2 : 4), s->version == 4 ? bytes - ip : bytes - tcp);
    CHECK(frame_parse(frame, bytes, &layout));
    frame_put_ip_length(frame, &layout, bytes);
    frame_fill_tcp(frame, &layout);
    if (s->broken) frame[bytes - 1] ^= 0x40;
    if (s->broken_header) frame[ip + 10] ^= 0x40;
    CHECK(ins < FRAMES);
    keep(&in[ins++], frame, bytes + s->padding);
    coalescer_add(&coalescer, takes, frame, bytes + s->padding);
}

static void start(void)
{
    coalescer = (struct coalescer){.emit = emit};
    ins = outs = emitted = largest = 0;
}

static void check_order(void)
{
    coalescer_flush(&coalescer);
    CHECK_EQ(outs, ins);
    for (unsigned n = 0; n < ins && n < outs; n++)
        CHECK(in[n].bytes == out[n].bytes && !memcmp(in[n].frame, out[n].frame, in[n].bytes));
}

static const struct shape plain4 = {.version = 4,
                                    .port = 5,
                                    .window = 100,
                                    .sequence = 0xfffff000,
                                    .ack = 7,
                                    .payload = SEGMENT,
                                    .flags = TCP_ACK};

static void check_joined(u8 version, u32 takes, unsigned frames)
{
    struct shape s = plain4;
    start();
    s.version = version;
    s.stamp = 99;
    for (unsigned n = 0; n < 20; n++, s.sequence += s.payload) {
        s.payload = n == 19 ? 10 : SEGMENT;
        s.padding = n == 19 ? 6 : 0;
        if (n == 10) s.flags |= TCP_PSH;
        add(&s, takes);
        s.flags = TCP_ACK;
    }
    check_order();
    CHECK_EQ(emitted, frames);
}

/* A second segment that differs in one thing is not joined to the first one. */
static void check_apart(void)
{
    struct shape next = plain4;
    next.sequence += SEGMENT;
    struct shape other[14];
    for (unsigned n = 0; n < ARRAY_SIZE(other); n++)
        other[n] = next;
    other[0].sequence++;
    other[1].sequence -= SEGMENT;
    other[2].port++;
    other[3].ack++;
    other[4].window++;
    other[5].payload++;
    other[6].payload = 0;
    other[7].stamp = 5;
    other[8].flags |= TCP_FIN;
    other[9].flags |= TCP_CWR;
    other[10].broken = true;
    other[11].broken_header = true;
    other[12].vlan = 5;
    other[13].version = 6;
    for (unsigned n = 0; n < ARRAY_SIZE(other); n++) {
        start();
        add(&plain4, ALL);
        add(&other[n], ALL);
        check_order();
        CHECK_EQ(emitted, 2);
    }
    start();
    add(&plain4, ALL);
    add(&next, ALL);
    check_order();
    CHECK_EQ(emitted, 1);
}

/* An IP packet has no more than 65535 bytes. */
static void check_largest(void)
{
    struct shape s = plain4;
    start();
    for (unsigned n = 0; n < 200; n++, s.sequence += SEGMENT)
        add(&s, ALL);
    check_order();
    CHECK_EQ(largest, ETHERNET + IPV4 + TCP + 65 * SEGMENT);
    CHECK_EQ(emitted, 4);
}

static void check_random(void)
{
    srand(1);
    for (unsigned round = 0; round < 200; round++) {
        struct shape s = plain4;
        start();
        s.payload = 100;
        for (unsigned n = 0; n < 100; n++) {
            struct shape now = s;
            switch (rand() % 16) {
            case 0: now.port = (u16)(rand() % 3); break;
            case 1: now.flags = (u8)rand(); break;
            case 2: now.payload = (u32)rand() % 120; break;
            case 3: now.broken = true; break;
            case 4: now.sequence += (u32)rand() % 3; break;
            case 5: now.version = 6; break;
            case 6: now.stamp = (u32)rand() % 3; break;
            case 7: coalescer_flush(&coalescer); break;
            case 8: now.padding = 6; break;
            default: break;
            }
            add(&now, rand() % 8 ? ALL : 0);
            s.sequence += now.payload;
        }
        check_order();
    }
}

/* Not a frame that is known. */
static void check_others(void)
{
    static const u8 nothing[NET_FRAME_MAX];
    start();
    for (u32 bytes = 1; bytes < 100; bytes++) {
        keep(&in[ins++], nothing, bytes);
        coalescer_add(&coalescer, ALL, nothing, bytes);
    }
    check_order();
}

int main(void)
{
    check_joined(4, ALL, 1);
    check_joined(6, ALL, 1);
    check_joined(4, NET_TAKES_CHECKSUM | NET_TAKES_TCP6, 20);
    check_joined(6, NET_TAKES_CHECKSUM | NET_TAKES_TCP4, 20);
    check_joined(4, NET_TAKES_TCP4, 20);
    check_apart();
    check_largest();
    check_random();
    check_others();
    return check_report();
}
