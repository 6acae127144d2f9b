#include "virtio_9p.h"

#include <string.h>

#define CLASS_STORAGE_OTHER 0x018000u

static void finish(struct virtio_9p_request *request)
{
    struct virtio_9p *device = request->owner;
    struct virtio *virtio = &device->virtio;
    virtio_release(virtio, &request->chain);
    if (request->share.broken && virtio_chain_is_live(virtio, &request->chain))
        virtio_break(virtio, "a message without a head, or without room for a reply");
    virtio_give(virtio, &request->chain, request->share.written);
    request->next_free = device->free;
    device->free = request;
}

static void done(struct share_request *share)
{
    struct virtio_9p_request *request = share->device;
    finish(request);
    virtio_interrupt(&request->owner->virtio, 0);
}

static void begin(struct virtio_9p_request *request)
{
    struct virtio_9p *device = request->owner;
    const struct virtio_chain *chain = &request->chain;
    request->share.in = chain->part;
    request->share.in_count = chain->readable;
    request->share.in_bytes = chain->readable_bytes;
    request->share.out = chain->part + chain->readable;
    request->share.out_count = chain->writable;
    request->share.out_bytes = chain->writable_bytes;
    virtio_hold(&device->virtio, chain);
    device->share->submit(device->share, &request->share);
}

static void notify(struct virtio *virtio, unsigned queue)
{
    struct virtio_9p *device = container_of(virtio, struct virtio_9p, virtio);
    /* There are as many requests as entries of the queue, so there is one for each chain. A reset may leave some with
     * the server, though, and then the driver waits for them. */
    while (device->free && virtio_take(virtio, queue, &device->free->chain)) {
        struct virtio_9p_request *request = device->free;
        device->free = request->next_free;
        begin(request);
    }
}

static void reset(struct virtio *virtio)
{
    struct virtio_9p *device = container_of(virtio, struct virtio_9p, virtio);
    if (device->share) device->share->forget(device->share);
}

static const struct virtio_kind kind_9p = {.notify = notify, .reset = reset};

void virtio_9p_init(struct virtio_9p *device, struct pci_bus *bus, const struct dma *dma,
                    const struct virtio_options *options, struct share *share, const char *tag)
{
    static const u16 sizes[] = {VIRTIO_9P_REQUESTS};
    device->free = NULL;
    for (unsigned n = 0; n < VIRTIO_9P_REQUESTS; n++) {
        struct virtio_9p_request *request = &device->request[n];
        request->owner = device;
        request->share = (struct share_request){.done = done, .device = request};
        request->next_free = device->free;
        device->free = request;
    }
    device->share = NULL;
    virtio_init(&device->virtio, &kind_9p, bus, dma, options, VIRTIO_9P, CLASS_STORAGE_OTHER,
                VIRTIO_9P_MOUNT_TAG, sizes, ARRAY_SIZE(sizes));
    device->share = share;
    size_t length = strnlen(tag, VIRTIO_9P_TAG_BYTES);
    pci_put16(device->virtio.config, (u16)length);
    memcpy(device->virtio.config + 2, tag, length);
    device->virtio.config_bytes = 2 + (unsigned)length;
}
