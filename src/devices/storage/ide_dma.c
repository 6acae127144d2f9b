/*
 * DMA of an IDE channel: the bus master half of the PIIX3 (82371SB datasheet 2.6 and 3.4; "Programming
 * Interface for Bus Master IDE Controller", revision 1.0). Registers of a channel:
 *
 *   0  command   3 write to memory | 0 start
 *   2  status    6 5 drives can do DMA | 2 interrupt (1 clears) | 1 error (1 clears) | 0 active
 *   4  address of the table of physical region descriptors, dword-aligned
 *
 *   descriptor   dword 0: 31-1 address     dword 1: 31 last of the table | 15-1 bytes, 0: 64 KB
 *
 * A transfer goes on when both sides are ready: the drive asserts DMARQ, and the start bit is set. When
 * the table ends before the transfer, the drive waits, the active bit is clear, and no interrupt comes. A
 * new start goes on with the next table.
 */
#include "ide.h"

enum { COMMAND_START = 0x01, COMMAND_TO_MEMORY = 0x08 };
enum { STATUS_ACTIVE = 0x01, STATUS_ERROR = 0x02, STATUS_INTERRUPT = 0x04, STATUS_CAPABLE = 0x60 };
enum { MASTER_COMMAND, MASTER_STATUS = 2, MASTER_TABLE = 4 };

#define DESCRIPTOR_LAST 0x80000000u
/* Bytes of buffer that may replace missing RAM in one request. */
#define STRAY_BYTES   (IDE_BUFFER_BYTES - PAGE_SIZE)
#define REQUEST_BYTES (16u << 20)

static void go_on(struct ide_channel *channel);

/* --- the table --- */

static void rewind_table(struct ide_channel *channel)
{
    channel->dma.table.next_entry = channel->master_table;
    channel->dma.table.entry_left = 0;
    channel->dma.table.last_entry = false;
}

/* Are bytes left in the current descriptor or the next one? */
static bool have_entry(struct ide_channel *channel)
{
    struct ide_dma *dma = &channel->dma;
    u32 entry[2];
    if (dma->table.entry_left) return true;
    if (dma->table.last_entry) return false;
    channel->memory.read(channel->memory.memory, dma->table.next_entry, entry, sizeof(entry));
    dma->table.next_entry += (u32)sizeof(entry);
    dma->table.address = entry[0] & ~1u;
    dma->table.entry_left = entry[1] & 0xfffe;
    if (!dma->table.entry_left) dma->table.entry_left = 0x10000;
    dma->table.last_entry = entry[1] & DESCRIPTOR_LAST;
    return true;
}

static void use(struct ide_dma *dma, u32 bytes)
{
    dma->table.address += bytes;
    dma->table.entry_left -= bytes;
    dma->left -= bytes;
}

/* --- between buffer and memory --- */

static void copy(struct ide_channel *channel)
{
    struct ide_dma *dma = &channel->dma;
    const struct dma *memory = &channel->memory;
    while (dma->left && have_entry(channel)) {
        u32 bytes = dma->left < dma->table.entry_left ? (u32)dma->left : dma->table.entry_left;
        if (dma->to_guest)
            memory->write(memory->memory, dma->table.address, channel->buffer + dma->at, bytes);
        else
            memory->read(memory->memory, dma->table.address, channel->buffer + dma->at, bytes);
        dma->at += bytes;
        use(dma, bytes);
    }
}

/* --- between disk and memory --- */

/* Add the next piece of the table to the request: RAM, or buffer in its place. Returns its bytes. */
static u32 add_part(struct ide_channel *channel, u64 most, u32 *stray)
{
    struct ide_dma *dma = &channel->dma;
    const struct dma *memory = &channel->memory;
    u64 bytes = most < dma->table.entry_left ? most : dma->table.entry_left, gpa = dma->table.address;
    u8 *host = memory->map(memory->memory, gpa, &bytes);
    if (!host) {
        u64 in_page = PAGE_SIZE - (gpa & PAGE_MASK);
        if (bytes > in_page) bytes = in_page;
        host = channel->buffer + *stray;
        *stray += (u32)bytes;
        if (!dma->to_guest) memory->read(memory->memory, gpa, host, bytes);
        gpa = IDE_IN_BUFFER;
    }
    use(dma, (u32)bytes);
    if (channel->parts && gpa != IDE_IN_BUFFER) {
        struct iovec *last = &channel->part[channel->parts - 1];
        if ((u8 *)last->iov_base + last->iov_len == host &&
            channel->gpa[channel->parts - 1] + last->iov_len == gpa) {
            last->iov_len += bytes;
            return (u32)bytes;
        }
    }
    channel->part[channel->parts] = (struct iovec){host, bytes};
    channel->gpa[channel->parts++] = gpa;
    return (u32)bytes;
}

/* Drop the fraction of a sector at the end, where the table has ended. */
static u32 drop_fraction(struct ide_channel *channel, u32 bytes)
{
    u32 fraction = bytes % DISK_SECTOR_BYTES;
    channel->dma.left += fraction;
    for (u32 left = fraction; left;) {
        struct iovec *last = &channel->part[channel->parts - 1];
        u32 part = left < last->iov_len ? left : (u32)last->iov_len;
        last->iov_len -= part;
        left -= part;
        if (!last->iov_len) channel->parts--;
    }
    return bytes - fraction;
}

/* Make a request of as many whole sectors as fit. A descriptor has at least two bytes, which bounds the
 * number of parts needed to come to a sector's end. */
static u32 gather(struct ide_channel *channel)
{
    struct ide_dma *dma = &channel->dma;
    u32 bytes = 0, stray = 0;
    channel->parts = 0;
    dma->before = dma->table;
    while (dma->left && bytes < dma->most && have_entry(channel)) {
        bool enough = channel->parts >= IDE_PARTS_WANTED || stray >= STRAY_BYTES - PAGE_SIZE;
        u32 to_sector = (DISK_SECTOR_BYTES - bytes % DISK_SECTOR_BYTES) % DISK_SECTOR_BYTES;
        u64 most = dma->left < dma->most - bytes ? dma->left : dma->most - bytes;
        if (enough && !to_sector) break;
        bytes += add_part(channel, enough ? to_sector : most, &stray);
    }
    return drop_fraction(channel, bytes);
}

void ide_dma_landed(struct ide_channel *channel)
{
    const struct dma *memory = &channel->memory;
    for (unsigned n = 0; n < channel->parts && channel->request.operation == DISK_READ; n++)
        if (channel->gpa[n] != IDE_IN_BUFFER)
            memory->written(memory->memory, channel->gpa[n], channel->part[n].iov_len);
}

/* The disk does not say which sector of a request is bad, so the request is tried again in halves. As with a real
 * drive, the sectors before the bad one are transferred, and the registers name the bad sector. The bus master stays
 * active, because its table has not ended. */
static void request_failed(struct ide_channel *channel, int error)
{
    struct ide_dma *dma = &channel->dma;
    u32 sectors = (u32)(channel->request.bytes / DISK_SECTOR_BYTES);
    dma->left += channel->request.bytes;
    dma->table = dma->before;
    if (sectors > 1) {
        dma->most = sectors / 2 * DISK_SECTOR_BYTES;
        channel->active->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
        go_on(channel);
        return;
    }
    dma->wanted = false;
    dma->finished(channel, error);
}

static void request_done(struct ide_channel *channel, int error)
{
    struct ide_dma *dma = &channel->dma;
    if (error) {
        request_failed(channel, error);
        return;
    }
    dma->offset += channel->request.bytes;
    channel->active->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
    go_on(channel);
}

/* --- both sides --- */

static void finish(struct ide_channel *channel)
{
    struct ide_dma *dma = &channel->dma;
    dma->wanted = false;
    /* Active stays set if the table describes more bytes than the transfer has. */
    if (dma->table.last_entry && !dma->table.entry_left) channel->master_status &= (u8)~STATUS_ACTIVE;
    dma->finished(channel, 0);
}

static void go_on(struct ide_channel *channel)
{
    struct ide_dma *dma = &channel->dma;
    if (!dma->wanted || channel->io_running) return;
    if (!dma->left) {
        finish(channel);
        return;
    }
    if (!(channel->master_status & STATUS_ACTIVE) || !channel->master_enabled) return;
    /* The directions disagree: neither side drives the bus. */
    if (dma->to_guest != !!(channel->master_command & COMMAND_TO_MEMORY)) return;
    if (dma->buffered) {
        copy(channel);
        if (!dma->left) finish(channel);
    } else {
        u32 bytes = gather(channel);
        if (bytes) {
            ide_submit_parts(channel->active, dma->to_guest ? DISK_READ : DISK_WRITE, dma->offset, bytes,
                             request_done);
            return;
        }
    }
    if (dma->wanted) channel->master_status &= (u8)~STATUS_ACTIVE;
}

static void begin(struct ide_drive *drive, const struct ide_dma *transfer)
{
    struct ide_channel *channel = drive->channel;
    struct ide_dma *dma = &channel->dma;
    dma->wanted = true;
    dma->to_guest = transfer->to_guest;
    dma->buffered = transfer->buffered;
    dma->offset = transfer->offset;
    dma->left = transfer->left;
    dma->most = REQUEST_BYTES;
    dma->at = 0;
    dma->finished = transfer->finished;
    drive->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
    go_on(channel);
}

void ide_dma_disk(struct ide_drive *drive, bool to_guest, u64 offset, u64 bytes,
                  void (*finished)(struct ide_channel *channel, int error))
{
    begin(drive,
          &(struct ide_dma){.to_guest = to_guest, .offset = offset, .left = bytes, .finished = finished});
}

void ide_dma_buffer(struct ide_drive *drive, bool to_guest, u32 bytes,
                    void (*finished)(struct ide_channel *channel, int error))
{
    begin(drive,
          &(struct ide_dma){.to_guest = to_guest, .buffered = true, .left = bytes, .finished = finished});
}

/* --- registers --- */

void ide_master_enable(struct ide_channel *channel, bool enabled)
{
    bool was = channel->master_enabled;
    channel->master_enabled = enabled;
    if (enabled && !was) go_on(channel);
}

u8 ide_master_read(struct ide_channel *channel, u32 offset)
{
    switch (offset) {
    case MASTER_COMMAND: return channel->master_command;
    case MASTER_STATUS: return channel->master_status;
    case MASTER_TABLE:
    case MASTER_TABLE + 1:
    case MASTER_TABLE + 2:
    case MASTER_TABLE + 3: return (u8)(channel->master_table >> (8 * (offset - MASTER_TABLE)));
    default: return 0;
    }
}

/* A stopped transfer does not go on. A request that is under way is done to its end. */
static void write_command(struct ide_channel *channel, u8 value)
{
    bool started = channel->master_command & COMMAND_START;
    channel->master_command = value & (COMMAND_START | COMMAND_TO_MEMORY);
    if (!(value & COMMAND_START)) {
        channel->master_status &= (u8)~STATUS_ACTIVE;
    } else if (!started) {
        rewind_table(channel);
        channel->master_status |= STATUS_ACTIVE;
        go_on(channel);
    }
}

void ide_master_write(struct ide_channel *channel, u32 offset, u8 value)
{
    switch (offset) {
    case MASTER_COMMAND: write_command(channel, value); break;
    case MASTER_STATUS:
        channel->master_status &= (u8) ~(value & (STATUS_INTERRUPT | STATUS_ERROR));
        channel->master_status = (u8)((channel->master_status & ~STATUS_CAPABLE) | (value & STATUS_CAPABLE));
        break;
    case MASTER_TABLE:
    case MASTER_TABLE + 1:
    case MASTER_TABLE + 2:
    case MASTER_TABLE + 3: {
        unsigned shift = 8 * (offset - MASTER_TABLE);
        channel->master_table = ((channel->master_table & ~(0xffu << shift)) | (u32)value << shift) & ~3u;
        break;
    }
    }
}
