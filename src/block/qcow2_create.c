/*
 * qcow2: new images.
 *
 *   cluster 0: header, extensions, name of the backing file
 *   refcount table, its blocks, L1 table: each one or more clusters, in this order
 */
#include "qcow2_format.h"

#include <errno.h>
#include <stdlib.h>

struct layout {
    u64 l1_entries;
    u64 reftable_clusters, blocks, l1_clusters, total;
};

static u64 quotient_up(u64 value, u64 by)
{
    return (value + by - 1) / by;
}

static int lay_out(const struct qcow2_recipe *recipe, struct layout *layout)
{
    u64 cluster = 1ull << recipe->cluster_bits, covered = cluster << (recipe->cluster_bits - 3);
    unsigned block_bits = recipe->cluster_bits + 3 - recipe->refcount_order;
    layout->l1_entries = quotient_up(recipe->bytes, covered);
    if (layout->l1_entries * sizeof(u64) > QCOW2_L1_BYTES_MAX) return -EFBIG;
    layout->l1_clusters = quotient_up(layout->l1_entries * sizeof(u64), cluster);
    if (!layout->l1_clusters) layout->l1_clusters = 1; /* an empty L1 table has an offset too */
    layout->blocks = layout->reftable_clusters = 1;
    do {
        layout->total = 1 + layout->reftable_clusters + layout->blocks + layout->l1_clusters;
        layout->blocks = quotient_up(layout->total, 1ull << block_bits);
        layout->reftable_clusters = quotient_up(layout->blocks * sizeof(u64), cluster);
    } while (layout->total < 1 + layout->reftable_clusters + layout->blocks + layout->l1_clusters);
    return 0;
}

static u8 *put_extension(u8 *at, u32 type, const char *text)
{
    u32 head[2] = {htobe32(type), htobe32((u32)strlen(text))};
    memcpy(at, head, sizeof(head));
    memcpy(at + sizeof(head), text, strlen(text));
    return at + sizeof(head) + align_up(strlen(text), 8);
}

static int write_header(struct store *store, const struct qcow2_recipe *recipe, const struct layout *layout)
{
    u64 cluster_bytes = 1ull << recipe->cluster_bits,
        name_bytes = recipe->backing ? strlen(recipe->backing) : 0;
    u64 format_bytes = recipe->backing_format ? 8 + align_up(strlen(recipe->backing_format), 8) : 0;
    u64 start = recipe->version == 2 ? QCOW2_HEADER_V2_BYTES : QCOW2_HEADER_V3_BYTES;
    if (start + format_bytes + 8 + name_bytes > cluster_bytes || name_bytes > 1023) return -ENAMETOOLONG;
    u8 *cluster = calloc(1, cluster_bytes);
    if (!cluster) return -ENOMEM;
    struct qcow2_header header = {
        .magic = htobe32(QCOW2_MAGIC),
        .version = htobe32(recipe->version),
        .cluster_bits = htobe32(recipe->cluster_bits),
        .bytes = htobe64(recipe->bytes),
        .l1_entries = htobe32((u32)layout->l1_entries),
        .l1_offset = htobe64((1 + layout->reftable_clusters + layout->blocks) << recipe->cluster_bits),
        .reftable_offset = htobe64(cluster_bytes),
        .reftable_clusters = htobe32((u32)layout->reftable_clusters),
        .refcount_order = htobe32(recipe->refcount_order),
        .header_bytes = htobe32(QCOW2_HEADER_V3_BYTES),
    };
    u8 *at = cluster + start;
    if (recipe->backing_format) at = put_extension(at, 0xe2792aca, recipe->backing_format);
    at += 8; /* the extension that ends the list */
    if (recipe->backing) {
        header.backing_offset = htobe64((u64)(at - cluster));
        header.backing_bytes = htobe32((u32)name_bytes);
        memcpy(at, recipe->backing, name_bytes);
    }
    memcpy(cluster, &header, start);
    int failed = store_put(store, 0, cluster, cluster_bytes);
    free(cluster);
    return failed;
}

/* Set the refcounts of the first `total` clusters to 1. */
static int write_refcounts(struct store *store, const struct qcow2_recipe *recipe,
                           const struct layout *layout)
{
    u64 cluster_bytes = 1ull << recipe->cluster_bits, first = 1 + layout->reftable_clusters;
    u64 *table = calloc(layout->reftable_clusters, cluster_bytes);
    u8 *block = malloc(cluster_bytes);
    int failed = table && block ? 0 : -ENOMEM;
    for (u64 b = 0; b < layout->blocks && !failed; b++) {
        unsigned width = 1u << recipe->refcount_order;
        u64 in_block = cluster_bytes * 8 / width;
        memset(block, 0, cluster_bytes);
        for (u64 n = 0; n < in_block && b * in_block + n < layout->total; n++) {
            /* The bit of the entry's lowest byte: narrow entries fill a byte from its lowest bit, wide ones
             * are big-endian. */
            u64 bit = width < 8 ? n * width : (n + 1) * width - 8;
            block[bit / 8] |= (u8)(1 << (bit % 8));
        }
        table[b] = htobe64((first + b) << recipe->cluster_bits);
        failed = store_put(store, (first + b) << recipe->cluster_bits, block, cluster_bytes);
    }
    if (!failed)
        failed = store_put(store, cluster_bytes, table, layout->reftable_clusters << recipe->cluster_bits);
    free(table);
    free(block);
    return failed;
}

int qcow2_create(struct store *store, const struct qcow2_recipe *recipe)
{
    struct layout layout;
    if (recipe->version == 2 && recipe->refcount_order != 4) return -EINVAL;
    int failed = lay_out(recipe, &layout);
    /* The L1 table is all zeros: leave a hole. */
    if (!failed) failed = store->ops->set_size(store, layout.total << recipe->cluster_bits);
    if (!failed) failed = write_refcounts(store, recipe, &layout);
    if (!failed) failed = write_header(store, recipe, &layout);
    return failed;
}
