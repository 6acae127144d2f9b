/*
 * What the CMOS memory tells the firmware of the machine.
 */
#ifndef RINGER_VM_CMOS_H
#define RINGER_VM_CMOS_H

#include "devices/mc146818.h"

#define CMOS_BOOT_CLASSES 3 /* how many kinds of devices firmware tries */
#define CMOS_FLOPPIES     2

/* Kinds of devices to boot from, as they are numbered in CMOS. */
enum boot_class { BOOT_NOTHING, BOOT_FLOPPY, BOOT_DISK, BOOT_CD, BOOT_NETWORK };

/* Types of floppy drives (IBM's numbers). */
enum floppy_type { FLOPPY_NONE, FLOPPY_360K, FLOPPY_1200K, FLOPPY_720K, FLOPPY_1440K, FLOPPY_2880K };

struct cmos_facts {
    u64 ram_bytes;
    u8 floppy[CMOS_FLOPPIES]; /* enum floppy_type */
};

void cmos_fill(struct mc146818 *rtc, const struct cmos_facts *facts);
/* The order in which firmware looks for something to boot (enum boot_class). */
void cmos_set_boot_order(struct mc146818 *rtc, const u8 order[CMOS_BOOT_CLASSES]);

#endif
