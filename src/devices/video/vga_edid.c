/*
 * The monitor describes itself: VESA Enhanced EDID, structure version 1.3. See vga_edid() in vga.h.
 *
 *   00h header  08h maker, product, serial, date  12h version  14h features  19h colours
 *   23h established timings  26h standard timings
 *   36h four descriptors of 18 bytes: timing, range limits, name, none  7Eh 0, checksum
 */
#include "vga.h"

#include <string.h>

enum { EDID_VERSION = 0x12, EDID_ESTABLISHED = 0x23, EDID_STANDARD = 0x26, EDID_DESCRIPTOR = 0x36 };
enum { DESCRIPTOR_BYTES = 18, DESCRIPTOR_NAME = 0xfc, DESCRIPTOR_RANGE = 0xfd, DESCRIPTOR_NONE = 0x10 };

/* "RNG", five bits a letter. */
#define MAKER ('R' - '@') << 10 | ('N' - '@') << 5 | ('G' - '@')

/* Blanking as VESA's "reduced blanking" has it (CVT 1.1). */
enum { BLANK_X = 160, FRONT_X = 48, SYNC_X = 32, BLANK_Y = 23, FRONT_Y = 3, SYNC_Y = 6, REFRESH_HZ = 60 };
enum { SEPARATE_SYNC_POSITIVE = 0x1e };

static void detailed_timing(u8 *at, u32 width, u32 height)
{
    u32 clock = (width + BLANK_X) * (height + BLANK_Y) * REFRESH_HZ / 10000; /* in 10 kHz */
    /* The size in millimetres, at 96 dots to the inch. */
    u32 width_mm = width * 254 / 960, height_mm = height * 254 / 960;
    at[0] = (u8)clock;
    at[1] = (u8)(clock >> 8);
    at[2] = (u8)width;
    at[3] = BLANK_X;
    at[4] = (u8)(width >> 8 << 4);
    at[5] = (u8)height;
    at[6] = BLANK_Y;
    at[7] = (u8)(height >> 8 << 4);
    at[8] = FRONT_X;
    at[9] = SYNC_X;
    at[10] = FRONT_Y << 4 | SYNC_Y;
    at[12] = (u8)width_mm;
    at[13] = (u8)height_mm;
    at[14] = (u8)(width_mm >> 8 << 4 | height_mm >> 8);
    at[17] = SEPARATE_SYNC_POSITIVE;
}

static u8 *descriptor(u8 *edid, unsigned n, u8 kind, const char *text)
{
    u8 *at = edid + EDID_DESCRIPTOR + n * DESCRIPTOR_BYTES;
    at[3] = kind;
    memset(at + 5, ' ', DESCRIPTOR_BYTES - 5);
    memcpy(at + 5, text, strlen(text));
    at[5 + strlen(text)] = '\n';
    return at;
}

/* Width / 8 - 31, aspect ratio and rate - 60 Hz. */
static void standard_timings(u8 *at)
{
    static const struct {
        u16 width;
        u8 aspect; /* 0: 16:10, 1: 4:3, 2: 5:4, 3: 16:9 */
    } rows[8] = {{1920, 0}, {1920, 3}, {1680, 0}, {1600, 1}, {1440, 0}, {1280, 2}, {1280, 0}, {1024, 1}};
    for (unsigned n = 0; n < 8; n++) {
        *at++ = (u8)(rows[n].width / 8 - 31);
        *at++ = (u8)(rows[n].aspect << 6);
    }
}

void vga_edid(u8 edid[VGA_EDID_BYTES], u32 width, u32 height)
{
    static const u8 header[8] = {0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00};
    /* The colours of sRGB, from the example in the standard. */
    static const u8 colors[10] = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
    memset(edid, 0, VGA_EDID_BYTES);
    memcpy(edid, header, sizeof(header));
    edid[0x08] = (u8)((MAKER) >> 8);
    edid[0x09] = (u8)(MAKER);
    edid[0x0a] = 1; /* product */
    edid[0x10] = 1; /* week */
    edid[0x11] = 2026 - 1990;
    edid[EDID_VERSION] = 1;
    edid[EDID_VERSION + 1] = 3;
    edid[0x14] = 0x80; /* digital */
    edid[0x15] = (u8)(width * 254 / 9600);
    edid[0x16] = (u8)(height * 254 / 9600);
    edid[0x17] = 120;  /* gamma 2.2 */
    edid[0x18] = 0x06; /* sRGB, the first timing is the best */
    memcpy(edid + 0x19, colors, sizeof(colors));
    edid[EDID_ESTABLISHED] = 0x21;     /* 640x480, 800x600 at 60 Hz */
    edid[EDID_ESTABLISHED + 1] = 0x08; /* 1024x768 at 60 Hz */
    standard_timings(edid + EDID_STANDARD);
    detailed_timing(edid + EDID_DESCRIPTOR, width, height);
    u8 *range = descriptor(edid, 1, DESCRIPTOR_RANGE, "");
    static const u8 limits[6] = {50, 125, 30, 160, 60, 0}; /* Hz, kHz, 10 MHz */
    memcpy(range + 5, limits, sizeof(limits));
    range[11] = '\n';
    descriptor(edid, 2, DESCRIPTOR_NAME, "Ringer");
    edid[EDID_DESCRIPTOR + 3 * DESCRIPTOR_BYTES + 3] = DESCRIPTOR_NONE;
    u8 sum = 0;
    for (unsigned n = 0; n < VGA_EDID_BYTES - 1; n++)
        sum += edid[n];
    edid[VGA_EDID_BYTES - 1] = (u8)-sum;
}
