/*
 * The VGA in the machine: its video memory behind the guest's RAM (mmu/phys.h), the window at A0000h, the PCI
 * function, its BIOS (Debian's package seabios, as wire_firmware.h), and the news of writes to video memory
 * on their way to viewers.
 */
#ifndef RINGER_BOARD_WIRE_VIDEO_H
#define RINGER_BOARD_WIRE_VIDEO_H

#include "devices/video/vga_pci.h"
#include "options/options.h"

struct vm;

struct video {
    struct vm *vm; /* NULL: -vga none */
    struct vga vga;
    struct pci_device pci;
    u8 *rom; /* NULL: its file was not found */
    u32 rom_bytes;
    bool written;              /* video_tell() has something to do */
    struct boot_screen screen; /* set by video_post(): for the loader */
};

/* Video memory that the machine needs. */
u64 video_memory_bytes(enum video_card card);

/* Wire it, unless there is none. False with one sentence in error. */
bool video_init(struct video *video, struct vm *vm, char *error, size_t error_bytes);
void video_destroy(struct video *video);
void video_reset(struct video *video);
/* In the firmware's place, after base addresses were given: a font, and the mode of Linux' `vga=`. */
void video_post(struct video *video);

/* phys' video_written(); with the guest's FPU state live. */
void video_written(struct video *video);
/* The dispatcher's, when it looks after the host's matters. */
void video_tell(struct video *video);

/* What viewers attach to (devices/display.h); NULL: there is none. */
static inline struct display *video_display(struct video *video)
{
    return video->vm ? &video->vga.display : NULL;
}

#endif
