#include "vhost_user.h"

#include "base/host_time.h"
#include "base/log.h"
#include "message.h"
#include "net/loop.h"
#include "ring.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), NULL)

/* The address of the rings in the memory that the back end sees: beyond any address of the guest's RAM. */
#define RINGS_GPA (1ull << 46)

/* A letter that waits so long interrupts the vCPU thread. */
#define HURRY_AFTER_NS 15000u

struct vhost_user {
    struct vhost vhost; /* first */
    struct vhost_socket socket;
    struct vhost_memory memory;
    char *name; /* for messages */
    const struct vhost_device_ops *ops;
    void *device;
    u64 common; /* features of the transport, not of the device */
    int rings_fd;
    u8 *rings_memory;
    unsigned queues; /* queues that are served; 0: stopped */
    bool told;       /* the device knows that the back end is lost */
    struct vhost_ring ring[VHOST_QUEUES];
    int kick_fd[VHOST_QUEUES], call_fd[VHOST_QUEUES];

    struct net_loop loop;
    struct net_source source;
    struct mailbox *box;
    struct letter letter;
    u32 letter_under_way; /* atomic */
    u32 hung_up;          /* atomic: the connection has ended */
    u64 hurry_at;         /* the thread's; 0: no letter waits */
};

static struct vhost_user *user_of(struct vhost *vhost)
{
    return container_of(vhost, struct vhost_user, vhost);
}

/* --- the thread --- */

static void fill(struct net_source *source, struct net_poll *poll)
{
    struct vhost_user *user = container_of(source, struct vhost_user, source);
    for (unsigned n = 0; n < VHOST_QUEUES; n++)
        net_poll_add(poll, user->call_fd[n], POLLIN);
    if (!__atomic_load_n(&user->hung_up, __ATOMIC_RELAXED)) net_poll_add(poll, user->socket.fd, POLLRDHUP);
    if (user->hurry_at) net_poll_until(poll, user->hurry_at);
}

static void write_letter(struct vhost_user *user)
{
    if (__atomic_exchange_n(&user->letter_under_way, 1, __ATOMIC_SEQ_CST)) return;
    mailbox_send_soon(user->box, &user->letter);
    if (!user->hurry_at) user->hurry_at = host_now_ns() + HURRY_AFTER_NS;
}

static void ready(struct net_source *source, const struct net_poll *poll)
{
    struct vhost_user *user = container_of(source, struct vhost_user, source);
    for (unsigned n = 0; n < poll->count; n++) {
        const struct pollfd *fd = &poll->fds[n];
        u64 calls;
        if (!fd->revents) continue;
        for (unsigned q = 0; q < VHOST_QUEUES; q++)
            if (fd->fd == user->call_fd[q] && read(fd->fd, &calls, sizeof(calls)) > 0) write_letter(user);
        if (fd->fd == user->socket.fd) {
            __atomic_store_n(&user->hung_up, 1, __ATOMIC_SEQ_CST);
            write_letter(user);
        }
    }
}

static void hurry(struct vhost_user *user)
{
    if (!user->hurry_at) return;
    user->hurry_at = 0;
    mailbox_hurry(user->box);
}

static bool work(struct net_source *source)
{
    struct vhost_user *user = container_of(source, struct vhost_user, source);
    if (user->hurry_at && host_now_ns() >= user->hurry_at) hurry(user);
    return false;
}

static void rest(struct net_source *source)
{
    hurry(container_of(source, struct vhost_user, source));
}

/* --- used chains --- */

static void lose(struct vhost_user *user, const char *why)
{
    if (!user->socket.trouble) user->socket.trouble = why;
    if (user->told) return;
    user->told = true;
    user->queues = 0;
    log_warn("the vhost-user back end at %s %s: its device does not work any more", user->name,
             user->socket.trouble);
    if (user->ops) user->ops->lost(user->device, user->socket.trouble);
}

/* Returns false when the back end is lost. */
static bool take_used(struct vhost_user *user, unsigned queue)
{
    struct vhost_ring *ring = &user->ring[queue];
    enum vhost_taken taken;
    u32 written;
    u16 cookie;
    bool any = false;
    while ((taken = vhost_ring_take(ring, &cookie, &written)) == RING_TAKEN) {
        user->ops->used(user->device, queue, cookie, written);
        any = true;
    }
    if (any) user->ops->settled(user->device, queue);
    if (taken == RING_LIES) lose(user, "gives back buffers that it does not have");
    return taken == RING_EMPTY;
}

static void run_letter(struct letter *letter)
{
    struct vhost_user *user = container_of(letter, struct vhost_user, letter);
    __atomic_store_n(&user->letter_under_way, 0, __ATOMIC_SEQ_CST);
    for (unsigned n = 0; n < user->queues; n++)
        if (!take_used(user, n)) return;
    if (__atomic_load_n(&user->hung_up, __ATOMIC_SEQ_CST)) lose(user, "has closed its socket");
}

/* --- start and stop --- */

static bool tell_memory(struct vhost_user *user)
{
    struct {
        u32 count, padding;
        struct {
            u64 gpa, bytes, address, offset;
        } region[VHOST_REGIONS + 1];
    } table = {0};
    int fds[VHOST_REGIONS + 1];
    for (unsigned n = 0; n < user->memory.regions; n++) {
        const struct vhost_region *region = &user->memory.region[n];
        fds[table.count] = user->memory.fd;
        table.region[table.count].gpa = region->gpa;
        table.region[table.count].bytes = region->bytes;
        table.region[table.count].address = (u64)(uintptr_t)region->host;
        table.region[table.count++].offset = region->offset;
    }
    fds[table.count] = user->rings_fd;
    table.region[table.count].gpa = RINGS_GPA;
    table.region[table.count].bytes = VHOST_QUEUES * RING_BYTES;
    table.region[table.count++].address = (u64)(uintptr_t)user->rings_memory;
    return vhost_tell(&user->socket, VHOST_SET_MEM_TABLE, &table, 8 + table.count * sizeof(table.region[0]),
                      fds, table.count);
}

static bool start_queue(struct vhost_user *user, unsigned queue)
{
    struct vhost_socket *socket = &user->socket;
    u64 ring = (u64)(uintptr_t)user->ring[queue].memory;
    struct {
        u32 queue, flags;
        u64 descriptors, device, driver, log;
    } address = {queue, 0, ring, ring + RING_DEVICE_OFFSET, ring + RING_DRIVER_OFFSET, 0};
    vhost_ring_clear(&user->ring[queue]);
    return vhost_tell_queue(socket, VHOST_SET_VRING_NUM, queue, VHOST_ENTRIES) &&
           vhost_tell_queue(socket, VHOST_SET_VRING_BASE, queue, 0) &&
           vhost_tell(socket, VHOST_SET_VRING_ADDR, &address, sizeof(address), NULL, 0) &&
           vhost_tell_fd(socket, VHOST_SET_VRING_CALL, queue, user->call_fd[queue]) &&
           vhost_tell_fd(socket, VHOST_SET_VRING_KICK, queue, user->kick_fd[queue]) &&
           (!(user->common & VHOST_F_PROTOCOL_FEATURES) ||
            vhost_tell_queue(socket, VHOST_SET_VRING_ENABLE, queue, 1));
}

static bool start(struct vhost *vhost, u64 features, unsigned queues)
{
    struct vhost_user *user = user_of(vhost);
    bool good = !user->told && vhost_tell_u64(&user->socket, VHOST_SET_FEATURES, features | user->common) &&
                tell_memory(user);
    for (unsigned n = 0; n < queues && good; n++)
        good = start_queue(user, n);
    if (good)
        user->queues = queues;
    else
        lose(user, "cannot be started");
    return good;
}

/* The answer means that the back end has done with the ring's buffers. */
static bool stop_queue(struct vhost_user *user, unsigned queue)
{
    u32 payload[] = {queue, 0}, answer[2];
    return vhost_ask(&user->socket, VHOST_GET_VRING_BASE, payload, sizeof(payload), answer, sizeof(answer)) &&
           (!(user->common & VHOST_F_PROTOCOL_FEATURES) ||
            vhost_tell_queue(&user->socket, VHOST_SET_VRING_ENABLE, queue, 0));
}

static void stop(struct vhost *vhost)
{
    struct vhost_user *user = user_of(vhost);
    unsigned queues = user->queues;
    bool good = true;
    user->queues = 0;
    for (unsigned n = 0; n < queues && good; n++)
        good = stop_queue(user, n);
    if (!good) lose(user, "does not stop");
}

/* --- chains --- */

static bool is_in_memory(const struct vhost_memory *memory, const struct vhost_piece *piece)
{
    for (unsigned n = 0; n < memory->regions; n++) {
        const struct vhost_region *region = &memory->region[n];
        if (piece->gpa >= region->gpa && piece->gpa - region->gpa < region->bytes)
            return piece->bytes <= region->bytes - (piece->gpa - region->gpa);
    }
    return false;
}

static enum vhost_added add(struct vhost *vhost, unsigned queue, const struct vhost_piece *piece,
                            unsigned pieces, u16 cookie)
{
    struct vhost_user *user = user_of(vhost);
    if (queue >= user->queues) return VHOST_FULL;
    for (unsigned n = 0; n < pieces; n++)
        if (!is_in_memory(&user->memory, &piece[n])) return VHOST_IMPOSSIBLE;
    return vhost_ring_add(&user->ring[queue], piece, pieces, cookie) ? VHOST_ADDED : VHOST_FULL;
}

static void kick(struct vhost *vhost, unsigned queue)
{
    struct vhost_user *user = user_of(vhost);
    u64 one = 1;
    if (queue >= user->queues || !vhost_ring_wants_kick(&user->ring[queue])) return;
    if (write(user->kick_fd[queue], &one, sizeof(one)) < 0) { /* it has been kicked often enough */
    }
}

/* --- configuration --- */

enum { CONFIG_HEAD_BYTES = 12, CONFIG_BYTES = 256 };

static bool config_read(struct vhost *vhost, u32 offset, u8 *bytes, u32 count)
{
    struct vhost_user *user = user_of(vhost);
    u8 payload[CONFIG_HEAD_BYTES + CONFIG_BYTES] = {0}, answer[sizeof(payload)];
    u32 head[] = {offset, count, 0};
    if (!vhost->has_config || count > CONFIG_BYTES) return false;
    memcpy(payload, head, sizeof(head));
    if (!vhost_ask(&user->socket, VHOST_GET_CONFIG, payload, CONFIG_HEAD_BYTES + count, answer,
                   CONFIG_HEAD_BYTES + count))
        return false;
    memcpy(bytes, answer + CONFIG_HEAD_BYTES, count);
    return true;
}

static bool config_write(struct vhost *vhost, u32 offset, const u8 *bytes, u32 count)
{
    struct vhost_user *user = user_of(vhost);
    u8 payload[CONFIG_HEAD_BYTES + CONFIG_BYTES];
    u32 head[] = {offset, count, 0};
    if (!vhost->has_config || count > CONFIG_BYTES) return false;
    memcpy(payload, head, sizeof(head));
    memcpy(payload + CONFIG_HEAD_BYTES, bytes, count);
    return vhost_tell(&user->socket, VHOST_SET_CONFIG, payload, CONFIG_HEAD_BYTES + count, NULL, 0);
}

static void attach(struct vhost *vhost, const struct vhost_device_ops *ops, void *device)
{
    struct vhost_user *user = user_of(vhost);
    user->ops = ops;
    user->device = device;
}

/* --- set-up --- */

static bool negotiate(struct vhost_user *user)
{
    const u64 wanted = VHOST_PROTOCOL_MQ | VHOST_PROTOCOL_REPLY_ACK | VHOST_PROTOCOL_CONFIG;
    struct vhost_socket *socket = &user->socket;
    u64 features, protocol = 0;
    if (!vhost_ask_u64(socket, VHOST_GET_FEATURES, &features)) return false;
    user->common = features & VHOST_F_PROTOCOL_FEATURES;
    user->vhost.features = features & ~user->common;
    if (user->common) {
        if (!vhost_ask_u64(socket, VHOST_GET_PROTOCOL_FEATURES, &protocol)) return false;
        protocol &= wanted;
        if (!vhost_tell_u64(socket, VHOST_SET_PROTOCOL_FEATURES, protocol)) return false;
    }
    user->vhost.has_config = protocol & VHOST_PROTOCOL_CONFIG;
    if (!vhost_tell(socket, VHOST_SET_OWNER, NULL, 0, NULL, 0)) return false;
    socket->acknowledges = protocol & VHOST_PROTOCOL_REPLY_ACK;
    return true;
}

/* Returns 0 or -errno. */
static int make_rings(struct vhost_user *user)
{
    const u64 bytes = VHOST_QUEUES * RING_BYTES;
    user->rings_fd = memfd_create("ringer-vhost", MFD_CLOEXEC);
    if (user->rings_fd < 0 || ftruncate(user->rings_fd, (off_t)bytes) < 0) return -errno;
    user->rings_memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, user->rings_fd, 0);
    if (user->rings_memory == MAP_FAILED) return -errno;
    for (unsigned n = 0; n < VHOST_QUEUES; n++) {
        user->ring[n].memory = user->rings_memory + n * RING_BYTES;
        user->kick_fd[n] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        user->call_fd[n] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (user->kick_fd[n] < 0 || user->call_fd[n] < 0) return -errno;
    }
    return 0;
}

static void free_user(struct vhost_user *user)
{
    if (user->rings_memory != MAP_FAILED) munmap(user->rings_memory, VHOST_QUEUES * RING_BYTES);
    for (unsigned n = 0; n < VHOST_QUEUES; n++) {
        if (user->kick_fd[n] >= 0) close(user->kick_fd[n]);
        if (user->call_fd[n] >= 0) close(user->call_fd[n]);
    }
    if (user->rings_fd >= 0) close(user->rings_fd);
    if (user->socket.fd >= 0) close(user->socket.fd);
    free(user->name);
    free(user);
}

struct vhost *vhost_user_over(int fd, const char *name, const struct vhost_memory *memory,
                              struct mailbox *box, char *error, size_t error_bytes)
{
    struct vhost_user *user = calloc(1, sizeof(*user));
    if (!user) {
        close(fd);
        return SAY("out of memory");
    }
    user->vhost = (struct vhost){.attach = attach,
                                 .start = start,
                                 .stop = stop,
                                 .add = add,
                                 .kick = kick,
                                 .config_read = config_read,
                                 .config_write = config_write};
    user->socket.fd = fd;
    user->memory = *memory;
    user->box = box;
    user->letter.run = run_letter;
    user->name = strdup(name);
    user->rings_memory = MAP_FAILED;
    user->rings_fd = -1;
    for (unsigned n = 0; n < VHOST_QUEUES; n++)
        user->kick_fd[n] = user->call_fd[n] = -1;
    struct timeval patience = {.tv_sec = VHOST_ANSWER_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    int failed = user->name ? make_rings(user) : -ENOMEM;
    if (!failed && !negotiate(user)) {
        snprintf(error, error_bytes, "the vhost-user back end at %s %s", name, user->socket.trouble);
        free_user(user);
        return NULL;
    }
    if (!failed) failed = net_loop_init(&user->loop, ROLE_NETWORK);
    if (!failed) {
        user->source = (struct net_source){.fill = fill, .ready = ready, .work = work, .rest = rest};
        net_loop_add(&user->loop, &user->source);
        failed = net_loop_start(&user->loop);
        if (failed) net_loop_destroy(&user->loop);
    }
    if (!failed) return &user->vhost;
    free_user(user);
    return SAY("cannot have a vhost-user device: %s", strerror(-failed));
}

void vhost_user_close(struct vhost *vhost)
{
    struct vhost_user *user = user_of(vhost);
    user->ops = NULL;
    user->told = true; /* its receiver is gone */
    stop(vhost);
    net_loop_destroy(&user->loop);
    mailbox_withdraw(user->box, &user->letter);
    free_user(user);
}

/* --- the connection --- */

/* The signals that end Ringer are blocked, and no thread reads them yet. */
static bool is_interrupted(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
           sigismember(&pending, SIGHUP) == 1;
}

/* Returns a connected socket, or -errno. */
static int wait_for_back_end(int fd, const char *path)
{
    if (listen(fd, 1) < 0) return -errno;
    log_warn("waiting for a vhost-user back end to connect to %s", path);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (poll(&wait, 1, 200) <= 0)
        if (is_interrupted()) return -EINTR;
    int connected = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    return connected >= 0 ? connected : -errno;
}

struct vhost *vhost_user_open(const char *path, bool server, const struct vhost_memory *memory,
                              struct mailbox *box, char *error, size_t error_bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) return SAY("the path of a socket is too long: %s", path);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), connected = fd, failed = fd < 0 ? -errno : 0;
    if (!failed && server) {
        unlink(path);
        failed = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        if (!failed) connected = wait_for_back_end(fd, path);
        if (connected < 0) failed = connected;
    } else if (!failed) {
        failed = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    }
    if (fd >= 0 && (server || failed)) close(fd);
    if (failed) return SAY("no vhost-user back end at %s: %s", path, strerror(-failed));
    return vhost_user_over(connected, path, memory, box, error, error_bytes);
}
