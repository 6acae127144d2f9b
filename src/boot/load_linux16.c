/*
 * bzImage and zImage by the 16-bit boot protocol (Linux, Documentation/arch/x86/boot.rst, "Loading The Rest of The
 * Kernel" and "Running the Kernel"). The option ROM loads both parts of the file and enters the first one in real mode.
 *
 *   BASE + 0        the real-mode part: boot sector and setup sectors
 *   BASE + ...      its heap, then its stack, down from STACK_END
 *   BASE + e000h    the command line, and the ROM's list
 *   1 MB            the protected-mode kernel (zImage: 10000h)
 *
 * BASE is 20000h, or 90000h for zImages and all protocols before 2.02.
 */
#include "kernel_rom.h"
#include "load_linux.h"

#include "base/log.h"

#include <string.h>

#define BASE             0x20000u
#define OLD_BASE         0x90000u
#define ZIMAGE_ADDRESS   0x10000u
#define STACK_END        0xe000u
#define OLD_STACK_END    0x9800u /* up to the extended BIOS data area */
#define COMMAND_LINE_MAX 2048u
#define SECTOR           512u
#define AREA_BYTES       0xfc00u /* from OLD_BASE up to the extended BIOS data area */

/* In the boot sector, for protocols before 2.02. */
enum { OLD_CMD_LINE_MAGIC_AT = 0x20, OLD_CMD_LINE_OFFSET = 0x22, OLD_CMD_LINE_MAGIC = 0xa33f };

static bool goes_to_old_base(const struct bzimage *bz)
{
    return bz->version < 0x202 || !bz->high;
}

/* Fill in the fields that a boot loader must write. */
static void fill_header(struct bzimage *bz, u32 base, u32 stack_end, u64 line_bytes)
{
    u8 *header = bz->header;
    header[TYPE_OF_LOADER] = LOADER_UNDEFINED;
    if (bz->version >= 0x201) {
        put16(header + HEAP_END_PTR, (u16)(stack_end - SECTOR));
        header[LOADFLAGS] |= CAN_USE_HEAP;
    }
    if (bz->version >= 0x202) {
        put32(header + CMD_LINE_PTR, base + stack_end);
    } else {
        put16(header + OLD_CMD_LINE_MAGIC_AT, OLD_CMD_LINE_MAGIC);
        put16(header + OLD_CMD_LINE_OFFSET, (u16)stack_end);
        put16(header + SETUP_MOVE_SIZE, (u16)(stack_end + line_bytes));
    }
}

/* Put real-mode part, room behind it, command line and the ROM's descriptors into one area of boot data. */
static int put_real_mode_part(struct load *load, const struct image *kernel, struct bzimage *bz, u32 base,
                              u32 stack_end)
{
    const char *line = load->files->append ? load->files->append : "";
    u64 bytes = strlen(line) + 1, first = HEADER_MAGIC + bz->header[HEADER_LENGTH];
    if (bytes > COMMAND_LINE_MAX)
        return load_fail(load, STATUS_USAGE,
                         "the command line has %llu characters; in 16-bit mode at most %u are possible",
                         (unsigned long long)bytes - 1, COMMAND_LINE_MAX - 1);
    if (bz->payload > stack_end - SECTOR)
        return load_fail(load, STATUS_USAGE,
                         "kernel '%s' has a real-mode part of %llu KB, which is too large", kernel->path,
                         (unsigned long long)bz->payload >> 10);
    fill_header(bz, base, stack_end, bytes);
    if (first > HEADER_END) first = HEADER_END;
    struct boot_area area = {.at = base, .end = base + stack_end + bytes};
    load->rom->data_gpa = base;
    u64 at;
    int status = boot_put(load, &area, bz->header, first, 1, &at);
    for (u64 from = first; !status && from < bz->payload;) {
        u8 bytes_of_it[4096];
        u64 now = bz->payload - from < sizeof bytes_of_it ? bz->payload - from : sizeof bytes_of_it;
        status = image_read(load, kernel, from, bytes_of_it, now);
        if (!status) status = boot_put(load, &area, bytes_of_it, now, 1, &at);
        from += now;
    }
    area.at = base + stack_end;
    if (!status) status = boot_put(load, &area, line, bytes, 1, &at);
    area.end = base + AREA_BYTES;
    return status ? status : kernel_rom_finish(load, &area);
}

int load_linux16(struct load *load, const struct image *kernel)
{
    struct bzimage bz;
    int status = linux_read_header(load, kernel, &bz);
    if (status) return status;
    bool old = goes_to_old_base(&bz);
    u32 base = old ? OLD_BASE : BASE, stack_end = old ? OLD_STACK_END : STACK_END;
    if (!bz.high && bz.payload_bytes > OLD_BASE - ZIMAGE_ADDRESS)
        return load_fail(load, STATUS_USAGE, "kernel '%s' is damaged: it is a zImage of more than 512 KB",
                         kernel->path);
    status = linux_find_needs(load, kernel, &bz);
    if (!status) status = linux_check_command_line(load, &bz);
    if (!status)
        status = image_read_to_guest(load, kernel, bz.payload, bz.high ? LOAD_ADDRESS : ZIMAGE_ADDRESS,
                                     bz.payload_bytes);
    if (!status) status = linux_load_initrd(load, &bz);
    if (!status) status = put_real_mode_part(load, kernel, &bz, base, stack_end);
    if (status) return status;
    struct kernel_rom *rom = load->rom;
    rom->data_segment = (u16)(base >> 4);
    rom->code_segment = (u16)((base >> 4) + SECTOR / 16);
    rom->eip = 0;
    rom->registers.esp = stack_end;
    return 0;
}
