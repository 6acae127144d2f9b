/*
 * The CD drive: reading sectors. Sectors of 2048 bytes ("cooked") go by DMA straight into guest memory.
 * Others, and all by PIO, go through the channel's buffer.
 */
#include "atapi.h"

#include <assert.h>
#include <string.h>

/* READ CD, byte 9: which parts of a sector */
enum {
    PART_SYNC = 0x80,
    PART_HEADER = 0x20,
    PART_DATA = 0x10,
    PART_CODE = 0x08,
    PART_ERRORS = 0x06,
    PARTS = PART_SYNC | PART_HEADER | PART_DATA | PART_CODE,
};
#define RAW_CHUNK 16 /* sectors at a time, if each becomes larger than in the image */

/* --- pieces by way of the buffer --- */

static const struct {
    u8 part;
    u16 at, bytes;
} parts[] = {
    {PART_SYNC, 0, CD_SYNC_BYTES},
    {PART_HEADER, CD_SYNC_BYTES, CD_HEADER_BYTES},
    {PART_DATA, CD_SYNC_BYTES + CD_HEADER_BYTES, CD_DATA_BYTES},
    {PART_CODE, CD_RAW_BYTES - CD_CODE_BYTES, CD_CODE_BYTES},
};

/* The wanted parts of one sector. Returns the address for the next one. */
static u8 *put_sector(u8 *to, const u8 *data, u32 sector, u8 wanted)
{
    u8 raw[CD_RAW_BYTES];
    cd_sector_make(raw, sector, data);
    for (unsigned n = 0; n < ARRAY_SIZE(parts); n++) {
        if (!(wanted & parts[n].part)) continue;
        memcpy(to, raw + parts[n].at, parts[n].bytes);
        to += parts[n].bytes;
    }
    return to;
}

static void fetched(struct ide_channel *channel, int error)
{
    struct ide_drive *drive = channel->active;
    struct packet_transfer *p = &channel->packet;
    u32 sectors = (u32)(channel->request.bytes / CD_SECTOR_BYTES);
    if (error && sectors > 1) { /* find the bad sector: the guest gets those before it, and its number */
        p->one_by_one = true;
        atapi_read_on(drive);
        return;
    }
    if (error) {
        atapi_fail_at(drive, (u32)p->sector);
        return;
    }
    if (p->parts != PART_DATA) {
        const u8 *from = channel->part[0].iov_base;
        u8 *to = channel->buffer;
        for (u32 n = 0; n < sectors; n++)
            to = put_sector(to, from + n * CD_SECTOR_BYTES, (u32)p->sector + n, p->parts);
    }
    p->sector += sectors;
    p->left -= sectors;
    atapi_offer(drive, sectors * p->sector_bytes);
}

/* Sectors that become larger are read to the end of the buffer and built at its beginning. */
void atapi_read_on(struct ide_drive *drive)
{
    struct packet_transfer *p = &drive->channel->packet;
    bool grows = p->parts != PART_DATA;
    u32 most = grows ? RAW_CHUNK : IDE_BUFFER_BYTES / CD_SECTOR_BYTES;
    if (p->one_by_one) most = 1;
    u32 bytes = (p->left < most ? p->left : most) * CD_SECTOR_BYTES;
    ide_submit(drive, DISK_READ, p->sector * CD_SECTOR_BYTES, bytes, grows ? IDE_BUFFER_BYTES - bytes : 0,
               fetched);
}

static_assert(RAW_CHUNK * (CD_RAW_BYTES + CD_SECTOR_BYTES) <= IDE_BUFFER_BYTES,
              "sectors and their larger form both fit in the buffer");

/* --- cooked sectors by DMA --- */

static void dma_done(struct ide_channel *channel, int error)
{
    channel->packet.left = 0;
    if (error)
        atapi_fail_at(channel->active, (u32)(channel->dma.offset / CD_SECTOR_BYTES));
    else
        atapi_succeed(channel->active);
}

static void read_sectors(struct ide_drive *drive, u32 sector, u32 count, u32 sector_bytes, u8 parts)
{
    struct packet_transfer *p = &drive->channel->packet;
    u32 capacity = cd_sectors(drive);
    if (sector > capacity || count > capacity - sector) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_OUT_OF_RANGE);
        return;
    }
    if (!count || !sector_bytes) {
        atapi_succeed(drive);
        return;
    }
    p->sector = sector;
    p->left = count;
    p->sector_bytes = sector_bytes;
    p->parts = parts;
    p->one_by_one = false;
    if (p->dma && parts == PART_DATA)
        ide_dma_disk(drive, true, p->sector * CD_SECTOR_BYTES, (u64)count * CD_SECTOR_BYTES, dma_done);
    else
        atapi_read_on(drive);
}

/* --- commands --- */

void atapi_read10(struct ide_drive *drive, const u8 *command)
{
    read_sectors(drive, get_be32(command + 2), get_be16(command + 7), CD_SECTOR_BYTES, PART_DATA);
}

void atapi_read12(struct ide_drive *drive, const u8 *command)
{
    read_sectors(drive, get_be32(command + 2), get_be32(command + 6), CD_SECTOR_BYTES, PART_DATA);
}

/* A sector of mode 1 has no subheader. No sub-channel is read. */
static void read_parts(struct ide_drive *drive, const u8 *command, u32 sector, u32 count)
{
    u8 type = command[1] >> 2 & 7, wanted = command[9];
    u32 bytes = 0;
    if (type > 2 || type == 1) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_ILLEGAL_MODE);
        return;
    }
    if (wanted & PART_ERRORS || command[10] & 7) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    for (unsigned n = 0; n < ARRAY_SIZE(parts); n++)
        if (wanted & parts[n].part) bytes += parts[n].bytes;
    read_sectors(drive, sector, count, bytes, wanted & PARTS);
}

void atapi_read_cd(struct ide_drive *drive, const u8 *command)
{
    read_parts(drive, command, get_be32(command + 2), (u32)command[6] << 16 | get_be16(command + 7));
}

static u32 from_msf(const u8 *at)
{
    u32 frame = (at[0] * 60u + at[1]) * 75 + at[2];
    return frame < CD_PREGAP ? UINT32_MAX : frame - CD_PREGAP;
}

void atapi_read_cd_msf(struct ide_drive *drive, const u8 *command)
{
    u32 first = from_msf(command + 3), end = from_msf(command + 6);
    if (first == UINT32_MAX || end == UINT32_MAX || end < first)
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
    else
        read_parts(drive, command, first, end - first);
}

void atapi_read_capacity(struct ide_drive *drive, const u8 *command)
{
    put_be32(drive->channel->buffer, cd_sectors(drive) - 1);
    put_be32(drive->channel->buffer + 4, CD_SECTOR_BYTES);
    atapi_reply(drive, 8, 8);
}

void atapi_seek(struct ide_drive *drive, const u8 *command)
{
    if (get_be32(command + 2) >= cd_sectors(drive))
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_OUT_OF_RANGE);
    else
        atapi_succeed(drive);
}
