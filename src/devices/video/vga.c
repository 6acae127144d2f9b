/*
 * The VGA's registers. See vga.h.
 */
#include "vga.h"

#include <assert.h>
#include <string.h>

/* Ports, as offsets from 3C0h */
enum {
    PORT_ATTRIBUTE = 0x00,
    PORT_ATTRIBUTE_READ = 0x01,
    PORT_MISC_WRITE = 0x02, /* read: input status 0 */
    PORT_SEQUENCER_INDEX = 0x04,
    PORT_SEQUENCER = 0x05,
    PORT_DAC_MASK = 0x06,
    PORT_DAC_READ_INDEX = 0x07, /* read: DAC state */
    PORT_DAC_WRITE_INDEX = 0x08,
    PORT_DAC_DATA = 0x09,
    PORT_FEATURE_READ = 0x0a,
    PORT_MISC_READ = 0x0c,
    PORT_GRAPHICS_INDEX = 0x0e,
    PORT_GRAPHICS = 0x0f,
};

/* Ports of the half that moves between 3Bxh and 3Dxh */
enum { PORT_CRTC_INDEX = 0x04, PORT_CRTC = 0x05, PORT_STATUS = 0x0a };

enum { STATUS0_SWITCH = 0x10 };
enum { STATUS1_DISPLAY_OFF = 0x01, STATUS1_RETRACE = 0x08 };
enum { ATTRIBUTE_INDEX = 0x1f, ATTRIBUTE_PALETTE_ON = 0x20 };
enum { RETRACE_END_PROTECT = 0x80, OVERFLOW_LINE_COMPARE = 0x10 };

/* Of VGA_LINE_NS and VGA_FRAME_LINES; retrace on lines 412 and 413. */
#define LINE_SHOWN_NS 25422
#define LINES_SHOWN   400
#define RETRACE_FIRST 412
#define RETRACE_LAST  413

/* Mode 3 as the VGA BIOS sets it (Technical Reference, "BIOS: video parameters"). */
static const u8 mode3_sequencer[VGA_SEQUENCER_COUNT] = {0x03, 0x00, 0x03, 0x00, 0x02};
static const u8 mode3_crtc[VGA_CRTC_COUNT] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00,
                                              0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00, 0x9c, 0x8e,
                                              0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
static const u8 mode3_graphics[VGA_GRAPHICS_COUNT] = {0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff};
static const u8 mode3_attribute[VGA_ATTRIBUTE_COUNT] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14,
                                                        0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
                                                        0x3e, 0x3f, 0x0c, 0x00, 0x0f, 0x08, 0x00};
#define MODE3_MISC 0x67

/* Bits that exist in each register. */
static const u8 sequencer_bits[VGA_SEQUENCER_COUNT] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
static const u8 graphics_bits[VGA_GRAPHICS_COUNT] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
static const u8 attribute_bits[VGA_ATTRIBUTE_COUNT] = {0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                                       0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
                                                       0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f};

/* Set one of the registers that the picture depends on. */
static void set(struct vga *vga, u8 *reg, u8 value)
{
    if (*reg == value) return;
    *reg = value;
    vga_changed(vga);
}

/* "Attribute address register": while bit 5 is set the palette belongs to the screen and cannot be written. */
static void write_attribute(struct vga *vga, u8 value)
{
    u8 index = vga->attribute_index & ATTRIBUTE_INDEX;
    if (!vga->attribute_data) {
        vga->attribute_index = value & (ATTRIBUTE_INDEX | ATTRIBUTE_PALETTE_ON);
        set(vga, &vga->reg.palette_on, value & ATTRIBUTE_PALETTE_ON);
    } else if (index < 16 ? !vga->reg.palette_on : index < VGA_ATTRIBUTE_COUNT) {
        set(vga, &vga->reg.attribute[index], value & attribute_bits[index]);
    }
    vga->attribute_data = !vga->attribute_data;
}

static u8 read_attribute(const struct vga *vga)
{
    u8 index = vga->attribute_index & ATTRIBUTE_INDEX;
    return index < VGA_ATTRIBUTE_COUNT ? vga->reg.attribute[index] : 0;
}

/* Three accesses make a colour. Then the index advances. */
static u8 *next_component(struct vga *vga)
{
    u8 *component = &vga->reg.dac[vga->dac_index][vga->dac_component];
    if (++vga->dac_component == 3) {
        vga->dac_component = 0;
        vga->dac_index++;
    }
    return component;
}

static u8 dac_bits(const struct vga *vga)
{
    return vga->reg.vbe[VGA_VBE_ENABLE] & VGA_VBE_8BIT_DAC ? 0xff : 0x3f;
}

static void set_dac_index(struct vga *vga, u8 index, bool reading)
{
    vga->dac_index = index;
    vga->dac_component = 0;
    vga->dac_reading = reading;
}

/* Registers 0-7 are write-protected by bit 7 of "vertical retrace end", except the line compare bit of
 * "overflow". */
static void write_crtc(struct vga *vga, u8 value)
{
    u8 index = vga->crtc_index;
    if (index >= VGA_CRTC_COUNT) return;
    if (index <= VGA_CR_OVERFLOW && (vga->reg.crtc[VGA_CR_RETRACE_END] & RETRACE_END_PROTECT)) {
        if (index != VGA_CR_OVERFLOW) return;
        value = (vga->reg.crtc[index] & ~OVERFLOW_LINE_COMPARE) | (value & OVERFLOW_LINE_COMPARE);
    }
    set(vga, &vga->reg.crtc[index], value);
}

/* Reading "input status 1" also resets the attribute flip-flop. */
static u8 read_status(struct vga *vga)
{
    vga->attribute_data = false;
    u64 now = clock_now(vga->wiring.clock), line = now / VGA_LINE_NS % VGA_FRAME_LINES;
    bool shown = line < LINES_SHOWN && now % VGA_LINE_NS < LINE_SHOWN_NS;
    bool retrace = line >= RETRACE_FIRST && line <= RETRACE_LAST;
    return (shown ? 0 : STATUS1_DISPLAY_OFF) | (retrace ? STATUS1_RETRACE : 0);
}

static void moving_write(struct vga *vga, u32 port, u8 value)
{
    switch (port) {
    case PORT_CRTC_INDEX: vga->crtc_index = value & 0x1f; break;
    case PORT_CRTC: write_crtc(vga, value); break;
    case PORT_STATUS: vga->feature = value; break;
    }
}

static u8 moving_read(struct vga *vga, u32 port)
{
    switch (port) {
    case PORT_CRTC_INDEX: return vga->crtc_index;
    case PORT_CRTC: return vga->crtc_index < VGA_CRTC_COUNT ? vga->reg.crtc[vga->crtc_index] : 0;
    case PORT_STATUS: return read_status(vga);
    default: return 0xff;
    }
}

static void fixed_write(struct vga *vga, u32 port, u8 value)
{
    switch (port) {
    case PORT_ATTRIBUTE: write_attribute(vga, value); break;
    case PORT_MISC_WRITE:
        set(vga, &vga->reg.misc, value & 0xef);
        vga_memory_update(vga);
        break;
    case PORT_SEQUENCER_INDEX: vga->sequencer_index = value & 0x07; break;
    case PORT_SEQUENCER:
        if (vga->sequencer_index >= VGA_SEQUENCER_COUNT) break;
        set(vga, &vga->reg.sequencer[vga->sequencer_index], value & sequencer_bits[vga->sequencer_index]);
        vga_memory_update(vga);
        break;
    case PORT_DAC_MASK: set(vga, &vga->reg.dac_mask, value); break;
    case PORT_DAC_READ_INDEX: set_dac_index(vga, value, true); break;
    case PORT_DAC_WRITE_INDEX: set_dac_index(vga, value, false); break;
    case PORT_DAC_DATA: set(vga, next_component(vga), value & dac_bits(vga)); break;
    case PORT_GRAPHICS_INDEX: vga->graphics_index = value & 0x0f; break;
    case PORT_GRAPHICS:
        if (vga->graphics_index >= VGA_GRAPHICS_COUNT) break;
        set(vga, &vga->reg.graphics[vga->graphics_index], value & graphics_bits[vga->graphics_index]);
        vga_memory_update(vga);
        break;
    }
}

static u8 fixed_read(struct vga *vga, u32 port)
{
    switch (port) {
    case PORT_ATTRIBUTE: return vga->attribute_index;
    case PORT_ATTRIBUTE_READ: return read_attribute(vga);
    case PORT_MISC_WRITE: return STATUS0_SWITCH;
    case PORT_SEQUENCER_INDEX: return vga->sequencer_index;
    case PORT_SEQUENCER:
        return vga->sequencer_index < VGA_SEQUENCER_COUNT ? vga->reg.sequencer[vga->sequencer_index] : 0;
    case PORT_DAC_MASK: return vga->reg.dac_mask;
    case PORT_DAC_READ_INDEX: return vga->dac_reading ? 3 : 0;
    case PORT_DAC_WRITE_INDEX: return vga->dac_index;
    case PORT_DAC_DATA: return *next_component(vga);
    case PORT_FEATURE_READ: return vga->feature;
    case PORT_MISC_READ: return vga->reg.misc;
    case PORT_GRAPHICS_INDEX: return vga->graphics_index;
    case PORT_GRAPHICS:
        return vga->graphics_index < VGA_GRAPHICS_COUNT ? vga->reg.graphics[vga->graphics_index] : 0;
    default: return 0xff;
    }
}

static void color_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct vga *vga = device;
    if (offset < 0x10) {
        fixed_write(vga, offset, value);
    } else if (vga->reg.misc & VGA_MISC_COLOR) {
        moving_write(vga, offset - 0x10, value);
    }
}

static u32 color_read(void *device, u32 offset, unsigned size)
{
    struct vga *vga = device;
    if (offset < 0x10) return fixed_read(vga, offset);
    return vga->reg.misc & VGA_MISC_COLOR ? moving_read(vga, offset - 0x10) : 0xff;
}

static void mono_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct vga *vga = device;
    if (!(vga->reg.misc & VGA_MISC_COLOR)) moving_write(vga, offset, value);
}

static u32 mono_read(void *device, u32 offset, unsigned size)
{
    struct vga *vga = device;
    return vga->reg.misc & VGA_MISC_COLOR ? 0xff : moving_read(vga, offset);
}

const struct io_ops vga_ops = {color_read, color_write};
const struct io_ops vga_mono_ops = {mono_read, mono_write};

/* The 64 colours of an EGA monitor: bits 2-0 are two thirds of red, green and blue, bits 5-3 one third. */
static void default_palette(struct vga *vga)
{
    for (unsigned i = 0; i < 256; i++) {
        for (unsigned c = 0; c < 3; c++) {
            unsigned strong = i >> (2 - c) & 1, weak = i >> (5 - c) & 1;
            vga->reg.dac[i][c] = i < 64 ? strong * 0x2a + weak * 0x15 : 0;
        }
    }
}

void vga_reset(struct vga *vga)
{
    struct vga fresh = {.wiring = vga->wiring,
                        .display = vga->display,
                        .mapped = vga->mapped,
                        .map_offset = vga->map_offset,
                        .attribute_index = ATTRIBUTE_PALETTE_ON,
                        .reg = {.misc = MODE3_MISC, .palette_on = ATTRIBUTE_PALETTE_ON, .dac_mask = 0xff},
                        .written = true};
    *vga = fresh;
    memcpy(vga->reg.sequencer, mode3_sequencer, sizeof(mode3_sequencer));
    memcpy(vga->reg.graphics, mode3_graphics, sizeof(mode3_graphics));
    memcpy(vga->reg.crtc, mode3_crtc, sizeof(mode3_crtc));
    memcpy(vga->reg.attribute, mode3_attribute, sizeof(mode3_attribute));
    default_palette(vga);
    vga_vbe_reset(vga);
    vga_memory_update(vga);
    memset(vga->wiring.memory, 0, VGA_LEGACY_BYTES);
    /* 32 KB of B8000h: blanks, light grey on black. Odd/even addressing uses every second byte of a plane. */
    for (unsigned at = 0; at < 0x8000; at += 2) {
        *vga_plane_byte(vga, 0, (u16)at) = ' ';
        *vga_plane_byte(vga, 1, (u16)at) = 0x07;
    }
    vga_changed(vga);
}

/* There is one unit more than pages: it stands for writes by vga_memory_ops. */
static_assert(VGA_LEGACY_BYTES <= VGA_MEMORY_BYTES, "the planes are in video memory");

void vga_init(struct vga *vga, const struct vga_wiring *wiring)
{
    *vga = (struct vga){.wiring = *wiring};
    display_init(&vga->display, &vga_display_ops, vga, VGA_MEMORY_BYTES / PAGE_SIZE + 1);
    vga_reset(vga);
}

void vga_destroy(struct vga *vga)
{
    display_destroy(&vga->display);
}
