/*
 * Receiving (SDM 3.2). A descriptor is 16 bytes:
 *
 *   +0 address, 64 bits | +8 length, 16 | +10 checksum | +12 status | +13 errors | +14 VLAN tag
 *
 * Descriptors between head and tail are offered to the cable as buffers, in order, and come back in order.
 */
#include "e1000_private.h"
#include "ethernet.h"

#include <string.h>

enum {
    STATUS_DD = 1,
    STATUS_EOP = 2,
    STATUS_IXSM = 4,
    STATUS_VP = 8,
    STATUS_TCPCS = 0x20,
    STATUS_IPCS = 0x40
};

static u32 ring_entries(const struct e1000 *e)
{
    return e->reg[RDLEN / 4] / DESCRIPTOR_BYTES;
}

static u64 ring_address(const struct e1000 *e, u32 index)
{
    return (e->reg[RDBAL / 4] | (u64)e->reg[RDBAH / 4] << 32) + (u64)index * DESCRIPTOR_BYTES;
}

static u32 buffer_bytes(const struct e1000 *e)
{
    u32 rctl = e->reg[RCTL / 4], size = 2048u >> (rctl >> 16 & 3);
    return rctl & RCTL_BSEX ? size * 16 : size;
}

/* --- buffers --- */

/* Bytes for the frame check sequence, which the chip stores unless it must strip it. */
static u32 fcs_bytes(const struct e1000 *e)
{
    return e->reg[RCTL / 4] & RCTL_SECRC ? 0 : FCS_BYTES;
}

static void offer_one(struct e1000 *e, struct e1000_buffer *buffer)
{
    static u8 nowhere[16384]; /* receives writes to addresses without RAM */
    u8 address[8];
    u64 bytes = buffer_bytes(e);
    buffer->index = e->offered;
    e->dma.read(e->dma.memory, ring_address(e, buffer->index), address, sizeof(address));
    buffer->gpa = load_any(address, 8);
    u8 *host = e->dma.map(e->dma.memory, buffer->gpa, &bytes);
    if (!host || bytes < buffer_bytes(e)) {
        host = nowhere;
        bytes = buffer_bytes(e) < sizeof(nowhere) ? buffer_bytes(e) : sizeof(nowhere);
        buffer->gpa = UINT64_MAX;
    }
    buffer->part = (struct iovec){host, bytes - fcs_bytes(e)};
    buffer->buffer.part = &buffer->part;
    buffer->buffer.part_count = 1;
    buffer->buffer.capacity = (u32)buffer->part.iov_len;
    net_offer(e->cable, &buffer->buffer);
}

void e1000_offer(struct e1000 *e)
{
    u32 entries = ring_entries(e), tail = e->reg[RDT / 4];
    if (!(e->reg[RCTL / 4] & RCTL_EN) || !pci_is_master(&e->pci) || tail >= entries || e->offered >= entries)
        return;
    while (e->offered != tail && e->free_buffers) {
        struct e1000_buffer *buffer = container_of(e->free_buffers, struct e1000_buffer, buffer);
        e->free_buffers = e->free_buffers->next;
        offer_one(e, buffer);
        e->offered = (e->offered + 1) % entries;
    }
}

static void free_buffer(struct e1000 *e, struct e1000_buffer *buffer)
{
    buffer->buffer.next = e->free_buffers;
    e->free_buffers = &buffer->buffer;
}

/* --- received frames --- */

/* Remove the VLAN tag from a frame (CTRL.VME): the bytes behind it move down, through all buffers. Returns the tag. */
static u16 strip_vlan(struct net_buffer *first)
{
    enum { TAG_AT = 2 * NET_MAC_BYTES };
    u8 *to = (u8 *)first->part[0].iov_base + TAG_AT;
    u16 tag = (u16)(to[2] << 8 | to[3]);
    memmove(to, to + NET_VLAN_BYTES, first->used - TAG_AT - NET_VLAN_BYTES);
    for (struct net_buffer *last = first, *next = first->next; next && !next->count && next->used;
         last = next, next = next->next) {
        u32 now = next->used < NET_VLAN_BYTES ? next->used : NET_VLAN_BYTES;
        u8 *from = next->part[0].iov_base;
        memcpy((u8 *)last->part[0].iov_base + last->used - NET_VLAN_BYTES, from, now);
        memmove(from, from + now, next->used - now);
        if (now < NET_VLAN_BYTES) last->used -= NET_VLAN_BYTES - now;
        first = next;
    }
    /* The last buffer of the frame becomes shorter by the tag, unless all its bytes have moved. */
    if (first->used >= NET_VLAN_BYTES)
        first->used -= NET_VLAN_BYTES;
    else
        first->used = 0;
    return tag;
}

struct frame_report {
    u8 status, errors;
    u16 vlan;
    u32 fcs;
};

/* Back ends may send frames shorter than the shortest on a wire, which has 60 bytes (IEEE 802.3, 3.2.8). */
static void pad(struct net_buffer *first)
{
    if (first->used >= FRAME_LEAST || first->capacity < FRAME_LEAST) return;
    memset((u8 *)first->part[0].iov_base + first->used, 0, FRAME_LEAST - first->used);
    first->used = FRAME_LEAST;
}

/* The check sequence of a frame as received. */
static u32 fcs_of(const struct net_buffer *first, unsigned count)
{
    u32 fcs = 0;
    for (; count; count--, first = first->next)
        fcs = ethernet_fcs_more(fcs, first->part[0].iov_base, first->used);
    return fcs;
}

static struct frame_report report_frame(const struct e1000 *e, struct net_buffer *first)
{
    struct frame_report report = {.status = STATUS_DD};
    const u8 *frame = first->part[0].iov_base;
    /* The back end says that the checksums are good. Otherwise they are reported as not checked. */
    if (!(first->offload.flags & NET_CHECKSUM_GOOD))
        report.status |= STATUS_IXSM;
    else
        report.status |= STATUS_IPCS | STATUS_TCPCS;
    bool tagged = first->used >= NET_HEADER_BYTES + NET_VLAN_BYTES &&
                  (u32)(frame[12] << 8 | frame[13]) == (e->reg[VET / 4] & 0xffff);
    if (tagged && (e->reg[CTRL / 4] & CTRL_VME)) {
        report.status |= STATUS_VP;
        report.vlan = strip_vlan(first);
    }
    return report;
}

static void write_back(struct e1000 *e, struct e1000_buffer *buffer, const struct frame_report *report,
                       bool last)
{
    u32 used = buffer->buffer.used, entries = ring_entries(e);
    u8 tail[8] = {0};
    if (last && fcs_bytes(e)) {
        /* offer_one() has left room for it. */
        pci_put32((u8 *)buffer->part.iov_base + used, report->fcs);
        used += FCS_BYTES;
    }
    if (buffer->gpa != UINT64_MAX) e->dma.written(e->dma.memory, buffer->gpa, used);
    pci_put16(tail, (u16)used);
    tail[4] = report->status | (last ? STATUS_EOP : 0);
    tail[5] = report->errors;
    pci_put16(tail + 6, report->vlan);
    e->dma.write(e->dma.memory, ring_address(e, buffer->index) + 8, tail, sizeof(tail));
    if (entries) *reg_at(e, RDH) = (buffer->index + 1) % entries;
}

static void count_received(struct e1000 *e, const struct net_buffer *first, u32 bytes)
{
    const u8 *frame = first->part[0].iov_base;
    int class = e1000_size_class(bytes + FCS_BYTES);
    e1000_count(e, GPRC);
    e1000_count(e, TPR);
    if (class >= 0) e1000_count(e, PRC64 + 4 * (u32) class);
    if (net_is_broadcast(frame))
        e1000_count(e, BPRC);
    else if (net_is_multicast(frame))
        e1000_count(e, MPRC);
    e1000_count_bytes(e, GORCL, bytes + FCS_BYTES);
    e1000_count_bytes(e, TORL, bytes + FCS_BYTES);
}

/* Store the first frame of the list. Returns the rest of the list. */
static struct net_buffer *store_frame(struct e1000 *e, struct net_buffer *first)
{
    unsigned count = first->count;
    u32 bytes = 0;
    struct net_buffer *buffer = first;
    if (count == 1) pad(first);
    for (unsigned n = 0; n < count; n++, buffer = buffer->next)
        bytes += buffer->used;
    count_received(e, first, bytes);
    u32 fcs = fcs_bytes(e) ? fcs_of(first, count) : 0;
    struct frame_report report = report_frame(e, first);
    report.fcs = fcs;
    /* RSRPD: frames of at most this size interrupt at once (13.4.32). */
    if (bytes + FCS_BYTES <= (e->reg[RSRPD / 4] & 0xfff)) e1000_cause(e, CAUSE_SRPD);
    for (unsigned n = 0; n < count; n++) {
        struct net_buffer *next = first->next;
        struct e1000_buffer *mine = container_of(first, struct e1000_buffer, buffer);
        write_back(e, mine, &report, n + 1 == count);
        free_buffer(e, mine);
        first = next;
    }
    return first;
}

/* RDMTS: are so few descriptors free that the driver must be interrupted? */
static bool runs_low(const struct e1000 *e)
{
    u32 entries = ring_entries(e), shift = (e->reg[RCTL / 4] >> 8 & 3) + 1;
    u32 free = entries ? (e->reg[RDT / 4] + entries - e->reg[RDH / 4]) % entries : 0;
    return free <= entries >> shift;
}

static void tell(struct e1000 *e)
{
    u32 delay = e->reg[RDTR / 4] & 0xffff, limit = e->reg[RADV / 4] & 0xffff;
    u64 now = clock_now(e->receive_delay.clock);
    u32 low = runs_low(e) ? CAUSE_RXDMT0 : 0;
    if (delay * 1024ull <= GATHERED_NS) {
        e1000_cause(e, CAUSE_RXT0 | low);
        return;
    }
    if (low) e1000_cause(e, low);
    timer_arm(&e->receive_delay, now + delay * 1024ull);
    if (limit && !e->receive_limit.armed) timer_arm(&e->receive_limit, now + limit * 1024ull);
}

void e1000_received(void *card, struct net_buffer *first)
{
    struct e1000 *e = card;
    while (first)
        first = store_frame(e, first);
    e1000_offer(e);
    tell(e);
}

/* --- filters (3.2.1) --- */

struct e1000_filter {
    u32 rctl, vet;
    u8 address[RECEIVE_ADDRESSES][NET_MAC_BYTES];
    bool valid[RECEIVE_ADDRESSES];
    u32 mta[MTA_WORDS], vfta[VFTA_WORDS];
};
_Static_assert(sizeof(struct e1000_filter) <= NET_FILTER_STATE_BYTES, "it is a filter's state");

static bool accepts_vlan(const struct e1000_filter *f, const u8 *frame, u32 bytes)
{
    if (!(f->rctl & RCTL_VFE) || bytes < NET_HEADER_BYTES + NET_VLAN_BYTES) return true;
    if ((u32)(frame[12] << 8 | frame[13]) != (f->vet & 0xffff)) return true;
    u32 vlan = (frame[14] & 15u) << 8 | frame[15];
    return f->vfta[vlan / 32] >> vlan % 32 & 1;
}

/* On the network thread. */
static bool accepts(const struct net_filter *filter, const u8 *frame, u32 bytes)
{
    /* The first of the 12 address bits of the hash, by RCTL.MO. */
    static const u8 shifts[] = {4, 3, 2, 0};
    const struct e1000_filter *f = (const struct e1000_filter *)filter->state;
    u32 most = f->rctl & RCTL_LPE ? 16384 - FCS_BYTES : 1518 + NET_VLAN_BYTES - FCS_BYTES;
    if (bytes < NET_HEADER_BYTES || bytes > most || !accepts_vlan(f, frame, bytes)) return false;
    if (net_is_broadcast(frame) && (f->rctl & RCTL_BAM)) return true;
    bool multicast = net_is_multicast(frame);
    if (f->rctl & (multicast ? RCTL_MPE : RCTL_UPE)) return true;
    for (unsigned n = 0; n < RECEIVE_ADDRESSES; n++)
        if (f->valid[n] && !memcmp(frame, f->address[n], NET_MAC_BYTES)) return true;
    if (!multicast) return false;
    u32 hash = (u32)(frame[5] << 8 | frame[4]) >> shifts[f->rctl >> 12 & 3] & 0xfff;
    return f->mta[hash / 32] >> hash % 32 & 1;
}

void e1000_update_filter(struct e1000 *e)
{
    struct net_filter filter = {.accepts = accepts};
    struct e1000_filter *f = (struct e1000_filter *)filter.state;
    f->rctl = e->reg[RCTL / 4];
    f->vet = e->reg[VET / 4];
    for (unsigned n = 0; n < RECEIVE_ADDRESSES; n++) {
        u32 low = e->reg[RAL / 4 + 2 * n], high = e->reg[RAH / 4 + 2 * n];
        pci_put32(f->address[n], low);
        pci_put16(f->address[n] + 4, (u16)high);
        f->valid[n] = high & RAH_AV;
    }
    memcpy(f->mta, reg_at(e, MTA), sizeof(f->mta));
    memcpy(f->vfta, reg_at(e, VFTA), sizeof(f->vfta));
    net_set_filter(e->cable, f->rctl & RCTL_EN ? &filter : NULL);
}

void e1000_receive_reset(struct e1000 *e)
{
    e->free_buffers = NULL;
    for (unsigned n = 0; n < E1000_BUFFERS; n++)
        free_buffer(e, &e->buffers[n]);
    e->offered = 0;
}
