/*
 * The font of text modes, taken from a VGA BIOS image that is not run. A PC's font is recognized by
 * characters that are the same in every font (code page 437: 20h and FFh are blank, DBh is a full block,
 * DFh its upper half).
 */
#include "vga.h"

#include <string.h>

enum { GLYPHS = 256, GLYPH_BYTES = 16, FONT_BYTES = GLYPHS * GLYPH_BYTES, SLOT_BYTES = 32 };

static bool all(const u8 *at, u8 value, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        if (at[n] != value) return false;
    return true;
}

static bool is_font(const u8 *at)
{
    return all(at, 0, GLYPH_BYTES) && all(at + 0x20 * GLYPH_BYTES, 0, GLYPH_BYTES) &&
           all(at + 0xff * GLYPH_BYTES, 0, GLYPH_BYTES) && all(at + 0xdb * GLYPH_BYTES, 0xff, GLYPH_BYTES) &&
           all(at + 0xdf * GLYPH_BYTES, 0xff, 7) && all(at + 0xdf * GLYPH_BYTES + 9, 0, 7) &&
           !all(at + 'A' * GLYPH_BYTES, 0, GLYPH_BYTES);
}

const u8 *vga_find_font(const u8 *image, size_t bytes)
{
    for (size_t at = 0; at + FONT_BYTES <= bytes; at++)
        if (is_font(image + at)) return image + at;
    return NULL;
}

bool vga_load_font(struct vga *vga, const u8 *image, size_t bytes)
{
    const u8 *font = vga_find_font(image, bytes);
    if (!font) return false;
    for (unsigned n = 0; n < FONT_BYTES; n++)
        *vga_plane_byte(vga, 2, (u16)(n / GLYPH_BYTES * SLOT_BYTES + n % GLYPH_BYTES)) = font[n];
    vga->written = true;
    vga_changed(vga);
    return true;
}
