#include "store.h"

int store_get(struct store *store, u64 offset, void *to, u64 bytes)
{
    struct iovec part;
    return store->ops->read(store, offset, span_of(&part, to, bytes));
}

int store_put(struct store *store, u64 offset, const void *from, u64 bytes)
{
    struct iovec part;
    return store->ops->write(store, offset, span_of(&part, from, bytes));
}
