/*
 * ELF kernels with a PVH entry note. They start in 32-bit protected mode, and EBX points to a hvm_start_info (Xen,
 * docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h).
 */
#include "direct_start.h"
#include "load_common.h"

#include "base/log.h"

#include <string.h>

#define START_MAGIC   0x336ec578u
#define START_VERSION 1
/* Kernels map about this much memory early, so the initrd goes below it. */
#define INITRD_END 0x38000000ull

enum {
    /* hvm_start_info */
    START_MAGIC_AT = 0,
    START_VERSION_AT = 4,
    START_MODULES = 12,
    START_MODULE_LIST = 16,
    START_COMMAND_LINE = 24,
    START_RSDP = 32,
    START_MEMORY_MAP = 40,
    START_MEMORY_ENTRIES = 48,
    START_BYTES = 56,
    /* hvm_modlist_entry: address, size, command line, reserved */
    MODULE_BYTES = 32,
    /* hvm_memmap_table_entry: address, size, type, reserved */
    MEMORY_ENTRY_BYTES = 24,
};

static int load_module(struct load *load, const struct elf_kernel *elf, u8 *module)
{
    struct image initrd;
    int status = image_open(load, &initrd, "initrd", load->files->initrd);
    if (status) return status;
    u64 top = phys_low_ram_bytes(load->phys);
    if (top > INITRD_END) top = INITRD_END;
    u64 at = initrd.bytes <= top ? (top - initrd.bytes) & ~(u64)PAGE_MASK : 0;
    if (at < elf->high || at < ONE_MB)
        status =
            load_fail(load, STATUS_USAGE, "initrd '%s' (%llu KB) does not fit in memory beside the kernel",
                      initrd.path, (unsigned long long)(initrd.bytes + 1023) >> 10);
    else
        status = image_read_to_guest(load, &initrd, 0, at, initrd.bytes);
    put64(module, at);
    put64(module + 8, initrd.bytes);
    image_close(&initrd);
    return status;
}

int load_pvh(struct load *load, const struct image *kernel)
{
    struct elf_kernel elf;
    pc_write_bios_data(load);
    int status = elf_load(load, kernel, &elf);
    if (status) return status;
    if (!elf.has_pvh)
        return load_fail(load, STATUS_USAGE,
                         "kernel '%s' is an ELF file without a Multiboot header or a PVH entry note: no boot "
                         "protocol can start it",
                         kernel->path);
    struct boot_area area = pc_boot_area(load, elf.low, elf.high);

    u8 start[START_BYTES] = {0}, module[MODULE_BYTES] = {0};
    u64 at = 0;
    put32(start + START_MAGIC_AT, START_MAGIC);
    put32(start + START_VERSION_AT, START_VERSION);
    if (load->files->initrd) {
        status = load_module(load, &elf, module);
        if (status) return status;
        if (area.end > get64(module)) area.end = get64(module);
        put32(start + START_MODULES, 1);
        status = boot_put(load, &area, module, sizeof module, 8, &at);
        put64(start + START_MODULE_LIST, at);
    }
    const char *line = load->files->append ? load->files->append : "";
    if (!status) status = boot_put(load, &area, line, strlen(line) + 1, 16, &at);
    put64(start + START_COMMAND_LINE, at);
    struct memory_map map = pc_memory_map(load->phys);
    u8 entries[ARRAY_SIZE(map.at) * MEMORY_ENTRY_BYTES] = {0};
    for (unsigned n = 0; n < map.count; n++) {
        put64(entries + n * MEMORY_ENTRY_BYTES, map.at[n].base);
        put64(entries + n * MEMORY_ENTRY_BYTES + 8, map.at[n].bytes);
        put32(entries + n * MEMORY_ENTRY_BYTES + 16, map.at[n].type);
    }
    if (!status) status = boot_put(load, &area, entries, map.count * MEMORY_ENTRY_BYTES, 8, &at);
    put64(start + START_MEMORY_MAP, at);
    put64(start + START_RSDP, DIRECT_RSDP);
    put32(start + START_MEMORY_ENTRIES, map.count);
    if (!status) status = boot_put(load, &area, start, sizeof start, 8, &at);
    struct flat_entry entry = {.eip = elf.pvh_entry, .ebx = (u32)at};
    return status ? status : pc_enter_flat(load, &area, entry);
}
