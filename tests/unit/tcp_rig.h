/*
 * Packets of one connection between a guest, which scales its windows, and a router that does not; the module between
 * them has their sequence numbers from the SYNs on.
 */
#ifndef RINGER_TESTS_UNIT_TCP_RIG_H
#define RINGER_TESTS_UNIT_TCP_RIG_H

#include "check.h"
#include "net/tcp_windows.h"

#include <stdlib.h>
#include <string.h>

enum { ETHERNET = 14, IPV4 = 20, TRANSPORT = ETHERNET + IPV4, LARGE = 32768, SHIFT = 7 };
enum { GUEST_ISS = 1000, ROUTER_ISS = 0xffff8000u }; /* the router's numbers wrap around */
/* The router's first byte has this number. */
#define FIRST (ROUTER_ISS + 1)

static struct tcp_windows *windows;
static u16 guest_port = 0x0102;
static u8 frame[NET_FRAME_MAX + TCP_WINDOWS_OPTION_BYTES];
static struct frame_layout layout;
/* Options of a SYN, with TCP_OPTION_END behind them where there are fewer bytes. */
enum { OPTION_BYTES = 12 };
static const char scale[OPTION_BYTES] = {TCP_OPTION_NOP, TCP_OPTION_SCALE, 3, SHIFT};
static const char scale_sack[OPTION_BYTES] = {
    TCP_OPTION_NOP, TCP_OPTION_SCALE, 3, SHIFT, TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_SACK_PERMITTED, 2};
static const char segment_size[OPTION_BYTES] = {TCP_OPTION_MSS, 4, 5, (char)0xb4};

static inline bool checksum_is_good(const u8 *bytes, const struct frame_layout *l)
{
    u32 length = l->bytes - l->transport;
    return checksum_add(checksum_pseudo(bytes, l, length), bytes + l->transport, length) == 0xffff;
}

static inline void make(bool from_guest, u8 flags, u32 sequence, u32 ack, u32 window, u32 payload,
                        const char *options)
{
    u32 option_bytes = options ? OPTION_BYTES : 0, header = TCP_BYTES + option_bytes,
        bytes = TRANSPORT + header + payload;
    u8 *ip = frame + ETHERNET, *tcp = frame + TRANSPORT;
    memset(frame, 0, bytes);
    put_be16(frame + 12, ETHERTYPE_IPV4);
    ip[0] = 0x45;
    ip[9] = PROTOCOL_TCP;
    put_be16(ip + 2, bytes - ETHERNET);
    memcpy(ip + 12, from_guest ? "\x0a\0\2\17\x0a\0\2\2" : "\x0a\0\2\2\x0a\0\2\17", 8);
    put_be16(tcp, from_guest ? guest_port : 0x0304);
    put_be16(tcp + 2, from_guest ? 0x0304 : guest_port);
    put_be32(tcp + TCP_SEQUENCE, sequence);
    put_be32(tcp + TCP_ACK_NUMBER, ack);
    tcp[TCP_OFFSET] = (u8)(header / 4 << 4);
    tcp[TCP_FLAGS] = flags;
    put_be16(tcp + TCP_WINDOW, window);
    if (options) memcpy(tcp + TCP_BYTES, options, OPTION_BYTES);
    CHECK(frame_parse(frame, bytes, &layout));
    frame_fill_tcp(frame, &layout);
}

/* A packet of the guest. Returns whether the router sees it. */
static inline bool guest_says(u8 flags, u32 sequence, u32 ack, u32 window, u32 payload, const char *options)
{
    make(true, flags, sequence, ack, window, payload, options);
    bool seen = tcp_windows_from_guest(windows, frame, &layout);
    CHECK(!seen || checksum_is_good(frame, &layout));
    return seen;
}

static inline bool guest(u8 flags, u32 sequence, u32 ack, u32 window, u32 payload)
{
    return guest_says(flags, sequence, ack, window, payload, NULL);
}

static inline void router(u8 flags, u32 sequence, u32 payload, bool has_room)
{
    make(false, flags, sequence, GUEST_ISS + 1, 65535, payload, NULL);
    tcp_windows_from_router(windows, frame, &layout);
    if (payload) tcp_windows_send(windows, frame, &layout, has_room);
}

static inline u32 ack_of(const u8 *bytes)
{
    return get_be32(bytes + TRANSPORT + TCP_ACK_NUMBER);
}

static inline u32 window_of(const u8 *bytes)
{
    return get_be16(bytes + TRANSPORT + TCP_WINDOW);
}

/* The SYNs of both sides. */
static inline void shake_hands_too(const char *options, u32 router_window)
{
    make(true, TCP_SYN, GUEST_ISS, 0, 64240, 0, options);
    CHECK(tcp_windows_from_guest(windows, frame, &layout));
    make(false, TCP_SYN | TCP_ACK, ROUTER_ISS, GUEST_ISS + 1, router_window, 0, segment_size);
    tcp_windows_from_router(windows, frame, &layout);
    CHECK(checksum_is_good(frame, &layout));
}

/* The same of the first connection. */
static inline void shake_hands(const struct tcp_windows_ops *ops, const char *options, u32 router_window)
{
    tcp_windows_destroy(windows);
    windows = tcp_windows_create(ops, NULL);
    CHECK(windows != NULL);
    shake_hands_too(options, router_window);
}

#endif
