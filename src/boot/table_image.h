/*
 * Tables for the guest, before it is known where in its memory they will lie: bytes, and what depends on the
 * place: pointers from table to table, and the checksums over them.
 *
 * One of two ends: table_image_settle() for memory that we fill ourselves (a kernel started directly), or a
 * script that firmware executes (SeaBIOS, src/fw/romfile_loader.h): it allocates memory for files, adds the
 * addresses of the memory to pointers, and makes sums zero.
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
        u32 start, bytes, at; /* the byte that makes the sum of all zero */
    } sum[TABLE_IMAGE_FIXES];
    unsigned sum_count;
    u32 base; /* once settled */
};

/* Append; offset of what was appended. Space is a matter of our own code: it is asserted. */
u32 table_image_add(struct table_image *image, const void *data, u32 bytes, u32 align);
/* The field at `at` of `size` bytes points to `target_offset` within `target` (which may be `image`). */
void table_image_point(struct table_image *image, u32 at, u32 size, const struct table_image *target,
                       u32 target_offset);
void table_image_sum(struct table_image *image, u32 start, u32 bytes, u32 at);

/* The image will lie at `base`. All images first get their places, then are settled. */
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

/* Bytes of the script for these files; out (NULL: only count) gets it. */
u32 table_script(const struct table_file *files, unsigned count, u8 *out);

#endif
