/*
 * Sockets: Unix and TCP, with telnet or without; server or client. A server has one client at a time, and accepts the
 * next when that one has left. A client with reconnect= connects again.
 */
#include "base/host_path.h"
#include "base/host_time.h"
#include "base/log.h"
#include "chardev.h"
#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

static struct sockaddr *where(struct net_address *address)
{
    return (struct sockaddr *)address->at;
}

static bool resolve(const struct char_options *o, struct net_address *address, char *error,
                    size_t error_bytes)
{
    if (o->path) return net_address_unix(address, o->path, error, error_bytes);
    return net_address_inet(address, o->host, o->port, false, error, error_bytes);
}

/* --- a peer --- */

static void have_peer(struct chardev *c, int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
               sizeof(one)); /* fails on a Unix socket, which has no delay */
    c->in_fd = c->out_fd = fd;
    c->connecting = c->complained = false;
    c->telnet = (struct telnet){0};
    chardev_set_open(c, true);
    if (c->options->telnet && c->options->server)
        for (u32 n = 0; n < telnet_greeting_bytes; n++)
            c->out[c->tail++ % CHAR_OUT_BYTES] = telnet_greeting[n];
}

void chardev_adopt(struct chardev *c, int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    have_peer(c, fd);
}

static void retry_later(struct chardev *c)
{
    c->next_try_ns =
        c->options->reconnect_s ? host_now_ns() + c->options->reconnect_s * 1000000000u : UINT64_MAX;
}

static void lost_peer(struct chardev *c, int failed)
{
    if (c->in_fd >= 0) close(c->in_fd);
    c->in_fd = c->out_fd = c->in_slot = c->out_slot = -1;
    c->connecting = false;
    if (!c->options->server) retry_later(c);
    chardev_set_open(c, false);
}

static long write_peer(struct chardev *c, const u8 *bytes, u32 count)
{
    ssize_t done = send(c->out_fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return done < 0 ? -errno : done;
}

/* --- servers --- */

/* Removes a socket that a former run left behind. Any other file stays. */
static void remove_stale(const char *path)
{
    struct stat status;
    if (!lstat(path, &status) && S_ISSOCK(status.st_mode)) host_unlink(path);
}

static bool listen_at(struct chardev *c, struct net_address *address, char *error, size_t error_bytes)
{
    int one = 1;
    const struct char_options *o = c->options;
    c->listen_fd = socket(where(address)->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->listen_fd < 0) return SAY("cannot make a socket: %s", strerror(errno));
    if (o->path)
        remove_stale(o->path);
    else
        setsockopt(c->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (!bind(c->listen_fd, where(address), address->bytes) && !listen(c->listen_fd, 4)) {
        socklen_t bytes = sizeof(address->at);
        if (!o->path &&
            !getsockname(c->listen_fd, where(address), &bytes)) { /* port 0: the host has chosen one */
            u16 port =
                ntohs(where(address)->sa_family == AF_INET6 ? ((struct sockaddr_in6 *)address->at)->sin6_port
                                                            : ((struct sockaddr_in *)address->at)->sin_port);
            snprintf(c->name, sizeof(c->name), "%s:%s:%u,server=on", o->telnet ? "telnet" : "tcp",
                     o->host ? o->host : "", port);
        }
        return true;
    }
    int failed = errno;
    close(c->listen_fd);
    c->listen_fd = -1;
    return SAY("cannot listen at %s%s%s: %s",
               o->path   ? o->path
               : o->host ? o->host
                         : "",
               o->path ? "" : ":", o->path ? "" : o->port, strerror(failed));
}

static void accept_peer(struct chardev *c)
{
    int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) have_peer(c, fd);
}

static void wait_for_peer(struct chardev *c)
{
    struct pollfd pollfd = {.fd = c->listen_fd, .events = POLLIN};
    fprintf(stderr, "ringer: waiting for a client at %s\n", c->name);
    while (!c->open)
        if (poll(&pollfd, 1, -1) > 0) accept_peer(c);
}

/* --- clients --- */

/* Returns 0, -EINPROGRESS or -errno. */
static int begin(struct chardev *c, struct net_address *address, int flags)
{
    int fd = socket(where(address)->sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0) return -errno;
    int failed = connect(fd, where(address), address->bytes) ? -errno : 0;
    if (failed && failed != -EINPROGRESS) {
        close(fd);
        return failed;
    }
    c->in_fd = fd;
    c->connecting = failed;
    return failed;
}

static void connect_again(struct chardev *c)
{
    struct net_address address;
    char error[256];
    int failed = -ENOENT;
    if (resolve(c->options, &address, error, sizeof(error))) failed = begin(c, &address, SOCK_NONBLOCK);
    if (!failed) have_peer(c, c->in_fd);
    if (failed && failed != -EINPROGRESS) retry_later(c);
}

static void finish_connect(struct chardev *c)
{
    int failed = 0, fd = c->in_fd;
    socklen_t bytes = sizeof(failed);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &bytes);
    if (!failed) {
        have_peer(c, fd);
        return;
    }
    c->connecting = false;
    close(fd);
    c->in_fd = -1;
    retry_later(c);
}

/* --- the kind --- */

static bool open_socket(struct chardev *c, char *error, size_t error_bytes)
{
    struct net_address address;
    const struct char_options *o = c->options;
    if (o->listener) {
        c->listen_fd = fcntl(chardevs_find(c->set, o->listener)->listen_fd, F_DUPFD_CLOEXEC, 0);
        return c->listen_fd >= 0 || SAY("cannot accept another client at %s: %s", c->name, strerror(errno));
    }
    if (o->server) {
        if (!resolve(o, &address, error, error_bytes) || !listen_at(c, &address, error, error_bytes))
            return false;
        if (o->wait) wait_for_peer(c);
        return true;
    }
    if (o->reconnect_s) {
        connect_again(c); /* in its own time */
        return true;
    }
    if (!resolve(o, &address, error, error_bytes)) return false;
    int failed = begin(c, &address, 0);
    if (failed) return SAY("cannot connect to %s: %s", c->name, strerror(-failed));
    have_peer(c, c->in_fd);
    c->next_try_ns = UINT64_MAX;
    return true;
}

/* While a connection is being made, in_fd is that socket and out_fd is -1. */
static void fill_socket(struct chardev *c, struct net_poll *poll)
{
    if (c->options->server && c->in_fd < 0) {
        c->in_slot = net_poll_add(poll, c->listen_fd, POLLIN);
    } else if (c->connecting) {
        if (c->in_slot >= 0) poll->fds[c->in_slot].events = POLLOUT;
    } else if (!c->options->server && c->in_fd < 0) {
        if (host_now_ns() >= c->next_try_ns) {
            connect_again(c);
            net_poll_until(poll, 0);
        }
        net_poll_until(poll, c->next_try_ns);
    }
}

static void ready_socket(struct chardev *c, const struct net_poll *poll)
{
    if (c->in_slot < 0 || !poll->fds[c->in_slot].revents) return;
    if (c->options->server && c->in_fd < 0)
        accept_peer(c);
    else if (c->connecting)
        finish_connect(c);
}

static void close_socket(struct chardev *c)
{
    if (c->in_fd >= 0) close(c->in_fd);
    if (c->listen_fd < 0) return;
    close(c->listen_fd);
    if (c->options->path && !c->options->listener) remove_stale(c->options->path);
}

const struct chardev_ops char_socket_ops = {.open = open_socket,
                                            .fill = fill_socket,
                                            .ready = ready_socket,
                                            .lost = lost_peer,
                                            .write = write_peer,
                                            .close = close_socket};
