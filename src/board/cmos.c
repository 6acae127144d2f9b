/*
 * The CMOS memory as PC firmware expects it (Ralf Brown, CMOS.LST). The bytes from 33h on follow Bochs'
 * convention, which SeaBIOS reads.
 */
#include "cmos.h"

enum cmos {
    CMOS_SHUTDOWN = 0x0f,     /* why the CPU was reset */
    CMOS_FLOPPY_TYPES = 0x10, /* 7-4 drive A, 3-0 drive B */
    CMOS_EQUIPMENT = 0x14,
    CMOS_BASE_KB = 0x15,
    CMOS_EXTENDED_KB = 0x17,
    CMOS_CHECKED_FIRST = 0x10,
    CMOS_CHECKED_LAST = 0x2d,
    CMOS_CHECKSUM = 0x2e, /* of those, high byte first */
    CMOS_EXTENDED_KB_POST = 0x30,
    CMOS_ABOVE_16M = 0x34,        /* in 64 KB */
    CMOS_BOOT_THIRD = 0x38,       /* bits 7-4; bit 0: floppies need no signature */
    CMOS_DISK_TRANSLATION = 0x39, /* two bits an IDE disk */
    CMOS_BOOT_FIRST = 0x3d,       /* bits 3-0; second: 7-4 */
    CMOS_ABOVE_4G = 0x5b,         /* in 64 KB, three bytes */
};

/* SeaBIOS, src/resume.c, and QEMU's PC. */
#define SHUTDOWN_RESUME 0xfe

/* Bits 7-6: floppy drives - 1. */
enum { EQUIPMENT_FLOPPY = 0x01, EQUIPMENT_FPU = 0x02, EQUIPMENT_MOUSE = 0x04 };

/* "LBA assisted": up to 255 heads of 63 sectors, which all partitioning programs of the last decades use. A disk of at
 * most 1024 cylinders, a BIOS's limit, is shown untranslated. */
#define LBA_TRANSLATION  1
#define UNTRANSLATED_MAX (1024ull * 16 * 63 * 512)

#define LOW_RAM_END (3ull << 30)

static void set_word(struct mc146818 *rtc, unsigned index, u64 value)
{
    mc146818_set(rtc, index, (u8)value);
    mc146818_set(rtc, index + 1, (u8)(value >> 8));
}

static u64 at_most(u64 value, u64 limit)
{
    return value < limit ? value : limit;
}

static u8 equipment(const struct cmos_facts *facts)
{
    u8 bits = EQUIPMENT_FPU | EQUIPMENT_MOUSE;
    if (!facts->floppy[0]) return bits;
    return bits | EQUIPMENT_FLOPPY | (facts->floppy[1] ? 1 << 6 : 0);
}

static void set_checksum(struct mc146818 *rtc)
{
    unsigned sum = 0;
    for (unsigned n = CMOS_CHECKED_FIRST; n <= CMOS_CHECKED_LAST; n++)
        sum += rtc->bytes[n];
    mc146818_set(rtc, CMOS_CHECKSUM, (u8)(sum >> 8));
    mc146818_set(rtc, CMOS_CHECKSUM + 1, (u8)sum);
}

void cmos_fill(struct mc146818 *rtc, const struct cmos_facts *facts)
{
    u64 low = at_most(facts->ram_bytes, LOW_RAM_END), high = facts->ram_bytes - low;
    u64 extended_kb = at_most((low - (1u << 20)) >> 10, 0xffff);
    mc146818_set(rtc, CMOS_FLOPPY_TYPES, (u8)(facts->floppy[0] << 4 | facts->floppy[1]));
    mc146818_set(rtc, CMOS_EQUIPMENT, equipment(facts));
    set_word(rtc, CMOS_BASE_KB, 640);
    set_word(rtc, CMOS_EXTENDED_KB, extended_kb);
    set_word(rtc, CMOS_EXTENDED_KB_POST, extended_kb);
    set_word(rtc, CMOS_ABOVE_16M, low > 16u << 20 ? at_most((low - (16u << 20)) >> 16, 0xffff) : 0);
    set_word(rtc, CMOS_ABOVE_4G, high >> 16);
    mc146818_set(rtc, CMOS_ABOVE_4G + 2, (u8)(high >> 32));
    set_checksum(rtc);
}

void cmos_set_resume(struct mc146818 *rtc)
{
    mc146818_set(rtc, CMOS_SHUTDOWN, SHUTDOWN_RESUME);
}

void cmos_set_disks(struct mc146818 *rtc, const u64 bytes[CMOS_DISKS])
{
    u8 translation = 0;
    for (unsigned n = 0; n < CMOS_DISKS; n++)
        if (bytes[n] > UNTRANSLATED_MAX) translation |= LBA_TRANSLATION << 2 * n;
    mc146818_set(rtc, CMOS_DISK_TRANSLATION, translation);
}

void cmos_set_boot_order(struct mc146818 *rtc, const u8 order[BOOT_CLASSES])
{
    mc146818_set(rtc, CMOS_BOOT_FIRST, (u8)(order[1] << 4 | order[0]));
    mc146818_set(rtc, CMOS_BOOT_THIRD, (u8)(order[2] << 4));
}
