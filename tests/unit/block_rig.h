/*
 * For tests of disk images: a directory of files, qemu-img as judge, and a model of the medium's right contents.
 */
#ifndef RINGER_TESTS_BLOCK_RIG_H
#define RINGER_TESTS_BLOCK_RIG_H

#include "block/host_file.h"
#include "block/qcow2_format.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

static char rig_directory[] = "/tmp/ringer-block-XXXXXX";
static char rig_error[1024];

static inline bool rig_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A command in the directory; its output is shown if it fails. */
static inline bool rig_run(const char *format, ...)
{
    char command[2048], whole[3000];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    snprintf(whole, sizeof(whole), "cd %s && { %s; } >log 2>&1 </dev/null", rig_directory, command);
    if (!system(whole)) return true;
    printf("failed: %s\n", command);
    fflush(stdout);
    snprintf(whole, sizeof(whole), "head -20 %s/log", rig_directory);
    if (system(whole)) puts("(no output)");
    return false;
}

/* Makes the directory. Returns false if there is no qemu-img: then there is no test. */
static inline bool rig_begin(void)
{
    if (!mkdtemp(rig_directory)) return false;
    if (!system("qemu-img --version >/dev/null 2>&1")) return true;
    puts("skipped: there is no qemu-img (Debian: qemu-utils)");
    return false;
}

static inline int rig_end(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", rig_directory);
    CHECK(!system(command));
    return check_report();
}

static inline const char *rig_path(const char *name)
{
    static char path[4][1200];
    static unsigned turn;
    char *it = path[turn++ % 4];
    snprintf(it, sizeof(path[0]), "%s/%s", rig_directory, name);
    return it;
}

static inline struct disk_image *rig_open(const char *name, const char *format, bool read_only)
{
    const struct disk_image_how how = {.format = format, .read_only = read_only};
    struct disk_image *image = disk_image_open(rig_path(name), &how, rig_error, sizeof(rig_error));
    if (!image) printf("%s\n", rig_error);
    return image;
}

static inline int rig_read(struct disk_image *image, u64 offset, void *to, u64 bytes)
{
    struct iovec part;
    return image->ops->read(image, offset, span_of(&part, to, bytes));
}

static inline int rig_write(struct disk_image *image, u64 offset, const void *from, u64 bytes)
{
    struct iovec part;
    return image->ops->write(image, offset, span_of(&part, from, bytes));
}

/* --- randomness that is the same everywhere --- */

static u64 rig_seed = 1;

static inline u64 rig_random(void)
{
    rig_seed ^= rig_seed << 13;
    rig_seed ^= rig_seed >> 7;
    rig_seed ^= rig_seed << 17;
    return rig_seed;
}

static inline void rig_fill(u8 *bytes, u64 count)
{
    u64 value = rig_random();
    for (u64 n = 0; n < count; n++)
        bytes[n] = (u8)(value + n / 512 * 3 + n % 7);
}

/* --- the model --- */

struct rig_model {
    struct disk_image *image;
    u8 *bytes;
    u64 size;
};

/* A random offset and length in sectors; lengths of all orders of magnitude. */
static inline void rig_place(u64 size, u64 *offset, u64 *bytes)
{
    u64 sectors = size / 512, most = 1ull << (rig_random() % 9);
    *offset = rig_random() % sectors * 512;
    if (rig_random() % 4 == 0) *offset &= ~(u64)0xffff;
    *bytes = (rig_random() % most + 1) * 512;
    if (rig_random() % 8 == 0) *bytes = 65536 * (1 + rig_random() % 4);
    if (*bytes > size - *offset) *bytes = size - *offset;
}

static inline void rig_check(struct rig_model *m)
{
    u8 *bytes = malloc(m->size);
    CHECK_EQ(rig_read(m->image, 0, bytes, m->size), 0);
    u64 at = 0;
    while (at < m->size && bytes[at] == m->bytes[at])
        at++;
    CHECK_EQ(at, m->size);
    free(bytes);
}

/* One random operation. Discarded sectors may read as anything, so the model takes what they read as. */
static inline void rig_step(struct rig_model *m)
{
    u64 offset, bytes, what = rig_random() % 16;
    rig_place(m->size, &offset, &bytes);
    if (what < 9) {
        rig_fill(m->bytes + offset, bytes);
        CHECK_EQ(rig_write(m->image, offset, m->bytes + offset, bytes), 0);
    } else if (what < 11) {
        memset(m->bytes + offset, 0, bytes);
        CHECK_EQ(m->image->ops->zero(m->image, offset, bytes), 0);
    } else if (what < 13) {
        CHECK_EQ(m->image->ops->discard(m->image, offset, bytes), 0);
        CHECK_EQ(rig_read(m->image, offset, m->bytes + offset, bytes), 0);
    } else if (what == 13) {
        CHECK_EQ(m->image->ops->flush(m->image), 0);
    } else {
        u8 *read = malloc(bytes);
        CHECK_EQ(rig_read(m->image, offset, read, bytes), 0);
        CHECK(!memcmp(read, m->bytes + offset, bytes));
        free(read);
    }
}

static inline bool rig_save(const char *name, const void *bytes, u64 size)
{
    FILE *file = fopen(rig_path(name), "w");
    bool good = file && fwrite(bytes, 1, size, file) == size;
    if (file && fclose(file)) good = false;
    return good;
}

#endif
