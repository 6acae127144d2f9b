/*
 * Receiving.
 *
 * C mode (C 7.1): a ring of bytes, 8 to 64 KB at RBSTART. CBR is where the chip writes next; the driver has read up to
 * CAPR + 16. A frame is aligned to a dword:
 *
 *   +0 status, 16 bits | +2 length with the check sequence, 16 bits | +4 frame, check sequence
 *
 * With RCR.WRAP, a frame that begins in the ring goes on behind its end.
 *
 * C+ mode (C+ 7.2): a ring of descriptors. A frame with its check sequence fills as many buffers as it needs:
 *
 *   +0  31 OWN | 30 EOR | 12-0 size of the buffer; then: 31 OWN = 0 | 30 EOR | 29 FS | 28 LS | 26 MAR | 25 PAM |
 *       24 BAR | 17-16 protocol | 15 IPF | 14 UDPF | 13 TCPF | 12-0 bytes of the frame up to here
 *   +4  16 TAVA | 15-0 VLAN tag, high byte first
 */
#include "rtl8139_private.h"

#include <string.h>

/* Status in C mode (C 7.1); in C+ mode other bits tell how the address matched. */
enum { STATUS_ROK = 1, STATUS_BAR = 1 << 13, STATUS_PAM = 1 << 14, STATUS_MAR = 1 << 15 };
enum {
    PLUS_MAR = 1 << 26,
    PLUS_PAM = 1 << 25,
    PLUS_BAR = 1 << 24,
    PLUS_TCP = 1 << 16,
    PLUS_UDP = 2 << 16,
    PLUS_IP = 3 << 16
};
enum { SIZE = 0x1fff, TAVA = 1 << 16 };
enum { HEADER_BYTES = 4, CAPR_AHEAD = 16 };
enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

/* A driver in C+ mode returns descriptors without writing a register, so the chip looks for them while frames wait,
 * at this interval. After this number of attempts it drops the frames. */
#define RETRY_NS    200000u
#define RETRIES_MAX 250

/* --- filters (C 6.1, 6.9) --- */

struct rtl8139_filter {
    u8 mac[NET_MAC_BYTES], mar[8];
    u32 rcr;
};
_Static_assert(sizeof(struct rtl8139_filter) <= NET_FILTER_STATE_BYTES, "it is a filter's state");

static bool wants(const struct rtl8139_filter *f, const u8 *frame)
{
    if (net_is_broadcast(frame)) return f->rcr & RCR_AB;
    if (net_is_multicast(frame)) {
        u32 hash = ethernet_hash(frame) >> 26;
        return (f->rcr & RCR_AM) && (f->mar[hash / 8] >> hash % 8 & 1);
    }
    return (f->rcr & RCR_AAP) || ((f->rcr & RCR_APM) && !memcmp(frame, f->mac, NET_MAC_BYTES));
}

/* On the network thread. */
static bool accepts(const struct net_filter *filter, const u8 *frame, u32 bytes)
{
    return bytes >= NET_HEADER_BYTES && bytes <= RECEIVE_MOST - ETHERNET_FCS_BYTES &&
           wants((const struct rtl8139_filter *)filter->state, frame);
}

static struct net_filter filter_of(const struct rtl8139 *r)
{
    struct net_filter filter = {.accepts = accepts};
    struct rtl8139_filter *f = (struct rtl8139_filter *)filter.state;
    memcpy(f->mac, r->reg + IDR, NET_MAC_BYTES);
    memcpy(f->mar, r->reg + MAR, sizeof(f->mar));
    f->rcr = pci_get32(r->reg + RCR);
    return filter;
}

void rtl8139_update_filter(struct rtl8139 *r)
{
    struct net_filter filter = filter_of(r);
    net_fifo_receive(&r->fifo, r->reg[CR] & CR_RE ? &filter : NULL);
}

void rtl8139_receive_reset(struct rtl8139 *r)
{
    r->receive_at = 0;
    r->retries = 0;
    timer_cancel(&r->retry);
}

/* --- C mode --- */

static u32 ring_bytes(const struct rtl8139 *r)
{
    return 8192u << (pci_get32(r->reg + RCR) >> 11 & 3);
}

static u32 driver_at(const struct rtl8139 *r)
{
    return (pci_get16(r->reg + CAPR) + (u32)CAPR_AHEAD) % ring_bytes(r);
}

bool rtl8139_is_empty(const struct rtl8139 *r)
{
    return driver_at(r) == pci_get16(r->reg + CBR) % ring_bytes(r);
}

/* Write to the ring at *at, and advance it. */
static void put(const struct rtl8139 *r, u32 *at, const u8 *from, u32 bytes)
{
    u64 base = pci_get32(r->reg + RBSTART);
    u32 size = ring_bytes(r), wraps = pci_get32(r->reg + RCR) & RCR_WRAP && size < 65536, now = bytes;
    if (!wraps && *at + bytes > size) now = *at < size ? size - *at : 0;
    r->dma.write(r->dma.memory, base + *at, from, now);
    *at += now;
    if (now == bytes) return;
    r->dma.write(r->dma.memory, base, from + now, bytes - now);
    *at = bytes - now;
}

static bool store_in_ring(struct rtl8139 *r, const u8 *frame, u32 bytes)
{
    u8 header[HEADER_BYTES], fcs[ETHERNET_FCS_BYTES];
    u32 size = ring_bytes(r), at = pci_get16(r->reg + CBR) % size;
    u32 needed = HEADER_BYTES + bytes + ETHERNET_FCS_BYTES, free = (driver_at(r) + size - at) % size;
    /* The ring never fills up, because it would seem empty. */
    if (free && free <= ((needed + 3) & ~3u)) return false;
    u16 status = STATUS_ROK;
    if (net_is_broadcast(frame))
        status |= STATUS_BAR;
    else
        status |= net_is_multicast(frame) ? STATUS_MAR : STATUS_PAM;
    pci_put16(header, status);
    pci_put16(header + 2, (u16)(bytes + ETHERNET_FCS_BYTES));
    pci_put32(fcs, ethernet_fcs(frame, bytes));
    put(r, &at, header, sizeof(header));
    put(r, &at, frame, bytes);
    put(r, &at, fcs, sizeof(fcs));
    pci_put16(r->reg + CBR, (u16)(((at + 3) & ~3u) % size));
    return true;
}

/* --- C+ mode --- */

static u64 descriptor_at(const struct rtl8139 *r, u32 index)
{
    return (rtl8139_get64(r, RDSAR) & ~0xffull) + index * DESCRIPTOR_BYTES;
}

static u32 next_of(u32 index, u32 command)
{
    return (command & DESCRIPTOR_EOR) || index == RING_ENTRIES - 1 ? 0 : index + 1;
}

/* Are there descriptors for this number of bytes? *never: not even the whole ring is large enough. */
static bool has_descriptors(const struct rtl8139 *r, u32 bytes, bool *never)
{
    u32 index = r->receive_at, room = 0;
    for (unsigned n = 0; n < RING_ENTRIES; n++) {
        u8 descriptor[4];
        r->dma.read(r->dma.memory, descriptor_at(r, index), descriptor, sizeof(descriptor));
        u32 command = pci_get32(descriptor);
        if (!(command & DESCRIPTOR_OWN)) return false;
        room += command & SIZE;
        if (room >= bytes) return true;
        index = next_of(index, command);
        if (index == r->receive_at) break;
    }
    *never = true;
    return false;
}

/* The chip's report on checksums, which the back end has checked or made. */
static u32 protocol_of(const u8 *frame, u32 bytes)
{
    u32 at = NET_HEADER_BYTES;
    if (bytes >= at + 24 && frame[12] == 0x81 && !frame[13]) at += NET_VLAN_BYTES;
    if (bytes < at + 20 || frame[at - 2] != 8 || frame[at - 1] || frame[at] >> 4 != 4) return 0;
    if (((frame[at + 6] & 0x3f) | frame[at + 7])) return PLUS_IP; /* a fragment */
    if (frame[at + 9] == PROTOCOL_TCP) return PLUS_TCP;
    return frame[at + 9] == PROTOCOL_UDP ? PLUS_UDP : PLUS_IP;
}

/* Fill one descriptor with the frame from `done` on. Returns how many bytes. */
static u32 fill_descriptor(struct rtl8139 *r, const u8 *frame, u32 done, u32 bytes, u32 status, u32 tag)
{
    u8 descriptor[DESCRIPTOR_BYTES];
    u64 gpa = descriptor_at(r, r->receive_at);
    r->dma.read(r->dma.memory, gpa, descriptor, sizeof(descriptor));
    u32 command = pci_get32(descriptor), room = command & SIZE,
        now = bytes - done < room ? bytes - done : room;
    r->dma.write(r->dma.memory, load_any(descriptor + 8, 8), frame + done, now);
    status |= (command & DESCRIPTOR_EOR) | (done ? 0 : DESCRIPTOR_FS) |
              (done + now == bytes ? DESCRIPTOR_LS : 0) | (done + now);
    pci_put32(descriptor, status);
    pci_put32(descriptor + 4, tag);
    r->dma.write(r->dma.memory, gpa, descriptor, 8);
    r->receive_at = next_of(r->receive_at, command);
    return now;
}

static bool store_in_descriptors(struct rtl8139 *r, const u8 *from, u32 bytes, bool vouched, bool *never)
{
    enum { TAG_AT = 2 * NET_MAC_BYTES };
    u8 frame[RECEIVE_MOST];
    u32 tag = 0, status = net_is_broadcast(from) ? PLUS_BAR : net_is_multicast(from) ? PLUS_MAR : PLUS_PAM;
    bool tagged = bytes >= NET_HEADER_BYTES + NET_VLAN_BYTES && from[12] == 0x81 && !from[13];
    if (!has_descriptors(r, bytes + ETHERNET_FCS_BYTES, never)) return false;
    memcpy(frame, from, bytes);
    pci_put32(frame + bytes, ethernet_fcs(from, bytes));
    bytes += ETHERNET_FCS_BYTES;
    if (vouched && rtl8139_plus_mode(r, CPCR_RX_CHECKSUM)) status |= protocol_of(from, bytes);
    if (tagged && rtl8139_plus_mode(r, CPCR_RX_VLAN)) {
        tag = TAVA | pci_get16(frame + TAG_AT + 2);
        bytes -= NET_VLAN_BYTES;
        memmove(frame + TAG_AT, frame + TAG_AT + NET_VLAN_BYTES, bytes - TAG_AT);
    }
    for (u32 done = 0; done < bytes;)
        done += fill_descriptor(r, frame, done, bytes, status, tag);
    return true;
}

/* --- both --- */

static void tally(struct rtl8139 *r, const u8 *frame)
{
    r->tally.received++;
    if (net_is_broadcast(frame))
        r->tally.received_broadcast++;
    else if (net_is_multicast(frame))
        r->tally.received_multicast++;
    else
        r->tally.received_unicast++;
}

static void miss(struct rtl8139 *r)
{
    pci_put32(r->reg + MPC, (pci_get32(r->reg + MPC) + 1) & 0xffffff);
    r->tally.missed++;
}

/* Returns false: there is no room now. *never: there never will be. */
static bool store(struct rtl8139 *r, const u8 *frame, u32 bytes, bool vouched, bool *never)
{
    *never = false;
    if (rtl8139_plus_mode(r, CPCR_RX)) return store_in_descriptors(r, frame, bytes, vouched, never);
    return store_in_ring(r, frame, bytes);
}

void rtl8139_store_frames(struct rtl8139 *r)
{
    unsigned causes = 0;
    const struct net_buffer *first;
    if (!pci_is_master(&r->pci)) return;
    while ((first = net_fifo_first(&r->fifo)) != NULL) {
        const u8 *frame = net_fifo_bytes(first);
        bool never, vouched = first->offload.flags & NET_CHECKSUM_GOOD;
        if (store(r, frame, first->used, vouched, &never)) {
            tally(r, frame);
            causes |= INT_ROK;
            r->retries = 0;
        } else if (never || r->retries >= RETRIES_MAX) {
            miss(r);
            causes |= INT_RXOVW;
        } else {
            break;
        }
        net_fifo_drop(&r->fifo);
    }
    bool waits = net_fifo_first(&r->fifo) != NULL;
    if (waits && rtl8139_plus_mode(r, CPCR_RX)) {
        if (!r->retries) causes |= INT_RXOVW;
        if (!r->retry.armed) timer_arm(&r->retry, clock_now(r->retry.clock) + RETRY_NS);
    } else if (waits) {
        /* The chip's report of a frame that finds the ring full (C 6.7). Linux's driver reads the ring only while the
         * ISR has such a bit, and clears ROK for frames that it has not read yet. */
        causes |= INT_RXOVW;
    } else {
        timer_cancel(&r->retry);
    }
    if (causes) rtl8139_cause(r, causes);
}

void rtl8139_retry(void *device)
{
    struct rtl8139 *r = device;
    r->retries++;
    rtl8139_store_frames(r);
}

void rtl8139_loop_back(struct rtl8139 *r, const u8 *frame, u32 bytes)
{
    struct net_filter filter = filter_of(r);
    bool never;
    if (!(r->reg[CR] & CR_RE) || !accepts(&filter, frame, bytes)) return;
    if (store(r, frame, bytes, false, &never)) {
        tally(r, frame);
        rtl8139_cause(r, INT_ROK);
    } else {
        miss(r);
        rtl8139_cause(r, INT_RXOVW);
    }
}
