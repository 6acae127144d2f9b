/*
 * The four states of a PAM segment, and that a firmware can copy itself (hazard: a BIOS that runs from stale
 * bytes).
 */
#include "board/shadow_ram.h"

#include "check.h"
#include "cpu/interp.h"
#include "vm/vm.h"

#include <stdlib.h>
#include <string.h>

#define ROM_BYTES 0x20000u

int main(void)
{
    struct vm *vm = aligned_alloc(_Alignof(struct vm), sizeof(*vm));
    u8 *rom = aligned_alloc(PAGE_SIZE, ROM_BYTES);
    if (!vm || !rom) abort();
    memset(vm, 0, sizeof(*vm));
    for (unsigned i = 0; i < ROM_BYTES; i++)
        rom[i] = (u8)(i ^ i >> 8);
    CHECK_EQ(phys_init(&vm->phys, 4u << 20), 0);
    CHECK_EQ(shadow_init(&vm->shadow, &vm->phys, &vm->counters), 0);
    vm->vcpu.phys = &vm->phys;
    vm->vcpu.shadow = &vm->shadow;
    vm->vcpu.counters = &vm->counters;
    CHECK_EQ(interp_init(&vm->vcpu), 0);
    struct shadow_ram *s = &vm->chipset.shadow_ram;
    struct phys *phys = &vm->phys;
    shadow_ram_init(s, vm);

    /* No ROM: RAM whatever the registers say. */
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

    interp_destroy(&vm->vcpu);
    shadow_destroy(&vm->shadow);
    phys_destroy(phys);
    free(rom);
    free(vm);
    return check_report();
}
