/*
 * The VGA's picture as a frame: its size, the lines that must be drawn again, and their damage. See vga_draw.h and
 * display.h.
 *
 * Every line that may differ is drawn and compared with the frame, so the damage is exact although writes are recorded
 * by pages. In the VGA's own modes all lines are drawn, which takes a millisecond; in linear modes the lines with a
 * written page.
 */
#include "vga_draw.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(VGA_VBE_MAX_WIDTH <= VGA_LINE_DOTS, "a linear line fits too");

#define MEMORY_PAGES (VGA_MEMORY_BYTES / PAGE_SIZE)
#define LEGACY_UNIT  MEMORY_PAGES /* what vga_memory_ops wrote */
#define FRAME_NS     (VGA_FRAME_LINES * VGA_LINE_NS)

enum { CLOCKING_HALF = 0x08, CLOCKING_SCREEN_OFF = 0x20 };
enum { ATTRIBUTE_PAN_TOP_ONLY = 0x20, ATTRIBUTE_SELECT_5_4 = 0x80 };
enum { MODE_SHIFT_CGA = 0x20, MODE_SHIFT_256 = 0x40, CRTC_DIVIDE_BY_2 = 0x04, DOUBLE_SCAN = 0x80 };

/* --- the vCPU thread's part --- */

static void *picture_create(void *device)
{
    const struct vga *vga = device;
    struct vga_picture *picture = calloc(1, sizeof(*picture));
    if (picture) picture->memory = vga->wiring.memory;
    return picture;
}

static void picture_destroy(void *picture)
{
    free(picture);
}

static void collect(void *device, u64 *dirty)
{
    struct vga *vga = device;
    vga->wiring.collect(vga->wiring.machine, dirty);
    if (vga->written) dirty[LEGACY_UNIT / 64] |= 1ull << LEGACY_UNIT % 64;
    vga->written = false;
}

static void snapshot(void *device, void *picture)
{
    const struct vga *vga = device;
    ((struct vga_picture *)picture)->now = vga->reg;
}

/* --- the viewer's --- */

static bool is_dirty(const u64 *dirty, u32 from, u32 to)
{
    for (u32 unit = from; unit <= to; unit++)
        if (dirty[unit / 64] >> unit % 64 & 1) return true;
    return false;
}

static u32 dac_color(const struct vga_registers *reg, u32 index)
{
    const u8 *c = reg->dac[index & reg->dac_mask];
    if (reg->vbe[VGA_VBE_ENABLE] & VGA_VBE_8BIT_DAC) return (u32)c[0] << 16 | c[1] << 8 | c[2];
    u32 color = 0;
    for (u32 n = 0; n < 3; n++)
        color = color << 8 | (u8)(c[n] << 2 | (c[n] & 0x3f) >> 4);
    return color;
}

/* Sixteen colours go through the attribute controller's palette ("color select"), 256 do not. */
static void make_palette(struct vga_picture *picture, bool sixteen)
{
    const struct vga_registers *reg = &picture->now;
    for (u32 n = 0; n < 256; n++) {
        u32 index = n;
        if (sixteen) {
            u8 select = reg->attribute[VGA_AR_COLOR_SELECT];
            index = reg->attribute[n & 15 & reg->attribute[VGA_AR_PLANES]];
            if (reg->attribute[VGA_AR_MODE] & ATTRIBUTE_SELECT_5_4) index = (index & 15) | (select & 3) << 4;
            index = (index & 0x3f) | (select & 0x0c) << 4;
        }
        picture->palette[n] = dac_color(reg, index);
    }
}

/* Copy the line in picture->dots to the frame, from its first to its last difference. */
static void put_line(const struct vga_picture *picture, struct display_frame *frame, u32 y)
{
    u32 *row = frame->pixel + (u64)y * frame->width, from = 0, to = frame->width;
    if (!memcmp(row, picture->dots, to * sizeof(u32))) return;
    while (row[from] == picture->dots[from])
        from++;
    while (row[to - 1] == picture->dots[to - 1])
        to--;
    memcpy(row + from, picture->dots + from, (to - from) * sizeof(u32));
    display_frame_damage(frame, from, y, to - from, 1);
}

static void double_dots(struct vga_picture *picture, u32 dots)
{
    for (u32 n = dots; n-- > 0;)
        picture->dots[2 * n] = picture->dots[2 * n + 1] = picture->dots[n];
}

/* --- the VGA's own modes --- */

struct raster {
    vga_line *line;
    u32 width, height;
    bool doubled, double_scan, text;
    u32 rows;         /* scan lines of a character */
    u32 line_compare; /* the last line before the split */
    u32 pitch;        /* of the counter, from row to row */
};

static struct raster raster_of(const struct vga_registers *reg)
{
    const u8 *crtc = reg->crtc;
    u32 overflow = crtc[VGA_CR_OVERFLOW], scan = crtc[VGA_CR_MAX_SCAN_LINE];
    struct raster r = {
        .doubled = reg->sequencer[VGA_SR_CLOCKING] & CLOCKING_HALF,
        .double_scan = scan & DOUBLE_SCAN,
        .text = vga_is_text(reg),
        .rows = (scan & 0x1f) + 1,
        .line_compare = crtc[VGA_CR_LINE_COMPARE] | (overflow & 0x10) << 4 | (scan & 0x40) << 3,
        .height = vga_lines_shown(reg),
        .width = (crtc[VGA_CR_DISPLAY_END] + 1u) * vga_character_dots(reg),
        .pitch = crtc[VGA_CR_OFFSET] * 2u,
    };
    if (crtc[VGA_CR_MODE] & CRTC_DIVIDE_BY_2) {
        r.height *= 2;
        r.line_compare *= 2;
    }
    u8 mode = reg->graphics[VGA_GR_MODE];
    r.line = r.text                  ? vga_line_text
             : mode & MODE_SHIFT_256 ? vga_line_256
             : mode & MODE_SHIFT_CGA ? vga_line_cga
                                     : vga_line_planar;
    if (r.doubled) r.width *= 2;
    return r;
}

/* "Horizontal PEL panning": with 9 dots 8 stands for none; 256 colours move by two dots. */
static u32 panning_dots(const struct vga_registers *reg, const struct raster *raster)
{
    u32 panning = reg->attribute[VGA_AR_PANNING] & 15;
    if (vga_character_dots(reg) == 9) return panning >= 8 ? 0 : panning + 1;
    return raster->line == vga_line_256 ? panning & 6 : panning & 7;
}

static void draw_rasters(struct vga_picture *picture, struct display_frame *frame,
                         const struct raster *raster)
{
    const struct vga_registers *reg = &picture->now;
    struct vga_scan scan = {
        .counter = vga_start(reg) + (reg->crtc[VGA_CR_PRESET_ROW] >> 5 & 3),
        .row = reg->crtc[VGA_CR_PRESET_ROW] & 0x1f,
        .panning = panning_dots(reg, raster),
    };
    u32 row_start = scan.counter, dots = raster->doubled ? raster->width / 2 : raster->width;
    /* In graphics modes the rows are equal, unless the row is part of the address. */
    u32 row_bits = raster->text ? 0x1f : ~reg->crtc[VGA_CR_MODE] & 3;
    struct vga_scan drawn = {.counter = UINT32_MAX};
    bool second = false;
    picture->characters = reg->crtc[VGA_CR_DISPLAY_END] + 1u;
    for (u32 y = 0; y < raster->height; y++) {
        struct vga_scan here = scan;
        here.row &= row_bits;
        if (memcmp(&here, &drawn, sizeof(here)) != 0) {
            raster->line(picture, &here);
            if (raster->doubled) double_dots(picture, dots);
            drawn = here;
        }
        put_line(picture, frame, y);
        if (y == raster->line_compare) {
            row_start = scan.counter = scan.row = 0;
            second = false;
            if (reg->attribute[VGA_AR_MODE] & ATTRIBUTE_PAN_TOP_ONLY) scan.panning = 0;
            continue;
        }
        second = raster->double_scan && !second;
        if (second) continue;
        if (++scan.row >= raster->rows) {
            scan.row = 0;
            scan.counter = row_start += raster->pitch;
        }
    }
}

/* --- the display interface's modes --- */

static void draw_planes(struct vga_picture *picture, struct display_frame *frame)
{
    const u16 *vbe = picture->now.vbe;
    picture->characters = vbe[VGA_VBE_XRES] / 8u;
    for (u32 y = 0; y < frame->height; y++) {
        struct vga_scan scan = {.counter = (vbe[VGA_VBE_Y_OFFSET] + y) * (vbe[VGA_VBE_VIRTUAL_WIDTH] / 8u) +
                                           vbe[VGA_VBE_X_OFFSET] / 8u,
                                .panning = vbe[VGA_VBE_X_OFFSET] % 8u,
                                .byte_mode_only = true};
        vga_line_planar(picture, &scan);
        put_line(picture, frame, y);
    }
}

static void draw_linear(struct vga_picture *picture, const u64 *dirty, struct display_frame *frame, bool all)
{
    const u16 *vbe = picture->now.vbe;
    u32 bits = vbe[VGA_VBE_BPP], bytes = (bits + 7) / 8, line_bytes = vga_vbe_line_bytes(&picture->now);
    u32 length = frame->width * bytes;
    for (u32 y = 0; y < frame->height; y++) {
        u64 from = (u64)(vbe[VGA_VBE_Y_OFFSET] + y) * line_bytes + (u64)vbe[VGA_VBE_X_OFFSET] * bytes;
        if (from + length > VGA_MEMORY_BYTES) return;
        u32 first = (u32)from / PAGE_SIZE, last = (u32)(from + length - 1) / PAGE_SIZE;
        if (!all && !is_dirty(dirty, first, last)) continue;
        vga_line_linear(picture, picture->memory + from, frame->width, bits);
        put_line(picture, frame, y);
    }
}

/* --- all --- */

static bool is_blank(const struct vga_registers *reg)
{
    return !reg->palette_on || (reg->sequencer[VGA_SR_CLOCKING] & CLOCKING_SCREEN_OFF);
}

static void draw_blank(struct vga_picture *picture, struct display_frame *frame)
{
    memset(picture->dots, 0, frame->width * sizeof(u32));
    for (u32 y = 0; y < frame->height; y++)
        put_line(picture, frame, y);
}

/* The next time at which something blinks. */
static u64 next_blink(const struct vga_picture *picture)
{
    u64 frames = picture->cursor_blinks ? VGA_CURSOR_FRAMES : picture->text_blinks ? VGA_BLINK_FRAMES : 0;
    return frames ? (picture->frame_number / frames + 1) * frames * FRAME_NS : UINT64_MAX;
}

/* Do blinking parts of the drawn frame look different now? */
static bool phase_differs(const struct vga_picture *picture, u64 frame_number)
{
    u64 old = picture->frame_number;
    return (picture->cursor_blinks && ((old ^ frame_number) & VGA_CURSOR_FRAMES)) ||
           (picture->text_blinks && ((old ^ frame_number) & VGA_BLINK_FRAMES));
}

static void draw_legacy(struct vga_picture *picture, struct display_frame *frame, const struct raster *raster,
                        u64 frame_number)
{
    picture->frame_number = frame_number;
    picture->cursor_blinks = picture->text_blinks = false;
    make_palette(picture, raster->line != vga_line_256);
    draw_rasters(picture, frame, raster);
}

static u64 draw(void *opaque, const u64 *dirty, struct display_frame *frame, u64 now_ns)
{
    struct vga_picture *picture = opaque;
    const struct vga_registers *reg = &picture->now;
    struct raster raster = raster_of(reg);
    bool vbe = vga_vbe_on(reg);
    u32 width = vbe ? reg->vbe[VGA_VBE_XRES] : raster.width,
        height = vbe ? reg->vbe[VGA_VBE_YRES] : raster.height;
    bool all = !picture->any_drawn || memcmp(reg, &picture->drawn, sizeof(*reg)) != 0;
    if (!frame->pixel || width != frame->width || height != frame->height) {
        if (!display_frame_resize(frame, width, height)) return UINT64_MAX;
        all = true;
    }
    u64 frame_number = now_ns / FRAME_NS;
    bool planes =
        is_dirty(dirty, 0, VGA_LEGACY_BYTES / PAGE_SIZE - 1) || is_dirty(dirty, LEGACY_UNIT, LEGACY_UNIT);
    if (is_blank(reg)) {
        picture->cursor_blinks = picture->text_blinks = false;
        if (all) draw_blank(picture, frame);
        all = false; /* no write is lost: the end of blanking changes a register, and then all is drawn */
    } else if (!vbe) {
        if (all || planes || phase_differs(picture, frame_number))
            draw_legacy(picture, frame, &raster, frame_number);
    } else {
        picture->cursor_blinks = picture->text_blinks = false;
        make_palette(picture, reg->vbe[VGA_VBE_BPP] == 4);
        if (reg->vbe[VGA_VBE_BPP] != 4)
            draw_linear(picture, dirty, frame, all || is_dirty(dirty, LEGACY_UNIT, LEGACY_UNIT));
        else if (all || is_dirty(dirty, 0, LEGACY_UNIT))
            draw_planes(picture, frame);
    }
    picture->drawn = *reg;
    picture->any_drawn = true;
    return next_blink(picture);
}

const struct display_ops vga_display_ops = {
    .picture_create = picture_create,
    .picture_destroy = picture_destroy,
    .collect = collect,
    .snapshot = snapshot,
    .draw = draw,
};
