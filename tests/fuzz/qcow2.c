/*
 * Hostile qcow2 images. Input: eight bytes that choose the operations, then the image. For any input only this may
 * happen: the image is refused, transfers fail, or the image itself becomes garbage.
 */
#include "block/qcow2_format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STORE_MAX (8u << 20)
#define STEPS     40

struct memory_store {
    struct store store;
    u8 *bytes;
    u64 size;
};

static int memory_read(struct store *store, u64 offset, struct span to)
{
    struct memory_store *m = container_of(store, struct memory_store, store);
    u64 there = offset < m->size ? m->size - offset : 0;
    if (there > to.bytes) there = to.bytes;
    if (there) span_write(span_slice(to, 0, there), m->bytes + offset);
    span_clear(span_slice(to, there, to.bytes - there));
    return there < to.bytes ? STORE_SHORT : 0;
}

static int memory_set_size(struct store *store, u64 bytes)
{
    struct memory_store *m = container_of(store, struct memory_store, store);
    if (bytes > STORE_MAX) return -ENOSPC;
    u8 *larger = realloc(m->bytes, bytes + 1);
    if (!larger) return -ENOMEM;
    if (bytes > m->size) memset(larger + m->size, 0, bytes - m->size);
    m->bytes = larger;
    m->size = bytes;
    return 0;
}

static int memory_write(struct store *store, u64 offset, struct span from)
{
    struct memory_store *m = container_of(store, struct memory_store, store);
    if (offset > STORE_MAX || from.bytes > STORE_MAX - offset) return -ENOSPC;
    if (offset + from.bytes > m->size && memory_set_size(store, offset + from.bytes)) return -ENOSPC;
    span_read(from, m->bytes + offset);
    return 0;
}

static int memory_sync(struct store *store)
{
    return 0;
}

static int memory_size(struct store *store, u64 *bytes)
{
    *bytes = container_of(store, struct memory_store, store)->size;
    return 0;
}

static int memory_punch(struct store *store, u64 offset, u64 bytes)
{
    struct memory_store *m = container_of(store, struct memory_store, store);
    for (u64 n = offset; n < m->size && n < offset + bytes; n++)
        m->bytes[n] = 0;
    return 0;
}

static int memory_seek(struct store *store, u64 offset, bool data, u64 *found)
{
    return -EINVAL;
}

static void memory_close(struct store *store) {}

static const struct store_ops memory_ops = {.read = memory_read,
                                            .write = memory_write,
                                            .sync = memory_sync,
                                            .size = memory_size,
                                            .set_size = memory_set_size,
                                            .punch = memory_punch,
                                            .seek = memory_seek,
                                            .close = memory_close};

static u64 seed;

static u64 next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void operate(struct disk_image *image)
{
    static u8 bytes[128 << 10];
    u64 sectors = image->bytes / 512;
    for (unsigned n = 0; n < STEPS && sectors; n++) {
        u64 count = next_random() % (next_random() % 4 ? 8 : sizeof(bytes) / 512) + 1;
        u64 at = next_random() % (next_random() % 4 && sectors > 256 ? 256 : sectors);
        if (count > sectors - at) count = sectors - at;
        u64 offset = at * 512, length = count * 512;
        struct iovec part;
        enum extent_kind kind;
        unsigned what = next_random() % 8;
        if (what < 3)
            image->ops->read(image, offset, span_of(&part, bytes, length));
        else if (what == 3)
            image->ops->extent(image, offset, &length, &kind);
        else if (image->read_only)
            continue;
        else if (what < 6)
            image->ops->write(image, offset, span_of(&part, bytes, length));
        else if (what == 6)
            next_random() % 2 ? image->ops->zero(image, offset, length)
                              : image->ops->discard(image, offset, length);
        else
            image->ops->flush(image);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    char error[512];
    struct qcow2_header header;
    struct qcow2_backing backing;
    if (bytes < 8 || bytes > STORE_MAX) return 0;
    if (stderr && !getenv("FUZZ_LOUD")) { /* the library's own stream; sanitizers have another way */
        static FILE *nowhere;
        if (!nowhere) nowhere = fopen("/dev/null", "w");
        if (nowhere) stderr = nowhere;
    }
    memcpy(&seed, data, 8);
    seed |= 1;
    struct memory_store m = {.store = {&memory_ops}};
    memory_set_size(&m.store, bytes - 8);
    memcpy(m.bytes, data + 8, bytes - 8);
    bool read_only = seed & 2;
    if (qcow2_read_header(&m.store, read_only, &header, error, sizeof(error)) &&
        qcow2_read_backing(&m.store, &header, &backing, error, sizeof(error))) {
        struct disk_image *image = qcow2_open(&m.store, "fuzzed", read_only, NULL, error, sizeof(error));
        if (image) operate(image);
        disk_image_close(image);
    }
    free(m.bytes);
    return 0;
}
