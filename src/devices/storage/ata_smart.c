/*
 * SMART of an ATA hard disk (ATA/ATAPI-6 8.41). The drive is in good health. It has no attributes, and its
 * logs are empty.
 */
#include "ide.h"

#include <string.h>

/* LBA mid and high: the key of the command, and the answer "threshold not exceeded". */
enum { KEY_LOW = 0x4f, KEY_HIGH = 0xc2 };

enum { LOG_DIRECTORY = 0x00, LOG_ERRORS = 0x01, LOG_SELF_TEST = 0x06 };

/* The last byte makes the sum of all 0. */
static void give_block(struct ide_drive *drive)
{
    u8 *block = drive->channel->buffer, sum = 0;
    for (unsigned n = 0; n < DISK_SECTOR_BYTES - 1; n++)
        sum += block[n];
    block[DISK_SECTOR_BYTES - 1] = (u8)-sum;
    ide_give_sector(drive);
}

static void read_data(struct ide_drive *drive)
{
    u8 *block = drive->channel->buffer;
    memset(block, 0, DISK_SECTOR_BYTES);
    block[0] = 0x10;   /* revision of the structure */
    block[368] = 0x03; /* attributes are saved automatically */
    block[370] = 0x01; /* there is an error log */
    give_block(drive);
}

static void read_thresholds(struct ide_drive *drive)
{
    memset(drive->channel->buffer, 0, DISK_SECTOR_BYTES);
    drive->channel->buffer[0] = 0x10;
    give_block(drive);
}

static void read_log(struct ide_drive *drive)
{
    u8 *block = drive->channel->buffer, log = drive->now.lba_low;
    memset(block, 0, DISK_SECTOR_BYTES);
    if (drive->now.count != 1 || (log != LOG_DIRECTORY && log != LOG_ERRORS && log != LOG_SELF_TEST)) {
        ide_fail(drive, IDE_ABRT);
        return;
    }
    block[0] = 0x01;                                                                /* version */
    if (log == LOG_DIRECTORY) block[LOG_ERRORS * 2] = block[LOG_SELF_TEST * 2] = 1; /* sectors of it */
    give_block(drive);
}

static void enable(struct ide_drive *drive)
{
    drive->smart_off = false;
    ide_finish(drive);
}

static void disable(struct ide_drive *drive)
{
    drive->smart_off = true;
    ide_finish(drive);
}

static void return_status(struct ide_drive *drive)
{
    drive->now.lba_mid = KEY_LOW;
    drive->now.lba_high = KEY_HIGH;
    ide_finish(drive);
}

static const struct {
    u8 feature;
    bool when_off;
    void (*run)(struct ide_drive *drive);
} rows[] = {
    {0xd0, false, read_data},  {0xd1, false, read_thresholds},
    {0xd2, false, ide_finish}, /* automatic saving of attributes */
    {0xd3, false, ide_finish}, /* save them now */
    {0xd4, false, ide_finish}, /* self-test: has passed */
    {0xd5, false, read_log},   {0xd8, true, enable},
    {0xd9, false, disable},    {0xda, false, return_status},
};

void ata_smart(struct ide_drive *drive, unsigned how)
{
    if (drive->now.lba_mid == KEY_LOW && drive->now.lba_high == KEY_HIGH)
        for (unsigned n = 0; n < ARRAY_SIZE(rows); n++)
            if (rows[n].feature == drive->now.feature && (rows[n].when_off || !drive->smart_off)) {
                rows[n].run(drive);
                return;
            }
    ide_fail(drive, IDE_ABRT);
}
