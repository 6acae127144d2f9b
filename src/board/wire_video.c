#include "wire_video.h"

#include "base/log.h"
#include "board.h"
#include "firmware_file.h"
#include "mmu/phys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEGACY_BASE  0xa0000u
#define LEGACY_BYTES 0x20000u

#define ROM_NAME "vgabios-stdvga.bin"

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

/* Without the ROM the screen is blank until an operating system sets a mode. */
static void load_rom(struct video *video)
{
    char path[FIRMWARE_PATH_BYTES], error[FIRMWARE_PATH_BYTES + 64];
    if (!firmware_find(video->board->options->firmware_directory, ROM_NAME, path)) {
        log_debug("there is no video BIOS: %s is missing", path);
        return;
    }
    video->rom = firmware_load_rom(path, &video->rom_bytes, error, sizeof(error));
    if (!video->rom) log_warn("%s", error);
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
