/*
 * The commands of an ATA hard disk that move sectors: PIO through the channel's buffer, DMA straight
 * between disk and guest memory, and TRIM. READ VERIFY reads into the buffer and stops there.
 *
 * A PIO read fills the buffer with as much of the command as fits and gives it out DRQ block by DRQ block.
 * A PIO write collects blocks in the buffer. An interrupt precedes each DRQ block that the guest reads,
 * and each but the first that it writes. One more follows the last block that it writes (ATA/ATAPI-6 9.5
 * and 9.6).
 */
#include "ide.h"

#define BUFFER_SECTORS (IDE_BUFFER_BYTES / DISK_SECTOR_BYTES)

static u32 at_most(u32 value, u32 limit)
{
    return value < limit ? value : limit;
}

/* --- ends --- */

/* The registers name the sector that failed. A failed write is a fault of the drive, not of the medium. */
static void fail_at(struct ide_channel *channel, bool write)
{
    struct ide_drive *drive = channel->active;
    struct ata_transfer *t = &channel->ata;
    ata_put_address(drive, t->ext, t->sector);
    drive->now.count = (u8)t->left;
    drive->previous.count = (u8)(t->left >> 8);
    ide_fail(drive, write ? IDE_ABRT : IDE_UNC);
    if (write) drive->status |= IDE_DF;
}

static void note_end(struct ide_channel *channel)
{
    struct ata_transfer *t = &channel->ata;
    ata_put_address(channel->active, t->ext, t->sector - 1);
    channel->active->now.count = channel->active->previous.count = 0;
}

static void write_flushed(struct ide_channel *channel, int error)
{
    if (error)
        fail_at(channel, true);
    else
        ide_finish(channel->active);
}

/* All data is on the disk or in its cache. A command with FUA, or a drive without write cache, flushes the cache. */
static void written(struct ide_channel *channel)
{
    note_end(channel);
    if (channel->ata.flush_after) {
        channel->parts = 0;
        ide_submit_parts(channel->active, DISK_FLUSH, 0, 0, write_flushed);
    } else {
        ide_finish(channel->active);
    }
}

/* False: the command has failed. */
static bool begin(struct ide_drive *drive, unsigned how)
{
    bool write = how & ATA_WRITE;
    u64 sector;
    u32 count;
    if ((how & ATA_MULTIPLE && !drive->multiple) || (write && drive->disk->read_only)) {
        ide_fail(drive, IDE_ABRT);
        return false;
    }
    if (!ata_address(drive, how & ATA_EXT, &sector, &count)) return false;
    drive->channel->ata = (struct ata_transfer){
        .sector = sector,
        .left = count,
        .per_block = how & ATA_MULTIPLE ? drive->multiple : 1,
        .ext = how & ATA_EXT,
        .flush_after = write && (how & ATA_FUA || drive->no_write_cache),
    };
    return true;
}

/* --- PIO reads --- */

static void fetch(struct ide_channel *channel);

static void block_taken(struct ide_channel *channel);

static void offer_block(struct ide_channel *channel)
{
    struct ata_transfer *t = &channel->ata;
    u32 sectors = at_most(t->per_block, t->buffered - t->taken);
    ide_begin_block(channel->active, true, t->taken * DISK_SECTOR_BYTES, sectors * DISK_SECTOR_BYTES,
                    block_taken);
    t->taken += sectors;
    ide_interrupt(channel->active);
}

static void block_taken(struct ide_channel *channel)
{
    struct ata_transfer *t = &channel->ata;
    if (t->taken < t->buffered) {
        offer_block(channel);
    } else if (t->left) {
        fetch(channel);
    } else { /* no interrupt follows the data */
        note_end(channel);
        ide_taken(channel);
    }
}

static void sectors_verified(struct ide_channel *channel)
{
    if (channel->ata.left) {
        fetch(channel);
    } else {
        note_end(channel);
        ide_finish(channel->active);
    }
}

/* When a large read fails, the guest still gets the good blocks before the bad one. */
static void fetched(struct ide_channel *channel, int error)
{
    struct ata_transfer *t = &channel->ata;
    u32 sectors = (u32)(channel->request.bytes / DISK_SECTOR_BYTES);
    if (error && sectors > t->per_block) {
        t->block_by_block = true;
        fetch(channel);
    } else if (error) {
        fail_at(channel, false);
    } else {
        t->sector += sectors;
        t->left -= sectors;
        t->buffered = sectors;
        t->taken = 0;
        if (t->verify)
            sectors_verified(channel);
        else
            offer_block(channel);
    }
}

static void fetch(struct ide_channel *channel)
{
    struct ata_transfer *t = &channel->ata;
    /* Whole DRQ blocks: none may be cut at the buffer's end. */
    u32 sectors = at_most(t->left, BUFFER_SECTORS - BUFFER_SECTORS % t->per_block);
    if (t->block_by_block) sectors = at_most(t->left, t->per_block);
    ide_submit(channel->active, DISK_READ, t->sector * DISK_SECTOR_BYTES, (u64)sectors * DISK_SECTOR_BYTES, 0,
               fetched);
}

/* --- PIO writes --- */

static void block_given(struct ide_channel *channel);

static void ask_block(struct ide_channel *channel)
{
    struct ata_transfer *t = &channel->ata;
    u32 sectors = at_most(t->per_block, t->left - t->buffered);
    ide_begin_block(channel->active, false, t->buffered * DISK_SECTOR_BYTES, sectors * DISK_SECTOR_BYTES,
                    block_given);
    t->buffered += sectors;
}

static void stored(struct ide_channel *channel, int error)
{
    struct ata_transfer *t = &channel->ata;
    if (error) {
        fail_at(channel, true);
        return;
    }
    t->sector += t->buffered;
    t->left -= t->buffered;
    t->buffered = 0;
    if (!t->left) {
        written(channel);
        return;
    }
    ask_block(channel);
    ide_interrupt(channel->active);
}

static void block_given(struct ide_channel *channel)
{
    struct ata_transfer *t = &channel->ata;
    if (t->buffered == t->left || t->buffered + t->per_block > BUFFER_SECTORS) {
        ide_submit(channel->active, DISK_WRITE, t->sector * DISK_SECTOR_BYTES,
                   (u64)t->buffered * DISK_SECTOR_BYTES, 0, stored);
    } else {
        ask_block(channel);
        ide_interrupt(channel->active);
    }
}

void ata_pio(struct ide_drive *drive, unsigned how)
{
    if (!begin(drive, how)) return;
    if (how & ATA_WRITE)
        ask_block(drive->channel);
    else
        fetch(drive->channel);
}

void ata_verify(struct ide_drive *drive, unsigned how)
{
    if (!begin(drive, how)) return;
    drive->channel->ata.verify = true;
    fetch(drive->channel);
}

/* --- DMA --- */

/* Sectors before the error have been transferred. */
static void dma_done(struct ide_channel *channel, int error)
{
    struct ata_transfer *t = &channel->ata;
    bool write = !channel->dma.to_guest;
    if (error) {
        u32 done = (u32)(channel->dma.offset / DISK_SECTOR_BYTES - t->sector);
        t->sector += done;
        t->left -= done;
        fail_at(channel, write);
        return;
    }
    t->sector += t->left;
    t->left = 0;
    if (write) {
        written(channel);
    } else {
        note_end(channel);
        ide_finish(channel->active);
    }
}

void ata_dma(struct ide_drive *drive, unsigned how)
{
    const struct ata_transfer *t = &drive->channel->ata;
    if (!begin(drive, how)) return;
    ide_dma_disk(drive, !(how & ATA_WRITE), t->sector * DISK_SECTOR_BYTES, (u64)t->left * DISK_SECTOR_BYTES,
                 dma_done);
}

/* --- DATA SET MANAGEMENT: TRIM. Entries of 8 bytes: 63-48 sectors, 47-0 the first one (ACS-2 7.5). --- */

enum { TRIM_FEATURE = 1, TRIM_MAX_BLOCKS = 8, TRIM_ENTRY_BYTES = 8 };

static void trim_next(struct ide_channel *channel, int error)
{
    struct ata_transfer *t = &channel->ata;
    struct ide_drive *drive = channel->active;
    if (error) {
        ide_fail(drive, IDE_ABRT);
        return;
    }
    while (t->trim_at < t->trim_end) {
        u64 entry = *(const any64 *)(channel->buffer + t->trim_at);
        u64 first = entry & ((1ull << 48) - 1), count = entry >> 48;
        t->trim_at += TRIM_ENTRY_BYTES;
        if (!count) continue;
        if (first >= drive->sectors || count > drive->sectors - first) {
            ide_fail(drive, IDE_ABRT | IDE_IDNF);
            return;
        }
        channel->parts = 0;
        ide_submit_parts(drive, DISK_DISCARD, first * DISK_SECTOR_BYTES, count * DISK_SECTOR_BYTES,
                         trim_next);
        return;
    }
    ide_finish(drive);
}

void ata_trim(struct ide_drive *drive, unsigned how)
{
    u32 blocks = drive->now.count | drive->previous.count << 8;
    if (drive->now.feature != TRIM_FEATURE || !blocks || blocks > TRIM_MAX_BLOCKS ||
        !drive->disk->can_discard || drive->disk->read_only) {
        ide_fail(drive, IDE_ABRT);
        return;
    }
    drive->channel->ata = (struct ata_transfer){.trim_end = blocks * DISK_SECTOR_BYTES};
    ide_dma_buffer(drive, false, blocks * DISK_SECTOR_BYTES, trim_next);
}
