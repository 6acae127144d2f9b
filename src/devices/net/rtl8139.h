/*
 * Realtek RTL8139C+ Fast Ethernet controller, the card that QEMU calls rtl8139. Sources are Realtek's datasheets
 * "RTL8139C(L)" (rev. 1.4; C below) and "RTL8139C+" (rev. 1.6; C+ below) and IEEE 802.3 clause 22.
 *
 *   rtl8139.c           registers, interrupts, timer, reset, the PCI device
 *   rtl8139_config.c    configuration registers, EEPROM, transceiver
 *   rtl8139_transmit.c  four buffers (C mode) or rings of descriptors (C+ mode)
 *   rtl8139_receive.c   one ring of bytes (C mode) or a ring of descriptors (C+ mode), address filters
 *
 * The driver chooses the mode, for each direction, in the C+ command register (E0h). The RTL8139C is the chip without
 * C+ mode: drivers tell the two apart by the PCI revision.
 *
 * Unlike the chip's, this model's memory BAR decodes a page, in which the 256 bytes of registers repeat.
 */
#ifndef RINGER_DEVICES_NET_RTL8139_H
#define RINGER_DEVICES_NET_RTL8139_H

#include "base/net.h"
#include "devices/pci/pci_bus.h"
#include "eeprom_93c46.h"
#include "net_fifo.h"

#define RTL8139_REGISTER_BYTES 256

/* The counters that DTCCR dumps (C+ 6.4). */
struct rtl8139_tally {
    u64 sent, received, received_unicast, received_broadcast;
    u32 received_multicast;
    u16 missed;
};

/* A ring of transmit descriptors (C+ mode). */
struct rtl8139_ring {
    u32 at;     /* the descriptor that is next */
    u32 bytes;  /* of the frame that is being gathered in the FIFO */
    u32 first;  /* the command bits of its first descriptor */
    u32 vlan;   /* and its VLAN bits */
    bool begun; /* there is such a frame */
    bool bad;   /* it is too long */
};

struct rtl8139 {
    struct pci_device pci; /* first */
    struct dma dma;
    struct net_fifo fifo;
    bool plus; /* there is a C+ mode */
    u8 mac[NET_MAC_BYTES];
    struct eeprom_93c46 eeprom;
    u8 reg[RTL8139_REGISTER_BYTES];
    struct timer timer;    /* TimerInt */
    u64 counting_since_ns; /* TCTR was 0 */
    struct rtl8139_tally tally;

    unsigned transmit_at;             /* C mode: the buffer that is next */
    struct rtl8139_ring normal, high; /* C+ mode */
    bool in_high; /* the FIFO has a piece of a frame of `high`, or, if that has not begun, of `normal` */

    u32 receive_at;     /* C+ mode: the descriptor that is next */
    struct timer retry; /* look for free descriptors again */
    unsigned retries;
};

struct clock;

/* plus: an RTL8139C+, or else an RTL8139C. The cable must outlive the card. Returns false: out of memory. */
bool rtl8139_init(struct rtl8139 *rtl, struct pci_bus *bus, const struct dma *dma, struct clock *clock,
                  u8 devfn, bool plus, const u8 mac[NET_MAC_BYTES], struct net_cable *cable);
void rtl8139_hard_reset(struct rtl8139 *rtl);
void rtl8139_destroy(struct rtl8139 *rtl);

#endif
