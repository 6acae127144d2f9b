/*
 * What the user puts into the tables and items that firmware and operating systems read: SMBIOS strings, the machine's
 * UUID, and items of the firmware configuration device.
 */
#ifndef RINGER_OPTIONS_OPTIONS_FIRMWARE_H
#define RINGER_OPTIONS_OPTIONS_FIRMWARE_H

#include "base/types.h"

#define UUID_BYTES        16
#define FW_CFG_USER_ITEMS 32
#define SMBIOS_USER_FILES 8
#define SMBIOS_OEM_MAX    32
#define SMBIOS_TYPES      4 /* types 0 to 3 have fields */
/* The most bytes of all the user's strings and files together: the tables have no more room. */
#define SMBIOS_USER_BYTES 4096u

/* The strings of SMBIOS structures (SMBIOS Reference Specification 2.8, 7.1 to 7.4). */
enum smbios_field {
    BIOS_VENDOR,
    BIOS_VERSION,
    BIOS_DATE,
    SYSTEM_MANUFACTURER,
    SYSTEM_PRODUCT,
    SYSTEM_VERSION,
    SYSTEM_SERIAL,
    SYSTEM_SKU,
    SYSTEM_FAMILY,
    BOARD_MANUFACTURER,
    BOARD_PRODUCT,
    BOARD_VERSION,
    BOARD_SERIAL,
    BOARD_ASSET,
    BOARD_LOCATION,
    CHASSIS_MANUFACTURER,
    CHASSIS_VERSION,
    CHASSIS_SERIAL,
    CHASSIS_ASSET,
    CHASSIS_SKU,
    SMBIOS_FIELDS,
};

struct firmware_options {
    char *field[SMBIOS_FIELDS]; /* NULL: the machine's own */
    bool given[SMBIOS_TYPES];   /* some -smbios type=N */
    u8 bios_release[2];         /* major, minor; FFh FFh: none */
    bool uefi;                  /* type 0 says so */
    char *oem[SMBIOS_OEM_MAX];  /* type 11 */
    unsigned oem_count;
    /* Whole structures with their strings: -smbios file=. */
    struct {
        u8 *bytes;
        u32 count;
    } structure[SMBIOS_USER_FILES];
    unsigned structures;
    u32 smbios_bytes; /* of all the above */
    bool has_uuid;
    u8 uuid[UUID_BYTES]; /* in the order of its text */
    struct fw_cfg_option {
        char *name;
        char *file, *string; /* one of them */
    } item[FW_CFG_USER_ITEMS];
    unsigned items;
};

void firmware_options_release(struct firmware_options *options);
/* Is there a structure of this type among the user's files? It takes the place of the machine's own. */
bool firmware_options_replace(const struct firmware_options *options, u8 type);

#endif
