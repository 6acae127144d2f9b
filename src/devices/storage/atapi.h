/*
 * Shared by the files of the CD drive. The packet commands are MMC-3's (T10/1363-D) and SPC-2's.
 */
#ifndef RINGER_DEVICES_STORAGE_ATAPI_H
#define RINGER_DEVICES_STORAGE_ATAPI_H

#include "base/big_endian.h"
#include "cd_sector.h"
#include "ide.h"

enum sense_key {
    SENSE_NOT_READY = 2,
    SENSE_MEDIUM_ERROR = 3,
    SENSE_ILLEGAL_REQUEST = 5,
    SENSE_UNIT_ATTENTION = 6,
};

/* Additional sense code << 8 | its qualifier */
enum sense_code {
    ASC_UNRECOVERED_READ = 0x1100,
    ASC_LIST_LENGTH = 0x1a00,
    ASC_INVALID_OPCODE = 0x2000,
    ASC_OUT_OF_RANGE = 0x2100,
    ASC_INVALID_FIELD = 0x2400,
    ASC_INVALID_PARAMETER = 0x2600,
    ASC_MEDIUM_CHANGED = 0x2800,
    ASC_POWER_ON_OR_RESET = 0x2900,
    ASC_SAVING_NOT_SUPPORTED = 0x3900,
    ASC_TRAY_CLOSED_EMPTY = 0x3a01,
    ASC_TRAY_OPEN = 0x3a02,
    ASC_REMOVAL_PREVENTED = 0x5302,
    ASC_ILLEGAL_MODE = 0x6400,
};

/* Media events of GET EVENT STATUS NOTIFICATION */
enum cd_event {
    CD_EVENT_NONE = 0,
    CD_EVENT_EJECT_REQUEST = 1,
    CD_EVENT_NEW_MEDIUM = 2,
    CD_EVENT_REMOVAL = 3
};

/* The Red Book's 80 minutes. An image with more sectors is a DVD. */
#define CD_MAX_SECTORS (80 * 60 * 75)
enum { MODE_SELECT6 = 0x15 };
/* Of the error recovery page */
enum { CD_DEFAULT_RECOVERY = 0, CD_DEFAULT_RETRIES = 5 };

typedef void packet_function(struct ide_drive *drive, const u8 *command);

struct packet_row {
    packet_function *run;
    u8 flags;
};
enum { PACKET_NEEDS_MEDIUM = 1, PACKET_DESPITE_ATTENTION = 2, PACKET_KEEPS_SENSE = 4 };

static inline bool cd_has_medium(const struct ide_drive *drive)
{
    return !drive->cd.tray_open && drive->disk->bytes >= CD_SECTOR_BYTES;
}
static inline u32 cd_sectors(const struct ide_drive *drive)
{
    u64 sectors = cd_has_medium(drive) ? drive->disk->bytes / CD_SECTOR_BYTES : 0;
    return sectors > UINT32_MAX ? UINT32_MAX : (u32)sectors;
}
static inline bool cd_is_dvd(const struct ide_drive *drive)
{
    return cd_sectors(drive) > CD_MAX_SECTORS;
}

/* --- atapi.c: the ends of packet commands --- */
void atapi_succeed(struct ide_drive *drive);
void atapi_fail(struct ide_drive *drive, enum sense_key key, enum sense_code code);
/* This sector cannot be read. */
void atapi_fail_at(struct ide_drive *drive, u32 sector);
/* Give the guest buffer[0, bytes), but at most the allocation length. */
void atapi_reply(struct ide_drive *drive, u32 bytes, u32 allocated);
/* buffer[0, bytes) is the next piece of a READ. */
void atapi_offer(struct ide_drive *drive, u32 bytes);
/* Ask the guest for buffer[0, bytes). */
void atapi_ask(struct ide_drive *drive, u32 bytes, void (*given)(struct ide_channel *channel));

/* --- atapi_read.c --- */
/* The guest has emptied the buffer, and sectors are left. */
void atapi_read_on(struct ide_drive *drive);
packet_function atapi_read10, atapi_read12, atapi_read_cd, atapi_read_cd_msf, atapi_read_capacity, atapi_seek;

/* --- atapi_inform.c, atapi_toc.c: descriptions of drive and medium --- */
packet_function atapi_inquiry, atapi_mode_sense6, atapi_mode_sense10, atapi_mode_select6, atapi_mode_select10,
    atapi_get_configuration, atapi_mechanism_status;
packet_function atapi_read_toc, atapi_read_disc_information, atapi_read_subchannel, atapi_read_dvd_structure;

#endif
