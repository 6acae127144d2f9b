/*
 * SCSI logical units: what disks and CD drives share. See scsi_unit.h.
 */
#include "scsi_unit.h"

#include "base/big_endian.h"

#include <string.h>

enum {
    TEST_UNIT_READY = 0x00,
    REQUEST_SENSE = 0x03,
    INQUIRY = 0x12,
    START_STOP = 0x1b,
    PREVENT_ALLOW = 0x1e
};
enum { MODE_SENSE6 = 0x1a, MODE_SELECT6 = 0x15, MODE_SENSE10 = 0x5a, MODE_SELECT10 = 0x55 };
enum { TYPE_DISK = 0, TYPE_CD = 5, TYPE_NO_UNIT = 0x7f };

u64 scsi_get_be64(const u8 *at)
{
    return (u64)get_be32(at) << 32 | get_be32(at + 4);
}

void scsi_put_be64(u8 *at, u64 value)
{
    put_be32(at, (u32)(value >> 32));
    put_be32(at + 4, (u32)value);
}

/* --- the end of a command --- */

/* Fixed format (SPC-4 4.5.3). */
static void put_sense(u8 *sense, u32 code)
{
    memset(sense, 0, SCSI_SENSE_BYTES);
    sense[0] = 0x70;
    sense[2] = (u8)(code >> 16);
    sense[7] = SCSI_SENSE_BYTES - 8;
    sense[12] = (u8)(code >> 8);
    sense[13] = (u8)code;
}

void scsi_good(struct scsi_command *command)
{
    command->status = SCSI_GOOD;
    command->sense_bytes = 0;
    command->done(command);
}

void scsi_fail(struct scsi_command *command, enum scsi_sense sense)
{
    command->status = SCSI_CHECK_CONDITION;
    command->moved = 0;
    if (command->unit) command->unit->last_sense = sense;
    put_sense(command->sense, sense);
    command->sense_bytes = SCSI_SENSE_BYTES;
    command->done(command);
}

void scsi_reply(struct scsi_command *command, const u8 *reply, u32 bytes, u32 allowed)
{
    u64 left = bytes < allowed ? bytes : allowed;
    command->wants_in = left;
    for (unsigned n = 0; n < command->in_count && left; n++) {
        u64 now = command->in[n].iov_len < left ? command->in[n].iov_len : left;
        memcpy(command->in[n].iov_base, reply, now);
        reply += now;
        left -= now;
        command->moved += now;
    }
    scsi_good(command);
}

u64 scsi_take(struct scsi_command *command, void *to, u64 bytes)
{
    u64 done = 0;
    command->wants_out = bytes;
    for (unsigned n = 0; n < command->out_count && done < bytes; n++) {
        u64 now = command->out[n].iov_len < bytes - done ? command->out[n].iov_len : bytes - done;
        memcpy((u8 *)to + done, command->out[n].iov_base, now);
        done += now;
    }
    return done;
}

/* --- blocks --- */

static void submit(struct scsi_command *command, enum disk_operation operation)
{
    command->disk.operation = operation;
    disk_submit(command->unit->disk, &command->disk);
}

static void disk_done(struct disk_request *disk)
{
    struct scsi_command *command = disk->device;
    if (disk->error) {
        scsi_fail(command, disk->operation == DISK_READ ? SCSI_READ_ERROR : SCSI_WRITE_ERROR);
        return;
    }
    if (disk->operation == DISK_READ || disk->operation == DISK_WRITE) command->moved = disk->bytes;
    if (command->sync_after && disk->operation != DISK_FLUSH) {
        scsi_flush(command);
        return;
    }
    scsi_good(command);
}

static void prepare(struct scsi_command *command, u64 offset, u64 bytes)
{
    command->disk =
        (struct disk_request){.offset = offset, .bytes = bytes, .done = disk_done, .device = command};
}

void scsi_flush(struct scsi_command *command)
{
    prepare(command, 0, 0);
    submit(command, DISK_FLUSH);
}

static bool in_range(const struct scsi_unit *unit, u64 block, u64 count)
{
    return block <= scsi_blocks(unit) && count <= scsi_blocks(unit) - block;
}

/* Cut a list of buffers to this number of bytes. Returns how many buffers are left. */
static unsigned cut(struct iovec *part, unsigned count, u64 bytes)
{
    unsigned n = 0;
    for (; n < count && bytes; n++) {
        if (part[n].iov_len > bytes) part[n].iov_len = bytes;
        bytes -= part[n].iov_len;
    }
    return n;
}

/* The range is good. */
static void move_blocks(struct scsi_command *command, bool write, u64 offset, u64 bytes, bool stable)
{
    if (bytes > (write ? command->out_bytes : command->in_bytes)) {
        scsi_fail(command, SCSI_INVALID_FIELD);
    } else if (!bytes) {
        scsi_good(command);
    } else {
        prepare(command, offset, bytes);
        command->disk.part = write ? command->out : command->in;
        command->disk.part_count =
            write ? cut(command->out, command->out_count, bytes) : cut(command->in, command->in_count, bytes);
        command->sync_after = write && (stable || command->unit->write_through);
        submit(command, write ? DISK_WRITE : DISK_READ);
    }
}

void scsi_transfer(struct scsi_command *command, bool write, u64 block, u64 count, bool stable)
{
    struct scsi_unit *unit = command->unit;
    u64 bytes = count * unit->block_bytes;
    if (!in_range(unit, block, count)) {
        scsi_fail(command, SCSI_OUT_OF_RANGE);
    } else if (write && unit->disk->read_only) {
        scsi_fail(command, SCSI_WRITE_PROTECTED);
    } else {
        *(write ? &command->wants_out : &command->wants_in) = bytes;
        move_blocks(command, write, block * unit->block_bytes, bytes, stable);
    }
}

void scsi_clear(struct scsi_command *command, enum disk_operation operation, u64 block, u64 count)
{
    struct scsi_unit *unit = command->unit;
    if (!in_range(unit, block, count)) {
        scsi_fail(command, SCSI_OUT_OF_RANGE);
    } else if (unit->disk->read_only) {
        scsi_fail(command, SCSI_WRITE_PROTECTED);
    } else if (!count) {
        scsi_good(command);
    } else {
        prepare(command, block * unit->block_bytes, count * unit->block_bytes);
        submit(command, operation);
    }
}

void scsi_range(const u8 *cdb, u64 *block, u64 *count)
{
    switch (cdb[0] >> 5) {
    case 0: /* 6 bytes; 0 blocks mean 256 */
        *block = (u32)(cdb[1] & 0x1f) << 16 | get_be16(cdb + 2);
        *count = cdb[4] ? cdb[4] : 256;
        break;
    case 4:
        *block = scsi_get_be64(cdb + 2);
        *count = get_be32(cdb + 10);
        break;
    case 5:
        *block = get_be32(cdb + 2);
        *count = get_be32(cdb + 6);
        break;
    default: *block = get_be32(cdb + 2); *count = get_be16(cdb + 7);
    }
}

void scsi_read_blocks(struct scsi_command *command)
{
    u64 block, count;
    scsi_range(command->cdb, &block, &count);
    scsi_transfer(command, false, block, count, false);
}

/* --- INQUIRY (SPC-4 6.4, 7.8; SBC-3 6.5) --- */

static u8 device_type(const struct scsi_unit *unit)
{
    return unit->cd ? TYPE_CD : TYPE_DISK;
}

static void inquire(struct scsi_command *command)
{
    const struct scsi_unit *unit = command->unit;
    u8 reply[66] = {0};
    reply[0] = device_type(unit);
    reply[1] = unit->removable ? 0x80 : 0;
    reply[2] = 6; /* SPC-4 */
    reply[3] = 2;
    reply[4] = sizeof(reply) - 5;
    reply[7] = 2; /* commands are queued */
    memcpy(reply + 8, unit->vendor, 8);
    memcpy(reply + 16, unit->product, 16);
    memcpy(reply + 32, unit->revision, 4);
    put_be16(reply + 58, 0x0460);                     /* SPC-4 */
    put_be16(reply + 60, unit->cd ? 0x0420 : 0x04c0); /* MMC-5, SBC-3 */
    scsi_reply(command, reply, sizeof(reply), get_be16(command->cdb + 3));
}

enum {
    PAGE_LIST = 0x00,
    PAGE_SERIAL = 0x80,
    PAGE_NAMES = 0x83,
    PAGE_LIMITS = 0xb0,
    PAGE_MEDIUM = 0xb1,
    PAGE_THIN = 0xb2
};
#define UNMAP_BLOCKS_MAX 0x3fffffu

static u32 page_body(const struct scsi_unit *unit, u8 page, u8 *body)
{
    static const u8 list[] = {PAGE_LIST, PAGE_SERIAL, PAGE_NAMES, PAGE_LIMITS, PAGE_MEDIUM, PAGE_THIN};
    u32 length = (u32)strlen(unit->serial);
    switch (page) {
    case PAGE_LIST: memcpy(body, list, sizeof(list)); return unit->cd ? 3 : sizeof(list);
    case PAGE_SERIAL: memcpy(body, unit->serial, length); return length;
    case PAGE_NAMES: /* T10 vendor identification: the vendor, and the serial number */
        body[0] = 2;
        body[1] = 1;
        body[3] = (u8)(8 + length);
        memcpy(body + 4, unit->vendor, 8);
        memcpy(body + 12, unit->serial, length);
        return 12 + length;
    case PAGE_LIMITS:
        put_be32(body + 4, 0xffff); /* the most blocks of a transfer */
        if (unit->disk->can_discard) {
            put_be32(body + 16, UNMAP_BLOCKS_MAX);
            put_be32(body + 20, 1); /* ranges of an UNMAP */
            put_be32(body + 24, 1);
        }
        scsi_put_be64(body + 32, UNMAP_BLOCKS_MAX); /* of a WRITE SAME */
        return 60;
    case PAGE_MEDIUM:
        put_be16(body, 1); /* it does not rotate */
        return 60;
    case PAGE_THIN:
        body[1] = unit->disk->can_discard ? 0xe0 : 0; /* UNMAP, WRITE SAME (16) and (10) release blocks */
        body[2] = unit->disk->can_discard ? 2 : 0;    /* thin provisioning */
        return 4;
    default: return UINT32_MAX;
    }
}

static void inquiry(struct scsi_command *command)
{
    const struct scsi_unit *unit = command->unit;
    u8 reply[128] = {device_type(unit), command->cdb[2]};
    bool page_wanted = command->cdb[1] & 1;
    if (!page_wanted && !command->cdb[2]) {
        inquire(command);
        return;
    }
    u32 bytes = page_wanted && (!unit->cd || command->cdb[2] < PAGE_LIMITS)
                    ? page_body(unit, command->cdb[2], reply + 4)
                    : UINT32_MAX;
    if (bytes == UINT32_MAX) {
        scsi_fail(command, SCSI_INVALID_FIELD);
        return;
    }
    put_be16(reply + 2, bytes);
    scsi_reply(command, reply, bytes + 4, get_be16(command->cdb + 3));
}

/* --- MODE SENSE and MODE SELECT (SPC-4 6.11, 7.5; MMC-5 7) --- */

enum { MODE_ERRORS = 0x01, MODE_CACHING = 0x08, MODE_CD = 0x2a, MODE_ALL = 0x3f };
enum { CACHING_WCE = 4 };

/* Returns the bytes of the page; 0: the unit has none. `changeable`: the bits that MODE SELECT can change. */
static u32 mode_page(const struct scsi_unit *unit, u8 page, bool changeable, u8 *to)
{
    memset(to, 0, 22);
    to[0] = page;
    switch (page) {
    case MODE_ERRORS:
        to[1] = 10;
        if (!changeable && unit->cd) to[3] = 5; /* retries */
        return 12;
    case MODE_CACHING:
        if (unit->cd) return 0;
        to[1] = 18;
        to[2] = changeable || !unit->write_through ? CACHING_WCE : 0;
        return 20;
    case MODE_CD:
        if (!unit->cd) return 0;
        to[1] = 20;
        if (changeable) return 22;
        to[2] = 0x3b; /* reads CD-R, CD-RW, DVD */
        to[4] = 0x70; /* multisession, mode 2 */
        to[5] = 0x01;
        to[6] = (u8)(0x29 | (unit->locked ? 2 : 0)); /* tray, ejects, can be locked */
        put_be16(to + 8, 706);                       /* kB/s */
        put_be16(to + 10, 2);
        put_be16(to + 12, 512); /* kB of buffer */
        put_be16(to + 14, 706);
        return 22;
    default: return 0;
    }
}

static void mode_sense(struct scsi_command *command)
{
    static const u8 pages[] = {MODE_ERRORS, MODE_CACHING, MODE_CD};
    const struct scsi_unit *unit = command->unit;
    const u8 *cdb = command->cdb;
    bool ten = cdb[0] == MODE_SENSE10, changeable = cdb[2] >> 6 == 1, no_blocks = (cdb[1] & 8) || unit->cd;
    u8 reply[128] = {0}, wanted = cdb[2] & 0x3f;
    u32 header = ten ? 8 : 4, used = header, before;
    reply[ten ? 3 : 2] = unit->disk->read_only && !unit->cd ? 0x80 : 0x10; /* WP, DPOFUA */
    if (unit->cd) reply[ten ? 3 : 2] = 0;
    if (!no_blocks) {
        u64 blocks = scsi_blocks(unit);
        reply[ten ? 7 : 3] = 8;
        put_be32(reply + used, blocks > 0xffffff ? 0xffffff : (u32)blocks);
        put_be32(reply + used + 4, unit->block_bytes);
        used += 8;
    }
    before = used;
    for (unsigned n = 0; n < sizeof(pages); n++)
        if (wanted == MODE_ALL || wanted == pages[n])
            used += mode_page(unit, pages[n], changeable, reply + used);
    if ((used == before && wanted) || cdb[2] >> 6 == 3) { /* saved values: there are none */
        scsi_fail(command, SCSI_INVALID_FIELD);
        return;
    }
    if (ten)
        put_be16(reply, used - 2);
    else
        reply[0] = (u8)(used - 1);
    scsi_reply(command, reply, used, ten ? get_be16(cdb + 7) : cdb[4]);
}

/* Only WCE of the caching page changes anything. */
static void mode_select(struct scsi_command *command)
{
    bool ten = command->cdb[0] == MODE_SELECT10;
    u8 list[128] = {0};
    u64 length = ten ? get_be16(command->cdb + 7) : command->cdb[4];
    u64 got = scsi_take(command, list, length < sizeof(list) ? length : sizeof(list));
    u64 at = (ten ? 8u : 4u) + (ten ? get_be16(list + 6) : list[3]);
    for (; at + 2 <= got && at + 2u + list[at + 1] <= got; at += 2u + list[at + 1])
        if ((list[at] & 0x3f) == MODE_CACHING && !command->unit->cd)
            command->unit->write_through = !(list[at + 2] & CACHING_WCE);
    command->moved = got;
    if (command->unit->write_through)
        scsi_flush(command);
    else
        scsi_good(command);
}

/* --- small commands --- */

static void request_sense(struct scsi_command *command)
{
    struct scsi_unit *unit = command->unit;
    u8 sense[SCSI_SENSE_BYTES];
    put_sense(sense, unit->attention ? unit->attention : unit->last_sense);
    if (unit->attention)
        unit->attention = 0;
    else
        unit->last_sense = 0;
    scsi_reply(command, sense, sizeof(sense), command->cdb[4]);
}

static void prevent(struct scsi_command *command)
{
    command->unit->locked = command->cdb[4] & 1;
    scsi_good(command);
}

/* A tray opens and closes; a disk always runs. */
static void start_stop(struct scsi_command *command)
{
    struct scsi_unit *unit = command->unit;
    bool load = command->cdb[4] & 2, start = command->cdb[4] & 1;
    if (unit->cd && load && !start && unit->locked) {
        scsi_fail(command, SCSI_LOCKED);
        return;
    }
    if (unit->cd && load) scsi_move_tray(unit, !start);
    scsi_good(command);
}

static const struct scsi_row common_rows[] = {
    {TEST_UNIT_READY, false, false, scsi_good},
    {REQUEST_SENSE, true, true, request_sense},
    {INQUIRY, true, true, inquiry},
    {MODE_SENSE6, true, false, mode_sense},
    {MODE_SENSE10, true, false, mode_sense},
    {MODE_SELECT6, true, false, mode_select},
    {MODE_SELECT10, true, false, mode_select},
    {PREVENT_ALLOW, true, false, prevent},
    {START_STOP, true, false, start_stop},
    {0},
};

/* --- execution --- */

static const struct scsi_row *find(const struct scsi_row *rows, u8 opcode)
{
    for (; rows->run; rows++)
        if (rows->opcode == opcode) return rows;
    return NULL;
}

static bool has_medium(const struct scsi_unit *unit)
{
    return unit->disk->bytes && !unit->tray_open;
}

void scsi_execute(struct scsi_command *command)
{
    struct scsi_unit *unit = command->unit;
    const struct scsi_row *row = find(common_rows, command->cdb[0]);
    if (!row) row = find(unit->cd ? scsi_cd_rows : scsi_disk_rows, command->cdb[0]);
    command->moved = command->sync_after = command->wants_out = command->wants_in = 0;
    if (unit->attention && !(row && row->despite_attention)) {
        u32 attention = unit->attention;
        unit->attention = 0;
        scsi_fail(command, attention);
    } else if (!row) {
        scsi_fail(command, SCSI_INVALID_COMMAND);
    } else if (!row->without_medium && !has_medium(unit)) {
        scsi_fail(command, SCSI_NO_MEDIUM);
    } else {
        row->run(command);
    }
}

/* SPC-4 6.4.2: peripheral qualifier 3. */
void scsi_execute_nobody(struct scsi_command *command)
{
    u8 reply[36] = {TYPE_NO_UNIT, 0, 6, 2, sizeof(reply) - 5};
    command->moved = command->wants_out = command->wants_in = 0;
    command->unit = NULL;
    if (command->cdb[0] == INQUIRY && !(command->cdb[1] & 1))
        scsi_reply(command, reply, sizeof(reply), get_be16(command->cdb + 3));
    else
        scsi_fail(command, SCSI_NO_UNIT);
}

void scsi_unit_reset(struct scsi_unit *unit)
{
    unit->attention = SCSI_WAS_RESET;
    unit->last_sense = 0;
    unit->locked = unit->tray_open = unit->write_through = unit->new_medium = unit->eject_wanted = false;
}

bool scsi_is_locked(struct scsi_unit *unit)
{
    unit->eject_wanted |= unit->locked;
    return unit->locked;
}

void scsi_move_tray(struct scsi_unit *unit, bool open)
{
    if (unit->tray_open == open) return;
    unit->tray_open = open;
    if (!open && unit->disk->bytes) {
        unit->attention = SCSI_MEDIUM_CHANGED;
        unit->new_medium = true;
    }
    disk_tray_moved(unit->disk, open);
}

static void pad(char *to, size_t bytes, const char *text)
{
    size_t length = strlen(text);
    memset(to, ' ', bytes);
    memcpy(to, text, length < bytes ? length : bytes);
}

void scsi_unit_init(struct scsi_unit *unit, struct disk *disk, const struct scsi_unit_options *options)
{
    *unit = (struct scsi_unit){.disk = disk,
                               .cd = options->cd,
                               .removable = options->cd || options->removable,
                               .block_bytes = options->cd ? 2048 : DISK_SECTOR_BYTES};
    pad(unit->vendor, sizeof(unit->vendor), options->vendor ? options->vendor : "RINGER");
    pad(unit->product, sizeof(unit->product),
        options->product ? options->product
        : options->cd    ? "RINGER CD-ROM"
                         : "RINGER HARDDISK");
    pad(unit->revision, sizeof(unit->revision), options->revision ? options->revision : "1");
    const char *serial = options->serial ? options->serial : "";
    memcpy(unit->serial, serial, strnlen(serial, sizeof(unit->serial) - 1));
    scsi_unit_reset(unit);
}
