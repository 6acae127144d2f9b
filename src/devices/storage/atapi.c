/*
 * The CD drive: the PACKET command's phases (ATA/ATAPI-6 9.8 and 9.9), sense data, and the commands that
 * concern the tray.
 *
 * The sector count register is the interrupt reason: 1 while the packet is awaited, 0 and 2 while data come
 * from the guest or go to it, 3 at the end.
 */
#include "atapi.h"

#include <string.h>

enum { REASON_FROM_GUEST, REASON_PACKET, REASON_TO_GUEST, REASON_END };
enum { PACKET_BYTES = 12, PACKET_FEATURE_DMA = 1, PACKET_FEATURE_OVERLAP = 2 };

/* --- the ends --- */

void atapi_succeed(struct ide_drive *drive)
{
    drive->now.count = REASON_END;
    ide_finish(drive);
}

static void set_sense(struct ide_drive *drive, enum sense_key key, enum sense_code code)
{
    drive->cd.sense = (struct atapi_sense){.key = (u8)key, .asc = (u8)(code >> 8), .ascq = (u8)code};
}

void atapi_fail(struct ide_drive *drive, enum sense_key key, enum sense_code code)
{
    set_sense(drive, key, code);
    drive->now.count = REASON_END;
    ide_fail(drive, (u8)(key << 4 | (key == SENSE_ILLEGAL_REQUEST ? IDE_ABRT : 0)));
}

/* The information field of the sense data names the sector (SPC-2 7.20). */
void atapi_fail_at(struct ide_drive *drive, u32 sector)
{
    atapi_fail(drive, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ);
    drive->cd.sense.valid = true;
    drive->cd.sense.information = sector;
}

/* The unit attention to report first. It counts as reported from now on. */
static enum sense_code take_attention(struct ide_drive *drive)
{
    bool reset = drive->cd.was_reset;
    if (reset)
        drive->cd.was_reset = false;
    else
        drive->cd.changed = false;
    return reset ? ASC_POWER_ON_OR_RESET : ASC_MEDIUM_CHANGED;
}

/* The command has failed because of a unit attention, or because there is no medium. */
static bool is_hindered(struct ide_drive *drive, u8 flags)
{
    const struct cd_drive *cd = &drive->cd;
    if (!(flags & PACKET_DESPITE_ATTENTION) && (cd->was_reset || cd->changed))
        atapi_fail(drive, SENSE_UNIT_ATTENTION, take_attention(drive));
    else if (flags & PACKET_NEEDS_MEDIUM && !cd_has_medium(drive))
        atapi_fail(drive, SENSE_NOT_READY, cd->tray_open ? ASC_TRAY_OPEN : ASC_TRAY_CLOSED_EMPTY);
    else
        return false;
    return true;
}

/* --- data from and for the guest --- */

static void move_block(struct ide_drive *drive);

static void block_moved(struct ide_channel *channel)
{
    if (channel->packet.at < channel->packet.end)
        move_block(channel->active);
    else
        channel->packet.moved(channel);
}

/* All blocks but the last have an even length. */
static void move_block(struct ide_drive *drive)
{
    struct packet_transfer *p = &drive->channel->packet;
    u32 bytes = p->end - p->at;
    if (bytes > p->limit) bytes = p->limit;
    drive->now.count = p->to_guest ? REASON_TO_GUEST : REASON_FROM_GUEST;
    drive->now.lba_mid = (u8)bytes;
    drive->now.lba_high = (u8)(bytes >> 8);
    ide_begin_block(drive, p->to_guest, p->at, bytes, block_moved);
    p->at += bytes;
    ide_interrupt(drive);
}

static void dma_moved(struct ide_channel *channel, int error)
{
    channel->packet.moved(channel);
}

static void move(struct ide_drive *drive, bool to_guest, u32 bytes,
                 void (*moved)(struct ide_channel *channel))
{
    struct packet_transfer *p = &drive->channel->packet;
    p->to_guest = to_guest;
    p->at = 0;
    p->end = bytes;
    p->moved = moved;
    if (p->dma)
        ide_dma_buffer(drive, to_guest, bytes, dma_moved);
    else
        move_block(drive);
}

static void all_taken(struct ide_channel *channel)
{
    struct ide_drive *drive = channel->active;
    if (!channel->packet.left)
        atapi_succeed(drive);
    else if (!is_hindered(drive, PACKET_NEEDS_MEDIUM)) /* the disc may have been changed */
        atapi_read_on(drive);
}

void atapi_offer(struct ide_drive *drive, u32 bytes)
{
    move(drive, true, bytes, all_taken);
}

void atapi_ask(struct ide_drive *drive, u32 bytes, void (*given)(struct ide_channel *channel))
{
    move(drive, false, bytes, given);
}

void atapi_reply(struct ide_drive *drive, u32 bytes, u32 allocated)
{
    if (bytes > allocated) bytes = allocated;
    if (bytes)
        atapi_offer(drive, bytes);
    else
        atapi_succeed(drive);
}

/* --- sense --- */

static void request_sense(struct ide_drive *drive, const u8 *command)
{
    u8 *reply = drive->channel->buffer;
    struct cd_drive *cd = &drive->cd;
    if (!cd->sense.key && (cd->was_reset || cd->changed))
        set_sense(drive, SENSE_UNIT_ATTENTION, take_attention(drive));
    memset(reply, 0, 18);
    reply[0] = 0x70; /* current error, fixed format */
    if (cd->sense.valid) {
        reply[0] |= 0x80;
        put_be32(reply + 3, cd->sense.information);
    }
    reply[2] = cd->sense.key;
    reply[7] = 10; /* more bytes */
    reply[12] = cd->sense.asc;
    reply[13] = cd->sense.ascq;
    cd->sense = (struct atapi_sense){0};
    atapi_reply(drive, 18, command[4]);
}

/* --- the tray --- */

static void test_unit_ready(struct ide_drive *drive, const u8 *command)
{
    atapi_succeed(drive);
}

static void move_tray(struct ide_drive *drive, bool open)
{
    struct cd_drive *cd = &drive->cd;
    if (cd->tray_open == open) return;
    cd->tray_open = open;
    if (open)
        cd->event = CD_EVENT_REMOVAL;
    else if (cd_has_medium(drive)) {
        cd->event = CD_EVENT_NEW_MEDIUM;
        cd->changed = true;
    }
    disk_tray_moved(drive->disk, open);
}

static void start_stop_unit(struct ide_drive *drive, const u8 *command)
{
    bool start = command[4] & 1, load_eject = command[4] & 2, power = command[4] & 0xf0;
    if (load_eject && !power) {
        if (!start && drive->cd.locked && !drive->cd.tray_open) {
            atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED);
            return;
        }
        move_tray(drive, !start);
    }
    atapi_succeed(drive);
}

static void prevent_allow(struct ide_drive *drive, const u8 *command)
{
    drive->cd.locked = command[4] & 1;
    atapi_succeed(drive);
}

/* There is one class of events, 4 (media). Only polling is supported. */
static void get_event_status(struct ide_drive *drive, const u8 *command)
{
    enum { POLLED = 1, CLASS_MEDIA = 4, NO_EVENT_AVAILABLE = 0x80 };
    u8 *reply = drive->channel->buffer;
    bool media = command[4] & 1 << CLASS_MEDIA;
    if (!(command[1] & POLLED)) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(reply, 0, 8);
    put_be16(reply, media ? 6 : 2);
    reply[2] = media ? CLASS_MEDIA : NO_EVENT_AVAILABLE;
    reply[3] = 1 << CLASS_MEDIA;
    if (media) {
        reply[4] = drive->cd.event;
        reply[5] = (u8)(drive->cd.tray_open | cd_has_medium(drive) << 1);
        drive->cd.event = CD_EVENT_NONE;
    }
    atapi_reply(drive, media ? 8 : 4, get_be16(command + 7));
}

void ide_move_tray(struct ide_drive *drive, bool open)
{
    move_tray(drive, open);
    /* Sectors that still wait for the bus master belong to the disc that leaves. */
    const struct ide_dma *dma = &drive->channel->dma;
    if (open && drive->channel->active == drive && dma->wanted && !dma->buffered)
        is_hindered(drive, PACKET_NEEDS_MEDIUM);
}

bool ide_is_locked(struct ide_drive *drive)
{
    if (!drive->cd.locked || drive->cd.tray_open) return false;
    drive->cd.event = CD_EVENT_EJECT_REQUEST;
    return true;
}

static void set_cd_speed(struct ide_drive *drive, const u8 *command)
{
    atapi_succeed(drive);
}

/* --- the packet --- */

#define MEDIUM PACKET_NEEDS_MEDIUM
#define ALWAYS PACKET_DESPITE_ATTENTION

static const struct packet_row rows[256] = {
    [0x00] = {test_unit_ready, MEDIUM},
    [0x03] = {request_sense, ALWAYS | PACKET_KEEPS_SENSE},
    [0x12] = {atapi_inquiry, ALWAYS},
    [MODE_SELECT6] = {atapi_mode_select6, 0},
    [0x1a] = {atapi_mode_sense6, 0},
    [0x1b] = {start_stop_unit, 0},
    [0x1e] = {prevent_allow, 0},
    [0x25] = {atapi_read_capacity, MEDIUM},
    [0x28] = {atapi_read10, MEDIUM},
    [0x2b] = {atapi_seek, MEDIUM},
    [0x42] = {atapi_read_subchannel, MEDIUM},
    [0x43] = {atapi_read_toc, MEDIUM},
    [0x46] = {atapi_get_configuration, ALWAYS},
    [0x4a] = {get_event_status, ALWAYS},
    [0x51] = {atapi_read_disc_information, MEDIUM},
    [0x55] = {atapi_mode_select10, 0},
    [0x5a] = {atapi_mode_sense10, 0},
    [0xa8] = {atapi_read12, MEDIUM},
    [0xad] = {atapi_read_dvd_structure, MEDIUM},
    [0xb9] = {atapi_read_cd_msf, MEDIUM},
    [0xbb] = {set_cd_speed, 0},
    [0xbd] = {atapi_mechanism_status, 0},
    [0xbe] = {atapi_read_cd, MEDIUM},
};

static void run_packet(struct ide_channel *channel)
{
    struct ide_drive *drive = channel->active;
    struct packet_transfer *p = &channel->packet;
    memcpy(p->command, channel->buffer, PACKET_BYTES);
    const struct packet_row *row = &rows[p->command[0]];
    drive->status = IDE_BSY;
    p->left = 0;
    if (!(row->flags & PACKET_KEEPS_SENSE)) drive->cd.sense = (struct atapi_sense){0};
    if (is_hindered(drive, row->flags)) return;
    if (row->run)
        row->run(drive, p->command);
    else
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
}

/* A byte count of 0 would allow no data. It is taken as the largest count. */
static void packet(struct ide_drive *drive)
{
    struct packet_transfer *p = &drive->channel->packet;
    u32 limit = drive->now.lba_mid | drive->now.lba_high << 8;
    if (drive->now.feature & PACKET_FEATURE_OVERLAP) {
        ide_fail(drive, IDE_ABRT);
        return;
    }
    *p = (struct packet_transfer){.dma = drive->now.feature & PACKET_FEATURE_DMA};
    p->limit = limit > 1 ? limit & 0xfffe : 0xfffe;
    drive->now.count = REASON_PACKET;
    ide_begin_block(drive, false, 0, PACKET_BYTES, run_packet);
}

/* --- ATA commands of a packet device --- */

static void identify_packet(struct ide_drive *drive)
{
    ata_identify(drive, drive->channel->buffer);
    ide_give_sector(drive);
}

/* IDENTIFY DEVICE and READ SECTORS show a host that this is not a disk (8.15.5.2, 8.34.5). */
static void tell_apart(struct ide_drive *drive)
{
    ide_signature(drive);
    ide_fail(drive, IDE_ABRT);
}

static void device_reset(struct ide_drive *drive)
{
    ide_signature(drive);
    drive->channel->active = NULL;
    drive->error = 0x01;
    atapi_reset(drive);
}

static void set_features(struct ide_drive *drive)
{
    bool good = drive->now.feature == 0x03 ? ata_set_transfer_mode(drive, drive->now.count)
                                           : drive->now.feature == 0x66 || drive->now.feature == 0xcc;
    if (good)
        ide_finish(drive);
    else
        ide_fail(drive, IDE_ABRT);
}

static void check_power(struct ide_drive *drive)
{
    drive->now.count = 0xff; /* active or idle */
    ide_finish(drive);
}

static const struct {
    u8 opcode;
    void (*run)(struct ide_drive *drive);
} ata_rows[] = {
    {0x08, device_reset}, {0x20, tell_apart},   {0xa0, packet},      {0xa1, identify_packet},
    {0xe0, ide_finish},   {0xe1, ide_finish},   {0xe5, check_power}, {0xe6, ide_finish},
    {0xec, tell_apart},   {0xef, set_features},
};

void atapi_command(struct ide_drive *drive, u8 opcode)
{
    for (unsigned n = 0; n < ARRAY_SIZE(ata_rows); n++)
        if (ata_rows[n].opcode == opcode) {
            ata_rows[n].run(drive);
            return;
        }
    ide_fail(drive, IDE_ABRT);
}

/* After a reset DRDY is clear until the first command. */
void atapi_reset(struct ide_drive *drive)
{
    drive->status = 0;
    drive->transfer_mode = 0x0c;
    drive->cd.sense = (struct atapi_sense){0};
    drive->cd.was_reset = true;
    drive->cd.locked = false;
    drive->cd.recovery = CD_DEFAULT_RECOVERY;
    drive->cd.retries = CD_DEFAULT_RETRIES;
}
