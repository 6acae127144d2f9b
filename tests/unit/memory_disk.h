/*
 * A disk in memory for tests of storage controllers, and guest memory with a hole in it. memory_disk_run() does the
 * requests, oldest first. One sector may be bad.
 */
#ifndef RINGER_TESTS_MEMORY_DISK_H
#define RINGER_TESTS_MEMORY_DISK_H

#include "base/device.h"
#include "base/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_DISK_QUEUE 8

struct memory_disk {
    struct disk disk;
    u8 *data;
    struct disk_request *queue[MEMORY_DISK_QUEUE];
    unsigned queued;
    u64 bad_sector; /* reads and writes of it fail; UINT64_MAX: none */
    unsigned requests, flushes, discards;
    u64 discarded; /* bytes */
};

static void memory_disk_submit(struct disk *disk, struct disk_request *request)
{
    struct memory_disk *memory = container_of(disk, struct memory_disk, disk);
    if (memory->queued == MEMORY_DISK_QUEUE) abort();
    u64 bytes = 0;
    for (unsigned n = 0; n < request->part_count; n++)
        bytes += request->part[n].iov_len;
    /* What every disk may count on. */
    if (request->offset % DISK_SECTOR_BYTES || request->bytes % DISK_SECTOR_BYTES ||
        request->offset + request->bytes > disk->bytes)
        abort();
    if (request->operation <= DISK_WRITE && (bytes != request->bytes || !bytes)) abort();
    memory->queue[memory->queued++] = request;
    memory->requests++;
}

static void memory_disk_do(struct memory_disk *memory, struct disk_request *request)
{
    u64 at = request->offset, bad = memory->bad_sector * DISK_SECTOR_BYTES;
    request->error = 0;
    if (request->operation == DISK_FLUSH) memory->flushes++;
    if (request->operation == DISK_DISCARD) {
        memory->discards++;
        memory->discarded += request->bytes;
    }
    if (request->operation > DISK_WRITE) return;
    if (memory->bad_sector != UINT64_MAX && bad >= at && bad < at + request->bytes) {
        request->error = -EIO;
        return;
    }
    for (unsigned n = 0; n < request->part_count; n++) {
        const struct iovec *part = &request->part[n];
        if (request->operation == DISK_READ)
            memcpy(part->iov_base, memory->data + at, part->iov_len);
        else
            memcpy(memory->data + at, part->iov_base, part->iov_len);
        at += part->iov_len;
    }
}

/* Does the queued requests and those that follow from them, up to `limit`. Returns how many. */
static inline unsigned memory_disk_run(struct memory_disk *memory, unsigned limit)
{
    unsigned done = 0;
    while (memory->queued && done < limit) {
        struct disk_request *request = memory->queue[0];
        memory->queued--;
        memmove(memory->queue, memory->queue + 1, memory->queued * sizeof(memory->queue[0]));
        memory_disk_do(memory, request);
        request->done(request);
        done++;
    }
    return done;
}

/* Each 16-bit word of a sector is the sector's number and its own, so that misplaced bytes show. */
static inline void memory_disk_fill(struct memory_disk *memory)
{
    for (u64 n = 0; n < memory->disk.bytes / 2; n++) {
        u16 word = (u16)(n / 256 * 259 + n);
        memcpy(memory->data + n * 2, &word, 2);
    }
}

static inline void memory_disk_init(struct memory_disk *memory, u64 sectors)
{
    *memory = (struct memory_disk){
        .disk = {.bytes = sectors * DISK_SECTOR_BYTES, .can_discard = true, .submit = memory_disk_submit},
        .data = calloc(sectors + 1, DISK_SECTOR_BYTES),
        .bad_sector = UINT64_MAX};
    if (!memory->data) abort();
    memory_disk_fill(memory);
}

static inline void memory_disk_free(struct memory_disk *memory)
{
    free(memory->data);
}

/* --- guest memory: 2 MB, with nothing at A0000h-BFFFFh --- */

#define FAKE_RAM_BYTES (2u << 20)
#define FAKE_HOLE      0xa0000u
#define FAKE_HOLE_END  0xc0000u

struct fake_memory {
    u8 ram[FAKE_RAM_BYTES];
    u64 written; /* bytes that written() reported */
};

static bool fake_is_ram(u64 gpa)
{
    return gpa < FAKE_HOLE || (gpa >= FAKE_HOLE_END && gpa < FAKE_RAM_BYTES);
}
static void fake_read(void *memory, u64 gpa, void *buffer, u64 bytes)
{
    for (u64 n = 0; n < bytes; n++)
        ((u8 *)buffer)[n] = fake_is_ram(gpa + n) ? ((struct fake_memory *)memory)->ram[gpa + n] : 0xff;
}
static void fake_write(void *memory, u64 gpa, const void *buffer, u64 bytes)
{
    for (u64 n = 0; n < bytes; n++)
        if (fake_is_ram(gpa + n)) ((struct fake_memory *)memory)->ram[gpa + n] = ((const u8 *)buffer)[n];
}
static u8 *fake_map(void *memory, u64 gpa, u64 *bytes)
{
    if (!fake_is_ram(gpa)) return NULL;
    u64 left = (gpa < FAKE_HOLE ? FAKE_HOLE : FAKE_RAM_BYTES) - gpa;
    if (*bytes > left) *bytes = left;
    return ((struct fake_memory *)memory)->ram + gpa;
}
static void fake_written(void *memory, u64 gpa, u64 bytes)
{
    ((struct fake_memory *)memory)->written += bytes;
}

static inline struct dma fake_dma(struct fake_memory *memory)
{
    return (struct dma){fake_read, fake_write, fake_map, fake_written, memory};
}

#endif
