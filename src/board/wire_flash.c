#include "wire_flash.h"

#include "base/log.h"
#include "board.h"
#include "drives.h"
#include "mmu/phys.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define CHIPS_MAX_BYTES                                                                                      \
    (16u << 20) /* of both; QEMU's PC has 8 MB for them by default, and as much by an option */

static void show_array(void *machine, bool array)
{
    struct flash_chip *chip = machine;
    struct phys *phys = chip->board->memory;
    u32 bytes = chip->flash.bytes;
    int failed = array
                     ? phys_map_flash(phys, chip->gpa, bytes, chip->flash.array, &nor_flash_ops, &chip->flash)
                     : phys_map_mmio(phys, chip->gpa, bytes, &nor_flash_ops, &chip->flash);
    if (failed)
        board_stop(chip->board, STOP_HOST, STATUS_HOST, "cannot map a flash chip: %s", strerror(-failed));
    board_memory_changed(chip->board, chip->gpa, bytes);
}

/* --- contents --- */

static void flush(struct flash_chip *chip)
{
    if (chip->flushing || !chip->written) return;
    chip->flushing = true;
    chip->written = false;
    disk_submit(drive_disk(chip->drive), &chip->flush);
}

static void flushed(struct disk_request *request)
{
    struct flash_chip *chip = request->device;
    chip->flushing = false;
    flush(chip);
}

/* The host has the bytes when this returns, and on its disk soon after: a variable that the guest has written survives
 * the end of the process. */
static bool store(void *machine, u32 offset, const u8 *bytes, u32 count)
{
    struct flash_chip *chip = machine;
    struct disk_image *image = chip->drive->block.image;
    struct iovec part;
    if (image->ops->write(image, offset, span_of(&part, bytes, count))) return false;
    chip->written = true;
    flush(chip);
    return true;
}

static bool make_chip(struct flash_chip *chip, struct board *board, u64 end, char *error, size_t error_bytes)
{
    struct disk_image *image = chip->drive->block.image;
    const char *file = chip->drive->option->file;
    if (image->bytes > CHIPS_MAX_BYTES - (PHYS_HIGH_RAM - end) || (image->bytes & PAGE_MASK)) {
        snprintf(
            error, error_bytes,
            "flash image '%s' has %llu bytes; it is a multiple of 4096, and there are at most %u MB in all",
            file, (unsigned long long)image->bytes, CHIPS_MAX_BYTES >> 20);
        return false;
    }
    u8 *array = mmap(NULL, image->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (array == MAP_FAILED) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    struct iovec part;
    int failed = image->ops->read(image, 0, span_of(&part, array, image->bytes));
    chip->board = board;
    chip->gpa = end - image->bytes;
    chip->flush = (struct disk_request){.operation = DISK_FLUSH, .done = flushed, .device = chip};
    nor_flash_init(&chip->flash, array, (u32)image->bytes, image->read_only,
                   &(struct nor_flash_wiring){.show_array = show_array, .store = store, .machine = chip});
    if (failed) snprintf(error, error_bytes, "cannot read flash image '%s': %s", file, strerror(-failed));
    return !failed;
}

bool wire_flash_init(struct wire_flash *wire, struct board *board, char *error, size_t error_bytes)
{
    u64 end = PHYS_HIGH_RAM;
    for (unsigned n = 0; n < FLASH_CHIPS; n++) {
        struct flash_chip *chip = &wire->chip[n];
        chip->drive = drives_at(board->drives, DRIVE_FLASH, n);
        if (!chip->drive) continue;
        if (n && !wire->chip[n - 1].drive) {
            snprintf(error, error_bytes, "there is a flash drive %u, and no flash drive %u", n, n - 1);
            return false;
        }
        if (!make_chip(chip, board, end, error, error_bytes)) return false;
        end = chip->gpa;
    }
    board->facts.flash = wire->chip[0].drive != NULL;
    return true;
}

void wire_flash_destroy(struct wire_flash *wire)
{
    for (unsigned n = 0; n < FLASH_CHIPS; n++)
        if (wire->chip[n].flash.array) munmap(wire->chip[n].flash.array, wire->chip[n].flash.bytes);
}

void wire_flash_reset(struct wire_flash *wire)
{
    for (unsigned n = 0; n < FLASH_CHIPS; n++) {
        struct flash_chip *chip = &wire->chip[n];
        if (!chip->drive) continue;
        nor_flash_reset(&chip->flash);
        show_array(chip, true);
    }
}
