/*
 * The CD drive describes itself: INQUIRY (SPC-2 7.3), MODE SENSE, MODE SELECT and the pages (SPC-2
 * 7.6, 7.8, 8.3; MMC-3 6.3), GET CONFIGURATION (MMC-3 6.6 and 5.3), MECHANISM STATUS (MMC-3 6.8).
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

/* --- mode pages --- */

enum { PAGE_ERROR_RECOVERY = 0x01, PAGE_CD = 0x0d, PAGE_CAPABILITIES = 0x2a, PAGE_ALL = 0x3f };
enum { CONTROL_CURRENT, CONTROL_CHANGEABLE, CONTROL_DEFAULT, CONTROL_SAVED };
enum { PAGE_CODE = 0x3f, PAGE_MAX_BYTES = 32 };

/* Error recovery. The settings have no effect, because retries do not help with an image. */
static u32 error_recovery_page(const struct ide_drive *drive, u8 *page)
{
    page[2] = drive->cd.recovery;
    page[3] = drive->cd.retries;
    return 8;
}

static void set_error_recovery(struct ide_drive *drive, const u8 *page)
{
    drive->cd.recovery = page[2];
    drive->cd.retries = page[3];
}

static u32 cd_page(const struct ide_drive *drive, u8 *page)
{
    page[5] = 60; /* seconds a minute, frames a second */
    page[7] = 75;
    return 8;
}

static u32 capabilities_page(const struct ide_drive *drive, u8 *page)
{
    page[2] = 0x3b; /* reads CD-R, CD-RW; DVD-ROM, DVD-R, DVD-RAM */
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

static const struct page_row {
    u8 page;
    u32 (*put)(const struct ide_drive *drive, u8 *page);
    void (*set)(struct ide_drive *drive, const u8 *page); /* NULL: nothing can be changed */
    u8 changeable[4];                                     /* bits of the page's first bytes */
} pages[] = {
    {PAGE_ERROR_RECOVERY, error_recovery_page, set_error_recovery, {0, 0, 0x37, 0xff}},
    {PAGE_CD, cd_page, NULL, {0}},
    {PAGE_CAPABILITIES, capabilities_page, NULL, {0}},
};

/* On entry `to` is zero. */
static u32 put_page(const struct ide_drive *drive, const struct page_row *row, u8 *to, u8 control)
{
    static const struct ide_drive fresh = {
        .cd = {.recovery = CD_DEFAULT_RECOVERY, .retries = CD_DEFAULT_RETRIES}};
    u32 bytes = row->put(control == CONTROL_DEFAULT ? &fresh : drive, to);
    if (control == CONTROL_CHANGEABLE) {
        memset(to, 0, bytes);
        memcpy(to, row->changeable, sizeof(row->changeable));
    }
    to[0] = row->page;
    to[1] = (u8)(bytes - 2);
    return bytes;
}

static u32 put_pages(const struct ide_drive *drive, u8 *to, u8 wanted, u8 control)
{
    u8 *at = to;
    for (unsigned n = 0; n < ARRAY_SIZE(pages); n++)
        if (wanted == PAGE_ALL || wanted == pages[n].page) at += put_page(drive, &pages[n], at, control);
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

/* --- MODE SELECT --- */

static const struct page_row *find_page(u8 code)
{
    for (unsigned n = 0; n < ARRAY_SIZE(pages); n++)
        if (pages[n].page == code) return &pages[n];
    return NULL;
}

/* Does the page differ from the current one only in bits that may change? */
static bool is_acceptable(const struct ide_drive *drive, const struct page_row *row, const u8 *page)
{
    u8 now[PAGE_MAX_BYTES] = {0};
    u32 bytes = put_page(drive, row, now, CONTROL_CURRENT);
    if (page[1] != now[1]) return false;
    for (unsigned n = 2; n < bytes; n++) {
        u8 changeable = n < sizeof(row->changeable) ? row->changeable[n] : 0;
        if ((page[n] ^ now[n]) & ~changeable) return false;
    }
    return true;
}

/* Check the pages of a list, or apply them. Returns the sense code of the first mistake, or 0. */
static u16 walk_pages(struct ide_drive *drive, const u8 *at, u32 bytes, bool take)
{
    while (bytes) {
        if (bytes < 2 || bytes < at[1] + 2u) return ASC_LIST_LENGTH;
        const struct page_row *row = find_page(at[0] & PAGE_CODE);
        if (!row || !is_acceptable(drive, row, at)) return ASC_INVALID_PARAMETER;
        if (take && row->set) row->set(drive, at);
        bytes -= at[1] + 2u;
        at += at[1] + 2u;
    }
    return 0;
}

/* Header, block descriptors, which are ignored, and pages: all of them are applied, or none. */
static void list_given(struct ide_channel *channel)
{
    struct ide_drive *drive = channel->active;
    const u8 *list = channel->buffer;
    u32 header = channel->packet.command[0] == MODE_SELECT6 ? 4 : 8, bytes = channel->packet.end;
    u32 first = bytes < header ? bytes + 1 : header + (header == 4 ? list[3] : get_be16(list + 6));
    u16 wrong = first > bytes ? ASC_LIST_LENGTH : walk_pages(drive, list + first, bytes - first, false);
    if (wrong) {
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, (enum sense_code)wrong);
        return;
    }
    walk_pages(drive, list + first, bytes - first, true);
    atapi_succeed(drive);
}

static void mode_select(struct ide_drive *drive, const u8 *command, u32 bytes)
{
    enum { SAVE = 1 };
    if (command[1] & SAVE)
        atapi_fail(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
    else if (bytes)
        atapi_ask(drive, bytes, list_given);
    else
        atapi_succeed(drive);
}

void atapi_mode_select6(struct ide_drive *drive, const u8 *command)
{
    mode_select(drive, command, command[4]);
}

void atapi_mode_select10(struct ide_drive *drive, const u8 *command)
{
    mode_select(drive, command, get_be16(command + 7));
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
