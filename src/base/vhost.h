/*
 * The seam of vhost-user. Another process, the back end, serves the queues of a device; this is what the device sees of
 * it.
 *
 * The back end never touches the rings of the guest's driver. The device takes a chain from the driver, adds it to a
 * ring that the back end sees, and gives it back to the driver when the back end has used it. So what the back end
 * wrote is reported (struct dma, written()) before the guest hears of it, and what it claims is checked.
 *
 * Every function here is for the vCPU thread.
 */
#ifndef RINGER_BASE_VHOST_H
#define RINGER_BASE_VHOST_H

#include "types.h"

#define VHOST_QUEUES  4
#define VHOST_ENTRIES 1024 /* of a ring: pieces of chains that are with the back end at the same time */

/* A buffer of the guest, in guest-physical memory. */
struct vhost_piece {
    u64 gpa;
    u32 bytes;
    bool writable;
};

struct vhost_device_ops {
    /* The back end has used a chain. `cookie` is the device's, as it was given to add(). */
    void (*used)(void *device, unsigned queue, u16 cookie, u32 written);
    /* Those are all for now. */
    void (*settled)(void *device, unsigned queue);
    /* The back end has gone, or has broken the rules: no chain comes back any more. `why`: a clause. */
    void (*lost)(void *device, const char *why);
};

enum vhost_added {
    VHOST_ADDED,
    VHOST_FULL,       /* try again when chains have been used */
    VHOST_IMPOSSIBLE, /* a buffer that the back end cannot reach: it is not in RAM */
};

struct vhost {
    u64 features;    /* what the back end offers; constant */
    bool has_config; /* it keeps the device's configuration */
    /* The functions that events call. To be set before anything else. */
    void (*attach)(struct vhost *vhost, const struct vhost_device_ops *ops, void *device);
    /* Begin to serve this number of queues. False: the back end is lost. */
    bool (*start)(struct vhost *vhost, u64 features, unsigned queues);
    /* Take all chains back: afterwards the back end does not touch the guest's memory. */
    void (*stop)(struct vhost *vhost);
    enum vhost_added (*add)(struct vhost *vhost, unsigned queue, const struct vhost_piece *piece,
                            unsigned pieces, u16 cookie);
    /* Chains were added: tell the back end. */
    void (*kick)(struct vhost *vhost, unsigned queue);
    /* The device's configuration, from the back end or to it. False: it has none, or refuses. */
    bool (*config_read)(struct vhost *vhost, u32 offset, u8 *bytes, u32 count);
    bool (*config_write)(struct vhost *vhost, u32 offset, const u8 *bytes, u32 count);
};

#endif
