/*
 * Raw images: the bytes of the medium, without any header.
 */
#include "image.h"

#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SECTOR_BYTES 512

struct raw {
    struct disk_image image;
    struct store *store;
    u64 store_bytes; /* size when it was opened; not necessarily a multiple of the sector size */
    bool probed;     /* the format was guessed */
    bool told;       /* the user has been told that a write was refused; atomic */
};

static struct raw *raw_of(struct disk_image *image)
{
    return container_of(image, struct raw, image);
}

static int raw_read(struct disk_image *image, u64 offset, struct span to)
{
    struct raw *raw = raw_of(image);
    int failed = raw->store->ops->read(raw->store, offset, to);
    if (failed != STORE_SHORT) return failed;
    /* Another process has truncated the file: the guest must not take zeros for its data. */
    return offset + to.bytes <= raw->store_bytes ? -EIO : 0;
}

static int raw_read_now(struct disk_image *image, u64 offset, struct span to)
{
    return store_read_now(raw_of(image)->store, offset, to);
}

/* The format of this image was guessed from its first bytes. A guest that writes another format's header
 * there would decide how the next run opens the image, and which host files it opens as backing images. */
static bool changes_format(const struct raw *raw, u64 offset, struct span from)
{
    u8 magic[4];
    if (likely(!raw->probed || offset)) return false;
    span_read(span_slice(from, 0, sizeof(magic)), magic);
    return !memcmp(magic, "QFI\xfb", sizeof(magic));
}

static int raw_write(struct disk_image *image, u64 offset, struct span from)
{
    struct raw *raw = raw_of(image);
    if (changes_format(raw, offset, from)) {
        if (!__atomic_exchange_n(&raw->told, true, __ATOMIC_SEQ_CST))
            log_warn("the guest may not write the header of another format to an image of a guessed format; "
                     "say format=raw");
        return -EPERM;
    }
    return raw->store->ops->write(raw->store, offset, from);
}

static int raw_flush(struct disk_image *image)
{
    struct store *store = raw_of(image)->store;
    return store->ops->sync(store);
}

static int raw_discard(struct disk_image *image, u64 offset, u64 bytes)
{
    struct store *store = raw_of(image)->store;
    int failed = store->ops->punch(store, offset, bytes);
    return failed == -EOPNOTSUPP ? 0 : failed;
}

static int raw_zero(struct disk_image *image, u64 offset, u64 bytes)
{
    struct store *store = raw_of(image)->store;
    int failed = store->ops->punch(store, offset, bytes);
    return failed == -EOPNOTSUPP ? disk_image_write_zeros(image, offset, bytes) : failed;
}

static int raw_extent(struct disk_image *image, u64 offset, u64 *bytes, enum extent_kind *kind)
{
    struct raw *raw = raw_of(image);
    u64 found = offset;
    int failed = raw->store->ops->seek(raw->store, offset, true, &found);
    *kind = failed || found > offset ? EXTENT_ZERO : EXTENT_DATA;
    if (failed == -ENXIO)
        found = image->bytes;
    else if (!failed && *kind == EXTENT_DATA)
        failed = raw->store->ops->seek(raw->store, offset, false, &found);
    if (failed && failed != -ENXIO) return failed;
    /* Round to whole sectors: a sector with any data counts as data. */
    found = *kind == EXTENT_DATA ? align_up(found, SECTOR_BYTES) : found & ~(u64)(SECTOR_BYTES - 1);
    if (found <= offset) {
        found = offset + SECTOR_BYTES;
        *kind = EXTENT_DATA;
    }
    *bytes = (found < image->bytes ? found : image->bytes) - offset;
    return 0;
}

static int raw_close(struct disk_image *image)
{
    struct raw *raw = raw_of(image);
    raw->store->ops->close(raw->store);
    free(raw);
    return 0;
}

static const struct disk_image_ops raw_ops = {
    .format = "raw",
    .read = raw_read,
    .read_now = raw_read_now,
    .write = raw_write,
    .flush = raw_flush,
    .discard = raw_discard,
    .zero = raw_zero,
    .extent = raw_extent,
    .close = raw_close,
};

struct disk_image *raw_open(struct store *store, bool read_only, bool probed, char *error, size_t error_bytes)
{
    u64 bytes;
    int failed = store->ops->size(store, &bytes);
    struct raw *raw = failed ? NULL : malloc(sizeof(*raw));
    if (!raw) {
        snprintf(error, error_bytes, "cannot find out its size: %s", strerror(failed ? -failed : ENOMEM));
        return NULL;
    }
    *raw = (struct raw){.image = {&raw_ops, align_up(bytes, SECTOR_BYTES), read_only},
                        .store = store,
                        .store_bytes = bytes,
                        .probed = probed};
    return &raw->image;
}

int disk_image_write_zeros(struct disk_image *image, u64 offset, u64 bytes)
{
    static const u8 zeros[64 << 10];
    while (bytes) {
        struct iovec part;
        u64 now = bytes < sizeof(zeros) ? bytes : sizeof(zeros);
        int failed = image->ops->write(image, offset, span_of(&part, zeros, now));
        if (failed) return failed;
        offset += now;
        bytes -= now;
    }
    return 0;
}
