/*
 * Flash chips for firmware: -drive if=pflash, -pflash. Chip 0 ends at 4 GB, so the CPU starts in it after a reset, and
 * its last 128 KB are below 1 MB too (shadow_ram.c). Chip 1 ends where chip 0 begins. Their contents are drives.
 */
#ifndef RINGER_BOARD_WIRE_FLASH_H
#define RINGER_BOARD_WIRE_FLASH_H

#include "base/disk.h"
#include "devices/storage/nor_flash.h"

struct board;
struct drive;

#define FLASH_CHIPS 2

struct flash_chip {
    struct nor_flash flash;
    struct board *board;
    struct drive *drive; /* NULL: there is no such chip */
    u64 gpa;
    struct disk_request flush;
    bool flushing; /* `flush` is under way */
    bool written;  /* the drive was written since */
};

struct wire_flash {
    struct flash_chip chip[FLASH_CHIPS];
};

/* False with one sentence in error. */
bool wire_flash_init(struct wire_flash *wire, struct board *board, char *error, size_t error_bytes);
void wire_flash_destroy(struct wire_flash *wire);
void wire_flash_reset(struct wire_flash *wire);

#endif
