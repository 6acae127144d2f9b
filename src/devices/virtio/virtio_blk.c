/*
 * Virtio block device. See virtio_blk.h.
 *
 *   chain   read: +0 type, 32 bits | +4 reserved | +8 sector, 64 bits | data to write
 *           written: data that was read | status, 1 byte
 */
#include "virtio_blk.h"

#include <string.h>

#define CLASS_STORAGE_SCSI 0x010000u

enum { HEADER_BYTES = 16, HEADER_SECTOR = 8 };

/* Configuration (5.2.4) */
enum {
    CONFIG_CAPACITY = 0,
    CONFIG_SEGMENTS = 12,
    CONFIG_CYLINDERS = 16,
    CONFIG_HEADS = 18,
    CONFIG_SECTORS = 19,
    CONFIG_BLOCK_BYTES = 20,
    CONFIG_TOPOLOGY = 24,
    CONFIG_MINIMUM_IO = 26,
    CONFIG_WRITEBACK = 32,
    CONFIG_QUEUES = 34,
    CONFIG_DISCARD_SECTORS = 36,
    CONFIG_DISCARD_SEGMENTS = 40,
    CONFIG_DISCARD_ALIGNMENT = 44,
    CONFIG_ZERO_SECTORS = 48,
    CONFIG_ZERO_SEGMENTS = 52,
    CONFIG_ZERO_MAY_UNMAP = 56,
    CONFIG_BYTES = 60,
};

/* A range for discards and zeroing: sector, 64 bits; sectors, 32; flags, 32. */
enum { RANGE_BYTES = 16, RANGE_SECTORS = 8, RANGE_FLAGS = 12, RANGE_FLAG_UNMAP = 1 };
#define RANGE_SECTORS_MAX 0x3fffffu

/* --- the end of a request --- */

static void finish(struct virtio_blk_request *request, u8 status, u64 written)
{
    struct virtio_blk *blk = request->blk;
    struct virtio *virtio = &blk->virtio;
    if (virtio_chain_is_live(virtio, &request->chain)) {
        *request->status = status;
        virtio->dma.written(virtio->dma.memory, request->status_gpa, 1);
    }
    virtio_give(virtio, &request->chain, status == VIRTIO_BLK_S_OK ? (u32)written + 1 : 1);
    request->next_free = blk->free;
    blk->free = request;
}

static bool writes_through(const struct virtio_blk *blk)
{
    const struct virtio *virtio = &blk->virtio;
    if (virtio_has(virtio, VIRTIO_BLK_F_CONFIG_WCE)) return !virtio->config[CONFIG_WRITEBACK];
    return !virtio_has(virtio, VIRTIO_BLK_F_FLUSH);
}

static void notify(struct virtio *virtio, unsigned queue);

static void submit(struct virtio_blk_request *request, enum disk_operation operation)
{
    struct virtio_blk *blk = request->blk;
    request->disk.operation = operation;
    disk_submit(blk->disk, &request->disk);
}

static void done(struct disk_request *disk)
{
    struct virtio_blk_request *request = disk->device;
    struct virtio_blk *blk = request->blk;
    bool write = disk->operation == DISK_WRITE || disk->operation == DISK_ZERO;
    if (write && !disk->error && writes_through(blk)) {
        disk->offset = disk->bytes = 0;
        disk->part_count = 0;
        submit(request, DISK_FLUSH);
        return;
    }
    u8 status = disk->error ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
    virtio_release(&blk->virtio, &request->chain);
    finish(request, status, disk->operation == DISK_READ ? disk->bytes : 0);
    if (blk->starved)
        notify(&blk->virtio, 0);
    else
        virtio_interrupt(&blk->virtio, 0);
}

/* --- the beginning of a request --- */

static bool in_disk(const struct virtio_blk *blk, u64 sector, u64 bytes)
{
    u64 sectors = blk->disk->bytes / DISK_SECTOR_BYTES;
    return !(bytes % DISK_SECTOR_BYTES) && sector <= sectors && bytes / DISK_SECTOR_BYTES <= sectors - sector;
}

static void hand_over(struct virtio_blk_request *request, enum disk_operation operation, u64 sector,
                      u64 bytes, const struct iovec *part, unsigned part_count)
{
    request->disk.offset = sector * DISK_SECTOR_BYTES;
    request->disk.bytes = bytes;
    request->disk.part = part;
    request->disk.part_count = part_count;
    request->disk.error = 0;
    virtio_hold(&request->blk->virtio, &request->chain);
    submit(request, operation);
}

static void transfer(struct virtio_blk_request *request, u64 sector)
{
    struct virtio_blk *blk = request->blk;
    struct virtio_chain *chain = &request->chain;
    bool write = request->type == VIRTIO_BLK_T_OUT;
    struct iovec *part = &chain->part[write ? 0 : chain->readable];
    unsigned count = write ? chain->readable : chain->writable;
    u64 bytes = write ? chain->readable_bytes - HEADER_BYTES : chain->writable_bytes;
    if (!in_disk(blk, sector, bytes) || (write && blk->disk->read_only)) {
        finish(request, VIRTIO_BLK_S_IOERR, 0);
        return;
    }
    if (!bytes) {
        finish(request, VIRTIO_BLK_S_OK, 0);
        return;
    }
    for (u64 skip = write ? HEADER_BYTES : 0; skip;) {
        u64 now = skip < part->iov_len ? skip : part->iov_len;
        part->iov_base = (u8 *)part->iov_base + now;
        part->iov_len -= now;
        skip -= now;
        if (!part->iov_len) {
            part++;
            count--;
        }
    }
    hand_over(request, write ? DISK_WRITE : DISK_READ, sector, bytes, part, count);
}

static void flush(struct virtio_blk_request *request, u64 sector)
{
    hand_over(request, DISK_FLUSH, 0, 0, NULL, 0);
}

static void get_id(struct virtio_blk_request *request, u64 sector)
{
    struct virtio_blk *blk = request->blk;
    u64 written = virtio_chain_write(&request->chain, 0, blk->serial, sizeof(blk->serial));
    finish(request, VIRTIO_BLK_S_OK, written);
}

static void discard_or_zero(struct virtio_blk_request *request, u64 sector)
{
    struct virtio_blk *blk = request->blk;
    bool zero = request->type == VIRTIO_BLK_T_WRITE_ZEROES;
    u8 range[RANGE_BYTES];
    bool one = request->chain.readable_bytes == HEADER_BYTES + RANGE_BYTES;
    virtio_chain_read(&request->chain, HEADER_BYTES, range, sizeof(range));
    u32 sectors = one ? pci_get32(range + RANGE_SECTORS) : 0;
    u32 flags = one ? pci_get32(range + RANGE_FLAGS) : 0;
    sector = one ? load_any(range, 8) : 0;
    u64 bytes = (u64)sectors * DISK_SECTOR_BYTES;
    if (!one || !blk->disk->can_discard || (flags & ~(zero ? RANGE_FLAG_UNMAP : 0u)))
        finish(request, VIRTIO_BLK_S_UNSUPP, 0);
    else if (blk->disk->read_only || sectors > RANGE_SECTORS_MAX || !in_disk(blk, sector, bytes))
        finish(request, VIRTIO_BLK_S_IOERR, 0);
    else if (!sectors)
        finish(request, VIRTIO_BLK_S_OK, 0);
    else
        hand_over(request, zero ? DISK_ZERO : DISK_DISCARD, sector, bytes, NULL, 0);
}

static const struct {
    u32 type;
    void (*begin)(struct virtio_blk_request *request, u64 sector);
} types[] = {
    {VIRTIO_BLK_T_IN, transfer},
    {VIRTIO_BLK_T_OUT, transfer},
    {VIRTIO_BLK_T_FLUSH, flush},
    {VIRTIO_BLK_T_GET_ID, get_id},
    {VIRTIO_BLK_T_DISCARD, discard_or_zero},
    {VIRTIO_BLK_T_WRITE_ZEROES, discard_or_zero},
};

/* Separate the status byte: the rest of the writable part is data. */
static bool find_status(struct virtio_blk_request *request)
{
    struct virtio_chain *chain = &request->chain;
    if (!chain->writable) return false;
    unsigned last = chain->readable + chain->writable - 1u;
    struct iovec *part = &chain->part[last];
    request->status = (u8 *)part->iov_base + part->iov_len - 1;
    request->status_gpa = chain->gpa[last] + part->iov_len - 1;
    chain->writable_bytes--;
    if (!--part->iov_len) chain->writable--;
    return true;
}

static void begin(struct virtio_blk_request *request)
{
    u8 header[HEADER_BYTES];
    bool whole = virtio_chain_read(&request->chain, 0, header, sizeof(header)) == sizeof(header);
    if (!whole || !find_status(request)) {
        request->next_free = request->blk->free;
        request->blk->free = request;
        virtio_break(&request->blk->virtio, "a block request without header or status");
        return;
    }
    request->type = pci_get32(header);
    for (unsigned n = 0; n < ARRAY_SIZE(types); n++) {
        if (types[n].type != request->type) continue;
        types[n].begin(request, load_any(header + HEADER_SECTOR, 8));
        return;
    }
    finish(request, VIRTIO_BLK_S_UNSUPP, 0);
}

static void notify(struct virtio *virtio, unsigned queue)
{
    struct virtio_blk *blk = container_of(virtio, struct virtio_blk, virtio);
    while (blk->free && virtio_take(virtio, queue, &blk->free->chain)) {
        struct virtio_blk_request *request = blk->free;
        blk->free = request->next_free;
        begin(request);
    }
    blk->starved = !blk->free;
    virtio_interrupt(virtio, queue);
}

/* --- set-up --- */

/* The geometry that BIOSes assume if they know none. */
static void put_geometry(u8 *config, u64 sectors)
{
    enum { HEADS = 16, SECTORS = 63, CYLINDERS_MAX = 16383 };
    u64 cylinders = sectors / (HEADS * SECTORS);
    pci_put16(config + CONFIG_CYLINDERS, (u16)(cylinders < CYLINDERS_MAX ? cylinders : CYLINDERS_MAX));
    config[CONFIG_HEADS] = HEADS;
    config[CONFIG_SECTORS] = SECTORS;
}

static void put_config(struct virtio_blk *blk)
{
    u8 *config = blk->virtio.config;
    u64 sectors = blk->disk->bytes / DISK_SECTOR_BYTES;
    store_any(config + CONFIG_CAPACITY, 8, sectors);
    pci_put32(config + CONFIG_SEGMENTS, VIRTIO_SEGMENTS);
    put_geometry(config, sectors);
    pci_put32(config + CONFIG_BLOCK_BYTES, DISK_SECTOR_BYTES);
    pci_put16(config + CONFIG_MINIMUM_IO, 1);
    config[CONFIG_WRITEBACK] = 1;
    blk->virtio.config_writable[CONFIG_WRITEBACK] = 1;
    pci_put16(config + CONFIG_QUEUES, 1);
    pci_put32(config + CONFIG_DISCARD_SECTORS, RANGE_SECTORS_MAX);
    pci_put32(config + CONFIG_DISCARD_SEGMENTS, 1);
    pci_put32(config + CONFIG_DISCARD_ALIGNMENT, 1);
    pci_put32(config + CONFIG_ZERO_SECTORS, RANGE_SECTORS_MAX);
    pci_put32(config + CONFIG_ZERO_SEGMENTS, 1);
    config[CONFIG_ZERO_MAY_UNMAP] = 1;
    blk->virtio.config_bytes = CONFIG_BYTES;
}

static void reset(struct virtio *virtio)
{
    struct virtio_blk *blk = container_of(virtio, struct virtio_blk, virtio);
    virtio->config[CONFIG_WRITEBACK] = 1;
    blk->starved = false;
}

static const struct virtio_kind block_kind = {.notify = notify, .reset = reset};

void virtio_blk_init(struct virtio_blk *blk, struct pci_bus *bus, const struct dma *dma,
                     const struct virtio_options *options, struct disk *disk, const char *serial)
{
    static const u16 sizes[] = {VIRTIO_BLK_REQUESTS};
    u64 features = VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_GEOMETRY | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH |
                   VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_CONFIG_WCE;
    if (disk->read_only) features |= VIRTIO_BLK_F_RO;
    if (disk->can_discard && !disk->read_only) features |= VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES;
    blk->disk = disk;
    blk->free = NULL;
    for (unsigned n = 0; n < VIRTIO_BLK_REQUESTS; n++) {
        struct virtio_blk_request *request = &blk->request[n];
        request->blk = blk;
        request->disk = (struct disk_request){.done = done, .device = request};
        request->next_free = blk->free;
        blk->free = request;
    }
    virtio_init(&blk->virtio, &block_kind, bus, dma, options, VIRTIO_BLOCK, CLASS_STORAGE_SCSI, features,
                sizes, ARRAY_SIZE(sizes));
    put_config(blk);
    memset(blk->serial, 0, sizeof(blk->serial));
    memcpy(blk->serial, serial, strnlen(serial, sizeof(blk->serial)));
}
