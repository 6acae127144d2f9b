/*
 * qcow2: repair of images with lazy refcounts that were not closed properly. The L1 and L2 tables are right,
 * because they were written in order. All references are counted again; refcounts and QCOW2_COPIED flags are
 * set accordingly.
 */
#include "base/log.h"
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>

struct tally {
    struct qcow2 *q;
    u32 *count; /* one a cluster of the file */
    u64 clusters;
};

static int tally_range(struct tally *tally, u64 offset, u64 bytes)
{
    if (!bytes) return 0;
    u64 first = offset >> tally->q->cluster_bits, last = (offset + bytes - 1) >> tally->q->cluster_bits;
    if (last >= tally->clusters || last < first)
        return qcow2_is_corrupt(tally->q, "a reference leads out of the file", offset);
    for (u64 n = first; n <= last; n++)
        tally->count[n]++;
    return 0;
}

static int tally_l2(struct tally *tally, u64 offset)
{
    struct qcow2 *q = tally->q;
    struct qcow2_table *table;
    int failed = tally_range(tally, offset, q->cluster_bytes);
    if (!failed) failed = qcow2_table_get(q, offset, true, &table);
    for (u64 n = 0; n < 1ull << q->l2_bits && !failed; n++) {
        u64 entry = qcow2_entry(table, n), at = entry & QCOW2_OFFSET_MASK, bytes = at ? q->cluster_bytes : 0;
        if (entry & QCOW2_COMPRESSED) qcow2_packed_data(q, entry, &at, &bytes);
        failed = tally_range(tally, at, bytes);
    }
    return failed;
}

static int tally_l1(struct tally *tally, const u64 *l1, u64 offset, u64 entries)
{
    int failed = tally_range(tally, offset, entries * sizeof(u64));
    for (u64 n = 0; n < entries && !failed; n++) {
        u64 l2 = l1[n] & QCOW2_OFFSET_MASK;
        if (l2 & (tally->q->cluster_bytes - 1))
            return qcow2_is_corrupt(tally->q, "an L2 table is not aligned", l2);
        if (l2) failed = tally_l2(tally, l2);
    }
    return failed;
}

/* The needed fields of a snapshot table entry. */
struct snapshot {
    u64 l1_offset;
    u32 l1_entries;
    u16 id_bytes, name_bytes;
    u8 times[20];
    u32 extra_bytes;
} __attribute__((packed));

static int tally_snapshot(struct tally *tally, const struct snapshot *s)
{
    u64 offset = be64toh(s->l1_offset), entries = be32toh(s->l1_entries);
    if (entries * sizeof(u64) > QCOW2_L1_BYTES_MAX || offset >> 56) return -EINVAL;
    u64 *l1 = calloc(entries + 1, sizeof(u64));
    int failed = l1 ? store_get(tally->q->store, offset, l1, entries * sizeof(u64)) : -ENOMEM;
    for (u64 n = 0; n < entries && !failed; n++)
        l1[n] = be64toh(l1[n]);
    if (!failed) failed = tally_l1(tally, l1, offset, entries);
    free(l1);
    return failed == STORE_SHORT ? -EINVAL : failed;
}

static int tally_snapshots(struct tally *tally)
{
    u64 at = tally->q->snapshots_offset;
    int failed = 0;
    for (unsigned n = 0; n < tally->q->snapshots && !failed; n++) {
        struct snapshot s;
        failed = store_get(tally->q->store, at, &s, sizeof(s));
        if (failed) return failed == STORE_SHORT ? -EINVAL : failed;
        failed = tally_snapshot(tally, &s);
        at += align_up(sizeof(s) + be32toh(s.extra_bytes) + be16toh(s.id_bytes) + be16toh(s.name_bytes), 8);
    }
    return failed ? failed : tally_range(tally, tally->q->snapshots_offset, at - tally->q->snapshots_offset);
}

static int tally_all(struct tally *tally)
{
    struct qcow2 *q = tally->q;
    int failed = tally_range(tally, 0, q->cluster_bytes);
    if (!failed) failed = tally_range(tally, q->reftable_offset, q->reftable_entries * sizeof(u64));
    for (u64 n = 0; n < q->reftable_entries && !failed; n++)
        if (q->reftable[n]) failed = tally_range(tally, q->reftable[n], q->cluster_bytes);
    if (!failed) failed = tally_l1(tally, q->l1, q->l1_offset, q->l1_entries);
    return failed || !q->snapshots ? failed : tally_snapshots(tally);
}

static bool is_sole(const struct tally *tally, u64 entry)
{
    u64 at = entry & QCOW2_OFFSET_MASK;
    return at && !(entry & QCOW2_COMPRESSED) && tally->count[at >> tally->q->cluster_bits] == 1;
}

/* Correct the QCOW2_COPIED flags of the active tables. */
static int put_flags_right(struct tally *tally)
{
    struct qcow2 *q = tally->q;
    for (u64 n = 0; n < q->l1_entries; n++) {
        struct qcow2_table *table;
        if (!(q->l1[n] & QCOW2_OFFSET_MASK)) continue;
        q->l1[n] = (q->l1[n] & ~QCOW2_COPIED) | (is_sole(tally, q->l1[n]) ? QCOW2_COPIED : 0);
        int failed = qcow2_table_get(q, q->l1[n] & QCOW2_OFFSET_MASK, true, &table);
        if (failed) return failed;
        for (u64 i = 0; i < 1ull << q->l2_bits; i++) {
            u64 entry = qcow2_entry(table, i), right = entry & ~QCOW2_COPIED;
            if (is_sole(tally, entry)) right |= QCOW2_COPIED;
            if (right != entry && !(entry & QCOW2_COMPRESSED)) qcow2_set_entry(q, table, i, right);
        }
        q->l1_dirty[n * sizeof(u64) / QCOW2_SECTOR_BYTES / 64] |=
            1ull << (n * sizeof(u64) / QCOW2_SECTOR_BYTES % 64);
        q->l1_any_dirty = true;
    }
    return 0;
}

/* Fail if a cluster in use has no refcount block: qcow2_refcount.c would put the new block into such a cluster. */
static int check_blocks(const struct tally *tally)
{
    const struct qcow2 *q = tally->q;
    for (u64 n = 0; n < tally->clusters; n++) {
        u64 block = n >> q->block_bits;
        if (!tally->count[n] || (block < q->reftable_entries && q->reftable[block])) continue;
        log_warn("%s: refcount blocks are missing; \"qemu-img check -r all\" can make them", q->name);
        return -EUCLEAN;
    }
    return 0;
}

static int put_counts_right(struct tally *tally)
{
    int failed = 0;
    for (u64 n = 0; n < tally->clusters && !failed; n++) {
        u64 was;
        failed = qcow2_refcount(tally->q, n, &was);
        if (!failed && was != tally->count[n]) failed = qcow2_refcount_set(tally->q, n, tally->count[n]);
    }
    return failed;
}

int qcow2_repair(struct qcow2 *q)
{
    u64 bytes;
    int failed = q->store->ops->size(q->store, &bytes);
    struct tally tally = {.q = q, .clusters = (bytes + q->cluster_bytes - 1) >> q->cluster_bits};
    if (failed) return failed;
    tally.count = calloc(tally.clusters + 1, sizeof(u32));
    if (!tally.count) return -ENOMEM;
    pthread_mutex_lock(&q->lock);
    failed = tally_all(&tally);
    if (!failed) failed = check_blocks(&tally);
    if (!failed) failed = put_counts_right(&tally);
    if (!failed) failed = put_flags_right(&tally);
    pthread_mutex_unlock(&q->lock);
    free(tally.count);
    if (!failed) failed = qcow2_commit(q);
    if (failed) return failed;
    q->incompatible &= ~(u64)QCOW2_DIRTY;
    u64 bits = htobe64(q->incompatible);
    failed = store_put(q->store, offsetof(struct qcow2_header, incompatible), &bits, sizeof(bits));
    return failed ? failed : q->store->ops->sync(q->store);
}
