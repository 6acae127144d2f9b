/*
 * Files and guest memory. Every range is checked.
 */
#include "kernel_rom.h"
#include "load_common.h"

#include "base/host_path.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUNCH_FROM_BYTES (64u << 10) /* memset() is quicker for fewer bytes */

int load_fail(struct load *load, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(load->error, load->error_bytes, format, args);
    va_end(args);
    return status;
}

int image_open(struct load *load, struct image *image, const char *what, const char *path)
{
    *image = (struct image){.what = what, .path = path};
    /* O_NONBLOCK: a FIFO without a writer must not block. */
    image->fd = host_open(path, O_RDONLY | O_NONBLOCK, 0);
    struct stat about;
    if (image->fd < 0)
        return load_fail(load, STATUS_USAGE, "cannot open %s '%s': %s", what, path, strerror(errno));
    if (fstat(image->fd, &about) < 0 || !S_ISREG(about.st_mode)) {
        image_close(image);
        return load_fail(load, STATUS_USAGE, "%s '%s' is not a regular file", what, path);
    }
    image->bytes = (u64)about.st_size;
    if (!image->bytes) {
        image_close(image);
        return load_fail(load, STATUS_USAGE, "%s '%s' is empty", what, path);
    }
    return 0;
}

void image_close(struct image *image)
{
    if (image->fd >= 0) close(image->fd);
    free(image->memory);
    image->fd = -1;
    image->memory = NULL;
}

int image_read(struct load *load, const struct image *image, u64 offset, void *buffer, u64 bytes)
{
    u8 *to = buffer;
    if (offset > image->bytes || bytes > image->bytes - offset) goto truncated;
    if (image->memory) {
        memcpy(to, image->memory + offset, bytes);
        return 0;
    }
    while (bytes) {
        ssize_t got = pread(image->fd, to, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return load_fail(load, STATUS_HOST, "cannot read %s '%s': %s", image->what, image->path,
                             strerror(errno));
        if (got == 0) goto truncated; /* it has become shorter since it was opened */
        to += got;
        offset += (u64)got;
        bytes -= (u64)got;
    }
    return 0;
truncated:
    return load_fail(load, STATUS_USAGE, "%s '%s' is truncated", image->what, image->path);
}

bool guest_is_ram(struct load *load, u64 gpa, u64 bytes)
{
    if (gpa + bytes < gpa) return false;
    while (bytes) {
        const struct phys_region *region = phys_find(load->phys, gpa);
        if (!region || region->kind != PHYS_RAM) return false;
        u64 now = region->gpa + region->bytes - gpa;
        if (now >= bytes) return true;
        gpa += now;
        bytes -= now;
    }
    return true;
}

int image_read_to_guest(struct load *load, const struct image *image, u64 offset, u64 gpa, u64 bytes)
{
    if (!guest_is_ram(load, gpa, bytes))
        return load_fail(load, STATUS_USAGE,
                         "%s '%s' does not fit in memory: its addresses 0x%llx to 0x%llx are not all memory",
                         image->what, image->path, (unsigned long long)gpa,
                         (unsigned long long)(gpa + bytes - 1));
    if (load->rom) return kernel_rom_load(load, image, offset, gpa, bytes);
    while (bytes) {
        const struct phys_region *region = phys_find(load->phys, gpa);
        u64 room = region->gpa + region->bytes - gpa, now = bytes < room ? bytes : room;
        int status = image_read(load, image, offset, region->host + (gpa - region->gpa), now);
        if (status) return status;
        phys_written(load->phys, gpa, now);
        offset += now;
        gpa += now;
        bytes -= now;
    }
    return 0;
}

static void zero_by_hand(struct load *load, u64 gpa, u64 bytes)
{
    static const u8 zeros[PAGE_SIZE];
    while (bytes) {
        u64 now = bytes < sizeof zeros ? bytes : sizeof zeros;
        phys_write_bytes(load->phys, gpa, zeros, now);
        gpa += now;
        bytes -= now;
    }
}

int guest_zero(struct load *load, u64 gpa, u64 bytes)
{
    struct phys *phys = load->phys;
    if (load->rom) return kernel_rom_load(load, NULL, 0, gpa, bytes);
    while (bytes) {
        const struct phys_region *region = phys_find(phys, gpa);
        u64 room = region->gpa + region->bytes - gpa, now = bytes < room ? bytes : room;
        u64 first = align_up(gpa, PAGE_SIZE), last = (gpa + now) & ~(u64)PAGE_MASK;
        off_t in_file = region->host + (first - region->gpa) - phys->ram;
        if (now >= PUNCH_FROM_BYTES && !fallocate(phys->ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                                  in_file, (off_t)(last - first))) {
            phys_written(phys, first, last - first);
            zero_by_hand(load, gpa, first - gpa);
            zero_by_hand(load, last, gpa + now - last);
        } else {
            zero_by_hand(load, gpa, now);
        }
        gpa += now;
        bytes -= now;
    }
    return 0;
}

int boot_put(struct load *load, struct boot_area *area, const void *data, u64 bytes, u64 align, u64 *gpa)
{
    u64 at = align_up(area->at, align);
    if (at > area->end || bytes > area->end - at || !guest_is_ram(load, at, bytes))
        return load_fail(load, STATUS_USAGE,
                         "the kernel's boot data (command line, list of modules) does not fit in memory");
    int status = 0;
    if (load->rom)
        status = kernel_rom_put(load, at, data, bytes);
    else if (data)
        phys_write_bytes(load->phys, at, data, bytes);
    else
        zero_by_hand(load, at, bytes);
    area->at = at + bytes;
    *gpa = at;
    return status;
}
