/*
 * The CD drive describes the disc, which has one session with one data track (MMC-3 6.26 READ
 * TOC, 6.16 READ DISC INFORMATION, 6.24 READ SUB-CHANNEL, 6.18 READ DVD STRUCTURE).
 */
#include "atapi.h"

#include <string.h>

enum { TRACK = 1, SESSION = 1, LEAD_OUT = 0xaa };
enum { DATA_TRACK = 0x14 }; /* ADR 1: position; control: data, no copying */

static void put_msf(u8 *to, u32 sector)
{
    u32 frame = sector + CD_PREGAP;
    to[0] = (u8)(frame / 75 / 60);
    to[1] = (u8)(frame / 75 % 60);
    to[2] = (u8)(frame % 75);
}

static void put_address(u8 *to, u32 sector, bool msf)
{
    if (!msf) {
        put_be32(to, sector);
        return;
    }
    to[0] = 0;
    put_msf(to + 1, sector);
}

static u8 *put_track(u8 *at, u8 track, u32 sector, bool msf)
{
    at[0] = at[3] = 0;
    at[1] = DATA_TRACK;
    at[2] = track;
    put_address(at + 4, sector, msf);
    return at + 8;
}

/* An entry of the lead-in as it is on the disc. */
static u8 *put_point(u8 *at, u8 point, u8 minute, u8 second, u8 frame)
{
    const u8 entry[11] = {SESSION, DATA_TRACK, 0, point, 0, 0, 0, 0, minute, second, frame};
    memcpy(at, entry, sizeof(entry));
    return at + sizeof(entry);
}

static u8 *full_toc(struct ide_drive *drive, u8 *at)
{
    u8 end[3];
    put_msf(end, cd_sectors(drive));
    at = put_point(at, 0xa0, TRACK, 0, 0); /* first track; CD-ROM */
    at = put_point(at, 0xa1, TRACK, 0, 0); /* last track */
    at = put_point(at, 0xa2, end[0], end[1], end[2]);
    return put_point(at, TRACK, 0, CD_PREGAP / 75, 0);
}

void atapi_read_toc(struct ide_drive *drive, const u8 *command)
{
    enum { TOC, SESSIONS, FULL };
    u8 *reply = drive->channel->buffer, *at = reply + 4, first = command[6];
    bool msf = command[1] & 2;
    u8 format = command[2] & 0x0f ? command[2] & 0x0f : command[9] >> 6; /* there in SFF-8020 */
    bool good = true;
    reply[2] = TRACK; /* first and last: tracks or sessions */
    reply[3] = TRACK;
    switch (format) {
    case TOC:
        good = first <= TRACK || first == LEAD_OUT;
        if (first <= TRACK) at = put_track(at, TRACK, 0, msf);
        at = put_track(at, LEAD_OUT, cd_sectors(drive), msf);
        break;
    case SESSIONS: at = put_track(at, TRACK, 0, msf); break;
    case FULL:
        good = first <= SESSION;
        at = full_toc(drive, at);
        break;
    default: good = false;
    }
    put_be16(reply, (u32)(at - reply) - 2);
    if (good)
        atapi_reply(drive, (u32)(at - reply), get_be16(command + 7));
    else
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
}

void atapi_read_disc_information(struct ide_drive *drive, const u8 *command)
{
    u8 *reply = drive->channel->buffer;
    if (command[1] & 7) { /* resources of tracks and POW: for writers */
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(reply, 0, 34);
    put_be16(reply, 32);
    reply[2] = 0x0e; /* last session complete, disc complete */
    reply[3] = TRACK;
    reply[4] = SESSION; /* how many */
    reply[5] = reply[6] = TRACK;
    reply[7] = 0x20;             /* for any use */
    reply[8] = 0x00;             /* CD-ROM */
    memset(reply + 16, 0xff, 8); /* lead-in and lead-out of a next session: none */
    atapi_reply(drive, 34, get_be16(command + 7));
}

void atapi_read_subchannel(struct ide_drive *drive, const u8 *command)
{
    enum { WANT_Q = 0x40, FORMAT_POSITION = 1, NO_AUDIO_STATUS = 0x15 };
    u8 *reply = drive->channel->buffer;
    bool msf = command[1] & 2, q = command[2] & WANT_Q;
    if (q && command[3] != FORMAT_POSITION) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(reply, 0, 16);
    reply[1] = NO_AUDIO_STATUS;
    if (q) {
        put_be16(reply + 2, 12);
        reply[4] = FORMAT_POSITION;
        reply[5] = DATA_TRACK;
        reply[6] = TRACK;
        reply[7] = 1; /* index */
        put_address(reply + 8, 0, msf);
        put_address(reply + 12, 0, msf);
    }
    atapi_reply(drive, q ? 16 : 4, get_be16(command + 7));
}

void atapi_read_dvd_structure(struct ide_drive *drive, const u8 *command)
{
    enum { PHYSICAL = 0, COPYRIGHT = 1, FIRST_SECTOR = 0x30000 };
    u8 *reply = drive->channel->buffer, format = command[7];
    u32 bytes = format == PHYSICAL ? 2052 : 8;
    if (!cd_is_dvd(drive) || format > COPYRIGHT || command[6]) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(reply, 0, bytes);
    put_be16(reply, bytes - 2);
    if (format == PHYSICAL) { /* copyright: none */
        reply[4] = 0x01;      /* DVD-ROM, version 1 */
        reply[5] = 0x0f;      /* 120 mm, rate not given */
        reply[6] = 0x01;      /* one layer, read only */
        put_be32(reply + 8, FIRST_SECTOR);
        put_be32(reply + 12, FIRST_SECTOR + cd_sectors(drive) - 1);
    }
    atapi_reply(drive, bytes, get_be16(command + 8));
}
