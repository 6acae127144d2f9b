/*
 * A virtio 9P transport (its specification is in version 1.2's list of device types only; Linux' net/9p/trans_virtio.c
 * and QEMU's hw/9pfs are what drivers and devices agree on). It carries the messages of a file server, one a chain, and
 * knows nothing about them.
 *
 *   chain           read: a message | written: the reply
 *   configuration   length of the tag, 16 bits | the tag, by which the guest mounts the folder
 */
#ifndef RINGER_DEVICES_VIRTIO_VIRTIO_9P_H
#define RINGER_DEVICES_VIRTIO_VIRTIO_9P_H

#include "base/share.h"
#include "virtio.h"

#define VIRTIO_9P_MOUNT_TAG (1ull << 0)

/* As in QEMU. Linux gives a message at most as many pieces as the ring has entries. */
#define VIRTIO_9P_REQUESTS  128
#define VIRTIO_9P_TAG_BYTES 31

struct virtio_9p;

struct virtio_9p_request {
    struct virtio_9p *owner;
    struct virtio_chain chain;
    struct share_request share;
    struct virtio_9p_request *next_free;
};

struct virtio_9p {
    struct virtio virtio; /* first */
    struct share *share;
    struct virtio_9p_request *free;
    struct virtio_9p_request request[VIRTIO_9P_REQUESTS];
};

/* The tag has 1 to VIRTIO_9P_TAG_BYTES bytes. */
void virtio_9p_init(struct virtio_9p *device, struct pci_bus *bus, const struct dma *dma,
                    const struct virtio_options *options, struct share *share, const char *tag);

#endif
