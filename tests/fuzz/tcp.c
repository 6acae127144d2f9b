/*
 * Hostile guests and servers on the user network: TCP between the guest and libslirp, as net/tcp_windows.h changes it.
 * Input: operations, a byte each with its arguments behind it: segments of a guest and of a router that have the right
 * form and any numbers, frames of any form, and the clock. Whatever comes, what the module makes of a stream are
 * segments in good form that have the stream's bytes.
 */
#include "input.h"

#include "base/host_time.h"
#include "net/tcp_windows.h"

#include <stdlib.h>
#include <string.h>

enum { IP = NET_HEADER_BYTES, IP_BYTES = 20, TRANSPORT = IP + IP_BYTES, OPTIONS_MOST = 40 };
enum { GUEST_FIRST = 1000, ROUTER_FIRST = 0xffff8000u };
enum { RAW_PORT = 7 }; /* of frames of any form: nobody knows their bytes */

static u64 now_ns;
static struct tcp_windows *windows;
static u8 frame[NET_FRAME_MAX + TCP_WINDOWS_OPTION_BYTES];
static bool full; /* the guest has no room */

/* In place of the base library's. */
u64 host_now_ns(void)
{
    return now_ns;
}

void host_sleep_ns(u64 ns)
{
    now_ns += ns;
}

static u8 byte_at(u32 sequence)
{
    return (u8)(sequence * 7 + (sequence >> 8));
}

/* --- what the module makes --- */

static void expect_segment(const u8 *bytes, u32 count)
{
    struct frame_layout l;
    if (!frame_parse(bytes, count, &l) || l.bytes != count) abort();
    const u8 *tcp = bytes + l.transport;
    if (get_be16(tcp + TCP_SOURCE) == RAW_PORT || get_be16(tcp + TCP_DESTINATION) == RAW_PORT) return;
    if (checksum_add(checksum_pseudo(bytes, &l, count - l.transport), tcp, count - l.transport) != 0xffff)
        abort();
    for (u32 n = l.payload; n < l.bytes; n++)
        if (bytes[n] != byte_at(get_be32(tcp + TCP_SEQUENCE) + n - l.payload)) abort();
}

static void to_router(void *user, u8 *bytes, u32 count)
{
    expect_segment(bytes, count);
}

static bool to_guest(void *user, u8 *bytes, const struct frame_layout *l)
{
    expect_segment(bytes, l->bytes);
    return !full;
}

static void ack_to_guest(void *user, const u8 *bytes, u32 count)
{
    expect_segment(bytes, count);
}

/* --- what comes --- */

static void from_guest(const struct frame_layout *layout)
{
    if (layout->protocol == PROTOCOL_TCP && !layout->fragment) tcp_windows_from_guest(windows, frame, layout);
}

static void from_router(struct frame_layout *layout)
{
    if (layout->protocol != PROTOCOL_TCP || layout->fragment) return;
    tcp_windows_from_router(windows, frame, layout);
    if (layout->bytes > layout->payload) tcp_windows_send(windows, frame, layout, !full);
}

static void segment(struct input *in, bool guest)
{
    static const u16 payloads[] = {0, 1, 100, 1448, 2896, 32768, 60000};
    u8 flags = (u8)take(in, 1), choice = (u8)take(in, 1);
    u32 sequence = take(in, 3), ack = take(in, 3), window = take(in, 2);
    u32 options = choice >> 4 < 11 ? (choice >> 4) * 4u : 0,
        payload = payloads[(choice & 15) % ARRAY_SIZE(payloads)];
    u8 *tcp = frame + TRANSPORT;
    struct frame_layout layout;
    sequence += guest ? GUEST_FIRST : ROUTER_FIRST;
    memset(frame, 0, TRANSPORT + TCP_BYTES);
    put_be16(frame + 12, ETHERTYPE_IPV4);
    frame[IP] = 0x45;
    frame[IP + 9] = PROTOCOL_TCP;
    put_be16(frame + IP + 2, IP_BYTES + TCP_BYTES + options + payload);
    frame[IP + IPV4_SOURCE + (guest ? 0 : 4)] = 10; /* the guest's address */
    put_be16(tcp + TCP_SOURCE, guest ? 2 : 1);
    put_be16(tcp + TCP_DESTINATION, guest ? 1 : 2);
    put_be32(tcp + TCP_SEQUENCE, sequence);
    put_be32(tcp + TCP_ACK_NUMBER, ack + (guest ? ROUTER_FIRST : GUEST_FIRST));
    tcp[TCP_OFFSET] = (u8)((TCP_BYTES + options) << 2);
    tcp[TCP_FLAGS] = flags;
    put_be16(tcp + TCP_WINDOW, window);
    for (u32 n = 0; n < options; n++)
        tcp[TCP_BYTES + n] = (u8)take(in, 1);
    for (u32 n = 0; n < payload; n++)
        tcp[TCP_BYTES + options + n] = byte_at(sequence + n);
    if (!frame_parse(frame, TRANSPORT + TCP_BYTES + options + payload, &layout)) abort();
    frame_fill_tcp(frame, &layout);
    if (guest)
        from_guest(&layout);
    else
        from_router(&layout);
}

static void raw(struct input *in, bool guest)
{
    u32 bytes = take(in, 1);
    struct frame_layout layout;
    for (u32 n = 0; n < bytes; n++)
        frame[n] = (u8)take(in, 1);
    if (!frame_parse(frame, bytes, &layout) || layout.bytes < layout.transport + (u32)TCP_BYTES) return;
    put_be16(frame + layout.transport + TCP_SOURCE, RAW_PORT);
    if (guest)
        from_guest(&layout);
    else
        from_router(&layout);
}

/* Sleep until something is due, or for some milliseconds. */
static void pass_time(struct input *in)
{
    struct net_poll poll = {.wake_ns = now_ns + (u64)take(in, 2) * 1000000};
    tcp_windows_fill(windows, &poll);
    if (now_ns < poll.wake_ns) now_ns = poll.wake_ns;
    tcp_windows_ready(windows);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    static const struct tcp_windows_ops ops = {to_router, to_guest, ack_to_guest};
    enum { GUEST, ROUTER, RAW_GUEST, RAW_ROUTER, TIME, ROOM, OPERATIONS };
    struct input in = {data, data + bytes};
    now_ns = 1000000000;
    full = false;
    windows = tcp_windows_create(&ops, NULL);
    if (!windows) abort();
    while (in.at < in.end) {
        switch (take(&in, 1) % OPERATIONS) {
        case GUEST: segment(&in, true); break;
        case ROUTER: segment(&in, false); break;
        case RAW_GUEST: raw(&in, true); break;
        case RAW_ROUTER: raw(&in, false); break;
        case TIME: pass_time(&in); break;
        case ROOM: full = !full; break;
        }
        tcp_windows_flush(windows);
        tcp_windows_end(windows);
    }
    tcp_windows_destroy(windows);
    return 0;
}
