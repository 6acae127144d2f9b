/*
 * The commands of an ATA hard disk (ATA/ATAPI-6 clause 8), except those that move data (ata_transfer.c).
 */
#include "ide.h"

/* --- addresses --- */

/* At least two cylinders, even for an image of a boot sector alone, because a BIOS keeps the last one for
 * itself. */
enum { MIN_CYLINDERS = 2, MAX_CYLINDERS = 16383, DEFAULT_MULTIPLE = 16 };

static u64 chs_sector(const struct ide_drive *drive)
{
    const struct ide_registers *r = &drive->now;
    u32 cylinder = r->lba_high << 8 | r->lba_mid, head = drive->channel->device & 0x0f;
    if (!r->lba_low || r->lba_low > drive->per_track_now || head >= drive->heads_now) return UINT64_MAX;
    return ((u64)cylinder * drive->heads_now + head) * drive->per_track_now + r->lba_low - 1;
}

static u64 low_24(const struct ide_registers *r)
{
    return r->lba_low | r->lba_mid << 8 | (u32)r->lba_high << 16;
}

bool ata_address(struct ide_drive *drive, bool ext, u64 *sector, u32 *count)
{
    const struct ide_registers *now = &drive->now, *previous = &drive->previous;
    u8 device = drive->channel->device;
    *count = ext ? now->count | previous->count << 8 : now->count;
    if (!*count) *count = ext ? 0x10000 : 0x100;
    if (ext)
        *sector = low_24(now) | low_24(previous) << 24;
    else if (device & IDE_LBA)
        *sector = low_24(now) | (u64)(device & 0x0f) << 24;
    else
        *sector = chs_sector(drive);
    if (*sector < drive->sectors && *count <= drive->sectors - *sector) return true;
    ide_fail(drive, IDE_IDNF);
    return false;
}

void ata_put_address(struct ide_drive *drive, bool ext, u64 sector)
{
    struct ide_registers *now = &drive->now, *previous = &drive->previous;
    u8 *device = &drive->channel->device;
    if (ext) {
        previous->lba_low = (u8)(sector >> 24);
        previous->lba_mid = (u8)(sector >> 32);
        previous->lba_high = (u8)(sector >> 40);
    } else if (*device & IDE_LBA) {
        *device = (u8)((*device & 0xf0) | (sector >> 24 & 0x0f));
    } else {
        u64 track = sector / drive->per_track_now, cylinder = track / drive->heads_now;
        *device = (u8)((*device & 0xf0) | track % drive->heads_now);
        sector = cylinder << 8 | (sector % drive->per_track_now + 1);
    }
    now->lba_low = (u8)sector;
    now->lba_mid = (u8)(sector >> 8);
    now->lba_high = (u8)(sector >> 16);
}

/* --- no data --- */

static void abort_command(struct ide_drive *drive, unsigned how)
{
    ide_fail(drive, IDE_ABRT);
}

static void succeed(struct ide_drive *drive, unsigned how)
{
    ide_finish(drive);
}

static void seek(struct ide_drive *drive, unsigned how)
{
    u64 sector;
    u32 count;
    drive->now.count = 1;
    if (ata_address(drive, false, &sector, &count)) ide_finish(drive);
}

static void initialize_parameters(struct ide_drive *drive, unsigned how)
{
    if (!drive->now.count) {
        ide_fail(drive, IDE_ABRT);
        return;
    }
    drive->heads_now = (drive->channel->device & 0x0f) + 1u;
    drive->per_track_now = drive->now.count;
    ide_finish(drive);
}

static void set_multiple(struct ide_drive *drive, unsigned how)
{
    u8 sectors = drive->now.count;
    if (sectors & (sectors - 1) || sectors > 128) {
        ide_fail(drive, IDE_ABRT);
        return;
    }
    drive->multiple = sectors;
    ide_finish(drive);
}

static void native_max(struct ide_drive *drive, unsigned how)
{
    u64 last = drive->sectors - 1;
    if (!(how & ATA_EXT) && last >= ATA_LBA28_SECTORS) last = ATA_LBA28_SECTORS - 1;
    if (!(how & ATA_EXT)) drive->channel->device |= IDE_LBA;
    ata_put_address(drive, how & ATA_EXT, last);
    ide_finish(drive);
}

static void flushed(struct ide_channel *channel, int error)
{
    if (error)
        ide_fail(channel->active, IDE_ABRT);
    else
        ide_finish(channel->active);
}

static void flush(struct ide_drive *drive, unsigned how)
{
    drive->channel->parts = 0;
    ide_submit_parts(drive, DISK_FLUSH, 0, 0, flushed);
}

enum { POWER_STANDBY = 0x00, POWER_IDLE = 0x80, POWER_ACTIVE = 0xff };

static void check_power(struct ide_drive *drive, unsigned how)
{
    drive->now.count = drive->power;
    ide_finish(drive);
}

/* A drive writes its cache before it goes to sleep. */
static void stand_by(struct ide_drive *drive, unsigned how)
{
    drive->power = POWER_STANDBY;
    flush(drive, how);
}

static void idle(struct ide_drive *drive, unsigned how)
{
    drive->power = POWER_IDLE;
    ide_finish(drive);
}

/* --- SET FEATURES --- */

bool ata_set_transfer_mode(struct ide_drive *drive, u8 mode)
{
    /* Kinds and the highest mode of each: PIO default, PIO flow control, (single word,) multiword, ultra. */
    static const s8 highest[32] = {
        [0] = 1, [1] = 4, [2] = -1, [3] = -1, [4] = 2, [5] = -1, [6] = -1, [7] = -1, [8] = 5};
    unsigned kind = mode >> 3;
    if (kind > 8 || (s8)(mode & 7) > highest[kind]) return false;
    drive->transfer_mode = mode;
    return true;
}

static void set_features(struct ide_drive *drive, unsigned how)
{
    bool good = true;
    switch (drive->now.feature) {
    case 0x02: drive->no_write_cache = false; break;
    case 0x82: drive->no_write_cache = true; break;
    case 0x03: good = ata_set_transfer_mode(drive, drive->now.count); break;
    case 0x55: drive->no_read_ahead = true; break;
    case 0xaa: drive->no_read_ahead = false; break;
    case 0x66:
    case 0xcc: /* power-on defaults after a software reset, or not */
    case 0x05:
    case 0x85: /* advanced power management, acoustic management: accepted */
    case 0x42:
    case 0xc2: break;
    default: good = false;
    }
    if (!good)
        ide_fail(drive, IDE_ABRT);
    else if (drive->now.feature == 0x82)
        flush(drive, how);
    else
        ide_finish(drive);
}

/* --- IDENTIFY DEVICE and the sector buffer --- */

static void identify(struct ide_drive *drive, unsigned how)
{
    ata_identify(drive, drive->channel->buffer);
    ide_give_sector(drive);
}

static void given(struct ide_channel *channel)
{
    ide_finish(channel->active);
}

static void read_buffer(struct ide_drive *drive, unsigned how)
{
    ide_give_sector(drive);
}

static void write_buffer(struct ide_drive *drive, unsigned how)
{
    ide_begin_block(drive, false, 0, DISK_SECTOR_BYTES, given);
}

/* --- the table --- */

struct ata_row {
    void (*run)(struct ide_drive *drive, unsigned how);
    unsigned how;
};

static const struct ata_row rows[256] = {
    [0x06] = {ata_trim, 0},
    [0x10] = {succeed, 0}, /* RECALIBRATE */
    [0x20] = {ata_pio, 0},
    [0x21] = {ata_pio, 0},
    [0x24] = {ata_pio, ATA_EXT},
    [0x25] = {ata_dma, ATA_EXT},
    [0x27] = {native_max, ATA_EXT},
    [0x29] = {ata_pio, ATA_EXT | ATA_MULTIPLE},
    [0x30] = {ata_pio, ATA_WRITE},
    [0x31] = {ata_pio, ATA_WRITE},
    [0x34] = {ata_pio, ATA_WRITE | ATA_EXT},
    [0x35] = {ata_dma, ATA_WRITE | ATA_EXT},
    [0x39] = {ata_pio, ATA_WRITE | ATA_EXT | ATA_MULTIPLE},
    [0x3d] = {ata_dma, ATA_WRITE | ATA_EXT | ATA_FUA},
    [0x40] = {ata_verify, 0},
    [0x41] = {ata_verify, 0},
    [0x42] = {ata_verify, ATA_EXT},
    [0x70] = {seek, 0},
    [0x91] = {initialize_parameters, 0},
    [0x94] = {stand_by, 0},
    [0x95] = {idle, 0},
    [0x96] = {stand_by, 0},
    [0x97] = {idle, 0},
    [0x98] = {check_power, 0},
    [0x99] = {stand_by, 0}, /* SLEEP: any command wakes this drive */
    [0xb0] = {ata_smart, 0},
    [0xc4] = {ata_pio, ATA_MULTIPLE},
    [0xc5] = {ata_pio, ATA_WRITE | ATA_MULTIPLE},
    [0xc6] = {set_multiple, 0},
    [0xc8] = {ata_dma, 0},
    [0xc9] = {ata_dma, 0},
    [0xca] = {ata_dma, ATA_WRITE},
    [0xcb] = {ata_dma, ATA_WRITE},
    [0xce] = {ata_pio, ATA_WRITE | ATA_EXT | ATA_MULTIPLE | ATA_FUA},
    [0xe0] = {stand_by, 0},
    [0xe1] = {idle, 0},
    [0xe2] = {stand_by, 0},
    [0xe3] = {idle, 0},
    [0xe4] = {read_buffer, 0},
    [0xe5] = {check_power, 0},
    [0xe6] = {stand_by, 0},
    [0xe7] = {flush, 0},
    [0xe8] = {write_buffer, 0},
    [0xea] = {flush, ATA_EXT},
    [0xec] = {identify, 0},
    [0xef] = {set_features, 0},
    [0xf8] = {native_max, 0},
};

static bool reaches_medium(const struct ata_row *row)
{
    return row->run == ata_pio || row->run == ata_dma || row->run == ata_verify || row->run == seek;
}

void ata_command(struct ide_drive *drive, u8 opcode)
{
    const struct ata_row *row = &rows[opcode];
    if (reaches_medium(row)) drive->power = POWER_ACTIVE;
    if (row->run)
        row->run(drive, row->how);
    else
        abort_command(drive, 0); /* NOP too always ends so (8.23) */
}

void ata_reset(struct ide_drive *drive, bool hard)
{
    drive->power = POWER_ACTIVE;
    if (!hard) return;
    u64 cylinders = drive->sectors / (ATA_HEADS * ATA_PER_TRACK);
    if (cylinders > MAX_CYLINDERS) cylinders = MAX_CYLINDERS;
    if (cylinders < MIN_CYLINDERS) cylinders = MIN_CYLINDERS;
    drive->cylinders = (u32)cylinders;
    drive->heads_now = ATA_HEADS;
    drive->per_track_now = ATA_PER_TRACK;
    drive->multiple = DEFAULT_MULTIPLE;
    drive->transfer_mode = 0x0c;
    drive->no_write_cache = drive->no_read_ahead = drive->smart_off = false;
}
