/*
 * The frame check sequence of Ethernet controllers (IEEE 802.3, 3.2.9), which is also the hash of their multicast
 * filters.
 */
#ifndef RINGER_DEVICES_NET_ETHERNET_H
#define RINGER_DEVICES_NET_ETHERNET_H

#include "base/net.h"

#define ETHERNET_FCS_BYTES 4
#define ETHERNET_LEAST     60   /* bytes of the shortest frame, without its check sequence */
#define ETHERNET_MOST      1514 /* of the longest one without a VLAN tag */

/* The check sequence of a frame, as it is stored behind the frame: low byte first. */
u32 ethernet_fcs(const u8 *frame, u32 bytes);
/* Of a frame in pieces: `fcs` is that of the pieces in front, 0 at first. */
u32 ethernet_fcs_more(u32 fcs, const u8 *piece, u32 bytes);

/* The register of the CRC, high bit first, after an address: chips take their filter's index from its upper bits. */
u32 ethernet_hash(const u8 mac[NET_MAC_BYTES]);

#endif
