/*
 * A kernel that firmware starts: an option ROM (kernel_rom.S), and what the ROM is to load, as items of the firmware
 * configuration device. Two kinds of kernels are started so, because they may call the BIOS: Multiboot kernels, and
 * bzImages by the 16-bit boot protocol.
 *
 * The loaders work as they do for a direct start, but nothing goes into guest memory: image_read_to_guest(),
 * guest_zero(), boot_put() and pc_enter_flat() write down here what is to be done, and the ROM does it when
 * firmware boots from it. What it loads is one stream:
 *
 *   | boot data | piece | piece | ...
 *
 * Boot data goes to low memory, and holds structures and strings for the kernel, and a DMA descriptor for each piece. A piece
 * is a part of a file, or zeros. Files are read when the ROM asks, at every start of the machine, and not kept in memory.
 *
 * Invariants: pieces are in RAM that the firmware leaves free, and apart from the boot data. Each is as long as one DMA request
 * may be.
 */
#ifndef RINGER_BOOT_KERNEL_ROM_H
#define RINGER_BOOT_KERNEL_ROM_H

#include "devices/chipset/fw_cfg.h"

struct load;
struct image;
struct boot_area;

/* What the registers hold when the kernel starts. */
struct rom_registers {
    u32 eax, ebx, esi, esp;
};

struct rom_piece {
    u64 gpa, offset; /* in the file */
    u32 bytes;
    int fd; /* -1: zeros */
};

#define ROM_FILES 272 /* kernel, initrd or modules */

struct kernel_rom {
    struct rom_piece *piece;
    unsigned piece_count, piece_room;
    int fd[ROM_FILES];
    unsigned fd_count;

    u8 *data; /* the boot data, from the address data_gpa on */
    u32 data_gpa, data_bytes;
    u32 descriptors;    /* address of the first */
    u32 map, map_room;  /* address of an empty Multiboot memory map, its entries; 0: none is wanted */
    u32 information;    /* address of Multiboot's boot information */
    u32 gdt, gdt_bytes; /* 0: the kernel starts in real mode */
    u16 code_segment, data_segment;
    u32 eip;
    struct rom_registers registers;
};

struct kernel_rom *kernel_rom_new(void);
void kernel_rom_free(struct kernel_rom *rom);

/* --- for the loaders: 0, or a status with the sentence in load->error --- */

/* Part of a file, or zeros (image NULL), to guest memory. */
int kernel_rom_load(struct load *load, const struct image *image, u64 offset, u64 gpa, u64 bytes);
/* The largest gap that the pieces leave in low memory becomes the area of the boot data. */
struct boot_area kernel_rom_area(struct load *load);
/* Where RAM ends for what is loaded above 1 MB. */
u64 kernel_rom_top(const struct load *load);
/* Into that area, which `gpa` is in; `data` NULL: zeros. */
int kernel_rom_put(struct load *load, u64 gpa, const void *data, u64 bytes);
/* After all else: the descriptors, into the same area. */
int kernel_rom_finish(struct load *load, struct boot_area *area);

/* --- for the firmware's side --- */

#define KERNEL_ROM_FILE "genroms/kernel.rom"

/* The ROM and the stream as items. The ROM stays in use as long as `config`. */
bool kernel_rom_install(struct kernel_rom *rom, struct fw_cfg *config);

#endif
