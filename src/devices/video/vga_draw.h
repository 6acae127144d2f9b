/*
 * Drawing the VGA's picture, in a viewer's thread: what vga_draw.c (which lines, when) and vga_line.c (one
 * line) share. See display.h for the thread that owns a picture at each time.
 *
 * A line consists of characters of 8 or 9 dots. Each character has a *counter*, which begins at the start address. The
 * CRTC's mode makes an address in the planes of it. A dot is a pixel here, whatever its shape on a monitor. Lines that
 * the CRTC shows twice are in the frame twice.
 */
#ifndef RINGER_DEVICES_VIDEO_VGA_DRAW_H
#define RINGER_DEVICES_VIDEO_VGA_DRAW_H

#include "vga.h"

/* 256 characters of 9 dots, each doubled, and one more to the right for panning. */
#define VGA_LINE_DOTS (257 * 18)

/* The source of a scan line. */
struct vga_scan {
    u32 counter;        /* of the first character */
    u32 row;            /* of the character, or of the repetition */
    u32 panning;        /* dots to the left */
    u32 byte_mode_only; /* bool: planes beyond 64 KB, in the display interface's 4-bit modes */
};

struct vga_picture {
    const u8 *memory;
    struct vga_registers now;   /* the last scene's; the vCPU thread writes them until ready() */
    struct vga_registers drawn; /* those of the drawn frame */
    bool any_drawn;
    u32 characters; /* a line */
    u32 palette[256];
    u64 frame_number;                /* of the VGA's frames, for blinking */
    bool cursor_blinks, text_blinks; /* seen by the last drawing */
    u32 dots[VGA_LINE_DOTS];
};

/* Draw the line's dots, panned, not doubled, into picture->dots. */
typedef void vga_line(struct vga_picture *picture, const struct vga_scan *scan);
vga_line vga_line_text, vga_line_planar, vga_line_cga, vga_line_256;

/* bits a pixel: 8, 15, 16, 24, 32 */
void vga_line_linear(struct vga_picture *picture, const u8 *from, u32 pixels, u32 bits);

static inline u32 vga_character_dots(const struct vga_registers *reg)
{
    return vga_is_text(reg) && !(reg->sequencer[VGA_SR_CLOCKING] & 1) ? 9 : 8;
}

/* The cursor is visible for 8 frames and invisible for 8. Text blinks half as fast. */
enum { VGA_CURSOR_FRAMES = 8, VGA_BLINK_FRAMES = 16 };

#endif
