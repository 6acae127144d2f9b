/*
 * A VGA (IBM VGA Technical Reference; register names as there): registers, 256 KB of memory in four planes,
 * and the text screen as text. Nothing is drawn here.
 *
 * Windows: vga_ops at 3C0h-3DFh and vga_mono_ops at 3B0h-3BBh, byte-wide; vga_memory_ops at A0000h-BFFFFh,
 * any width. The device of all three is the struct vga. Which of the two port windows holds the CRTC is the
 * guest's choice (miscellaneous output, bit 0); the other one reads as ones there.
 *
 * It starts in mode 3, 80 x 25 colour text, as a BIOS leaves it, with a blank screen; but without a font in
 * plane 2, which only firmware would have loaded. Retrace is computed from the clock: 70 frames of 449 lines
 * a second.
 */
#ifndef RINGER_DEVICES_VGA_H
#define RINGER_DEVICES_VGA_H

#include "base/device.h"

#define VGA_PLANE_BYTES 65536

#define VGA_SEQUENCER_COUNT 5
#define VGA_GRAPHICS_COUNT  9
#define VGA_ATTRIBUTE_COUNT 21
#define VGA_CRTC_COUNT      25

struct vga {
    const struct clock *clock;
    u8 misc;    /* miscellaneous output */
    u8 feature; /* feature control */
    u8 sequencer_index, sequencer[VGA_SEQUENCER_COUNT];
    u8 graphics_index, graphics[VGA_GRAPHICS_COUNT];
    u8 crtc_index, crtc[VGA_CRTC_COUNT];
    u8 attribute_index;  /* bit 5: the palette is the screen's, not the guest's */
    bool attribute_data; /* the flip-flop: the next write to 3C0h is data */
    u8 attribute[VGA_ATTRIBUTE_COUNT];
    u8 dac_mask, dac_index, dac_component;
    bool dac_reading;
    u8 dac[256][3]; /* six bits each: red, green, blue */
    u8 latch[4];
    u8 plane[4][VGA_PLANE_BYTES];
};

void vga_init(struct vga *vga, const struct clock *clock);
void vga_reset(struct vga *vga);

/* Registers by their names in the Technical Reference, where another file than vga.c needs them. */
enum { VGA_SR_MAP_MASK = 2, VGA_SR_MEMORY_MODE = 4 };
enum {
    VGA_GR_SET_RESET,
    VGA_GR_ENABLE_SET_RESET,
    VGA_GR_COLOR_COMPARE,
    VGA_GR_DATA_ROTATE,
    VGA_GR_READ_MAP,
    VGA_GR_MODE,
    VGA_GR_MISCELLANEOUS,
    VGA_GR_COLOR_DONT_CARE,
    VGA_GR_BIT_MASK,
};
enum {
    VGA_CR_DISPLAY_END = 0x01,
    VGA_CR_OVERFLOW = 0x07,
    VGA_CR_MAX_SCAN_LINE = 0x09,
    VGA_CR_START_HIGH = 0x0c,
    VGA_CR_START_LOW = 0x0d,
    VGA_CR_RETRACE_END = 0x11,
    VGA_CR_VERTICAL_END = 0x12,
    VGA_CR_OFFSET = 0x13,
};
enum { VGA_GRAPHICS_MODE = 0x01 }; /* in VGA_GR_MISCELLANEOUS */
enum { VGA_MISC_COLOR = 0x01, VGA_MISC_ENABLE_RAM = 0x02 };

/* The text screen as UTF-8, a line each row with trailing blanks cut, terminated by NUL. Honours start
 * address, row offset and screen height. Returns the bytes it takes, as snprintf() does; 0 in a graphics
 * mode. */
size_t vga_text_dump(const struct vga *vga, char *out, size_t size);

extern const struct io_ops vga_ops;
extern const struct io_ops vga_mono_ops;
extern const struct io_ops vga_memory_ops;

#endif
