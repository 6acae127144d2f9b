/*
 * A kernel that firmware starts: an option ROM (kernel_rom.S) and what it loads, as items of the firmware configuration
 * device. Multiboot kernels and bzImages of the 16-bit boot protocol are started so, because they may call the BIOS.
 *
 * The loaders work as for a direct start, but write nothing to guest memory. image_read_to_guest(), guest_zero(),
 * boot_put() and pc_enter_flat() record here what is to be done, and the ROM does it when firmware boots from it.
 * It loads one stream:
 *
 *   | boot data | piece | piece | ...
 *
 * Boot data goes to low memory. It holds structures and strings for the kernel, and a DMA descriptor for each piece. A
 * piece is a part of a file, or zeros. Files are read when the ROM asks for them, at every start of the machine, and
 * are not kept in memory.
 *
 * Invariants: pieces are in RAM that the firmware leaves free, and do not overlap the boot data. No piece is longer
 * than a DMA request can be.
 */
#ifndef RINGER_BOOT_KERNEL_ROM_H
#define RINGER_BOOT_KERNEL_ROM_H

#include "devices/chipset/fw_cfg.h"

struct load;
struct image;
struct boot_area;

/* The registers when the kernel starts. */
struct rom_registers {
    u32 eax, ebx, esi, esp;
};

struct rom_piece {
    u64 gpa, offset; /* offset in the file */
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
    u32 descriptors;    /* address of the first descriptor */
    u32 map, map_room;  /* address and entries of an empty Multiboot memory map; 0: the kernel wants none */
    u32 information;    /* address of Multiboot's boot information */
    u32 gdt, gdt_bytes; /* 0: the kernel starts in real mode */
    u16 code_segment, data_segment;
    u32 eip;
    struct rom_registers registers;
};

struct kernel_rom *kernel_rom_new(void);
void kernel_rom_free(struct kernel_rom *rom);

/* --- for the loaders. Functions that return int give 0, or an exit status with a sentence in load->error --- */

/* Have a part of a file, or zeros (image NULL), loaded to guest memory. */
int kernel_rom_load(struct load *load, const struct image *image, u64 offset, u64 gpa, u64 bytes);
/* Choose the area of the boot data: the largest gap that the pieces leave in low memory. */
struct boot_area kernel_rom_area(struct load *load);
/* The end of the RAM that can be loaded above 1 MB. */
u64 kernel_rom_top(const struct load *load);
/* Put data (NULL: zeros) at `gpa` in that area. */
int kernel_rom_put(struct load *load, u64 gpa, const void *data, u64 bytes);
/* Put the descriptors into the same area. Call it last. */
int kernel_rom_finish(struct load *load, struct boot_area *area);

/* --- for the firmware's side --- */

/* For an item: bytes of a piece, which is `source`. */
void rom_piece_read(void *source, u32 offset, u8 *buffer, u32 bytes);

#define KERNEL_ROM_FILE "genroms/kernel.rom"

/* The ROM and the stream as items. The ROM stays in use as long as `config`. */
bool kernel_rom_install(struct kernel_rom *rom, struct fw_cfg *config);

#endif
