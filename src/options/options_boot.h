/*
 * What to boot: files that the loaders read, and the order in which firmware looks for something.
 */
#ifndef RINGER_OPTIONS_OPTIONS_BOOT_H
#define RINGER_OPTIONS_OPTIONS_BOOT_H

#include "base/types.h"

struct boot_files {
    const char *kernel;   /* path, or NULL */
    const char *initrd;   /* path; Multiboot: "file arguments,file arguments"; or NULL */
    const char *append;   /* command line, or NULL */
    const char *firmware; /* path, or NULL: exclusive with kernel */
    bool guest_unpacks;   /* a bzImage unpacks itself */
};

/* Kinds of devices to boot from, as CMOS numbers them. */
enum boot_class { BOOT_NOTHING, BOOT_FLOPPY, BOOT_DISK, BOOT_CD, BOOT_NETWORK };

#define BOOT_CLASSES 3 /* how many kinds of devices firmware tries */
#define OPTION_ROMS  8

struct boot_plan {
    u8 order[BOOT_CLASSES]; /* enum boot_class */
    u8 once[BOOT_CLASSES];  /* for the first start only; BOOT_NOTHING first: as order */
    bool menu;              /* firmware offers its boot menu */
    bool menu_wait_given;
    u16 menu_wait_ms;
    s32 fail_wait_ms;                    /* until the next attempt when nothing boots; -1: for ever */
    const char *option_rom[OPTION_ROMS]; /* files that firmware starts */
    unsigned option_roms;
};

#endif
