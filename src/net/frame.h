/*
 * Ethernet frames: parsing as far as offloads need it, checksums, segmentation, fragments.
 *
 * Everything here takes frames that a guest or a peer may have made up: no length in a header is trusted.
 */
#ifndef RINGER_NET_FRAME_H
#define RINGER_NET_FRAME_H

#include "base/big_endian.h"
#include "base/checksum.h"
#include "base/net.h"

/* The usual largest IP packet on the wire, and the frame around it. */
#define NET_MTU       1500u
#define NET_FRAME_MTU (NET_MTU + NET_HEADER_BYTES)

enum { ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_ARP = 0x0806, ETHERTYPE_VLAN = 0x8100, ETHERTYPE_IPV6 = 0x86dd };
enum { PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

/* The header of TCP (RFC 9293 3.1), and where IPv4 has its addresses, source first. */
enum {
    TCP_SOURCE = 0,
    TCP_DESTINATION = 2,
    TCP_SEQUENCE = 4,
    TCP_ACK_NUMBER = 8,
    TCP_OFFSET = 12,
    TCP_FLAGS = 13,
    TCP_WINDOW = 14,
    TCP_CHECKSUM = 16,
    TCP_BYTES = 20
};
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 0x10, TCP_CWR = 0x80 };
enum {
    TCP_OPTION_END = 0,
    TCP_OPTION_NOP = 1,
    TCP_OPTION_MSS = 2,
    TCP_OPTION_SCALE = 3,
    TCP_OPTION_SACK_PERMITTED = 4,
    TCP_OPTION_SACK = 5
};
enum { IPV4_SOURCE = 12 };

/* Where things are in a frame, as offsets from its beginning. */
struct frame_layout {
    u32 bytes;     /* of the frame as its IP header has it: without padding behind it */
    u16 ip;        /* the IP header */
    u8 version;    /* 4 or 6 */
    u8 protocol;   /* PROTOCOL_* */
    u16 transport; /* its header */
    u16 payload;   /* what is behind that: TCP and UDP only, else = transport */
    bool fragment; /* of a larger packet: the transport's header may not be there */
};

/* False: no IP packet, or a broken one. */
bool frame_parse(const u8 *frame, u32 bytes, struct frame_layout *layout);
/* Is it a TCP segment that does nothing but acknowledge? */
bool frame_is_acknowledgement(const u8 *frame, u32 bytes);

/* Sum of the pseudo header (RFC 793, RFC 8200 8.1) for `length` bytes of transport header and payload. */
u32 checksum_pseudo(const u8 *frame, const struct frame_layout *layout, u32 length);

/* Fill in the checksum of a TCP segment. */
void frame_fill_tcp(u8 *frame, const struct frame_layout *layout);
/* The option of that kind, with a length of `length` bytes, in a TCP header; NULL: there is none. */
u8 *frame_tcp_option(u8 *frame, const struct frame_layout *layout, u8 kind, u8 length);
/* The packet has `bytes` bytes, from the beginning of the frame: change its IP header. */
void frame_put_ip_length(u8 *frame, const struct frame_layout *layout, u32 bytes);

/* Leave the segmentation of a large TCP frame to the card: fills `offload`, and the part of the checksum that it
 * expects. The lengths in the headers are those of the whole frame. */
void frame_leave_segments(u8 *frame, const struct frame_layout *layout, u32 segment_bytes,
                          struct net_offload *offload);

/* Fill the checksum that is left to be done. Returns false where it would lie outside. */
bool frame_fill_checksum(u8 *frame, u32 bytes, const struct net_offload *offload);

/* Cut what is larger than the wire's MTU into frames that are not, with all checksums filled, and give each
 * to emit(). A frame that is small enough is emitted as it is, but for its checksum. `frame` is changed.
 * Returns false when the frame contradicts its offload; nothing was emitted then. */
typedef void frame_emit(void *to, const u8 *frame, u32 bytes);
bool frame_segment(u8 *frame, u32 bytes, const struct net_offload *offload, frame_emit *emit, void *to);

/* Cut a packet that is larger than the MTU into IP fragments (RFC 791 3.2, RFC 8200 4.5). False: it must not
 * be, or cannot. */
bool frame_fragment(u8 *frame, u32 bytes, frame_emit *emit, void *to);

#endif
