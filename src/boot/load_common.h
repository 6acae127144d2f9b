/*
 * What the loaders share: files and guest memory (load_image.c), and the PC in the state in which firmware would
 * leave it (load_pc.c).
 *
 * Functions that return int give 0, or an exit status with a sentence in load->error.
 */
#ifndef RINGER_BOOT_LOAD_COMMON_H
#define RINGER_BOOT_LOAD_COMMON_H

#include "loader.h"

struct load {
    struct vcpu *v;
    struct phys *phys;
    const struct cpu_model *cpu;
    const struct boot_files *files;
    struct kernel_rom *rom; /* records what the firmware will load and start; NULL: a direct start */
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
/* Read exactly `bytes` from `offset` on. A file that ends before is refused as truncated. */
int image_read(struct load *load, const struct image *image, u64 offset, void *buffer, u64 bytes);
/* The same, into guest RAM at [gpa, gpa+bytes). */
int image_read_to_guest(struct load *load, const struct image *image, u64 offset, u64 gpa, u64 bytes);

/* Is all of [gpa, gpa+bytes) RAM? */
bool guest_is_ram(struct load *load, u64 gpa, u64 bytes);
/* Zero guest RAM. Whole pages are given back to the host. */
int guest_zero(struct load *load, u64 gpa, u64 bytes);

/* load_unpack.c: unpack the compressed kernel in these bytes of a bzImage. *unpacked is an image of its own, to be
 * closed. False, without a message: the format is unknown, the data are damaged or the size is impossible. Then the
 * guest's own code unpacks it and reports the error. */
bool image_unpack(struct load *load, const struct image *kernel, u64 offset, u64 bytes,
                  struct image *unpacked);

/* A stretch of guest RAM for boot data, filled upwards. */
struct boot_area {
    u64 at, end;
};

/* Append data (NULL: zeros), aligned, and set *gpa to its address. Fails if the area is full. */
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

/* Types of INT 15h E820h. Multiboot and PVH have the same. */
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

/* The RAM for boot data, for a kernel that was loaded from `low` on: low RAM, or RAM from `behind` on if the kernel
 * occupies low RAM. */
struct boot_area pc_boot_area(struct load *load, u64 low, u64 behind);
/* The end of the RAM below the devices, for the kernel and its files. */
u64 pc_ram_end(const struct load *load);

/* Write the BIOS data area: the fields that programs read without calling the BIOS. */
void pc_write_bios_data(struct load *load);

/* The registers that a protocol defines. The other general registers are 0, except ESP. */
struct flat_entry {
    u32 eip, eax, ebx, esi;
};

/* Enter 32-bit protected mode without paging, with interrupts off and flat segments: CS 10h, DS ES FS GS SS 18h, and
 * TR 20h (in a direct start only). Their GDT is put into `area`. This satisfies all three boot protocols. */
int pc_enter_flat(struct load *load, struct boot_area *area, struct flat_entry entry);
/* Enter 64-bit mode, with interrupts off, CS 10h and the others 18h. The first 4 GB are mapped to themselves, by page
 * tables that are put into `area`, as the GDT is. Only in a direct start. */
int pc_enter_long(struct load *load, struct boot_area *area, struct flat_entry entry);

/* --- the formats --- */

/* For an x86-64 kernel: refuse it unless the CPU has long mode. */
int load_check_long_mode(struct load *load, const char *path);

int load_linux(struct load *load, const struct image *kernel);
/* Does the bzImage have a 16-bit entry only, which needs a BIOS? */
bool linux_needs_firmware(const u8 *start);
/* Does it have a 64-bit entry? */
bool linux_is_64bit(const u8 *start);
/* Only for a start by firmware. */
int load_linux16(struct load *load, const struct image *kernel);
/* `header`: file offset of the Multiboot header, found by multiboot_find(). */
int load_multiboot(struct load *load, const struct image *kernel, u32 header);
int load_pvh(struct load *load, const struct image *kernel);
int load_firmware(struct load *load);

/* Find a Multiboot header in the first 8 KB. *header is its offset. */
bool multiboot_find(const u8 *start, u64 bytes, u32 *header);

/* --- load_elf.c --- */

struct elf_kernel {
    u64 entry;     /* physical */
    u64 low, high; /* the range of physical addresses that its segments cover */
    bool is_64bit;
    bool has_pvh;
    u32 pvh_entry;
};

/* Load the segments of an x86 ELF file, 32-bit or 64-bit, to their physical addresses. */
int elf_load(struct load *load, const struct image *kernel, struct elf_kernel *elf);

#endif
