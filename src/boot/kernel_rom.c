#include "kernel_rom.h"

#include "load_common.h"

#include "base/big_endian.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_FILE      "etc/ringer/kernel"
#define DESCRIPTOR_BYTES 16
#define ROM_BYTES_MAX    4096
/* SeaBIOS keeps ACPI tables and buffers at the top of RAM below 4 GB (SeaBIOS, src/malloc.c). */
#define FIRMWARE_TOP (512u << 10)

/* Control bits of a DMA request (fw_cfg.h). */
enum { DMA_READ = 1 << 1, DMA_SELECT = 1 << 3 };

/* The low memory that the BIOS leaves free. Below it are vectors, data areas, a stack below 7000h and the boot sector
 * at 7C00h; above it is the extended BIOS data area. */
#define LOW_FIRST 0x8000u
#define LOW_END   0x90000u
#define LOW_RAM   (BASE_MEMORY_KB * 1024u)
#define ROM_FIRST 0xc0000u /* option ROMs, and the BIOS up to 1 MB */

struct far {
    u16 offset, segment;
};

/* The same layout as the record in kernel_rom.S. */
struct rom_record {
    u32 data;
    u8 data_descriptor[DESCRIPTOR_BYTES];
    u32 descriptors, descriptor_count;
    struct far map;
    u16 map_room;
    u16 real_mode;
    struct far information;
    u16 gdt_limit;
    u32 gdt_base;
    u16 data_segment;
    u32 eip;
    u16 code_segment;
    struct rom_registers registers;
} __attribute__((packed));

extern const u8 kernel_rom[], kernel_rom_record[], kernel_rom_code[], kernel_rom_end[];

struct kernel_rom *kernel_rom_new(void)
{
    return calloc(1, sizeof(struct kernel_rom));
}

void kernel_rom_free(struct kernel_rom *rom)
{
    if (!rom) return;
    for (unsigned n = 0; n < rom->fd_count; n++)
        close(rom->fd[n]);
    free(rom->piece);
    free(rom->data);
    free(rom);
}

static int out_of_memory(struct load *load)
{
    return load_fail(load, STATUS_HOST, "there is no memory left on the host");
}

/* --- pieces --- */

/* Duplicate the file descriptor of the image, because the loader closes its own. The segments of a kernel follow
 * each other and share one. */
static int keep_file(struct load *load, const struct image *image, int *fd)
{
    struct kernel_rom *rom = load->rom;
    struct stat wanted, last;
    if (rom->fd_count) {
        *fd = rom->fd[rom->fd_count - 1];
        if (!fstat(image->fd, &wanted) && !fstat(*fd, &last) && wanted.st_dev == last.st_dev &&
            wanted.st_ino == last.st_ino)
            return 0;
    }
    if (rom->fd_count == ROM_FILES) return load_fail(load, STATUS_USAGE, "there are too many files to load");
    *fd = fcntl(image->fd, F_DUPFD_CLOEXEC, 0);
    if (*fd < 0)
        return load_fail(load, STATUS_HOST, "cannot keep %s '%s' open: %s", image->what, image->path,
                         strerror(errno));
    rom->fd[rom->fd_count++] = *fd;
    return 0;
}

static int add_piece(struct load *load, struct rom_piece piece)
{
    struct kernel_rom *rom = load->rom;
    if (rom->piece_count == rom->piece_room) {
        unsigned room = rom->piece_room ? 2 * rom->piece_room : 16;
        struct rom_piece *larger = realloc(rom->piece, room * sizeof(*larger));
        if (!larger) return out_of_memory(load);
        rom->piece = larger;
        rom->piece_room = room;
    }
    rom->piece[rom->piece_count++] = piece;
    return 0;
}

u64 kernel_rom_top(const struct load *load)
{
    return phys_low_ram_bytes(load->phys) - FIRMWARE_TOP;
}

static int add_range(struct load *load, int fd, u64 offset, u64 gpa, u64 end)
{
    int status = 0;
    while (!status && gpa < end) {
        u32 now = end - gpa < FW_CFG_TRANSFER_MAX ? (u32)(end - gpa) : FW_CFG_TRANSFER_MAX;
        status = add_piece(load, (struct rom_piece){.gpa = gpa, .offset = offset, .bytes = now, .fd = fd});
        gpa += now;
        offset += now;
    }
    return status;
}

/* Bytes at the addresses of ROMs are left out, as write protection would do. Linkers that are told only "text at 1 MB"
 * put the ELF header into the page below, and no kernel needs it there. */
int kernel_rom_load(struct load *load, const struct image *image, u64 offset, u64 gpa, u64 bytes)
{
    if (!bytes) return 0;
    u64 end = gpa + bytes;
    if (end < gpa || (gpa < ROM_FIRST && end > LOW_RAM) || end > kernel_rom_top(load))
        return load_fail(
            load, STATUS_USAGE,
            "kernel '%s' does not fit in memory: 0x%llx to 0x%llx is used by the firmware or is not "
            "memory",
            load->files->kernel, (unsigned long long)gpa, (unsigned long long)(end - 1));
    if (image && (offset > image->bytes || bytes > image->bytes - offset))
        return load_fail(load, STATUS_USAGE, "%s '%s' is truncated", image->what, image->path);
    if (gpa >= ROM_FIRST && gpa < ONE_MB) {
        u64 skipped = end < ONE_MB ? bytes : ONE_MB - gpa;
        gpa += skipped;
        offset += skipped;
    }
    int fd = -1, status = image && gpa < end ? keep_file(load, image, &fd) : 0;
    return status ? status : add_range(load, fd, offset, gpa, end);
}

/* --- boot data --- */

/* Is [*at, end) free of pieces? If not, *at becomes the end of a piece in it. */
static bool is_free(const struct kernel_rom *rom, u64 *at, u64 end)
{
    for (unsigned n = 0; n < rom->piece_count; n++) {
        const struct rom_piece *piece = &rom->piece[n];
        if (piece->gpa >= end || piece->gpa + piece->bytes <= *at) continue;
        *at = piece->gpa + piece->bytes;
        return false;
    }
    return true;
}

/* The first address of a piece at `at` or above; the end of low memory if there is none. */
static u64 next_piece(const struct kernel_rom *rom, u64 at)
{
    u64 next = LOW_END;
    for (unsigned n = 0; n < rom->piece_count; n++)
        if (rom->piece[n].gpa >= at && rom->piece[n].gpa < next) next = rom->piece[n].gpa;
    return next;
}

struct boot_area kernel_rom_area(struct load *load)
{
    struct boot_area best = {.at = LOW_FIRST, .end = LOW_FIRST};
    for (u64 at = LOW_FIRST; at < LOW_END;) {
        if (!is_free(load->rom, &at, at + 1)) continue;
        u64 end = next_piece(load->rom, at);
        if (end - at > best.end - best.at) best = (struct boot_area){.at = at, .end = end};
        at = end;
    }
    best.at = align_up(best.at, 16);
    if (best.at > best.end) best.end = best.at;
    load->rom->data_gpa = (u32)best.at;
    return best;
}

int kernel_rom_put(struct load *load, u64 gpa, const void *data, u64 bytes)
{
    struct kernel_rom *rom = load->rom;
    assert(gpa >= rom->data_gpa && gpa + bytes <= LOW_RAM);
    u32 at = (u32)gpa - rom->data_gpa, end = at + (u32)bytes;
    if (end > rom->data_bytes) {
        u8 *larger = realloc(rom->data, end);
        if (!larger) return out_of_memory(load);
        memset(larger + rom->data_bytes, 0, end - rom->data_bytes);
        rom->data = larger;
        rom->data_bytes = end;
    }
    if (!bytes) return 0; /* rom->data may still be NULL */
    if (data)
        memcpy(rom->data + at, data, bytes);
    else
        memset(rom->data + at, 0, bytes);
    return 0;
}

/* A request for the next bytes of the stream, or for its first ones (key not 0). */
static void put_descriptor(u8 *at, u16 key, u64 gpa, u32 bytes)
{
    put_be32(at, key ? (u32)key << 16 | DMA_SELECT | DMA_READ : DMA_READ);
    put_be32(at + 4, bytes);
    put_be32(at + 8, (u32)(gpa >> 32));
    put_be32(at + 12, (u32)gpa);
}

int kernel_rom_finish(struct load *load, struct boot_area *area)
{
    struct kernel_rom *rom = load->rom;
    u64 at = 0;
    for (unsigned n = 0; n < rom->piece_count; n++) {
        u8 descriptor[DESCRIPTOR_BYTES];
        put_descriptor(descriptor, 0, rom->piece[n].gpa, rom->piece[n].bytes);
        int status = boot_put(load, area, descriptor, sizeof(descriptor), n ? 1 : 16, &at);
        if (status) return status;
        if (!n) rom->descriptors = (u32)at;
    }
    return 0;
}

/* --- items --- */

void rom_piece_read(void *source, u32 offset, u8 *buffer, u32 bytes)
{
    const struct rom_piece *piece = source;
    u32 done = 0;
    while (piece->fd >= 0 && done < bytes) {
        ssize_t got = pread(piece->fd, buffer + done, bytes - done, (off_t)(piece->offset + offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            log_warn("a file to be loaded has become shorter or cannot be read: the guest gets zeros");
            break;
        }
        done += (u32)got;
    }
    memset(buffer + done, 0, bytes - done);
}

/* The stream: boot data, then the pieces. */
static void read_stream(void *source, u32 offset, u8 *buffer, u32 bytes)
{
    const struct kernel_rom *rom = source;
    if (offset < rom->data_bytes) {
        u32 now = rom->data_bytes - offset < bytes ? rom->data_bytes - offset : bytes;
        memcpy(buffer, rom->data + offset, now);
        offset += now;
        buffer += now;
        bytes -= now;
    }
    u32 start = rom->data_bytes; /* offset of the piece in the stream */
    for (unsigned n = 0; n < rom->piece_count && bytes; n++) {
        struct rom_piece *piece = &rom->piece[n];
        if (offset < start + piece->bytes) {
            u32 into = offset - start, left = piece->bytes - into, now = left < bytes ? left : bytes;
            rom_piece_read(piece, into, buffer, now);
            offset += now;
            buffer += now;
            bytes -= now;
        }
        start += piece->bytes;
    }
}

static struct far far_pointer(u32 linear)
{
    return (struct far){.offset = linear & 15, .segment = (u16)(linear >> 4)};
}

static void fill_record(const struct kernel_rom *rom, u16 key, struct rom_record *record)
{
    *record = (struct rom_record){.data = rom->data_gpa,
                                  .descriptors = rom->descriptors,
                                  .descriptor_count = rom->piece_count,
                                  .map = far_pointer(rom->map),
                                  .map_room = (u16)rom->map_room,
                                  .information = far_pointer(rom->information),
                                  .real_mode = !rom->gdt,
                                  .gdt_limit = (u16)(rom->gdt_bytes - 1),
                                  .gdt_base = rom->gdt,
                                  .data_segment = rom->data_segment,
                                  .eip = rom->eip,
                                  .code_segment = rom->code_segment,
                                  .registers = rom->registers};
    put_descriptor(record->data_descriptor, key, rom->data_gpa, rom->data_bytes);
}

bool kernel_rom_install(struct kernel_rom *rom, struct fw_cfg *config)
{
    u64 bytes = rom->data_bytes;
    for (unsigned n = 0; n < rom->piece_count; n++)
        bytes += rom->piece[n].bytes;
    u16 key = bytes <= UINT32_MAX ? fw_cfg_put_source(config, STREAM_FILE, (u32)bytes, read_stream, rom) : 0;
    if (!key) return false;

    u32 rom_bytes = (u32)(kernel_rom_end - kernel_rom);
    u8 image[ROM_BYTES_MAX], sum = 0;
    struct rom_record record;
    assert(rom_bytes <= sizeof(image) && kernel_rom_code - kernel_rom_record == sizeof(record));
    memcpy(image, kernel_rom, rom_bytes);
    fill_record(rom, key, &record);
    memcpy(image + (kernel_rom_record - kernel_rom), &record, sizeof(record));
    for (unsigned n = 0; n < rom_bytes; n++)
        sum += image[n];
    image[rom_bytes - 1] = (u8)(0 - sum);
    return fw_cfg_put_file(config, KERNEL_ROM_FILE, image, rom_bytes, false);
}
