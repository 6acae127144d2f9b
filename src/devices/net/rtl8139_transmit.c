/*
 * Transmitting.
 *
 * C mode (C 6.2, 6.3): four buffers in turn. The driver writes the size to TSDn with OWN = 0; when the buffer is in the
 * FIFO, OWN is 1.
 *
 * C+ mode (C+ 7.1): two rings of descriptors, of which the one of high priority goes first. A frame is gathered from FS
 * to LS:
 *
 *   +0  31 OWN | 30 EOR | 29 FS | 28 LS | 27 LGSEN | 18 IPCS | 17 UDPCS | 16 TCPCS | 15-0 length
 *       with LGSEN, which is for TCP over IPv4: 26-16 MSS
 *   +4  17 TAGC | 15-0 VLAN tag, high byte first
 *   +8  address, 64 bits
 */
#include "rtl8139_private.h"

#include "base/big_endian.h"
#include "base/checksum.h"

#include <string.h>

enum { LGSEN = 1 << 27, IPCS = 1 << 18, UDPCS = 1 << 17, TCPCS = 1 << 16, TAGC = 1 << 17 };
enum { TAG_AT = 2 * NET_MAC_BYTES, IPV4_BYTES = 20, TCP_BYTES = 20, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

/* --- frames --- */

static void send(struct rtl8139 *r, u8 *frame, u32 bytes, const struct net_offload *offload)
{
    if (bytes < ETHERNET_LEAST) {
        memset(frame + bytes, 0, ETHERNET_LEAST - bytes);
        bytes = ETHERNET_LEAST;
    }
    r->tally.sent++;
    if ((pci_get32(r->reg + TCR) & TCR_LOOPBACK) == TCR_LOOPBACK)
        rtl8139_loop_back(r, frame, bytes);
    else
        net_fifo_send(&r->fifo, bytes, offload);
}

/* Checksums and segmentation, for IPv4 only. Other frames stay as they are. */
static struct net_offload offload_of(u8 *frame, u32 bytes, u32 command)
{
    struct net_offload offload = {0};
    bool tagged = bytes > TAG_AT + NET_VLAN_BYTES && frame[12] == 0x81 && !frame[13];
    u32 at = NET_HEADER_BYTES + (tagged ? NET_VLAN_BYTES : 0), mss = command >> 16 & 0x7ff;
    bool large = (command & LGSEN) && mss;
    if (command & LGSEN) command |= IPCS | TCPCS;
    u8 *ip = frame + at;
    if (bytes < at + IPV4_BYTES || frame[at - 2] != 8 || frame[at - 1] || ip[0] >> 4 != 4) return offload;
    u32 header = 4 * (ip[0] & 15u), transport = at + header;
    if (header < IPV4_BYTES || bytes < transport + 8) return offload;
    if (large) put_be16(ip + 2, bytes - at);
    if (command & IPCS) {
        put_be16(ip + 10, 0);
        put_be16(ip + 10, (u16)~checksum_add(0, ip, header));
    }
    bool tcp = (command & TCPCS) && ip[9] == PROTOCOL_TCP && bytes >= transport + TCP_BYTES;
    bool udp = !(command & LGSEN) && (command & UDPCS) && ip[9] == PROTOCOL_UDP;
    if (!tcp && !udp) return offload;
    /* The cable completes the sum that begins with the pseudo header. */
    u32 length = (u32)(ip[2] << 8 | ip[3]);
    length = length >= header && length <= bytes - at ? length - header : bytes - transport;
    offload.flags = NET_NEEDS_CHECKSUM;
    offload.checksum_start = (u16)transport;
    offload.checksum_offset = tcp ? 16 : 6;
    put_be16(frame + transport + offload.checksum_offset, checksum_add(ip[9] + length, ip + 12, 8));
    u32 all_headers = transport + 4 * (frame[transport + 12] >> 4);
    if (tcp && large && all_headers >= transport + TCP_BYTES && bytes > all_headers + mss) {
        offload.segmentation = NET_SEGMENT_TCP4;
        offload.header_bytes = (u16)all_headers;
        offload.segment_bytes = (u16)mss;
    }
    return offload;
}

/* --- C mode --- */

static bool transmit_buffer(struct rtl8139 *r)
{
    u8 *reg = &r->reg[TSD + 4 * r->transmit_at];
    u32 status = pci_get32(reg), bytes = status & TSD_SIZE;
    u8 *frame = net_fifo_next(&r->fifo);
    if ((status & TSD_OWN) || !frame) return false;
    r->dma.read(r->dma.memory, pci_get32(&r->reg[TSAD + 4 * r->transmit_at]), frame, bytes);
    pci_put32(reg, status | TSD_OWN | TSD_TOK);
    r->transmit_at = (r->transmit_at + 1) % 4;
    send(r, frame, bytes, NULL);
    return true;
}

/* --- C+ mode --- */

static void finish_frame(struct rtl8139 *r, struct rtl8139_ring *ring, u8 *frame)
{
    u32 bytes = ring->bytes;
    ring->begun = false;
    if (ring->bad || bytes < NET_HEADER_BYTES) return;
    if (ring->vlan & TAGC) {
        memmove(frame + TAG_AT + NET_VLAN_BYTES, frame + TAG_AT, bytes - TAG_AT);
        put_be16(frame + TAG_AT, 0x8100);
        pci_put16(frame + TAG_AT + 2, (u16)ring->vlan);
        bytes += NET_VLAN_BYTES;
    }
    struct net_offload offload = offload_of(frame, bytes, ring->first);
    send(r, frame, bytes, &offload);
}

/* The next descriptor. Returns false: it is the driver's, or the FIFO is full. */
static bool transmit_descriptor(struct rtl8139 *r, struct rtl8139_ring *ring, unsigned base, bool *any)
{
    u8 descriptor[DESCRIPTOR_BYTES];
    u64 gpa = (rtl8139_get64(r, base) & ~0xffull) + ring->at * DESCRIPTOR_BYTES;
    u8 *frame = net_fifo_next(&r->fifo);
    if (!frame) return false;
    r->dma.read(r->dma.memory, gpa, descriptor, sizeof(descriptor));
    u32 command = pci_get32(descriptor), bytes = command & 0xffff;
    if (!(command & DESCRIPTOR_OWN)) return false;
    if (!ring->begun || (command & DESCRIPTOR_FS))
        *ring = (struct rtl8139_ring){
            .at = ring->at, .first = command, .vlan = pci_get32(descriptor + 4), .begun = true};
    ring->bad |= ring->bytes + bytes > NET_FRAME_MAX - NET_VLAN_BYTES;
    if (!ring->bad) {
        r->dma.read(r->dma.memory, load_any(descriptor + 8, 8), frame + ring->bytes, bytes);
        ring->bytes += bytes;
    }
    bool last_of_ring = (command & DESCRIPTOR_EOR) || ring->at == RING_ENTRIES - 1;
    ring->at = last_of_ring ? 0 : ring->at + 1;
    if (command & DESCRIPTOR_LS) finish_frame(r, ring, frame);
    /* The status: no error, no collision. The driver finds its length there. */
    pci_put32(descriptor, command & (DESCRIPTOR_EOR | DESCRIPTOR_FS | DESCRIPTOR_LS | 0xffff));
    r->dma.write(r->dma.memory, gpa, descriptor, 4);
    *any = true;
    return true;
}

/* A frame ends before one of the other ring begins, because there is one FIFO. At most one round of the ring:
 * otherwise a driver that returns descriptors at the same time could hold the loop for ever. */
static bool transmit_rings(struct rtl8139 *r)
{
    bool any = false;
    unsigned left = 2 * RING_ENTRIES;
    do {
        bool normal_first = r->normal.begun;
        if (!normal_first && rtl8139_get64(r, THPDS))
            while (left && transmit_descriptor(r, &r->high, THPDS, &any))
                left--;
        if (!r->high.begun && left && transmit_descriptor(r, &r->normal, TNPDS, &any))
            left--;
        else
            break;
    } while (left);
    return any;
}

/* --- both --- */

void rtl8139_transmit(struct rtl8139 *r)
{
    if (!(r->reg[CR] & CR_TE) || !pci_is_master(&r->pci)) return;
    unsigned causes = 0;
    if (rtl8139_plus_mode(r, CPCR_TX)) {
        if (transmit_rings(r)) causes = INT_TOK | (net_fifo_next(&r->fifo) ? INT_TDU : 0);
    } else {
        while (transmit_buffer(r))
            causes = INT_TOK;
    }
    if (!causes) return;
    net_fifo_flush(&r->fifo);
    rtl8139_cause(r, causes);
}

void rtl8139_transmit_reset(struct rtl8139 *r)
{
    r->transmit_at = 0;
    r->normal = r->high = (struct rtl8139_ring){0};
    for (unsigned n = 0; n < 4; n++)
        if (!rtl8139_plus_mode(r, CPCR_TX | CPCR_RX)) pci_put32(&r->reg[TSD + 4 * n], TSD_OWN);
}
