#include "wire_video.h"

#include "base/log.h"
#include "board.h"
#include "firmware_file.h"
#include "mmu/phys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEGACY_BASE  0xa0000u
#define LEGACY_BYTES 0x20000u

#define ROM_NAME      "vgabios-stdvga.bin"
#define ROM_MAX_BYTES (256u << 10)

u64 video_memory_bytes(enum video_card card)
{
    return card == VIDEO_NONE ? 0 : VGA_MEMORY_BYTES;
}

/* --- for the VGA --- */

static void map(void *machine, bool mapped, u32 offset)
{
    struct video *video = machine;
    struct board *board = video->board;
    if (mapped)
        phys_map_video(board->memory, LEGACY_BASE, VGA_BANK_BYTES, offset);
    else
        phys_map_mmio(board->memory, LEGACY_BASE, LEGACY_BYTES, &vga_memory_ops, &video->vga);
    board_memory_changed(board, LEGACY_BASE, VGA_BANK_BYTES);
}

static void collect(void *machine, u64 *pages)
{
    struct board *board = ((struct video *)machine)->board;
    board->host->collect_written(board->machine, pages);
}

/* --- writes --- */

void video_tell(struct video *video)
{
    if (!video->written) return;
    video->written = false;
    display_changed(&video->vga.display);
}

/* --- the ROM --- */

/* The size of an expansion ROM is a power of two. Without the ROM the screen is blank until an operating system sets
 * a mode. */
static void load_rom(struct video *video)
{
    char path[FIRMWARE_PATH_BYTES];
    if (!firmware_find(video->board->options->firmware_directory, ROM_NAME, path)) {
        log_debug("there is no video BIOS: %s is missing", path);
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0 || !status.st_size || status.st_size > ROM_MAX_BYTES) {
        log_warn("the video BIOS %s is not a file of 1 byte to 256 KB", path);
        if (fd >= 0) close(fd);
        return;
    }
    u32 bytes = PAGE_SIZE;
    while (bytes < status.st_size)
        bytes *= 2;
    u8 *rom = aligned_alloc(PAGE_SIZE, bytes);
    if (rom) memset(rom, 0xff, bytes);
    ssize_t done = rom ? read(fd, rom, (size_t)status.st_size) : -1;
    close(fd);
    if (done != status.st_size) {
        log_warn("cannot read the video BIOS %s", path);
        free(rom);
        return;
    }
    video->rom = rom;
    video->rom_bytes = bytes;
}

/* --- set-up --- */

static void claim_ports(struct video *video, struct port_bus *ports)
{
    struct vga *vga = &video->vga;
    ports_claim(ports, 0x3b0, 12, 1, &vga_mono_ops, vga);
    ports_claim(ports, 0x3c0, 32, 1, &vga_ops, vga);
    ports_claim(ports, VIDEO_VBE_PORTS, 4, 2, &vga_vbe_ops, vga);
}

bool video_init(struct video *video, struct board *board, char *error, size_t error_bytes)
{
    if (board->options->video == VIDEO_NONE) return true;
    int failed = phys_map_mmio(board->memory, LEGACY_BASE, LEGACY_BYTES, &vga_memory_ops, &video->vga);
    if (failed) {
        snprintf(error, error_bytes, "cannot fit the video memory: %s", strerror(-failed));
        return false;
    }
    video->board = board;
    load_rom(video);
    vga_init(&video->vga, &(struct vga_wiring){.clock = board->clock,
                                               .memory = board->memory->video,
                                               .map = map,
                                               .collect = collect,
                                               .machine = video});
    video->vga.display.mailbox = board->mailbox;
    vga_pci_init(&video->pci, &board->pci, VIDEO_DEVFN, &video->vga, video->rom, video->rom_bytes);
    claim_ports(video, &board->ports);
    return true;
}

void video_destroy(struct video *video)
{
    if (!video->board) return;
    vga_destroy(&video->vga);
    free(video->rom);
}

void video_reset(struct video *video)
{
    if (!video->board) return;
    pci_device_reset(&video->pci);
    vga_reset(&video->vga);
}
