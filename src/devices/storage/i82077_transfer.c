/*
 * The 82077AA: commands with data (datasheet 5.1 and 5.2, result bytes table 5-6).
 *
 * A command goes from sector to sector: it finds one, moves it, and goes on. It ends at the terminal
 * count. The end of the track without a terminal count is an error.
 */
#include "i82077.h"

#include <string.h>

enum { MULTI_TRACK = 0x80, SKIP = 0x20, OPCODE = 0x1f, HEAD = 0x04 };
enum { IMPLIED_SEEK = 0x40, ENABLE_COUNT = 0x80 };
enum { SIZE_512 = 2 };
enum { OP_SCAN_EQUAL = 0x11, OP_SCAN_LOW = 0x19 };

#define ROTATION_NS 100000u /* the time until a sector is under the head; a real drive takes longer */

/* --- ends --- */

static void finish(struct i82077 *fdc, u8 status)
{
    const struct i82077_transfer *t = &fdc->transfer;
    const u8 result[7] = {(u8)(status | t->physical_head << 2 | i82077_unit(fdc)),
                          t->st1,
                          t->st2,
                          t->cylinder,
                          t->head,
                          t->sector,
                          t->size};
    memcpy(fdc->byte, result, sizeof(result));
    i82077_give_result(fdc, sizeof(result), true);
}

static void fail(struct i82077 *fdc, u8 st1, u8 st2)
{
    fdc->transfer.st1 |= st1;
    fdc->transfer.st2 |= st2;
    finish(fdc, ST0_ABNORMAL);
}

/* --- sectors --- */

/* The head reads nothing: no diskette, no rotation, another data rate, no such track or side. */
static bool is_silent(struct i82077 *fdc)
{
    const struct floppy_drive *drive = i82077_selected(fdc);
    bool turns = fdc->dor & 0x10 << i82077_unit(fdc);
    return !drive || !turns || !drive->format || floppy_rate_of(drive) != fdc->rate ||
           floppy_track(drive) >= drive->format->tracks ||
           fdc->transfer.physical_head >= drive->format->sides;
}

/* Is the transfer's sector on the track? If not, the command has failed. */
static bool find(struct i82077 *fdc)
{
    const struct i82077_transfer *t = &fdc->transfer;
    const struct floppy_drive *drive = i82077_selected(fdc);
    if (is_silent(fdc)) {
        fail(fdc, ST1_NO_ADDRESS_MARK, 0);
        return false;
    }
    bool cylinder = t->cylinder == floppy_track(drive);
    if (cylinder && t->head == t->physical_head && t->size == SIZE_512 && t->sector >= 1 &&
        t->sector <= drive->format->per_track)
        return true;
    fail(fdc, ST1_NO_DATA, cylinder ? 0 : ST2_WRONG_CYLINDER);
    return false;
}

static u64 offset_of(struct i82077 *fdc)
{
    const struct i82077_transfer *t = &fdc->transfer;
    const struct floppy_drive *drive = i82077_selected(fdc);
    u32 track = floppy_track(drive) * drive->format->sides + t->physical_head;
    return ((u64)track * drive->format->per_track + t->sector - 1) * DISK_SECTOR_BYTES;
}

/* Beyond the end of an image that is shorter than its diskette, sectors read as zeros. */
static void read_sector(struct i82077 *fdc, u8 *to, void (*done)(struct i82077 *fdc, int error))
{
    u64 offset = offset_of(fdc);
    if (offset < i82077_selected(fdc)->disk->bytes) {
        i82077_submit(fdc, DISK_READ, offset, to, done);
        return;
    }
    memset(to, 0, DISK_SECTOR_BYTES);
    done(fdc, 0);
}

static void write_sector(struct i82077 *fdc, void (*done)(struct i82077 *fdc, int error))
{
    u64 offset = offset_of(fdc);
    if (offset < i82077_selected(fdc)->disk->bytes)
        i82077_submit(fdc, DISK_WRITE, offset, fdc->sector, done);
    else
        fail(fdc, ST1_NO_DATA, 0);
}

/* Go to the next sector, which the result reports too. False: that was the last one. */
static bool advance(struct i82077_transfer *t)
{
    if (t->sector != t->end_of_track) {
        t->sector++;
        return true;
    }
    t->sector = 1;
    if (t->multi_track && !t->physical_head) {
        t->head ^= 1;
        t->physical_head = 1;
        return true;
    }
    if (t->multi_track) t->head ^= 1;
    t->cylinder++;
    return false;
}

/* One sector is done. */
static void go_on(struct i82077 *fdc)
{
    struct i82077_transfer *t = &fdc->transfer;
    u8 head = t->physical_head;
    bool more = advance(t);
    if (t->terminal) {
        t->physical_head = head;
        finish(fdc, 0);
    } else if (more) {
        t->next(fdc);
    } else {
        fail(fdc, ST1_END, 0);
    }
}

/* Begin a transfer. first() is called when the sector is under the head. */
static void begin(struct i82077 *fdc, bool writing, void (*first)(struct i82077 *fdc))
{
    fdc->transfer = (struct i82077_transfer){.end_of_track = fdc->transfer.end_of_track,
                                             .physical_head = fdc->byte[1] & HEAD ? 1 : 0,
                                             .writing = writing,
                                             .next = first};
    timer_arm(&fdc->start_timer, clock_now(fdc->start_timer.clock) + ROTATION_NS);
}

/* Begin a command that has a sector number. */
static void begin_at_sector(struct i82077 *fdc, bool writing, void (*first)(struct i82077 *fdc))
{
    const u8 *b = fdc->byte;
    struct i82077_transfer *t = &fdc->transfer;
    struct floppy_drive *drive = i82077_selected(fdc);
    begin(fdc, writing, first);
    t->cylinder = b[2];
    t->head = b[3];
    t->sector = b[4];
    t->size = b[5];
    t->end_of_track = b[6];
    t->step = b[8];
    t->multi_track = b[0] & MULTI_TRACK;
    if (fdc->configuration & IMPLIED_SEEK && drive) {
        floppy_seek(drive, b[2]);
        fdc->cylinder[i82077_unit(fdc)] = b[2];
    }
}

/* --- reads --- */

static void read_next(struct i82077 *fdc);

static void sector_taken(struct i82077 *fdc)
{
    fdc->transfer.next = read_next;
    go_on(fdc);
}

static void sector_read(struct i82077 *fdc, int error)
{
    if (error) {
        fail(fdc, ST1_CRC, ST2_CRC);
        return;
    }
    fdc->transfer.next = sector_taken;
    i82077_host_turn(fdc, DISK_SECTOR_BYTES);
}

static void read_next(struct i82077 *fdc)
{
    if (find(fdc)) read_sector(fdc, fdc->sector, sector_read);
}

void i82077_read(struct i82077 *fdc)
{
    begin_at_sector(fdc, false, read_next);
}

/* READ TRACK begins at sector 1; the sector in the command does not matter. */
void i82077_read_track(struct i82077 *fdc)
{
    begin_at_sector(fdc, false, read_next);
    fdc->transfer.sector = 1;
}

/* No sector has a deleted data mark. So the first sector ends the command; with SK all sectors are skipped. */
static void deleted_taken(struct i82077 *fdc)
{
    fdc->transfer.st2 |= ST2_CONTROL_MARK;
    advance(&fdc->transfer);
    finish(fdc, 0);
}

static void deleted_read(struct i82077 *fdc, int error)
{
    sector_read(fdc, error);
    if (!error) fdc->transfer.next = deleted_taken;
}

static void deleted_next(struct i82077 *fdc)
{
    if (!find(fdc)) return;
    if (fdc->byte[0] & SKIP)
        fail(fdc, ST1_END, ST2_CONTROL_MARK);
    else
        read_sector(fdc, fdc->sector, deleted_read);
}

void i82077_read_deleted(struct i82077 *fdc)
{
    begin_at_sector(fdc, false, deleted_next);
}

/* --- writes --- */

static bool is_protected(struct i82077 *fdc)
{
    const struct floppy_drive *drive = i82077_selected(fdc);
    if (!drive || !drive->format || !drive->disk->read_only) return false;
    fail(fdc, ST1_WRITE_PROTECTED, 0);
    return true;
}

static void write_next(struct i82077 *fdc);

static void sector_written(struct i82077 *fdc, int error)
{
    fdc->transfer.next = write_next;
    if (error)
        fail(fdc, ST1_CRC, ST2_CRC);
    else
        go_on(fdc);
}

/* The rest of a sector that the terminal count cut off is written as zeros. */
static void sector_given(struct i82077 *fdc)
{
    memset(fdc->sector + fdc->at, 0, DISK_SECTOR_BYTES - fdc->at);
    if (find(fdc)) write_sector(fdc, sector_written); /* the diskette may have been removed */
}

static void write_next(struct i82077 *fdc)
{
    if (is_protected(fdc) || !find(fdc)) return;
    fdc->transfer.next = sector_given;
    i82077_host_turn(fdc, DISK_SECTOR_BYTES);
}

void i82077_write(struct i82077 *fdc)
{
    begin_at_sector(fdc, true, write_next);
}

/* --- verify: reads without a transfer to the host --- */

static void verify_next(struct i82077 *fdc);

static void sector_verified(struct i82077 *fdc, int error)
{
    struct i82077_transfer *t = &fdc->transfer;
    if (error) {
        fail(fdc, ST1_CRC, ST2_CRC);
        return;
    }
    bool counts = fdc->byte[1] & ENABLE_COUNT;
    /* The count or the end of the track ends it, because there is no terminal count. */
    t->terminal = counts ? !--t->left : t->sector == t->end_of_track && (!t->multi_track || t->physical_head);
    go_on(fdc);
}

static void verify_next(struct i82077 *fdc)
{
    if (find(fdc)) read_sector(fdc, fdc->sector, sector_verified);
}

void i82077_verify(struct i82077 *fdc)
{
    begin_at_sector(fdc, false, verify_next);
    fdc->transfer.left = fdc->byte[8] ? fdc->byte[8] : 256;
}

/* --- scans --- */

static void scan_next(struct i82077 *fdc);

/* FFh on either side is any byte. */
static bool satisfies(const struct i82077 *fdc, bool *equal)
{
    u8 operation = fdc->byte[0] & OPCODE;
    *equal = true;
    for (u32 n = 0; n < DISK_SECTOR_BYTES; n++) {
        u8 disk = fdc->on_disk[n], host = fdc->sector[n];
        if (disk == host || disk == 0xff || host == 0xff) continue;
        *equal = false;
        if (operation == OP_SCAN_EQUAL) return false;
        if (operation == OP_SCAN_LOW ? disk > host : disk < host) return false;
    }
    return true;
}

static void sector_scanned(struct i82077 *fdc, int error)
{
    struct i82077_transfer *t = &fdc->transfer;
    bool equal;
    if (error) {
        fail(fdc, ST1_CRC, ST2_CRC);
        return;
    }
    if (satisfies(fdc, &equal)) {
        t->st2 = equal ? ST2_SCAN_EQUAL : 0;
        finish(fdc, 0);
        return;
    }
    t->st2 = ST2_SCAN_NO;
    bool more = advance(t);
    if (more && t->step == 2) more = advance(t);
    if (t->terminal || !more)
        finish(fdc, 0);
    else
        scan_next(fdc);
}

static void scan_given(struct i82077 *fdc)
{
    /* The rest of a sector that the terminal count cut off matches any byte. */
    memset(fdc->sector + fdc->at, 0xff, DISK_SECTOR_BYTES - fdc->at);
    if (find(fdc)) read_sector(fdc, fdc->on_disk, sector_scanned);
}

static void scan_next(struct i82077 *fdc)
{
    if (!find(fdc)) return;
    fdc->transfer.next = scan_given;
    i82077_host_turn(fdc, DISK_SECTOR_BYTES);
}

void i82077_scan(struct i82077 *fdc)
{
    begin_at_sector(fdc, true, scan_next);
}

/* --- format: for each sector the host gives its C, H, R and N --- */

enum { ID_BYTES = 4 };

static void format_next(struct i82077 *fdc);

static void sector_formatted(struct i82077 *fdc, int error)
{
    struct i82077_transfer *t = &fdc->transfer;
    if (error)
        fail(fdc, ST1_CRC, ST2_CRC);
    else if (!--t->left || t->terminal)
        finish(fdc, 0);
    else
        format_next(fdc);
}

static void id_given(struct i82077 *fdc)
{
    struct i82077_transfer *t = &fdc->transfer;
    if (fdc->at < ID_BYTES) {
        finish(fdc, 0);
        return;
    }
    t->cylinder = fdc->sector[0];
    t->head = fdc->sector[1];
    t->sector = fdc->sector[2];
    t->size = fdc->sector[3];
    if (!find(fdc)) return; /* an image cannot hold other sectors */
    memset(fdc->sector, fdc->byte[5], DISK_SECTOR_BYTES);
    write_sector(fdc, sector_formatted);
}

static void format_next(struct i82077 *fdc)
{
    if (is_protected(fdc)) return;
    if (is_silent(fdc)) {
        fail(fdc, ST1_NO_ADDRESS_MARK, 0);
        return;
    }
    fdc->transfer.next = id_given;
    i82077_host_turn(fdc, ID_BYTES);
}

void i82077_format(struct i82077 *fdc)
{
    begin(fdc, true, format_next);
    fdc->transfer.end_of_track = fdc->byte[3];
    fdc->transfer.left = fdc->byte[3] ? fdc->byte[3] : 1;
}

/* --- read ID: the next sector under the head --- */

static void id_comes(struct i82077 *fdc)
{
    struct i82077_transfer *t = &fdc->transfer;
    struct floppy_drive *drive = i82077_selected(fdc);
    if (is_silent(fdc)) {
        fail(fdc, ST1_NO_ADDRESS_MARK, 0);
        return;
    }
    t->cylinder = floppy_track(drive);
    t->head = t->physical_head;
    t->sector = (u8)(drive->rotation % drive->format->per_track + 1);
    t->size = SIZE_512;
    drive->rotation = t->sector;
    finish(fdc, 0);
}

void i82077_read_id(struct i82077 *fdc)
{
    begin(fdc, false, id_comes);
}
