/*
 * The CD drive: what it says about itself. INQUIRY (SPC-2 7.3), MODE SENSE and its pages (MMC-3 6.3), GET
 * CONFIGURATION (MMC-3 6.6 and 5.3), MECHANISM STATUS (MMC-3 6.8).
 */
#include "atapi.h"

#include <string.h>

/* Text fields are padded with blanks. */
static void put_text(u8 *to, const char *text, unsigned bytes)
{
    unsigned length = (unsigned)strnlen(text, bytes);
    memset(to, ' ', bytes);
    memcpy(to, text, length);
}

void atapi_inquiry(struct ide_drive *drive, const u8 *command)
{
    u8 *reply = drive->channel->buffer;
    if (command[1] & 1 || command[2]) { /* vital product data: none */
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(reply, 0, 36);
    reply[0] = 0x05; /* CD or DVD */
    reply[1] = 0x80; /* removable */
    reply[3] = 0x21; /* ATAPI; response format 1 */
    reply[4] = 31;   /* more bytes */
    put_text(reply + 8, "RINGER", 8);
    put_text(reply + 16, "CD-ROM", 16);
    put_text(reply + 32, IDE_FIRMWARE, 4);
    atapi_reply(drive, 36, get_be16(command + 3));
}

/* --- MODE SENSE --- */

enum {
    PAGE_ERROR_RECOVERY = 0x01,
    PAGE_CD = 0x0d,
    PAGE_AUDIO = 0x0e,
    PAGE_CAPABILITIES = 0x2a,
    PAGE_ALL = 0x3f
};
enum { CONTROL_CURRENT, CONTROL_CHANGEABLE, CONTROL_DEFAULT, CONTROL_SAVED };

static u32 error_recovery_page(const struct ide_drive *drive, u8 *page)
{
    page[3] = 5; /* retries */
    return 8;
}

static u32 cd_page(const struct ide_drive *drive, u8 *page)
{
    page[5] = 60; /* seconds a minute, frames a second */
    page[7] = 75;
    return 8;
}

static u32 capabilities_page(const struct ide_drive *drive, u8 *page)
{
    page[2] = 0x3b; /* reads CD-R, CD-RW, method 2; DVD-ROM, DVD-R */
    page[4] = 0x70; /* multisession, mode 2 forms 1 and 2 */
    page[5] = 0x00;
    page[6] = 0x29; /* a tray, ejects, can be locked ... */
    if (drive->cd.locked) page[6] |= 0x02;
    put_be16(page + 8, 50 * 176);  /* highest speed in KB/s, */
    put_be16(page + 10, 2);        /* volume levels, */
    put_be16(page + 12, 512);      /* buffer in KB, */
    put_be16(page + 14, 50 * 176); /* speed now */
    return 20;
}

static const struct {
    u8 page;
    u32 (*put)(const struct ide_drive *drive, u8 *page);
} pages[] = {
    {PAGE_ERROR_RECOVERY, error_recovery_page},
    {PAGE_CD, cd_page},
    {PAGE_CAPABILITIES, capabilities_page},
};

static u32 put_pages(const struct ide_drive *drive, u8 *to, u8 wanted, u8 control)
{
    u8 *at = to;
    for (unsigned n = 0; n < ARRAY_SIZE(pages); n++) {
        if (wanted != PAGE_ALL && wanted != pages[n].page) continue;
        u32 bytes = pages[n].put(drive, at);
        if (control == CONTROL_CHANGEABLE) memset(at, 0, bytes);
        at[0] = pages[n].page;
        at[1] = (u8)(bytes - 2);
        at += bytes;
    }
    return (u32)(at - to);
}

/* Header, no block descriptors, pages. */
static void mode_sense(struct ide_drive *drive, const u8 *command, u32 header, u32 allocated)
{
    enum { DOOR_CLOSED_DATA = 0x01, DOOR_OPEN = 0x71, NO_DISC = 0x70 };
    u8 *reply = drive->channel->buffer, control = command[2] >> 6;
    u8 medium = drive->cd.tray_open ? DOOR_OPEN : cd_has_medium(drive) ? DOOR_CLOSED_DATA : NO_DISC;
    if (control == CONTROL_SAVED) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_SAVING_NOT_SUPPORTED);
        return;
    }
    memset(reply, 0, 256);
    u32 bytes = put_pages(drive, reply + header, command[2] & 0x3f, control);
    if (!bytes) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    bytes += header;
    if (header == 8) {
        put_be16(reply, bytes - 2);
        reply[2] = medium;
    } else {
        reply[0] = (u8)(bytes - 1);
        reply[1] = medium;
    }
    atapi_reply(drive, bytes, allocated);
}

void atapi_mode_sense6(struct ide_drive *drive, const u8 *command)
{
    mode_sense(drive, command, 4, command[4]);
}

void atapi_mode_sense10(struct ide_drive *drive, const u8 *command)
{
    mode_sense(drive, command, 8, get_be16(command + 7));
}

/* --- GET CONFIGURATION --- */

enum { PROFILE_NONE = 0, PROFILE_CD = 0x0008, PROFILE_DVD = 0x0010 };
enum { FEATURE_PERSISTENT = 0x02, FEATURE_CURRENT = 0x01 };

static u16 profile(const struct ide_drive *drive)
{
    return !cd_has_medium(drive) ? PROFILE_NONE : cd_is_dvd(drive) ? PROFILE_DVD : PROFILE_CD;
}

struct feature {
    u16 code;
    u8 flags; /* version << 2 | persistent | current */
    u8 bytes;
    u8 data[12];
};

/* In ascending order. */
static const struct feature features[] = {
    {0x0000, FEATURE_PERSISTENT | FEATURE_CURRENT, 8, {0, PROFILE_DVD, 0, 0, 0, PROFILE_CD, 0, 0}},
    {0x0001, FEATURE_PERSISTENT | FEATURE_CURRENT, 4, {0, 0, 0, 2}},    /* core: ATAPI */
    {0x0003, FEATURE_PERSISTENT | FEATURE_CURRENT, 4, {0x29, 0, 0, 0}}, /* a tray, ejects, can be locked */
    {0x0010, 0, 8, {0, 0, 8, 0, 0, 1, 0, 0}},               /* blocks of 2048 bytes, one at a time */
    {0x001d, 0, 0, {0}},                                    /* reads all CD types */
    {0x001e, 0, 4, {0}},                                    /* CDs */
    {0x001f, 0, 4, {0}},                                    /* DVDs */
    {0x0100, FEATURE_PERSISTENT | FEATURE_CURRENT, 0, {0}}, /* power management */
};

static bool is_current(const struct feature *feature, u16 now)
{
    switch (feature->code) {
    case 0x0010: return now != PROFILE_NONE;
    case 0x001d:
    case 0x001e: return now == PROFILE_CD;
    case 0x001f: return now == PROFILE_DVD;
    default: return feature->flags & FEATURE_CURRENT;
    }
}

void atapi_get_configuration(struct ide_drive *drive, const u8 *command)
{
    enum { ALL = 0, CURRENT = 1, ONE = 2 };
    u8 *reply = drive->channel->buffer, *at = reply + 8, what = command[1] & 3;
    u16 first = get_be16(command + 2), now = profile(drive);
    if (what > ONE) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memset(reply, 0, 256);
    for (unsigned n = 0; n < ARRAY_SIZE(features); n++) {
        const struct feature *feature = &features[n];
        bool current = is_current(feature, now);
        if (feature->code < first || (what == CURRENT && !current) || (what == ONE && feature->code != first))
            continue;
        put_be16(at, feature->code);
        at[2] = (u8)((feature->flags & ~FEATURE_CURRENT) | current);
        at[3] = feature->bytes;
        memcpy(at + 4, feature->data, feature->bytes);
        if (!feature->code) { /* which of the profiles is current */
            at[4 + 2] = now == PROFILE_DVD;
            at[8 + 2] = now == PROFILE_CD;
        }
        at += 4 + feature->bytes;
    }
    put_be32(reply, (u32)(at - reply) - 4);
    put_be16(reply + 6, now);
    atapi_reply(drive, (u32)(at - reply), get_be16(command + 7));
}

void atapi_mechanism_status(struct ide_drive *drive, const u8 *command)
{
    enum { DOOR_OPEN = 0x10 };
    u8 *reply = drive->channel->buffer;
    memset(reply, 0, 8);
    if (drive->cd.tray_open) reply[1] = DOOR_OPEN;
    reply[5] = 1; /* slots; no table of them */
    atapi_reply(drive, 8, get_be16(command + 8));
}
