/*
 * Options: -smbios, -uuid and -fw_cfg. See options_firmware.h.
 */
#include "options_table.h"

#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- UUIDs --- */

/* 8-4-4-4-12 hexadecimal digits. */
static bool parse_uuid(const char *text, u8 *uuid)
{
    unsigned digits = 0;
    for (unsigned n = 0; n < 36; n++) {
        bool dash = n == 8 || n == 13 || n == 18 || n == 23;
        if (dash ? text[n] != '-' : !isxdigit((unsigned char)text[n])) return false;
        if (dash) continue;
        u8 digit = (u8)(isdigit((unsigned char)text[n]) ? text[n] - '0' : (text[n] | 0x20) - 'a' + 10);
        uuid[digits / 2] = (u8)(uuid[digits / 2] << 4 | digit);
        digits++;
    }
    return !text[36];
}

static bool set_uuid(struct options *o, const char *value, struct complaint *c)
{
    o->board.firmware.has_uuid = parse_uuid(value, o->board.firmware.uuid);
    return o->board.firmware.has_uuid ||
           COMPLAIN(c, "a UUID is like 12345678-9abc-def0-1234-56789abcdef0, not \"%s\"", value);
}

/* --- SMBIOS --- */

static const struct {
    u8 type;
    enum smbios_field field;
    const char *name;
} fields[] = {
    {0, BIOS_VENDOR, "vendor"},      {0, BIOS_VERSION, "version"},
    {0, BIOS_DATE, "date"},          {1, SYSTEM_MANUFACTURER, "manufacturer"},
    {1, SYSTEM_PRODUCT, "product"},  {1, SYSTEM_VERSION, "version"},
    {1, SYSTEM_SERIAL, "serial"},    {1, SYSTEM_SKU, "sku"},
    {1, SYSTEM_FAMILY, "family"},    {2, BOARD_MANUFACTURER, "manufacturer"},
    {2, BOARD_PRODUCT, "product"},   {2, BOARD_VERSION, "version"},
    {2, BOARD_SERIAL, "serial"},     {2, BOARD_ASSET, "asset"},
    {2, BOARD_LOCATION, "location"}, {3, CHASSIS_MANUFACTURER, "manufacturer"},
    {3, CHASSIS_VERSION, "version"}, {3, CHASSIS_SERIAL, "serial"},
    {3, CHASSIS_ASSET, "asset"},     {3, CHASSIS_SKU, "sku"},
};

static bool room_for(struct firmware_options *f, size_t bytes, struct complaint *c)
{
    if (bytes > SMBIOS_USER_BYTES - f->smbios_bytes)
        return COMPLAIN(c, "the strings and files of -smbios have more than %u bytes", SMBIOS_USER_BYTES);
    f->smbios_bytes += (u32)bytes;
    return true;
}

static bool keep(struct firmware_options *f, char **where, const char *text, struct complaint *c)
{
    if (!room_for(f, strlen(text) + 1, c)) return false;
    free(*where);
    *where = strdup(text);
    return *where || COMPLAIN(c, "out of memory");
}

/* "MAJOR.MINOR" */
static bool set_release(struct firmware_options *f, const char *text, struct complaint *c)
{
    char *end;
    unsigned long major = strtoul(text, &end, 10), minor = 0;
    bool good = isdigit((unsigned char)*text) && *end == '.' && isdigit((unsigned char)end[1]);
    if (good) minor = strtoul(end + 1, &end, 10);
    if (!good || *end || major > 254 || minor > 254)
        return COMPLAIN(c, "-smbios type=0: release is MAJOR.MINOR, not \"%s\"", text);
    f->bios_release[0] = (u8)major;
    f->bios_release[1] = (u8)minor;
    return true;
}

static bool set_field(struct options *o, u64 type, const char *key, const char *text, struct complaint *c)
{
    struct firmware_options *f = &o->board.firmware;
    if (!text || !*text) return COMPLAIN(c, "-smbios type=%u: %s= is empty", (unsigned)type, key);
    for (unsigned n = 0; n < ARRAY_SIZE(fields); n++)
        if (fields[n].type == type && !strcmp(fields[n].name, key))
            return keep(f, &f->field[fields[n].field], text, c);
    if (type == 0 && !strcmp(key, "release")) return set_release(f, text, c);
    if (type == 0 && !strcmp(key, "uefi") && option_switch(text, &f->uefi)) return true;
    if (type == 1 && !strcmp(key, "uuid")) return set_uuid(o, text, c);
    if (type == 11 && !strcmp(key, "value")) {
        if (f->oem_count == SMBIOS_OEM_MAX)
            return COMPLAIN(c, "there are more than %u strings of -smbios type=11", SMBIOS_OEM_MAX);
        return keep(f, &f->oem[f->oem_count++], text, c);
    }
    return COMPLAIN(c, "-smbios type=%u: there is no field \"%s\"", (unsigned)type, key);
}

/* A structure is its formatted area, as long as its second byte says, and strings, which a second 0 byte ends (6.1). */
static bool is_structure(const u8 *bytes, size_t count)
{
    enum { HEADER_BYTES = 4 };
    return count >= HEADER_BYTES && bytes[1] >= HEADER_BYTES && count >= bytes[1] + 2u && !bytes[count - 1] &&
           !bytes[count - 2];
}

static bool add_file(struct firmware_options *f, const char *path, struct complaint *c)
{
    u8 bytes[SMBIOS_USER_BYTES + 1];
    if (f->structures == SMBIOS_USER_FILES)
        return COMPLAIN(c, "there are more than %u files of -smbios", SMBIOS_USER_FILES);
    FILE *in = fopen(path, "re");
    if (!in) return COMPLAIN(c, "cannot open the SMBIOS structure '%s': %s", path, strerror(errno));
    size_t count = fread(bytes, 1, sizeof(bytes), in);
    fclose(in);
    if (count <= SMBIOS_USER_BYTES && !is_structure(bytes, count))
        return COMPLAIN(c, "'%s' is no SMBIOS structure with its strings", path);
    if (!room_for(f, count, c)) return false;
    u8 *copy = malloc(count);
    if (!copy) return COMPLAIN(c, "out of memory");
    f->structure[f->structures].bytes = memcpy(copy, bytes, count);
    f->structure[f->structures++].count = (u32)count;
    return true;
}

static bool set_smbios(struct options *o, const char *value, struct complaint *c)
{
    struct firmware_options *f = &o->board.firmware;
    struct option_list list;
    char *key, *text, *type_text = option_item(value, "type");
    u64 type = UINT64_MAX;
    bool good = !type_text || option_number(type_text, &type);
    free(type_text);
    if (!good || (type != UINT64_MAX && type >= SMBIOS_TYPES && type != 11)) {
        if (!good) return COMPLAIN(c, "-smbios takes type=N or file=FILE, not \"%s\"", value);
        log_warn("-smbios %s has no effect: the types 0, 1, 2, 3 and 11 have fields", value);
        return true;
    }
    if (type < SMBIOS_TYPES) f->given[type] = true;
    if (!option_list_open(&list, value)) return COMPLAIN(c, "out of memory");
    while (good && option_list_next(&list, &key, &text)) {
        if (!strcmp(key, "type")) continue;
        if (!strcmp(key, "file") && text)
            good = add_file(f, text, c);
        else if (type == UINT64_MAX)
            good = COMPLAIN(c, "-smbios needs type=N or file=FILE");
        else
            good = set_field(o, type, key, text, c);
    }
    option_list_close(&list);
    return good;
}

bool firmware_options_replace(const struct firmware_options *options, u8 type)
{
    for (unsigned n = 0; n < options->structures; n++)
        if (options->structure[n].bytes[0] == type) return true;
    return false;
}

/* --- items of the firmware configuration device --- */

static bool add_item(struct firmware_options *f, struct fw_cfg_option *item, struct complaint *c)
{
    if (!item->name || !*item->name) return COMPLAIN(c, "-fw_cfg needs a name: opt/...");
    if (!item->file == !item->string)
        return COMPLAIN(c, "-fw_cfg %s needs file=FILE or string=TEXT", item->name);
    if (strlen(item->name) >= 56) return COMPLAIN(c, "-fw_cfg: the name %s is too long", item->name);
    if (strncmp(item->name, "opt/", 4))
        log_warn("-fw_cfg %s: names of users begin with \"opt/\"; others may hide what firmware reads",
                 item->name);
    f->item[f->items++] = *item;
    return true;
}

/* [name=]NAME,file=FILE or string=TEXT */
static bool set_fw_cfg(struct options *o, const char *value, struct complaint *c)
{
    struct firmware_options *f = &o->board.firmware;
    struct fw_cfg_option item = {0};
    struct option_list list;
    char *key, *text;
    bool good = true;
    if (f->items == FW_CFG_USER_ITEMS)
        return COMPLAIN(c, "there are more than %u items of -fw_cfg", FW_CFG_USER_ITEMS);
    if (!option_list_open(&list, value)) return COMPLAIN(c, "out of memory");
    for (bool first = true; good && option_list_next(&list, &key, &text); first = false) {
        char **where = (first && !text) || !strcmp(key, "name") ? &item.name
                       : !strcmp(key, "file")                   ? &item.file
                       : !strcmp(key, "string")                 ? &item.string
                                                                : NULL;
        if (!where || (!text && !first)) {
            good = COMPLAIN(c, "-fw_cfg takes NAME,file=FILE or NAME,string=TEXT, not \"%s\"", key);
        } else {
            free(*where);
            *where = strdup(text ? text : key);
        }
    }
    option_list_close(&list);
    if (good && add_item(f, &item, c)) return true;
    free(item.name);
    free(item.file);
    free(item.string);
    return false;
}

void firmware_options_release(struct firmware_options *f)
{
    for (unsigned n = 0; n < SMBIOS_FIELDS; n++)
        free(f->field[n]);
    for (unsigned n = 0; n < f->oem_count; n++)
        free(f->oem[n]);
    for (unsigned n = 0; n < f->structures; n++)
        free(f->structure[n].bytes);
    for (unsigned n = 0; n < f->items; n++) {
        free(f->item[n].name);
        free(f->item[n].file);
        free(f->item[n].string);
    }
    *f = (struct firmware_options){0};
}

static const struct option_row rows[] = {
    {"smbios", "type=N,KEY=TEXT,...",
     "strings of the SMBIOS tables: types 0 to 3 and 11; file=FILE: a whole structure", .set = set_smbios},
    {"uuid", "UUID", "the machine's UUID, in the SMBIOS tables", .set = set_uuid},
    {"fw_cfg", "NAME,file=FILE",
     "an item for the guest (opt/...) of the firmware configuration device; string=TEXT", .set = set_fw_cfg},
};

const struct option_group options_firmware = {"What the guest is told", rows, ARRAY_SIZE(rows)};
