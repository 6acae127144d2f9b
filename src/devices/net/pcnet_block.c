/*
 * The initialization block and descriptors in the four software styles (BCR20):
 *
 *   style            initialization block                          descriptors, 8 or 16 bytes
 *   0  LANCE         16-bit: MODE, PADR, LADRF, RDRA|RLEN, ...     16-bit: address, flags|address, BCNT, MCNT or errors
 *   1  ILACC         32-bit: MODE|RLEN|TLEN, PADR, LADRF, ...      32-bit: address, flags|BCNT, MCNT or errors
 *   2  PCnet-PCI     as 1                                          as 1
 *   3  PCnet-PCI II  as 1                                          32-bit: MCNT or errors, flags|BCNT, address
 *
 * Lengths of rings are given as powers of two, lengths of buffers in two's complement, of 12 bits.
 */
#include "pcnet_private.h"

#include <string.h>

enum { STYLE_PCI_II = 3 };
enum { SHORT_BYTES = 8, LONG_BYTES = 16 };

static u32 style(const struct pcnet *p)
{
    return p->bcr[BCR_STYLE] & 0xff;
}

/* --- the initialization block --- */

static void put_csr32(struct pcnet *p, unsigned n, u32 value)
{
    p->csr[n] = (u16)value;
    p->csr[n + 1] = (u16)(value >> 16);
}

static void set_ring(struct pcnet *p, unsigned base, unsigned length, unsigned counter, u32 gpa, unsigned log)
{
    u16 entries = (u16)(1u << log);
    put_csr32(p, base, gpa);
    p->csr[length] = p->csr[counter] = (u16)-entries;
}

void pcnet_read_block(struct pcnet *p)
{
    u8 block[28];
    unsigned receive_log, transmit_log;
    u32 receive, transmit, high = pcnet_is_32_bit(p) ? 0 : (u32)(p->csr[CSR_IADR + 1] & 0xff00) << 16;
    u64 gpa = pcnet_is_32_bit(p) ? pcnet_csr32(p, CSR_IADR) : (pcnet_csr32(p, CSR_IADR) & 0xffffff) | high;
    const u8 *address, *filter;
    p->dma.read(p->dma.memory, gpa, block, sizeof(block));
    p->csr[CSR_MODE] = pci_get16(block);
    if (pcnet_is_32_bit(p)) {
        receive_log = block[2] >> 4;
        transmit_log = block[3] >> 4;
        address = block + 4;
        filter = block + 12;
        receive = pci_get32(block + 20);
        transmit = pci_get32(block + 24);
        if (receive_log > 9) receive_log = 9;
        if (transmit_log > 9) transmit_log = 9;
    } else {
        receive_log = block[19] >> 5;
        transmit_log = block[23] >> 5;
        address = block + 2;
        filter = block + 8;
        receive = (pci_get32(block + 16) & 0xffffff) | high;
        transmit = (pci_get32(block + 20) & 0xffffff) | high;
    }
    for (unsigned n = 0; n < 3; n++)
        p->csr[CSR_PADR + n] = pci_get16(address + 2 * n);
    for (unsigned n = 0; n < 4; n++)
        p->csr[CSR_LADRF + n] = pci_get16(filter + 2 * n);
    p->csr[CSR_RING_LENGTHS] = (u16)(transmit_log << 12 | receive_log << 8);
    u32 align = pcnet_is_32_bit(p) ? LONG_BYTES - 1 : SHORT_BYTES - 1;
    set_ring(p, CSR_BADR, CSR_RCVRL, CSR_RCVRC, receive & ~align, receive_log);
    set_ring(p, CSR_BADX, CSR_XMTRL, CSR_XMTRC, transmit & ~align, transmit_log);
}

/* --- descriptors --- */

static u64 address_of(const struct pcnet *p, const struct pcnet_ring *ring, u32 index)
{
    return ring->base + (u64)index * (pcnet_is_32_bit(p) ? LONG_BYTES : SHORT_BYTES);
}

struct pcnet_descriptor pcnet_read_descriptor(const struct pcnet *p, const struct pcnet_ring *ring, u32 index)
{
    u8 raw[LONG_BYTES];
    struct pcnet_descriptor d;
    p->dma.read(p->dma.memory, address_of(p, ring, index), raw,
                pcnet_is_32_bit(p) ? LONG_BYTES : SHORT_BYTES);
    u32 count;
    if (pcnet_is_32_bit(p)) {
        bool swapped = style(p) == STYLE_PCI_II;
        d.gpa = pci_get32(raw + (swapped ? 8 : 0));
        d.message = pci_get32(raw + (swapped ? 0 : 8));
        d.flags = pci_get16(raw + 6);
        count = pci_get16(raw + 4);
    } else {
        d.gpa = (pci_get32(raw) & 0xffffff) | (u32)(p->csr[CSR_IADR + 1] & 0xff00) << 16;
        d.message = pci_get16(raw + 6);
        d.flags = (u16)(raw[3] << 8);
        count = pci_get16(raw + 4);
    }
    d.buffer_bytes = 4096 - (count & 0xfff);
    return d;
}

void pcnet_write_descriptor(struct pcnet *p, const struct pcnet_ring *ring, u32 index,
                            const struct pcnet_descriptor *d)
{
    u64 gpa = address_of(p, ring, index);
    u8 raw[4];
    if (pcnet_is_32_bit(p)) {
        pci_put32(raw, d->message);
        p->dma.write(p->dma.memory, gpa + (style(p) == STYLE_PCI_II ? 0 : 8), raw, 4);
        pci_put16(raw, d->flags);
        p->dma.write(p->dma.memory, gpa + 6, raw, 2);
        return;
    }
    /* Errors of transmit descriptors are in the upper half of the 32-bit styles' word; lengths of received frames in
     * the lower. */
    pci_put16(raw, (u16)(d->message | d->message >> 16));
    p->dma.write(p->dma.memory, gpa + 6, raw, 2);
    raw[0] = (u8)(d->flags >> 8);
    p->dma.write(p->dma.memory, gpa + 3, raw, 1);
}
