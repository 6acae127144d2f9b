/*
 * An image: a medium by offset, in any format. Calls are synchronous: any thread may call any of these
 * functions at any time, and each blocks for as long as the host takes. All return 0 or -errno.
 *
 * Offsets and lengths are multiples of 512 and lie within image.bytes; block_disk.c checks that for guest requests.
 * Data are stable after a flush() that began after the write had returned.
 * Two overlapping requests that run at the same time leave any mixture of both in the bytes that they share,
 * and have no other effect.
 */
#ifndef RINGER_BLOCK_IMAGE_H
#define RINGER_BLOCK_IMAGE_H

#include "store.h"

struct disk_image {
    const struct disk_image_ops *ops;
    u64 bytes; /* multiple of 512 */
    bool read_only;
};

enum extent_kind {
    EXTENT_ABSENT, /* never written: reads as the backing image, or as zeros */
    EXTENT_ZERO,
    EXTENT_DATA,
};

struct disk_image_ops {
    const char *format;
    int (*read)(struct disk_image *image, u64 offset, struct span to);
    /* Read if that needs no wait, neither for the host nor for another thread. -EAGAIN: it needs one; the buffer's
     * contents are undefined. */
    int (*read_now)(struct disk_image *image, u64 offset, struct span to);
    int (*write)(struct disk_image *image, u64 offset, struct span from);
    int (*flush)(struct disk_image *image);
    /* The image keeps changed tables in memory. They should be written back now and then, so that a process
     * that dies without a flush does not lose everything. */
    bool keeps_tables;
    /* The bytes may read as anything from now on. */
    int (*discard)(struct disk_image *image, u64 offset, u64 bytes);
    /* The bytes read as zeros from now on. */
    int (*zero)(struct disk_image *image, u64 offset, u64 bytes);
    /* The kind of extent at `offset`, and for how many bytes it is the same (at least 1; not necessarily as
     * many as possible). */
    int (*extent)(struct disk_image *image, u64 offset, u64 *bytes, enum extent_kind *kind);
    /* Write back everything and free the image. A failure that it returns has already been reported to the
     * user. */
    int (*close)(struct disk_image *image);
};

struct disk_image_how {
    const char *format; /* "raw", "qcow2", or NULL: guess from the contents */
    bool read_only;
    bool no_backing; /* it is based on nothing, whatever it says itself */
};

/* Open an image and its backing images. NULL with one sentence in error. */
struct disk_image *disk_image_open(const char *path, const struct disk_image_how *how, char *error,
                                   size_t error_bytes);

/* Resolve a path that is written in `image`: names of backing files are relative to the image. */
void disk_image_beside(const char *image, const char *path, char *result, size_t result_bytes);

/* The formats, on top of an open store. On success the image owns the store. */
struct disk_image *raw_open(struct store *store, bool read_only, bool probed, char *error,
                            size_t error_bytes);

/* An overlay: writes go to a temporary file; all other bytes are read from `base`. The overlay owns the base. NULL with
 * one sentence in error; the base is closed then. */
struct disk_image *overlay_open(struct disk_image *base, char *error, size_t error_bytes);

static inline int disk_image_close(struct disk_image *image)
{
    return image ? image->ops->close(image) : 0;
}

/* Write zeros as data, for formats without a cheaper way. */
int disk_image_write_zeros(struct disk_image *image, u64 offset, u64 bytes);

#endif
