/*
 * A virtio memory balloon (5.5): the host asks the guest for memory by a target, and the driver gives pages away
 * (inflate) and takes them back (deflate). The driver also reports free pages and, when it is asked, statistics.
 *
 *   queue 0   inflate   32-bit page numbers: the host may have these pages
 *   queue 1   deflate   page numbers that the guest uses again
 *   queue 2   stats     one buffer of records (tag, 16 bits; value, 64 bits), which the device keeps until it
 *                       wants new ones
 *   queue 3   reports   the free pages themselves, as writable buffers
 *
 * A page that is given away or reported reads as zeros. A reset of the device gives all pages back to the guest.
 */
#ifndef RINGER_DEVICES_VIRTIO_VIRTIO_BALLOON_H
#define RINGER_DEVICES_VIRTIO_VIRTIO_BALLOON_H

#include "virtio.h"

/* Feature bits (5.5.3) */
#define VIRTIO_BALLOON_F_STATS_VQ       (1ull << 1)
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM (1ull << 2)
#define VIRTIO_BALLOON_F_REPORTING      (1ull << 5)

#define VIRTIO_BALLOON_STATS 10

struct virtio_balloon_options {
    bool deflate_on_oom;
    bool reporting;
};

struct virtio_balloon {
    struct virtio virtio; /* first */
    /* `actual` pages are in the balloon, as the driver says. May be NULL. */
    void (*changed)(void *owner, u32 actual);
    /* New statistics have come. May be NULL. */
    void (*told)(void *owner);
    void *owner;
    u64 stat[VIRTIO_BALLOON_STATS]; /* by tag (5.5.6.3); UINT64_MAX: not told */
    bool stats_wanted;              /* there was no buffer to ask with */
    bool stats_held;
    u32 stats_epoch;
    u16 stats_head;
    u64 released_bytes; /* given back to the host, in all */
    struct virtio_chain chain;
};

/* The fields `changed`, `told` and `owner` are the caller's to set afterwards. */
void virtio_balloon_init(struct virtio_balloon *balloon, struct pci_bus *bus, const struct dma *dma,
                         const struct virtio_options *options, const struct virtio_balloon_options *how);
/* How many pages the host wants in the balloon. */
void virtio_balloon_set_target(struct virtio_balloon *balloon, u32 pages);
/* How many there are. */
u32 virtio_balloon_actual(const struct virtio_balloon *balloon);
/* Ask the driver for new statistics. They come some time later. */
void virtio_balloon_ask_stats(struct virtio_balloon *balloon);

#endif
