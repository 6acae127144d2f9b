/*
 * The rings that a back end serves: split virtqueues (virtio 1.2, 2.7) with Ringer as the driver. The back end can
 * write to the rings, so which descriptors are in use is kept outside of them.
 *
 *   +0 descriptors, 16 KB | driver area: flags, index, heads | device area, on a page of its own: flags, index, used
 */
#ifndef RINGER_VHOST_RING_H
#define RINGER_VHOST_RING_H

#include "base/vhost.h"

#define RING_DRIVER_OFFSET (VHOST_ENTRIES * 16)
#define RING_DEVICE_OFFSET (RING_DRIVER_OFFSET + 4096)
#define RING_BYTES         (RING_DEVICE_OFFSET + 3 * 4096)

struct vhost_ring {
    u8 *memory; /* RING_BYTES, which the back end sees, too */
    u16 added;  /* free-running, as in the ring */
    u16 taken;
    u16 free_head, free_count;
    u16 next[VHOST_ENTRIES];
    u16 count[VHOST_ENTRIES]; /* descriptors of the chain that begins here; 0: none does */
    u16 cookie[VHOST_ENTRIES];
};

/* No chain is in it. */
void vhost_ring_clear(struct vhost_ring *ring);
/* False: there is no room. */
bool vhost_ring_add(struct vhost_ring *ring, const struct vhost_piece *piece, unsigned pieces, u16 cookie);
/* Does the back end ask for a notification of the chains that were added? */
bool vhost_ring_wants_kick(const struct vhost_ring *ring);

enum vhost_taken { RING_TAKEN, RING_EMPTY, RING_LIES };
/* The next chain that the back end has used. RING_LIES: it was not given that chain. */
enum vhost_taken vhost_ring_take(struct vhost_ring *ring, u16 *cookie, u32 *written);

#endif
