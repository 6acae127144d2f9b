#include "guest_forward.h"

#include "base/log.h"

#include <errno.h>
#include <libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server has not taken yet. libslirp cannot be told to wait: a server that leaves more than this unread is
 * disconnected. */
#define OUT_MAX_BYTES (16u << 20)
#define IN_BYTES      (64u << 10)

struct guest_forward {
    struct Slirp *slirp;
    struct in_addr address;
    u16 port;
    const char *name;
    struct net_address target;
    int fd, index; /* -1: none */
    u8 *out;
    size_t out_bytes, out_capacity;
};

static void disconnect(struct guest_forward *forward)
{
    if (forward->fd >= 0) close(forward->fd);
    forward->fd = -1;
    forward->out_bytes = 0;
}

/* Returns 0 or -errno. */
static int connect_to_target(struct guest_forward *forward)
{
    const struct sockaddr *to = (const struct sockaddr *)forward->target.at;
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, to, forward->target.bytes) < 0) {
        int failed = -errno;
        close(fd);
        return failed;
    }
    forward->fd = fd;
    return 0;
}

static void flush(struct guest_forward *forward)
{
    ssize_t sent = send(forward->fd, forward->out, forward->out_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) disconnect(forward);
    if (sent <= 0) return;
    forward->out_bytes -= (size_t)sent;
    memmove(forward->out, forward->out + sent, forward->out_bytes);
}

static bool queue(struct guest_forward *forward, const void *from, size_t bytes)
{
    size_t wanted = forward->out_bytes + bytes;
    if (wanted > OUT_MAX_BYTES) return false;
    if (wanted > forward->out_capacity) {
        u8 *out = realloc(forward->out, wanted * 2);
        if (!out) return false;
        forward->out = out;
        forward->out_capacity = wanted * 2;
    }
    memcpy(forward->out + forward->out_bytes, from, bytes);
    forward->out_bytes = wanted;
    return true;
}

/* The guest has sent. */
static ssize_t guest_wrote(const void *from, size_t bytes, void *opaque)
{
    struct guest_forward *forward = opaque;
    if (forward->fd < 0 && connect_to_target(forward) < 0)
        return (ssize_t)bytes; /* lost: there is no server */
    if (!queue(forward, from, bytes)) {
        log_warn("guestfwd: %s does not read; it is disconnected", forward->name);
        disconnect(forward);
        return (ssize_t)bytes;
    }
    flush(forward);
    return (ssize_t)bytes;
}

void guest_forward_fill(struct guest_forward *forward, struct net_poll *poll)
{
    forward->index = -1;
    if (forward->fd < 0) return;
    /* 0 also while no connection of the guest is there: the server's data wait. */
    bool room = slirp_socket_can_recv(forward->slirp, forward->address, forward->port) > 0;
    forward->index =
        net_poll_add(poll, forward->fd, (room ? POLLIN : 0) | (forward->out_bytes ? POLLOUT : 0));
}

static void receive(struct guest_forward *forward)
{
    u8 data[IN_BYTES];
    size_t room = slirp_socket_can_recv(forward->slirp, forward->address, forward->port);
    if (!room) return;
    ssize_t got = recv(forward->fd, data, room < sizeof(data) ? room : sizeof(data), MSG_DONTWAIT);
    if (got > 0)
        slirp_socket_recv(forward->slirp, forward->address, forward->port, data, (int)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        disconnect(forward);
}

void guest_forward_ready(struct guest_forward *forward, const struct net_poll *poll)
{
    short seen = forward->index < 0 ? 0 : poll->fds[forward->index].revents;
    if (forward->fd >= 0 && (seen & POLLOUT)) flush(forward);
    if (forward->fd >= 0 && (seen & POLLIN)) receive(forward);
    if (forward->fd >= 0 && (seen & (POLLERR | POLLHUP)) && !(seen & POLLIN)) disconnect(forward);
}

struct guest_forward *guest_forward_create(struct Slirp *slirp, u32 address, u16 port, const char *target,
                                           char *error, size_t error_bytes)
{
    struct guest_forward *forward = calloc(1, sizeof(*forward));
    if (!forward) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    *forward = (struct guest_forward){
        .slirp = slirp, .address.s_addr = address, .port = port, .name = target, .fd = -1, .index = -1};
    int failed = 0;
    bool good = net_address_parse(&forward->target, target, false, error, error_bytes);
    if (good && (failed = connect_to_target(forward)) < 0)
        snprintf(error, error_bytes, "guestfwd: cannot connect to %s: %s", target, strerror(-failed));
    if (good && !failed && slirp_add_guestfwd(slirp, guest_wrote, forward, &forward->address, port) < 0) {
        snprintf(error, error_bytes, "guestfwd: the user network cannot forward port %u of that address",
                 port);
        failed = -EINVAL;
    }
    if (good && !failed) return forward;
    guest_forward_destroy(forward);
    return NULL;
}

void guest_forward_destroy(struct guest_forward *forward)
{
    disconnect(forward);
    free(forward->out);
    free(forward);
}
