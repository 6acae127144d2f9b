/*
 * The front end of vhost-user with a back end in a thread: its messages about memory and rings must let the back end
 * serve chains. It must detect a back end that dies, answers nonsense or returns chains that it was not given.
 */
#include "check.h"
#include "vhost/message.h"
#include "vhost/ring.h"
#include "vhost/vhost_user.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RAM_BYTES = 1 << 20, HIGH_OFFSET = 1 << 19 };
#define HIGH_GPA (4ull << 30)

enum fault {
    HOLDS,
    DIES_AT_ONCE,
    ANSWERS_ANOTHER,
    ANSWERS_SHORT,
    ANSWERS_NO_ANSWER,
    REFUSES,
    DIES_WHEN_KICKED,
    GIVES_UNKNOWN,
    GIVES_TWICE,
    GIVES_TOO_MANY,
};

/* --- the back end --- */

struct back_end {
    int fd;
    enum fault fault;
    u64 features, config_written;
    unsigned regions;
    struct {
        u64 gpa, bytes, address, offset;
        u8 *host;
    } region[4];
    struct {
        u32 entries, enabled;
        u8 *descriptors, *driver, *device;
        int kick, call;
        u16 seen;
    } queue[VHOST_QUEUES];
    u64 served;
    bool quit; /* the front end has closed its end */
};

static u8 *find(const struct back_end *b, u64 at, bool by_address)
{
    for (unsigned n = 0; n < b->regions; n++) {
        u64 start = by_address ? b->region[n].address : b->region[n].gpa;
        if (at >= start && at - start < b->region[n].bytes) return b->region[n].host + (at - start);
    }
    return NULL;
}

static void map_memory(struct back_end *b, const u8 *payload, const int *fds)
{
    b->regions = (unsigned)load_any(payload, 4);
    CHECK(b->regions <= 4);
    for (unsigned n = 0; n < b->regions; n++) {
        const u8 *at = payload + 8 + n * 32;
        b->region[n].gpa = load_any(at, 8);
        b->region[n].bytes = load_any(at + 8, 8);
        b->region[n].address = load_any(at + 16, 8);
        b->region[n].offset = load_any(at + 24, 8);
        b->region[n].host = mmap(NULL, b->region[n].bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds[n],
                                 (off_t)b->region[n].offset);
        CHECK(b->region[n].host != MAP_FAILED);
        close(fds[n]);
    }
}

/* Returns the bytes of the answer, which begin the payload; 0: none. */
static u32 obey(struct back_end *b, u32 request, u8 *payload, const int *fds)
{
    u32 queue = (u32)load_any(payload, 4) % VHOST_QUEUES, value = (u32)load_any(payload + 4, 4);
    switch (request) {
    case VHOST_GET_FEATURES:
        store_any(payload, 8, VHOST_F_PROTOCOL_FEATURES | 1ull << 32 | 1ull << 5);
        return 8;
    case VHOST_GET_PROTOCOL_FEATURES: store_any(payload, 8, ~0ull); return 8;
    case VHOST_SET_FEATURES: b->features = load_any(payload, 8); break;
    case VHOST_SET_MEM_TABLE: map_memory(b, payload, fds); break;
    case VHOST_SET_VRING_NUM: b->queue[queue].entries = value; break;
    case VHOST_SET_VRING_ADDR:
        b->queue[queue].descriptors = find(b, load_any(payload + 8, 8), true);
        b->queue[queue].device = find(b, load_any(payload + 16, 8), true);
        b->queue[queue].driver = find(b, load_any(payload + 24, 8), true);
        CHECK(b->queue[queue].descriptors && b->queue[queue].device && b->queue[queue].driver);
        break;
    case VHOST_SET_VRING_BASE: b->queue[queue].seen = (u16)value; break;
    case VHOST_GET_VRING_BASE: store_any(payload + 4, 4, b->queue[queue].seen); return 8;
    case VHOST_SET_VRING_KICK: b->queue[queue].kick = fds[0]; break;
    case VHOST_SET_VRING_CALL: b->queue[queue].call = fds[0]; break;
    case VHOST_SET_VRING_ENABLE: b->queue[queue].enabled = value; break;
    case VHOST_GET_CONFIG: memset(payload + 12, 0x5a, value); return 12 + value;
    case VHOST_SET_CONFIG: b->config_written = payload[12]; break;
    default: break;
    }
    return 0;
}

static void give(struct back_end *b, unsigned n, u32 head, u32 written)
{
    u8 *device = b->queue[n].device;
    u16 index = (u16)load_any(device + 2, 2);
    store_any(device + 4 + index % VHOST_ENTRIES * 8, 8, head | (u64)written << 32);
    __atomic_store_n((any16 *)(device + 2), index + 1, __ATOMIC_RELEASE);
}

/* Copies the chain's readable bytes to its writable ones, in upper case. */
static void serve_chain(struct back_end *b, unsigned n, u16 head)
{
    u8 text[256];
    u32 count = 0, written = 0;
    for (u16 at = head;;) {
        const u8 *descriptor = b->queue[n].descriptors + at * 16;
        u8 *buffer = find(b, load_any(descriptor, 8), false);
        u32 bytes = (u32)load_any(descriptor + 8, 4);
        u16 flags = (u16)load_any(descriptor + 12, 2);
        CHECK(buffer != NULL);
        for (u32 i = 0; i < bytes && !(flags & 2); i++)
            text[count++] = (u8)(buffer[i] & ~0x20);
        for (u32 i = 0; i < bytes && flags & 2 && written < count; i++)
            buffer[i] = text[written++];
        if (!(flags & 1)) break;
        at = (u16)load_any(descriptor + 14, 2);
    }
    give(b, n, b->fault == GIVES_UNKNOWN ? head + 500u : head, written);
    if (b->fault == GIVES_TWICE) give(b, n, head, written);
    for (unsigned i = 0; i < 2000 && b->fault == GIVES_TOO_MANY; i++)
        give(b, n, head, written);
    b->served++;
}

static void serve(struct back_end *b)
{
    for (unsigned n = 0; n < VHOST_QUEUES; n++) {
        bool any = false;
        u64 one = 1;
        if (!b->queue[n].enabled) continue;
        while (b->queue[n].seen != __atomic_load_n((any16 *)(b->queue[n].driver + 2), __ATOMIC_ACQUIRE)) {
            if (b->fault == DIES_WHEN_KICKED) {
                shutdown(b->fd, SHUT_RDWR);
                b->quit = true;
                return;
            }
            u16 slot = b->queue[n].seen++ % VHOST_ENTRIES;
            serve_chain(b, n, (u16)load_any(b->queue[n].driver + 4 + slot * 2, 2));
            any = true;
        }
        if (any) CHECK(write(b->queue[n].call, &one, sizeof(one)) == sizeof(one));
    }
}

/* Returns false at the end of the connection. */
static bool take_message(struct back_end *b)
{
    u32 head[3];
    u8 payload[600] = {0};
    int fds[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    char control[CMSG_SPACE(sizeof(fds))];
    struct iovec piece = {head, sizeof(head)};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    if (recvmsg(b->fd, &message, MSG_WAITALL) != sizeof(head)) return false;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    if (rights) memcpy(fds, CMSG_DATA(rights), rights->cmsg_len - CMSG_LEN(0));
    CHECK(head[2] <= sizeof(payload));
    if (head[2] && recv(b->fd, payload, head[2], MSG_WAITALL) != (ssize_t)head[2]) return false;
    CHECK_EQ(head[1] & 7, 1);
    u32 bytes = obey(b, head[0], payload, fds);
    if (!bytes && head[1] & 8) {
        store_any(payload, 8, b->fault == REFUSES);
        bytes = 8;
    }
    if (!bytes) return true;
    u32 answer[] = {b->fault == ANSWERS_ANOTHER ? 77 : head[0], b->fault == ANSWERS_NO_ANSWER ? 1 : 5,
                    b->fault == ANSWERS_SHORT ? 4 : bytes};
    return send(b->fd, answer, sizeof(answer), MSG_NOSIGNAL) == sizeof(answer) &&
           send(b->fd, payload, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static void *back_end_main(void *argument)
{
    struct back_end *b = argument;
    bool alive = b->fault != DIES_AT_ONCE;
    while (alive && !b->quit) {
        u8 peek;
        ssize_t there = recv(b->fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT);
        if (there == 0) break;
        if (there > 0) alive = take_message(b);
        if (alive) serve(b);
        if (there < 0) sched_yield();
    }
    shutdown(b->fd, SHUT_RDWR);
    close(b->fd);
    for (unsigned n = 0; n < b->regions; n++)
        munmap(b->region[n].host, b->region[n].bytes);
    for (unsigned n = 0; n < VHOST_QUEUES; n++) {
        if (b->queue[n].kick > 0) close(b->queue[n].kick);
        if (b->queue[n].call > 0) close(b->queue[n].call);
    }
    return NULL;
}

/* --- the device --- */

static struct mailbox box;
static struct vhost_memory memory;
static u8 *ram;
static struct back_end back_end;
static pthread_t thread;
static unsigned used_count, settled_count, lost_count;
static u16 used_cookie;
static u32 used_written;

static void used(void *device, unsigned queue, u16 cookie, u32 written)
{
    used_count++;
    used_cookie = cookie;
    used_written = written;
}

static void settled(void *device, unsigned queue)
{
    settled_count++;
}

static void lost(void *device, const char *why)
{
    lost_count++;
}

static const struct vhost_device_ops ops = {used, settled, lost};

static struct vhost *connect_back_end(enum fault fault)
{
    int fds[2];
    char error[256] = "";
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    back_end = (struct back_end){.fd = fds[1], .fault = fault};
    used_count = settled_count = lost_count = 0;
    box.newest = NULL;
    CHECK(!pthread_create(&thread, NULL, back_end_main, &back_end));
    struct vhost *vhost = vhost_user_over(fds[0], "a test", &memory, &box, error, sizeof(error));
    if (vhost)
        vhost->attach(vhost, &ops, NULL);
    else
        CHECK(!strncmp(error, "the vhost-user back end at a test ", 34));
    return vhost;
}

static void disconnect(struct vhost *vhost)
{
    if (vhost) vhost_user_close(vhost);
    pthread_join(thread, NULL);
}

static void wait_for(const unsigned *count, unsigned value)
{
    while (*count < value)
        if (!mailbox_run(&box)) sched_yield();
}

static enum vhost_added add_text(struct vhost *vhost, u64 gpa, const char *text, u16 cookie)
{
    u8 *at = gpa < HIGH_GPA ? ram + gpa : ram + HIGH_OFFSET + (gpa - HIGH_GPA);
    u32 bytes = (u32)strlen(text);
    strcpy((char *)at, text);
    struct vhost_piece piece[] = {
        {gpa, 2, false}, {gpa + 2, bytes - 2, false}, {gpa + 100, 3, true}, {gpa + 200, 50, true}};
    return vhost->add(vhost, 1, piece, 4, cookie);
}

static void test_service(void)
{
    struct vhost *vhost = connect_back_end(HOLDS);
    u8 config[8] = {0};
    CHECK_EQ(vhost->features, 1ull << 32 | 1ull << 5);
    CHECK(vhost->has_config && vhost->config_read(vhost, 0, config, 8) && config[7] == 0x5a);
    CHECK_EQ(add_text(vhost, 4096, "early", 1), VHOST_FULL); /* not started */
    CHECK(vhost->start(vhost, 1ull << 32, 2));
    CHECK(vhost->config_write(vhost, 3, (u8[]){9}, 1));
    CHECK_EQ(back_end.config_written, 9);
    CHECK_EQ(back_end.features, 1ull << 32 | VHOST_F_PROTOCOL_FEATURES);
    CHECK_EQ(add_text(vhost, 4096, "some text", 7), VHOST_ADDED);
    vhost->kick(vhost, 1);
    wait_for(&used_count, 1);
    CHECK_EQ(used_cookie, 7);
    CHECK_EQ(used_written, 9);
    CHECK(!memcmp(ram + 4096 + 100, "SOM", 3) && !memcmp(ram + 4096 + 200, "E\0TEXT", 6));
    CHECK_EQ(add_text(vhost, HIGH_GPA + 8192, "more text", 8), VHOST_ADDED);
    vhost->kick(vhost, 1);
    wait_for(&used_count, 2);
    CHECK_EQ(used_cookie, 8);
    CHECK(!memcmp(ram + HIGH_OFFSET + 8192 + 100, "MOR", 3));
    CHECK_EQ(add_text(vhost, HIGH_OFFSET - 120, "crosses", 9), VHOST_IMPOSSIBLE);
    /* So many that the ring is full again and again, and free descriptors come in any order. */
    for (unsigned round = 0, added = 0; round < 5000; round++) {
        if (add_text(vhost, 4096 + round % 50 * 256, "abc", (u16)round) != VHOST_FULL) added++;
        if (round % 7 == 0) vhost->kick(vhost, 1);
        if (added % 200 == 0) {
            vhost->kick(vhost, 1);
            wait_for(&used_count, 2 + added);
        }
        if (round == 4999) {
            vhost->kick(vhost, 1);
            wait_for(&used_count, 2 + added);
        }
    }
    /* After a stop and a start the rings are new. */
    vhost->stop(vhost);
    unsigned before = used_count;
    CHECK_EQ(add_text(vhost, 4096, "early", 1), VHOST_FULL);
    CHECK(vhost->start(vhost, 1ull << 32, 2));
    CHECK_EQ(add_text(vhost, 4096, "again", 3), VHOST_ADDED);
    vhost->kick(vhost, 1);
    wait_for(&used_count, before + 1);
    CHECK_EQ(used_cookie, 3);
    CHECK_EQ(lost_count, 0);
    disconnect(vhost);
}

/* A ring alone: what is full, and that no descriptor gets lost. */
static void test_ring(void)
{
    static struct vhost_ring ring;
    struct vhost_piece piece[10] = {{4096, 10, false}};
    u16 cookie;
    u32 written;
    ring.memory = calloc(1, RING_BYTES);
    for (unsigned round = 0; round < 3; round++) {
        vhost_ring_clear(&ring);
        unsigned chains = 0;
        while (vhost_ring_add(&ring, piece, 10, (u16)chains))
            chains++;
        CHECK_EQ(chains, VHOST_ENTRIES / 10);
        CHECK(vhost_ring_add(&ring, piece, 4, 1000) && !vhost_ring_add(&ring, piece, 1, 1000));
        CHECK_EQ(vhost_ring_take(&ring, &cookie, &written), RING_EMPTY);
        u8 *device = ring.memory + RING_DEVICE_OFFSET;
        store_any(device + 4, 8, 0);
        store_any(device + 2, 2, 1);
        CHECK_EQ(vhost_ring_take(&ring, &cookie, &written), RING_TAKEN);
        CHECK_EQ(cookie, 0);
        CHECK(vhost_ring_add(&ring, piece, 10, 5) && !vhost_ring_add(&ring, piece, 1, 5));
        CHECK(vhost_ring_wants_kick(&ring));
        store_any(device, 2, 1);
        CHECK(!vhost_ring_wants_kick(&ring));
    }
    CHECK(!vhost_ring_add(&ring, piece, 0, 5));
    free(ring.memory);
}

static void test_faults(void)
{
    for (enum fault fault = DIES_AT_ONCE; fault <= ANSWERS_NO_ANSWER; fault++)
        disconnect(connect_back_end(fault) ? NULL : NULL);
    struct vhost *vhost = connect_back_end(REFUSES);
    CHECK(vhost && !vhost->start(vhost, 0, 2));
    CHECK_EQ(lost_count, 1);
    CHECK(!vhost->start(vhost, 0, 2));
    disconnect(vhost);
    for (enum fault fault = DIES_WHEN_KICKED; fault <= GIVES_TOO_MANY; fault++) {
        vhost = connect_back_end(fault);
        CHECK(vhost && vhost->start(vhost, 0, 2));
        CHECK_EQ(add_text(vhost, 4096, "some text", 7), VHOST_ADDED);
        vhost->kick(vhost, 1);
        wait_for(&lost_count, 1);
        CHECK(used_count <= 1);
        vhost->stop(vhost); /* at once: there is no back end to wait for */
        CHECK(!vhost->start(vhost, 0, 2));
        CHECK_EQ(lost_count, 1);
        disconnect(vhost);
    }
    char error[256];
    CHECK(!vhost_user_open("/nonexistent/socket", false, &memory, &box, error, sizeof(error)));
    CHECK(!strcmp(error, "no vhost-user back end at /nonexistent/socket: No such file or directory"));
}

int main(void)
{
    memory.fd = memfd_create("ram", MFD_CLOEXEC);
    CHECK(!ftruncate(memory.fd, RAM_BYTES));
    ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
    memory.regions = 2;
    memory.region[0] = (struct vhost_region){0, HIGH_OFFSET, 0, ram};
    memory.region[1] =
        (struct vhost_region){HIGH_GPA, RAM_BYTES - HIGH_OFFSET, HIGH_OFFSET, ram + HIGH_OFFSET};
    test_ring();
    test_service();
    test_faults();
    return check_report();
}
