/*
 * qcow2: the mapping from guest clusters to the file, and the claims on guest clusters.
 */
#include "base/log.h"
#include "qcow2.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* --- claims --- */

static bool conflict(const struct qcow2_claim *claim, u64 first, u64 last, bool exclusive)
{
    return (claim->exclusive || exclusive) && claim->first <= last && first <= claim->last;
}

bool qcow2_claim_conflicts(const struct qcow2 *q, u64 first, u64 last, bool exclusive)
{
    for (const struct qcow2_claim *c = q->claims; c; c = c->next)
        if (conflict(c, first, last, exclusive)) return true;
    return false;
}

void qcow2_claim(struct qcow2 *q, struct qcow2_claim *claim, u64 first, u64 last, bool exclusive)
{
    while (qcow2_claim_conflicts(q, first, last, exclusive))
        pthread_cond_wait(&q->claims_changed, &q->lock);
    *claim = (struct qcow2_claim){first, last, exclusive, q->claims};
    q->claims = claim;
}

void qcow2_unclaim(struct qcow2 *q, struct qcow2_claim *claim)
{
    struct qcow2_claim **at = &q->claims;
    while (*at != claim)
        at = &(*at)->next;
    *at = claim->next;
    pthread_cond_broadcast(&q->claims_changed);
}

/* --- contradictions --- */

int qcow2_is_corrupt(struct qcow2 *q, const char *what, u64 where)
{
    if (q->corrupt) return -EIO;
    q->corrupt = true;
    log_warn("%s is damaged: %s (at %#" PRIx64 " of the file)%s", q->name, what, where,
             q->image.read_only ? "" : "; nothing more is written to it");
    if (!q->image.read_only && q->version >= 3) {
        u64 bits = htobe64(q->incompatible | QCOW2_CORRUPT);
        store_put(q->store, offsetof(struct qcow2_header, incompatible), &bits, sizeof(bits));
    }
    return -EIO;
}

/* --- L2 tables --- */

/* The table offset in an L1 entry, checked. */
static int l2_offset(struct qcow2 *q, u64 index, u64 *offset)
{
    *offset = q->l1[index] & QCOW2_OFFSET_MASK;
    if (*offset & (q->cluster_bytes - 1)) return qcow2_is_corrupt(q, "an L2 table is not aligned", *offset);
    return 0;
}

static void set_l1(struct qcow2 *q, u64 index, u64 entry)
{
    u64 sector = index * sizeof(u64) / QCOW2_SECTOR_BYTES;
    q->l1[index] = entry;
    q->l1_dirty[sector / 64] |= 1ull << (sector % 64);
    q->l1_any_dirty = true;
}

int qcow2_l2_for_write(struct qcow2 *q, u64 cluster, struct qcow2_table **table)
{
    u64 index = cluster >> q->l2_bits, old, offset, got;
    bool unused;
    struct qcow2_table *from = NULL;
    int failed = l2_offset(q, index, &old);
    if (failed) return failed;
    if (old) failed = qcow2_table_get(q, old, true, &from);
    if (failed) return failed;
    if (old && (q->l1[index] & QCOW2_COPIED)) {
        *table = from;
        return 0;
    }
    if (from) from->pins++; /* making the new table must not evict this one */
    failed = qcow2_allocate(q, 1, &offset, &got, &unused);
    if (!failed) {
        failed = qcow2_table_make(q, offset, true, table);
        if (failed) qcow2_release(q, offset, 1);
    }
    if (from) from->pins--;
    if (failed) return failed;
    if (from) memcpy((*table)->data, from->data, q->cluster_bytes);
    (*table)->fresh = true;
    qcow2_table_mark(q, *table, 0, q->cluster_bytes);
    set_l1(q, index, offset | QCOW2_COPIED);
    if (old) qcow2_free(q, old, 1);
    return 0;
}

/* --- runs --- */

static enum qcow2_kind kind_of(const struct qcow2 *q, u64 entry)
{
    if (entry & QCOW2_COMPRESSED) return QCOW2_KIND_COMPRESSED;
    if (q->version >= 3 && (entry & QCOW2_ZERO)) return QCOW2_KIND_ZERO;
    return entry & QCOW2_OFFSET_MASK ? QCOW2_KIND_DATA : QCOW2_KIND_ABSENT;
}

static int check_entry(struct qcow2 *q, u64 entry)
{
    u64 host = entry & QCOW2_OFFSET_MASK;
    if (entry & QCOW2_COMPRESSED) return 0;
    if (q->version < 3 && (entry & QCOW2_ZERO))
        return qcow2_is_corrupt(q, "an L2 entry has a flag that version 2 does not know", host);
    if (host & (q->cluster_bytes - 1)) return qcow2_is_corrupt(q, "a data cluster is not aligned", host);
    if (host && qcow2_is_fixed_metadata(q, host, q->cluster_bytes))
        return qcow2_is_corrupt(q, "a data cluster overlaps a table", host);
    return 0;
}

static bool continues(const struct qcow2 *q, const struct qcow2_run *run, u64 entry, u64 clusters)
{
    if (kind_of(q, entry) != run->kind || run->kind == QCOW2_KIND_COMPRESSED) return false;
    if (run->kind != QCOW2_KIND_DATA) return true;
    return (entry & QCOW2_OFFSET_MASK) == (run->entry & QCOW2_OFFSET_MASK) + (clusters << q->cluster_bits) &&
           !((entry ^ run->entry) & QCOW2_COPIED);
}

int qcow2_map(struct qcow2 *q, u64 offset, u64 bytes, struct qcow2_run *run)
{
    u64 cluster = offset >> q->cluster_bits, index = qcow2_l2_index(q, cluster), table_offset;
    u64 in_cluster = offset & (q->cluster_bytes - 1);
    u64 in_table = (((1ull << q->l2_bits) - index) << q->cluster_bits) - in_cluster;
    if (bytes > in_table) bytes = in_table;
    *run = (struct qcow2_run){.kind = QCOW2_KIND_ABSENT, .bytes = bytes};
    int failed = l2_offset(q, cluster >> q->l2_bits, &table_offset);
    if (failed || !table_offset) return failed;
    struct qcow2_table *table;
    failed = qcow2_table_get(q, table_offset, true, &table);
    if (failed) return failed;
    run->entry = qcow2_entry(table, index);
    run->kind = kind_of(q, run->entry);
    failed = check_entry(q, run->entry);
    if (failed) return failed;
    u64 clusters = 1, wanted = (in_cluster + bytes + q->cluster_bytes - 1) >> q->cluster_bits;
    for (; clusters < wanted; clusters++) {
        u64 entry = qcow2_entry(table, index + clusters);
        if (!continues(q, run, entry, clusters)) break;
        failed = check_entry(q, entry);
        if (failed) return failed;
    }
    u64 covered = (clusters << q->cluster_bits) - in_cluster;
    if (run->bytes > covered) run->bytes = covered;
    run->host = (run->entry & QCOW2_OFFSET_MASK) + in_cluster;
    /* If an entry's cluster may be written in place, so may the table that holds the entry. */
    run->in_place = run->kind == QCOW2_KIND_DATA && (run->entry & QCOW2_COPIED) &&
                    (q->l1[cluster >> q->l2_bits] & QCOW2_COPIED);
    return 0;
}
