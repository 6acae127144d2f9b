#include "shadow_ram.h"

#include "board.h"
#include "mmu/phys.h"

#include <string.h>

/* Reads go to the ROM, writes to the RAM beneath. It is slow, because it is a device; only firmware that copies itself
 * uses it. */
static u32 beneath_read(void *device, u32 offset, unsigned size)
{
    const struct shadow_chunk *chunk = device;
    u32 value = 0;
    memcpy(&value, chunk->rom + offset, size);
    return value;
}

static void beneath_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct shadow_chunk *chunk = device;
    memcpy(chunk->ram + offset, &value, size);
}

static const struct io_ops beneath_ops = {beneath_read, beneath_write};

void shadow_ram_init(struct shadow_ram *shadow_ram, struct board *board)
{
    *shadow_ram = (struct shadow_ram){.board = board};
    for (unsigned n = 0; n < SHADOW_RAM_CHUNKS; n++)
        shadow_ram->chunk[n].ram = board->memory->ram + SHADOW_RAM_BASE + n * SHADOW_RAM_CHUNK;
}

static void switch_chunk(struct phys *phys, struct shadow_chunk *chunk, u64 gpa, bool read_ram,
                         bool write_ram)
{
    if (!chunk->rom || (read_ram && write_ram))
        phys_map_ram(phys, gpa, SHADOW_RAM_CHUNK);
    else if (write_ram)
        phys_map_mmio(phys, gpa, SHADOW_RAM_CHUNK, &beneath_ops, chunk);
    else
        phys_map_rom(phys, gpa, SHADOW_RAM_CHUNK, read_ram ? chunk->ram : (u8 *)chunk->rom);
}

void shadow_ram_switch(struct shadow_ram *shadow_ram, u64 gpa, u64 bytes, bool read_ram, bool write_ram)
{
    struct board *board = shadow_ram->board;
    for (u64 at = gpa; at < gpa + bytes; at += SHADOW_RAM_CHUNK)
        switch_chunk(board->memory, &shadow_ram->chunk[(at - SHADOW_RAM_BASE) / SHADOW_RAM_CHUNK], at,
                     read_ram, write_ram);
    board_memory_changed(board, gpa, bytes);
}

/* The ISA bridge answers at E0000h-FFFFFh with the last 128 KB below 4 GB (82371SB datasheet 4.1.13, BIOS
 * enable). */
#define ROM_ALIAS_BASE 0xe0000u
#define ROM_ALIAS_MOVE 0xfff00000u

void shadow_ram_find_rom(struct shadow_ram *shadow_ram)
{
    for (unsigned n = 0; n < SHADOW_RAM_CHUNKS; n++) {
        u64 gpa = SHADOW_RAM_BASE + n * SHADOW_RAM_CHUNK, alias = gpa + ROM_ALIAS_MOVE;
        const struct phys_region *region = phys_find(shadow_ram->board->memory, alias);
        bool rom = gpa >= ROM_ALIAS_BASE && region && region->kind == PHYS_ROM &&
                   alias + SHADOW_RAM_CHUNK <= region->gpa + region->bytes;
        shadow_ram->chunk[n].rom = rom ? region->host + (alias - region->gpa) : NULL;
    }
    shadow_ram_switch(shadow_ram, SHADOW_RAM_BASE, SHADOW_RAM_END - SHADOW_RAM_BASE, false, false);
}
