/*
 * A store: bytes by offset, in which an image lies. Usually it is a file of the host (host_file.h). Tests use stores
 * that fail, or that lose data that were not synced.
 *
 * Any thread may call any of these functions at any time. All return 0 or -errno. read() returns STORE_SHORT
 * when some of the bytes lie beyond the end, and reads those as zeros. Data survive the death of this process
 * as soon as write() returns, and the death of the host after a sync() that began later. When a sync() of a
 * host file fails, it is unknown which data are lost, so all later ones fail too.
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
    /* Read if that needs no wait. -EAGAIN: it needs one; the buffer's contents are undefined. May be NULL. */
    int (*read_now)(struct store *store, u64 offset, struct span to);
    int (*write)(struct store *store, u64 offset, struct span from);
    int (*sync)(struct store *store);
    int (*size)(struct store *store, u64 *bytes);
    int (*set_size)(struct store *store, u64 bytes);
    /* Give space back: the bytes then read as zeros. -EOPNOTSUPP: impossible, and nothing was done. */
    int (*punch)(struct store *store, u64 offset, u64 bytes);
    /* The first offset at or after `offset` that may hold data (data: true) or a hole; -ENXIO: none before
     * the end. */
    int (*seek)(struct store *store, u64 offset, bool data, u64 *found);
    void (*close)(struct store *store);
};

static inline int store_read_now(struct store *store, u64 offset, struct span to)
{
    return store->ops->read_now ? store->ops->read_now(store, offset, to) : -EAGAIN;
}

/* The same with contiguous memory. */
int store_get(struct store *store, u64 offset, void *to, u64 bytes);
int store_put(struct store *store, u64 offset, const void *from, u64 bytes);

#endif
