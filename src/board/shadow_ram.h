/*
 * C0000h-FFFFFh: firmware ROM or the RAM beneath it. The PAM registers of the host bridge select it for each segment,
 * for reads and writes separately (82441FX datasheet 3.2.18):
 *
 *   read  write
 *    0     0     ROM                          1     0     RAM, write-protected
 *    0     1     read ROM, write RAM          1     1     RAM
 *
 * Where no ROM was loaded, there is RAM in all four states.
 */
#ifndef RINGER_BOARD_SHADOW_RAM_H
#define RINGER_BOARD_SHADOW_RAM_H

#include "base/device.h"

struct board;

#define SHADOW_RAM_BASE   0xc0000u
#define SHADOW_RAM_END    0x100000u
#define SHADOW_RAM_CHUNK  0x4000u /* the finest segment */
#define SHADOW_RAM_CHUNKS ((SHADOW_RAM_END - SHADOW_RAM_BASE) / SHADOW_RAM_CHUNK)

struct shadow_chunk {
    const u8 *rom; /* NULL: there is none here */
    u8 *ram;
};

struct shadow_ram {
    struct board *board;
    struct shadow_chunk chunk[SHADOW_RAM_CHUNKS];
};

void shadow_ram_init(struct shadow_ram *shadow_ram, struct board *board);
/* After a reset: map the end of the firmware that the loader has mapped below 4 GB, if any, below 1 MB too. */
void shadow_ram_find_rom(struct shadow_ram *shadow_ram);
/* Switch [gpa, gpa + bytes), which are multiples of SHADOW_RAM_CHUNK. */
void shadow_ram_switch(struct shadow_ram *shadow_ram, u64 gpa, u64 bytes, bool read_ram, bool write_ram);

#endif
