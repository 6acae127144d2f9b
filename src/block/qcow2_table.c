/*
 * qcow2: L2 tables and refcount blocks in memory, found by their offset. Clean tables are evicted, the least recently
 * used first.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>

static struct qcow2_table **slot_of(struct qcow2 *q, u64 offset)
{
    return &q->tables.hash[(offset >> q->cluster_bits) % QCOW2_HASH];
}

static u64 dirty_words(const struct qcow2 *q)
{
    return (q->cluster_bytes / QCOW2_SECTOR_BYTES + 63) / 64;
}

/* --- order of use --- */

static void unlink_table(struct qcow2_tables *tables, struct qcow2_table *table)
{
    *(table->older ? &table->older->newer : &tables->oldest) = table->newer;
    *(table->newer ? &table->newer->older : &tables->newest) = table->older;
}

static void link_newest(struct qcow2_tables *tables, struct qcow2_table *table)
{
    table->older = tables->newest;
    table->newer = NULL;
    *(tables->newest ? &tables->newest->newer : &tables->oldest) = table;
    tables->newest = table;
}

static void drop(struct qcow2 *q, struct qcow2_table *table)
{
    struct qcow2_table **at = slot_of(q, table->offset);
    while (*at != table)
        at = &(*at)->hash_next;
    *at = table->hash_next;
    unlink_table(&q->tables, table);
    q->tables.count--;
    free(table->data);
    free(table->dirty);
    free(table);
}

/* Make room for one table. If all tables are in use, the limit is exceeded by one. */
static void evict(struct qcow2 *q)
{
    struct qcow2_table *table = q->tables.oldest, *newer;
    for (; table && q->tables.count >= q->tables.limit; table = newer) {
        newer = table->newer;
        if (!table->any_dirty && !table->pins) drop(q, table);
    }
}

/* --- tables --- */

static struct qcow2_table *find(struct qcow2 *q, u64 offset)
{
    struct qcow2_table *table = *slot_of(q, offset);
    while (table && table->offset != offset)
        table = table->hash_next;
    return table;
}

int qcow2_table_make(struct qcow2 *q, u64 offset, bool is_l2, struct qcow2_table **result)
{
    struct qcow2_table *old = find(q, offset);
    if (old && old->pins) return qcow2_is_corrupt(q, "a table in use is counted as free", offset);
    if (old) { /* left over from a table that was freed */
        qcow2_table_clean(q, old);
        drop(q, old);
    }
    evict(q);
    struct qcow2_table *table = calloc(1, sizeof(*table));
    if (table) {
        table->data = calloc(1, q->cluster_bytes);
        table->dirty = calloc(dirty_words(q), sizeof(u64));
    }
    if (!table || !table->data || !table->dirty) {
        if (table) free(table->data);
        if (table) free(table->dirty);
        free(table);
        return -ENOMEM;
    }
    table->offset = offset;
    table->is_l2 = is_l2;
    struct qcow2_table **slot = slot_of(q, offset);
    table->hash_next = *slot;
    *slot = table;
    link_newest(&q->tables, table);
    q->tables.count++;
    *result = table;
    return 0;
}

int qcow2_table_get(struct qcow2 *q, u64 offset, bool is_l2, struct qcow2_table **result)
{
    struct qcow2_table *table = find(q, offset);
    if (!table) {
        int failed = qcow2_table_make(q, offset, is_l2, &table);
        if (failed) return failed;
        failed = store_get(q->store, offset, table->data, q->cluster_bytes);
        if (failed) {
            drop(q, table);
            return failed == STORE_SHORT
                       ? qcow2_is_corrupt(q, "a table lies beyond the end of the file", offset)
                       : failed;
        }
    } else if (table->is_l2 != is_l2) {
        return qcow2_is_corrupt(q, "an L2 table is also a refcount block", offset);
    } else if (q->tables.newest != table) {
        unlink_table(&q->tables, table);
        link_newest(&q->tables, table);
    }
    *result = table;
    return 0;
}

struct qcow2_table *qcow2_table_peek(struct qcow2 *q, u64 offset)
{
    return find(q, offset);
}

void qcow2_table_mark(struct qcow2 *q, struct qcow2_table *table, u64 byte, u64 bytes)
{
    for (u64 sector = byte / QCOW2_SECTOR_BYTES; sector <= (byte + bytes - 1) / QCOW2_SECTOR_BYTES; sector++)
        table->dirty[sector / 64] |= 1ull << (sector % 64);
    if (!table->any_dirty) q->tables.dirty_count++;
    table->any_dirty = true;
}

void qcow2_table_clean(struct qcow2 *q, struct qcow2_table *table)
{
    memset(table->dirty, 0, dirty_words(q) * sizeof(u64));
    if (table->any_dirty) q->tables.dirty_count--;
    table->any_dirty = false;
}

void qcow2_tables_destroy(struct qcow2 *q)
{
    while (q->tables.oldest)
        drop(q, q->tables.oldest);
}
