/*
 * The four states of a PAM segment, and a firmware that copies itself. Hazard: a BIOS that runs from stale bytes.
 */
#include "board/shadow_ram.h"

#include "board_rig.h"

#include <stdlib.h>
#include <string.h>

#define ROM_BYTES 0x20000u

int main(void)
{
    struct board_rig *rig = board_rig_new(4u << 20, NULL);
    u8 *rom = aligned_alloc(PAGE_SIZE, ROM_BYTES);
    if (!rom) abort();
    for (unsigned i = 0; i < ROM_BYTES; i++)
        rom[i] = (u8)(i ^ i >> 8);
    struct shadow_ram shadow_ram, *s = &shadow_ram;
    struct phys *phys = &rig->phys;
    shadow_ram_init(s, &rig->board);

    /* Without a ROM there is RAM for all values of the registers. */
    shadow_ram_find_rom(s);
    phys_write(phys, 0xf0000, 4, 0x12345678);
    CHECK_EQ(phys_read(phys, 0xf0000, 4), 0x12345678);

    CHECK_EQ(phys_map_rom(phys, 0x100000000ull - ROM_BYTES, ROM_BYTES, rom), 0);
    shadow_ram_find_rom(s);
    CHECK_EQ(phys_read(phys, 0xe0001, 1), rom[1]);
    CHECK_EQ(phys_read(phys, 0xffff0, 1), rom[ROM_BYTES - 16]);
    phys_write(phys, 0xf0000, 1, 0xaa);
    CHECK_EQ(phys_read(phys, 0xf0000, 1), rom[0x10000]);
    /* C0000h-DFFFFh has no ROM. */
    phys_write(phys, 0xc8000, 1, 0xaa);
    CHECK_EQ(phys_read(phys, 0xc8000, 1), 0xaa);

    /* Read ROM, write RAM: a copy onto itself; then RAM shows the copy. */
    shadow_ram_switch(s, 0xf0000, 0x10000, false, true);
    for (u32 at = 0xf0000; at < 0x100000; at += 4)
        phys_write(phys, at, 4, phys_read(phys, at, 4));
    phys_write(phys, 0xf0003, 2, 0xbbaa);
    CHECK_EQ(phys_read(phys, 0xf0003, 1), rom[0x10003]);
    shadow_ram_switch(s, 0xf0000, 0x10000, true, false);
    CHECK_EQ(phys_read(phys, 0xf0003, 2), 0xbbaa);
    CHECK_EQ(phys_read(phys, 0xffff0, 1), rom[ROM_BYTES - 16]);
    phys_write(phys, 0xf0003, 1, 0x11);
    CHECK_EQ(phys_read(phys, 0xf0003, 1), 0xaa);
    shadow_ram_switch(s, 0xf0000, 0x10000, true, true);
    phys_write(phys, 0xf0003, 1, 0x11);
    CHECK_EQ(phys_read(phys, 0xf0003, 1), 0x11);
    CHECK_EQ(phys_read(phys, 0xe0001, 1), rom[1]);

    /* Back at reset. */
    shadow_ram_find_rom(s);
    CHECK_EQ(phys_read(phys, 0xf0003, 1), rom[0x10003]);
    for (unsigned i = 0; i < 100; i++)
        shadow_ram_switch(s, 0xc0000, 0x40000, i & 1, i & 2);
    CHECK(phys->region_count < 32);

    CHECK(rig->memory_changes >= 100); /* each must drop translations of the old memory */
    board_rig_free(rig);
    free(rom);
    return check_report();
}
