/*
 * A store: bytes by offset, which image formats are built on. Usually a file of the host (host_file.h); tests
 * put others in its place, which fail, or forget what was not synced.
 *
 * Any thread may call any of these at any time. All return 0 or -errno; read() returns STORE_SHORT when some
 * of the bytes lie behind the end, and reads them as zeros. What write() has written survives the death of
 * this process at once, and that of the host after a sync() that began later. When a sync() has failed nobody
 * knows what is lost: all later ones of a host file fail too.
 */
#ifndef RINGER_BLOCK_STORE_H
#define RINGER_BLOCK_STORE_H

#include "span.h"

#include <errno.h>

#define STORE_SHORT 1

struct store {
    const struct store_ops *ops;
};

struct store_ops {
    int (*read)(struct store *store, u64 offset, struct span to);
    /* Read if that takes no waiting. -EAGAIN: it does, and the memory may hold anything. May be NULL. */
    int (*read_now)(struct store *store, u64 offset, struct span to);
    int (*write)(struct store *store, u64 offset, struct span from);
    int (*sync)(struct store *store);
    int (*size)(struct store *store, u64 *bytes);
    int (*set_size)(struct store *store, u64 bytes);
    /* Give room back: the bytes read as zeros. -EOPNOTSUPP: cannot be had, nothing was done. */
    int (*punch)(struct store *store, u64 offset, u64 bytes);
    /* Next offset at or after `offset` that may hold data (data: true) or a hole; -ENXIO: none up to the end. */
    int (*seek)(struct store *store, u64 offset, bool data, u64 *found);
    void (*close)(struct store *store);
};

static inline int store_read_now(struct store *store, u64 offset, struct span to)
{
    return store->ops->read_now ? store->ops->read_now(store, offset, to) : -EAGAIN;
}

/* The same with one piece of memory. */
int store_get(struct store *store, u64 offset, void *to, u64 bytes);
int store_put(struct store *store, u64 offset, const void *from, u64 bytes);

#endif
