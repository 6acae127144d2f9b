/*
 * One scan line of the VGA as pixels: text, planes, CGA's packed pixels, 256 colours, and the linear modes of
 * the display interface. See vga_draw.h.
 */
#include "vga_draw.h"

#include <string.h>

enum { CRTC_ROW_0_AS_13 = 1, CRTC_ROW_1_AS_14 = 2, CRTC_COUNT_BY_2 = 8, CRTC_WRAP = 0x20, CRTC_BYTE = 0x40 };
enum { UNDERLINE_COUNT_BY_4 = 0x20, UNDERLINE_DOUBLE_WORD = 0x40 };

/* "CRTC mode control": byte, word and double-word addresses; rows of scan lines in CGA's banks. */
static u32 address_of(const struct vga_picture *picture, const struct vga_scan *scan, u32 character)
{
    const u8 *crtc = picture->now.crtc;
    u8 mode = crtc[VGA_CR_MODE];
    if (scan->byte_mode_only) return (scan->counter + character) % (VGA_MEMORY_BYTES / 4);
    if (crtc[VGA_CR_UNDERLINE] & UNDERLINE_COUNT_BY_4)
        character >>= 2;
    else if (mode & CRTC_COUNT_BY_2)
        character >>= 1;
    u32 counter = (scan->counter + character) & 0xffff, address = counter;
    if (crtc[VGA_CR_UNDERLINE] & UNDERLINE_DOUBLE_WORD)
        address = counter << 2 | counter >> 14;
    else if (!(mode & CRTC_BYTE))
        address = counter << 1 | (counter >> (mode & CRTC_WRAP ? 15 : 13) & 1);
    if (!(mode & CRTC_ROW_0_AS_13)) address = (address & ~0x2000u) | (scan->row & 1) << 13;
    if (!(mode & CRTC_ROW_1_AS_14)) address = (address & ~0x4000u) | (scan->row & 2) << 13;
    return address & 0xffff;
}

/* The four planes at a character, plane 0 lowest. */
static u32 fetch(const struct vga_picture *picture, const struct vga_scan *scan, u32 character)
{
    return *(const any32 *)(picture->memory + vga_planes_at(address_of(picture, scan, character)));
}

/* Move the drawn dots left by the panning. */
static void pan(struct vga_picture *picture, const struct vga_scan *scan, u32 dots)
{
    if (scan->panning) memmove(picture->dots, picture->dots + scan->panning, dots * sizeof(u32));
}

/* --- text --- */

enum { CURSOR_OFF = 0x20, ATTRIBUTE_LINE_GRAPHICS = 0x04, ATTRIBUTE_BLINK = 0x08 };

/* "Character map select": attribute bit 3 chooses map A (set) or B. */
static u32 font_at(const struct vga_registers *reg, u8 attribute)
{
    u8 select = reg->sequencer[VGA_SR_CHARACTER_MAP];
    u32 map = attribute & 8 ? (select >> 2 & 3) | (select >> 3 & 4) : (select & 3) | (select >> 2 & 4);
    return (map & 3) << 14 | (map & 4) << 11;
}

static bool cursor_shown(struct vga_picture *picture, const struct vga_scan *scan, u32 character)
{
    const u8 *crtc = picture->now.crtc;
    u32 at = (u32)crtc[VGA_CR_CURSOR_HIGH] << 8 | crtc[VGA_CR_CURSOR_LOW];
    if (((scan->counter + character) & 0xffff) != at || (crtc[VGA_CR_CURSOR_START] & CURSOR_OFF) ||
        scan->row < (crtc[VGA_CR_CURSOR_START] & 0x1f) || scan->row > (crtc[VGA_CR_CURSOR_END] & 0x1f))
        return false;
    picture->cursor_blinks = true;
    return !(picture->frame_number / VGA_CURSOR_FRAMES & 1);
}

void vga_line_text(struct vga_picture *picture, const struct vga_scan *scan)
{
    const struct vga_registers *reg = &picture->now;
    u8 mode = reg->attribute[VGA_AR_MODE];
    u32 wide = vga_character_dots(reg) - 8, *to = picture->dots;
    bool off = picture->frame_number / VGA_BLINK_FRAMES & 1;
    for (u32 character = 0; character <= picture->characters; character++) {
        u32 cell = fetch(picture, scan, character);
        u8 code = (u8)cell, attribute = (u8)(cell >> 8);
        u32 font = font_at(reg, attribute) + code * 32u + scan->row;
        u32 dots = picture->memory[vga_planes_at(font & 0xffff) + 2] << wide;
        if (wide && (code & 0xe0) == 0xc0 && (mode & ATTRIBUTE_LINE_GRAPHICS)) dots |= dots >> 1 & 1;
        u32 back = attribute >> 4;
        if (mode & ATTRIBUTE_BLINK) {
            back &= 7;
            picture->text_blinks |= attribute & 0x80;
            if ((attribute & 0x80) && off) dots = 0;
        }
        if ((attribute & 0x77) == 0x01 && scan->row == (reg->crtc[VGA_CR_UNDERLINE] & 0x1f)) dots = 0x1ff;
        if (cursor_shown(picture, scan, character)) dots = 0x1ff;
        u32 color[2] = {picture->palette[back], picture->palette[attribute & 15]};
        for (u32 bit = 8 + wide; bit-- > 0;)
            *to++ = color[dots >> bit & 1];
    }
    pan(picture, scan, picture->characters * (8 + wide));
}

/* --- graphics --- */

/* Eight bits to eight nibbles, the left pixel lowest. */
static u32 nibbles(u32 byte)
{
    u32 x = (byte >> 4) | (byte & 15) << 16; /* left half low */
    x = (x >> 2 & 0x00030003) | (x & 0x00030003) << 8;
    return (x >> 1 & 0x01010101) | (x & 0x01010101) << 4;
}

static u32 *eight_dots(const struct vga_picture *picture, u32 *to, u32 pixels)
{
    u32 enabled = (picture->now.attribute[VGA_AR_PLANES] & 15) * 0x11111111u;
    pixels &= enabled;
    for (u32 n = 0; n < 8; n++, pixels >>= 4)
        *to++ = picture->palette[pixels & 15];
    return to;
}

void vga_line_planar(struct vga_picture *picture, const struct vga_scan *scan)
{
    u32 *to = picture->dots;
    for (u32 character = 0; character <= picture->characters; character++) {
        u32 planes = fetch(picture, scan, character);
        u32 pixels = nibbles(planes & 0xff) | nibbles(planes >> 8 & 0xff) << 1 |
                     nibbles(planes >> 16 & 0xff) << 2 | nibbles(planes >> 24) << 3;
        to = eight_dots(picture, to, pixels);
    }
    pan(picture, scan, picture->characters * 8);
}

/* "Graphics mode, shift register": two bits of plane 0 and above them two of plane 2 a pixel, then 1 and 3. */
void vga_line_cga(struct vga_picture *picture, const struct vga_scan *scan)
{
    u32 *to = picture->dots;
    for (u32 character = 0; character <= picture->characters; character++) {
        u32 planes = fetch(picture, scan, character), pixels = 0;
        for (u32 n = 0; n < 8; n++) {
            u32 even = planes >> (n & 4 ? 8 : 0), shift = 6 - 2 * (n & 3);
            pixels |= ((even >> shift & 3) | (even >> 16 >> shift & 3) << 2) << 4 * n;
        }
        to = eight_dots(picture, to, pixels);
    }
    pan(picture, scan, picture->characters * 8);
}

void vga_line_256(struct vga_picture *picture, const struct vga_scan *scan)
{
    u32 *to = picture->dots;
    for (u32 character = 0; character <= picture->characters; character++) {
        u32 planes = fetch(picture, scan, character);
        for (u32 n = 0; n < 4; n++, planes >>= 8, to += 2)
            to[0] = to[1] = picture->palette[planes & 0xff];
    }
    pan(picture, scan, picture->characters * 8);
}

/* --- linear --- */

static u32 from_555(u32 v)
{
    u32 r = v >> 10 & 31, g = v >> 5 & 31, b = v & 31;
    return (r << 3 | r >> 2) << 16 | (g << 3 | g >> 2) << 8 | (b << 3 | b >> 2);
}

static u32 from_565(u32 v)
{
    u32 r = v >> 11 & 31, g = v >> 5 & 63, b = v & 31;
    return (r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2);
}

void vga_line_linear(struct vga_picture *picture, const u8 *from, u32 pixels, u32 bits)
{
    u32 *to = picture->dots;
    switch (bits) {
    case 15:
        for (u32 n = 0; n < pixels; n++)
            to[n] = from_555(*(const any16 *)(from + 2 * n));
        break;
    case 16:
        for (u32 n = 0; n < pixels; n++)
            to[n] = from_565(*(const any16 *)(from + 2 * n));
        break;
    case 24:
        for (u32 n = 0; n < pixels; n++)
            to[n] = from[3 * n] | from[3 * n + 1] << 8 | (u32)from[3 * n + 2] << 16;
        break;
    case 32:
        for (u32 n = 0; n < pixels; n++)
            to[n] = *(const any32 *)(from + 4 * n) & 0xffffff;
        break;
    default:
        for (u32 n = 0; n < pixels; n++)
            to[n] = picture->palette[from[n]];
    }
}
