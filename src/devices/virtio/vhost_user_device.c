#include "vhost_user_device.h"

#include "virtio_blk.h"
#include "virtio_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_NET_STATUS = 6 };

/* --- requests --- */

static void free_request(struct vhost_user_queue *queue, u16 number)
{
    queue->request[number].with_back_end = false;
    queue->request[number].next_free = queue->free;
    queue->free = number + 1;
}

static void free_all(struct vhost_user_device *device)
{
    for (unsigned n = 0; n < device->queues; n++) {
        device->queue[n].free = 0;
        device->queue[n].waits = false;
        for (u16 number = VIRTIO_QUEUE_SIZE; number-- > 0;)
            free_request(&device->queue[n], number);
    }
}

/* --- to the back end --- */

static enum vhost_added hand_over(struct vhost_user_device *device, unsigned n, u16 number)
{
    const struct virtio_chain *chain = &device->queue[n].request[number].chain;
    struct vhost_piece piece[VIRTIO_CHAIN_PARTS];
    unsigned pieces = (unsigned)chain->readable + chain->writable;
    for (unsigned i = 0; i < pieces; i++)
        piece[i] = (struct vhost_piece){chain->gpa[i], (u32)chain->part[i].iov_len, i >= chain->readable};
    return device->vhost->add(device->vhost, n, piece, pieces, number);
}

/* Hand over what the driver has offered, as far as there is room. */
static void forward(struct vhost_user_device *device, unsigned n)
{
    struct vhost_user_queue *queue = &device->queue[n];
    struct virtio *virtio = &device->virtio;
    bool any = false;
    while (queue->free) {
        u16 number = queue->free - 1;
        struct vhost_user_request *request = &queue->request[number];
        if (!queue->waits && !virtio_take(virtio, n, &request->chain)) break;
        enum vhost_added added = hand_over(device, n, number);
        queue->waits = added == VHOST_FULL;
        if (queue->waits) break;
        if (added == VHOST_IMPOSSIBLE) {
            virtio_break(virtio, "a buffer that is not in RAM");
            break;
        }
        queue->free = request->next_free;
        request->with_back_end = true;
        any = true;
    }
    if (any) device->vhost->kick(device->vhost, n);
}

/* Features of rings are between the driver and us. */
#define RING_FEATURES                                                                                        \
    (VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_RESET)

/* The back end is lost: what it had, and what the driver offers, fails. */
static void fail_all(struct vhost_user_device *device, unsigned n)
{
    struct vhost_user_queue *queue = &device->queue[n];
    struct virtio *virtio = &device->virtio;
    for (u16 number = 0; number < VIRTIO_QUEUE_SIZE; number++) {
        struct vhost_user_request *request = &queue->request[number];
        bool waits = queue->waits && queue->free == number + 1;
        if (!request->with_back_end && !waits) continue;
        request->with_back_end = queue->waits = false;
        virtio_give(virtio, &request->chain, device->kind->fail(&request->chain));
    }
    while (virtio_take(virtio, n, &queue->request[0].chain))
        virtio_give(virtio, &queue->request[0].chain, device->kind->fail(&queue->request[0].chain));
    virtio_interrupt(virtio, n);
}

/* A network card receives nothing any more: its empty buffers stay with it. */
static bool may_fail(const struct vhost_user_device *device, unsigned queue)
{
    return device->kind->type != VIRTIO_NET || queue != 0;
}

static void notify(struct virtio *virtio, unsigned queue)
{
    struct vhost_user_device *device = container_of(virtio, struct vhost_user_device, virtio);
    if (device->lost) {
        if (may_fail(device, queue)) fail_all(device, queue);
        return;
    }
    if (!device->started)
        device->started = device->vhost->start(
            device->vhost, virtio->accepted & device->vhost->features & ~RING_FEATURES, device->queues);
    if (device->started) forward(device, queue);
}

/* --- from the back end --- */

static void used(void *owner, unsigned n, u16 cookie, u32 written)
{
    struct vhost_user_device *device = owner;
    struct vhost_user_request *request = &device->queue[n].request[cookie];
    if (!request->with_back_end) return; /* of a queue that was reset */
    if (written > request->chain.writable_bytes) written = (u32)request->chain.writable_bytes;
    virtio_give(&device->virtio, &request->chain, written);
    /* A chain that waits is in the first free request, so this one goes behind it. */
    if (device->queue[n].waits) {
        struct vhost_user_request *waiting = &device->queue[n].request[device->queue[n].free - 1];
        request->with_back_end = false;
        request->next_free = waiting->next_free;
        waiting->next_free = cookie + 1;
    } else {
        free_request(&device->queue[n], cookie);
    }
}

static void settled(void *owner, unsigned n)
{
    struct vhost_user_device *device = owner;
    forward(device, n); /* what found no room before */
    virtio_interrupt(&device->virtio, n);
}

static void lost(void *owner, const char *why)
{
    struct vhost_user_device *device = owner;
    struct virtio *virtio = &device->virtio;
    device->lost = true;
    for (unsigned n = 0; n < device->queues; n++)
        if (may_fail(device, n) && virtio->queue[n].enabled) fail_all(device, n);
    if (device->kind->type == VIRTIO_NET) {
        virtio->config[CONFIG_NET_STATUS] = 0;
        virtio_config_changed(virtio);
    }
}

static const struct vhost_device_ops vhost_ops = {used, settled, lost};

/* --- configuration and resets --- */

static void config_written(struct virtio *virtio, u32 offset, unsigned size)
{
    struct vhost_user_device *device = container_of(virtio, struct vhost_user_device, virtio);
    if (!device->lost) device->vhost->config_write(device->vhost, offset, virtio->config + offset, size);
}

static void reset(struct virtio *virtio)
{
    struct vhost_user_device *device = container_of(virtio, struct vhost_user_device, virtio);
    if (device->started) device->vhost->stop(device->vhost);
    device->started = false;
    free_all(device);
}

static const struct virtio_kind kind_ops = {
    .notify = notify, .config_written = config_written, .reset = reset};

/* --- the kinds --- */

/* Configuration (5.1.4, 5.2.4, 5.11.4) */
enum { CONFIG_BLK_WRITEBACK = 32 };

/* The last byte is the status. */
static u32 fail_block(const struct virtio_chain *chain)
{
    u8 status = VIRTIO_BLK_S_IOERR;
    if (!chain->writable_bytes) return 0;
    virtio_chain_write(chain, chain->writable_bytes - 1, &status, 1);
    return 1;
}

/* FUSE: the reply begins with its length, an error, and the request's identity, which is at +8 in the request. */
static u32 fail_fuse(const struct virtio_chain *chain)
{
    u8 reply[16];
    store_any(reply, 4, sizeof(reply));
    store_any(reply + 4, 4, (u64)-EIO);
    if (chain->writable_bytes < sizeof(reply) || virtio_chain_read(chain, 8, reply + 8, 8) != 8) return 0;
    return (u32)virtio_chain_write(chain, 0, reply, sizeof(reply));
}

/* What is sent gets lost. */
static u32 fail_frame(const struct virtio_chain *chain)
{
    return 0;
}

#define VIRTIO_BLK_F_SIZE_MAX (1ull << 1)

const struct vhost_user_kind vhost_user_fs_kind = {.type = VIRTIO_FS,
                                                   .class_code = 0x018000,
                                                   .queues = 2,
                                                   .config_bytes = 40,
                                                   .modern_only = true,
                                                   .fail = fail_fuse};

const struct vhost_user_kind vhost_user_blk_kind = {
    .type = VIRTIO_BLOCK,
    .class_code = 0x010000,
    .features = VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_GEOMETRY | VIRTIO_BLK_F_RO |
                VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_CONFIG_WCE |
                VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES,
    .queues = 1,
    .config_bytes = 60,
    .config_from_back_end = true,
    .fail = fail_block,
};

const struct vhost_user_kind vhost_user_net_kind = {
    .type = VIRTIO_NET,
    .class_code = 0x020000,
    .features = VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_MAC | VIRTIO_NET_F_GUEST_TSO4 |
                VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN | VIRTIO_NET_F_HOST_TSO4 |
                VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_STATUS,
    .queues = 2,
    .config_bytes = 8,
    .fail = fail_frame,
};

void vhost_user_fs_config(u8 config[VHOST_USER_CONFIG_BYTES], const char *tag)
{
    memset(config, 0, VHOST_USER_CONFIG_BYTES);
    memcpy(config, tag, strnlen(tag, VHOST_USER_FS_TAG_BYTES));
    config[VHOST_USER_FS_TAG_BYTES] = 1; /* queues of requests, beside the one of high priority */
}

void vhost_user_net_config(u8 config[VHOST_USER_CONFIG_BYTES], const u8 mac[6])
{
    memset(config, 0, VHOST_USER_CONFIG_BYTES);
    memcpy(config, mac, 6);
    config[CONFIG_NET_STATUS] = 1; /* the link is up */
}

/* --- set-up --- */

static bool fill_config(struct vhost_user_device *device, const struct vhost_user_kind *kind,
                        const u8 *config)
{
    struct virtio *virtio = &device->virtio;
    virtio->config_bytes = kind->config_bytes;
    if (!kind->config_from_back_end) {
        memcpy(virtio->config, config, kind->config_bytes);
        return true;
    }
    if (kind->type == VIRTIO_BLOCK) virtio->config_writable[CONFIG_BLK_WRITEBACK] = 1;
    return device->vhost->config_read(device->vhost, 0, virtio->config, kind->config_bytes);
}

struct vhost_user_device *vhost_user_device_new(const struct vhost_user_kind *kind, struct pci_bus *bus,
                                                const struct dma *dma, const struct virtio_options *options,
                                                struct vhost *vhost, const u8 *config)
{
    struct vhost_user_device *device = calloc(1, sizeof(*device));
    struct virtio_options with = *options;
    u16 sizes[VIRTIO_QUEUES];
    u64 features = vhost->features & kind->features;
    if (!device) return NULL;
    device->vhost = vhost;
    device->kind = kind;
    device->queues = kind->queues;
    for (unsigned n = 0; n < kind->queues; n++) {
        sizes[n] = VIRTIO_QUEUE_SIZE;
        device->queue[n].request = calloc(VIRTIO_QUEUE_SIZE, sizeof(struct vhost_user_request));
        if (!device->queue[n].request) {
            vhost_user_device_free(device);
            return NULL;
        }
    }
    if (kind->type == VIRTIO_NET) features |= VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS;
    with.no_legacy |= kind->modern_only;
    virtio_init(&device->virtio, &kind_ops, bus, dma, &with, kind->type, kind->class_code, features, sizes,
                kind->queues);
    /* One queue alone cannot be taken back. */
    device->virtio.offered &= ~VIRTIO_F_RING_RESET;
    if (!(vhost->features & VIRTIO_F_VERSION_1)) device->virtio.offered &= ~VIRTIO_F_VERSION_1;
    vhost->attach(vhost, &vhost_ops, device);
    device->lost = !fill_config(device, kind, config);
    return device;
}

void vhost_user_device_free(struct vhost_user_device *device)
{
    for (unsigned n = 0; n < VIRTIO_QUEUES; n++)
        free(device->queue[n].request);
    free(device);
}
