#include "tap.h"

#include "base/host_path.h"
#include "cable.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define PARTS_MAX 1024 /* IOV_MAX */

struct tap {
    struct net_backend backend; /* first */
    int fd, index;
    bool has_header, blocked, full;
    u8 frame[NET_FRAME_MAX];
};

static void write_whole(void *to, const u8 *frame, u32 bytes)
{
    struct tap *tap = to;
    if (write(tap->fd, frame, bytes) < 0) { /* lost, as on a wire that is busy */
    }
}

static enum net_sent tap_send(struct net_backend *backend, const struct net_frame *frame)
{
    struct tap *tap = container_of(backend, struct tap, backend);
    struct iovec part[PARTS_MAX] = {{(void *)(uintptr_t)&frame->offload, sizeof(frame->offload)}};
    if (!frame->bytes) return NET_SENT;
    if (!tap->has_header || frame->part_count >= PARTS_MAX) {
        u32 bytes = net_gather(frame, tap->frame);
        if (bytes) frame_segment(tap->frame, bytes, &frame->offload, write_whole, tap);
        return NET_SENT;
    }
    memcpy(part + 1, frame->part, frame->part_count * sizeof(part[0]));
    if (writev(tap->fd, part, (int)frame->part_count + 1) < 0 && errno == EAGAIN) {
        tap->blocked = true;
        return NET_BLOCKED;
    }
    return NET_SENT;
}

/* The most frames of a round, so that sending has its turn. */
#define ROUND_FRAMES 64

static void receive(struct tap *tap)
{
    for (unsigned n = 0; n < ROUND_FRAMES; n++) {
        struct net_offload offload = {0};
        struct iovec part[2] = {{&offload, sizeof(offload)}, {tap->frame, sizeof(tap->frame)}};
        if (tap->backend.end && !net_has_room(tap->backend.end)) {
            tap->full = true;
            return;
        }
        ssize_t got = readv(tap->fd, tap->has_header ? part : part + 1, tap->has_header ? 2 : 1);
        u32 header = tap->has_header ? sizeof(offload) : 0;
        if (got <= (ssize_t)header) return;
        if (tap->backend.end) net_receive(tap->backend.end, tap->frame, (u32)got - header, &offload);
    }
}

static void room(struct net_backend *backend)
{
    container_of(backend, struct tap, backend)->full = false;
}

/* What the card's driver takes, the host need not do. */
static void negotiated(struct net_backend *backend)
{
    struct tap *tap = container_of(backend, struct tap, backend);
    u32 takes = backend->end->card_takes;
    unsigned flags = 0;
    if (!tap->has_header) return;
    if (takes & NET_TAKES_CHECKSUM) {
        flags = TUN_F_CSUM;
        if (takes & NET_TAKES_TCP4) flags |= TUN_F_TSO4;
        if (takes & NET_TAKES_TCP6) flags |= TUN_F_TSO6;
        if ((takes & NET_TAKES_ECN) && (flags & (TUN_F_TSO4 | TUN_F_TSO6))) flags |= TUN_F_TSO_ECN;
    }
    if (ioctl(tap->fd, TUNSETOFFLOAD, flags) < 0) ioctl(tap->fd, TUNSETOFFLOAD, 0);
}

static void fill(struct net_source *source, struct net_poll *poll)
{
    struct tap *tap = container_of(source, struct tap, backend.source);
    tap->index = net_poll_add(poll, tap->fd, (tap->full ? 0 : POLLIN) | (tap->blocked ? POLLOUT : 0));
}

static void ready(struct net_source *source, const struct net_poll *poll)
{
    struct tap *tap = container_of(source, struct tap, backend.source);
    short seen = tap->index < 0 ? 0 : poll->fds[tap->index].revents;
    if ((seen & POLLOUT) && tap->blocked) {
        tap->blocked = false;
        if (tap->backend.end) net_end_unblock(tap->backend.end);
    }
    if (seen & POLLIN) receive(tap);
}

static void destroy(struct net_backend *backend)
{
    struct tap *tap = container_of(backend, struct tap, backend);
    close(tap->fd);
    free(tap);
}

static const struct net_backend_ops tap_ops = {
    .send = tap_send, .room = room, .negotiated = negotiated, .destroy = destroy};

static int open_tap(const char *ifname, char *error, size_t error_bytes)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = host_open("/dev/net/tun", O_RDWR | O_NONBLOCK, 0);
    if (fd < 0) {
        snprintf(error, error_bytes, "tap: cannot open /dev/net/tun: %s", strerror(errno));
        return -1;
    }
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", ifname);
    if (ioctl(fd, TUNSETIFF, &request) == 0) return fd;
    int failed = errno;
    close(fd);
    if (failed == EPERM)
        snprintf(error, error_bytes,
                 "tap: no right to use the interface %s: have root make it for you (ip tuntap add dev %s "
                 "mode tap user NAME), "
                 "or use -netdev user",
                 ifname, ifname);
    else
        snprintf(error, error_bytes, "tap: cannot attach to the interface %s: %s", ifname, strerror(failed));
    return -1;
}

struct net_backend *tap_create(struct net_loop *loop, const char *ifname, int fd, char *error,
                               size_t error_bytes)
{
    struct tap *tap = calloc(1, sizeof(*tap));
    if (!tap) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    if (fd < 0) fd = open_tap(ifname, error, error_bytes);
    struct ifreq request = {0};
    if (fd >= 0 && ioctl(fd, TUNGETIFF, &request) < 0) {
        snprintf(error, error_bytes, "tap: descriptor %d is no tap device", fd);
        fd = -1;
    }
    if (fd < 0) {
        free(tap);
        return NULL;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    int header_bytes = sizeof(struct net_offload);
    bool has_header = (request.ifr_flags & IFF_VNET_HDR) && ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) == 0;
    tap->backend = (struct net_backend){
        .ops = &tap_ops, .loop = loop, .up = true, .source = {.fill = fill, .ready = ready}};
    tap->fd = fd;
    tap->has_header = has_header;
    net_loop_add(loop, &tap->backend.source);
    return &tap->backend;
}
