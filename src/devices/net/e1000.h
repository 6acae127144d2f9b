/*
 * Intel 82540EM gigabit Ethernet controller, the card that QEMU calls e1000. The source is Intel's "PCI/PCI-X Family of
 * Gigabit Ethernet Controllers Software Developer's Manual" (SDM below), 317453; section numbers are of revision 4.0.
 *
 *   e1000.c           registers, interrupts, reset, the PCI device
 *   e1000_phy.c       the 88E1011 transceiver behind MDIC, and the EEPROM
 *   e1000_transmit.c  descriptors to frames
 *   e1000_receive.c   frames to descriptors, address filters
 *
 * The cable makes the segments and checksums of sent frames. Received frames are not merged, because the chip cannot.
 */
#ifndef RINGER_DEVICES_NET_E1000_H
#define RINGER_DEVICES_NET_E1000_H

#include "base/net.h"
#include "devices/pci/pci_bus.h"
#include "eeprom_93c46.h"

#define E1000_REGISTER_BYTES 0x20000u
#define E1000_PHY_REGISTERS  32
#define E1000_FRAMES         256 /* being sent */
#define E1000_BUFFERS        256 /* offered at a time */
#define E1000_PARTS          80  /* pieces of memory of one frame */
#define E1000_HEADER_BYTES   256 /* the first bytes of a frame, copied so that they can be changed */

struct e1000;

struct e1000_frame {
    struct net_frame frame; /* first */
    struct e1000 *e1000;
    u32 first, descriptors; /* of the ring */
    u32 part_bytes;         /* bytes of all parts, before headers were copied */
    struct iovec part[E1000_PARTS + 1];
    u8 header[E1000_HEADER_BYTES + NET_VLAN_BYTES];
};

struct e1000_buffer {
    struct net_buffer buffer; /* first */
    struct iovec part;
    u64 gpa;
    u32 index; /* of the ring */
};

/* What a context descriptor sets (SDM 3.3.5, 3.3.6). */
struct e1000_context {
    u8 ip_start, ip_offset, tcp_start, tcp_offset, header_bytes;
    u16 ip_end, tcp_end, segment_bytes;
    u32 payload_bytes;
    bool tcp, ipv4;
};

struct e1000 {
    struct pci_device pci; /* first */
    struct dma dma;
    struct net_cable *cable;
    u8 mac[NET_MAC_BYTES];
    u32 *reg; /* E1000_REGISTER_BYTES of them */
    u32 io_address;
    u16 phy[E1000_PHY_REGISTERS];
    struct eeprom_93c46 eeprom;
    u32 eecd; /* as the driver wrote it */

    /* interrupts */
    struct timer throttle, receive_delay, receive_limit, transmit_delay, transmit_limit;
    u64 throttled_until_ns;

    /* transmitting */
    u32 fetched;    /* descriptors up to here have been read; the head follows when their frames are sent */
    u32 frame_from; /* the first descriptor of the frame that is being read */
    bool in_frame;
    u8 options;  /* POPTS of its first descriptor */
    u32 command; /* of its first descriptor */
    u16 vlan;
    struct e1000_context context, segmenting;
    struct e1000_frame *frames, *building;
    struct net_frame *free_frames;

    /* receiving */
    u32 offered; /* descriptors up to here are with the cable */
    struct e1000_buffer *buffers;
    struct net_buffer *free_buffers;
};

struct clock;

/* The cable must outlive the card. Returns false: out of memory. */
bool e1000_init(struct e1000 *e1000, struct pci_bus *bus, const struct dma *dma, struct clock *clock,
                u8 devfn, const u8 mac[NET_MAC_BYTES], struct net_cable *cable);
void e1000_hard_reset(struct e1000 *e1000);
void e1000_destroy(struct e1000 *e1000);

#endif
