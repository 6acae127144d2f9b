#include "user.h"

#include "base/host_time.h"
#include "base/log.h"
#include "cable.h"
#include "frame.h"
#include "guest_forward.h"
#include "many_fds.h"
#include "tcp_windows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* libslirp's IF_MTU_MAX: what it puts into one IP packet at most. */
#define ROUTER_MTU 65521
/* The maximum segment size follows from the MRU. libslirp sends no segments larger than this one (TCP_MAXSEG_MAX), and
 * with an MSS that divides its socket buffers (128 KB) it need not move them when a connection is made. Two such
 * segments fill the largest window without scaling. */
#define ROUTER_MSS 32768
#define ROUTER_MRU (ROUTER_MSS + 40)

struct user_timer {
    struct user *user;
    SlirpTimerCb callback;
    void *argument;
    u64 at_ns; /* UINT64_MAX: not set */
    struct user_timer *next;
};

struct user {
    struct net_backend backend; /* first */
    Slirp *slirp;
    struct user_timer *timers;
    struct guest_forward *forward[USER_FORWARDS];
    unsigned forwards;
    struct tcp_windows *windows;
    struct many_fds fds;
    struct net_poll *filling;    /* while libslirp names descriptors */
    bool sends;                  /* one of them has bytes to send, or connects */
    const struct net_poll *poll; /* while libslirp looks at descriptors */
    u8 frame[NET_FRAME_MAX];
    u8 out[NET_FRAME_MAX + TCP_WINDOWS_OPTION_BYTES]; /* a packet of libslirp's that is changed */
};

/* --- to libslirp --- */

/* Raise the maximum segment size in a SYN of the guest: fewer and larger segments are less work for libslirp. What is
 * too large for the card is cut to the MTU on its way, which is no help to a guest that wants still smaller
 * segments. */
static void raise_segment_size(const struct user *user, u8 *frame, const struct frame_layout *layout)
{
    u32 whole = layout->version == 4 ? NET_TAKES_TCP4 : NET_TAKES_TCP6;
    u32 least =
        user->backend.end->card_takes & whole ? 0 : NET_MTU - (layout->transport - layout->ip) - TCP_BYTES;
    u8 *size = frame_tcp_option(frame, layout, TCP_OPTION_MSS, 4);
    if (!size || get_be16(size + 2) < least) return;
    put_be16(size + 2, ROUTER_MSS);
    frame_fill_tcp(frame, layout);
}

static bool is_tcp(const struct frame_layout *layout)
{
    return layout->protocol == PROTOCOL_TCP && !layout->fragment;
}

static enum net_sent user_send(struct net_backend *backend, const struct net_frame *frame)
{
    struct user *user = container_of(backend, struct user, backend);
    u32 bytes = net_gather(frame, user->frame);
    if (bytes < NET_HEADER_BYTES || !frame_fill_checksum(user->frame, bytes, &frame->offload))
        return NET_SENT;
    struct frame_layout layout;
    bool seen = true;
    if (frame_parse(user->frame, bytes, &layout) && is_tcp(&layout)) {
        if (user->frame[layout.transport + TCP_FLAGS] & TCP_SYN)
            raise_segment_size(user, user->frame, &layout);
        seen = tcp_windows_from_guest(user->windows, user->frame, &layout);
    }
    if (seen) slirp_input(user->slirp, user->frame, (int)bytes);
    tcp_windows_flush(user->windows);
    return NET_SENT;
}

static void to_router(void *opaque, u8 *frame, u32 bytes)
{
    struct user *user = opaque;
    slirp_input(user->slirp, frame, (int)bytes);
}

/* --- from libslirp --- */

static void receive_piece(void *to, const u8 *frame, u32 bytes)
{
    static const struct net_offload whole = {.flags = NET_CHECKSUM_GOOD};
    struct user *user = to;
    net_receive(user->backend.end, frame, bytes, &whole);
}

/* What libslirp sends in one piece because it was told that the guest takes such segments: the guest is told
 * how it would have come. */
static bool receive_segment(void *to, u8 *frame, const struct frame_layout *layout)
{
    struct user *user = to;
    struct net_offload offload = {.flags = NET_CHECKSUM_GOOD};
    if (layout->bytes > NET_FRAME_MTU)
        frame_leave_segments(frame, layout, NET_MTU - (layout->payload - layout->ip), &offload);
    return net_receive(user->backend.end, frame, layout->bytes, &offload);
}

static ssize_t send_packet(const void *packet, size_t bytes, void *opaque)
{
    struct user *user = opaque;
    struct frame_layout layout;
    u8 *frame = user->out;
    if (!user->backend.end || bytes > NET_FRAME_MAX) return (ssize_t)bytes;
    memcpy(frame, packet, bytes);
    if (!frame_parse(frame, (u32)bytes, &layout)) {
        if (bytes <= NET_FRAME_MTU) receive_piece(user, frame, (u32)bytes); /* ARP */
    } else if (!is_tcp(&layout)) {
        if (bytes > NET_FRAME_MTU)
            frame_fragment(frame, (u32)bytes, receive_piece, user);
        else
            receive_piece(user, frame, (u32)bytes);
    } else {
        tcp_windows_from_router(user->windows, frame, &layout);
        if (layout.bytes > layout.payload)
            tcp_windows_send(user->windows, frame, &layout, net_has_room(user->backend.end));
        else
            receive_piece(user, frame, layout.bytes);
    }
    return (ssize_t)bytes;
}

static const struct tcp_windows_ops windows_ops = {
    .to_router = to_router, .to_guest = receive_segment, .ack_to_guest = receive_piece};

static void guest_error(const char *message, void *opaque)
{
    log_debug("the guest on the user network: %s", message);
}

/* --- time --- */

static int64_t clock_ns(void *opaque)
{
    return (int64_t)host_now_ns();
}

static void *timer_new(SlirpTimerCb callback, void *argument, void *opaque)
{
    struct user *user = opaque;
    struct user_timer *timer = calloc(1, sizeof(*timer));
    if (!timer) abort(); /* libslirp knows of no failure */
    *timer = (struct user_timer){user, callback, argument, UINT64_MAX, user->timers};
    user->timers = timer;
    return timer;
}

static void timer_free(void *timer, void *opaque)
{
    struct user *user = opaque;
    struct user_timer **at = &user->timers;
    while (*at && *at != timer)
        at = &(*at)->next;
    if (*at) *at = (*at)->next;
    free(timer);
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    ((struct user_timer *)timer)->at_ns = (u64)expire_ms * 1000000u;
}

static void run_timers(struct user *user)
{
    u64 now = host_now_ns();
    for (struct user_timer *timer = user->timers, *next; timer; timer = next) {
        next = timer->next;
        if (timer->at_ns > now) continue;
        timer->at_ns = UINT64_MAX;
        timer->callback(timer->argument);
    }
}

/* --- descriptors --- */

/* A descriptor is new, or closes now. */
static void forget_fd(int fd, void *opaque)
{
    struct user *user = opaque;
    many_fds_forget(&user->fds, fd);
}

static void notify(void *opaque)
{
    struct user *user = opaque;
    net_loop_wake(user->backend.loop);
}

static int add_poll(int fd, int events, void *opaque)
{
    short wanted = 0;
    if (events & SLIRP_POLL_IN) wanted |= POLLIN;
    if (events & SLIRP_POLL_OUT) wanted |= POLLOUT;
    if (events & SLIRP_POLL_PRI) wanted |= POLLPRI;
    struct user *user = opaque;
    user->sends |= wanted & POLLOUT;
    return many_fds_add(&user->fds, user->filling, fd, wanted);
}

static int revents(int index, void *opaque)
{
    const struct user *user = opaque;
    short seen = many_fds_seen(&user->fds, user->poll, index);
    return (seen & POLLIN ? SLIRP_POLL_IN : 0) | (seen & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (seen & POLLPRI ? SLIRP_POLL_PRI : 0) | (seen & POLLERR ? SLIRP_POLL_ERR : 0) |
           (seen & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* Libslirp's descriptors. Returns until when it waits for them at most, in ms. */
static u32 name_fds(struct user *user, struct net_poll *poll)
{
    u32 timeout_ms = UINT32_MAX;
    user->filling = poll;
    user->sends = false;
    many_fds_begin(&user->fds);
    slirp_pollfds_fill(user->slirp, &timeout_ms, add_poll, user);
    many_fds_end(&user->fds, poll);
    return timeout_ms;
}

static void fill(struct net_source *source, struct net_poll *poll)
{
    struct user *user = container_of(source, struct user, backend.source);
    unsigned count = poll->count;
    u32 timeout_ms = name_fds(user, poll);
    if (!user->sends && tcp_windows_end(user->windows)) {
        poll->count = count;
        timeout_ms = name_fds(user, poll);
    }
    if (timeout_ms != UINT32_MAX) net_poll_until(poll, host_now_ns() + timeout_ms * 1000000ull);
    for (const struct user_timer *timer = user->timers; timer; timer = timer->next)
        net_poll_until(poll, timer->at_ns);
    for (unsigned n = 0; n < user->forwards; n++)
        guest_forward_fill(user->forward[n], poll);
    tcp_windows_fill(user->windows, poll);
}

static void ready(struct net_source *source, const struct net_poll *poll)
{
    struct user *user = container_of(source, struct user, backend.source);
    user->poll = poll;
    /* If none is ready, libslirp need not walk over its sockets, as after an error of poll(). */
    slirp_pollfds_poll(user->slirp, !many_fds_collect(&user->fds, poll), revents, user);
    for (unsigned n = 0; n < user->forwards; n++)
        guest_forward_ready(user->forward[n], poll);
    run_timers(user);
    tcp_windows_ready(user->windows);
    tcp_windows_flush(user->windows);
}

/* --- set-up --- */

static void destroy(struct net_backend *backend)
{
    struct user *user = container_of(backend, struct user, backend);
    backend->end = NULL;
    many_fds_destroy(&user->fds); /* first: this may be a thread that has no right to epoll_ctl() */
    if (user->slirp) slirp_cleanup(user->slirp);
    while (user->timers)
        timer_free(user->timers, user);
    while (user->forwards)
        guest_forward_destroy(user->forward[--user->forwards]);
    tcp_windows_destroy(user->windows);
    free(user);
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = forget_fd,
    .unregister_poll_fd = forget_fd,
    .notify = notify,
};

static const struct net_backend_ops user_ops = {.send = user_send, .destroy = destroy};

void user_defaults(struct user_options *options)
{
    *options = (struct user_options){.prefix6_bits = 64, .hostname = "ringer"};
    inet_pton(AF_INET, "10.0.2.0", &options->network);
    inet_pton(AF_INET, "255.255.255.0", &options->mask);
    inet_pton(AF_INET, "10.0.2.2", &options->host);
    inet_pton(AF_INET, "10.0.2.3", &options->dns);
    inet_pton(AF_INET, "10.0.2.15", &options->dhcp_start);
    inet_pton(AF_INET6, "fec0::", options->prefix6);
    inet_pton(AF_INET6, "fec0::2", options->host6);
    inet_pton(AF_INET6, "fec0::3", options->dns6);
}

static struct in_addr ipv4(u32 address)
{
    return (struct in_addr){address};
}

static struct in6_addr ipv6(const u8 address[16])
{
    struct in6_addr out;
    memcpy(&out, address, sizeof(out));
    return out;
}

/* Libslirp has a backlog of 1: of several clients that connect at once the host drops all but two, and those try again
 * after a second, or believe to be connected. */
static int widen_backlog(int fd, int events, void *opaque)
{
    (void)events, (void)opaque;
    int listens = 0;
    socklen_t bytes = sizeof(listens);
    if (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) && listens) listen(fd, SOMAXCONN);
    return -1;
}

static bool add_forwards(struct user *user, const struct user_options *options, char *error,
                         size_t error_bytes)
{
    for (unsigned n = 0; n < options->forwards; n++) {
        const struct user_forward *f = &options->forward[n];
        if (slirp_add_hostfwd(user->slirp, f->udp, ipv4(f->host), f->host_port, ipv4(f->guest),
                              f->guest_port) >= 0)
            continue;
        snprintf(error, error_bytes, "Could not set up host forwarding rule '%s': %s", f->rule,
                 strerror(errno));
        return false;
    }
    u32 timeout_ms = UINT32_MAX;
    slirp_pollfds_fill(user->slirp, &timeout_ms, widen_backlog, NULL);
    for (unsigned n = 0; n < options->guest_forwards; n++) {
        const struct user_guest_forward *f = &options->guest_forward[n];
        struct in_addr address = ipv4(f->address);
        if (f->tcp) {
            struct guest_forward *forward =
                guest_forward_create(user->slirp, f->address, f->port, f->tcp, error, error_bytes);
            if (!forward) return false;
            user->forward[user->forwards++] = forward;
            continue;
        }
        int failed = f->command ? slirp_add_exec(user->slirp, f->command, &address, f->port)
                                : slirp_add_unix(user->slirp, f->unix_path, &address, f->port);
        if (failed >= 0) continue;
        snprintf(error, error_bytes, "guestfwd: the user network cannot forward port %u of that address",
                 f->port);
        return false;
    }
    return true;
}

/* Each of the guest's connections is a descriptor of ours. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

struct net_backend *user_create(struct net_loop *loop, const struct user_options *options, char *error,
                                size_t error_bytes)
{
    struct user *user = calloc(1, sizeof(*user));
    if (user) {
        many_fds_init(&user->fds);
        user->windows = tcp_windows_create(&windows_ops, user);
    }
    if (!user || !user->windows) {
        free(user);
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    allow_descriptors();
    user->backend = (struct net_backend){
        .ops = &user_ops, .loop = loop, .up = true, .source = {.fill = fill, .ready = ready}};
    SlirpConfig config = {
        .version = 4,
        .restricted = options->restricted,
        .in_enabled = !options->no_ipv4,
        .vnetwork = ipv4(options->network),
        .vnetmask = ipv4(options->mask),
        .vhost = ipv4(options->host),
        .in6_enabled = !options->no_ipv6,
        .vprefix_addr6 = ipv6(options->prefix6),
        .vprefix_len = options->prefix6_bits,
        .vhost6 = ipv6(options->host6),
        .vhostname = options->hostname,
        .tftp_server_name = options->tftp_server,
        .tftp_path = options->tftp_directory,
        .bootfile = options->bootfile,
        .vdhcp_start = ipv4(options->dhcp_start),
        .vnameserver = ipv4(options->dns),
        .vnameserver6 = ipv6(options->dns6),
        .vdnssearch = options->dns_search,
        .vdomainname = options->domain,
        .if_mtu = ROUTER_MTU,
        .if_mru = ROUTER_MRU,
    };
    user->slirp = slirp_new(&config, &callbacks, user);
    if (!user->slirp) {
        snprintf(error, error_bytes, "the user network cannot be set up");
        destroy(&user->backend);
        return NULL;
    }
    if (!add_forwards(user, options, error, error_bytes)) {
        destroy(&user->backend);
        return NULL;
    }
    net_loop_add(loop, &user->backend.source);
    return &user->backend;
}
