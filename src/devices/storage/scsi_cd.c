/*
 * Commands of SCSI CD drives (MMC-5, chapter 6). The disc has one session with one data track. See scsi_unit.h.
 */
#include "base/big_endian.h"
#include "cd_sector.h"
#include "scsi_unit.h"

#include <string.h>

enum {
    READ_CAPACITY = 0x25,
    READ10 = 0x28,
    READ_TOC = 0x43,
    GET_CONFIGURATION = 0x46,
    GET_EVENT_STATUS = 0x4a,
    READ_DISC_INFORMATION = 0x51,
    READ12 = 0xa8,
};
enum { TRACK = 1, LEAD_OUT = 0xaa, DATA_TRACK = 0x14 };
enum { PROFILE_CD_ROM = 0x08, PROFILE_DVD_ROM = 0x10 };
#define CD_BLOCKS_MAX 450000u /* more is a DVD */

static void read_capacity(struct scsi_command *command)
{
    u8 reply[8];
    put_be32(reply, (u32)(scsi_blocks(command->unit) - 1));
    put_be32(reply + 4, command->unit->block_bytes);
    scsi_reply(command, reply, sizeof(reply), sizeof(reply));
}

static void put_address(u8 *to, u32 block, bool msf)
{
    u32 frame = block + CD_PREGAP;
    put_be32(to, block);
    if (msf) put_be32(to, frame / 75 / 60 << 16 | frame / 75 % 60 << 8 | frame % 75);
}

/* MMC-5 6.26: formats 0 (tracks) and 1 (sessions). */
static void read_toc(struct scsi_command *command)
{
    const u8 *cdb = command->cdb;
    bool msf = cdb[1] & 2;
    u8 format = cdb[2] & 0x0f, first = cdb[6], reply[20] = {0, 0, TRACK, TRACK};
    u32 used = 4;
    if (format > 1 || (format == 0 && first > TRACK && first != LEAD_OUT)) {
        scsi_fail(command, SCSI_INVALID_FIELD);
        return;
    }
    if (format == 1 || first <= TRACK) {
        reply[used + 1] = DATA_TRACK;
        reply[used + 2] = TRACK;
        put_address(reply + used + 4, 0, msf);
        used += 8;
    }
    if (format == 0) {
        reply[used + 1] = DATA_TRACK;
        reply[used + 2] = LEAD_OUT;
        put_address(reply + used + 4, (u32)scsi_blocks(command->unit), msf);
        used += 8;
    }
    put_be16(reply, used - 2);
    scsi_reply(command, reply, used, get_be16(cdb + 7));
}

/* MMC-5 6.6: the list of profiles and the core feature. */
static void get_configuration(struct scsi_command *command)
{
    const struct scsi_unit *unit = command->unit;
    u16 profile = !unit->disk->bytes || unit->tray_open ? 0
                  : scsi_blocks(unit) > CD_BLOCKS_MAX   ? PROFILE_DVD_ROM
                                                        : PROFILE_CD_ROM;
    u8 reply[8 + 12 + 12] = {0};
    put_be32(reply, sizeof(reply) - 4);
    put_be16(reply + 6, profile);
    reply[10] = 3; /* feature 0, current, persistent */
    reply[11] = 8;
    put_be16(reply + 12, PROFILE_DVD_ROM);
    reply[14] = profile == PROFILE_DVD_ROM;
    put_be16(reply + 16, PROFILE_CD_ROM);
    reply[18] = profile == PROFILE_CD_ROM;
    reply[21] = 1; /* feature 1 */
    reply[22] = 3 | 2 << 2;
    reply[23] = 8;
    put_be32(reply + 24, 1); /* SCSI */
    scsi_reply(command, reply, sizeof(reply), get_be16(command->cdb + 7));
}

/* MMC-5 6.7: polled; only the class of media. */
static void get_event_status(struct scsi_command *command)
{
    enum { POLLED = 1, CLASS_MEDIA = 4, SUPPORTED = 1 << CLASS_MEDIA, EJECT_REQUEST = 1, NEW_MEDIA = 2 };
    struct scsi_unit *unit = command->unit;
    u8 reply[8] = {0};
    if (!(command->cdb[1] & POLLED)) {
        scsi_fail(command, SCSI_INVALID_FIELD);
        return;
    }
    bool media = command->cdb[4] & SUPPORTED;
    put_be16(reply, media ? 6 : 2);
    reply[2] = media ? CLASS_MEDIA : 0x80; /* no event of the classes that were asked for */
    reply[3] = SUPPORTED;
    if (media) {
        reply[4] = unit->new_medium ? NEW_MEDIA : unit->eject_wanted ? EJECT_REQUEST : 0;
        reply[5] = (u8)((unit->disk->bytes && !unit->tray_open ? 2 : 0) | unit->tray_open);
        unit->new_medium = unit->eject_wanted = false;
    }
    scsi_reply(command, reply, media ? 8 : 4, get_be16(command->cdb + 7));
}

static void read_disc_information(struct scsi_command *command)
{
    u8 reply[34] = {0, 32, 0x0e, TRACK, 1, TRACK, TRACK, 0x20};
    memset(reply + 16, 0xff, 8);
    scsi_reply(command, reply, sizeof(reply), get_be16(command->cdb + 7));
}

const struct scsi_row scsi_cd_rows[] = {
    {READ10, false, false, scsi_read_blocks},
    {READ12, false, false, scsi_read_blocks},
    {READ_CAPACITY, false, false, read_capacity},
    {READ_TOC, false, false, read_toc},
    {GET_CONFIGURATION, true, true, get_configuration},
    {GET_EVENT_STATUS, true, true, get_event_status},
    {READ_DISC_INFORMATION, false, false, read_disc_information},
    {0},
};
