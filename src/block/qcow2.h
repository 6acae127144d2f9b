/*
 * qcow2 images, versions 2 and 3: what the files qcow2_*.c share. Format: QEMU, docs/interop/qcow2.txt.
 *
 *   header -> L1 table -> L2 tables -> data clusters            where the guest's clusters lie
 *   header -> refcount table -> refcount blocks                 how often each cluster of the file is used
 *
 * Tables are changed in memory. qcow2_commit(), which a flush calls, writes them back together.
 *
 * Invariants
 * 1. At any moment, if the process dies (or the host, with any subset of what was not synced), the tables in
 *    the file refer only to clusters with a refcount in the file that counts the reference. Clusters may be leaked.
 * 2. An L2 entry is set in memory only after its data were written, and reaches the file only after a later
 *    sync. So a reference never shows the old contents of its cluster.
 * 3. A refcount in memory goes up at once, but goes down only after the tables without the reference are
 *    stable. So refcount blocks may be written at any time, and a cluster is not reused while the file may
 *    still refer to it.
 * 4. L2 tables are written before the L1 entries that refer to them, and refcount blocks before the entries
 *    of the refcount table, each with a sync between.
 *
 * Threads: `lock` guards everything except the commit's own work. It is not held during data transfers.
 * Instead, each request claims the guest clusters that it uses: shared for transfers to clusters that stay
 * where they are, exclusively for anything that moves or frees clusters. So no transfer goes to a cluster
 * that was freed in the meantime. Lock order: `committing`, `lock`, `unpacking`.
 */
#ifndef RINGER_BLOCK_QCOW2_H
#define RINGER_BLOCK_QCOW2_H

#include "image.h"

#include <endian.h>
#include <pthread.h>

#define QCOW2_MAGIC            0x514649fbu
#define QCOW2_SECTOR_BYTES     512u
#define QCOW2_CLUSTER_BITS_MIN 9
#define QCOW2_CLUSTER_BITS_MAX 21
/* QEMU's limits. */
#define QCOW2_L1_BYTES_MAX       (32u << 20)
#define QCOW2_REFTABLE_BYTES_MAX (8u << 20)
#define QCOW2_SNAPSHOTS_MAX      65536u

enum qcow2_incompatible {
    QCOW2_DIRTY = 1 << 0,
    QCOW2_CORRUPT = 1 << 1,
    QCOW2_DATA_FILE = 1 << 2,
    QCOW2_COMPRESSION = 1 << 3,
    QCOW2_EXTENDED_L2 = 1 << 4,
};

/* Entries of L1 and L2 tables. */
#define QCOW2_COPIED      (1ull << 63) /* the refcount is 1: the cluster may be written in place */
#define QCOW2_COMPRESSED  (1ull << 62)
#define QCOW2_ZERO        1ull
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull

/* All fields are big-endian in the file. */
struct qcow2_header {
    u32 magic, version;
    u64 backing_offset;
    u32 backing_bytes;
    u32 cluster_bits;
    u64 bytes;
    u32 encryption;
    u32 l1_entries;
    u64 l1_offset;
    u64 reftable_offset;
    u32 reftable_clusters;
    u32 snapshots;
    u64 snapshots_offset;
    /* version 3 */
    u64 incompatible, compatible, autoclear;
    u32 refcount_order;
    u32 header_bytes;
    u8 compression;
    u8 padding[7];
} __attribute__((packed));

#define QCOW2_HEADER_V2_BYTES 72
#define QCOW2_HEADER_V3_BYTES 104

/* An L2 table or a refcount block in memory. */
struct qcow2_table {
    u64 offset;
    u8 *data;   /* as in the file */
    u64 *dirty; /* one bit a sector */
    bool any_dirty;
    bool is_l2;
    bool fresh;    /* nothing stable refers to it yet: it may be written at any time, but only as a whole */
    unsigned pins; /* the table may be evicted only when this is 0 */
    struct qcow2_table *hash_next, *older, *newer;
};

#define QCOW2_HASH 4096

struct qcow2_tables {
    struct qcow2_table *hash[QCOW2_HASH];
    struct qcow2_table *oldest, *newest;
    u64 count, dirty_count, limit;
};

struct qcow2_claim {
    u64 first, last; /* guest clusters */
    bool exclusive;
    struct qcow2_claim *next;
};

struct qcow2_freed {
    u64 cluster, count;
};

struct qcow2 {
    struct disk_image image;
    struct store *store;
    struct disk_image *backing;
    char *name; /* for messages */
    unsigned version, cluster_bits;
    u64 cluster_bytes;
    unsigned l2_bits; /* log 2 of the entries of an L2 table */
    unsigned refcount_order, block_bits;
    u64 header_bytes, incompatible;
    unsigned compression; /* 0: deflate, 1: zstd */
    u64 snapshots_offset;
    unsigned snapshots;

    pthread_mutex_t lock;
    pthread_cond_t claims_changed;
    struct qcow2_claim *claims;
    u64 *l1, *l1_dirty; /* host order; one dirty bit a sector */
    u64 l1_offset, l1_entries;
    u64 *reftable, *reftable_dirty;
    u64 reftable_offset, reftable_entries;
    bool l1_any_dirty, reftable_any_dirty;
    struct qcow2_tables tables;
    u64 search;   /* no cluster below this one is free */
    u64 host_end; /* nothing was ever written at this offset or beyond */
    struct qcow2_freed *freed;
    u64 freed_count, freed_room;
    bool corrupt; /* the file contradicts itself: no more writing */

    pthread_mutex_t committing;
    pthread_mutex_t unpacking;
    u8 *unpacked; /* the cluster that was decompressed last */
    u64 unpacked_entry;
};

static inline struct qcow2 *qcow2_of(struct disk_image *image)
{
    return container_of(image, struct qcow2, image);
}

/* --- qcow2_table.c: tables in memory (lock held) --- */

/* The table at this offset of the file; reads it unless it is in memory. */
int qcow2_table_get(struct qcow2 *q, u64 offset, bool is_l2, struct qcow2_table **table);
/* The same, but NULL unless it is in memory. */
struct qcow2_table *qcow2_table_peek(struct qcow2 *q, u64 offset);
/* A new table, all zeros; reads nothing. */
int qcow2_table_make(struct qcow2 *q, u64 offset, bool is_l2, struct qcow2_table **table);
void qcow2_table_mark(struct qcow2 *q, struct qcow2_table *table, u64 byte, u64 bytes);
void qcow2_table_clean(struct qcow2 *q, struct qcow2_table *table);
void qcow2_tables_destroy(struct qcow2 *q);

static inline u64 qcow2_entry(const struct qcow2_table *table, u64 index)
{
    return be64toh(((const u64 *)table->data)[index]);
}
static inline void qcow2_set_entry(struct qcow2 *q, struct qcow2_table *table, u64 index, u64 entry)
{
    ((u64 *)table->data)[index] = htobe64(entry);
    qcow2_table_mark(q, table, index * sizeof(u64), sizeof(u64));
}

/* --- qcow2_refcount.c (lock held) --- */

int qcow2_refcount(struct qcow2 *q, u64 cluster, u64 *count);
int qcow2_refcount_set(struct qcow2 *q, u64 cluster, u64 count);
/* Allocate up to `wanted` contiguous free clusters; at least one, or an error. *fresh: nothing was ever
 * written there. */
int qcow2_allocate(struct qcow2 *q, u64 wanted, u64 *offset, u64 *got, bool *fresh);
/* Free clusters that nothing ever referred to. */
void qcow2_release(struct qcow2 *q, u64 offset, u64 clusters);
/* A reference was removed. The refcount goes down when the removal is stable. */
void qcow2_free(struct qcow2 *q, u64 offset, u64 clusters);
/* The same for the clusters that an L2 entry referred to. */
void qcow2_free_entry(struct qcow2 *q, u64 entry);
/* The removal is stable: lower the refcounts, and give the space of free clusters back to the host. */
void qcow2_apply_freed(struct qcow2 *q, const struct qcow2_freed *freed, u64 count);
/* Does this range hold anything other than guest data? Does not look for tables of snapshots. */
bool qcow2_is_metadata(const struct qcow2 *q, u64 offset, u64 bytes);
/* The same for header, L1 table and refcount table only; cheap. */
bool qcow2_is_fixed_metadata(const struct qcow2 *q, u64 offset, u64 bytes);

/* --- qcow2_commit.c --- */

/* Make everything stable that was done before this call. The lock is not held. */
int qcow2_commit(struct qcow2 *q);
/* After a request: commit if many changes wait to be written back. */
int qcow2_commit_if_much(struct qcow2 *q);

/* --- qcow2_map.c (lock held) --- */

enum qcow2_kind {
    QCOW2_KIND_ABSENT,
    QCOW2_KIND_ZERO,
    QCOW2_KIND_DATA,
    QCOW2_KIND_COMPRESSED,
};

struct qcow2_run {
    enum qcow2_kind kind;
    u64 entry;     /* of the first cluster */
    u64 host;      /* DATA: offset in the file of the first requested byte */
    u64 bytes;     /* from the requested offset on */
    bool in_place; /* DATA: may be written where it is */
};

/* Map a guest offset to a run of up to `bytes` bytes of one kind; COMPRESSED: at most one cluster. */
int qcow2_map(struct qcow2 *q, u64 offset, u64 bytes, struct qcow2_run *run);
/* The L2 table that holds this guest cluster's entry, for writing: made if it is missing, copied if a
 * snapshot shares it. */
int qcow2_l2_for_write(struct qcow2 *q, u64 cluster, struct qcow2_table **table);

void qcow2_claim(struct qcow2 *q, struct qcow2_claim *claim, u64 first, u64 last, bool exclusive);
/* Would this claim have to wait for another one? */
bool qcow2_claim_conflicts(const struct qcow2 *q, u64 first, u64 last, bool exclusive);
void qcow2_unclaim(struct qcow2 *q, struct qcow2_claim *claim);

/* The image contradicts itself: report it once, mark the image, stop writing. Returns -EIO. */
int qcow2_is_corrupt(struct qcow2 *q, const char *what, u64 where);

static inline u64 qcow2_l2_index(const struct qcow2 *q, u64 cluster)
{
    return cluster & ((1ull << q->l2_bits) - 1);
}

/* --- qcow2_io.c (no lock held) --- */

int qcow2_read(struct disk_image *image, u64 offset, struct span to);
int qcow2_read_now(struct disk_image *image, u64 offset, struct span to);
int qcow2_write(struct disk_image *image, u64 offset, struct span from);
int qcow2_zero(struct disk_image *image, u64 offset, u64 bytes);
int qcow2_discard(struct disk_image *image, u64 offset, u64 bytes);
int qcow2_extent(struct disk_image *image, u64 offset, u64 *bytes, enum extent_kind *kind);

/* --- qcow2_unpack.c (no lock held) --- */

/* Read from a compressed cluster. */
int qcow2_unpack(struct qcow2 *q, u64 entry, u64 offset_in_cluster, struct span to);
/* The location of the compressed data in the file. */
void qcow2_packed_data(const struct qcow2 *q, u64 entry, u64 *offset, u64 *bytes);

/* --- qcow2_repair.c (exclusive use of the image) --- */

/* For images that were not closed properly: count all references again and correct the refcounts. */
int qcow2_repair(struct qcow2 *q);

#endif
