/*
 * The transmit ring ("Transmit Descriptor Table Entry"): a frame is gathered in the FIFO from the descriptor with STP
 * to the one with ENP. Each descriptor is handed back as soon as its buffer is in the FIFO.
 */
#include "pcnet_private.h"

#include <string.h>

enum { LONGEST = 1518 + NET_VLAN_BYTES - ETHERNET_FCS_BYTES };

static u32 next_of(const struct pcnet *p)
{
    return p->transmit.at + 1 < p->transmit.entries ? p->transmit.at + 1 : 0;
}

static void advance(struct pcnet *p)
{
    p->transmit.at = next_of(p);
    p->csr[CSR_XMTRC] = (u16)(p->transmit.at - p->transmit.entries);
}

/* The frame in the FIFO is whole. */
static void finish_frame(struct pcnet *p, u8 *frame, bool adds_fcs)
{
    u32 bytes = p->bytes;
    p->gathering = false;
    if (p->too_long) return;
    /* Without a check sequence of its own the chip sends the driver's, which the cable does not carry. */
    if ((p->csr[CSR_MODE] & MODE_DXMTFCS) && !adds_fcs)
        bytes = bytes > ETHERNET_FCS_BYTES ? bytes - ETHERNET_FCS_BYTES : 0;
    if (bytes < NET_HEADER_BYTES) return;
    if ((p->csr[CSR_FEATURES] & FEATURE_APAD_XMT) && bytes < ETHERNET_LEAST) {
        memset(frame + bytes, 0, ETHERNET_LEAST - bytes);
        bytes = ETHERNET_LEAST;
    }
    p->csr[CSR_FEATURES] |= FEATURE_TXSTRT;
    if (p->csr[CSR_MODE] & MODE_LOOP)
        pcnet_loop_back(p, frame, bytes);
    else
        net_fifo_send(&p->fifo, bytes, NULL);
}

/* The driver has not handed over the rest of the frame, so the transmitter runs out of data ("Transmit Underflow"). */
static void underflow(struct pcnet *p, struct pcnet_descriptor *d, u16 *causes)
{
    p->gathering = false;
    d->flags = (u16)((d->flags & ~DESCRIPTOR_OWN) | DESCRIPTOR_ERR);
    d->message = MESSAGE_BUFF | MESSAGE_UFLO;
    pcnet_write_descriptor(p, &p->transmit, p->transmit.at, d);
    advance(p);
    if (!(p->csr[CSR_MASKS] & MASKS_DXSUFLO)) p->csr[CSR_STATUS] &= (u16)~STATUS_TXON;
    *causes |= STATUS_TINT;
}

static bool wants_interrupt(const struct pcnet *p, u16 flags)
{
    u16 extended = p->csr[CSR_EXTENDED];
    if (extended & EXTENDED_TOKINTD) return false;
    return !(extended & EXTENDED_LTINTEN) || (flags & DESCRIPTOR_LTINT);
}

/* The next descriptor. Returns false: it is the driver's, or the FIFO is full. */
static bool transmit_descriptor(struct pcnet *p, u16 *causes)
{
    u8 *frame = net_fifo_next(&p->fifo);
    if (!frame) return false;
    struct pcnet_descriptor d = pcnet_read_descriptor(p, &p->transmit, p->transmit.at);
    if (!(d.flags & DESCRIPTOR_OWN)) return false;
    if (d.flags & DESCRIPTOR_STP) {
        p->gathering = true;
        p->too_long = false;
        p->bytes = 0;
    }
    u16 flags = d.flags;
    if (p->gathering) {
        if (!(flags & DESCRIPTOR_ENP) &&
            !(pcnet_read_descriptor(p, &p->transmit, next_of(p)).flags & DESCRIPTOR_OWN)) {
            underflow(p, &d, causes);
            return pcnet_runs(p, STATUS_TXON);
        }
        p->too_long |= p->bytes + d.buffer_bytes > NET_FRAME_MAX;
        if (!p->too_long) {
            p->dma.read(p->dma.memory, d.gpa, frame + p->bytes, d.buffer_bytes);
            p->bytes += d.buffer_bytes;
        }
        if (flags & DESCRIPTOR_ENP) {
            if (p->too_long || p->bytes > LONGEST) *causes |= STATUS_BABL;
            finish_frame(p, frame, flags & DESCRIPTOR_ADD_FCS);
            if (wants_interrupt(p, flags)) *causes |= STATUS_TINT;
        }
    }
    /* A descriptor outside of any frame is handed back as it is. */
    d.flags &= (u16) ~(DESCRIPTOR_OWN | DESCRIPTOR_ERR);
    d.message = 0;
    pcnet_write_descriptor(p, &p->transmit, p->transmit.at, &d);
    advance(p);
    return true;
}

bool pcnet_transmit(struct pcnet *p)
{
    u16 causes = 0;
    bool any = false;
    if (!pci_is_master(&p->pci)) return false;
    /* One round: descriptors that overlap with buffers could be handed over again and again. */
    for (u32 left = p->transmit.entries; left && pcnet_runs(p, STATUS_TXON); left--) {
        if (!transmit_descriptor(p, &causes)) break;
        any = true;
    }
    if (any) net_fifo_flush(&p->fifo);
    if (causes) pcnet_cause(p, causes);
    return any;
}
