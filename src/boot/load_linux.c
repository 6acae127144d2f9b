/*
 * bzImage by the 32-bit or the 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst, "32-bit Boot Protocol",
 * "64-bit Boot Protocol"; the zero page: zero-page.rst).
 *
 * The protected-mode kernel goes to 1 MB, the initrd as high as kernel and memory allow, zero page and command
 * line into low memory. Of the real-mode part of the file only the header is used.
 *
 * The protected-mode kernel is a program that unpacks the real kernel and jumps to it, with ESI unchanged. If
 * load_unpack.c can unpack it, the real kernel is started directly at its linked address. Then it does not get the
 * random address that its own unpacker would choose, and needs no relocation: the table of relocations behind a 64-bit
 * ELF file is not read. A 64-bit kernel begins in 64-bit mode, unpacked or not.
 */
#include "load_linux.h"
#include "direct_start.h"

#include "base/log.h"

#include <string.h>

/* Fields of the zero page outside of the setup header. */
enum {
    EXT_MEM_K = 0x02,
    VIDEO_MODE = 0x06,
    VIDEO_COLS = 0x07,
    VIDEO_EGA_BX = 0x0a,
    VIDEO_LINES = 0x0e,
    VIDEO_IS_VGA = 0x0f,
    VIDEO_POINTS = 0x10,
    LFB_WIDTH = 0x12,
    LFB_HEIGHT = 0x14,
    LFB_DEPTH = 0x16,
    LFB_BASE = 0x18,
    LFB_SIZE = 0x1c, /* in 64 KB */
    LFB_LINE_LENGTH = 0x24,
    LFB_COLORS = 0x26, /* size and position of red, green, blue, none */
    ACPI_RSDP_ADDR = 0x70,
    ALT_MEM_K = 0x1e0,
    E820_ENTRIES = 0x1e8,
    E820_TABLE = 0x2d0,
    E820_ENTRY_BYTES = 20,
};

#define VIDEO_VLFB     0x23
#define ENTRY_64       0x200         /* the 64-bit entry, behind the 32-bit one */
#define OLDEST_VERSION 0x204         /* the oldest protocol with a usable 32-bit entry */
#define OLD_INITRD_END 0x38000000ull /* boot.rst, initrd_addr_max: for protocols without this field */

static unsigned long long mb(u64 bytes)
{
    return (bytes + ONE_MB - 1) / ONE_MB;
}

/* Some bzImages are other programs and have no code32_start, which "defaults to the load address of the kernel". Such a
 * program begins in real mode and calls the BIOS. Kernels older than protocol 2.04 and zImages have a protected-mode
 * entry, but only their own real-mode part knows its parameters. */
bool linux_needs_firmware(const u8 *start)
{
    return get16(start + VERSION) < OLDEST_VERSION || !(start[LOADFLAGS] & LOADED_HIGH) ||
           !get32(start + CODE32_START);
}

bool linux_is_64bit(const u8 *start)
{
    return get16(start + VERSION) >= 0x20c && (get16(start + XLOADFLAGS) & XLF_KERNEL_64);
}

/* The header has the size of the protected-mode kernel in units of 16 bytes, and in 16 bits before protocol 2.04. A
 * signature may follow the kernel. All loaders load it too. */
static int find_payload(struct load *load, const struct image *kernel, struct bzimage *bz)
{
    u64 sectors = bz->header[SETUP_SECTS] ? bz->header[SETUP_SECTS] : 4;
    bz->payload = (sectors + 1) * 512;
    bool wide = bz->version >= 0x204;
    u64 told = (u64)(wide ? get32(bz->header + SYSSIZE) : get16(bz->header + SYSSIZE)) * 16;
    if ((wide && !told) || bz->payload + told > kernel->bytes + 15 || bz->payload >= kernel->bytes)
        return load_fail(load, STATUS_USAGE,
                         "kernel '%s' is truncated: it has %llu bytes by its header, and the file has %llu",
                         kernel->path, (unsigned long long)(bz->payload + told),
                         (unsigned long long)kernel->bytes);
    bz->payload_bytes = kernel->bytes - bz->payload;
    return 0;
}

int linux_read_header(struct load *load, const struct image *kernel, struct bzimage *bz)
{
    u8 *header = bz->header;
    int status = image_read(load, kernel, 0, header, HEADER_END);
    if (status) return status;
    bz->version = get16(header + VERSION);
    bz->high = header[LOADFLAGS] & LOADED_HIGH;
    u64 end = HEADER_MAGIC + header[HEADER_LENGTH];
    if (end < HEADER_END) memset(header + end, 0, HEADER_END - end);
    bz->is_64bit = linux_is_64bit(header);
    if (bz->is_64bit) status = load_check_long_mode(load, kernel->path);
    return status ? status : find_payload(load, kernel, bz);
}

int linux_find_needs(struct load *load, const struct image *kernel, struct bzimage *bz)
{
    const u8 *header = bz->header;
    u64 loaded_to = LOAD_ADDRESS + (bz->high ? bz->payload_bytes : 0), low = pc_ram_end(load);
    bz->needs_to = loaded_to;
    if (bz->version >= 0x20a && get32(header + INIT_SIZE)) {
        u64 align = get32(header + KERNEL_ALIGNMENT), at = get64(header + PREF_ADDRESS);
        if (header[RELOCATABLE] && align && !(align & (align - 1)) && at < align_up(LOAD_ADDRESS, align))
            at = align_up(LOAD_ADDRESS, align);
        if (at > UINT32_MAX) at = UINT32_MAX; /* 32-bit kernels run below 4 GB */
        u64 runs_to = at + get32(header + INIT_SIZE);
        if (runs_to > bz->needs_to) bz->needs_to = runs_to;
    }
    if (bz->needs_to > low)
        return load_fail(load, STATUS_USAGE,
                         "kernel '%s' does not fit in memory: it needs %llu MB, the machine has %llu MB",
                         kernel->path, mb(bz->needs_to), mb(load->phys->ram_bytes));
    return 0;
}

int linux_load_initrd(struct load *load, struct bzimage *bz)
{
    if (!load->files->initrd) return 0;
    struct image initrd;
    int status = image_open(load, &initrd, "initrd", load->files->initrd);
    if (status) return status;
    u64 top = bz->version >= 0x203 ? (u64)get32(bz->header + INITRD_ADDR_MAX) + 1 : OLD_INITRD_END;
    u64 low = pc_ram_end(load);
    if (top > low) top = low;
    u64 at = initrd.bytes <= top ? (top - initrd.bytes) & ~(u64)PAGE_MASK : 0;
    if (at < bz->needs_to)
        status = load_fail(
            load, STATUS_USAGE,
            "initrd '%s' (%llu MB) does not fit in memory beside the kernel: %llu MB of %llu MB are free",
            initrd.path, mb(initrd.bytes),
            (unsigned long long)(top > bz->needs_to ? (top - bz->needs_to) / ONE_MB : 0),
            mb(load->phys->ram_bytes));
    else
        status = image_read_to_guest(load, &initrd, 0, at, initrd.bytes);
    put32(bz->header + RAMDISK_IMAGE, (u32)at);
    put32(bz->header + RAMDISK_SIZE, (u32)initrd.bytes);
    image_close(&initrd);
    return status;
}

int linux_check_command_line(struct load *load, const struct bzimage *bz)
{
    u64 length = load->files->append ? strlen(load->files->append) : 0;
    u64 most = bz->version >= 0x206 ? get32(bz->header + CMDLINE_SIZE) : 255;
    if (length <= most) return 0;
    return load_fail(load, STATUS_USAGE,
                     "the command line has %llu characters; kernel '%s' takes at most %llu",
                     (unsigned long long)length, load->files->kernel, (unsigned long long)most);
}

static int put_command_line(struct load *load, struct bzimage *bz, struct boot_area *area)
{
    const char *line = load->files->append ? load->files->append : "";
    u64 at = 0;
    int status = linux_check_command_line(load, bz);
    if (!status) status = boot_put(load, area, line, strlen(line) + 1, 16, &at);
    if (!status) put32(bz->header + CMD_LINE_PTR, (u32)at);
    return status;
}

/* Fill in screen_info: the mode that the real-mode part would set. */
static void put_screen(u8 *page, const struct boot_screen *screen)
{
    static const struct {
        u16 bits;
        u8 colors[8];
    } rows[] = {{15, {5, 10, 5, 5, 5, 0, 1, 15}},
                {16, {5, 11, 6, 5, 5, 0, 0, 0}},
                {24, {8, 16, 8, 8, 8, 0, 0, 0}},
                {32, {8, 16, 8, 8, 8, 0, 8, 24}}};
    page[VIDEO_IS_VGA] = VIDEO_VLFB;
    put16(page + LFB_WIDTH, screen->width);
    put16(page + LFB_HEIGHT, screen->height);
    put16(page + LFB_DEPTH, screen->bits);
    put32(page + LFB_BASE, screen->base);
    put32(page + LFB_SIZE, screen->memory_bytes >> 16);
    put16(page + LFB_LINE_LENGTH, (u16)(screen->width * ((screen->bits + 7) / 8)));
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++)
        if (rows[n].bits == screen->bits) memcpy(page + LFB_COLORS, rows[n].colors, sizeof rows[n].colors);
}

static int put_zero_page(struct load *load, const struct bzimage *bz, struct boot_area *area, u64 *at)
{
    u8 page[PAGE_SIZE] = {0};
    memcpy(page + HEADER, bz->header + HEADER, HEADER_END - HEADER);
    page[TYPE_OF_LOADER] = LOADER_UNDEFINED;
    put32(page + CODE32_START, LOAD_ADDRESS);

    page[VIDEO_MODE] = 3;
    page[VIDEO_COLS] = 80;
    page[VIDEO_LINES] = 25;
    put16(page + VIDEO_EGA_BX, 3); /* 256 KB of video memory */
    page[VIDEO_IS_VGA] = 1;
    put16(page + VIDEO_POINTS, 16);
    if (load->screen.width) put_screen(page, &load->screen);
    put64(page + ACPI_RSDP_ADDR, DIRECT_RSDP);

    u64 above_kb = (phys_low_ram_bytes(load->phys) - ONE_MB) >> 10;
    put16(page + EXT_MEM_K, above_kb < 0xfc00 ? (u16)above_kb : 0xfc00);
    put32(page + ALT_MEM_K, (u32)above_kb);
    struct memory_map map = pc_memory_map(load->phys);
    for (unsigned n = 0; n < map.count; n++) {
        u8 *entry = page + E820_TABLE + n * E820_ENTRY_BYTES;
        put64(entry, map.at[n].base);
        put64(entry + 8, map.at[n].bytes);
        put32(entry + 16, map.at[n].type);
    }
    page[E820_ENTRIES] = (u8)map.count;
    return boot_put(load, area, page, sizeof page, PAGE_SIZE, at);
}

/* Unpack the real kernel and load it to its linked address. *entry is its entry point. For a 64-bit kernel this is the
 * function startup_64, which takes what the 64-bit entry of the bzImage takes (arch/x86/kernel/head_64.S). */
static bool load_unpacked(struct load *load, const struct image *kernel, struct bzimage *bz, u64 *entry)
{
    struct image unpacked;
    struct elf_kernel elf;
    u64 offset = bz->payload + get32(bz->header + PAYLOAD_OFFSET), bytes = get32(bz->header + PAYLOAD_LENGTH);
    if (load->files->guest_unpacks || bz->version < 0x20a || !bytes) return false;
    bool good = image_unpack(load, kernel, offset, bytes, &unpacked) && !elf_load(load, &unpacked, &elf) &&
                elf.is_64bit == bz->is_64bit && elf.low >= ONE_MB && elf.high <= bz->needs_to &&
                elf.entry >= elf.low && elf.entry < elf.high;
    image_close(&unpacked);
    load->error[0] = '\0';
    if (good) *entry = elf.entry;
    return good;
}

int load_linux(struct load *load, const struct image *kernel)
{
    struct bzimage bz;
    struct boot_area area = pc_boot_area(load, LOAD_ADDRESS, LOAD_ADDRESS);
    u64 zero_page = 0;
    u64 start = 0;
    int status = linux_read_header(load, kernel, &bz);
    if (!status && linux_needs_firmware(bz.header))
        status = load_fail(load, STATUS_USAGE,
                           "kernel '%s' can only be started in 16-bit mode, by a BIOS: leave out "
                           "--start=direct",
                           kernel->path);
    if (!status) status = linux_find_needs(load, kernel, &bz);
    if (!status && !load_unpacked(load, kernel, &bz, &start)) {
        start = LOAD_ADDRESS + (bz.is_64bit ? ENTRY_64 : 0);
        status = image_read_to_guest(load, kernel, bz.payload, LOAD_ADDRESS, bz.payload_bytes);
    }
    if (!status) status = linux_load_initrd(load, &bz);
    if (!status) status = put_command_line(load, &bz, &area);
    if (!status) status = put_zero_page(load, &bz, &area, &zero_page);
    struct flat_entry entry = {.eip = (u32)start, .esi = (u32)zero_page};
    if (!status) status = bz.is_64bit ? pc_enter_long(load, &area, entry) : pc_enter_flat(load, &area, entry);
    if (!status) pc_write_bios_data(load);
    return status;
}
