/*
 * The VGA on the board: its video memory behind the guest's RAM (mmu/phys.h), the legacy range at A0000h, the PCI
 * function, and its BIOS (a file of the package seabios). Viewers learn of writes to video memory through this.
 */
#ifndef RINGER_BOARD_WIRE_VIDEO_H
#define RINGER_BOARD_WIRE_VIDEO_H

#include "devices/video/vga_pci.h"
#include "options/options_board.h"

struct board;

#define VIDEO_DEVFN     PCI_DEVFN(2, 0)
#define VIDEO_VBE_PORTS 0x1ce

struct video {
    struct board *board; /* NULL: -vga none */
    struct vga vga;
    struct pci_device pci;
    u8 *rom; /* NULL: its file was not found */
    u32 rom_bytes;
    bool written; /* set by phys' video_written(): video_tell() has something to do */
};

/* The bytes of video memory that the card needs. */
u64 video_memory_bytes(enum video_card card);

/* Wire the card, if the options have one. False with one sentence in error. */
bool video_init(struct video *video, struct board *board, char *error, size_t error_bytes);
void video_destroy(struct video *video);
void video_reset(struct video *video);

/* Tell viewers what has changed. The dispatcher calls it with PENDING_HOST. */
void video_tell(struct video *video);

/* The display that viewers attach to (devices/video/display.h), or NULL. */
static inline struct display *video_display(struct video *video)
{
    return video->board ? &video->vga.display : NULL;
}

#endif
