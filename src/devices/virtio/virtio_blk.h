/*
 * A virtio block device (5.2). Data goes straight between guest memory and the disk. As many requests as the queue has
 * room for are under way, and they are given back in the order in which the disk completes them.
 *
 * A write is complete when the disk has it. If the driver has not negotiated a cache (5.2.6.2), or has switched it off,
 * a write is complete when it is stable.
 */
#ifndef RINGER_DEVICES_VIRTIO_VIRTIO_BLK_H
#define RINGER_DEVICES_VIRTIO_VIRTIO_BLK_H

#include "base/disk.h"
#include "virtio.h"

#define VIRTIO_BLK_SERIAL_BYTES 20
#define VIRTIO_BLK_REQUESTS     VIRTIO_QUEUE_SIZE

/* Feature bits (5.2.3) */
#define VIRTIO_BLK_F_SEG_MAX      (1ull << 2)
#define VIRTIO_BLK_F_GEOMETRY     (1ull << 4)
#define VIRTIO_BLK_F_RO           (1ull << 5)
#define VIRTIO_BLK_F_BLK_SIZE     (1ull << 6)
#define VIRTIO_BLK_F_FLUSH        (1ull << 9)
#define VIRTIO_BLK_F_TOPOLOGY     (1ull << 10)
#define VIRTIO_BLK_F_CONFIG_WCE   (1ull << 11)
#define VIRTIO_BLK_F_DISCARD      (1ull << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (1ull << 14)

enum virtio_blk_type {
    VIRTIO_BLK_T_IN = 0,
    VIRTIO_BLK_T_OUT = 1,
    VIRTIO_BLK_T_FLUSH = 4,
    VIRTIO_BLK_T_GET_ID = 8,
    VIRTIO_BLK_T_DISCARD = 11,
    VIRTIO_BLK_T_WRITE_ZEROES = 13,
};
enum { VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_UNSUPP };

struct virtio_blk;

struct virtio_blk_request {
    struct virtio_blk *blk;
    struct virtio_blk_request *next_free;
    u32 type;
    u8 *status;
    u64 status_gpa;
    struct disk_request disk;
    struct virtio_chain chain;
};

struct virtio_blk {
    struct virtio virtio; /* first */
    struct disk *disk;
    char serial[VIRTIO_BLK_SERIAL_BYTES]; /* padded with NULs */
    struct virtio_blk_request *free;
    bool starved; /* chains are waiting for a free request */
    struct virtio_blk_request request[VIRTIO_BLK_REQUESTS];
};

/* The disk must outlive the device. `serial` is cut at 20 characters. */
void virtio_blk_init(struct virtio_blk *blk, struct pci_bus *bus, const struct dma *dma,
                     const struct virtio_options *options, struct disk *disk, const char *serial);

#endif
