/*
 * Commands of SCSI disks (SBC-3, chapter 5). See scsi_unit.h.
 */
#include "base/big_endian.h"
#include "scsi_unit.h"

enum {
    READ6 = 0x08,
    WRITE6 = 0x0a,
    READ_CAPACITY10 = 0x25,
    READ10 = 0x28,
    WRITE10 = 0x2a,
    VERIFY10 = 0x2f,
    SYNCHRONIZE10 = 0x35,
    WRITE_SAME10 = 0x41,
    UNMAP = 0x42,
    READ16 = 0x88,
    WRITE16 = 0x8a,
    VERIFY16 = 0x8f,
    SYNCHRONIZE16 = 0x91,
    WRITE_SAME16 = 0x93,
    SERVICE_IN16 = 0x9e,
    READ12 = 0xa8,
    WRITE12 = 0xaa,
};
enum { SERVICE_READ_CAPACITY = 0x10 };
enum { FORCE_UNIT_ACCESS = 8, SAME_UNMAP = 8, SAME_NO_DATA = 1, BYTE_CHECK = 6 };
enum { UNMAP_HEADER_BYTES = 8, UNMAP_RANGE_BYTES = 16 };

static void write_blocks(struct scsi_command *command)
{
    u64 block, count;
    scsi_range(command->cdb, &block, &count);
    scsi_transfer(command, true, block, count,
                  command->cdb[0] != WRITE6 && (command->cdb[1] & FORCE_UNIT_ACCESS));
}

/* The medium has no errors that a read would find and a host file would not report. */
static void verify(struct scsi_command *command)
{
    u64 block, count;
    scsi_range(command->cdb, &block, &count);
    if (command->cdb[1] & BYTE_CHECK)
        scsi_fail(command, SCSI_INVALID_FIELD);
    else if (block > scsi_blocks(command->unit) || count > scsi_blocks(command->unit) - block)
        scsi_fail(command, SCSI_OUT_OF_RANGE);
    else
        scsi_good(command);
}

static void read_capacity(struct scsi_command *command)
{
    u8 reply[8];
    u64 last = scsi_blocks(command->unit) - 1;
    put_be32(reply, last > UINT32_MAX ? UINT32_MAX : (u32)last);
    put_be32(reply + 4, command->unit->block_bytes);
    scsi_reply(command, reply, sizeof(reply), sizeof(reply));
}

static void service_in(struct scsi_command *command)
{
    u8 reply[32] = {0};
    if ((command->cdb[1] & 0x1f) != SERVICE_READ_CAPACITY) {
        scsi_fail(command, SCSI_INVALID_FIELD);
        return;
    }
    scsi_put_be64(reply, scsi_blocks(command->unit) - 1);
    put_be32(reply + 8, command->unit->block_bytes);
    reply[14] = command->unit->disk->can_discard ? 0x80 : 0; /* LBPME: blocks can be released */
    scsi_reply(command, reply, sizeof(reply), get_be32(command->cdb + 10));
}

/* One range (the block limits page says so). */
static void unmap(struct scsi_command *command)
{
    u8 list[UNMAP_HEADER_BYTES + UNMAP_RANGE_BYTES] = {0};
    u32 length = get_be16(command->cdb + 7);
    u64 got = scsi_take(command, list, length < sizeof(list) ? length : sizeof(list));
    u32 ranges = get_be16(list + 2) / UNMAP_RANGE_BYTES;
    command->moved = got;
    if (!command->unit->disk->can_discard)
        scsi_fail(command, SCSI_INVALID_COMMAND);
    else if (ranges > 1 || (ranges && got < sizeof(list)))
        scsi_fail(command, SCSI_INVALID_LIST);
    else if (!ranges)
        scsi_good(command);
    else
        scsi_clear(command, DISK_DISCARD, scsi_get_be64(list + 8), get_be32(list + 16));
}

/* Only of zeros. A guest that wants other blocks gets an error, and writes them itself. */
static void write_same(struct scsi_command *command)
{
    u8 data[DISK_SECTOR_BYTES] = {0};
    u64 block, count;
    scsi_range(command->cdb, &block, &count);
    bool no_data = command->cdb[0] == WRITE_SAME16 && (command->cdb[1] & SAME_NO_DATA), zeros = true;
    u64 got = no_data ? sizeof(data) : scsi_take(command, data, sizeof(data));
    for (unsigned n = 0; n < sizeof(data); n++)
        zeros &= !data[n];
    if (!count) count = scsi_blocks(command->unit) - block;
    command->moved = no_data ? 0 : got;
    if (!zeros || got < sizeof(data) || !command->unit->disk->can_discard)
        scsi_fail(command, SCSI_INVALID_FIELD);
    else
        scsi_clear(command, DISK_ZERO, block, count);
}

const struct scsi_row scsi_disk_rows[] = {
    {READ6, false, false, scsi_read_blocks},
    {READ10, false, false, scsi_read_blocks},
    {READ12, false, false, scsi_read_blocks},
    {READ16, false, false, scsi_read_blocks},
    {WRITE6, false, false, write_blocks},
    {WRITE10, false, false, write_blocks},
    {WRITE12, false, false, write_blocks},
    {WRITE16, false, false, write_blocks},
    {VERIFY10, false, false, verify},
    {VERIFY16, false, false, verify},
    {READ_CAPACITY10, false, false, read_capacity},
    {SERVICE_IN16, false, false, service_in},
    {SYNCHRONIZE10, false, false, scsi_flush},
    {SYNCHRONIZE16, false, false, scsi_flush},
    {UNMAP, false, false, unmap},
    {WRITE_SAME10, false, false, write_same},
    {WRITE_SAME16, false, false, write_same},
    {0},
};
