/*
 * Hostile vhost-user back ends. Input: a byte with what the device does; then, after a byte for their length, the bytes
 * that the back end answers, before it closes its socket; then what it does to a ring: an operation a byte, with
 * arguments behind it. Whatever comes, descriptors are neither lost nor given out twice, and cookies are those of
 * chains that are with the back end.
 */
#include "input.h"

#include "vhost/message.h"
#include "vhost/ring.h"
#include "vhost/vhost_user.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- answers --- */

static void used(void *device, unsigned queue, u16 cookie, u32 written)
{
    abort(); /* its rings are empty */
}

static void settled(void *device, unsigned queue) {}

static void lost(void *device, const char *why)
{
    if (!why) abort();
    ++*(unsigned *)device;
}

static const struct vhost_device_ops ops = {used, settled, lost};

static void answer(struct input *in, u32 choice)
{
    static struct vhost_memory memory;
    static u8 *ram;
    struct mailbox box = {0};
    unsigned losses = 0;
    char error[256];
    u8 config[256];
    int fds[2];
    if (!ram) {
        memory.fd = memfd_create("ram", MFD_CLOEXEC);
        if (ftruncate(memory.fd, PAGE_SIZE)) abort();
        ram = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
        memory.regions = 1;
        memory.region[0] = (struct vhost_region){0, PAGE_SIZE, 0, ram};
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) abort();
    u32 bytes = take(in, 2) % 2048;
    if (bytes > (u32)(in->end - in->at)) bytes = (u32)(in->end - in->at);
    if (send(fds[1], in->at, bytes, 0) != (ssize_t)bytes) abort();
    in->at += bytes;
    shutdown(fds[1], SHUT_WR);
    struct vhost *vhost = vhost_user_over(fds[0], "a test", &memory, &box, error, sizeof(error));
    if (vhost) {
        vhost->attach(vhost, &ops, &losses);
        vhost->config_read(vhost, 0, config, choice & 0xff);
        vhost->start(vhost, choice, 1 + choice % VHOST_QUEUES);
        vhost->add(vhost, 0, &(struct vhost_piece){choice, choice * 16, false}, 1, 0);
        vhost->kick(vhost, 0);
        vhost->stop(vhost);
        vhost->start(vhost, choice, 1);
        vhost_user_close(vhost);
        if (losses > 1) abort();
    }
    close(fds[1]);
}

/* --- a ring --- */

static void check(const struct vhost_ring *ring)
{
    u8 seen[VHOST_ENTRIES] = {0};
    unsigned count = 0;
    for (unsigned n = 0, at = ring->free_head; n < ring->free_count; n++, at = ring->next[at]) {
        if (at >= VHOST_ENTRIES || seen[at]++) abort();
        count++;
    }
    for (unsigned head = 0; head < VHOST_ENTRIES; head++)
        for (unsigned n = 0, at = head; n < ring->count[head]; n++, at = ring->next[at]) {
            if (at >= VHOST_ENTRIES || seen[at]++) abort();
            count++;
        }
    if (count != VHOST_ENTRIES) abort();
}

static void play(struct input *in)
{
    static struct vhost_ring ring;
    static u8 with_back_end[65536];
    struct vhost_piece piece[64] = {{0, 1, false}};
    u16 cookie, next = 0;
    u32 written;
    if (!ring.memory) ring.memory = malloc(RING_BYTES);
    memset(with_back_end, 0, sizeof(with_back_end));
    vhost_ring_clear(&ring);
    for (unsigned steps = 0; in->at < in->end && steps < 500; steps++) {
        u32 operation = take(in, 1) % 6, at = take(in, 2), value = take(in, 2);
        u8 *device = ring.memory + RING_DEVICE_OFFSET;
        switch (operation) {
        case 0:
            if (vhost_ring_add(&ring, piece, value % 64, next)) with_back_end[next++] = 1;
            break;
        case 1: store_any(device + 4 + at % VHOST_ENTRIES * 8, 8, value); break;
        case 2: store_any(device + 2, 2, (u64)ring.taken + value % 4); break;
        case 3: store_any(ring.memory + at % (RING_BYTES - 1), 2, value); break;
        case 4:
            while (vhost_ring_take(&ring, &cookie, &written) == RING_TAKEN) {
                if (!with_back_end[cookie]) abort();
                with_back_end[cookie] = 0;
            }
            break;
        default: vhost_ring_wants_kick(&ring); break;
        }
        check(&ring);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    struct input in = {data, data + bytes};
    u32 choice = take(&in, 1);
    answer(&in, choice);
    play(&in);
    return 0;
}
