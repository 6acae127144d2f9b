#include "stream.h"

#include "base/host_path.h"
#include "base/host_time.h"
#include "base/log.h"
#include "cable.h"
#include "coalesce.h"
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LENGTH_BYTES 4
#define OUT_BYTES    (512u << 10)
#define IN_BYTES     (512u << 10)
/* Take frames while the largest still fits, cut into segments with their lengths. */
#define OUT_ROOM (128u << 10)

struct stream {
    struct net_backend backend; /* first */
    struct stream_options options;
    int listener, peer;             /* -1: none */
    int listener_index, peer_index; /* in the round's descriptors; -1: not there */
    bool connecting, blocked, full;
    u64 retry_ns; /* UINT64_MAX: never */
    u32 out_from, out_to, in_from, in_to;
    u8 frame[NET_FRAME_MAX];
    struct coalescer coalescer; /* of what comes in at once */
    u8 out[OUT_BYTES], in[IN_BYTES];
};

/* --- the connection --- */

static int family_of(const struct net_address *address)
{
    return ((const struct sockaddr *)address->at)->sa_family;
}

static void carrier(struct stream *stream, bool up)
{
    if (stream->backend.end) net_end_carrier(stream->backend.end, up);
}

static void unblock(struct stream *stream)
{
    stream->blocked = false;
    if (stream->backend.end) net_end_unblock(stream->backend.end);
}

static void set_peer(struct stream *stream, int fd)
{
    int one = 1;
    stream->peer = fd;
    stream->connecting = false;
    stream->out_from = stream->out_to = stream->in_from = stream->in_to = 0;
    stream->full = false;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* not of Unix sockets: no harm */
    carrier(stream, true);
}

static void lose_peer(struct stream *stream)
{
    close(stream->peer);
    stream->peer = -1;
    bool was_up = !stream->connecting;
    stream->connecting = false;
    if (!stream->options.server && stream->options.reconnect_s)
        stream->retry_ns = host_now_ns() + stream->options.reconnect_s * 1000000000ull;
    unblock(stream);
    if (was_up) carrier(stream, false);
}

/* Returns 0, or -errno. The connection may be there later only. */
static int start_connecting(struct stream *stream, bool wait)
{
    const struct net_address *to = &stream->options.address;
    int fd = socket(family_of(to), SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
    if (fd < 0) return -errno;
    stream->retry_ns = UINT64_MAX;
    if (connect(fd, (const struct sockaddr *)to->at, to->bytes) == 0) {
        set_peer(stream, fd);
        return 0;
    }
    if (errno == EINPROGRESS) {
        stream->peer = fd;
        stream->connecting = true;
        return 0;
    }
    int failed = -errno;
    close(fd);
    return failed;
}

static void try_again(struct stream *stream)
{
    if (start_connecting(stream, false) < 0)
        stream->retry_ns = host_now_ns() + stream->options.reconnect_s * 1000000000ull;
}

static void finish_connecting(struct stream *stream)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    getsockopt(stream->peer, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (error)
        lose_peer(stream);
    else
        set_peer(stream, stream->peer);
}

static void accept_peer(struct stream *stream)
{
    int fd = accept4(stream->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    if (stream->peer >= 0)
        close(fd); /* one at a time */
    else
        set_peer(stream, fd);
}

/* --- out --- */

static void flush_out(struct stream *stream)
{
    while (stream->out_from < stream->out_to) {
        ssize_t sent = send(stream->peer, stream->out + stream->out_from, stream->out_to - stream->out_from,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (sent < 0) {
            lose_peer(stream);
            return;
        }
        stream->out_from += (u32)sent;
    }
    stream->out_from = stream->out_to = 0;
}

static void put_out(void *to, const u8 *frame, u32 bytes)
{
    struct stream *stream = to;
    put_be32(stream->out + stream->out_to, bytes);
    memcpy(stream->out + stream->out_to + LENGTH_BYTES, frame, bytes);
    stream->out_to += LENGTH_BYTES + bytes;
}

static enum net_sent stream_send(struct net_backend *backend, const struct net_frame *frame)
{
    struct stream *stream = container_of(backend, struct stream, backend);
    if (stream->peer < 0 || stream->connecting)
        return NET_SENT; /* into nowhere, as on a cable that is not plugged in */
    if (stream->out_to + OUT_ROOM > OUT_BYTES) flush_out(stream);
    if (stream->peer >= 0 && stream->out_to + OUT_ROOM > OUT_BYTES) {
        if (stream->out_from < OUT_ROOM * 2) {
            stream->blocked = true;
            return NET_BLOCKED;
        }
        memmove(stream->out, stream->out + stream->out_from, stream->out_to - stream->out_from);
        stream->out_to -= stream->out_from;
        stream->out_from = 0;
    }
    u32 bytes = net_gather(frame, stream->frame);
    if (bytes) frame_segment(stream->frame, bytes, &frame->offload, put_out, stream);
    return NET_SENT;
}

/* After a batch of frames: all of it in one call. */
static bool work(struct net_source *source)
{
    struct stream *stream = container_of(source, struct stream, backend.source);
    if (stream->peer >= 0 && !stream->connecting && stream->out_to && !stream->blocked) flush_out(stream);
    return false;
}

/* --- in --- */

static void deliver(void *to, const u8 *frame, u32 bytes, const struct net_offload *offload)
{
    struct stream *stream = to;
    net_receive(stream->backend.end, frame, bytes, offload);
}

/* Hand over whole frames, as many as the card has room for. False: the peer speaks nonsense. */
static bool take_whole_frames(struct stream *stream)
{
    stream->full = false;
    while (stream->in_to - stream->in_from >= LENGTH_BYTES) {
        u32 bytes = get_be32(stream->in + stream->in_from);
        if (bytes > NET_FRAME_MAX) return false;
        if (stream->in_to - stream->in_from < LENGTH_BYTES + bytes) break;
        if (stream->backend.end && !net_has_room(stream->backend.end)) {
            stream->full = true;
            break;
        }
        if (stream->backend.end && bytes)
            coalescer_add(&stream->coalescer, stream->backend.end->card_takes,
                          stream->in + stream->in_from + LENGTH_BYTES, bytes);
        stream->in_from += LENGTH_BYTES + bytes;
    }
    return true;
}

static bool take_frames(struct stream *stream)
{
    bool sane = take_whole_frames(stream);
    coalescer_flush(&stream->coalescer);
    if (!sane) return false;
    if (stream->in_from == stream->in_to) {
        stream->in_from = stream->in_to = 0;
    } else if (IN_BYTES - stream->in_to < LENGTH_BYTES + NET_FRAME_MAX && stream->in_from) {
        memmove(stream->in, stream->in + stream->in_from, stream->in_to - stream->in_from);
        stream->in_to -= stream->in_from;
        stream->in_from = 0;
    }
    return true;
}

static void receive(struct stream *stream)
{
    ssize_t got = recv(stream->peer, stream->in + stream->in_to, IN_BYTES - stream->in_to, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) stream->in_to += (u32)got;
    if (got > 0 && take_frames(stream)) return;
    if (got > 0) log_warn("%s: the peer sends no frames; it is disconnected", stream->options.description);
    lose_peer(stream);
}

static void room(struct net_backend *backend)
{
    struct stream *stream = container_of(backend, struct stream, backend);
    if (stream->full && stream->peer >= 0 && !take_frames(stream)) lose_peer(stream);
}

/* --- rounds --- */

static void fill(struct net_source *source, struct net_poll *poll)
{
    struct stream *stream = container_of(source, struct stream, backend.source);
    stream->listener_index = stream->peer_index = -1;
    if (stream->listener >= 0) stream->listener_index = net_poll_add(poll, stream->listener, POLLIN);
    if (stream->peer >= 0) {
        short events = stream->connecting ? POLLOUT : 0;
        if (!stream->connecting && !stream->full && stream->in_to < IN_BYTES) events |= POLLIN;
        if (stream->blocked || stream->out_to) events |= POLLOUT;
        stream->peer_index = net_poll_add(poll, stream->peer, events);
    }
    net_poll_until(poll, stream->retry_ns);
}

static void ready(struct net_source *source, const struct net_poll *poll)
{
    struct stream *stream = container_of(source, struct stream, backend.source);
    short peer = stream->peer_index < 0 ? 0 : poll->fds[stream->peer_index].revents;
    if (peer && stream->connecting) {
        finish_connecting(stream);
    } else if (peer) {
        if (peer & POLLOUT) {
            flush_out(stream);
            if (stream->blocked && stream->out_to < OUT_BYTES / 2) unblock(stream);
        }
        if (stream->peer >= 0 && (peer & (POLLIN | POLLERR | POLLHUP))) receive(stream);
    }
    if (stream->listener_index >= 0 && poll->fds[stream->listener_index].revents) accept_peer(stream);
    if (stream->retry_ns != UINT64_MAX && host_now_ns() >= stream->retry_ns) try_again(stream);
}

/* --- set-up --- */

static void destroy(struct net_backend *backend)
{
    struct stream *stream = container_of(backend, struct stream, backend);
    if (stream->peer >= 0) close(stream->peer);
    if (stream->listener >= 0) close(stream->listener);
    if (stream->options.server && family_of(&stream->options.address) == AF_UNIX)
        host_unlink(((const struct sockaddr_un *)stream->options.address.at)->sun_path);
    free(stream);
}

static const struct net_backend_ops stream_ops = {.send = stream_send, .room = room, .destroy = destroy};

/* A socket file without a listener is in the way of its successor. */
static void remove_stale(const struct net_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    if (connect(fd, (const struct sockaddr *)address->at, address->bytes) < 0 && errno == ECONNREFUSED)
        host_unlink(((const struct sockaddr_un *)address->at)->sun_path);
    close(fd);
}

static int start_listening(struct stream *stream)
{
    const struct net_address *at = &stream->options.address;
    int one = 1;
    stream->listener = socket(family_of(at), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (stream->listener < 0) return -errno;
    if (family_of(at) == AF_UNIX)
        remove_stale(at);
    else
        setsockopt(stream->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(stream->listener, (const struct sockaddr *)at->at, at->bytes) < 0 ||
        listen(stream->listener, 1) < 0) {
        int failed = -errno;
        close(stream->listener);
        stream->listener = -1;
        return failed;
    }
    return 0;
}

struct net_backend *stream_create(struct net_loop *loop, const struct stream_options *options, char *error,
                                  size_t error_bytes)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    stream->backend = (struct net_backend){
        .ops = &stream_ops, .loop = loop, .source = {.fill = fill, .ready = ready, .work = work}};
    stream->options = *options;
    stream->coalescer = (struct coalescer){.emit = deliver, .to = stream};
    stream->listener = stream->peer = -1;
    stream->retry_ns = UINT64_MAX;
    int failed = 0;
    if (options->fd >= 0)
        set_peer(stream, options->fd);
    else if (options->server)
        failed = start_listening(stream);
    else if (options->reconnect_s)
        try_again(stream);
    else
        failed = start_connecting(stream, true);
    stream->backend.up = stream->peer >= 0 && !stream->connecting;
    if (failed) {
        snprintf(error, error_bytes, "%s: cannot %s: %s", options->description,
                 options->server ? "listen" : "connect", strerror(-failed));
        stream->options.server = false; /* the path belongs to another process */
        destroy(&stream->backend);
        return NULL;
    }
    net_loop_add(loop, &stream->backend.source);
    return &stream->backend;
}
