/*
 * For tests of ATA and ATAPI drives: an IDE channel with a disk in memory as drive 0 and a CD as drive 1, and a
 * driver for it.
 */
#ifndef RINGER_TESTS_IDE_RIG_H
#define RINGER_TESTS_IDE_RIG_H

#include "check.h"
#include "devices/storage/ide.h"
#include "memory_disk.h"

enum { DATA, FEATURE, COUNT, LBA_LOW, LBA_MID, LBA_HIGH, DEVICE, COMMAND, STATUS = COMMAND, ERROR = FEATURE };
enum { MASTER_COMMAND = 0, MASTER_STATUS = 2, MASTER_TABLE = 4, START = 1, TO_MEMORY = 8 };
enum { ACTIVE = 1, INTERRUPT = 4 };
enum { READY = IDE_DRDY | IDE_DSC, READY_DATA = READY | IDE_DRQ, FAILED = READY | IDE_ERR };

#define DISK_SECTORS 40000u
#define CD_SECTORS   500u
#define PRD          0x1000u

static struct ide_channel channel;
static struct memory_disk disk, cd;
static struct fake_memory memory;
static bool irq;
static unsigned irqs; /* rising edges */

static void set_irq(void *receiver, unsigned pin, bool level)
{
    irqs += level && !irq;
    irq = level;
}

static inline u8 in(u32 offset)
{
    return (u8)ide_command_ops.read(&channel, offset, 1);
}
static inline void out(u32 offset, u8 value)
{
    ide_command_ops.write(&channel, offset, 1, value);
}
static inline u8 alternate(void)
{
    return (u8)ide_control_ops.read(&channel, 0, 1);
}
static inline void control(u8 value)
{
    ide_control_ops.write(&channel, 0, 1, value);
}

static inline void rig_start(void)
{
    irq = false;
    ide_init(&channel, (struct irq_line){set_irq, NULL, 14}, fake_dma(&memory));
    ide_master_enable(&channel, true);
    memory_disk_init(&disk, DISK_SECTORS);
    memory_disk_init(&cd, CD_SECTORS * 4);
    ide_attach(&channel, 0, IDE_DISK, &disk.disk, "D1");
    ide_attach(&channel, 1, IDE_CDROM, &cd.disk, "C1");
    ide_reset(&channel);
    irqs = 0;
    memset(&memory, 0, sizeof(memory));
}

static inline void rig_stop(void)
{
    memory_disk_free(&disk);
    memory_disk_free(&cd);
}

/* Lets the disks do their queued requests. */
static inline unsigned settle(void)
{
    return memory_disk_run(&disk, 100000) + memory_disk_run(&cd, 100000);
}

static inline void read_words(u8 *to, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n += 2) {
        u16 word = (u16)ide_command_ops.read(&channel, DATA, 2);
        memcpy(to + n, &word, 2);
    }
}
static inline void write_words(const u8 *from, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n += 2)
        ide_command_ops.write(&channel, DATA, 2, (u32)from[n] | (u32)from[n + 1] << 8);
}

/* A table at PRD: `count` pairs of address and bytes. */
static inline void put_table(const u32 (*entries)[2], unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        u32 entry[2] = {entries[n][0], (entries[n][1] & 0xffff) | (n + 1 == count ? 0x80000000 : 0)};
        memcpy(memory.ram + PRD + n * 8, entry, 8);
    }
    for (unsigned n = 0; n < 4; n++)
        ide_master_write(&channel, MASTER_TABLE + n, (u8)(PRD >> (8 * n)));
}
static inline void start_master(bool to_memory)
{
    ide_master_write(&channel, MASTER_STATUS, INTERRUPT | 2);
    ide_master_write(&channel, MASTER_COMMAND, to_memory ? TO_MEMORY : 0);
    ide_master_write(&channel, MASTER_COMMAND, START | (to_memory ? TO_MEMORY : 0));
}
static inline void stop_master(void)
{
    ide_master_write(&channel, MASTER_COMMAND, 0);
}
static inline u8 master_status(void)
{
    return ide_master_read(&channel, MASTER_STATUS);
}

/* Addresses: 28 bits, */
static inline void address(u32 sector, u8 count)
{
    out(DEVICE, 0xe0 | (u8)(sector >> 24));
    out(COUNT, count);
    out(LBA_LOW, (u8)sector);
    out(LBA_MID, (u8)(sector >> 8));
    out(LBA_HIGH, (u8)(sector >> 16));
}
/* and 48. */
static inline void address_ext(u64 sector, u16 count)
{
    out(DEVICE, 0xe0);
    out(COUNT, (u8)(count >> 8));
    out(LBA_LOW, (u8)(sector >> 24));
    out(LBA_MID, (u8)(sector >> 32));
    out(LBA_HIGH, (u8)(sector >> 40));
    out(COUNT, (u8)count);
    out(LBA_LOW, (u8)sector);
    out(LBA_MID, (u8)(sector >> 8));
    out(LBA_HIGH, (u8)(sector >> 16));
}

#endif
