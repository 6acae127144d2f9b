#include "table_image.h"

#include "load_common.h"

#include <assert.h>
#include <string.h>

u32 table_image_add(struct table_image *image, const void *data, u32 bytes, u32 align)
{
    u32 at = (u32)align_up(image->used, align);
    assert(at + bytes <= TABLE_IMAGE_BYTES);
    memcpy(image->bytes + at, data, bytes);
    image->used = at + bytes;
    return at;
}

void table_image_point(struct table_image *image, u32 at, u32 size, const struct table_image *target,
                       u32 target_offset)
{
    assert(image->pointer_count < TABLE_IMAGE_FIXES && at + size <= image->used);
    put32(image->bytes + at, target_offset);
    image->pointer[image->pointer_count].at = at;
    image->pointer[image->pointer_count].size = size;
    image->pointer[image->pointer_count++].target = target;
}

void table_image_sum(struct table_image *image, u32 start, u32 bytes, u32 at)
{
    assert(image->sum_count < TABLE_IMAGE_FIXES && start + bytes <= image->used);
    image->sum[image->sum_count].start = start;
    image->sum[image->sum_count].bytes = bytes;
    image->sum[image->sum_count++].at = at;
}

void table_image_settle(struct table_image *image)
{
    for (unsigned n = 0; n < image->pointer_count; n++) {
        u8 *pointer = image->bytes + image->pointer[n].at;
        put32(pointer, get32(pointer) + image->pointer[n].target->base);
    }
    for (unsigned n = 0; n < image->sum_count; n++) {
        u8 sum = 0;
        for (u32 i = 0; i < image->sum[n].bytes; i++)
            sum += image->bytes[image->sum[n].start + i];
        image->bytes[image->sum[n].at] -= sum;
    }
}

/* --- the script --- */

enum {
    COMMAND_ALLOCATE = 1,    /* file, alignment (4 bytes), zone (1) */
    COMMAND_ADD_POINTER = 2, /* file with the pointer, file pointed to, offset (4), size (1) */
    COMMAND_ADD_CHECKSUM = 3 /* file, offset (4), start (4), bytes (4) */
};
enum { COMMAND_FILE = 4, NAME_BYTES = 56, COMMAND_REST = COMMAND_FILE + NAME_BYTES };

struct script {
    u8 *out; /* NULL: only count */
    u32 bytes;
};

static void command(struct script *script, u32 code, const char *file, const void *rest, u32 rest_bytes)
{
    u8 entry[TABLE_SCRIPT_ENTRY_BYTES] = {0};
    put32(entry, code);
    assert(strlen(file) < NAME_BYTES && COMMAND_REST + rest_bytes <= sizeof(entry));
    strcpy((char *)entry + COMMAND_FILE, file);
    memcpy(entry + COMMAND_REST, rest, rest_bytes);
    if (script->out) memcpy(script->out + script->bytes, entry, sizeof(entry));
    script->bytes += sizeof(entry);
}

static const char *name_of(const struct table_file *files, unsigned count, const struct table_image *image)
{
    for (unsigned n = 0; n < count; n++)
        if (files[n].image == image) return files[n].name;
    assert(!"the target of a pointer is one of the files");
    return "";
}

static void fix_pointers(struct script *script, const struct table_file *files, unsigned count,
                         const struct table_file *file)
{
    for (unsigned n = 0; n < file->image->pointer_count; n++) {
        u8 rest[NAME_BYTES + 5] = {0};
        strcpy((char *)rest, name_of(files, count, file->image->pointer[n].target));
        put32(rest + NAME_BYTES, file->image->pointer[n].at);
        rest[NAME_BYTES + 4] = (u8)file->image->pointer[n].size;
        command(script, COMMAND_ADD_POINTER, file->name, rest, sizeof(rest));
    }
}

static void fix_sums(struct script *script, const struct table_file *file)
{
    for (unsigned n = 0; n < file->image->sum_count; n++) {
        u8 rest[12];
        put32(rest, file->image->sum[n].at);
        put32(rest + 4, file->image->sum[n].start);
        put32(rest + 8, file->image->sum[n].bytes);
        command(script, COMMAND_ADD_CHECKSUM, file->name, rest, sizeof(rest));
    }
}

u32 table_script(const struct table_file *files, unsigned count, u8 *out)
{
    struct script script = {.out = out};
    for (unsigned n = 0; n < count; n++) {
        u8 rest[5];
        put32(rest, files[n].align);
        rest[4] = (u8)files[n].zone;
        command(&script, COMMAND_ALLOCATE, files[n].name, rest, sizeof(rest));
    }
    for (unsigned n = 0; n < count; n++)
        fix_pointers(&script, files, count, &files[n]);
    for (unsigned n = 0; n < count; n++)
        fix_sums(&script, &files[n]);
    return script.bytes;
}
