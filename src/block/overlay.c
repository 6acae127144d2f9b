/*
 * The overlay of snapshot runs and lockstep. Writes go to a temporary file of the host, which has no name and is as
 * long as the medium. A bitmap says which blocks are in it. Nothing of it outlives the process.
 *
 * A block's bit is set once the whole block is in the temporary file, and it is never cleared. So a reader that finds
 * the bit set needs no lock. A thread that copies a block's old contents from the base holds `lock` exclusively, and a
 * thread that writes whole blocks holds it shared. Otherwise old contents could replace new ones.
 */
#include "host_file.h"
#include "image.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_BYTES 4096u

struct overlay {
    struct disk_image image;
    struct disk_image *base;
    struct store *store;
    pthread_rwlock_t lock;
    u64 *present; /* one bit a block */
};

static struct overlay *overlay_of(struct disk_image *image)
{
    return container_of(image, struct overlay, image);
}

static bool is_present(const struct overlay *overlay, u64 block)
{
    return __atomic_load_n(&overlay->present[block / 64], __ATOMIC_ACQUIRE) >> (block % 64) & 1;
}

static void set_present(struct overlay *overlay, u64 block)
{
    __atomic_or_fetch(&overlay->present[block / 64], 1ull << (block % 64), __ATOMIC_RELEASE);
}

/* The number of bytes from offset on that lie in the same image. *present: they are in the temporary file. */
static u64 run_of(const struct overlay *overlay, u64 offset, u64 bytes, bool *present)
{
    u64 at = offset / BLOCK_BYTES * BLOCK_BYTES;
    *present = is_present(overlay, at / BLOCK_BYTES);
    do
        at += BLOCK_BYTES;
    while (at < offset + bytes && is_present(overlay, at / BLOCK_BYTES) == *present);
    return (at < offset + bytes ? at : offset + bytes) - offset;
}

static int overlay_read(struct disk_image *image, u64 offset, struct span to)
{
    struct overlay *overlay = overlay_of(image);
    int failed = 0;
    for (u64 done = 0, now; done < to.bytes && failed >= 0; done += now) {
        bool present;
        now = run_of(overlay, offset + done, to.bytes - done, &present);
        struct span piece = span_slice(to, done, now);
        failed = present ? overlay->store->ops->read(overlay->store, offset + done, piece)
                         : overlay->base->ops->read(overlay->base, offset + done, piece);
    }
    return failed < 0 ? failed : 0;
}

static int overlay_read_now(struct disk_image *image, u64 offset, struct span to)
{
    struct overlay *overlay = overlay_of(image);
    int failed = 0;
    for (u64 done = 0, now; done < to.bytes && !failed; done += now) {
        bool present;
        now = run_of(overlay, offset + done, to.bytes - done, &present);
        struct span piece = span_slice(to, done, now);
        failed = present ? store_read_now(overlay->store, offset + done, piece)
                         : overlay->base->ops->read_now(overlay->base, offset + done, piece);
    }
    return failed;
}

/* Copy a block's old contents from the base before it is written in part, unless it is present. */
static int bring_block(struct overlay *overlay, u64 block)
{
    u64 start = block * BLOCK_BYTES, left = overlay->image.bytes - start;
    u64 bytes = left < BLOCK_BYTES ? left : BLOCK_BYTES;
    int failed = 0;
    if (is_present(overlay, block)) return 0;
    pthread_rwlock_wrlock(&overlay->lock);
    if (!is_present(overlay, block)) {
        u8 buffer[BLOCK_BYTES];
        struct iovec part;
        failed = overlay->base->ops->read(overlay->base, start, span_of(&part, buffer, bytes));
        if (!failed) failed = store_put(overlay->store, start, buffer, bytes);
        if (!failed) set_present(overlay, block);
    }
    pthread_rwlock_unlock(&overlay->lock);
    return failed;
}

static int write_part(struct overlay *overlay, u64 offset, struct span from)
{
    int failed = bring_block(overlay, offset / BLOCK_BYTES);
    return failed ? failed : overlay->store->ops->write(overlay->store, offset, from);
}

static int write_whole(struct overlay *overlay, u64 offset, struct span from)
{
    pthread_rwlock_rdlock(&overlay->lock);
    int failed = overlay->store->ops->write(overlay->store, offset, from);
    for (u64 b = offset / BLOCK_BYTES; !failed && b * BLOCK_BYTES < offset + from.bytes; b++)
        set_present(overlay, b);
    pthread_rwlock_unlock(&overlay->lock);
    return failed;
}

static int overlay_write(struct disk_image *image, u64 offset, struct span from)
{
    struct overlay *overlay = overlay_of(image);
    int failed = 0;
    for (u64 done = 0, now; done < from.bytes && !failed; done += now) {
        u64 at = offset + done, left = from.bytes - done, in_block = at % BLOCK_BYTES;
        bool whole = !in_block && (left >= BLOCK_BYTES || at + left == image->bytes);
        if (whole) {
            now = at + left == image->bytes ? left : left / BLOCK_BYTES * BLOCK_BYTES;
            failed = write_whole(overlay, at, span_slice(from, done, now));
        } else {
            now = left < BLOCK_BYTES - in_block ? left : BLOCK_BYTES - in_block;
            failed = write_part(overlay, at, span_slice(from, done, now));
        }
    }
    return failed;
}

static int overlay_flush(struct disk_image *image)
{
    return 0; /* nothing outlives this process */
}

static int overlay_discard(struct disk_image *image, u64 offset, u64 bytes)
{
    return 0;
}

static bool punch_whole(struct overlay *overlay, u64 offset, u64 bytes)
{
    pthread_rwlock_rdlock(&overlay->lock);
    bool done = !overlay->store->ops->punch(overlay->store, offset, bytes);
    for (u64 b = offset / BLOCK_BYTES; done && b < (offset + bytes) / BLOCK_BYTES; b++)
        set_present(overlay, b);
    pthread_rwlock_unlock(&overlay->lock);
    return done;
}

static int overlay_zero(struct disk_image *image, u64 offset, u64 bytes)
{
    struct overlay *overlay = overlay_of(image);
    u64 first = align_up(offset, BLOCK_BYTES), end = (offset + bytes) / BLOCK_BYTES * BLOCK_BYTES;
    if (first >= end || !punch_whole(overlay, first, end - first))
        return disk_image_write_zeros(image, offset, bytes);
    int failed = disk_image_write_zeros(image, offset, first - offset);
    return failed ? failed : disk_image_write_zeros(image, end, offset + bytes - end);
}

static int overlay_extent(struct disk_image *image, u64 offset, u64 *bytes, enum extent_kind *kind)
{
    struct overlay *overlay = overlay_of(image);
    bool present;
    u64 run = run_of(overlay, offset, image->bytes - offset, &present);
    *kind = EXTENT_DATA;
    int failed = present ? 0 : overlay->base->ops->extent(overlay->base, offset, bytes, kind);
    if (present || *bytes > run) *bytes = run;
    return failed;
}

static int overlay_close(struct disk_image *image)
{
    struct overlay *overlay = overlay_of(image);
    disk_image_close(overlay->base);
    if (overlay->store) overlay->store->ops->close(overlay->store);
    pthread_rwlock_destroy(&overlay->lock);
    free(overlay->present);
    free(overlay);
    return 0;
}

static const struct disk_image_ops overlay_ops = {
    .format = "overlay",
    .read = overlay_read,
    .read_now = overlay_read_now,
    .write = overlay_write,
    .flush = overlay_flush,
    .discard = overlay_discard,
    .zero = overlay_zero,
    .extent = overlay_extent,
    .close = overlay_close,
};

struct disk_image *overlay_open(struct disk_image *base, char *error, size_t error_bytes)
{
    struct overlay *overlay = calloc(1, sizeof(*overlay));
    if (!overlay) {
        snprintf(error, error_bytes, "out of memory");
        disk_image_close(base);
        return NULL;
    }
    overlay->image = (struct disk_image){&overlay_ops, base->bytes, false};
    overlay->base = base;
    pthread_rwlock_init(&overlay->lock, NULL);
    overlay->present = calloc(base->bytes / BLOCK_BYTES / 64 + 1, sizeof(u64));
    overlay->store = host_file_temporary(error, error_bytes);
    if (overlay->present && overlay->store && !overlay->store->ops->set_size(overlay->store, base->bytes))
        return &overlay->image;
    if (!overlay->present || overlay->store)
        snprintf(error, error_bytes, "no memory or no disk space for a snapshot run");
    overlay_close(&overlay->image);
    return NULL;
}
