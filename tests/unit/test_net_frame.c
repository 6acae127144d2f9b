/*
 * Frames that are cut: checksums by a plain sum of bytes, lengths, sequence numbers, flags; offloads that contradict
 * the frame.
 */
#include "check.h"
#include "net/frame.h"

#include <string.h>

enum { ETHERNET = 14, IPV4 = 20, IPV6 = 40, TCP = 20, UDP = 8 };

static u8 frame[NET_FRAME_MAX], original[NET_FRAME_MAX];

struct piece {
    u8 bytes[2048];
    u32 count;
};
static struct piece piece[64];
static unsigned pieces;

static void keep(void *to, const u8 *bytes, u32 count)
{
    CHECK(pieces < ARRAY_SIZE(piece) && count <= sizeof(piece[0].bytes));
    memcpy(piece[pieces].bytes, bytes, count);
    piece[pieces++].count = count;
}

/* The sum of big-endian words, as RFC 1071 has it. */
static u32 plain_sum(const u8 *at, u32 bytes)
{
    u32 sum = 0;
    for (u32 n = 0; n < bytes; n++)
        sum += n & 1 ? at[n] : (u32)at[n] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static u32 make_ipv4(u8 protocol, u32 payload)
{
    u32 transport = protocol == PROTOCOL_TCP ? TCP : UDP, bytes = ETHERNET + IPV4 + transport + payload;
    u8 *ip = frame + ETHERNET, *header = ip + IPV4;
    memset(frame, 0, bytes);
    put_be16(frame + 12, ETHERTYPE_IPV4);
    ip[0] = 0x45;
    put_be16(ip + 2, bytes - ETHERNET);
    put_be16(ip + 4, 0xfffe);
    ip[9] = protocol;
    memcpy(ip + 12, "\x0a\0\2\17\x0a\0\2\2", 8);
    if (protocol == PROTOCOL_TCP) {
        put_be32(header + 4, 0xfffffff0);
        header[12] = TCP / 4 << 4;
        header[13] = 0x99; /* CWR, ACK, PSH, FIN */
    } else {
        put_be16(header + 4, UDP + payload);
    }
    for (u32 n = 0; n < payload; n++)
        header[transport + n] = (u8)(n * 7 + n / 251);
    memcpy(original, frame, bytes);
    return bytes;
}

static void check_segments(void)
{
    u32 bytes = make_ipv4(PROTOCOL_TCP, 4000), at = 0;
    struct net_offload offload = {.flags = NET_NEEDS_CHECKSUM,
                                  .segmentation = NET_SEGMENT_TCP4,
                                  .segment_bytes = 1448,
                                  .checksum_start = 34,
                                  .checksum_offset = 16};
    pieces = 0;
    CHECK(frame_segment(frame, bytes, &offload, keep, NULL));
    CHECK_EQ(pieces, 3);
    for (unsigned n = 0; n < pieces; n++) {
        const u8 *ip = piece[n].bytes + ETHERNET, *tcp = ip + IPV4;
        u32 length = piece[n].count - ETHERNET, payload = length - IPV4 - TCP;
        CHECK_EQ(get_be16(ip + 2), length);
        CHECK_EQ(get_be16(ip + 4), (0xfffe + n) & 0xffff);
        CHECK_EQ(plain_sum(ip, IPV4), 0xffff);
        u8 pseudo[12] = {[9] = PROTOCOL_TCP};
        memcpy(pseudo, ip + 12, 8);
        put_be16(pseudo + 10, length - IPV4);
        u32 sum = plain_sum(pseudo, 12) + plain_sum(tcp, length - IPV4);
        CHECK_EQ((sum & 0xffff) + (sum >> 16), 0xffff);
        CHECK_EQ(get_be32(tcp + 4), 0xfffffff0 + at);
        bool last = n + 1 == pieces;
        CHECK_EQ(tcp[13], (n ? 0 : 0x80) | 0x10 | (last ? 9 : 0));
        CHECK(!memcmp(tcp + TCP, original + ETHERNET + IPV4 + TCP + at, payload));
        at += payload;
    }
    CHECK_EQ(at, 4000);
}

/* A frame with a wrong offload is not segmented: nothing comes out. */
static void check_contradictions(void)
{
    static const struct net_offload wrong[] = {
        {.segmentation = NET_SEGMENT_TCP6, .segment_bytes = 1448},
        {.segmentation = NET_SEGMENT_TCP4, .segment_bytes = 0},
        {.flags = NET_NEEDS_CHECKSUM, .checksum_start = 65000, .checksum_offset = 16},
        {.flags = NET_NEEDS_CHECKSUM, .checksum_start = 34, .checksum_offset = 65530},
    };
    for (unsigned n = 0; n < ARRAY_SIZE(wrong); n++) {
        u32 bytes = make_ipv4(PROTOCOL_TCP, 2000);
        pieces = 0;
        CHECK(!frame_segment(frame, bytes, &wrong[n], keep, NULL));
        CHECK_EQ(pieces, 0);
    }
    struct net_offload tcp = {.segmentation = NET_SEGMENT_TCP4, .segment_bytes = 1000};
    u32 bytes = make_ipv4(PROTOCOL_UDP, 2000);
    pieces = 0;
    CHECK(!frame_segment(frame, bytes, &tcp, keep, NULL));
    bytes = make_ipv4(PROTOCOL_TCP, 2000);
    put_be16(frame + ETHERNET + 2, 60000); /* longer than the frame */
    CHECK(!frame_segment(frame, bytes, &tcp, keep, NULL));
    bytes = make_ipv4(PROTOCOL_TCP, 2000);
    frame[ETHERNET + IPV4 + 12] = 0xf0; /* a TCP header longer than the packet */
    put_be16(frame + ETHERNET + 2, IPV4 + TCP);
    CHECK(!frame_segment(frame, bytes, &tcp, keep, NULL));
    CHECK_EQ(pieces, 0);
}

/* IPv6 extension headers so long that the offset of TCP's header, or of its payload, has more than 16 bits. Were the
 * offset cut, segments would be made outside of the frame. */
static void check_long_headers(void)
{
    enum { DESTINATION = 60, LENGTH = NET_FRAME_MAX - ETHERNET, MOST = 2048, WORDS = 6 << 4 };
    static const struct net_offload offload = {
        .flags = NET_NEEDS_CHECKSUM, .segmentation = NET_SEGMENT_TCP6, .segment_bytes = 65535};
    static const u32 ends[] = {65512, 65536};
    for (unsigned n = 0; n < ARRAY_SIZE(ends); n++) {
        struct frame_layout layout;
        u8 *ip = frame + ETHERNET;
        memset(frame, 0, sizeof(frame));
        put_be16(frame + 12, ETHERTYPE_IPV6);
        ip[0] = 0x60;
        put_be16(ip + 4, LENGTH - IPV6);
        ip[6] = DESTINATION;
        for (u32 at = IPV6, bytes; at < ends[n]; at += bytes) {
            bytes = ends[n] - at < MOST ? ends[n] - at : MOST;
            ip[at] = at + bytes < ends[n] ? DESTINATION : PROTOCOL_TCP;
            ip[at + 1] = (u8)(bytes / 8 - 1);
        }
        /* The length of TCP's header, where it is and where a cut offset would have it. */
        if (ends[n] + 12 < LENGTH) ip[ends[n] + 12] = WORDS;
        ip[12] = WORDS;
        CHECK(!frame_parse(frame, NET_FRAME_MAX, &layout));
        pieces = 0;
        if (!frame_parse(frame, NET_FRAME_MAX, &layout))
            CHECK(!frame_segment(frame, NET_FRAME_MAX, &offload, keep, NULL));
        CHECK_EQ(pieces, 0);
    }
}

static void check_fragments(void)
{
    u32 bytes = make_ipv4(PROTOCOL_UDP, 5000), at = 0;
    pieces = 0;
    CHECK(frame_fragment(frame, bytes, keep, NULL));
    CHECK_EQ(pieces, 4);
    for (unsigned n = 0; n < pieces; n++) {
        const u8 *ip = piece[n].bytes + ETHERNET;
        u32 payload = piece[n].count - ETHERNET - IPV4;
        CHECK(piece[n].count <= NET_FRAME_MTU);
        CHECK_EQ(plain_sum(ip, IPV4), 0xffff);
        CHECK_EQ(get_be16(ip + 6), (n + 1 < pieces ? 0x2000 : 0) | at / 8);
        CHECK(!memcmp(ip + IPV4, original + ETHERNET + IPV4 + at, payload));
        at += payload;
    }
    CHECK_EQ(at, UDP + 5000);
}

static void check_checksums(void)
{
    u8 bytes[257];
    for (unsigned n = 0; n < sizeof(bytes); n++)
        bytes[n] = (u8)(n * 31 + 200);
    for (unsigned count = 0; count < 200; count++)
        for (unsigned from = 0; from < 8; from++)
            CHECK_EQ(checksum_add(0, bytes + from, count) % 0xffff, plain_sum(bytes + from, count) % 0xffff);
}

int main(void)
{
    check_checksums();
    check_segments();
    check_contradictions();
    check_long_headers();
    check_fragments();
    return check_report();
}
