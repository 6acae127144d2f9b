/*
 * What the loaders share: files and guest memory (load_image.c), and the PC as firmware would have left it
 * (load_pc.c).
 *
 * Functions that return int give 0, or an exit status with the sentence written into load->error.
 */
#ifndef RINGER_BOOT_LOAD_COMMON_H
#define RINGER_BOOT_LOAD_COMMON_H

#include "loader.h"

struct load {
    struct vcpu *v;
    struct phys *phys;
    const struct cpu_model *cpu;
    const struct boot_files *files;
    struct kernel_rom *rom; /* what the firmware is to load and start; NULL: it is done here and now */
    struct boot_screen screen;
    char *error;
    size_t error_bytes;
};

int load_fail(struct load *load, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- load_image.c --- */

struct image {
    const char *what; /* "kernel", "initrd", ... */
    const char *path;
    int fd;     /* -1: it is in memory */
    u8 *memory; /* from malloc(), or NULL */
    u64 bytes;
};

int image_open(struct load *load, struct image *image, const char *what, const char *path);
void image_close(struct image *image);
/* Exactly `bytes` from `offset` on; a file that ends before is "truncated". */
int image_read(struct load *load, const struct image *image, u64 offset, void *buffer, u64 bytes);
/* The same straight into guest RAM, all of [gpa, gpa+bytes). */
int image_read_to_guest(struct load *load, const struct image *image, u64 offset, u64 gpa, u64 bytes);

/* Is all of it RAM? */
bool guest_is_ram(struct load *load, u64 gpa, u64 bytes);
/* Zero guest RAM, giving whole pages back to the host. */
int guest_zero(struct load *load, u64 gpa, u64 bytes);

/* load_unpack.c: the compressed kernel in these bytes of a bzImage, as an image of its own, to be closed.
 * False when that cannot be had here (unknown format, damage, a size that cannot be), and nothing is said of
 * it: the guest's own unpacking will. */
bool image_unpack(struct load *load, const struct image *kernel, u64 offset, u64 bytes,
                  struct image *unpacked);

/* A stretch of guest RAM for boot data, filled upwards. */
struct boot_area {
    u64 at, end;
};

/* Append data (NULL: zeros), aligned; *gpa says where. Fails when the area is full. */
int boot_put(struct load *load, struct boot_area *area, const void *data, u64 bytes, u64 align, u64 *gpa);

/* Little-endian fields of headers and boot structures. */
static inline u16 get16(const u8 *at)
{
    return (u16)(at[0] | at[1] << 8);
}
static inline u32 get32(const u8 *at)
{
    return get16(at) | (u32)get16(at + 2) << 16;
}
static inline u64 get64(const u8 *at)
{
    return get32(at) | (u64)get32(at + 4) << 32;
}
static inline void put16(u8 *at, u16 value)
{
    at[0] = (u8)value;
    at[1] = (u8)(value >> 8);
}
static inline void put32(u8 *at, u32 value)
{
    put16(at, (u16)value);
    put16(at + 2, (u16)(value >> 16));
}
static inline void put64(u8 *at, u64 value)
{
    put32(at, (u32)value);
    put32(at + 4, (u32)(value >> 32));
}

/* --- load_pc.c --- */

/* Types of INT 15h E820h, which Multiboot and PVH took over. */
enum { MEMORY_RAM = 1, MEMORY_RESERVED = 2 };

struct memory_map {
    struct {
        u64 base, bytes;
        u32 type;
    } at[8];
    unsigned count;
};

#define BASE_MEMORY_KB 639 /* the last KB of 640 is the extended BIOS data area */
#define ONE_MB         0x100000u

struct memory_map pc_memory_map(const struct phys *phys);

/* RAM where boot data goes, now that the kernel is loaded from `low` on: low RAM, or if the kernel wants that,
 * from `behind` on. */
struct boot_area pc_boot_area(struct load *load, u64 low, u64 behind);
/* Where RAM ends below the devices, for the kernel and its files. */
u64 pc_ram_end(const struct load *load);

/* The BIOS data area: what programs look up there without asking the BIOS. */
void pc_write_bios_data(struct load *load);

/* What a protocol promises in registers; the other general registers are 0, but ESP. */
struct flat_entry {
    u32 eip, eax, ebx, esi;
};

/* 32-bit protected mode without paging, interrupts off, flat segments CS 10h and DS ES FS GS SS 18h, TR 20h (not by
 * way of the firmware), all from a GDT that is put into `area`. This satisfies all three boot protocols. */
int pc_enter_flat(struct load *load, struct boot_area *area, struct flat_entry entry);

/* --- the formats --- */

/* For a kernel of x86-64: a refusal unless the CPU has long mode. */
int load_check_long_mode(struct load *load, const char *path);

int load_linux(struct load *load, const struct image *kernel);
/* Is the bzImage's only entry its 16-bit one, which needs firmware below it? */
bool linux_needs_firmware(const u8 *start);
/* By firmware only. */
int load_linux16(struct load *load, const struct image *kernel);
/* `header`: file offset of the Multiboot header, found by multiboot_find(). */
int load_multiboot(struct load *load, const struct image *kernel, u32 header);
int load_pvh(struct load *load, const struct image *kernel);
int load_firmware(struct load *load);

/* Is there a Multiboot header in the first 8 KB, and where? */
bool multiboot_find(const u8 *start, u64 bytes, u32 *header);

/* --- load_elf.c --- */

struct elf_kernel {
    u32 entry;     /* physical */
    u64 low, high; /* the range of physical addresses its segments cover */
    bool has_pvh;
    u32 pvh_entry;
};

/* Load the segments of a 32-bit x86 ELF file to their physical addresses. */
int elf_load(struct load *load, const struct image *kernel, struct elf_kernel *elf);

#endif
