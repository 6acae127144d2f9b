#include "frame.h"

#include <string.h>

/* --- parsing --- */

enum { IPV4_BYTES = 20, IPV6_BYTES = 40, UDP_BYTES = 8, FRAGMENT_BYTES = 8 };
enum {
    IPV4_LENGTH = 2,
    IPV4_ID = 4,
    IPV4_FRAGMENT = 6,
    IPV4_PROTOCOL = 9,
    IPV4_CHECKSUM = 10,
};
enum { IPV6_LENGTH = 4, IPV6_NEXT = 6, IPV6_SOURCE = 8 };
enum { UDP_LENGTH = 4, UDP_CHECKSUM = 6 };
enum { IPV4_MORE = 0x2000, IPV4_DONT = 0x4000, IPV4_OFFSET = 0x1fff };
enum { NEXT_HOP_BY_HOP = 0, NEXT_ROUTING = 43, NEXT_FRAGMENT = 44, NEXT_DESTINATION = 60 };

/* Offsets of a layout have 16 bits. The extension headers of an IPv6 packet may be longer than that. */
#define OFFSET_MOST 0xffffu

static bool parse_transport(const u8 *frame, struct frame_layout *layout)
{
    u32 left = layout->bytes - layout->transport, header = 0;
    const u8 *at = frame + layout->transport;
    if (!layout->fragment && layout->protocol == PROTOCOL_UDP) {
        header = UDP_BYTES;
    } else if (!layout->fragment && layout->protocol == PROTOCOL_TCP) {
        header = left < TCP_BYTES ? 0 : (at[TCP_OFFSET] >> 4) * 4u;
        if (header < TCP_BYTES) return false;
    }
    if (header > left || layout->transport + header > OFFSET_MOST) return false;
    layout->payload = (u16)(layout->transport + header);
    return true;
}

static bool parse_ipv4(const u8 *frame, u32 bytes, struct frame_layout *layout)
{
    const u8 *ip = frame + layout->ip;
    u32 left = bytes - layout->ip;
    if (left < IPV4_BYTES || ip[0] >> 4 != 4) return false;
    u32 header = (ip[0] & 15) * 4u, length = get_be16(ip + IPV4_LENGTH);
    if (header < IPV4_BYTES || length < header || length > left) return false;
    layout->version = 4;
    layout->bytes = layout->ip + length;
    layout->protocol = ip[IPV4_PROTOCOL];
    layout->transport = (u16)(layout->ip + header);
    layout->fragment = get_be16(ip + IPV4_FRAGMENT) & (IPV4_MORE | IPV4_OFFSET);
    return parse_transport(frame, layout);
}

static bool parse_ipv6(const u8 *frame, u32 bytes, struct frame_layout *layout)
{
    const u8 *ip = frame + layout->ip;
    u32 left = bytes - layout->ip;
    if (left < IPV6_BYTES || ip[0] >> 4 != 6) return false;
    u32 length = IPV6_BYTES + get_be16(ip + IPV6_LENGTH), at = IPV6_BYTES;
    if (length > left) return false;
    layout->version = 6;
    layout->bytes = layout->ip + length;
    u8 next = ip[IPV6_NEXT];
    while (next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_DESTINATION ||
           next == NEXT_FRAGMENT) {
        if (at + 8 > length) return false;
        if (next == NEXT_FRAGMENT) layout->fragment = true;
        u32 extension = next == NEXT_FRAGMENT ? FRAGMENT_BYTES : (ip[at + 1] + 1u) * 8;
        if (at + extension > length) return false;
        next = ip[at];
        at += extension;
    }
    if (layout->ip + at > OFFSET_MOST) return false;
    layout->protocol = next;
    layout->transport = (u16)(layout->ip + at);
    return parse_transport(frame, layout);
}

bool frame_parse(const u8 *frame, u32 bytes, struct frame_layout *layout)
{
    *layout = (struct frame_layout){.ip = NET_HEADER_BYTES};
    if (bytes < NET_HEADER_BYTES || bytes > NET_FRAME_MAX) return false;
    u16 type = get_be16(frame + 12);
    if (type == ETHERTYPE_VLAN && bytes >= NET_HEADER_BYTES + NET_VLAN_BYTES) {
        type = get_be16(frame + 16);
        layout->ip += NET_VLAN_BYTES;
    }
    if (type == ETHERTYPE_IPV4) return parse_ipv4(frame, bytes, layout);
    if (type == ETHERTYPE_IPV6) return parse_ipv6(frame, bytes, layout);
    return false;
}

bool frame_is_acknowledgement(const u8 *frame, u32 bytes)
{
    enum { FLAGS = 0x3f };
    struct frame_layout layout;
    return frame_parse(frame, bytes, &layout) && layout.protocol == PROTOCOL_TCP && !layout.fragment &&
           layout.bytes == layout.payload && (frame[layout.transport + TCP_FLAGS] & FLAGS) == TCP_ACK;
}

u8 *frame_tcp_option(u8 *frame, const struct frame_layout *layout, u8 kind, u8 length)
{
    u8 *at = frame + layout->transport + TCP_BYTES, *end = frame + layout->payload;
    while (at < end && *at != TCP_OPTION_END) {
        u32 bytes = *at == TCP_OPTION_NOP ? 1 : at + 1 < end ? at[1] : 0;
        if (!bytes || at + bytes > end) return NULL;
        if (*at == kind && bytes == length) return at;
        at += bytes;
    }
    return NULL;
}

/* --- checksums --- */

u32 checksum_pseudo(const u8 *frame, const struct frame_layout *layout, u32 length)
{
    const u8 *ip = frame + layout->ip;
    u32 sum =
        layout->version == 4 ? checksum_add(0, ip + IPV4_SOURCE, 8) : checksum_add(0, ip + IPV6_SOURCE, 32);
    return checksum_fold((u64)sum + layout->protocol + (length >> 16) + (length & 0xffff));
}

bool frame_fill_checksum(u8 *frame, u32 bytes, const struct net_offload *offload)
{
    u32 start = offload->checksum_start, at = start + offload->checksum_offset;
    if (!(offload->flags & NET_NEEDS_CHECKSUM)) return true;
    if (start >= bytes || at + 2 > bytes) return false;
    u32 sum = ~checksum_add(0, frame + start, bytes - start) & 0xffff;
    /* A UDP checksum of 0 would say that there is none (RFC 768). TCP's may as well be sent so. */
    put_be16(frame + at, sum ? sum : 0xffff);
    return true;
}

void frame_fill_tcp(u8 *frame, const struct frame_layout *layout)
{
    u8 *tcp = frame + layout->transport;
    u32 length = layout->bytes - layout->transport;
    put_be16(tcp + TCP_CHECKSUM, 0);
    put_be16(tcp + TCP_CHECKSUM, ~checksum_add(checksum_pseudo(frame, layout, length), tcp, length) & 0xffff);
}

static void fill_ipv4(u8 *ip)
{
    put_be16(ip + IPV4_CHECKSUM, 0);
    put_be16(ip + IPV4_CHECKSUM, ~checksum_add(0, ip, (ip[0] & 15) * 4u) & 0xffff);
}

void frame_put_ip_length(u8 *frame, const struct frame_layout *layout, u32 bytes)
{
    u8 *ip = frame + layout->ip;
    if (layout->version == 6) {
        put_be16(ip + IPV6_LENGTH, bytes - layout->ip - IPV6_BYTES);
        return;
    }
    put_be16(ip + IPV4_LENGTH, bytes - layout->ip);
    fill_ipv4(ip);
}

/* --- segments --- */

void frame_leave_segments(u8 *frame, const struct frame_layout *layout, u32 segment_bytes,
                          struct net_offload *offload)
{
    *offload = (struct net_offload){
        .flags = NET_NEEDS_CHECKSUM,
        .segmentation = layout->version == 4 ? NET_SEGMENT_TCP4 : NET_SEGMENT_TCP6,
        .header_bytes = layout->payload,
        .segment_bytes = (u16)segment_bytes,
        .checksum_start = layout->transport,
        .checksum_offset = TCP_CHECKSUM,
    };
    put_be16(frame + layout->transport + TCP_CHECKSUM,
             checksum_pseudo(frame, layout, layout->bytes - layout->transport));
}

/* One segment: the headers, at `frame`, changed for it, and its payload behind them. */
static void finish_segment(u8 *frame, const struct frame_layout *layout, u32 payload, u32 sequence, u8 flags)
{
    struct frame_layout segment = *layout;
    u8 *tcp = frame + layout->transport;
    segment.bytes = layout->payload + payload;
    frame_put_ip_length(frame, layout, segment.bytes);
    put_be32(tcp + TCP_SEQUENCE, sequence);
    tcp[TCP_FLAGS] = flags;
    frame_fill_tcp(frame, &segment);
}

static bool segments_are_sane(const struct frame_layout *layout, const struct net_offload *offload)
{
    u8 kind = offload->segmentation & ~NET_SEGMENT_ECN;
    return layout->protocol == PROTOCOL_TCP && !layout->fragment && offload->segment_bytes &&
           kind == (layout->version == 4 ? NET_SEGMENT_TCP4 : NET_SEGMENT_TCP6);
}

bool frame_segment(u8 *frame, u32 bytes, const struct net_offload *offload, frame_emit *emit, void *to)
{
    struct frame_layout layout;
    if (!(offload->segmentation & ~NET_SEGMENT_ECN)) {
        if (!frame_fill_checksum(frame, bytes, offload)) return false;
        emit(to, frame, bytes);
        return true;
    }
    if (!frame_parse(frame, bytes, &layout) || !segments_are_sane(&layout, offload)) return false;
    u8 *tcp = frame + layout.transport, header[256];
    u32 header_bytes = layout.payload, at = layout.payload, left = layout.bytes - layout.payload;
    if (header_bytes > sizeof(header)) return false;
    u32 sequence = get_be32(tcp + TCP_SEQUENCE), id = get_be16(frame + layout.ip + IPV4_ID);
    u8 flags = tcp[TCP_FLAGS];
    memcpy(header, frame, header_bytes);
    do { /* each segment is made in place: its headers before its payload, over what has been emitted */
        u32 now = left < offload->segment_bytes ? left : offload->segment_bytes;
        u8 *segment = frame + at - header_bytes;
        bool last = now == left;
        memcpy(segment, header, header_bytes);
        if (layout.version == 4) put_be16(segment + layout.ip + IPV4_ID, id++ & 0xffff);
        finish_segment(segment, &layout, now, sequence, last ? flags : flags & (u8) ~(TCP_FIN | TCP_PSH));
        emit(to, segment, header_bytes + now);
        sequence += now;
        at += now;
        left -= now;
        flags &= (u8)~TCP_CWR;
    } while (left);
    return true;
}

/* --- fragments --- */

static void fragment_ipv4(u8 *frame, const struct frame_layout *layout, frame_emit *emit, void *to)
{
    u8 *ip = frame + layout->ip, header[NET_HEADER_BYTES + NET_VLAN_BYTES + 60];
    u32 header_bytes = layout->transport, at = layout->transport, left = layout->bytes - layout->transport;
    u32 most = (NET_MTU - (layout->transport - layout->ip)) & ~7u;
    u32 offset = get_be16(ip + IPV4_FRAGMENT);
    memcpy(header, frame, header_bytes);
    while (left) {
        u32 now = left < most ? left : most;
        u8 *piece = frame + at - header_bytes;
        memcpy(piece, header, header_bytes);
        put_be16(piece + layout->ip + IPV4_FRAGMENT, offset | (now < left ? IPV4_MORE : 0));
        frame_put_ip_length(piece, layout, header_bytes + now);
        emit(to, piece, header_bytes + now);
        offset += now / 8;
        at += now;
        left -= now;
    }
}

/* The fragment header is put behind the IPv6 header and needs 8 bytes, which the first piece has not got in
 * place. */
static void fragment_ipv6(u8 *frame, const struct frame_layout *layout, frame_emit *emit, void *to)
{
    static u32 identification; /* of the network thread */
    u8 piece[NET_FRAME_MTU + NET_VLAN_BYTES];
    u32 first = layout->ip + IPV6_BYTES, at = first, left = layout->bytes - first, offset = 0;
    u32 most = (NET_MTU - IPV6_BYTES - FRAGMENT_BYTES) & ~7u;
    identification++;
    while (left) {
        u32 now = left < most ? left : most, bytes = first + FRAGMENT_BYTES + now;
        u8 *fragment = piece + first;
        memcpy(piece, frame, first);
        fragment[0] = piece[layout->ip + IPV6_NEXT];
        fragment[1] = 0;
        put_be16(fragment + 2, offset | (now < left));
        put_be32(fragment + 4, identification);
        piece[layout->ip + IPV6_NEXT] = NEXT_FRAGMENT;
        memcpy(fragment + FRAGMENT_BYTES, frame + at, now);
        frame_put_ip_length(piece, layout, bytes);
        emit(to, piece, bytes);
        offset += now;
        at += now;
        left -= now;
    }
}

bool frame_fragment(u8 *frame, u32 bytes, frame_emit *emit, void *to)
{
    struct frame_layout layout;
    if (!frame_parse(frame, bytes, &layout) || layout.fragment) return false;
    if (layout.version == 4)
        fragment_ipv4(frame, &layout, emit, to);
    else if (layout.transport == layout.ip + IPV6_BYTES)
        fragment_ipv6(frame, &layout, emit, to);
    else
        return false;
    return true;
}
