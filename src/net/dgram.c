#include "dgram.h"

#include "base/host_path.h"
#include "base/host_time.h"
#include "cable.h"
#include "coalesce.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The most frames of a round, so that sending has its turn. */
#define ROUND_FRAMES 64
#define SOCKET_BYTES (1 << 20)
#define RETRY_NS     1000000u

struct dgram {
    struct net_backend backend; /* first */
    struct dgram_options options;
    int fd, index; /* in the round's descriptors */
    int send_fd;   /* fd, or for a group a socket of its own: its address identifies echoes */
    struct net_address self;
    bool blocked, full;
    /* A frame that is cut into pieces, of which the socket did not take all: how many it took. */
    const struct net_frame *cut;
    unsigned pieces_sent, piece;
    bool stuck;
    struct coalescer coalescer; /* of what comes in at once */
    u8 frame[NET_FRAME_MAX];
};

static const struct sockaddr *sockaddr_of(const struct net_address *address)
{
    return (const struct sockaddr *)address->at;
}

static int family_of(const struct net_address *address)
{
    return sockaddr_of(address)->sa_family;
}

static bool is_group(const struct net_address *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address->at;
    return address->bytes && in->sin_family == AF_INET && IN_MULTICAST(ntohl(in->sin_addr.s_addr));
}

/* --- out --- */

/* Returns false if the socket takes nothing now. Other failures lose the frame: the other end may not be there yet. */
static bool send_parts(const struct dgram *dgram, const struct iovec *part, unsigned parts)
{
    const struct net_address *to = &dgram->options.remote;
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)part, .msg_iovlen = parts};
    if (dgram->send_fd == dgram->fd && dgram->options.fd < 0) {
        message.msg_name = (void *)(uintptr_t)to->at;
        message.msg_namelen = to->bytes;
    }
    return sendmsg(dgram->send_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

static void send_piece(void *to, const u8 *frame, u32 bytes)
{
    struct dgram *dgram = to;
    if (dgram->stuck || dgram->piece++ < dgram->pieces_sent) return;
    if (send_parts(dgram, &(struct iovec){(void *)(uintptr_t)frame, bytes}, 1))
        dgram->pieces_sent++;
    else
        dgram->stuck = true;
}

/* Returns false if some pieces are left. */
static bool send_cut(struct dgram *dgram, const struct net_frame *frame)
{
    u32 bytes = net_gather(frame, dgram->frame);
    if (dgram->cut != frame) dgram->pieces_sent = 0;
    dgram->piece = 0;
    dgram->stuck = false;
    if (bytes) frame_segment(dgram->frame, bytes, &frame->offload, send_piece, dgram);
    dgram->cut = dgram->stuck ? frame : NULL;
    return !dgram->stuck;
}

static enum net_sent dgram_send(struct net_backend *backend, const struct net_frame *frame)
{
    struct dgram *dgram = container_of(backend, struct dgram, backend);
    bool finished = !(frame->offload.flags & NET_NEEDS_CHECKSUM) && !frame->offload.segmentation;
    if (finished ? send_parts(dgram, frame->part, frame->part_count) : send_cut(dgram, frame))
        return NET_SENT;
    dgram->blocked = true;
    return NET_BLOCKED;
}

/* --- in --- */

static bool is_echo(const struct dgram *dgram, const struct net_address *from)
{
    const struct sockaddr_in *a = (const struct sockaddr_in *)from->at,
                             *b = (const struct sockaddr_in *)dgram->self.at;
    return dgram->self.bytes && a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static void deliver(void *to, const u8 *frame, u32 bytes, const struct net_offload *offload)
{
    struct dgram *dgram = to;
    net_receive(dgram->backend.end, frame, bytes, offload);
}

static void receive_datagrams(struct dgram *dgram)
{
    for (unsigned n = 0; n < ROUND_FRAMES; n++) {
        struct net_address from;
        socklen_t from_bytes = sizeof(from.at);
        if (dgram->backend.end && !net_has_room(dgram->backend.end)) {
            dgram->full = true;
            return;
        }
        ssize_t got = recvfrom(dgram->fd, dgram->frame, sizeof(dgram->frame), MSG_DONTWAIT,
                               (struct sockaddr *)from.at, &from_bytes);
        if (got < 0 && errno == EAGAIN) return;
        if (got > 0 && dgram->backend.end && !is_echo(dgram, &from))
            coalescer_add(&dgram->coalescer, dgram->backend.end->card_takes, dgram->frame, (u32)got);
    }
}

static void receive(struct dgram *dgram)
{
    receive_datagrams(dgram);
    coalescer_flush(&dgram->coalescer);
}

static void room(struct net_backend *backend)
{
    container_of(backend, struct dgram, backend)->full = false;
}

/* --- rounds --- */

static void fill(struct net_source *source, struct net_poll *poll)
{
    struct dgram *dgram = container_of(source, struct dgram, backend.source);
    dgram->index = net_poll_add(poll, dgram->fd, (dgram->full ? 0 : POLLIN) | (dgram->blocked ? POLLOUT : 0));
    /* A Unix socket can be written again when the other end has read, of which poll() does not tell a socket that is
     * not connected. */
    if (dgram->blocked) net_poll_until(poll, host_now_ns() + RETRY_NS);
}

static void ready(struct net_source *source, const struct net_poll *poll)
{
    struct dgram *dgram = container_of(source, struct dgram, backend.source);
    short seen = dgram->index < 0 ? 0 : poll->fds[dgram->index].revents;
    if (dgram->blocked) {
        dgram->blocked = false;
        if (dgram->backend.end) net_end_unblock(dgram->backend.end);
    }
    if (seen & (POLLIN | POLLERR)) receive(dgram);
}

/* --- set-up --- */

static void destroy(struct net_backend *backend)
{
    struct dgram *dgram = container_of(backend, struct dgram, backend);
    const struct net_address *local = &dgram->options.local;
    if (dgram->send_fd >= 0 && dgram->send_fd != dgram->fd) close(dgram->send_fd);
    if (dgram->fd >= 0) close(dgram->fd);
    if (local->bytes && family_of(local) == AF_UNIX)
        host_unlink(((const struct sockaddr_un *)local->at)->sun_path);
    free(dgram);
}

static const struct net_backend_ops dgram_ops = {.send = dgram_send, .room = room, .destroy = destroy};

/* A socket file that has no reader any more is in the way of its successor. */
static void remove_stale(const struct net_address *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    if (connect(fd, sockaddr_of(address), address->bytes) < 0 && errno == ECONNREFUSED)
        host_unlink(((const struct sockaddr_un *)address->at)->sun_path);
    close(fd);
}

/* Returns 0 or -errno, as the functions below do. */
static int join_group(struct dgram *dgram)
{
    const struct sockaddr_in *group = (const struct sockaddr_in *)dgram->options.remote.at;
    const struct sockaddr_in *local = (const struct sockaddr_in *)dgram->options.local.at;
    struct ip_mreq request = {.imr_multiaddr = group->sin_addr};
    unsigned char loop = 1; /* other members may be on this host */
    socklen_t bytes = sizeof(dgram->self.at);
    if (dgram->options.local.bytes) request.imr_interface = local->sin_addr;
    dgram->send_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (dgram->send_fd < 0 ||
        setsockopt(dgram->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)) < 0 ||
        setsockopt(dgram->send_fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof(loop)) < 0 ||
        setsockopt(dgram->send_fd, IPPROTO_IP, IP_MULTICAST_IF, &request.imr_interface,
                   sizeof(request.imr_interface)) < 0 ||
        connect(dgram->send_fd, (const struct sockaddr *)group, sizeof(*group)) < 0 ||
        getsockname(dgram->send_fd, (struct sockaddr *)dgram->self.at, &bytes) < 0)
        return -errno;
    dgram->self.bytes = bytes;
    return 0;
}

static int open_socket(struct dgram *dgram)
{
    const struct dgram_options *o = &dgram->options;
    bool group = is_group(&o->remote);
    const struct net_address *at = group ? &o->remote : &o->local;
    int one = 1;
    dgram->fd = socket(family_of(&o->remote), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (dgram->fd < 0) return -errno;
    if (at->bytes && family_of(at) == AF_UNIX) remove_stale(at);
    if (group) setsockopt(dgram->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (at->bytes && bind(dgram->fd, sockaddr_of(at), at->bytes) < 0) {
        int failed = -errno;
        dgram->options.local.bytes = 0; /* the path belongs to another process */
        return failed;
    }
    dgram->send_fd = dgram->fd;
    return group ? join_group(dgram) : 0;
}

struct net_backend *dgram_create(struct net_loop *loop, const struct dgram_options *options, char *error,
                                 size_t error_bytes)
{
    struct dgram *dgram = calloc(1, sizeof(*dgram));
    int bytes = SOCKET_BYTES;
    if (!dgram) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    dgram->backend = (struct net_backend){
        .ops = &dgram_ops, .loop = loop, .up = true, .source = {.fill = fill, .ready = ready}};
    dgram->options = *options;
    dgram->coalescer = (struct coalescer){.emit = deliver, .to = dgram};
    dgram->fd = dgram->send_fd = options->fd;
    int failed = options->fd < 0 ? open_socket(dgram) : 0;
    if (failed) {
        snprintf(error, error_bytes, "%s: cannot use these addresses: %s", options->description,
                 strerror(-failed));
        destroy(&dgram->backend);
        return NULL;
    }
    fcntl(dgram->fd, F_SETFL, fcntl(dgram->fd, F_GETFL) | O_NONBLOCK);
    setsockopt(dgram->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    setsockopt(dgram->send_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    net_loop_add(loop, &dgram->backend.source);
    return &dgram->backend;
}
