/*
 * A raw firmware image. It becomes ROM in three ranges:
 *
 *   .. 4 GB           the whole image: the CPU starts at FFFFFFF0h after reset (SDM 3A 9.1.4)
 *   .. 4 GB - 1 MB    its last 128 KB: the CPU starts there if it is reset while the A20 gate is closed (82378ZB
 *                     datasheet 4.1.2; the PIIX3 has the same)
 *   .. 1 MB           its last 128 KB: shadow_ram.c maps RAM over it
 */
#include "board/shadow_ram.h"
#include "load_common.h"

#include "base/log.h"

#include <string.h>
#include <sys/mman.h>

#define FIRMWARE_MAX (16u << 20)
#define COPY_BYTES   (128u << 10)

int load_firmware(struct load *load)
{
    struct image file;
    int status = image_open(load, &file, "firmware", load->files->firmware);
    if (status) return status;
    if ((file.bytes & PAGE_MASK) || file.bytes > FIRMWARE_MAX) {
        image_close(&file);
        return load_fail(
            load, STATUS_USAGE,
            "firmware '%s' has %llu bytes; an image is a multiple of 4096 bytes, and at most 16 MB",
            file.path, (unsigned long long)file.bytes);
    }
    /* The host bridge maps ROM below 1 MB in whole chunks: bytes in front of a smaller image are FFh. */
    u64 bytes = align_up(file.bytes, SHADOW_RAM_CHUNK), empty = bytes - file.bytes;
    u64 at = PHYS_HIGH_RAM - bytes;
    /* After a reset the ROM is already mapped. */
    struct phys_region *region = phys_find(load->phys, at);
    bool mapped = region && region->kind == PHYS_ROM && region->gpa == at && region->bytes == bytes;
    u8 *rom =
        mapped ? region->host : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (rom == MAP_FAILED) {
        status = load_fail(load, STATUS_HOST, "there is no memory left on the host");
    } else if (!mapped) {
        memset(rom, 0xff, empty);
        status = image_read(load, &file, 0, rom + empty, file.bytes);
    }
    image_close(&file);
    if (!status && !mapped && phys_map_rom(load->phys, at, bytes, rom))
        status = load_fail(load, STATUS_HOST, "there is no room in the machine for firmware '%s'", file.path);
    if (status) {
        if (rom != MAP_FAILED && !mapped) munmap(rom, bytes);
        return status;
    }
    u64 copied = bytes < COPY_BYTES ? bytes : COPY_BYTES;
    u8 *copy = rom + (bytes - copied);
    bool high = !mapped && bytes <= ONE_MB; /* a larger image covers this range; no guest changes it */
    if (phys_map_rom(load->phys, ONE_MB - copied, copied, copy) ||
        (high && phys_map_rom(load->phys, PHYS_HIGH_RAM - ONE_MB - copied, copied, copy)))
        return load_fail(load, STATUS_HOST, "there is no room in the machine for firmware '%s'", file.path);
    shadow_flush(load->v->shadow);
    return 0;
}
