/*
 * An image: a medium by offset, whatever format keeps it. Synchronous; any thread may call any of these at
 * any time, and each blocks for as long as the host takes. All return 0 or -errno.
 *
 * Offsets and lengths are multiples of 512 and within image.bytes: block_disk.c, the only door for guests,
 * has checked that. What is written is stable after a flush() that began when the write had returned. Two
 * that overlap and are under way at the same time leave any mixture of both in the bytes they share, and
 * nothing else anywhere.
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
    EXTENT_ABSENT, /* nothing was ever written here: the backing image shows, or else zeros */
    EXTENT_ZERO,
    EXTENT_DATA,
};

struct disk_image_ops {
    const char *format;
    int (*read)(struct disk_image *image, u64 offset, struct span to);
    /* Read if that takes no waiting, for the host or for other threads. -EAGAIN: it does, and the memory may
     * hold anything. */
    int (*read_now)(struct disk_image *image, u64 offset, struct span to);
    int (*write)(struct disk_image *image, u64 offset, struct span from);
    int (*flush)(struct disk_image *image);
    /* The image keeps tables in memory that should be written now and then, so that not all is lost if no
     * flush ever comes and the process dies. */
    bool keeps_tables;
    /* The bytes may be anything from now on. */
    int (*discard)(struct disk_image *image, u64 offset, u64 bytes);
    /* The bytes are zeros from now on. */
    int (*zero)(struct disk_image *image, u64 offset, u64 bytes);
    /* What is at `offset`, and for how many bytes the same holds (1 at least; not necessarily as many as
     * possible). */
    int (*extent)(struct disk_image *image, u64 offset, u64 *bytes, enum extent_kind *kind);
    /* Write back what is not yet, and let go. What it returns has been told to the user. */
    int (*close)(struct disk_image *image);
};

struct disk_image_how {
    const char *format; /* "raw", "qcow2", or NULL: look */
    bool read_only;
};

/* Open an image and those it is based on. NULL with one sentence in error. */
struct disk_image *disk_image_open(const char *path, const struct disk_image_how *how, char *error,
                                   size_t error_bytes);

/* Where the image `image` means by `path`: names of backing files are relative to it. */
void disk_image_beside(const char *image, const char *path, char *result, size_t result_bytes);

/* The formats, given what they lie in. On success the store is the image's. */
struct disk_image *raw_open(struct store *store, bool read_only, bool probed, char *error,
                            size_t error_bytes);

/* What is written to it stays in a temporary file; everything else is `base`, which becomes the overlay's.
 * NULL with one sentence in error (the base is closed). */
struct disk_image *overlay_open(struct disk_image *base, char *error, size_t error_bytes);

static inline int disk_image_close(struct disk_image *image)
{
    return image ? image->ops->close(image) : 0;
}

/* Write zeros the plain way. */
int disk_image_write_zeros(struct disk_image *image, u64 offset, u64 bytes);

#endif
