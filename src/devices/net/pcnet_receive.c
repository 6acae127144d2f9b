/*
 * The receive ring ("Receive Descriptor Table Entry"): a frame with its check sequence fills as many buffers as it
 * needs, from the descriptor with STP to the one with ENP, which has its length.
 */
#include "pcnet_private.h"

#include <string.h>

/* Drivers return descriptors without writing a register, so the chip looks for them while a frame waits. After
 * this number of attempts it drops the frame. */
#define RETRIES_MAX 250

/* --- address filters ("Address Matching") --- */

struct pcnet_filter {
    u8 mac[NET_MAC_BYTES];
    u16 mode, ladrf[4];
};
_Static_assert(sizeof(struct pcnet_filter) <= NET_FILTER_STATE_BYTES, "it is a filter's state");

static bool in_logical_filter(const struct pcnet_filter *f, const u8 *frame)
{
    u32 hash = ~ethernet_fcs(frame, NET_MAC_BYTES) >> 26;
    return f->ladrf[hash / 16] >> hash % 16 & 1;
}

/* On the network thread. */
static bool accepts(const struct net_filter *filter, const u8 *frame, u32 bytes)
{
    const struct pcnet_filter *f = (const struct pcnet_filter *)filter->state;
    if (bytes < NET_HEADER_BYTES || bytes > RECEIVE_MOST - 1 - ETHERNET_FCS_BYTES) return false;
    if (f->mode & MODE_PROM) return true;
    if (net_is_broadcast(frame)) return !(f->mode & MODE_DRCVBC);
    if (net_is_multicast(frame)) return in_logical_filter(f, frame);
    return !(f->mode & MODE_DRCVPA) && !memcmp(frame, f->mac, NET_MAC_BYTES);
}

static struct net_filter filter_of(const struct pcnet *p)
{
    struct net_filter filter = {.accepts = accepts};
    struct pcnet_filter *f = (struct pcnet_filter *)filter.state;
    for (unsigned n = 0; n < 3; n++)
        pci_put16(f->mac + 2 * n, p->csr[CSR_PADR + n]);
    memcpy(f->ladrf, &p->csr[CSR_LADRF], sizeof(f->ladrf));
    f->mode = p->csr[CSR_MODE];
    return filter;
}

void pcnet_update_filter(struct pcnet *p)
{
    struct net_filter filter = filter_of(p);
    bool on = (p->csr[CSR_STATUS] & STATUS_RXON) && !(p->csr[CSR_MODE] & MODE_LOOP);
    net_fifo_receive(&p->fifo, on ? &filter : NULL);
}

/* --- descriptors --- */

static u32 next_of(const struct pcnet_ring *ring, u32 index)
{
    return index + 1 < ring->entries ? index + 1 : 0;
}

/* Are there buffers for this number of bytes? *never: not even the whole ring is large enough. */
static bool has_buffers(const struct pcnet *p, u32 bytes, bool *never)
{
    u32 index = p->receive.at, room = 0;
    for (u32 n = 0; n < p->receive.entries; n++, index = next_of(&p->receive, index)) {
        struct pcnet_descriptor d = pcnet_read_descriptor(p, &p->receive, index);
        if (!(d.flags & DESCRIPTOR_OWN)) return false;
        room += d.buffer_bytes;
        if (room >= bytes) return true;
    }
    *never = true;
    return false;
}

static u16 match_of(const struct pcnet *p, const u8 *frame)
{
    if (!pcnet_is_32_bit(p)) return 0;
    if (net_is_broadcast(frame)) return DESCRIPTOR_BAM;
    return net_is_multicast(frame) ? DESCRIPTOR_LAFM : DESCRIPTOR_PAM;
}

/* A frame of IEEE 802.3 has a length field. ASTRP_RCV removes padding and check sequence. */
static u32 stripped(const struct pcnet *p, const u8 *frame, u32 bytes)
{
    enum { PADDED = 46 };
    u32 length = (u32)(frame[12] << 8 | frame[13]);
    if (!(p->csr[CSR_FEATURES] & FEATURE_ASTRP_RCV) || length >= PADDED) return bytes;
    return NET_HEADER_BYTES + length < bytes ? NET_HEADER_BYTES + length : bytes;
}

static bool store(struct pcnet *p, const u8 *from, u32 used, bool *never)
{
    u8 frame[RECEIVE_MOST];
    memcpy(frame, from, used);
    pci_put32(frame + used, ethernet_fcs(from, used));
    u32 bytes = stripped(p, frame, used + ETHERNET_FCS_BYTES);
    *never = false;
    if (!has_buffers(p, bytes, never)) return false;
    for (u32 done = 0; done < bytes;) {
        struct pcnet_descriptor d = pcnet_read_descriptor(p, &p->receive, p->receive.at);
        u32 now = bytes - done < d.buffer_bytes ? bytes - done : d.buffer_bytes;
        bool first = done == 0, last = done + now == bytes;
        p->dma.write(p->dma.memory, d.gpa, frame + done, now);
        done += now;
        d.flags = (u16)((first ? DESCRIPTOR_STP | match_of(p, frame) : 0) | (last ? DESCRIPTOR_ENP : 0));
        d.message = last ? bytes : 0;
        pcnet_write_descriptor(p, &p->receive, p->receive.at, &d);
        p->receive.at = next_of(&p->receive, p->receive.at);
    }
    p->csr[CSR_RCVRC] = (u16)(p->receive.at - p->receive.entries);
    return true;
}

static u16 miss(struct pcnet *p)
{
    if (!++p->csr[CSR_MISSED]) p->csr[CSR_FEATURES] |= FEATURE_MFCO;
    return STATUS_MISS;
}

void pcnet_store_frames(struct pcnet *p)
{
    u16 causes = 0;
    const struct net_buffer *first;
    if (!pci_is_master(&p->pci) || !pcnet_runs(p, STATUS_RXON)) return;
    while ((first = net_fifo_first(&p->fifo)) != NULL) {
        bool never;
        if (store(p, net_fifo_bytes(first), first->used, &never)) {
            causes |= STATUS_RINT;
            p->retries = 0;
        } else if (never || p->retries >= RETRIES_MAX) {
            causes |= miss(p);
        } else {
            break;
        }
        net_fifo_drop(&p->fifo);
    }
    pcnet_arm_poll(p);
    if (causes) pcnet_cause(p, causes);
}

void pcnet_loop_back(struct pcnet *p, const u8 *frame, u32 bytes)
{
    struct net_filter filter = filter_of(p);
    bool never;
    if (!pcnet_runs(p, STATUS_RXON) || !accepts(&filter, frame, bytes)) return;
    pcnet_cause(p, store(p, frame, bytes, &never) ? STATUS_RINT : miss(p));
}
