/*
 * qcow2: opening an image (its header is not trusted), and closing it.
 */
#include "base/log.h"
#include "qcow2_format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Memory for the tables of each image: L2 tables for 256 GB at the usual cluster size. */
#define TABLES_BYTES (32u << 20)
#define TABLES_LEAST 16u

#define REFUSE(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

/* --- the header --- */

static void to_host_order(struct qcow2_header *h)
{
    h->magic = be32toh(h->magic);
    h->version = be32toh(h->version);
    h->backing_offset = be64toh(h->backing_offset);
    h->backing_bytes = be32toh(h->backing_bytes);
    h->cluster_bits = be32toh(h->cluster_bits);
    h->bytes = be64toh(h->bytes);
    h->encryption = be32toh(h->encryption);
    h->l1_entries = be32toh(h->l1_entries);
    h->l1_offset = be64toh(h->l1_offset);
    h->reftable_offset = be64toh(h->reftable_offset);
    h->reftable_clusters = be32toh(h->reftable_clusters);
    h->snapshots = be32toh(h->snapshots);
    h->snapshots_offset = be64toh(h->snapshots_offset);
    h->incompatible = be64toh(h->incompatible);
    h->compatible = be64toh(h->compatible);
    h->autoclear = be64toh(h->autoclear);
    h->refcount_order = be32toh(h->refcount_order);
    h->header_bytes = be32toh(h->header_bytes);
}

static bool check_features(const struct qcow2_header *h, bool read_only, char *error, size_t error_bytes)
{
    const u64 known = QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_COMPRESSION;
    if (h->incompatible & QCOW2_DATA_FILE)
        return REFUSE("its data are in another file, which Ringer does not support");
    if (h->incompatible & QCOW2_EXTENDED_L2)
        return REFUSE("it has extended L2 entries, which Ringer does not support");
    if (h->incompatible & ~known)
        return REFUSE("it uses features that Ringer does not know (%#" PRIx64 ")", h->incompatible & ~known);
    if ((h->incompatible & QCOW2_CORRUPT) && !read_only)
        return REFUSE("it is marked as damaged: it can be read only, until \"qemu-img check -r all\" repairs "
                      "it");
    if (h->compression > 1 || (h->compression && !(h->incompatible & QCOW2_COMPRESSION)))
        return REFUSE("its clusters are compressed by a method that Ringer does not know (%u)",
                      h->compression);
    return true;
}

static bool check_geometry(const struct qcow2_header *h, char *error, size_t error_bytes)
{
    if (h->cluster_bits < QCOW2_CLUSTER_BITS_MIN || h->cluster_bits > QCOW2_CLUSTER_BITS_MAX)
        return REFUSE("clusters of 2^%u bytes are not possible", h->cluster_bits);
    u64 cluster = 1ull << h->cluster_bits, in_cluster = cluster - 1;
    u64 covered = cluster << (h->cluster_bits - 3); /* by one L2 table */
    if (h->header_bytes < QCOW2_HEADER_V3_BYTES || h->header_bytes > cluster || h->header_bytes % 8)
        return REFUSE("a header of %u bytes is not possible", h->header_bytes);
    if (h->refcount_order > 6) return REFUSE("refcounts of 2^%u bits are not possible", h->refcount_order);
    if (h->encryption) return REFUSE("it is encrypted, which Ringer does not support");
    if (h->bytes > (1ull << 62)) return REFUSE("%" PRIu64 " bytes are too many", h->bytes);
    if ((u64)h->l1_entries * sizeof(u64) > QCOW2_L1_BYTES_MAX)
        return REFUSE("an L1 table of %u entries is too large", h->l1_entries);
    if ((h->bytes + covered - 1) / covered > h->l1_entries)
        return REFUSE("its L1 table is too small for its %" PRIu64 " bytes", h->bytes);
    if ((u64)h->reftable_clusters << h->cluster_bits > QCOW2_REFTABLE_BYTES_MAX || !h->reftable_clusters)
        return REFUSE("a refcount table of %u clusters is not possible", h->reftable_clusters);
    if (h->snapshots > QCOW2_SNAPSHOTS_MAX) return REFUSE("it has too many snapshots (%u)", h->snapshots);
    const u64 offsets[] = {h->l1_entries ? h->l1_offset : cluster, h->reftable_offset,
                           h->snapshots ? h->snapshots_offset : cluster};
    for (unsigned n = 0; n < ARRAY_SIZE(offsets); n++)
        if (offsets[n] & in_cluster || !offsets[n] || offsets[n] >> 56)
            return REFUSE("a table at %#" PRIx64 " is not possible", offsets[n]);
    return true;
}

bool qcow2_read_header(struct store *store, bool read_only, struct qcow2_header *h, char *error,
                       size_t error_bytes)
{
    int failed = store_get(store, 0, h, sizeof(*h));
    if (failed < 0) return REFUSE("cannot read its header: %s", strerror(-failed));
    to_host_order(h);
    if (h->magic != QCOW2_MAGIC) return REFUSE("it is not in the format qcow2");
    if (h->version != 2 && h->version != 3)
        return REFUSE("version %u of qcow2 is unknown; there are 2 and 3", h->version);
    if (h->version == 2) {
        /* Version 2 has none of the later fields: set their defaults. */
        memset((u8 *)h + QCOW2_HEADER_V2_BYTES, 0, sizeof(*h) - QCOW2_HEADER_V2_BYTES);
        h->refcount_order = 4;
        h->header_bytes = QCOW2_HEADER_V3_BYTES;
    } else if (h->header_bytes <= QCOW2_HEADER_V3_BYTES) {
        h->compression = 0; /* the header ends before this byte */
    }
    return check_geometry(h, error, error_bytes) && check_features(h, read_only, error, error_bytes);
}

/* --- what the image is based on --- */

enum extension { EXTENSION_END = 0, EXTENSION_BACKING_FORMAT = 0xe2792aca };

static bool find_backing_format(const u8 *cluster, u64 from, u64 to, char *format, size_t format_bytes)
{
    while (from + 8 <= to) {
        u32 type = be32toh(*(const any32 *)(cluster + from));
        u64 bytes = be32toh(*(const any32 *)(cluster + from + 4));
        from += 8;
        if (type == EXTENSION_END) return true;
        if (bytes > to - from) return false;
        if (type == EXTENSION_BACKING_FORMAT) {
            if (bytes >= format_bytes) return false;
            memcpy(format, cluster + from, bytes);
            format[bytes] = 0;
        }
        from += align_up(bytes, 8);
    }
    return true;
}

bool qcow2_read_backing(struct store *store, const struct qcow2_header *h, struct qcow2_backing *backing,
                        char *error, size_t error_bytes)
{
    u64 cluster_bytes = 1ull << h->cluster_bits, end = cluster_bytes;
    *backing = (struct qcow2_backing){0};
    if (h->backing_offset) {
        if (h->backing_bytes >= sizeof(backing->path) || h->backing_offset > cluster_bytes ||
            h->backing_bytes > cluster_bytes - h->backing_offset)
            return REFUSE("the name of its backing file is not in its header");
        end = h->backing_offset;
    }
    u8 *cluster = calloc(1, cluster_bytes);
    if (!cluster) return REFUSE("out of memory");
    bool good = store_get(store, 0, cluster, cluster_bytes) >= 0;
    u64 begin = h->version == 2 ? QCOW2_HEADER_V2_BYTES : h->header_bytes;
    good = good && find_backing_format(cluster, begin, end, backing->format, sizeof(backing->format));
    if (good && h->backing_offset) memcpy(backing->path, cluster + h->backing_offset, h->backing_bytes);
    free(cluster);
    return good ? true : REFUSE("its header extensions make no sense");
}

/* --- tables --- */

static u64 *read_table(struct store *store, u64 offset, u64 entries)
{
    u64 *table = calloc(entries + 1, sizeof(u64));
    if (table && entries && store_get(store, offset, table, entries * sizeof(u64))) {
        free(table);
        return NULL;
    }
    for (u64 n = 0; table && n < entries; n++)
        table[n] = be64toh(table[n]);
    return table;
}

static u64 *dirty_bits(u64 entries)
{
    return calloc(entries * sizeof(u64) / QCOW2_SECTOR_BYTES / 64 + 1, sizeof(u64));
}

static bool read_tables(struct qcow2 *q, char *error, size_t error_bytes)
{
    q->l1 = read_table(q->store, q->l1_offset, q->l1_entries);
    if (!q->l1) return REFUSE("its L1 table cannot be read");
    q->reftable = read_table(q->store, q->reftable_offset, q->reftable_entries);
    if (!q->reftable) return REFUSE("its refcount table cannot be read");
    q->l1_dirty = dirty_bits(q->l1_entries);
    q->reftable_dirty = dirty_bits(q->reftable_entries);
    return q->l1_dirty && q->reftable_dirty ? true : REFUSE("out of memory");
}

/* --- the image --- */

static int qcow2_flush(struct disk_image *image)
{
    return image->read_only ? 0 : qcow2_commit(qcow2_of(image));
}

static void destroy(struct qcow2 *q)
{
    qcow2_tables_destroy(q);
    free(q->l1);
    free(q->l1_dirty);
    free(q->reftable);
    free(q->reftable_dirty);
    free(q->freed);
    free(q->unpacked);
    free(q->name);
    pthread_mutex_destroy(&q->lock);
    pthread_mutex_destroy(&q->committing);
    pthread_mutex_destroy(&q->unpacking);
    pthread_cond_destroy(&q->claims_changed);
    free(q);
}

/* Freeing clusters makes refcount blocks dirty, so it takes two rounds. */
static int write_back(struct qcow2 *q)
{
    if (q->image.read_only || q->corrupt) return 0;
    int failed = qcow2_commit(q);
    if (!failed && q->tables.dirty_count) failed = qcow2_commit(q);
    if (failed) log_warn("%s: cannot write its tables back: %s", q->name, strerror(-failed));
    return failed;
}

static int qcow2_close(struct disk_image *image)
{
    struct qcow2 *q = qcow2_of(image);
    int failed = write_back(q);
    disk_image_close(q->backing);
    q->store->ops->close(q->store);
    destroy(q);
    return failed;
}

static const struct disk_image_ops qcow2_ops = {
    .format = "qcow2",
    .keeps_tables = true,
    .read = qcow2_read,
    .read_now = qcow2_read_now,
    .write = qcow2_write,
    .flush = qcow2_flush,
    .discard = qcow2_discard,
    .zero = qcow2_zero,
    .extent = qcow2_extent,
    .close = qcow2_close,
};

static struct qcow2 *make(struct store *store, const struct qcow2_header *h, const char *name, bool read_only)
{
    struct qcow2 *q = calloc(1, sizeof(*q));
    if (!q) return NULL;
    q->image = (struct disk_image){&qcow2_ops, align_up(h->bytes, QCOW2_SECTOR_BYTES), read_only};
    q->store = store;
    q->name = strdup(name);
    q->version = h->version;
    q->cluster_bits = h->cluster_bits;
    q->cluster_bytes = 1ull << h->cluster_bits;
    q->l2_bits = h->cluster_bits - 3;
    q->refcount_order = h->refcount_order;
    q->block_bits = h->cluster_bits + 3 - h->refcount_order;
    q->incompatible = h->incompatible;
    q->compression = h->compression;
    q->l1_offset = h->l1_offset;
    q->l1_entries = h->l1_entries;
    q->reftable_offset = h->reftable_offset;
    q->reftable_entries = (u64)h->reftable_clusters << (h->cluster_bits - 3);
    q->snapshots = h->snapshots;
    q->snapshots_offset = h->snapshots_offset;
    q->tables.limit = TABLES_BYTES >> h->cluster_bits;
    if (q->tables.limit < TABLES_LEAST) q->tables.limit = TABLES_LEAST;
    pthread_mutex_init(&q->lock, NULL);
    pthread_mutex_init(&q->committing, NULL);
    pthread_mutex_init(&q->unpacking, NULL);
    pthread_cond_init(&q->claims_changed, NULL);
    return q;
}

/* Autoclear bits announce extensions that only their own software keeps up to date. Ringer does not, so it
 * clears the bits before it writes anything else. */
static int clear_autoclear(struct qcow2 *q, const struct qcow2_header *h)
{
    u64 none = 0;
    if (q->version < 3 || !h->autoclear) return 0;
    int failed = store_put(q->store, offsetof(struct qcow2_header, autoclear), &none, sizeof(none));
    return failed ? failed : q->store->ops->sync(q->store);
}

static bool make_writable(struct qcow2 *q, const struct qcow2_header *h, char *error, size_t error_bytes)
{
    u64 bytes;
    int failed = q->store->ops->size(q->store, &bytes);
    q->host_end = align_up(bytes, q->cluster_bytes);
    if (!failed) failed = clear_autoclear(q, h);
    if (!failed && (q->incompatible & QCOW2_DIRTY)) {
        log_warn("%s was not closed properly: counting its refcounts again", q->name);
        failed = qcow2_repair(q);
    }
    return failed ? REFUSE("cannot prepare it for writing: %s", strerror(-failed)) : true;
}

struct disk_image *qcow2_open(struct store *store, const char *name, bool read_only,
                              struct disk_image *backing, char *error, size_t error_bytes)
{
    struct qcow2_header header;
    if (!qcow2_read_header(store, read_only, &header, error, error_bytes)) return NULL;
    struct qcow2 *q = make(store, &header, name, read_only);
    if (!q) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    q->backing = backing;
    if (read_tables(q, error, error_bytes) && (read_only || make_writable(q, &header, error, error_bytes)))
        return &q->image;
    destroy(q);
    return NULL;
}
