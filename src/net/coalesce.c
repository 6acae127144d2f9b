#include "coalesce.h"

#include <string.h>

/* An IP packet has no more bytes. */
#define PACKET_MOST 65535u

static const struct net_offload untouched, checked = {.flags = NET_CHECKSUM_GOOD};

void coalescer_flush(struct coalescer *c)
{
    u32 bytes = c->bytes;
    struct net_offload offload = checked;
    c->bytes = 0;
    if (!bytes) return;
    if (bytes - c->layout.payload > c->segment_bytes) {
        c->layout.bytes = bytes;
        frame_put_ip_length(c->frame, &c->layout, bytes);
        frame_leave_segments(c->frame, &c->layout, c->segment_bytes, &offload);
    }
    c->emit(c->to, c->frame, bytes, &offload);
}

static bool card_takes(u32 takes, const struct frame_layout *layout)
{
    u32 needed = NET_TAKES_CHECKSUM | (layout->version == 4 ? NET_TAKES_TCP4 : NET_TAKES_TCP6);
    return (takes & needed) == needed;
}

static bool checksums_are_good(const u8 *frame, const struct frame_layout *layout)
{
    u32 length = layout->bytes - layout->transport;
    if (layout->version == 4 && checksum_add(0, frame + layout->ip, layout->transport - layout->ip) != 0xffff)
        return false;
    return checksum_add(checksum_pseudo(frame, layout, length), frame + layout->transport, length) == 0xffff;
}

/* A segment with data and nothing else. */
static bool is_plain(const u8 *frame, const struct frame_layout *layout)
{
    return layout->protocol == PROTOCOL_TCP && !layout->fragment && layout->bytes > layout->payload &&
           (frame[layout->transport + TCP_FLAGS] & ~TCP_PSH) == TCP_ACK;
}

static bool same(const struct coalescer *c, const u8 *frame, u32 from, u32 to)
{
    return !memcmp(c->frame + from, frame + from, to - from);
}

/* Equal but for what the invariant names. */
static bool headers_agree(const struct coalescer *c, const u8 *frame, const struct frame_layout *layout)
{
    enum { V4_SERVICE = 2, V4_FRAGMENT = 6, V4_CHECKSUM = 10, V6_LENGTH = 4, V6_NEXT = 6 };
    u32 ip = layout->ip, tcp = layout->transport;
    if (layout->version != c->layout.version || ip != c->layout.ip || tcp != c->layout.transport ||
        layout->payload != c->layout.payload || !same(c, frame, 0, ip))
        return false;
    bool ip_agrees = layout->version == 4
                         ? same(c, frame, ip, ip + V4_SERVICE) &&
                               same(c, frame, ip + V4_FRAGMENT, ip + V4_CHECKSUM) &&
                               same(c, frame, ip + IPV4_SOURCE, tcp)
                         : same(c, frame, ip, ip + V6_LENGTH) && same(c, frame, ip + V6_NEXT, tcp);
    return ip_agrees && same(c, frame, tcp, tcp + TCP_SEQUENCE) &&
           same(c, frame, tcp + TCP_ACK_NUMBER, tcp + TCP_FLAGS) &&
           same(c, frame, tcp + TCP_WINDOW, tcp + TCP_CHECKSUM) &&
           same(c, frame, tcp + TCP_BYTES, layout->payload);
}

static void begin(struct coalescer *c, const u8 *frame, const struct frame_layout *layout)
{
    memcpy(c->frame, frame, layout->bytes);
    c->layout = *layout;
    c->bytes = layout->bytes;
    c->segment_bytes = layout->bytes - layout->payload;
    c->next = get_be32(frame + layout->transport + TCP_SEQUENCE) + c->segment_bytes;
}

static bool join(struct coalescer *c, const u8 *frame, const struct frame_layout *layout)
{
    u32 payload = layout->bytes - layout->payload;
    if (!c->bytes || payload > c->segment_bytes || c->bytes + payload - layout->ip > PACKET_MOST ||
        get_be32(frame + layout->transport + TCP_SEQUENCE) != c->next || !headers_agree(c, frame, layout))
        return false;
    memcpy(c->frame + c->bytes, frame + layout->payload, payload);
    c->frame[layout->transport + TCP_FLAGS] |= frame[layout->transport + TCP_FLAGS];
    c->bytes += payload;
    c->next += payload;
    if (payload < c->segment_bytes) coalescer_flush(c); /* the last of its size */
    return true;
}

void coalescer_add(struct coalescer *c, u32 takes, const u8 *frame, u32 bytes)
{
    struct frame_layout layout;
    bool plain = takes & NET_TAKES_CHECKSUM && frame_parse(frame, bytes, &layout) &&
                 is_plain(frame, &layout) && card_takes(takes, &layout) && checksums_are_good(frame, &layout);
    if (plain && join(c, frame, &layout)) return;
    coalescer_flush(c);
    if (plain)
        begin(c, frame, &layout);
    else
        c->emit(c->to, frame, bytes, &untouched);
}
