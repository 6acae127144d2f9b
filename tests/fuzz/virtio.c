/*
 * Hostile drivers of virtio devices. Input: a byte that chooses the device and its interfaces, a byte that chooses
 * features, then the driver's operations, a byte each with its arguments behind it: accesses to BARs and configuration
 * space, descriptors, heads, notifications, memory. Some operations let the disk work or time pass.
 */
#include "input.h"

#include "../unit/virtio_rig.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_rng.h"

#include <stdlib.h>

struct bench {
    struct rig rig;
    struct clock clock;
    u64 now_ns;
    struct disk disk;
    struct disk_request *request[VIRTIO_BLK_REQUESTS];
    unsigned requests;
    union {
        struct virtio virtio;
        struct virtio_blk blk;
        struct virtio_rng rng;
        struct virtio_console console;
    };
};

static u64 now(const struct clock *clock)
{
    return container_of(clock, struct bench, clock)->now_ns;
}

static void submit(struct disk *disk, struct disk_request *request)
{
    struct bench *b = container_of(disk, struct bench, disk);
    if (b->requests == VIRTIO_BLK_REQUESTS || request->bytes > disk->bytes ||
        request->offset > disk->bytes - request->bytes)
        abort();
    b->request[b->requests++] = request;
}

static void complete(struct bench *b, unsigned n, int error)
{
    if (!b->requests) return;
    n %= b->requests;
    struct disk_request *request = b->request[n];
    b->request[n] = b->request[b->requests - 1];
    b->requests--;
    u64 bytes = 0;
    for (unsigned i = 0; i < request->part_count; i++) {
        const struct iovec *part = &request->part[i];
        volatile u8 *memory = part->iov_base; /* both ends, as a disk would */
        if (request->operation == DISK_READ)
            memory[0] = memory[part->iov_len - 1] = (u8)n;
        else
            (void)(memory[0] + memory[part->iov_len - 1]);
        bytes += part->iov_len;
    }
    if (bytes != request->bytes && (request->operation == DISK_READ || request->operation == DISK_WRITE))
        abort();
    request->error = error;
    request->done(request);
}

static bool fill(void *owner, u8 *bytes, unsigned count)
{
    struct bench *b = owner;
    memset(bytes, 0x5a, count);
    return b->now_ns % 3 != 0;
}

/* Now and then the back end accepts half. */
static u64 transmit(void *sink, const u8 *bytes, u64 count)
{
    volatile u8 last = count ? bytes[count - 1] : 0;
    return last % 5 ? count : count / 2;
}

static const struct virtio_port_ops port_ops = {.transmit = transmit};

static void make(struct bench *b, unsigned kind, const struct virtio_options *options)
{
    struct dma dma = rig_dma(&b->rig);
    b->clock.now_ns = now;
    b->disk = (struct disk){.bytes = 1u << 20, .can_discard = true, .submit = submit};
    b->rig.virtio = &b->virtio;
    switch (kind) {
    case 0: virtio_blk_init(&b->blk, &b->rig.bus, &dma, options, &b->disk, "serial"); break;
    case 1: virtio_rng_init(&b->rng, &b->rig.bus, &dma, options, &b->clock, fill, b); break;
    default:
        virtio_console_init(&b->console, &b->rig.bus, &dma, options, &b->clock, 2, true);
        for (unsigned n = 0; n < 2; n++)
            virtio_port_plug(&b->console, n, !n, n ? "name" : NULL, &port_ops, NULL);
        break;
    }
}

static void start(struct bench *b, unsigned features)
{
    u64 accepted = (features & 1 ? VIRTIO_F_INDIRECT_DESC : 0) | (features & 2 ? VIRTIO_F_EVENT_IDX : 0) |
                   (features & 4 ? VIRTIO_F_RING_RESET : 0) | (features & 8 ? VIRTIO_BLK_F_FLUSH : 0) |
                   (features & 16 ? VIRTIO_BLK_F_CONFIG_WCE : 0);
    rig_start(&b->rig, accepted & (b->rig.legacy ? 0xffffffff : ~0ull) & b->virtio.offered, b->virtio.queues);
}

static unsigned size_of(u32 choice)
{
    return 1u << choice % 3;
}

/* A range passes on accesses that are within it and do not cross an aligned dword. */
static u32 offset_in(u32 offset, u32 bytes, unsigned size)
{
    return offset % bytes & ~(size - 1);
}

static void access_window(struct bench *b, struct input *in, unsigned bar, bool write)
{
    const struct pci_bar *window = &b->virtio.pci.bar[bar];
    u32 offset = take(in, 2);
    unsigned size = size_of(take(in, 1));
    if (window->kind == PCI_BAR_NONE) return;
    offset = offset_in(offset, window->bytes, size);
    if (write)
        window->ops->write(window->handler, offset, size, (u32)mask_bytes(take(in, size), size));
    else
        window->ops->read(window->handler, offset, size);
}

static void access_config(struct bench *b, struct input *in, bool write)
{
    unsigned offset = take(in, 1), size = size_of(take(in, 1));
    offset = offset_in(offset, 256, size);
    if (write)
        rig_config_write(&b->rig, offset, size, take(in, size));
    else
        rig_config_read(&b->rig, offset, size);
}

static void put_memory(struct bench *b, struct input *in)
{
    u32 gpa = take(in, 3) % RIG_RAM_BYTES, count = take(in, 1);
    for (; count && gpa < RIG_RAM_BYTES; count--)
        b->rig.ram[gpa++] = (u8)take(in, 1);
}

static void step(struct bench *b, struct input *in, unsigned features)
{
    struct rig *rig = &b->rig;
    u32 operation = take(in, 1) % 14, queue, n;
    switch (operation) {
    case 0:
    case 1: access_window(b, in, 4, operation == 0); break;
    case 2:
    case 3: access_window(b, in, 0, operation == 2); break;
    case 4:
    case 5: access_config(b, in, operation == 4); break;
    case 6:
        queue = take(in, 1) % b->virtio.queues;
        n = take(in, 1) % RIG_QUEUE;
        u32 gpa = take(in, 4), bytes = take(in, 4);
        u16 flags = (u16)take(in, 1), next = (u16)take(in, 1);
        rig_put_descriptor(rig, rig->queue[queue].descriptors, n, gpa, bytes, flags, next);
        break;
    case 7:
        queue = take(in, 1) % b->virtio.queues;
        n = take(in, 1);
        if (rig->queue[queue].size) rig_offer(rig, queue, (u16)n);
        break;
    case 8: rig_notify(rig, take(in, 1) % 4); break;
    case 9: put_memory(b, in); break;
    case 10:
        n = take(in, 1);
        complete(b, n >> 1, n & 1 ? -5 : 0);
        break;
    case 11:
        b->now_ns += take(in, 4);
        clock_run(&b->clock);
        break;
    case 12: start(b, features); break;
    default: virtio_hard_reset(&b->virtio); break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    static struct bench bench;
    struct bench *b = &bench;
    struct input in = {data, data + bytes};
    unsigned choice = take(&in, 1), features = take(&in, 1);
    struct virtio_options options = {.devfn = PCI_DEVFN(3, 0)};
    options.no_legacy = (choice >> 4 & 3) == 1;
    options.no_modern = (choice >> 4 & 3) == 2;
    memset(b, 0, sizeof(*b));
    rig_init(&b->rig);
    make(b, choice % 3, &options);
    b->rig.legacy = options.no_modern || (!options.no_legacy && (choice & 0x80));
    start(b, features);
    for (unsigned steps = 0; in.at < in.end && steps < 1000; steps++)
        step(b, &in, features);
    while (b->requests)
        complete(b, b->requests, 0);
    return 0;
}
