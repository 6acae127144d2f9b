/*
 * The contents of the CMOS memory: the machine as the firmware finds it.
 */
#ifndef RINGER_BOARD_CMOS_H
#define RINGER_BOARD_CMOS_H

#include "devices/chipset/mc146818.h"
#include "options/options_boot.h"

#define CMOS_FLOPPIES 2
#define CMOS_DISKS    4

struct cmos_facts {
    u64 ram_bytes;
    u8 floppy[CMOS_FLOPPIES]; /* enum floppy_drive_type */
};

void cmos_fill(struct mc146818 *rtc, const struct cmos_facts *facts);
/* Tell firmware to resume from S3 at its next start. */
void cmos_set_resume(struct mc146818 *rtc);
/* The sizes of the IDE disks in bytes (0: no disk), by channel * 2 + device. They decide how addresses are
 * translated. */
void cmos_set_disks(struct mc146818 *rtc, const u64 bytes[CMOS_DISKS]);
/* The order in which firmware tries devices (enum boot_class). */
void cmos_set_boot_order(struct mc146818 *rtc, const u8 order[BOOT_CLASSES]);

#endif
