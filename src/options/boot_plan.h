/*
 * What the options say of the order in which firmware looks for something to boot.
 */
#ifndef RINGER_OPTIONS_BOOT_PLAN_H
#define RINGER_OPTIONS_BOOT_PLAN_H

#include "board/cmos.h"

#define OPTION_ROMS 8

struct boot_plan {
    u8 order[CMOS_BOOT_CLASSES]; /* enum boot_class */
    u8 once[CMOS_BOOT_CLASSES];  /* for the first start only; BOOT_NOTHING first: as order */
    bool menu;                   /* firmware offers its boot menu */
    bool menu_wait_given;
    u16 menu_wait_ms;
    s32 fail_wait_ms; /* until the next attempt when nothing boots; -1: for ever */
};

#endif
