/*
 * Virtio entropy device. See virtio_rng.h.
 */
#include "virtio_rng.h"

#define CLASS_OTHER 0x00ff00u
#define QUEUE_SIZE  8
#define RETRY_NS    100000000u

/* Serve the waiting buffers. Random bytes are fetched before a buffer is taken, so no buffer must be kept. */
static void serve(struct virtio *virtio)
{
    struct virtio_rng *rng = container_of(virtio, struct virtio_rng, virtio);
    struct virtio_chain *chain = &rng->chain;
    u8 bytes[VIRTIO_RNG_BYTES];
    while (virtio_is_waiting(virtio, 0)) {
        u64 now = clock_now(rng->retry.clock);
        if (rng->period_bytes && now >= rng->period_end_ns) {
            rng->period_end_ns = now + rng->period_ns;
            rng->period_left = rng->period_bytes;
        }
        if (rng->period_bytes && !rng->period_left) {
            timer_arm(&rng->retry, rng->period_end_ns);
            break;
        }
        if (!rng->fill(rng->owner, bytes, sizeof(bytes))) {
            timer_arm(&rng->retry, now + RETRY_NS);
            break;
        }
        if (!virtio_take(virtio, 0, chain)) break;
        u64 count = rng->period_bytes && rng->period_left < sizeof(bytes) ? rng->period_left : sizeof(bytes);
        count = virtio_chain_write(chain, 0, bytes, count);
        rng->period_left -= rng->period_bytes ? count : 0;
        virtio_give(virtio, chain, (u32)count);
    }
    virtio_interrupt(virtio, 0);
}

static void notify(struct virtio *virtio, unsigned queue)
{
    serve(virtio);
}

static void retry(void *device)
{
    struct virtio_rng *rng = device;
    serve(&rng->virtio);
}

static void reset(struct virtio *virtio)
{
    timer_cancel(&container_of(virtio, struct virtio_rng, virtio)->retry);
}

static const struct virtio_kind entropy_kind = {.notify = notify, .reset = reset};

void virtio_rng_init(struct virtio_rng *rng, struct pci_bus *bus, const struct dma *dma,
                     const struct virtio_options *options, struct clock *clock,
                     bool (*fill)(void *owner, u8 *bytes, unsigned count), void *owner)
{
    static const u16 sizes[] = {QUEUE_SIZE};
    rng->fill = fill;
    rng->owner = owner;
    timer_init(&rng->retry, clock, retry, rng);
    virtio_init(&rng->virtio, &entropy_kind, bus, dma, options, VIRTIO_ENTROPY, CLASS_OTHER, 0, sizes,
                ARRAY_SIZE(sizes));
}
