/*
 * How drives describe themselves: IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA/ATAPI-6 8.15 and 8.16;
 * words 69, 105, 169 and 217: ACS-2).
 */
#include "ide.h"

#include <string.h>

struct word_row {
    u8 word;
    u16 value;
};

static void put(u8 *to, unsigned word, u16 value)
{
    to[word * 2] = (u8)value;
    to[word * 2 + 1] = (u8)(value >> 8);
}

static void put32(u8 *to, unsigned word, u32 value)
{
    put(to, word, (u16)value);
    put(to, word + 1, (u16)(value >> 16));
}

/* Of two characters, the first is the word's high byte. */
static void put_string(u8 *to, unsigned word, const char *text, unsigned bytes)
{
    unsigned length = (unsigned)strnlen(text, bytes);
    for (unsigned n = 0; n < bytes; n++)
        to[word * 2 + (n ^ 1)] = n < length ? (u8)text[n] : ' ';
}

static void put_rows(u8 *to, const struct word_row *rows, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        put(to, rows[n].word, rows[n].value);
}

/* Word 255: a signature, and the byte that makes the sum of all 0. */
static void put_checksum(u8 *to)
{
    u8 sum = 0xa5;
    for (unsigned n = 0; n < 510; n++)
        sum += to[n];
    put(to, 255, (u16)(0xa5 | (u8)-sum << 8));
}

/* Words that both kinds of drives have. */
static const struct word_row common[] = {
    {53, 0x0007},            /* words 54-58, 64-70 and 88 are valid */
    {64, 0x0003},            /* PIO modes 3 and 4 */
    {65, 120},    {66, 120}, /* multiword DMA cycle times in ns */
    {67, 120},    {68, 120}, /* PIO cycle times without and with IORDY */
    {80, 0x00fe},            /* ATA-1 to ATA/ATAPI-7 */
};

/* Words 62/63 and 88: the modes that exist, and in the high byte the one that is set. */
static void put_modes(const struct ide_drive *drive, u8 *to)
{
    u8 kind = drive->transfer_mode >> 3, bit = (u8)(1 << (drive->transfer_mode & 7));
    put(to, 63, (u16)(0x07 | (kind == 4 ? bit << 8 : 0)));
    put(to, 88, (u16)(0x3f | (kind == 8 ? bit << 8 : 0)));
    put_rows(to, common, ARRAY_SIZE(common));
}

/* Command sets: bits of words 82/85, 83/86 and 84/87. */
enum {
    SET_SMART = 0x0001,
    SET_POWER = 0x0008,
    SET_WRITE_CACHE = 0x0020,
    SET_LOOK_AHEAD = 0x0040,
    SET_BUFFERS = 0x3000,
    SET_NOP = 0x4000,
    SET_LBA48 = 0x0400,
    SET_FLUSH = 0x1000,
    SET_FLUSH_EXT = 0x2000,
    SET_FUA = 0x0040,
    SET_VALID = 0x4000,
};

static void put_command_sets(const struct ide_drive *drive, u8 *to)
{
    u16 sets = SET_SMART | SET_POWER | SET_WRITE_CACHE | SET_LOOK_AHEAD | SET_BUFFERS | SET_NOP, now = sets;
    if (drive->smart_off) now &= (u16)~SET_SMART;
    if (drive->no_write_cache) now &= (u16)~SET_WRITE_CACHE;
    if (drive->no_read_ahead) now &= (u16)~SET_LOOK_AHEAD;
    put(to, 82, sets);
    put(to, 83, SET_VALID | SET_FLUSH_EXT | SET_FLUSH | SET_LBA48);
    put(to, 84, SET_VALID | SET_FUA);
    put(to, 85, now);
    put(to, 86, SET_FLUSH_EXT | SET_FLUSH | SET_LBA48);
    put(to, 87, SET_VALID | SET_FUA);
}

static void put_geometry(const struct ide_drive *drive, u8 *to)
{
    u32 per_cylinder = drive->heads_now * drive->per_track_now;
    u64 cylinders = drive->sectors / per_cylinder;
    u32 cylinders_now = cylinders > 0xffff ? 0xffff : (u32)cylinders;
    put(to, 1, (u16)drive->cylinders);
    put(to, 3, ATA_HEADS);
    put(to, 6, ATA_PER_TRACK);
    put(to, 54, (u16)cylinders_now);
    put(to, 55, (u16)drive->heads_now);
    put(to, 56, (u16)drive->per_track_now);
    put32(to, 57, cylinders_now * per_cylinder);
    put32(to, 60, drive->sectors > ATA_LBA28_SECTORS ? ATA_LBA28_SECTORS : (u32)drive->sectors);
    put32(to, 100, (u32)drive->sectors);
    put32(to, 102, (u32)(drive->sectors >> 32));
}

static void identify_disk(const struct ide_drive *drive, u8 *to)
{
    static const struct word_row rows[] = {
        {0, 0x0040},                /* fixed */
        {47, 0x8080},               /* READ MULTIPLE: 128 sectors */
        {48, 0x0001},               /* 32-bit access to the data port */
        {49, 0x0f00},               /* LBA, DMA, IORDY, which may be disabled */
        {50, 0x4000}, {93, 0x6001}, /* cable of 80 wires, device 0 is there */
        {105, 8},                   /* TRIM: blocks a command */
        {217, 1},                   /* does not rotate */
    };
    put_rows(to, rows, ARRAY_SIZE(rows));
    put_modes(drive, to);
    put_command_sets(drive, to);
    put_geometry(drive, to);
    put_string(to, 27, IDE_MODEL_DISK, 40);
    put(to, 59, drive->multiple ? 0x0100 | drive->multiple : 0);
    if (drive->disk->can_discard && !drive->disk->read_only) {
        put(to, 69, 0x4000); /* which reads as the same every time */
        put(to, 169, 0x0001);
    }
}

static void identify_cdrom(const struct ide_drive *drive, u8 *to)
{
    static const struct word_row rows[] = {
        {0, 0x85c0},               /* ATAPI, CD-ROM, removable, DRQ within 50 us, packets of 12 bytes */
        {49, 0x0b00},              /* LBA, DMA, IORDY */
        {71, 30},        {72, 30}, /* ns to release the bus: it is not released */
        {82, 0x4218},              /* NOP, DEVICE RESET, PACKET, power management */
        {83, SET_VALID}, {84, SET_VALID}, {85, 0x4218},
        {87, SET_VALID}, {126, 0}, /* byte count limit 0 is not allowed */
    };
    put_rows(to, rows, ARRAY_SIZE(rows));
    put_modes(drive, to);
    put_string(to, 27, IDE_MODEL_CDROM, 40);
}

void ata_identify(const struct ide_drive *drive, u8 *to)
{
    memset(to, 0, DISK_SECTOR_BYTES);
    put_string(to, 10, drive->serial, 20);
    put_string(to, 23, IDE_FIRMWARE, 8);
    if (drive->kind == IDE_DISK)
        identify_disk(drive, to);
    else
        identify_cdrom(drive, to);
    put_checksum(to);
}
