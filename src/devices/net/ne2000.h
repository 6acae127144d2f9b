/*
 * NE2000: National Semiconductor's DP8390D network interface controller with 16 KB of memory of its own behind a port,
 * as Novell's card wired it to the ISA bus and Realtek's RTL8029AS put it on the PCI bus. Sources: the DP8390D
 * datasheet (National Semiconductor, 1995; "DP" below, with its chapters), the NE2000 schematic's I/O map, and
 * Realtek's RTL8029AS datasheet ("RTL").
 *
 *   port  +00..0F  registers of the DP8390, in up to four pages (CR bits 7-6)
 *         +10..17  data: remote DMA
 *         +18..1F  a read resets the chip
 *
 *   the chip's memory   0000-001F  address PROM; each byte twice, as an 8-bit card's bus has it
 *                       4000-7FFF  packets: 64 pages of 256 bytes
 *
 * A driver moves packets between this memory and its own by reading and writing the data port (remote DMA); the DP8390
 * moves them between the memory and the wire (local DMA).
 */
#ifndef RINGER_DEVICES_NET_NE2000_H
#define RINGER_DEVICES_NET_NE2000_H

#include "base/device.h"
#include "net_fifo.h"

#define NE2000_IO_BYTES     32
#define NE2000_MEMORY_START 0x4000u
#define NE2000_MEMORY_END   0x8000u
#define NE2000_PROM_BYTES   32

struct ne2000 {
    struct net_fifo fifo;
    bool rtl8029; /* with Realtek's registers */
    void (*interrupt)(void *owner, bool level);
    void *owner;
    u8 prom[NE2000_PROM_BYTES];
    u8 memory[NE2000_MEMORY_END - NE2000_MEMORY_START];

    u8 command;
    u8 page_start, page_stop, boundary, current; /* the receive ring, in pages */
    u8 transmit_page, transmit_status;
    u8 interrupts, interrupt_mask;
    u8 data_configuration, transmit_configuration, receive_configuration, receive_status;
    u8 physical[NET_MAC_BYTES], multicast[8];
    u8 missed;
    u8 config[16]; /* page 3 (RTL) */
    u16 transmit_bytes, remote_address, remote_bytes;
    bool transmit_waits; /* for room in the FIFO */
};

extern const struct io_ops ne2000_ops;
extern const struct io_string_ops ne2000_string_ops; /* of the data port */

/* The cable must outlive the card. `interrupt`: the chip's interrupt pin, with `owner`. Returns false: out of
 * memory. */
bool ne2000_init(struct ne2000 *ne, bool rtl8029, void (*interrupt)(void *owner, bool level), void *owner,
                 const u8 mac[NET_MAC_BYTES], struct net_cable *cable);
void ne2000_hard_reset(struct ne2000 *ne);
void ne2000_destroy(struct ne2000 *ne);

#endif
