/*
 * Multiboot 1 (Multiboot Specification 0.6.96): header 3.1, machine state 3.2, boot information 3.3.
 *
 * The protocol starts 32-bit code. A 64-bit ELF file is refused, as QEMU does.
 *
 * Modules and command lines are passed as QEMU passes them. The kernel's command line begins with its path. -initrd
 * is a list "file arguments,file arguments" (a comma in an element is written twice). The string of a module is its
 * whole element of the list.
 */
#include "kernel_rom.h"
#include "load_common.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_MAGIC 0x1badb002u
#define BOOT_MAGIC   0x2badb002u
#define LOADER_NAME  "Ringer"
#define MODULES_MAX  256
/* The most that SeaBIOS has (CONFIG_MAX_E820). */
#define FIRMWARE_MAP_ENTRIES 32

enum header_flags {
    HEADER_ALIGN_MODULES = 1 << 0,
    HEADER_MEMORY = 1 << 1,
    HEADER_VIDEO = 1 << 2,
    HEADER_MANDATORY = 0xffff, /* a loader must refuse the kernel if it does not know one of these flags */
    HEADER_ADDRESSES = 1 << 16,
};

enum info_flags {
    INFO_MEMORY = 1 << 0,
    INFO_COMMAND_LINE = 1 << 2,
    INFO_MODULES = 1 << 3,
    INFO_MEMORY_MAP = 1 << 6,
    INFO_LOADER_NAME = 1 << 9,
    INFO_FRAMEBUFFER = 1 << 12,
};

/* Offsets in the boot information. */
enum {
    AT_FLAGS = 0,
    AT_MEM_LOWER = 4,
    AT_MEM_UPPER = 8,
    AT_COMMAND_LINE = 16,
    AT_MODULES_COUNT = 20,
    AT_MODULES = 24,
    AT_MAP_BYTES = 44,
    AT_MAP = 48,
    AT_LOADER_NAME = 64,
    AT_FRAMEBUFFER = 88,
    AT_PITCH = 96,
    AT_WIDTH = 100,
    AT_HEIGHT = 104,
    AT_BITS = 108,
    AT_FRAMEBUFFER_TYPE = 109,
    INFO_BYTES = 116,
    MODULE_BYTES = 16, /* start, end, string, reserved */
    MAP_ENTRY_BYTES = 24,
};

bool multiboot_find(const u8 *start, u64 bytes, u32 *header)
{
    for (u64 at = 0; at + 12 <= bytes && at < 8192; at += 4) {
        if (get32(start + at) != HEADER_MAGIC) continue;
        if (HEADER_MAGIC + get32(start + at + 4) + get32(start + at + 8) != 0) continue;
        *header = (u32)at;
        return true;
    }
    return false;
}

/* The a.out kludge: the header itself has the addresses (3.1.3). */
static int load_by_addresses(struct load *load, const struct image *kernel, u32 header,
                             struct elf_kernel *loaded)
{
    u8 fields[20];
    int status = image_read(load, kernel, (u64)header + 12, fields, sizeof fields);
    if (status) return status;
    u64 header_at = get32(fields), from = get32(fields + 4), to = get32(fields + 8),
        bss_end = get32(fields + 12);
    if (header_at < from || header_at - from > header)
        return load_fail(
            load, STATUS_USAGE,
            "kernel '%s' has a damaged Multiboot header: its own address lies before what is to be loaded",
            kernel->path);
    u64 offset = header - (header_at - from);
    u64 bytes = to ? to - from : kernel->bytes - offset;
    if ((to && to < from) || (bss_end && bss_end < from + bytes))
        return load_fail(load, STATUS_USAGE,
                         "kernel '%s' has a damaged Multiboot header: its end lies before its start",
                         kernel->path);
    *loaded = (struct elf_kernel){
        .entry = get32(fields + 16), .low = from, .high = bss_end ? bss_end : from + bytes};
    if (!guest_is_ram(load, from, loaded->high - from))
        return load_fail(load, STATUS_USAGE,
                         "kernel '%s' does not fit in memory: its addresses are 0x%llx to 0x%llx",
                         kernel->path, (unsigned long long)from, (unsigned long long)loaded->high - 1);
    status = image_read_to_guest(load, kernel, offset, from, bytes);
    return status ? status : guest_zero(load, from + bytes, loaded->high - (from + bytes));
}

/* --- modules --- */

struct modules {
    u8 list[MODULES_MAX * MODULE_BYTES];
    char *text[MODULES_MAX]; /* each list element, unescaped: "file arguments" */
    unsigned count;
    u64 end; /* end of the last one in memory */
};

/* Split the list at single commas. `copy` gets the unescaped elements, NUL-terminated. */
static int split_list(struct load *load, const char *list, char *copy, struct modules *modules)
{
    for (;;) {
        if (modules->count == MODULES_MAX)
            return load_fail(load, STATUS_USAGE, "there are more than %d Multiboot modules", MODULES_MAX);
        modules->text[modules->count++] = copy;
        while (*list && (list[0] != ',' || list[1] == ',')) {
            list += *list == ',';
            *copy++ = *list++;
        }
        *copy++ = '\0';
        if (!*list) return 0;
        list++;
    }
}

static int load_module(struct load *load, struct modules *modules, unsigned n)
{
    char *space = strchr(modules->text[n], ' ');
    if (space) *space = '\0';
    struct image file;
    int status = image_open(load, &file, "module", modules->text[n]);
    if (!status) {
        u64 at = align_up(modules->end, PAGE_SIZE);
        status = at + file.bytes > pc_ram_end(load)
                     ? load_fail(load, STATUS_USAGE, "module '%s' (%llu KB) does not fit in memory",
                                 file.path, (unsigned long long)(file.bytes + 1023) >> 10)
                     : image_read_to_guest(load, &file, 0, at, file.bytes);
        modules->end = at + file.bytes;
        put32(modules->list + n * MODULE_BYTES, (u32)at);
        put32(modules->list + n * MODULE_BYTES + 4, (u32)modules->end);
        image_close(&file);
    }
    if (space) *space = ' ';
    return status;
}

static int load_modules(struct load *load, struct modules *modules, char *copy)
{
    int status = split_list(load, load->files->initrd, copy, modules);
    for (unsigned n = 0; !status && n < modules->count; n++)
        status = load_module(load, modules, n);
    return status;
}

/* --- boot information --- */

static int put_module_list(struct load *load, struct boot_area *area, struct modules *modules, u8 *info)
{
    u64 at = 0;
    for (unsigned n = 0; n < modules->count; n++) {
        int status = boot_put(load, area, modules->text[n], strlen(modules->text[n]) + 1, 1, &at);
        if (status) return status;
        put32(modules->list + n * MODULE_BYTES + 8, (u32)at);
    }
    int status = boot_put(load, area, modules->list, modules->count * MODULE_BYTES, 4, &at);
    put32(info + AT_MODULES_COUNT, modules->count);
    put32(info + AT_MODULES, (u32)at);
    return status;
}

static int put_command_line(struct load *load, struct boot_area *area, u8 *info)
{
    const char *append = load->files->append ? load->files->append : "";
    struct boot_area unaligned = *area;
    u64 at, rest;
    int status = boot_put(load, &unaligned, load->files->kernel, strlen(load->files->kernel), 1, &at);
    if (!status) status = boot_put(load, &unaligned, " ", 1, 1, &rest);
    if (!status) status = boot_put(load, &unaligned, append, strlen(append) + 1, 1, &rest);
    *area = unaligned;
    put32(info + AT_COMMAND_LINE, (u32)at);
    return status;
}

/* Reserve room for the memory map that the ROM will get from the firmware. */
static int reserve_memory_map(struct load *load, struct boot_area *area, u8 *info)
{
    u64 at = 0;
    int status = boot_put(load, area, NULL, FIRMWARE_MAP_ENTRIES * MAP_ENTRY_BYTES, 16, &at);
    load->rom->map = (u32)at;
    load->rom->map_room = FIRMWARE_MAP_ENTRIES;
    put32(info + AT_MAP, (u32)at);
    return status;
}

static int put_memory_map(struct load *load, struct boot_area *area, u8 *info)
{
    if (load->rom) return reserve_memory_map(load, area, info);
    struct memory_map map = pc_memory_map(load->phys);
    u8 entries[ARRAY_SIZE(map.at) * MAP_ENTRY_BYTES];
    for (unsigned n = 0; n < map.count; n++) {
        u8 *entry = entries + n * MAP_ENTRY_BYTES;
        put32(entry, MAP_ENTRY_BYTES - 4); /* the size field does not count itself */
        put64(entry + 4, map.at[n].base);
        put64(entry + 12, map.at[n].bytes);
        put32(entry + 20, map.at[n].type);
    }
    u64 at = 0;
    int status = boot_put(load, area, entries, map.count * MAP_ENTRY_BYTES, 4, &at);
    put32(info + AT_MAP, (u32)at);
    put32(info + AT_MAP_BYTES, map.count * MAP_ENTRY_BYTES);
    return status;
}

static int put_info(struct load *load, struct boot_area *area, struct modules *modules, u64 *at)
{
    u8 info[INFO_BYTES] = {0};
    u64 name = 0;
    put32(info + AT_FLAGS, INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP |
                               INFO_LOADER_NAME | INFO_FRAMEBUFFER);
    put32(info + AT_MEM_LOWER, BASE_MEMORY_KB);
    put32(info + AT_MEM_UPPER, (u32)((phys_low_ram_bytes(load->phys) - ONE_MB) >> 10));
    put64(info + AT_FRAMEBUFFER, 0xb8000);
    put32(info + AT_PITCH, 160);
    put32(info + AT_WIDTH, 80);
    put32(info + AT_HEIGHT, 25);
    info[AT_BITS] = 16;
    info[AT_FRAMEBUFFER_TYPE] = 2; /* text */
    int status = put_module_list(load, area, modules, info);
    if (!status) status = put_command_line(load, area, info);
    if (!status) status = put_memory_map(load, area, info);
    if (!status) status = boot_put(load, area, LOADER_NAME, sizeof LOADER_NAME, 1, &name);
    put32(info + AT_LOADER_NAME, (u32)name);
    if (!status) status = boot_put(load, area, info, sizeof info, 4, at);
    if (load->rom) load->rom->information = (u32)*at;
    return status;
}

int load_multiboot(struct load *load, const struct image *kernel, u32 header)
{
    u8 fields[8];
    int status = image_read(load, kernel, header, fields, sizeof fields);
    if (status) return status;
    u32 flags = get32(fields + 4);
    u32 unknown = flags & HEADER_MANDATORY & ~(HEADER_ALIGN_MODULES | HEADER_MEMORY | HEADER_VIDEO);
    if (unknown)
        return load_fail(load, STATUS_USAGE,
                         "kernel '%s' asks for Multiboot features that do not exist (flags 0x%x)",
                         kernel->path, unknown);
    pc_write_bios_data(load);
    struct elf_kernel loaded;
    status = flags & HEADER_ADDRESSES ? load_by_addresses(load, kernel, header, &loaded)
                                      : elf_load(load, kernel, &loaded);
    if (!status && loaded.is_64bit)
        status =
            load_fail(load, STATUS_USAGE,
                      "kernel '%s' is a 64-bit ELF file with a Multiboot header, and Multiboot starts 32-bit "
                      "files only",
                      kernel->path);
    if (status) return status;

    struct modules modules = {.end = loaded.high < ONE_MB ? ONE_MB : loaded.high};
    char *copy = NULL;
    if (load->files->initrd) {
        copy = malloc(strlen(load->files->initrd) + 1);
        status = copy ? load_modules(load, &modules, copy)
                      : load_fail(load, STATUS_HOST, "there is no memory left on the host");
    }
    struct boot_area area = pc_boot_area(load, loaded.low, align_up(modules.end, PAGE_SIZE));
    u64 info = 0;
    if (!status) status = put_info(load, &area, &modules, &info);
    struct flat_entry entry = {.eip = (u32)loaded.entry, .eax = BOOT_MAGIC, .ebx = (u32)info};
    if (!status) status = pc_enter_flat(load, &area, entry);
    free(copy);
    return status;
}
