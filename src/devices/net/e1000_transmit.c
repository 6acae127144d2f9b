/*
 * Transmitting (SDM 3.3 to 3.5). Descriptors are 16 bytes:
 *
 *   legacy   +0 address, 64 bits | +8 length, 16 | +10 CSO | +11 command | +12 status | +13 CSS | +14 VLAN tag
 *   data     +0 address, 64 bits | +8 length, 20 bits, type, 4 | +11 command | +12 status | +13 POPTS | +14 VLAN tag
 *   context  +0 IPCSS | +1 IPCSO | +2 IPCSE, 16 | +4 TUCSS | +5 TUCSO | +6 TUCSE, 16
 *            +8 payload length, 20 bits, type, 4 | +11 command | +12 status | +13 HDRLEN | +14 MSS
 *
 * A frame is sent straight from guest memory, except for its first bytes. These are copied, because they are changed: a
 * VLAN tag and checksums are put in, and for segmentation also lengths, which the driver leaves out and the cable
 * needs.
 */
#include "base/big_endian.h"
#include "base/checksum.h"
#include "e1000_private.h"

#include <string.h>

enum {
    COMMAND_EOP = 1,
    COMMAND_IC = 4,
    COMMAND_TSE = 4,
    COMMAND_RS = 8,
    COMMAND_DEXT = 0x20,
    COMMAND_VLE = 0x40,
    COMMAND_IDE = 0x80
};
enum { CONTEXT_TCP = 1, CONTEXT_IP = 2 };
enum { OPTION_IXSM = 1, OPTION_TXSM = 2 };
enum { TYPE_CONTEXT = 0, STATUS_DD = 1 };
enum { IPV4_LENGTH = 2, IPV6_LENGTH = 4, IPV6_BYTES = 40 };

static u32 ring_entries(const struct e1000 *e)
{
    return e->reg[TDLEN / 4] / DESCRIPTOR_BYTES;
}

static u64 ring_address(const struct e1000 *e, u32 index)
{
    return (e->reg[TDBAL / 4] | (u64)e->reg[TDBAH / 4] << 32) + (u64)index * DESCRIPTOR_BYTES;
}

/* --- the end of frames --- */

/* TIDV begins anew with each descriptor, TADV with the first since the last interrupt (13.4.41, 13.4.44). */
static void delay_interrupt(struct e1000 *e)
{
    u64 now = clock_now(e->transmit_delay.clock);
    u32 limit = e->reg[TADV / 4] & 0xffff;
    timer_arm(&e->transmit_delay, now + (e->reg[TIDV / 4] & 0xffff) * 1024ull);
    if (limit && !e->transmit_limit.armed) timer_arm(&e->transmit_limit, now + limit * 1024ull);
}

static void done(struct e1000 *e, u32 first, u32 count, u32 *causes)
{
    u32 entries = ring_entries(e);
    for (u32 n = 0; n < count && entries; n++) {
        u32 index = (first + n) % entries;
        u8 tail[8];
        e->dma.read(e->dma.memory, ring_address(e, index) + 8, tail, sizeof(tail));
        if (!(tail[3] & COMMAND_RS)) continue;
        tail[4] |= STATUS_DD;
        e->dma.write(e->dma.memory, ring_address(e, index) + 12, &tail[4], 1);
        bool delayed = (tail[3] & COMMAND_IDE) && (e->reg[TIDV / 4] & 0xffff) * 1024ull > GATHERED_NS;
        *causes |= delayed ? 0 : CAUSE_TXDW;
        if (delayed) delay_interrupt(e);
    }
    if (entries) *reg_at(e, TDH) = (first + count) % entries;
    if (e->reg[TDH / 4] == e->reg[TDT / 4]) *causes |= CAUSE_TXQE;
}

static void free_frame(struct e1000 *e, struct e1000_frame *frame)
{
    frame->frame.next = e->free_frames;
    e->free_frames = &frame->frame;
}

void e1000_sent(void *card, struct net_frame *first)
{
    struct e1000 *e = card;
    u32 causes = 0;
    while (first) {
        struct e1000_frame *frame = container_of(first, struct e1000_frame, frame);
        first = first->next;
        done(e, frame->first, frame->descriptors, &causes);
        free_frame(e, frame);
    }
    e1000_cause(e, causes);
    e1000_transmit(e);
}

/* --- a frame --- */

static void start_frame(struct e1000 *e, struct e1000_frame *frame, u8 command, u8 options, u16 vlan)
{
    frame->frame = (struct net_frame){.part = frame->part, .part_count = 1};
    frame->part[0] = (struct iovec){frame->header, 0};
    frame->part_bytes = 0;
    e->in_frame = true;
    e->command = command;
    e->options = options;
    e->vlan = vlan;
    if (command & COMMAND_TSE) e->segmenting = e->context;
}

/* Add a piece of guest memory to the frame. False: the frame is too large, has too many pieces, or is not in RAM. It
 * will not be sent. */
static bool add_piece(struct e1000 *e, struct e1000_frame *frame, u64 gpa, u32 bytes)
{
    struct iovec *header = &frame->part[0];
    if (frame->frame.bytes + bytes > NET_FRAME_MAX - NET_VLAN_BYTES) return false;
    frame->frame.bytes += bytes;
    if (header->iov_len < E1000_HEADER_BYTES) {
        u32 room = E1000_HEADER_BYTES - (u32)header->iov_len, now = bytes < room ? bytes : room;
        e->dma.read(e->dma.memory, gpa, frame->header + header->iov_len, now);
        header->iov_len += now;
        gpa += now;
        bytes -= now;
    }
    while (bytes) {
        u64 piece = bytes;
        u8 *host = e->dma.map(e->dma.memory, gpa, &piece);
        if (!host || frame->frame.part_count > E1000_PARTS) return false;
        frame->part[frame->frame.part_count++] = (struct iovec){host, piece};
        gpa += piece;
        bytes -= (u32)piece;
    }
    return true;
}

/* Fill in the checksum of the IP header (IXSM). False: it would be behind the copied bytes, and no header is so
 * long. */
static bool fill_ip_checksum(const struct e1000_context *c, u8 *header, u32 bytes)
{
    u32 end = c->ip_end ? c->ip_end + 1u : bytes;
    if (c->ip_start >= end || end > bytes || c->ip_offset + 2u > bytes) return false;
    put_be16(header + c->ip_offset, 0);
    put_be16(header + c->ip_offset, (u16)~checksum_add(0, header + c->ip_start, end - c->ip_start));
    return true;
}

/* The driver leaves out lengths that differ from segment to segment (3.5.7). Put in those of the whole frame for the
 * cable. */
static bool prepare_segments(const struct e1000_context *c, struct net_frame *frame, u8 *header)
{
    u32 length = frame->bytes - c->tcp_start, at = c->tcp_offset;
    if (c->header_bytes < 34 || c->header_bytes > frame->bytes || c->tcp_start + 20u > c->header_bytes ||
        at + 2 > c->header_bytes || at < c->tcp_start || !c->tcp || !c->segment_bytes ||
        c->ip_start + (c->ipv4 ? 20u : IPV6_BYTES) > c->tcp_start)
        return false;
    u8 *ip = header + c->ip_start;
    if (c->ipv4)
        put_be16(ip + IPV4_LENGTH, frame->bytes - c->ip_start);
    else
        put_be16(ip + IPV6_LENGTH, frame->bytes - c->ip_start - IPV6_BYTES);
    put_be16(header + at, checksum_add((length >> 16) + (length & 0xffff), header + at, 2));
    frame->offload = (struct net_offload){.flags = NET_NEEDS_CHECKSUM,
                                          .segmentation = c->ipv4 ? NET_SEGMENT_TCP4 : NET_SEGMENT_TCP6,
                                          .header_bytes = c->header_bytes,
                                          .segment_bytes = c->segment_bytes,
                                          .checksum_start = c->tcp_start,
                                          .checksum_offset = (u16)(at - c->tcp_start)};
    return true;
}

static bool apply_options(const struct e1000 *e, struct e1000_frame *frame)
{
    struct net_frame *out = &frame->frame;
    u32 header_bytes = (u32)frame->part[0].iov_len;
    if ((e->command & (COMMAND_DEXT | COMMAND_TSE)) == (COMMAND_DEXT | COMMAND_TSE)) {
        const struct e1000_context *c = &e->segmenting;
        /* A frame that fits in one segment needs no segmentation, but it needs the lengths. */
        if (!prepare_segments(c, out, frame->header)) return false;
        if (out->bytes - c->header_bytes <= c->segment_bytes) out->offload.segmentation = NET_WHOLE;
        return !(e->options & OPTION_IXSM) || fill_ip_checksum(c, frame->header, header_bytes);
    }
    const struct e1000_context *c = &e->context;
    if ((e->options & OPTION_IXSM) && !fill_ip_checksum(c, frame->header, header_bytes)) return false;
    /* The sum always goes to the end of the frame. No protocol in use needs another end (TUCSE). */
    if ((e->options & OPTION_TXSM) && c->tcp_start < out->bytes && c->tcp_offset >= c->tcp_start)
        out->offload = (struct net_offload){.flags = NET_NEEDS_CHECKSUM,
                                            .checksum_start = c->tcp_start,
                                            .checksum_offset = (u16)(c->tcp_offset - c->tcp_start)};
    return true;
}

static void insert_vlan(const struct e1000 *e, struct e1000_frame *frame)
{
    struct iovec *header = &frame->part[0];
    struct net_offload *offload = &frame->frame.offload;
    enum { TAG_AT = 2 * NET_MAC_BYTES };
    if (!(e->command & COMMAND_VLE) || !(e->reg[CTRL / 4] & CTRL_VME) || header->iov_len < TAG_AT) return;
    memmove(frame->header + TAG_AT + NET_VLAN_BYTES, frame->header + TAG_AT, header->iov_len - TAG_AT);
    put_be16(frame->header + TAG_AT, e->reg[VET / 4]);
    put_be16(frame->header + TAG_AT + 2, e->vlan);
    header->iov_len += NET_VLAN_BYTES;
    frame->frame.bytes += NET_VLAN_BYTES;
    if (offload->flags & NET_NEEDS_CHECKSUM) offload->checksum_start += NET_VLAN_BYTES;
    if (offload->header_bytes) offload->header_bytes += NET_VLAN_BYTES;
}

static void pad(const struct e1000 *e, struct e1000_frame *frame)
{
    struct iovec *header = &frame->part[0];
    if (!(e->reg[TCTL / 4] & TCTL_PSP) || frame->frame.bytes >= FRAME_LEAST) return;
    memset(frame->header + header->iov_len, 0, FRAME_LEAST - header->iov_len);
    header->iov_len = frame->frame.bytes = FRAME_LEAST;
}

static void count_sent(struct e1000 *e, const struct e1000_frame *frame)
{
    const struct net_frame *out = &frame->frame;
    u32 payload = out->bytes - out->offload.header_bytes, segment = out->offload.segment_bytes;
    u32 frames = out->offload.segmentation ? (payload + segment - 1) / segment : 1;
    u64 bytes = out->bytes + (u64)(frames - 1) * out->offload.header_bytes + frames * FCS_BYTES;
    int class = e1000_size_class(out->bytes + FCS_BYTES);
    for (u32 n = 0; n < frames; n++) {
        e1000_count(e, GPTC);
        e1000_count(e, TPT);
    }
    if (class >= 0) e1000_count(e, PTC64 + 4 * (u32) class);
    if (net_is_broadcast(frame->header))
        e1000_count(e, BPTC);
    else if (net_is_multicast(frame->header))
        e1000_count(e, MPTC);
    if (frames > 1) e1000_count(e, TSCTC);
    e1000_count_bytes(e, GOTCL, bytes);
    e1000_count_bytes(e, TOTL, bytes);
}

/* --- descriptors --- */

static void set_context(struct e1000 *e, const u8 *at)
{
    e->context = (struct e1000_context){
        .ip_start = at[0],
        .ip_offset = at[1],
        .ip_end = pci_get16(at + 2),
        .tcp_start = at[4],
        .tcp_offset = at[5],
        .tcp_end = pci_get16(at + 6),
        .payload_bytes = pci_get32(at + 8) & 0xfffff,
        .tcp = at[11] & CONTEXT_TCP,
        .ipv4 = at[11] & CONTEXT_IP,
        .header_bytes = at[13],
        .segment_bytes = pci_get16(at + 14),
    };
}

/* The checksum of a legacy descriptor (IC, CSS, CSO) becomes a context for its own frame. */
static void set_legacy_checksum(struct e1000 *e, const u8 *at)
{
    if (!(at[11] & COMMAND_IC)) return;
    e->options = OPTION_TXSM;
    e->context.tcp_start = at[13];
    e->context.tcp_offset = at[10];
}

/* Read the next descriptor. Returns whether a frame was sent. */
static bool read_descriptor(struct e1000 *e, const u8 *at, struct e1000_frame *frame)
{
    bool extended = at[11] & COMMAND_DEXT;
    if (extended && (at[10] >> 4) == TYPE_CONTEXT) {
        set_context(e, at);
        return false;
    }
    u32 bytes = extended ? pci_get32(at + 8) & 0xfffff : pci_get16(at + 8);
    if (!e->in_frame)
        start_frame(e, frame, extended ? at[11] : at[11] & (u8)~COMMAND_TSE, extended ? at[13] : 0,
                    pci_get16(at + 14));
    if (!add_piece(e, frame, load_any(at, 8), bytes)) frame->frame.part_count = 0;
    if (!(at[11] & COMMAND_EOP)) return false;
    if (!extended) set_legacy_checksum(e, at);
    /* The tag is that of the last descriptor (3.3.7.3). */
    e->command |= at[11] & COMMAND_VLE;
    e->vlan = pci_get16(at + 14);
    e->in_frame = false;
    return true;
}

static void send(struct e1000 *e, struct e1000_frame *frame)
{
    u32 entries = ring_entries(e);
    frame->first = e->frame_from;
    frame->descriptors = (e->fetched + entries - e->frame_from) % entries;
    if (!frame->descriptors) frame->descriptors = entries;
    e->frame_from = e->fetched;
    bool good = frame->frame.part_count && frame->frame.bytes >= NET_HEADER_BYTES && apply_options(e, frame);
    if (!good) {
        /* The frame cannot be sent. An empty frame goes to the cable in its stead, so that its descriptors end after
         * those of earlier frames. */
        frame->frame.part_count = 0;
        frame->frame.bytes = 0;
        frame->frame.offload = (struct net_offload){0};
    } else {
        insert_vlan(e, frame);
        pad(e, frame);
        count_sent(e, frame);
    }
    net_send(e->cable, &frame->frame);
}

void e1000_transmit(struct e1000 *e)
{
    u32 entries = ring_entries(e), tail = e->reg[TDT / 4];
    bool any = false;
    if (!(e->reg[TCTL / 4] & TCTL_EN) || !pci_is_master(&e->pci) || tail >= entries || e->fetched >= entries)
        return;
    while (e->fetched != tail && (e->building || e->free_frames)) {
        u8 descriptor[DESCRIPTOR_BYTES];
        if (!e->building) {
            e->building = container_of(e->free_frames, struct e1000_frame, frame);
            e->free_frames = e->free_frames->next;
        }
        e->dma.read(e->dma.memory, ring_address(e, e->fetched), descriptor, sizeof(descriptor));
        e->fetched = (e->fetched + 1) % entries;
        if (!read_descriptor(e, descriptor, e->building)) continue;
        send(e, e->building);
        e->building = NULL;
        any = true;
    }
    if (any) net_flush(e->cable);
}

void e1000_transmit_reset(struct e1000 *e)
{
    e->free_frames = NULL;
    for (unsigned n = 0; n < E1000_FRAMES; n++)
        free_frame(e, &e->frames[n]);
    e->building = NULL;
    e->in_frame = false;
    e->fetched = e->frame_from = 0;
    e->context = (struct e1000_context){0};
}
