/*
 * A virtio entropy device (5.4): fills buffers with random bytes.
 */
#ifndef RINGER_DEVICES_VIRTIO_VIRTIO_RNG_H
#define RINGER_DEVICES_VIRTIO_VIRTIO_RNG_H

#include "virtio.h"

/* Bytes that one buffer gets at most. The driver asks again for more. */
#define VIRTIO_RNG_BYTES 256

struct virtio_rng {
    struct virtio virtio; /* first */
    /* Random bytes. Never blocks: false if there are none yet. */
    bool (*fill)(void *owner, u8 *bytes, unsigned count);
    void *owner;
    /* No more than period_bytes in a period; 0: any number. The owner sets the first two. */
    u64 period_bytes, period_ns, period_left, period_end_ns;
    struct timer retry;
    struct virtio_chain chain;
};

/* At most VIRTIO_RNG_BYTES are asked of fill() at a time. */
void virtio_rng_init(struct virtio_rng *rng, struct pci_bus *bus, const struct dma *dma,
                     const struct virtio_options *options, struct clock *clock,
                     bool (*fill)(void *owner, u8 *bytes, unsigned count), void *owner);

#endif
