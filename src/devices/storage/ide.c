/*
 * The task file and the data port of an IDE channel. See ide.h.
 */
#include "ide.h"

#include <assert.h>
#include <string.h>

enum register_offset {
    REG_DATA,
    REG_FEATURE,
    REG_COUNT,
    REG_LBA_LOW,
    REG_LBA_MID,
    REG_LBA_HIGH,
    REG_DEVICE,
    REG_COMMAND
};
/* Device control */
enum { CONTROL_NIEN = 0x02, CONTROL_SRST = 0x04, CONTROL_HOB = 0x80 };
enum { COMMAND_DEVICE_RESET = 0x08, COMMAND_DIAGNOSTIC = 0x90 };
enum { DIAGNOSTIC_PASSED = 0x01 };
enum { MASTER_INTERRUPT = 0x04 };
enum { BOTH_DRIVES = 3 };

static struct ide_drive *selected(struct ide_channel *channel)
{
    return &channel->drive[channel->device & IDE_DEV ? 1 : 0];
}

/* --- INTRQ --- */

/* The selected drive drives the wire, unless nIEN is set. The bus master latches the edge. */
static void update_interrupt(struct ide_channel *channel)
{
    bool line = selected(channel)->interrupt && !(channel->control & CONTROL_NIEN);
    if (line && !channel->line) channel->master_status |= MASTER_INTERRUPT;
    channel->line = line;
    irq_set(&channel->irq, line);
}

void ide_interrupt(struct ide_drive *drive)
{
    drive->interrupt = true;
    update_interrupt(drive->channel);
}

/* --- the ends of commands --- */

static void stop_transfer(struct ide_channel *channel)
{
    channel->at = channel->end = 0;
    channel->dma.wanted = false;
}

static void end_command(struct ide_drive *drive, u8 status, u8 error)
{
    drive->channel->active = NULL;
    stop_transfer(drive->channel);
    drive->status = status;
    drive->error = error;
    ide_interrupt(drive);
}

void ide_finish(struct ide_drive *drive)
{
    end_command(drive, IDE_DRDY | IDE_DSC, 0);
}

void ide_fail(struct ide_drive *drive, u8 error)
{
    end_command(drive, IDE_DRDY | IDE_DSC | IDE_ERR, error);
}

void ide_begin_block(struct ide_drive *drive, bool to_guest, u32 at, u32 bytes,
                     void (*done)(struct ide_channel *channel))
{
    struct ide_channel *channel = drive->channel;
    assert(bytes && at + bytes <= IDE_BUFFER_BYTES);
    channel->port_to_guest = to_guest;
    channel->at = at;
    channel->end = at + bytes;
    channel->block_done = done;
    drive->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
}

void ide_taken(struct ide_channel *channel)
{
    channel->active->status = IDE_DRDY | IDE_DSC;
    channel->active = NULL;
}

void ide_give_sector(struct ide_drive *drive)
{
    ide_begin_block(drive, true, 0, DISK_SECTOR_BYTES, ide_taken);
    ide_interrupt(drive);
}

/* --- the disk --- */

static void reset_now(struct ide_channel *channel);

static void request_done(struct disk_request *request)
{
    struct ide_channel *channel = request->device;
    channel->io_running = false;
    ide_dma_landed(channel);
    if (channel->in_reset) return; /* the end of SRST resets */
    if (channel->reset_waits)
        reset_now(channel);
    else
        channel->io_done(channel, request->error);
}

void ide_submit_parts(struct ide_drive *drive, enum disk_operation operation, u64 offset, u64 bytes,
                      void (*done)(struct ide_channel *channel, int error))
{
    struct ide_channel *channel = drive->channel;
    assert(!channel->io_running);
    drive->status = IDE_BSY;
    channel->io_running = true;
    channel->io_done = done;
    channel->request = (struct disk_request){.operation = operation,
                                             .offset = offset,
                                             .bytes = bytes,
                                             .part = channel->part,
                                             .part_count = channel->parts,
                                             .done = request_done,
                                             .device = channel};
    disk_submit(drive->disk, &channel->request);
}

void ide_submit(struct ide_drive *drive, enum disk_operation operation, u64 offset, u64 bytes, u32 at,
                void (*done)(struct ide_channel *channel, int error))
{
    struct ide_channel *channel = drive->channel;
    channel->part[0] = (struct iovec){channel->buffer + at, bytes};
    channel->gpa[0] = IDE_IN_BUFFER;
    channel->parts = 1;
    ide_submit_parts(drive, operation, offset, bytes, done);
}

/* --- resets --- */

/* The registers of a drive after a reset or its diagnostics (ATA/ATAPI-6 9.12). */
void ide_signature(struct ide_drive *drive)
{
    drive->previous = (struct ide_registers){0};
    drive->now = (struct ide_registers){.count = 1, .lba_low = 1};
    if (drive->kind == IDE_CDROM) {
        drive->now.lba_mid = 0x14;
        drive->now.lba_high = 0xeb;
    }
}

static void reset_drive(struct ide_drive *drive, bool hard)
{
    if (drive->kind == IDE_ABSENT) return;
    ide_signature(drive);
    drive->error = DIAGNOSTIC_PASSED;
    drive->interrupt = false;
    drive->status = IDE_DRDY | IDE_DSC;
    if (drive->kind == IDE_DISK)
        ata_reset(drive, hard);
    else
        atapi_reset(drive);
}

static void reset_now(struct ide_channel *channel)
{
    u8 drives = channel->reset_waits;
    bool hard = channel->reset_hard;
    channel->reset_waits = 0;
    channel->reset_hard = false;
    channel->active = NULL;
    stop_transfer(channel);
    if (drives == BOTH_DRIVES) channel->device = 0;
    for (unsigned n = 0; n < 2; n++)
        if (drives & 1 << n) reset_drive(&channel->drive[n], hard);
    update_interrupt(channel);
}

static void set_busy(struct ide_drive *drive)
{
    drive->interrupt = false;
    if (drive->kind != IDE_ABSENT) drive->status = IDE_BSY;
}

/* A request that is under way still writes to its buffers. The drives are busy until it is done. */
static void reset_drives(struct ide_channel *channel, u8 drives, bool hard)
{
    channel->reset_waits |= drives;
    channel->reset_hard |= hard;
    if (!channel->io_running) {
        reset_now(channel);
        return;
    }
    for (unsigned n = 0; n < 2; n++)
        if (drives & 1 << n) set_busy(&channel->drive[n]);
    update_interrupt(channel);
}

void ide_reset(struct ide_channel *channel)
{
    channel->control = 0;
    channel->in_reset = false;
    channel->master_command = channel->master_status = 0;
    channel->master_table = 0;
    reset_drives(channel, BOTH_DRIVES, true);
}

void ide_init(struct ide_channel *channel, struct irq_line irq, struct dma memory)
{
    memset(channel, 0, sizeof(*channel));
    channel->irq = irq;
    channel->memory = memory;
    channel->drive[0].channel = channel->drive[1].channel = channel;
}

void ide_attach(struct ide_channel *channel, unsigned number, enum ide_kind kind, struct disk *disk,
                const char *serial)
{
    struct ide_drive *drive = &channel->drive[number];
    drive->kind = kind;
    drive->disk = disk;
    drive->sectors = disk->bytes / DISK_SECTOR_BYTES;
    memset(drive->serial, ' ', sizeof(drive->serial));
    memcpy(drive->serial, serial, strnlen(serial, sizeof(drive->serial)));
    reset_drive(drive, true);
}

/* --- commands --- */

/* Both drives run their diagnostics, whichever is selected (ATA/ATAPI-6 8.11). */
static void diagnose(struct ide_channel *channel)
{
    reset_drives(channel, BOTH_DRIVES, false);
    if (channel->drive[0].kind != IDE_ABSENT) ide_interrupt(&channel->drive[0]);
}

static void command(struct ide_channel *channel, u8 opcode)
{
    struct ide_drive *drive = selected(channel);
    if (drive->kind == IDE_ABSENT) return;
    drive->interrupt = false;
    update_interrupt(channel);
    if (channel->in_reset) return;
    if (channel->io_running) { /* busy: DEVICE RESET alone may interrupt a command */
        if (opcode == COMMAND_DEVICE_RESET && drive == channel->active && drive->kind == IDE_CDROM)
            reset_drives(channel, (u8)(1 << (drive - channel->drive)), false);
        return;
    }
    if (channel->active) { /* the guest abandons a command in the middle of its data */
        channel->active->status = IDE_DRDY | IDE_DSC;
        stop_transfer(channel);
    }
    if (opcode == COMMAND_DIAGNOSTIC) {
        diagnose(channel);
        return;
    }
    channel->active = drive;
    drive->error = 0;
    drive->status = IDE_DRDY | IDE_DSC;
    if (drive->kind == IDE_DISK)
        ata_command(drive, opcode);
    else
        atapi_command(drive, opcode);
}

/* --- registers --- */

static void put(u8 *now, u8 *previous, u8 value)
{
    *previous = *now;
    *now = value;
}

/* The command block registers of both drives are written, whichever is selected. */
static void put_both(struct ide_channel *channel, u32 offset, u8 value)
{
    for (unsigned n = 0; n < 2; n++) {
        struct ide_registers *now = &channel->drive[n].now, *previous = &channel->drive[n].previous;
        switch (offset) {
        case REG_FEATURE: put(&now->feature, &previous->feature, value); break;
        case REG_COUNT: put(&now->count, &previous->count, value); break;
        case REG_LBA_LOW: put(&now->lba_low, &previous->lba_low, value); break;
        case REG_LBA_MID: put(&now->lba_mid, &previous->lba_mid, value); break;
        case REG_LBA_HIGH: put(&now->lba_high, &previous->lba_high, value); break;
        }
    }
}

static void write_register(struct ide_channel *channel, u32 offset, u8 value)
{
    channel->control &= (u8)~CONTROL_HOB;
    if (offset == REG_COMMAND) {
        command(channel, value);
    } else if (offset == REG_DEVICE) {
        channel->device = value;
        update_interrupt(channel);
    } else {
        put_both(channel, offset, value);
    }
}

static u8 read_register(struct ide_channel *channel, u32 offset)
{
    struct ide_drive *drive = selected(channel);
    const struct ide_registers *registers = channel->control & CONTROL_HOB ? &drive->previous : &drive->now;
    if (drive->kind == IDE_ABSENT) return 0; /* the other drive answers for it */
    switch (offset) {
    case REG_FEATURE: return drive->error;
    case REG_COUNT: return registers->count;
    case REG_LBA_LOW: return registers->lba_low;
    case REG_LBA_MID: return registers->lba_mid;
    case REG_LBA_HIGH: return registers->lba_high;
    case REG_DEVICE: return channel->device | 0xa0; /* obsolete bits, one since ATA */
    default:
        drive->interrupt = false;
        update_interrupt(channel);
        return drive->status;
    }
}

/* --- the data port --- */

/* How many of `bytes` the DRQ block has at the port, in this direction. */
static u32 at_port(struct ide_channel *channel, bool to_guest, u32 bytes)
{
    u32 left = channel->end - channel->at;
    if (channel->active != selected(channel) || channel->port_to_guest != to_guest) return 0;
    return bytes < left ? bytes : left;
}

static void moved(struct ide_channel *channel, u32 bytes)
{
    channel->at += bytes;
    if (channel->at == channel->end) channel->block_done(channel);
}

/* An access that crosses the block's end moves the bytes before it. */
static u32 read_data(struct ide_channel *channel, unsigned size)
{
    u32 value = 0, bytes = at_port(channel, true, size);
    if (!bytes) return 0;
    memcpy(&value, channel->buffer + channel->at, bytes);
    moved(channel, bytes);
    return value;
}

static void write_data(struct ide_channel *channel, unsigned size, u32 value)
{
    u32 bytes = at_port(channel, false, size);
    if (!bytes) return;
    memcpy(channel->buffer + channel->at, &value, bytes);
    moved(channel, bytes);
}

static u32 read_string(void *device, u32 offset, unsigned size, u8 *to, u32 count)
{
    struct ide_channel *channel = device;
    u32 elements = offset == REG_DATA ? at_port(channel, true, count * size) / size : 0;
    if (!elements) return 0;
    memcpy(to, channel->buffer + channel->at, elements * size);
    moved(channel, elements * size);
    return elements;
}

static u32 write_string(void *device, u32 offset, unsigned size, const u8 *from, u32 count)
{
    struct ide_channel *channel = device;
    u32 elements = offset == REG_DATA ? at_port(channel, false, count * size) / size : 0;
    if (!elements) return 0;
    memcpy(channel->buffer + channel->at, from, elements * size);
    moved(channel, elements * size);
    return elements;
}

const struct io_string_ops ide_string_ops = {read_string, write_string};

/* Only the data port is wide. Elsewhere a wide access is several of one byte. */
static u32 command_read(void *device, u32 offset, unsigned size)
{
    struct ide_channel *channel = device;
    u32 value = 0;
    if (offset == REG_DATA) return read_data(channel, size);
    for (unsigned n = 0; n < size; n++)
        value |= (u32)read_register(channel, offset + n) << (8 * n);
    return value;
}

static void command_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct ide_channel *channel = device;
    if (offset == REG_DATA) {
        write_data(channel, size, value);
        return;
    }
    for (unsigned n = 0; n < size; n++)
        write_register(channel, offset + n, (u8)(value >> (8 * n)));
}

const struct io_ops ide_command_ops = {command_read, command_write};

/* Alternate status: the interrupt stays. */
static u32 control_read(void *device, u32 offset, unsigned size)
{
    struct ide_channel *channel = device;
    return selected(channel)->kind == IDE_ABSENT ? 0 : selected(channel)->status;
}

static void control_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct ide_channel *channel = device;
    bool was_in_reset = channel->in_reset;
    channel->control = (u8)value;
    channel->in_reset = value & CONTROL_SRST;
    if (channel->in_reset && !was_in_reset) {
        stop_transfer(channel);
        set_busy(&channel->drive[0]);
        set_busy(&channel->drive[1]);
    } else if (was_in_reset && !channel->in_reset) {
        reset_drives(channel, BOTH_DRIVES, false);
    }
    update_interrupt(channel);
}

const struct io_ops ide_control_ops = {control_read, control_write};
