/*
 * A VGA (IBM VGA Technical Reference; register names as there) with the linear modes of Bochs' display
 * interface (VBE DISPI, "vbe_dispi" in the documentation of its VGA BIOS), and the state that a viewer
 * needs to draw.
 *
 * Ports and memory: vga_ops at 3C0h-3DFh and vga_mono_ops at 3B0h-3BBh, byte-wide; vga_vbe_ops at
 * 1CEh-1D1h, 2 bytes wide; vga_memory_ops at A0000h-BFFFFh, any width; vga_mmio_ops, 4 KB anywhere. The device of all
 * is the struct vga. By bit 0 of miscellaneous output the guest chooses which of the first two has the CRTC; the other
 * one reads as ones there.
 *
 * The board provides video memory, which is plain memory. The guest sees all of it as the linear frame buffer.
 * The four planes of the VGA are its first 256 KB:
 *
 *   byte of a plane at address P:  4 x (P rotated right by 2, as 16 bits) + plane
 *
 * So P, P+1, P+2, P+3 lie 64 KB apart, and the bytes that the CPU sees in chain 4 (plane = A1-A0, P = A
 * with these two clear) are the first 64 KB in order. In chain 4, and in a linear mode with its banks, the
 * memory at A0000h can therefore be video memory itself (wiring.map). In other modes accesses go through
 * vga_memory_ops.
 *
 * Invariants
 * 1. A function that changes the picture calls vga_changed(). Writes to plain memory are the exception:
 *    the board reports those.
 * 2. No register is trusted: an address is reduced to the size of memory where it is used.
 *
 * It starts in mode 3, 80 x 25 colour text, as a BIOS leaves it, with a blank screen. There is no font in
 * plane 2, because firmware loads it (vga_load_font()). Retrace is computed from the clock: 70 frames
 * of 449 lines a second.
 */
#ifndef RINGER_DEVICES_VIDEO_VGA_H
#define RINGER_DEVICES_VIDEO_VGA_H

#include "base/device.h"
#include "display.h"

/* 720 x 400 at 70 Hz: 900 dots of 28.322 MHz a line. */
#define VGA_LINE_NS     31778u
#define VGA_FRAME_LINES 449u

#define VGA_PLANE_BYTES  65536
#define VGA_LEGACY_BYTES (4 * VGA_PLANE_BYTES)
#define VGA_BANK_BYTES   65536
/* It holds 2560 x 1600 at 32 bits. */
#define VGA_MEMORY_BYTES (16u << 20)

#define VGA_SEQUENCER_COUNT 5
#define VGA_GRAPHICS_COUNT  9
#define VGA_ATTRIBUTE_COUNT 21
#define VGA_CRTC_COUNT      25

enum vga_vbe_index {
    VGA_VBE_ID,
    VGA_VBE_XRES,
    VGA_VBE_YRES,
    VGA_VBE_BPP,
    VGA_VBE_ENABLE,
    VGA_VBE_BANK,
    VGA_VBE_VIRTUAL_WIDTH,
    VGA_VBE_VIRTUAL_HEIGHT,
    VGA_VBE_X_OFFSET,
    VGA_VBE_Y_OFFSET,
    VGA_VBE_MEMORY_64K,
    VGA_VBE_COUNT,
};
enum {
    VGA_VBE_ENABLED = 0x01,
    VGA_VBE_GET_CAPABILITIES = 0x02,
    VGA_VBE_8BIT_DAC = 0x20,
    VGA_VBE_LINEAR = 0x40,
    VGA_VBE_NO_CLEAR = 0x80,
};
#define VGA_VBE_MAX_WIDTH  2560
#define VGA_VBE_MAX_HEIGHT 1600

/* All that the picture depends on, except video memory. */
struct vga_registers {
    u8 misc; /* miscellaneous output */
    u8 sequencer[VGA_SEQUENCER_COUNT];
    u8 graphics[VGA_GRAPHICS_COUNT];
    u8 crtc[VGA_CRTC_COUNT];
    u8 attribute[VGA_ATTRIBUTE_COUNT];
    u8 palette_on; /* attribute address, bit 5: the palette is the screen's, not the guest's */
    u8 dac_mask;
    u8 dac[256][3]; /* red, green, blue; six bits each, or eight */
    u16 vbe[VGA_VBE_COUNT];
};

/* What the board provides. */
struct vga_wiring {
    const struct clock *clock;
    u8 *memory; /* VGA_MEMORY_BYTES, zero; other threads read it */
    /* Map video memory from `offset` on to the 64 KB at A0000h, or (mapped: false) vga_memory_ops again. */
    void (*map)(void *machine, bool mapped, u32 offset);
    /* The pages written since the last call, except by vga_memory_ops: for display_ops' collect(). */
    void (*collect)(void *machine, u64 *pages);
    void *machine;
};

struct vga {
    struct vga_wiring wiring;
    struct display display;
    struct vga_registers reg;
    u8 feature; /* feature control */
    u8 sequencer_index, graphics_index, crtc_index, attribute_index;
    bool attribute_data; /* the flip-flop: the next write to 3C0h is data */
    u8 dac_index, dac_component;
    bool dac_reading;
    u16 vbe_index;
    u32 latch;
    bool mapped; /* A0000h shows video memory, from map_offset on */
    u32 map_offset;
    bool written; /* vga_memory_ops has written since the last collect() */
};

void vga_init(struct vga *vga, const struct vga_wiring *wiring);
void vga_reset(struct vga *vga);
void vga_destroy(struct vga *vga);

/* Registers by their names in the Technical Reference, where another file than vga.c needs them. */
enum { VGA_SR_CLOCKING = 1, VGA_SR_MAP_MASK = 2, VGA_SR_CHARACTER_MAP = 3, VGA_SR_MEMORY_MODE = 4 };
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
    VGA_CR_PRESET_ROW = 0x08,
    VGA_CR_MAX_SCAN_LINE = 0x09,
    VGA_CR_CURSOR_START = 0x0a,
    VGA_CR_CURSOR_END = 0x0b,
    VGA_CR_START_HIGH = 0x0c,
    VGA_CR_START_LOW = 0x0d,
    VGA_CR_CURSOR_HIGH = 0x0e,
    VGA_CR_CURSOR_LOW = 0x0f,
    VGA_CR_RETRACE_END = 0x11,
    VGA_CR_VERTICAL_END = 0x12,
    VGA_CR_OFFSET = 0x13,
    VGA_CR_UNDERLINE = 0x14,
    VGA_CR_MODE = 0x17,
    VGA_CR_LINE_COMPARE = 0x18,
};
enum { VGA_AR_MODE = 0x10, VGA_AR_OVERSCAN, VGA_AR_PLANES, VGA_AR_PANNING, VGA_AR_COLOR_SELECT };
enum { VGA_GRAPHICS_MODE = 0x01 }; /* in VGA_GR_MISCELLANEOUS */
enum { VGA_MISC_COLOR = 0x01, VGA_MISC_ENABLE_RAM = 0x02 };

/* Offset in video memory of plane 0's byte at P; beyond 64 KB a plane goes on in the next 256 KB. */
static inline u32 vga_planes_at(u32 address)
{
    u32 low = address & 0xffff;
    return ((address & ~0xffffu) | low >> 2 | (low & 3) << 14) * 4;
}
static inline u8 *vga_plane_byte(const struct vga *vga, unsigned plane, u16 address)
{
    return vga->wiring.memory + vga_planes_at(address) + plane;
}

static inline void vga_changed(struct vga *vga)
{
    display_changed(&vga->display);
}

/* Is a mode of the display interface on? */
static inline bool vga_vbe_on(const struct vga_registers *reg)
{
    return reg->vbe[VGA_VBE_ENABLE] & VGA_VBE_ENABLED;
}
/* Do the VGA's own registers make it a text mode? */
static inline bool vga_is_text(const struct vga_registers *reg)
{
    return !(reg->graphics[VGA_GR_MISCELLANEOUS] & VGA_GRAPHICS_MODE);
}
/* Scan lines shown: ten bits, spread over two registers. */
static inline u32 vga_lines_shown(const struct vga_registers *reg)
{
    u32 overflow = reg->crtc[VGA_CR_OVERFLOW];
    return (reg->crtc[VGA_CR_VERTICAL_END] | (overflow & 0x02) << 7 | (overflow & 0x40) << 3) + 1;
}
/* The first character's counter. */
static inline u32 vga_start(const struct vga_registers *reg)
{
    return (u32)reg->crtc[VGA_CR_START_HIGH] << 8 | reg->crtc[VGA_CR_START_LOW];
}
/* Bytes from one line to the next, of a linear mode. */
static inline u32 vga_vbe_line_bytes(const struct vga_registers *reg)
{
    return (reg->vbe[VGA_VBE_VIRTUAL_WIDTH] * ((reg->vbe[VGA_VBE_BPP] + 7u) / 8 * 8)) / 8;
}

/* Call after a change of the registers that decide whether A0000h can show video memory. */
void vga_memory_update(struct vga *vga);
void vga_vbe_reset(struct vga *vga);

/* The text screen as UTF-8, terminated by NUL: a line for each row, without trailing blanks. Honours start address, row
 * offset and screen height. Returns the bytes it takes, as snprintf() does; 0 in a graphics mode of the VGA or the
 * display interface. */
size_t vga_text_dump(const struct vga *vga, char *out, size_t size);

/* The 8 x 16 font of a VGA BIOS image, 256 glyphs of 16 bytes. NULL: the image has none. */
const u8 *vga_find_font(const u8 *image, size_t bytes);
/* Load it to its address for mode 3. False: the image has none. */
bool vga_load_font(struct vga *vga, const u8 *image, size_t bytes);

/* 128 bytes that describe a monitor (VESA E-EDID 1.3) with width x height as its best mode. */
#define VGA_EDID_BYTES 128
void vga_edid(u8 edid[VGA_EDID_BYTES], u32 width, u32 height);

extern const struct io_ops vga_ops;
extern const struct io_ops vga_mono_ops;
extern const struct io_ops vga_vbe_ops;
extern const struct io_ops vga_mmio_ops;
extern const struct io_ops vga_memory_ops;
extern const struct display_ops vga_display_ops;

#endif
