/*
 * qcow2: checks before an image is opened, and the creation of images.
 */
#ifndef RINGER_BLOCK_QCOW2_FORMAT_H
#define RINGER_BLOCK_QCOW2_FORMAT_H

#include "qcow2.h"

struct qcow2_backing {
    char path[1024]; /* as written in the image; empty: none */
    char format[32]; /* empty: unknown */
};

/* Read and check. False with half a sentence in error, which follows the image's name. */
bool qcow2_read_header(struct store *store, bool read_only, struct qcow2_header *header, char *error,
                       size_t error_bytes);
bool qcow2_read_backing(struct store *store, const struct qcow2_header *header, struct qcow2_backing *backing,
                        char *error, size_t error_bytes);

/* On success the image owns store and backing (NULL: none). NULL with half a sentence in error. */
struct disk_image *qcow2_open(struct store *store, const char *name, bool read_only,
                              struct disk_image *backing, char *error, size_t error_bytes);

struct qcow2_recipe {
    u64 bytes;
    unsigned version;      /* 2 or 3 */
    unsigned cluster_bits; /* 9 to 21 */
    unsigned refcount_order;
    const char *backing, *backing_format; /* NULL: none */
};

/* Make an empty image in an empty store. 0 or -errno; -EFBIG: too large for its cluster size. */
int qcow2_create(struct store *store, const struct qcow2_recipe *recipe);

#endif
