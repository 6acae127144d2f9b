/*
 * Split virtqueues (2.7). See virtio.h.
 *
 *   descriptor   +0 address, 64 bits | +8 length | +12 flags | +14 next                    16 bytes each
 *   driver area  +0 flags | +2 index | +4 ring of heads | used event
 *   device area  +0 flags | +2 index | +4 ring of { head, 32 bits | bytes written } | available event
 *
 * The rings stay mapped while the queue is enabled. The driver runs on this same thread, so no barriers
 * are needed.
 */
#include "virtio.h"

#include <string.h>

#define DESCRIPTOR_BYTES 16
enum { DESCRIPTOR_LENGTH = 8, DESCRIPTOR_FLAGS = 12, DESCRIPTOR_NEXT = 14 };
enum { FLAG_NEXT = 1, FLAG_WRITE = 2, FLAG_INDIRECT = 4 };

enum { RING_FLAGS = 0, RING_INDEX = 2, RING_FIRST = 4 };
enum { DRIVER_ENTRY_BYTES = 2, DEVICE_ENTRY_BYTES = 8 };
#define NO_INTERRUPT 1

/* --- the areas --- */

/* Each word is read with one access, because a disk that reads into the rings may change them at any time. */
static u16 get16(const u8 *at)
{
    return *(const volatile any16 *)at;
}

static u32 get32(const u8 *at)
{
    return *(const volatile any32 *)at;
}

static u64 get64(const u8 *at)
{
    return *(const volatile any64 *)at;
}

static u16 slot(const struct virtio_queue *q, u16 index)
{
    return index & (q->size - 1);
}

static void put_device_area(const struct virtio *virtio, const struct virtio_queue *q, u32 offset,
                            unsigned size, u64 value)
{
    store_any(q->device + offset, size, value);
    virtio->dma.written(virtio->dma.memory, q->device_gpa + offset, size);
}

static u8 *map_whole(const struct dma *dma, u64 gpa, u64 bytes)
{
    u64 there = bytes;
    u8 *host = dma->map(dma->memory, gpa, &there);
    return host && there == bytes ? host : NULL;
}

void virtio_queue_enable(struct virtio *virtio, unsigned queue)
{
    struct virtio_queue *q = &virtio->queue[queue];
    const struct dma *dma = &virtio->dma;
    if (!q->size || q->size > q->size_max || (q->size & (q->size - 1))) {
        virtio_break(virtio, "a queue's size");
        return;
    }
    q->descriptors = map_whole(dma, q->descriptors_gpa, q->size * DESCRIPTOR_BYTES);
    q->driver = map_whole(dma, q->driver_gpa, RING_FIRST + q->size * DRIVER_ENTRY_BYTES + 2);
    q->device = map_whole(dma, q->device_gpa, RING_FIRST + q->size * DEVICE_ENTRY_BYTES + 2);
    q->enabled = q->descriptors && q->driver && q->device;
    if (!q->enabled) virtio_break(virtio, "a queue that is not in RAM");
}

/* --- chains --- */

/* The reason why a chain cannot be taken; NULL: it can. */
typedef const char *complaint;

static complaint add_part(const struct virtio *virtio, struct virtio_chain *chain, u64 gpa, u64 bytes,
                          bool writable)
{
    if (!writable && chain->writable) return "a readable buffer behind a writable one";
    while (bytes) {
        unsigned count = chain->readable + chain->writable;
        u64 piece = bytes;
        u8 *host = virtio->dma.map(virtio->dma.memory, gpa, &piece);
        if (!host) return "a buffer that is not in RAM";
        if (count == VIRTIO_CHAIN_PARTS) return "a chain of too many buffers";
        chain->part[count] = (struct iovec){host, piece};
        chain->gpa[count] = gpa;
        *(writable ? &chain->writable : &chain->readable) += 1;
        *(writable ? &chain->writable_bytes : &chain->readable_bytes) += piece;
        gpa += piece;
        bytes -= piece;
    }
    return NULL;
}

/* A table of descriptors: the queue's own, or an indirect one. */
struct descriptor_table {
    const u8 *at;
    u32 count;
    bool indirect;
};

static complaint open_indirect(const struct virtio *virtio, struct descriptor_table *table, u64 gpa,
                               u32 bytes)
{
    if (table->indirect) return "an indirect table within another";
    if (!virtio_has(virtio, VIRTIO_F_INDIRECT_DESC)) return "an indirect table, which was not negotiated";
    if (!bytes || bytes % DESCRIPTOR_BYTES) return "an indirect table of a wrong length";
    const u8 *at = map_whole(&virtio->dma, gpa, bytes);
    if (!at) return "an indirect table that is not in RAM";
    *table = (struct descriptor_table){at, bytes / DESCRIPTOR_BYTES, true};
    return NULL;
}

static complaint walk(const struct virtio *virtio, struct virtio_chain *chain, struct descriptor_table table,
                      u32 next)
{
    /* More than that, and an indirect table, would be a loop. */
    for (unsigned steps = 0; steps < VIRTIO_CHAIN_PARTS + 1; steps++) {
        if (next >= table.count) return "an index beyond the table of descriptors";
        const u8 *at = table.at + next * DESCRIPTOR_BYTES;
        u64 gpa = get64(at);
        u32 bytes = get32(at + DESCRIPTOR_LENGTH);
        u16 flags = get16(at + DESCRIPTOR_FLAGS);
        next = get16(at + DESCRIPTOR_NEXT);
        complaint why;
        if (flags & FLAG_INDIRECT) {
            if (flags & FLAG_NEXT) return "an indirect descriptor with a next one";
            why = open_indirect(virtio, &table, gpa, bytes);
            next = 0;
        } else {
            why = add_part(virtio, chain, gpa, bytes, flags & FLAG_WRITE);
        }
        if (why) return why;
        if (!(flags & (FLAG_NEXT | FLAG_INDIRECT))) return NULL;
    }
    return "a chain without an end";
}

/* Tell the driver by the available event that it need not notify the device of buffers that were taken. */
static void expect_next(const struct virtio *virtio, const struct virtio_queue *q)
{
    if (virtio_has(virtio, VIRTIO_F_EVENT_IDX))
        put_device_area(virtio, q, RING_FIRST + q->size * DEVICE_ENTRY_BYTES, 2, q->taken);
}

static bool is_served(const struct virtio *virtio, const struct virtio_queue *q)
{
    /* No buffer is taken or given back before the driver is ready (2.1.2). A legacy driver may report that too late,
     * and may not enable the bus master. */
    bool ready = (virtio->status & VIRTIO_DRIVER_OK) && pci_is_master(&virtio->pci);
    return q->enabled && !(virtio->status & VIRTIO_NEEDS_RESET) && (virtio_is_legacy(virtio) || ready);
}

static u16 waiting_in(const struct virtio_queue *q)
{
    return (u16)(get16(q->driver + RING_INDEX) - q->taken);
}

bool virtio_is_waiting(struct virtio *virtio, unsigned queue)
{
    const struct virtio_queue *q = &virtio->queue[queue];
    if (!is_served(virtio, q)) return false;
    if (waiting_in(q)) return true;
    expect_next(virtio, q);
    return false;
}

bool virtio_take(struct virtio *virtio, unsigned queue, struct virtio_chain *chain)
{
    struct virtio_queue *q = &virtio->queue[queue];
    if (!virtio_is_waiting(virtio, queue)) return false;
    chain->epoch = q->epoch;
    chain->queue = (u16)queue;
    chain->head = get16(q->driver + RING_FIRST + slot(q, q->taken) * DRIVER_ENTRY_BYTES);
    chain->readable = chain->writable = 0;
    chain->readable_bytes = chain->writable_bytes = 0;
    complaint why = "more buffers than the queue has entries";
    if (waiting_in(q) <= q->size)
        why = walk(virtio, chain, (struct descriptor_table){q->descriptors, q->size, false}, chain->head);
    if (why) {
        virtio_break(virtio, why);
        return false;
    }
    q->taken++;
    return true;
}

void virtio_give_head(struct virtio *virtio, unsigned queue, u32 epoch, u16 head, u32 written)
{
    struct virtio_queue *q = &virtio->queue[queue];
    if (epoch != q->epoch || !is_served(virtio, q)) return;
    u32 at = RING_FIRST + slot(q, q->given) * DEVICE_ENTRY_BYTES;
    put_device_area(virtio, q, at, 8, head | (u64)written << 32);
    put_device_area(virtio, q, RING_INDEX, 2, ++q->given);
}

void virtio_give(struct virtio *virtio, const struct virtio_chain *chain, u32 written)
{
    const struct dma *dma = &virtio->dma;
    /* Report all of the buffer, even if `written` is less: a failed request may have written too. */
    for (unsigned n = chain->readable; n < (unsigned)chain->readable + chain->writable; n++)
        dma->written(dma->memory, chain->gpa[n], chain->part[n].iov_len);
    virtio_give_head(virtio, chain->queue, chain->epoch, chain->head, written);
}

void virtio_interrupt(struct virtio *virtio, unsigned queue)
{
    struct virtio_queue *q = &virtio->queue[queue];
    if (!is_served(virtio, q) || q->notified == q->given) return;
    bool wanted = !(get16(q->driver + RING_FLAGS) & NO_INTERRUPT);
    if (virtio_has(virtio, VIRTIO_F_EVENT_IDX)) {
        /* Has `given` passed the event since the last interrupt (2.7.7.2)? */
        u16 event = get16(q->driver + RING_FIRST + q->size * DRIVER_ENTRY_BYTES);
        wanted = (u16)(q->given - event - 1) < (u16)(q->given - q->notified);
    }
    q->notified = q->given;
    if (wanted) virtio_pci_interrupt(virtio, (int)queue);
}

/* --- bytes --- */

/* To or from the parts [first, first + count) of a chain. */
static u64 copy_parts(const struct virtio_chain *chain, unsigned first, unsigned count, u64 offset, u8 *bytes,
                      u64 left, bool to_chain)
{
    u64 done = 0;
    for (unsigned n = first; n < first + count && left; n++) {
        const struct iovec *part = &chain->part[n];
        if (offset >= part->iov_len) {
            offset -= part->iov_len;
            continue;
        }
        u64 now = part->iov_len - offset < left ? part->iov_len - offset : left;
        u8 *at = (u8 *)part->iov_base + offset;
        memcpy(to_chain ? at : bytes + done, to_chain ? bytes + done : at, now);
        done += now;
        left -= now;
        offset = 0;
    }
    return done;
}

u64 virtio_chain_read(const struct virtio_chain *chain, u64 offset, void *to, u64 bytes)
{
    return copy_parts(chain, 0, chain->readable, offset, to, bytes, false);
}

u64 virtio_chain_write(const struct virtio_chain *chain, u64 offset, const void *from, u64 bytes)
{
    return copy_parts(chain, chain->readable, chain->writable, offset, (u8 *)(uintptr_t)from, bytes, true);
}
