/*
 * qcow2: transfers. A transfer goes run by run: map with the lock held, claim, transfer without the lock.
 */
#include "qcow2.h"

#include <errno.h>
#include <stdlib.h>

static u64 least(u64 a, u64 b)
{
    return a < b ? a : b;
}

static u64 cluster_of(const struct qcow2 *q, u64 offset)
{
    return offset >> q->cluster_bits;
}

/* --- reading --- */

/* Read bytes that the image itself does not have. */
static int read_backing(struct qcow2 *q, u64 offset, struct span to)
{
    u64 there = q->backing && offset < q->backing->bytes ? least(q->backing->bytes - offset, to.bytes) : 0;
    int failed = there ? q->backing->ops->read(q->backing, offset, span_slice(to, 0, there)) : 0;
    span_clear(span_slice(to, there, to.bytes - there));
    return failed;
}

/* A cluster at the end of the file may be partly written. If the file ends before the cluster begins, another
 * process has truncated it, and the guest must not take zeros for its data. */
static int check_end(struct qcow2 *q, u64 last)
{
    u64 size;
    int failed = q->store->ops->size(q->store, &size);
    return failed ? failed : (last & ~(q->cluster_bytes - 1)) < size ? 0 : -EIO;
}

static int read_run(struct qcow2 *q, const struct qcow2_run *run, u64 offset, struct span to)
{
    switch (run->kind) {
    case QCOW2_KIND_ABSENT: return read_backing(q, offset, to);
    case QCOW2_KIND_ZERO: span_clear(to); return 0;
    case QCOW2_KIND_COMPRESSED: return qcow2_unpack(q, run->entry, offset & (q->cluster_bytes - 1), to);
    case QCOW2_KIND_DATA: {
        int failed = q->store->ops->read(q->store, run->host, to);
        return failed == STORE_SHORT ? check_end(q, run->host + to.bytes - 1) : failed;
    }
    }
    return -EIO;
}

/* The clusters are claimed. */
static int read_claimed(struct qcow2 *q, u64 offset, struct span to)
{
    int failed = 0;
    for (u64 done = 0; done < to.bytes && !failed;) {
        struct qcow2_run run;
        pthread_mutex_lock(&q->lock);
        failed = qcow2_map(q, offset + done, to.bytes - done, &run);
        pthread_mutex_unlock(&q->lock);
        if (!failed) failed = read_run(q, &run, offset + done, span_slice(to, done, run.bytes));
        done += run.bytes;
    }
    return failed;
}

int qcow2_read(struct disk_image *image, u64 offset, struct span to)
{
    struct qcow2 *q = qcow2_of(image);
    struct qcow2_claim claim;
    if (image->read_only) return read_claimed(q, offset, to); /* nothing ever moves */
    pthread_mutex_lock(&q->lock);
    qcow2_claim(q, &claim, cluster_of(q, offset), cluster_of(q, offset + to.bytes - 1), false);
    pthread_mutex_unlock(&q->lock);
    int failed = read_claimed(q, offset, to);
    pthread_mutex_lock(&q->lock);
    qcow2_unclaim(q, &claim);
    pthread_mutex_unlock(&q->lock);
    return failed;
}

/* --- reading without waiting --- */

/* Lock held. The transfer is done under the lock, so it needs no claim if no conflicting claim exists. */
static int run_now(struct qcow2 *q, u64 offset, struct span to, u64 *bytes)
{
    struct qcow2_run run;
    u64 table = q->l1[offset >> (q->cluster_bits + q->l2_bits)] & QCOW2_OFFSET_MASK;
    if (table && !qcow2_table_peek(q, table)) return -EAGAIN;
    int failed = qcow2_map(q, offset, to.bytes, &run);
    if (failed) return failed;
    *bytes = run.bytes;
    to = span_slice(to, 0, run.bytes);
    switch (run.kind) {
    case QCOW2_KIND_DATA: return store_read_now(q->store, run.host, to);
    case QCOW2_KIND_COMPRESSED: return -EAGAIN;
    case QCOW2_KIND_ABSENT:
        if (q->backing && offset + to.bytes > q->backing->bytes) return -EAGAIN;
        if (q->backing) return q->backing->ops->read_now(q->backing, offset, to);
        break;
    case QCOW2_KIND_ZERO: break;
    }
    span_clear(to);
    return 0;
}

int qcow2_read_now(struct disk_image *image, u64 offset, struct span to)
{
    struct qcow2 *q = qcow2_of(image);
    if (pthread_mutex_trylock(&q->lock)) return -EAGAIN;
    bool busy = qcow2_claim_conflicts(q, cluster_of(q, offset), cluster_of(q, offset + to.bytes - 1), false);
    int failed = busy ? -EAGAIN : 0;
    for (u64 done = 0, now = 0; done < to.bytes && !failed; done += now)
        failed = run_now(q, offset + done, span_slice(to, done, to.bytes - done), &now);
    pthread_mutex_unlock(&q->lock);
    return failed;
}

/* --- writing to new clusters --- */

/* The new location of `count` guest clusters from `first` on. */
struct placement {
    u64 first, count;
    u64 host;
    bool zeros; /* unwritten parts read as zeros */
    bool taken; /* newly allocated; otherwise the one cluster stays where it is */
};

/* Can a zero cluster be written to the cluster of the file that it has allocated already? */
static bool stays_put(const struct qcow2 *q, const struct qcow2_run *run, u64 cluster)
{
    return run->kind == QCOW2_KIND_ZERO && (run->entry & QCOW2_OFFSET_MASK) && (run->entry & QCOW2_COPIED) &&
           (q->l1[cluster >> q->l2_bits] & QCOW2_COPIED);
}

/* Choose the new location of the clusters of a write. Lock held, clusters claimed. */
static int place(struct qcow2 *q, u64 offset, u64 bytes, const struct qcow2_run *run, struct placement *p)
{
    p->first = cluster_of(q, offset);
    p->count = cluster_of(q, offset + bytes - 1) - p->first + 1;
    if (stays_put(q, run, p->first)) {
        p->host = run->entry & QCOW2_OFFSET_MASK;
        p->count = 1;
        p->zeros = p->taken = false;
        return 0;
    }
    p->taken = true;
    return qcow2_allocate(q, p->count, &p->host, &p->count, &p->zeros);
}

/* The old contents of [from, to), which complete clusters that are written in part. *memory is NULL if they
 * are zeros that need not be written. */
static int fetch_rest(struct qcow2 *q, const struct placement *p, u64 from, u64 to, u8 **memory)
{
    *memory = NULL;
    if (from == to) return 0;
    u64 end = least(to, q->image.bytes); /* the last cluster may reach beyond the medium */
    u8 *bytes = calloc(1, to - from);
    struct iovec part;
    if (!bytes) return -ENOMEM;
    int failed = from < end ? read_claimed(q, from, span_of(&part, bytes, end - from)) : 0;
    bool needed = !p->zeros || !span_is_zero(span_of(&part, bytes, to - from));
    if (failed || !needed) {
        free(bytes);
        return failed;
    }
    *memory = bytes;
    return 0;
}

/* Write head + data + tail in one request. */
static int write_whole(struct qcow2 *q, u64 host, const u8 *head, u64 head_bytes, struct span data,
                       const u8 *tail, u64 tail_bytes)
{
    struct iovec *parts = malloc((data.count + 2) * sizeof(*parts));
    if (!parts) return -ENOMEM;
    unsigned count = 0;
    if (head)
        parts[count++] = (struct iovec){(void *)(uintptr_t)head, head_bytes};
    else
        host += head_bytes;
    count += span_parts(data, parts + count, data.count);
    if (tail) parts[count++] = (struct iovec){(void *)(uintptr_t)tail, tail_bytes};
    u64 bytes = (head ? head_bytes : 0) + data.bytes + (tail ? tail_bytes : 0);
    int failed = q->store->ops->write(q->store, host, (struct span){parts, count, 0, bytes});
    free(parts);
    return failed;
}

static int fill_placement(struct qcow2 *q, const struct placement *p, u64 offset, struct span from)
{
    u64 start = p->first << q->cluster_bits, end = (p->first + p->count) << q->cluster_bits;
    u8 *head = NULL, *tail = NULL;
    int failed = fetch_rest(q, p, start, offset, &head);
    if (!failed) failed = fetch_rest(q, p, offset + from.bytes, end, &tail);
    if (!failed)
        failed = write_whole(q, p->host, head, offset - start, from, tail, end - offset - from.bytes);
    free(head);
    free(tail);
    return failed;
}

/* Lock held. The data are in the file: make the tables refer to them. */
static int link_placement(struct qcow2 *q, const struct placement *p)
{
    for (u64 n = 0; n < p->count; n++) {
        struct qcow2_table *table;
        u64 cluster = p->first + n, host = p->host + (n << q->cluster_bits);
        int failed = qcow2_l2_for_write(q, cluster, &table);
        if (failed) {
            if (p->taken) qcow2_release(q, host, p->count - n);
            return failed;
        }
        u64 index = qcow2_l2_index(q, cluster), old = qcow2_entry(table, index);
        qcow2_set_entry(q, table, index, host | QCOW2_COPIED);
        if (p->taken) qcow2_free_entry(q, old);
    }
    return 0;
}

/* Lock held on entry and return; the clusters are claimed exclusively. *written: bytes. */
static int write_elsewhere(struct qcow2 *q, u64 offset, struct span from, const struct qcow2_run *run,
                           u64 *written)
{
    struct placement p;
    int failed = place(q, offset, from.bytes, run, &p);
    if (failed) return failed;
    *written = least(from.bytes, ((p.first + p.count) << q->cluster_bits) - offset);
    pthread_mutex_unlock(&q->lock);
    failed = fill_placement(q, &p, offset, span_slice(from, 0, *written));
    pthread_mutex_lock(&q->lock);
    if (!failed) return link_placement(q, &p);
    if (p.taken) qcow2_release(q, p.host, p.count);
    return failed;
}

/* --- writing --- */

/* Lock held. Extend `run` over all following bytes that also need to be moved. */
static int extend_elsewhere(struct qcow2 *q, u64 offset, u64 bytes, struct qcow2_run *run)
{
    u64 total = run->bytes;
    if (stays_put(q, run, cluster_of(q, offset))) {
        run->bytes = least(bytes, q->cluster_bytes - (offset & (q->cluster_bytes - 1)));
        return 0;
    }
    while (total < bytes) {
        struct qcow2_run next;
        int failed = qcow2_map(q, offset + total, bytes - total, &next);
        if (failed) return failed;
        if (next.in_place || stays_put(q, &next, cluster_of(q, offset + total))) break;
        total += next.bytes;
    }
    run->bytes = total;
    return 0;
}

/* Lock held on entry and return. Writes one run; waits for conflicting claims. *written: bytes. */
static int write_run(struct qcow2 *q, u64 offset, struct span from, u64 *written)
{
    struct qcow2_claim claim;
    struct qcow2_run run;
    bool waited;
    do {
        int failed = q->corrupt ? -EIO : qcow2_map(q, offset, from.bytes, &run);
        if (!failed && !run.in_place) failed = extend_elsewhere(q, offset, from.bytes, &run);
        if (failed) return failed;
        u64 first = cluster_of(q, offset), last = cluster_of(q, offset + run.bytes - 1);
        waited = qcow2_claim_conflicts(q, first, last, !run.in_place);
        qcow2_claim(q, &claim, first, last, !run.in_place);
        if (waited) qcow2_unclaim(q, &claim); /* the mapping may have changed meanwhile */
    } while (waited);
    from = span_slice(from, 0, run.bytes);
    int failed;
    if (run.in_place) {
        *written = run.bytes;
        pthread_mutex_unlock(&q->lock);
        failed = q->store->ops->write(q->store, run.host, from);
        pthread_mutex_lock(&q->lock);
    } else {
        failed = write_elsewhere(q, offset, from, &run, written);
    }
    qcow2_unclaim(q, &claim);
    return failed;
}

int qcow2_write(struct disk_image *image, u64 offset, struct span from)
{
    struct qcow2 *q = qcow2_of(image);
    int failed = 0;
    pthread_mutex_lock(&q->lock);
    for (u64 done = 0, now = 0; done < from.bytes && !failed; done += now)
        failed = write_run(q, offset + done, span_slice(from, done, from.bytes - done), &now);
    pthread_mutex_unlock(&q->lock);
    return failed ? failed : qcow2_commit_if_much(q);
}

/* --- discarding and zeroing whole clusters --- */

/* Set the entry of a cluster to `replacement`. Lock held, cluster claimed. */
static int drop_cluster(struct qcow2 *q, u64 cluster, u64 replacement)
{
    struct qcow2_run run;
    struct qcow2_table *table;
    int failed = qcow2_map(q, cluster << q->cluster_bits, 1, &run);
    if (failed || run.entry == replacement) return failed;
    failed = qcow2_l2_for_write(q, cluster, &table);
    if (failed) return failed;
    qcow2_set_entry(q, table, qcow2_l2_index(q, cluster), replacement);
    qcow2_free_entry(q, run.entry);
    return 0;
}

static int drop_clusters(struct qcow2 *q, u64 first, u64 end, u64 replacement)
{
    struct qcow2_claim claim;
    int failed = 0;
    if (first >= end) return 0;
    pthread_mutex_lock(&q->lock);
    qcow2_claim(q, &claim, first, end - 1, true);
    if (q->corrupt) failed = -EIO;
    for (u64 cluster = first; cluster < end && !failed; cluster++) {
        struct qcow2_run run;
        u64 left = (end - cluster) << q->cluster_bits;
        failed = qcow2_map(q, cluster << q->cluster_bits, left, &run);
        /* The cluster is absent and must be absent: skip the whole run. */
        bool nothing = run.kind == QCOW2_KIND_ABSENT && (!replacement || !q->backing);
        if (!failed && nothing && run.bytes > q->cluster_bytes)
            cluster += (run.bytes >> q->cluster_bits) - 1;
        else if (!failed && !nothing)
            failed = drop_cluster(q, cluster, replacement);
    }
    qcow2_unclaim(q, &claim);
    pthread_mutex_unlock(&q->lock);
    return failed ? failed : qcow2_commit_if_much(q);
}

int qcow2_discard(struct disk_image *image, u64 offset, u64 bytes)
{
    struct qcow2 *q = qcow2_of(image);
    u64 first = cluster_of(q, offset + q->cluster_bytes - 1), end = cluster_of(q, offset + bytes);
    if (offset + bytes == image->bytes) end = cluster_of(q, offset + bytes + q->cluster_bytes - 1);
    /* Without zero clusters the backing image's old contents would reappear, although the guest may have read
     * zeros here. */
    if (q->backing && q->version < 3) return 0;
    return drop_clusters(q, first, end, q->backing ? QCOW2_ZERO : 0);
}

int qcow2_zero(struct disk_image *image, u64 offset, u64 bytes)
{
    struct qcow2 *q = qcow2_of(image);
    u64 first = cluster_of(q, offset + q->cluster_bytes - 1), end = cluster_of(q, offset + bytes);
    if (offset + bytes == image->bytes) end = cluster_of(q, offset + bytes + q->cluster_bytes - 1);
    if (first >= end || (q->backing && q->version < 3)) return disk_image_write_zeros(image, offset, bytes);
    u64 begin = first << q->cluster_bits, stop = end << q->cluster_bits;
    int failed = drop_clusters(q, first, end, q->version >= 3 ? QCOW2_ZERO : 0);
    if (!failed && begin > offset) failed = disk_image_write_zeros(image, offset, begin - offset);
    if (!failed && stop < offset + bytes) failed = disk_image_write_zeros(image, stop, offset + bytes - stop);
    return failed;
}

/* --- extents --- */

int qcow2_extent(struct disk_image *image, u64 offset, u64 *bytes, enum extent_kind *kind)
{
    struct qcow2 *q = qcow2_of(image);
    struct qcow2_run run;
    pthread_mutex_lock(&q->lock);
    int failed = qcow2_map(q, offset, image->bytes - offset, &run);
    pthread_mutex_unlock(&q->lock);
    if (failed) return failed;
    *bytes = run.bytes;
    *kind = run.kind == QCOW2_KIND_ZERO ? EXTENT_ZERO : EXTENT_DATA;
    if (run.kind != QCOW2_KIND_ABSENT) return 0;
    *kind = EXTENT_ABSENT;
    if (!q->backing || offset >= q->backing->bytes) return 0;
    u64 below;
    failed = q->backing->ops->extent(q->backing, offset, &below, kind);
    *bytes = least(*bytes, below);
    return failed;
}
