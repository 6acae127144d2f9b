/*
 * AMD Am79C970A PCnet-PCI II, the card of VMware's first products and QEMU's pcnet. The source is AMD's datasheet
 * "Am79C970A PCnet-PCI II Single-Chip Full-Duplex Ethernet Controller" (19436); comments name its chapters.
 *
 *   pcnet.c           I/O resources, control and status registers (CSR), bus configuration registers (BCR), interrupts,
 *                     the PCI device
 *   pcnet_block.c     the initialization block, addresses and layouts of descriptors in the four software styles
 *   pcnet_transmit.c  the transmit ring
 *   pcnet_receive.c   the receive ring, address filters
 *
 * The chip polls the rings. This model stops polling the transmit ring when a driver has used TDMD, which announces
 * descriptors, so that an idle guest sleeps.
 *
 * Unlike the chip's, this model's memory BAR decodes a page, in which the 32 bytes of I/O resources repeat.
 */
#ifndef RINGER_DEVICES_NET_PCNET_H
#define RINGER_DEVICES_NET_PCNET_H

#include "base/net.h"
#include "devices/pci/pci_bus.h"
#include "net_fifo.h"

#define PCNET_CSRS        128
#define PCNET_BCRS        32
#define PCNET_APROM_BYTES 16

/* A ring of descriptors. Those of a ring are numbered from 0; CSRs count the other way. */
struct pcnet_ring {
    u32 base;
    u32 entries;
    u32 at;
};

struct pcnet {
    struct pci_device pci; /* first */
    struct dma dma;
    struct net_fifo fifo;
    u8 mac[NET_MAC_BYTES];
    u8 aprom[PCNET_APROM_BYTES];
    u16 csr[PCNET_CSRS];
    u16 bcr[PCNET_BCRS];
    u16 rap; /* the register that is addressed */
    struct pcnet_ring receive, transmit;
    struct timer poll;
    u64 poll_ns;      /* until the next poll of the transmit ring */
    unsigned retries; /* of the received frame that waits first */

    /* the frame that is being gathered in the FIFO */
    bool gathering, too_long;
    u32 bytes;
};

struct clock;

/* The cable must outlive the card. Returns false: out of memory. */
bool pcnet_init(struct pcnet *pcnet, struct pci_bus *bus, const struct dma *dma, struct clock *clock,
                u8 devfn, const u8 mac[NET_MAC_BYTES], struct net_cable *cable);
void pcnet_hard_reset(struct pcnet *pcnet);
void pcnet_destroy(struct pcnet *pcnet);

#endif
