/*
 * Hostile use of an IDE channel, as a stream of steps. The sanitizers must be silent, the disk must get no impossible
 * request (memory_disk.h aborts), and after a reset the drives must be ready. The low nibble of the first byte selects
 * the step:
 *
 *   0-3  write a register of the command block: offset (in the high nibble), value
 *   4    read one
 *   5    device control: value
 *   6    bus master register: offset (in the high nibble), value
 *   7    descriptor: its number, and its 8 bytes
 *   8    REP INSW: words
 *   9    REP OUTSW: words
 *   a    the disks do one request each
 *   b    PACKET with 12 bytes
 *   c    wide accesses to a register
 *   d    medium: changed, or none
 *   e    reset line
 *   f    a whole DMA command: opcode, sector, count
 */
#ifndef RINGER_TESTS_FUZZ_IDE_STREAM_H
#define RINGER_TESTS_FUZZ_IDE_STREAM_H

#include "../unit/memory_disk.h"
#include "devices/storage/ide.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

enum { FUZZ_TABLE = 0x1000 };

struct ide_stream {
    struct ide_channel channel;
    struct memory_disk disk[2];
    struct fake_memory memory;
    const u8 *at, *end;
};

static u8 stream_next(struct ide_stream *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static void stream_out(struct ide_stream *s, u32 offset, u8 value)
{
    ide_command_ops.write(&s->channel, offset, 1, value);
}

static void stream_descriptor(struct ide_stream *s)
{
    u8 *entry = s->memory.ram + FUZZ_TABLE + stream_next(s) * 8u;
    for (unsigned n = 0; n < 8; n++)
        entry[n] = stream_next(s);
}

static void stream_packet(struct ide_stream *s)
{
    u8 first = stream_next(s);
    stream_out(s, 6, 0xb0);
    stream_out(s, 1, first & 1);
    stream_out(s, 5, first);
    stream_out(s, 7, 0xa0);
    for (unsigned n = 0; n < 6; n++) {
        u32 low = stream_next(s);
        ide_command_ops.write(&s->channel, 0, 2, low | (u32)stream_next(s) << 8);
    }
}

static void stream_dma(struct ide_stream *s)
{
    u8 opcode = stream_next(s);
    stream_out(s, 6, 0xe0);
    stream_out(s, 3, stream_next(s));
    stream_out(s, 2, stream_next(s));
    stream_out(s, 7, opcode);
    ide_master_write(&s->channel, 5, FUZZ_TABLE >> 8);
    ide_master_write(&s->channel, 0, 0);
    ide_master_write(&s->channel, 0, stream_next(s) & 8);
    ide_master_write(&s->channel, 0, ide_master_read(&s->channel, 0) | 1);
}

static void stream_medium(struct ide_stream *s)
{
    struct ide_drive *drive = &s->channel.drive[1];
    if (s->channel.io_running || drive->kind != IDE_CDROM) return;
    u8 how = stream_next(s);
    ide_move_tray(drive, true);
    s->disk[1].disk.bytes = how & 1 ? 0 : 256 * CD_SECTOR_BYTES;
    if (!(how & 2)) ide_move_tray(drive, false);
}

static void stream_step(struct ide_stream *s)
{
    static u8 words[0x10000];
    u8 step = stream_next(s), offset = step >> 4 & 7;
    u32 count;
    switch (step & 15) {
    case 0:
    case 1:
    case 2:
    case 3: stream_out(s, offset, stream_next(s)); break;
    case 4: ide_command_ops.read(&s->channel, offset, 1); break;
    case 5: ide_control_ops.write(&s->channel, 0, 1, stream_next(s)); break;
    case 6: ide_master_write(&s->channel, offset, stream_next(s)); break;
    case 7: stream_descriptor(s); break;
    case 8:
        count = (stream_next(s) + 1u) * 128;
        if (ide_string_ops.read(&s->channel, 0, 2, words, count) > count) abort();
        break;
    case 9:
        count = (stream_next(s) + 1u) * 128;
        if (ide_string_ops.write(&s->channel, 0, 2, words, count) > count) abort();
        break;
    case 10: memory_disk_run(&s->disk[0], 1), memory_disk_run(&s->disk[1], 1); break;
    case 11: stream_packet(s); break;
    case 12:
        ide_command_ops.write(&s->channel, offset & 3, 4, ide_command_ops.read(&s->channel, offset & 3, 4));
        break;
    case 13: stream_medium(s); break;
    case 14: ide_reset(&s->channel); break;
    default: stream_dma(s);
    }
}

/* After a pulse of the reset line and some time for the disks, both drives must be present. */
static void stream_check(struct ide_stream *s)
{
    ide_reset(&s->channel);
    memory_disk_run(&s->disk[0], 1), memory_disk_run(&s->disk[1], 1);
    if (s->channel.io_running || s->disk[0].queued || s->disk[1].queued) abort();
    for (unsigned n = 0; n < 2; n++) {
        stream_out(s, 6, (u8)(0xa0 | n << 4));
        if (ide_control_ops.read(&s->channel, 0, 1) & (IDE_BSY | IDE_DRQ)) abort();
    }
    u8 opcode = s->channel.drive[1].kind == IDE_CDROM ? 0xa1 : 0xec;
    stream_out(s, 7, opcode);
    if (ide_control_ops.read(&s->channel, 0, 1) != (IDE_DRDY | IDE_DSC | IDE_DRQ)) abort();
}

static void stream_run(struct ide_stream *s, enum ide_kind second, const u8 *data, size_t bytes)
{
    static bool ready;
    if (!ready) {
        memory_disk_init(&s->disk[0], 4096);
        memory_disk_init(&s->disk[1], 1024);
        ready = true;
    }
    s->at = data;
    s->end = data + bytes;
    ide_init(&s->channel, (struct irq_line){0}, fake_dma(&s->memory));
    s->disk[1].disk.bytes = 1024 * DISK_SECTOR_BYTES;
    s->disk[0].bad_sector = s->disk[1].bad_sector = bytes & 1 ? 77 : UINT64_MAX;
    ide_attach(&s->channel, 0, IDE_DISK, &s->disk[0].disk, "0");
    ide_attach(&s->channel, 1, second, &s->disk[1].disk, "1");
    ide_master_enable(&s->channel, true);
    while (s->at < s->end)
        stream_step(s);
    stream_check(s);
}

#endif
