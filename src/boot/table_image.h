/*
 * Tables for the guest, before their addresses are known: bytes, and what depends on the addresses (pointers from
 * table to table, and checksums over them).
 *
 * For a direct start table_image_settle() completes them. Firmware completes them by a script (SeaBIOS,
 * src/fw/romfile_loader.h), which allocates memory for files, adds its addresses to pointers, and sets checksums.
 */
#ifndef RINGER_BOOT_TABLE_IMAGE_H
#define RINGER_BOOT_TABLE_IMAGE_H

#include "base/types.h"

#define TABLE_IMAGE_BYTES 8192
#define TABLE_IMAGE_FIXES 32

struct table_image {
    u8 bytes[TABLE_IMAGE_BYTES];
    u32 used;
    struct {
        u32 at, size; /* a pointer of 4 or 8 bytes, which holds an offset in `target` */
        const struct table_image *target;
    } pointer[TABLE_IMAGE_FIXES];
    unsigned pointer_count;
    struct {
        u32 start, bytes, at; /* the byte at `at` makes the sum of all bytes zero */
    } sum[TABLE_IMAGE_FIXES];
    unsigned sum_count;
    u32 base; /* guest-physical address, once it is known */
};

/* Append, and return the offset of what was appended. Asserts that there is room. */
u32 table_image_add(struct table_image *image, const void *data, u32 bytes, u32 align);
/* Make the field of `size` bytes at `at` point to `target_offset` in `target` (which may be `image`). */
void table_image_point(struct table_image *image, u32 at, u32 size, const struct table_image *target,
                       u32 target_offset);
void table_image_sum(struct table_image *image, u32 start, u32 bytes, u32 at);

/* Set the address of the image. All images get their addresses before any is settled. */
static inline void table_image_place(struct table_image *image, u32 base)
{
    image->base = base;
}
void table_image_settle(struct table_image *image);

/* --- the script --- */

enum table_zone { TABLE_ZONE_HIGH = 1, TABLE_ZONE_F_SEGMENT = 2 };

struct table_file {
    const struct table_image *image;
    const char *name;
    enum table_zone zone;
    u32 align;
};

#define TABLE_SCRIPT_ENTRY_BYTES 128

/* Write the script for these files to `out` (NULL: only count). Returns its bytes. */
u32 table_script(const struct table_file *files, unsigned count, u8 *out);

#endif
