/*
 * What to boot: the files that the loaders read, and the order in which firmware tries devices.
 */
#ifndef RINGER_OPTIONS_OPTIONS_BOOT_H
#define RINGER_OPTIONS_OPTIONS_BOOT_H

#include "base/types.h"

/* How a kernel is started. */
enum boot_way {
    BOOT_WAY_USUAL,    /* by its kind: by firmware if it may call the BIOS, otherwise directly */
    BOOT_WAY_DIRECT,   /* directly: the loader sets up the machine as firmware would */
    BOOT_WAY_FIRMWARE, /* by firmware, which starts the kernel through an option ROM (boot/kernel_rom.h) */
};

struct boot_files {
    const char *kernel;   /* path, or NULL */
    const char *initrd;   /* path; Multiboot: "file arguments,file arguments"; or NULL */
    const char *append;   /* command line, or NULL */
    const char *firmware; /* path, or NULL: exclusive with a kernel that is started directly */
    enum boot_way way;
    bool guest_unpacks; /* a bzImage unpacks itself */
};

/* Kinds of devices to boot from, as CMOS numbers them. */
enum boot_class { BOOT_NOTHING, BOOT_FLOPPY, BOOT_DISK, BOOT_CD, BOOT_NETWORK };

#define BOOT_CLASSES 3 /* kinds of devices that firmware tries at most */
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
