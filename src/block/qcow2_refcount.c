/*
 * qcow2: how often each cluster of the file is used, and which are free.
 *
 * A missing refcount block stands for clusters that are all free. The block is made when the first of them is
 * allocated, in that first cluster, so it counts itself. Likewise the refcount table grows into the first
 * clusters that it did not cover.
 */
#include "base/log.h"
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>

/* --- entries of 1 to 64 bits --- */

static u64 get_count(const u8 *block, unsigned order, u64 index)
{
    switch (order) {
    case 3: return block[index];
    case 4: return be16toh(((const any16 *)block)[index]);
    case 5: return be32toh(((const any32 *)block)[index]);
    case 6: return be64toh(((const any64 *)block)[index]);
    default: {
        unsigned width = 1u << order, in_byte = 8 >> order;
        return block[index / in_byte] >> (index % in_byte * width) & ((1u << width) - 1);
    }
    }
}

static void set_count(u8 *block, unsigned order, u64 index, u64 count)
{
    switch (order) {
    case 3: block[index] = (u8)count; break;
    case 4: ((any16 *)block)[index] = htobe16((u16)count); break;
    case 5: ((any32 *)block)[index] = htobe32((u32)count); break;
    case 6: ((any64 *)block)[index] = htobe64(count); break;
    default: {
        unsigned width = 1u << order, in_byte = 8 >> order, shift = (unsigned)(index % in_byte) * width;
        u8 mask = (u8)(((1u << width) - 1) << shift);
        block[index / in_byte] = (u8)((block[index / in_byte] & ~mask) | (count << shift & mask));
    }
    }
}

static u64 max_count(const struct qcow2 *q)
{
    return q->refcount_order == 6 ? UINT64_MAX : (1ull << (1u << q->refcount_order)) - 1;
}

static u64 block_index(const struct qcow2 *q, u64 cluster)
{
    return cluster >> q->block_bits;
}

static u64 in_block(const struct qcow2 *q, u64 cluster)
{
    return cluster & ((1ull << q->block_bits) - 1);
}

/* --- blocks --- */

/* The refcount block of this cluster, or NULL if there is none. */
static int find_block(struct qcow2 *q, u64 cluster, struct qcow2_table **block)
{
    *block = NULL;
    u64 index = block_index(q, cluster);
    if (index >= q->reftable_entries) return 0;
    u64 offset = q->reftable[index] & ~(u64)(QCOW2_SECTOR_BYTES - 1);
    if (!offset) return 0;
    if (offset & (q->cluster_bytes - 1))
        return qcow2_is_corrupt(q, "a refcount block is not aligned", offset);
    return qcow2_table_get(q, offset, false, block);
}

static void store_count(struct qcow2 *q, struct qcow2_table *block, u64 cluster, u64 count)
{
    u64 index = in_block(q, cluster), bit = index << q->refcount_order;
    set_count(block->data, q->refcount_order, index, count);
    qcow2_table_mark(q, block, bit / 8, ((1ull << q->refcount_order) + 7) / 8);
}

static void note_used(struct qcow2 *q, u64 cluster)
{
    u64 end = (cluster + 1) << q->cluster_bits;
    if (q->host_end < end) q->host_end = end;
}

/* The block goes into the first cluster that it counts, which should be free because no block counts it. A
 * damaged image may have a table there. */
static int make_block(struct qcow2 *q, u64 index, struct qcow2_table **block)
{
    u64 cluster = index << q->block_bits, offset = cluster << q->cluster_bits;
    if (qcow2_is_metadata(q, offset, q->cluster_bytes))
        return qcow2_is_corrupt(q, "the refcounts say that a table is free", offset);
    int failed = qcow2_table_make(q, offset, false, block);
    if (failed) return failed;
    (*block)->fresh = true;
    qcow2_table_mark(q, *block, 0, q->cluster_bytes);
    store_count(q, *block, cluster, 1);
    note_used(q, cluster);
    q->reftable[index] = offset;
    u64 sector = index * sizeof(u64) / QCOW2_SECTOR_BYTES;
    q->reftable_dirty[sector / 64] |= 1ull << (sector % 64);
    q->reftable_any_dirty = true;
    return 0;
}

/* --- a larger refcount table --- */

static int write_dirty_blocks(struct qcow2 *q)
{
    for (struct qcow2_table *t = q->tables.oldest; t; t = t->newer) {
        if (t->is_l2 || !(t->any_dirty || t->pins)) continue;
        /* The blocks stay dirty: a commit that is under way may still overwrite them with older contents. */
        int failed = store_put(q->store, t->offset, t->data, q->cluster_bytes);
        if (failed) return failed;
    }
    return 0;
}

static int switch_reftable(struct qcow2 *q, u64 offset, u64 clusters)
{
    u8 field[12];
    u64 wide = htobe64(offset);
    u32 narrow = htobe32((u32)clusters);
    memcpy(field, &wide, 8);
    memcpy(field + 8, &narrow, 4);
    int failed = q->store->ops->sync(q->store);
    if (!failed) failed = store_put(q->store, offsetof(struct qcow2_header, reftable_offset), field, 12);
    if (!failed) failed = q->store->ops->sync(q->store);
    return failed;
}

/* Blocks that count the new table's clusters and their own, all contiguous from `first` on. */
static int write_new_blocks(struct qcow2 *q, u64 first, u64 table_clusters, u64 blocks, u64 *table)
{
    u8 *data = malloc(q->cluster_bytes);
    if (!data) return -ENOMEM;
    int failed = 0;
    for (u64 b = 0; b < blocks && !failed; b++) {
        memset(data, 0, q->cluster_bytes);
        for (u64 n = 0; n < 1ull << q->block_bits; n++)
            if ((b << q->block_bits) + n < table_clusters + blocks) set_count(data, q->refcount_order, n, 1);
        u64 offset = (first + table_clusters + b) << q->cluster_bits;
        table[block_index(q, first) + b] = offset;
        failed = store_put(q->store, offset, data, q->cluster_bytes);
    }
    free(data);
    return failed;
}

static int write_table(struct qcow2 *q, u64 offset, const u64 *table, u64 entries)
{
    u64 *data = malloc(entries * sizeof(u64));
    if (!data) return -ENOMEM;
    for (u64 n = 0; n < entries; n++)
        data[n] = htobe64(table[n]);
    int failed = store_put(q->store, offset, data, entries * sizeof(u64));
    free(data);
    return failed;
}

static int grow_reftable(struct qcow2 *q, u64 cluster)
{
    u64 per_cluster = q->cluster_bytes / sizeof(u64);
    u64 first = q->reftable_entries << q->block_bits;
    u64 entries = align_up(block_index(q, cluster) + 1 + q->reftable_entries / 2 + 1, per_cluster);
    u64 clusters = entries / per_cluster, blocks = 1;
    while (blocks << q->block_bits < clusters + blocks)
        blocks++;
    if (entries < q->reftable_entries + blocks) entries = align_up(q->reftable_entries + blocks, per_cluster);
    clusters = entries / per_cluster;
    while (blocks << q->block_bits < clusters + blocks)
        blocks++;
    if (clusters << q->cluster_bits > QCOW2_REFTABLE_BYTES_MAX) return -EFBIG;
    if (qcow2_is_metadata(q, first << q->cluster_bits, (clusters + blocks) << q->cluster_bits))
        return qcow2_is_corrupt(q, "a table lies where no refcount block counts it",
                                first << q->cluster_bits);
    u64 *table = calloc(entries, sizeof(u64));
    u64 *dirty = calloc(entries * sizeof(u64) / QCOW2_SECTOR_BYTES / 64 + 1, sizeof(u64));
    int failed = table && dirty ? 0 : -ENOMEM;
    if (!failed) {
        memcpy(table, q->reftable, q->reftable_entries * sizeof(u64));
        failed = write_dirty_blocks(q);
    }
    if (!failed) failed = write_new_blocks(q, first, clusters, blocks, table);
    if (!failed) failed = write_table(q, first << q->cluster_bits, table, entries);
    if (!failed) failed = switch_reftable(q, first << q->cluster_bits, clusters);
    if (failed) {
        free(table);
        free(dirty);
        return failed;
    }
    u64 old = q->reftable_offset, old_clusters = q->reftable_entries / per_cluster;
    free(q->reftable);
    free(q->reftable_dirty);
    q->reftable = table;
    q->reftable_dirty = dirty;
    q->reftable_any_dirty = false;
    q->reftable_entries = entries;
    q->reftable_offset = first << q->cluster_bits;
    note_used(q, first + clusters + blocks - 1);
    qcow2_free(q, old, old_clusters);
    return 0;
}

/* --- single counts --- */

int qcow2_refcount(struct qcow2 *q, u64 cluster, u64 *count)
{
    struct qcow2_table *block;
    int failed = find_block(q, cluster, &block);
    *count = !failed && block ? get_count(block->data, q->refcount_order, in_block(q, cluster)) : 0;
    return failed;
}

int qcow2_refcount_set(struct qcow2 *q, u64 cluster, u64 count)
{
    struct qcow2_table *block;
    if (count > max_count(q)) return -ERANGE;
    int failed = 0;
    while (!failed && block_index(q, cluster) >= q->reftable_entries)
        failed = grow_reftable(q, cluster);
    if (!failed) failed = find_block(q, cluster, &block);
    if (!failed && !block) failed = make_block(q, block_index(q, cluster), &block);
    if (!failed) store_count(q, block, cluster, count);
    return failed;
}

/* --- allocating and freeing --- */

bool qcow2_is_fixed_metadata(const struct qcow2 *q, u64 offset, u64 bytes)
{
    const struct {
        u64 offset, bytes;
    } fixed[] = {
        {0, q->cluster_bytes},
        {q->l1_offset, q->l1_entries * sizeof(u64)},
        {q->reftable_offset, q->reftable_entries * sizeof(u64)},
        {q->snapshots_offset, q->snapshots ? q->cluster_bytes : 0},
    };
    for (unsigned n = 0; n < ARRAY_SIZE(fixed); n++)
        if (offset < fixed[n].offset + fixed[n].bytes && fixed[n].offset < offset + bytes) return true;
    return false;
}

bool qcow2_is_metadata(const struct qcow2 *q, u64 offset, u64 bytes)
{
    if (qcow2_is_fixed_metadata(q, offset, bytes)) return true;
    for (u64 n = 0; n < q->l1_entries; n++)
        if ((q->l1[n] & QCOW2_OFFSET_MASK) - offset < bytes) return true;
    for (u64 n = 0; n < q->reftable_entries; n++)
        if (q->reftable[n] - offset < bytes) return true;
    return false;
}

/* The next free cluster at or after *cluster, and how many free ones follow it, at most `wanted`, within one
 * refcount block. If there is none, *cluster becomes the first cluster of the next block. */
static int free_run(struct qcow2 *q, u64 *cluster, u64 wanted, u64 *got)
{
    struct qcow2_table *block;
    u64 index = block_index(q, *cluster), end = (index + 1) << q->block_bits;
    int failed = 0;
    *got = 0;
    if (index >= q->reftable_entries) failed = grow_reftable(q, *cluster);
    if (!failed) failed = find_block(q, *cluster, &block);
    if (!failed && !block) failed = make_block(q, index, &block);
    if (failed) return failed;
    while (*cluster < end && get_count(block->data, q->refcount_order, in_block(q, *cluster)))
        ++*cluster;
    while (*got < wanted && *cluster + *got < end &&
           !get_count(block->data, q->refcount_order, in_block(q, *cluster + *got)))
        ++*got;
    return 0;
}

int qcow2_allocate(struct qcow2 *q, u64 wanted, u64 *offset, u64 *got, bool *fresh)
{
    u64 cluster = q->search;
    for (*got = 0; !*got;) {
        if (cluster >= 1ull << (56 - q->cluster_bits)) return -EFBIG;
        int failed = free_run(q, &cluster, wanted, got);
        if (failed) return failed;
    }
    *offset = cluster << q->cluster_bits;
    if (qcow2_is_metadata(q, *offset, *got << q->cluster_bits))
        return qcow2_is_corrupt(q, "the refcounts say that a table is free", *offset);
    *fresh = *offset >= q->host_end;
    for (u64 n = 0; n < *got; n++) {
        int failed = qcow2_refcount_set(q, cluster + n, 1);
        if (failed) {
            qcow2_release(q, *offset, n);
            return failed;
        }
        note_used(q, cluster + n);
    }
    q->search = cluster + *got;
    return 0;
}

static void give(struct qcow2 *q, u64 cluster)
{
    if (qcow2_refcount_set(q, cluster, 0)) return; /* only leaks the cluster */
    if (q->search > cluster) q->search = cluster;
}

void qcow2_release(struct qcow2 *q, u64 offset, u64 clusters)
{
    for (u64 n = 0; n < clusters; n++)
        give(q, (offset >> q->cluster_bits) + n);
}

void qcow2_free(struct qcow2 *q, u64 offset, u64 clusters)
{
    u64 cluster = offset >> q->cluster_bits;
    struct qcow2_freed *last = q->freed_count ? &q->freed[q->freed_count - 1] : NULL;
    if (last && last->cluster + last->count == cluster) {
        last->count += clusters;
        return;
    }
    if (q->freed_count == q->freed_room) {
        u64 room = q->freed_room ? q->freed_room * 2 : 256;
        struct qcow2_freed *freed = realloc(q->freed, room * sizeof(*freed));
        if (!freed) return; /* only leaks the clusters */
        q->freed = freed;
        q->freed_room = room;
    }
    q->freed[q->freed_count++] = (struct qcow2_freed){cluster, clusters};
}

void qcow2_free_entry(struct qcow2 *q, u64 entry)
{
    u64 offset = entry & QCOW2_OFFSET_MASK, bytes = offset ? q->cluster_bytes : 0;
    if (entry & QCOW2_COMPRESSED) qcow2_packed_data(q, entry, &offset, &bytes);
    if (!bytes) return;
    u64 first = offset >> q->cluster_bits, last = (offset + bytes - 1) >> q->cluster_bits;
    qcow2_free(q, first << q->cluster_bits, last - first + 1);
}

void qcow2_apply_freed(struct qcow2 *q, const struct qcow2_freed *freed, u64 count)
{
    for (u64 f = 0; f < count; f++) {
        u64 hole = 0; /* number of clusters just before this one that became free */
        for (u64 n = 0; n <= freed[f].count; n++) {
            u64 cluster = freed[f].cluster + n, was = 0;
            int failed = n < freed[f].count ? qcow2_refcount(q, cluster, &was) : 0;
            if (failed) return; /* a leak */
            if (n < freed[f].count && !was)
                qcow2_is_corrupt(q, "a cluster in use is counted as free", cluster << q->cluster_bits);
            if (was == 1) {
                hole++;
                continue;
            }
            if (hole)
                q->store->ops->punch(q->store, (cluster - hole) << q->cluster_bits, hole << q->cluster_bits);
            for (; hole; hole--)
                give(q, cluster - hole);
            if (was > 1) qcow2_refcount_set(q, cluster, was - 1);
        }
    }
}
