/*
 * The PC in the state in which firmware leaves it to a boot loader: memory map and BIOS data area. Also the two
 * modes in which boot protocols start kernels: flat protected mode, and 64-bit mode.
 *
 *   0 .. 9FC00h        RAM: 400h BIOS data area, boot data from 10000h on
 *   9FC00h .. A0000h   extended BIOS data area (reserved)
 *   A0000h .. 100000h  video memory, option ROMs, BIOS
 *   1 MB .. 3 GB       RAM
 *   .. 4 GB            devices; the firmware's ROM at the end
 *   4 GB ..            RAM
 */
#include "kernel_rom.h"
#include "load_common.h"

#include <string.h>

#define EBDA      (BASE_MEMORY_KB * 1024u)
#define BIOS_AREA 0xf0000u
#define BIOS_ROM  0xfffc0000u
#define BOOT_AREA 0x10000u
#define BOOT_END  0x90000u

static void map_add(struct memory_map *map, u64 base, u64 end, u32 type)
{
    if (end <= base) return;
    map->at[map->count].base = base;
    map->at[map->count].bytes = end - base;
    map->at[map->count++].type = type;
}

struct memory_map pc_memory_map(const struct phys *phys)
{
    struct memory_map map = {.count = 0};
    u64 low = phys_low_ram_bytes(phys);
    map_add(&map, 0, EBDA, MEMORY_RAM);
    map_add(&map, EBDA, 0xa0000, MEMORY_RESERVED);
    map_add(&map, BIOS_AREA, ONE_MB, MEMORY_RESERVED);
    map_add(&map, ONE_MB, low, MEMORY_RAM);
    map_add(&map, BIOS_ROM, PHYS_HIGH_RAM, MEMORY_RESERVED);
    map_add(&map, PHYS_HIGH_RAM, PHYS_HIGH_RAM + (phys->ram_bytes - low), MEMORY_RAM);
    return map;
}

struct boot_area pc_boot_area(struct load *load, u64 low, u64 behind)
{
    if (load->rom) return kernel_rom_area(load);
    if (low < BOOT_END) return (struct boot_area){.at = behind, .end = phys_low_ram_bytes(load->phys)};
    return (struct boot_area){.at = BOOT_AREA, .end = BOOT_END};
}

u64 pc_ram_end(const struct load *load)
{
    return load->rom ? kernel_rom_top(load) : phys_low_ram_bytes(load->phys);
}

/* IBM PS/2 and PC BIOS Interface Technical Reference, section 3, "BIOS data area". */
void pc_write_bios_data(struct load *load)
{
    if (load->rom) return; /* the firmware writes it */
    u8 area[0x100] = {0};
    put16(area + 0x00, 0x3f8); /* COM1, COM2 */
    put16(area + 0x02, 0x2f8);
    put16(area + 0x0e, EBDA >> 4);
    put16(area + 0x10,
          2 << 9 /* serial ports */ | 2 << 4 /* 80x25 colour */ | 1 << 2 /* mouse */ | 1 << 1 /* x87 */);
    put16(area + 0x13, BASE_MEMORY_KB);
    area[0x49] = 3; /* video mode, columns, bytes of a page, cursor shape, CRT controller, rows - 1, scan
                       lines a row */
    put16(area + 0x4a, 80);
    put16(area + 0x4c, 4096);
    put16(area + 0x60, 0x0607);
    put16(area + 0x63, 0x3d4);
    area[0x84] = 24;
    put16(area + 0x85, 16);
    phys_write_bytes(load->phys, 0x400, area, sizeof area);
    u8 ebda[16] = {1}; /* size in KB */
    phys_write_bytes(load->phys, EBDA, ebda, sizeof ebda);
}

enum { SELECTOR_CODE = 0x10, SELECTOR_DATA = 0x18, SELECTOR_TSS = 0x20 };

static int enter_by_rom(struct load *load, struct boot_area *area, u32 gdt, u32 gdt_bytes,
                        const struct flat_entry *entry)
{
    struct kernel_rom *rom = load->rom;
    rom->gdt = gdt;
    rom->gdt_bytes = gdt_bytes;
    rom->code_segment = SELECTOR_CODE;
    rom->data_segment = SELECTOR_DATA;
    rom->eip = entry->eip;
    rom->registers =
        (struct rom_registers){.eax = entry->eax, .ebx = entry->ebx, .esi = entry->esi, .esp = BOOT_END};
    return kernel_rom_finish(load, area);
}

/* Accessed and busy bits are set, as if the registers had been loaded from here. */
#define DATA_4GB 0x00cf93000000ffff /* 4 GB, read and write */
#define TSS_AT_0 0x00008b0000000067 /* 32-bit TSS at 0, which PVH requires; in IA-32e mode a 64-bit one */

#define FLAT_ACCESS (AR_P | AR_S | AR_G | AR_ACCESSED)

/* The state that the protocols share. `code` is AR_DB or AR_L. */
static void set_registers(struct vcpu *v, const struct flat_entry *entry, u32 code)
{
    for (unsigned n = 0; n < ARRAY_SIZE(v->gpr); n++)
        v->gpr[n] = 0;
    v->gpr[REG_EAX] = entry->eax;
    v->gpr[REG_EBX] = entry->ebx;
    v->gpr[REG_ESI] = entry->esi;
    v->gpr[REG_ESP] = BOOT_END; /* no protocol defines it */
    v->rip = entry->eip;
    v->eflags = FL_ONE;
    v->cpl = 0;
    const struct segment flat = {.base = 0, .limit = 0xffffffff};
    for (unsigned n = 0; n < SEG_COUNT; n++) {
        v->seg[n] = flat;
        v->seg[n].selector = n == SEG_CS ? SELECTOR_CODE : SELECTOR_DATA;
        v->seg[n].access = FLAT_ACCESS | (n == SEG_CS ? code | AR_CODE | AR_READABLE : AR_DB | AR_WRITABLE);
    }
    v->tr = (struct segment){.base = 0, .limit = 0x67, .access = AR_P | 0xb, .selector = SELECTOR_TSS};
    v->ldtr = (struct segment){.base = 0, .limit = 0, .access = AR_UNUSABLE, .selector = 0};
    v->idtr = (struct desc_table){.base = 0, .limit = 0};
    v->paging.cr0 = CR0_PE | CR0_ET;
    v->paging.cr3 = 0;
    v->paging.cr4 = 0;
    v->paging.efer = 0;
}

int pc_enter_flat(struct load *load, struct boot_area *area, struct flat_entry entry)
{
    static const u64 gdt[] = {
        [SELECTOR_CODE / 8] = 0x00cf9b000000ffff, /* 4 GB, execute and read */
        [SELECTOR_DATA / 8] = DATA_4GB,
        [SELECTOR_TSS / 8] = TSS_AT_0,
    };
    u64 at;
    int status = boot_put(load, area, gdt, sizeof gdt, 8, &at);
    if (status) return status;
    if (load->rom) return enter_by_rom(load, area, (u32)at, sizeof gdt, &entry);
    set_registers(load->v, &entry, AR_DB);
    load->v->gdtr = (struct desc_table){.base = (u32)at, .limit = sizeof gdt - 1};
    vcpu_update_mode(load->v);
    return 0;
}

/* Four-level page tables that map the first 4 GB to themselves by pages of 2 MB (SDM 3A 4.5.4): a page each of the
 * first and second level, and four of the third. */
static int put_page_tables(struct load *load, struct boot_area *area, u64 *top)
{
    enum { ENTRIES = PAGE_SIZE / 8, DIRECTORIES = 4, PRESENT_WRITABLE = 3, LARGE = 1 << 7 };
    u8 directory[PAGE_SIZE], pointers[PAGE_SIZE] = {0}, first[PAGE_SIZE] = {0};
    u64 at = 0;
    int status = 0;
    for (unsigned n = 0; !status && n < DIRECTORIES; n++) {
        for (unsigned i = 0; i < ENTRIES; i++)
            put64(directory + 8 * i, (u64)(n * ENTRIES + i) << 21 | LARGE | PRESENT_WRITABLE);
        status = boot_put(load, area, directory, sizeof directory, PAGE_SIZE, &at);
        put64(pointers + 8 * n, at | PRESENT_WRITABLE);
    }
    if (!status) status = boot_put(load, area, pointers, sizeof pointers, PAGE_SIZE, &at);
    put64(first, at | PRESENT_WRITABLE);
    return status ? status : boot_put(load, area, first, sizeof first, PAGE_SIZE, top);
}

int pc_enter_long(struct load *load, struct boot_area *area, struct flat_entry entry)
{
    static const u64 gdt[] = {
        [SELECTOR_CODE / 8] = 0x00af9b000000ffff, /* 64-bit code */
        [SELECTOR_DATA / 8] = DATA_4GB,
        [SELECTOR_TSS / 8] = TSS_AT_0,
        0, /* a TSS descriptor has 16 bytes here */
    };
    u64 at, tables;
    int status = boot_put(load, area, gdt, sizeof gdt, 8, &at);
    if (!status) status = put_page_tables(load, area, &tables);
    if (status) return status;
    struct vcpu *v = load->v;
    set_registers(v, &entry, AR_L);
    for (unsigned n = 0; n < ARRAY_SIZE(v->gpr_high); n++)
        v->gpr_high[n] = 0;
    v->base64.fs = v->base64.gs = v->base64.ldtr = v->base64.tr = 0;
    v->gdtr = (struct desc_table){.base = at, .limit = sizeof gdt - 1};
    v->paging.cr0 |= CR0_PG;
    v->paging.cr3 = tables;
    v->paging.cr4 = CR4_PAE;
    v->paging.efer = EFER_LME | EFER_LMA;
    shadow_load_root(v->shadow, &v->paging);
    vcpu_update_mode(v);
    return 0;
}
