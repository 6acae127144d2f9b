/*
 * qcow2: writing back, in the order that qcow2.h promises.
 *
 * With the lock held, all dirty data are copied into three batches, so that the batches show the tables of one moment.
 * Then the batches are written without the lock:
 *   early:  refcount blocks, and L2 tables that nothing stable refers to yet. Harmless at any time.
 *   middle: entries of the refcount table for new blocks (rare), after a sync of their own.
 *   late:   all other L2 and L1 entries, after a sync that covers their data and the batches above.
 * After another sync, the clusters that were freed before that moment are free.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>

struct piece {
    u64 offset, bytes;
    u64 at;                    /* in batch.data */
    struct qcow2_table *table; /* NULL: L1 or refcount table */
    bool was_fresh;
};

struct batch {
    struct piece *piece;
    u64 count, room;
    u8 *data;
    u64 bytes, data_room;
};

struct commit {
    struct batch early, middle, late;
    struct qcow2_freed *freed;
    u64 freed_count;
};

/* --- batches --- */

static bool have_room(void **memory, u64 *room, u64 wanted, size_t each)
{
    if (wanted <= *room) return true;
    u64 more = *room ? *room * 2 : 64;
    while (more < wanted)
        more *= 2;
    void *larger = realloc(*memory, more * each);
    if (!larger) return false;
    *memory = larger;
    *room = more;
    return true;
}

static u8 *add(struct batch *batch, u64 offset, u64 bytes, struct qcow2_table *table, bool was_fresh)
{
    if (!have_room((void **)&batch->piece, &batch->room, batch->count + 1, sizeof(struct piece)) ||
        !have_room((void **)&batch->data, &batch->data_room, batch->bytes + bytes, 1))
        return NULL;
    batch->piece[batch->count++] = (struct piece){offset, bytes, batch->bytes, table, was_fresh};
    batch->bytes += bytes;
    return batch->data + batch->bytes - bytes;
}

static int write_batch(struct qcow2 *q, const struct batch *batch)
{
    int failed = 0;
    for (u64 n = 0; n < batch->count && !failed; n++)
        failed = store_put(q->store, batch->piece[n].offset, batch->data + batch->piece[n].at,
                           batch->piece[n].bytes);
    return failed;
}

static void free_batch(struct batch *batch)
{
    free(batch->piece);
    free(batch->data);
}

/* --- collecting: lock held --- */

/* The next run of set bits at or after *at; false: none. */
static bool next_run(const u64 *bits, u64 count, u64 *at, u64 *length)
{
    while (*at < count && !(bits[*at / 64] >> (*at % 64) & 1))
        ++*at;
    for (*length = 0; *at + *length < count; ++*length)
        if (!(bits[(*at + *length) / 64] >> ((*at + *length) % 64) & 1)) break;
    return *length;
}

static bool collect_table(struct qcow2 *q, struct qcow2_table *table, struct batch *batch)
{
    u64 sectors = q->cluster_bytes / QCOW2_SECTOR_BYTES;
    if (table->fresh) {
        u8 *to = add(batch, table->offset, q->cluster_bytes, table, true);
        if (to) memcpy(to, table->data, q->cluster_bytes);
        return to;
    }
    for (u64 at = 0, length; next_run(table->dirty, sectors, &at, &length); at += length) {
        u64 first = at * QCOW2_SECTOR_BYTES, bytes = length * QCOW2_SECTOR_BYTES;
        u8 *to = add(batch, table->offset + first, bytes, table, false);
        if (!to) return false;
        memcpy(to, table->data + first, bytes);
    }
    return true;
}

/* L1 table and refcount table, which are in memory as a whole and in the host's byte order. */
static bool collect_array(const u64 *entries, u64 count, const u64 *dirty, u64 offset, struct batch *batch)
{
    const u64 in_sector = QCOW2_SECTOR_BYTES / sizeof(u64);
    u64 sectors = (count + in_sector - 1) / in_sector;
    for (u64 at = 0, length; next_run(dirty, sectors, &at, &length); at += length) {
        u64 first = at * in_sector, end = (at + length) * in_sector;
        if (end > count) end = count;
        any64 *to =
            (any64 *)add(batch, offset + first * sizeof(u64), (end - first) * sizeof(u64), NULL, false);
        if (!to) return false;
        for (u64 n = first; n < end; n++)
            *to++ = htobe64(entries[n]);
    }
    return true;
}

static bool collect(struct qcow2 *q, struct commit *commit)
{
    if (q->tables.dirty_count)
        for (struct qcow2_table *table = q->tables.oldest; table; table = table->newer)
            if (table->any_dirty &&
                !collect_table(q, table, table->is_l2 && !table->fresh ? &commit->late : &commit->early))
                return false;
    if (q->reftable_any_dirty && !collect_array(q->reftable, q->reftable_entries, q->reftable_dirty,
                                                q->reftable_offset, &commit->middle))
        return false;
    return !q->l1_any_dirty || collect_array(q->l1, q->l1_entries, q->l1_dirty, q->l1_offset, &commit->late);
}

static u64 dirty_bytes(u64 entries)
{
    return (entries * sizeof(u64) / QCOW2_SECTOR_BYTES / 64 + 1) * sizeof(u64);
}

static void pin(struct qcow2 *q, const struct batch *batch)
{
    for (u64 n = 0; n < batch->count; n++) {
        struct qcow2_table *table = batch->piece[n].table;
        if (!table) continue;
        table->pins++;
        table->fresh = false;
        qcow2_table_clean(q, table);
    }
}

/* The batches now hold the changes: mark the tables as clean. */
static void take_over(struct qcow2 *q, struct commit *commit)
{
    pin(q, &commit->early);
    pin(q, &commit->late);
    if (q->l1_any_dirty) memset(q->l1_dirty, 0, dirty_bytes(q->l1_entries));
    if (q->reftable_any_dirty) memset(q->reftable_dirty, 0, dirty_bytes(q->reftable_entries));
    q->l1_any_dirty = q->reftable_any_dirty = false;
    commit->freed = q->freed;
    commit->freed_count = q->freed_count;
    q->freed = NULL;
    q->freed_count = q->freed_room = 0;
}

/* --- afterwards: lock held --- */

static void unpin(struct qcow2 *q, const struct batch *batch, bool redo, bool stable)
{
    for (u64 n = 0; n < batch->count; n++) {
        const struct piece *piece = &batch->piece[n];
        if (!piece->table) continue;
        piece->table->pins--;
        if (!redo) continue;
        qcow2_table_mark(q, piece->table, piece->offset - piece->table->offset, piece->bytes);
        if (piece->was_fresh && !stable) piece->table->fresh = true;
    }
}

/* A write failed: mark all pieces as dirty again, and free no cluster. `stable`: the fresh tables are stable in the
 * file, so other tables in the file may refer to them. */
static void undo(struct qcow2 *q, struct commit *commit, bool stable)
{
    unpin(q, &commit->early, true, stable);
    unpin(q, &commit->late, true, stable);
    if (commit->late.count) {
        memset(q->l1_dirty, 0xff, dirty_bytes(q->l1_entries));
        q->l1_any_dirty = true;
    }
    if (commit->middle.count) {
        memset(q->reftable_dirty, 0xff, dirty_bytes(q->reftable_entries));
        q->reftable_any_dirty = true;
    }
    for (u64 n = 0; n < commit->freed_count; n++)
        qcow2_free(q, commit->freed[n].cluster << q->cluster_bits, commit->freed[n].count);
}

/* --- the commit --- */

static int write_all(struct qcow2 *q, const struct commit *commit, bool *stable)
{
    struct store *store = q->store;
    int failed = write_batch(q, &commit->early);
    if (!failed && commit->middle.count) {
        failed = store->ops->sync(store);
        if (!failed) failed = write_batch(q, &commit->middle);
    }
    if (!failed) failed = store->ops->sync(store);
    *stable = !failed;
    if (!failed && commit->late.count) {
        failed = write_batch(q, &commit->late);
        if (!failed) failed = store->ops->sync(store);
    }
    return failed;
}

int qcow2_commit(struct qcow2 *q)
{
    struct commit commit = {0};
    bool stable = false;
    pthread_mutex_lock(&q->committing);
    pthread_mutex_lock(&q->lock);
    int failed = q->corrupt ? -EIO : collect(q, &commit) ? 0 : -ENOMEM;
    if (!failed) take_over(q, &commit);
    pthread_mutex_unlock(&q->lock);
    if (!failed) {
        failed = write_all(q, &commit, &stable);
        pthread_mutex_lock(&q->lock);
        if (failed) {
            undo(q, &commit, stable);
        } else {
            unpin(q, &commit.early, false, true);
            unpin(q, &commit.late, false, true);
            qcow2_apply_freed(q, commit.freed, commit.freed_count);
        }
        pthread_mutex_unlock(&q->lock);
    }
    pthread_mutex_unlock(&q->committing);
    free_batch(&commit.early);
    free_batch(&commit.middle);
    free_batch(&commit.late);
    free(commit.freed);
    return failed;
}

/* Limit of clusters that wait to be freed. */
#define FREED_MAX 4096u

int qcow2_commit_if_much(struct qcow2 *q)
{
    pthread_mutex_lock(&q->lock);
    bool much = q->freed_count > FREED_MAX || q->tables.dirty_count > q->tables.limit / 2;
    pthread_mutex_unlock(&q->lock);
    return much ? qcow2_commit(q) : 0;
}
