/*
 * The VGA's picture, pixel by pixel, for registers programmed by hand. Each comment names the register with the
 * hazard. (The test boot/video compares whole pictures with QEMU's.)
 */
#include "vga_fixture.h"

#define BLACK 0x000000u
#define BLUE  0x0000aau
#define GREEN 0x00aa00u
#define GREY  0xaaaaaau
#define WHITE 0xffffffu

/* 8 frames of 449 lines of 31778 ns */
#define CURSOR_NS 114146576ull
#define BLINK_NS  (2 * CURSOR_NS)

static void glyph(struct vga_fixture *f, u32 font, u8 code, u32 row, u8 bits)
{
    *vga_plane_byte(&f->vga, 2, (u16)(font + code * 32u + row)) = bits;
    f->vga.written = true;
}

static void cell(struct vga_fixture *f, u32 at, u8 code, u8 colors)
{
    poke(f, 0xb8000 + 2 * at, code);
    poke(f, 0xb8000 + 2 * at + 1, colors);
}

static void no_cursor(struct vga_fixture *f)
{
    crtc(f, 0x0a, 0x20);
}

/* Nine pixels as bits, 1: like `color`. */
static u32 row_bits(const struct vga_fixture *f, u32 x, u32 y, u32 color)
{
    u32 bits = 0;
    for (u32 n = 0; n < 9; n++)
        bits = bits << 1 | (pixel(f, x + n, y) == color);
    return bits;
}

static void test_text(void)
{
    struct vga_fixture f;
    setup(&f);
    no_cursor(&f);
    glyph(&f, 0, 'A', 3, 0x81), glyph(&f, 0, 0xc4, 3, 0x81), glyph(&f, 0, 0xb0, 3, 0x81);
    cell(&f, 81, 'A', 0x12), cell(&f, 82, 0xc4, 0x12), cell(&f, 83, 0xb0, 0x12);
    draw(&f);
    CHECK(f.viewer.frame.resized && f.viewer.frame.width == 720 && f.viewer.frame.height == 400);
    CHECK_EQ(row_bits(&f, 9, 16 + 3, GREEN), 0x102);
    CHECK_EQ(row_bits(&f, 18, 16 + 3, GREEN), 0x103); /* line graphics: the ninth like the eighth */
    CHECK_EQ(row_bits(&f, 27, 16 + 3, GREEN), 0x102);
    CHECK_EQ(row_bits(&f, 9, 16 + 4, BLUE), 0x1ff);
    CHECK_EQ(row_bits(&f, 0, 0, BLACK), 0x1ff);
    attribute(&f, 0x10, 0x08); /* no line graphics */
    draw(&f);
    CHECK_EQ(row_bits(&f, 18, 16 + 3, GREEN), 0x102);
    /* 8 dots */
    reg(&f, 0x3c4, 1, 0x01);
    attribute(&f, 0x13, 0x00);
    draw(&f);
    CHECK(f.viewer.frame.resized && f.viewer.frame.width == 640);
    CHECK_EQ(row_bits(&f, 8, 16 + 3, GREEN), 0x103); /* and the first of the next */
    /* 40 columns: every dot twice */
    reg(&f, 0x3c4, 1, 0x09);
    crtc(&f, 0x01, 39);
    draw(&f);
    CHECK_EQ(f.viewer.frame.width, 640);
    CHECK_EQ(row_bits(&f, 16, 16 + 3, GREEN), 0x180);
    teardown(&f);
}

static void test_text_attributes(void)
{
    struct vga_fixture f;
    setup(&f);
    no_cursor(&f);
    glyph(&f, 0, 'A', 0, 0xff), glyph(&f, 0x2000, 'A', 0, 0x0f);
    cell(&f, 0, 'A', 0x97);
    /* blinking: bit 7 is no colour */
    CHECK_EQ(draw_at(&f, 0), BLINK_NS);
    CHECK_EQ(pixel(&f, 0, 0), GREY);
    CHECK_EQ(pixel(&f, 0, 1), BLUE);
    CHECK_EQ(display_draw(&f.viewer, BLINK_NS), 2 * BLINK_NS);
    CHECK_EQ(f.viewer.frame.damage_count, 1);
    CHECK_EQ(f.viewer.frame.damage[0].width, 8);
    CHECK_EQ(f.viewer.frame.damage[0].height, 1);
    CHECK_EQ(pixel(&f, 0, 0), BLUE);
    CHECK_EQ(display_draw(&f.viewer, BLINK_NS + 1), 2 * BLINK_NS);
    CHECK_EQ(f.viewer.frame.damage_count, 0);
    /* bright backgrounds */
    attribute(&f, 0x10, 0x04);
    CHECK_EQ(draw_at(&f, BLINK_NS), UINT64_MAX);
    CHECK_EQ(pixel(&f, 0, 0), GREY);
    CHECK_EQ(pixel(&f, 0, 1), 0x5555ffu);
    /* two fonts: bit 3 chooses A, at 8 KB */
    reg(&f, 0x3c4, 3, 0x20);
    cell(&f, 1, 'A', 0x0f);
    draw(&f);
    CHECK_EQ(row_bits(&f, 0, 0, GREY), 0x1fe);
    CHECK_EQ(row_bits(&f, 9, 0, WHITE), 0x1e);
    /* underline */
    crtc(&f, 0x14, 0x0c);
    cell(&f, 2, ' ', 0x01);
    draw(&f);
    CHECK_EQ(row_bits(&f, 18, 12, BLUE), 0x1ff);
    CHECK_EQ(row_bits(&f, 18, 11, BLACK), 0x1ff);
    /* colours by way of attribute controller, its plane enable, and DAC with mask */
    attribute(&f, 0x0f, 0x09);
    dac(&f, 9, 0x3f, 0x00, 0x3f);
    draw(&f);
    CHECK_EQ(pixel(&f, 9 + 5, 0), 0xff00ff);
    attribute(&f, 0x12, 0x01);
    draw(&f);
    CHECK_EQ(pixel(&f, 9 + 5, 0), BLUE);
    attribute(&f, 0x12, 0x0f), out(&f, 0x3c6, 0x07);
    draw(&f);
    CHECK_EQ(pixel(&f, 9 + 5, 0), BLUE);
    out(&f, 0x3c6, 0xff);
    /* color select: bits 5-4 and 7-6 */
    attribute(&f, 0x10, 0x84), attribute(&f, 0x14, 0x0e);
    dac(&f, 0xe9, 0x3f, 0x3f, 0x00);
    draw(&f);
    CHECK_EQ(pixel(&f, 9 + 5, 0), 0xffff00);
    teardown(&f);
}

static void test_cursor(void)
{
    struct vga_fixture f;
    setup(&f);
    crtc(&f, 0x0a, 13), crtc(&f, 0x0b, 14), crtc(&f, 0x0e, 0), crtc(&f, 0x0f, 82);
    CHECK_EQ(draw_at(&f, 5), CURSOR_NS);
    CHECK_EQ(row_bits(&f, 18, 16 + 12, GREY), 0);
    CHECK_EQ(row_bits(&f, 18, 16 + 13, GREY), 0x1ff);
    CHECK_EQ(row_bits(&f, 18, 16 + 14, GREY), 0x1ff);
    CHECK_EQ(row_bits(&f, 18, 16 + 15, GREY), 0);
    CHECK_EQ(row_bits(&f, 27, 16 + 13, GREY), 0);
    CHECK_EQ(display_draw(&f.viewer, CURSOR_NS), 2 * CURSOR_NS);
    CHECK_EQ(row_bits(&f, 18, 16 + 13, GREY), 0);
    CHECK_EQ(f.viewer.frame.damage_count, 1);
    CHECK_EQ(f.viewer.frame.damage[0].x, 18);
    CHECK_EQ(f.viewer.frame.damage[0].y, 16 + 13);
    CHECK_EQ(f.viewer.frame.damage[0].height, 2);
    /* outside: nothing blinks */
    crtc(&f, 0x0e, 0x20);
    CHECK_EQ(draw_at(&f, 0), UINT64_MAX);
    teardown(&f);
}

static void test_text_scrolling(void)
{
    struct vga_fixture f;
    setup(&f);
    no_cursor(&f);
    glyph(&f, 0, 'A', 0, 0x80), glyph(&f, 0, 'A', 5, 0xff);
    cell(&f, 160, 'A', 0x07), cell(&f, 0, 'A', 0x02);
    crtc(&f, 0x0d, 80); /* start address: a line down */
    draw(&f);
    CHECK_EQ(pixel(&f, 0, 16), GREY);
    CHECK_EQ(pixel(&f, 1, 16), BLACK);
    crtc(&f, 0x08, 5); /* five scan lines down */
    draw(&f);
    CHECK_EQ(pixel(&f, 0, 11), GREY);
    CHECK_EQ(row_bits(&f, 0, 16, GREY), 0x1fe);
    /* three dots to the left, with 9 dots 2 stands for that; 8 for none */
    attribute(&f, 0x13, 2);
    draw(&f);
    CHECK_EQ(row_bits(&f, 0, 16, GREY), 0x1f0);
    CHECK_EQ(row_bits(&f, 0, 11, GREY), 0);
    /* split after line 99: from address 0 on, panned too, unless the mode register forbids it */
    crtc(&f, 0x18, 99), crtc(&f, 0x07, 0x0f), crtc(&f, 0x09, 0x0f);
    draw(&f);
    CHECK_EQ(row_bits(&f, 0, 105, GREEN), 0x1f0);
    attribute(&f, 0x10, 0x2c);
    draw(&f);
    CHECK_EQ(row_bits(&f, 0, 105, GREEN), 0x1fe);
    CHECK_EQ(pixel(&f, 0, 100), GREEN);
    CHECK_EQ(row_bits(&f, 0, 16, GREY), 0x1f0);
    teardown(&f);
}

static void test_planar(void)
{
    struct vga_fixture f;
    setup(&f);
    planar(&f);
    for (unsigned plane = 0; plane < 4; plane++) {
        reg(&f, 0x3c4, 2, (u8)(1 << plane));
        for (unsigned bit = 0; bit < 2; bit++) /* eight pixels of colours 0 to 7, and eight of 8 to 15 */
            poke(&f, 0xa0000 + 80 * 2 + bit, (u8[]){0x55, 0x33, 0x0f, bit ? 0xff : 0x00}[plane]);
    }
    draw(&f);
    CHECK(f.viewer.frame.width == 640 && f.viewer.frame.height == 480);
    CHECK_EQ(pixel(&f, 0, 2), BLACK);
    CHECK_EQ(pixel(&f, 1, 2), BLUE);
    CHECK_EQ(pixel(&f, 2, 2), GREEN);
    CHECK_EQ(pixel(&f, 7, 2), GREY);
    CHECK_EQ(pixel(&f, 15, 2), WHITE);
    CHECK_EQ(pixel(&f, 15, 3), BLACK);
    attribute(&f, 0x13, 5); /* five dots to the left */
    crtc(&f, 0x0d, 80);     /* and a line up */
    draw(&f);
    CHECK_EQ(pixel(&f, 10, 1), WHITE);
    attribute(&f, 0x12, 0x02); /* one plane */
    draw(&f);
    CHECK_EQ(pixel(&f, 10, 1), GREEN);
    /* the screen is off, and there again */
    reg(&f, 0x3c4, 1, 0x21);
    draw(&f);
    CHECK_EQ(pixel(&f, 10, 1), BLACK);
    reg(&f, 0x3c4, 1, 0x01);
    draw(&f);
    CHECK_EQ(pixel(&f, 10, 1), GREEN);
    vga_ops.read(&f.vga, 0x3da - 0x3c0, 1), out(&f, 0x3c0, 0x00);
    draw(&f);
    CHECK_EQ(pixel(&f, 10, 1), BLACK);
    teardown(&f);
}

static void test_256_colors(void)
{
    struct vga_fixture f;
    setup(&f);
    mode13(&f);
    CHECK(f.mapped);
    dac(&f, 200, 0x3f, 0x20, 0x00);
    poke(&f, 0xa0000 + 320 * 199 + 317, 200);
    f.dirty[0] = 1ull << ((320 * 199 + 317) / PAGE_SIZE);
    draw(&f);
    CHECK(f.viewer.frame.width == 640 && f.viewer.frame.height == 400);
    for (u32 y = 398; y < 400; y++) /* every pixel is two by two */
        for (u32 x = 634; x < 636; x++)
            CHECK_EQ(pixel(&f, x, y), 0xff8200);
    CHECK_EQ(pixel(&f, 633, 398) | pixel(&f, 636, 398) | pixel(&f, 634, 397), BLACK);
    /* Mode X: the same memory in planes. The pixel is in plane 1 at four times the address. */
    reg(&f, 0x3c4, 4, 0x06), crtc(&f, 0x14, 0x00), crtc(&f, 0x17, 0xe3);
    CHECK(!f.mapped);
    reg(&f, 0x3c4, 2, 0x02);
    poke(&f, 0xa0000 + 80 * 100 + 10, 200);
    draw(&f);
    CHECK_EQ(pixel(&f, (10 * 4 + 1) * 2, 200), 0xff8200);
    crtc(&f, 0x0d, 2); /* start at the third address, and one pixel on */
    attribute(&f, 0x13, 2);
    draw(&f);
    CHECK_EQ(pixel(&f, (8 * 4) * 2, 200), 0xff8200);
    CHECK_EQ(pixel(&f, (8 * 4) * 2 + 2, 200), BLACK);
    teardown(&f);
}

/* Modes 4 and 6: odd lines are 8 KB further. */
static void test_cga(void)
{
    struct vga_fixture f;
    setup(&f);
    reg(&f, 0x3c4, 1, 0x09), reg(&f, 0x3c4, 2, 0x03), reg(&f, 0x3c4, 4, 0x02);
    reg(&f, 0x3ce, 5, 0x30), reg(&f, 0x3ce, 6, 0x0f);
    crtc(&f, 0x01, 39), crtc(&f, 0x09, 0xc1), crtc(&f, 0x13, 0x14), crtc(&f, 0x17, 0xa2);
    attribute(&f, 0x10, 0x01), attribute(&f, 0x13, 0x00);
    poke(&f, 0xb8000 + 80 + 1, 0x1b); /* line 2: pixels 0 1 2 3 behind the first four */
    poke(&f, 0xba000 + 80, 0xc0);     /* line 3: 3 */
    draw(&f);
    CHECK(f.viewer.frame.width == 640 && f.viewer.frame.height == 400);
    CHECK_EQ(pixel(&f, 8, 4), BLACK);
    CHECK_EQ(pixel(&f, 10, 4), BLUE);
    CHECK_EQ(pixel(&f, 12, 5), GREEN);
    CHECK_EQ(pixel(&f, 14, 5), 0x00aaaa);
    CHECK_EQ(pixel(&f, 0, 6), 0x00aaaa);
    CHECK_EQ(pixel(&f, 0, 4) | pixel(&f, 0, 8), BLACK);
    teardown(&f);
}

static void put(u64 at, u32 value, u32 bytes)
{
    memcpy(video_memory + at, &value, bytes);
}

static void test_linear(void)
{
    static const struct {
        u16 bits;
        u32 value, color;
    } rows[] = {{15, 0x7c1f, 0xff00ff},    {15, 0x03e0, 0x00ff00}, {16, 0xf81f, 0xff00ff},
                {16, 0x07e0, 0x00ff00},    {16, 0x8410, 0x848284}, {24, 0x123456, 0x123456},
                {32, 0xff123456, 0x123456}};
    struct vga_fixture f;
    setup(&f);
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++) {
        u32 bytes = (rows[n].bits + 7u) / 8;
        vbe_mode(&f, 800, 600, rows[n].bits);
        put((600u * 800 - 1) * bytes, rows[n].value, bytes);
        draw(&f);
        CHECK(f.viewer.frame.width == 800 && f.viewer.frame.height == 600);
        CHECK_EQ(pixel(&f, 799, 599), rows[n].color);
        CHECK_EQ(pixel(&f, 798, 599), BLACK);
    }
    /* 8 bits, with the wide DAC; a virtual screen and where the picture is in it */
    vbe_mode(&f, 640, 480, 8);
    vbe(&f, VGA_VBE_ENABLE, VGA_VBE_ENABLED | VGA_VBE_8BIT_DAC);
    vbe(&f, VGA_VBE_VIRTUAL_WIDTH, 1000), vbe(&f, VGA_VBE_X_OFFSET, 100), vbe(&f, VGA_VBE_Y_OFFSET, 50);
    dac(&f, 7, 1, 2, 3);
    put(1000 * 60 + 110, 7, 1);
    draw(&f);
    CHECK_EQ(pixel(&f, 10, 10), 0x010203);
    /* 4 bits: planes, also beyond 64 KB of each */
    vbe_mode(&f, 1024, 768, 4);
    reg(&f, 0x3c4, 2, 0x0f), reg(&f, 0x3c4, 4, 0x06), reg(&f, 0x3ce, 5, 0x00), reg(&f, 0x3ce, 6, 0x05);
    vbe(&f, VGA_VBE_BANK, 1);
    dac(&f, 0x3f, 63, 63, 63);
    poke(&f, 0xa0000 + 128 * 600 + 3 - 0x10000, 0x40);
    draw(&f);
    CHECK_EQ(pixel(&f, 25, 600), WHITE);
    CHECK_EQ(pixel(&f, 24, 600) | pixel(&f, 26, 600), BLACK);
    /* 800 x 600 dots: everything visible is cleared, the last dots too, although their bytes are scattered */
    vbe(&f, VGA_VBE_ENABLE, 0);
    memset(video_memory, 0xff, VGA_LEGACY_BYTES);
    vbe_mode(&f, 800, 600, 4);
    draw(&f);
    CHECK_EQ(pixel(&f, 799, 599) | pixel(&f, 799 - 8, 599) | pixel(&f, 799 - 16, 599), BLACK);
    CHECK_EQ(pixel(&f, 799 - 24, 599), BLACK);
    teardown(&f);
}

/* Only lines with written pages are drawn, and only what differs is damage. */
static void test_damage(void)
{
    struct vga_fixture f;
    setup(&f);
    vbe_mode(&f, 1024, 768, 32); /* a page a line */
    draw(&f);
    CHECK_EQ(f.viewer.frame.damage_count, 1);
    put(4096 * 10 + 4 * 7, 0x111111, 4), put(4096 * 10 + 4 * 9, 0x111111, 4), put(4096 * 11, 0x222222, 4);
    f.dirty[0] = 1ull << 10;
    draw(&f);
    CHECK_EQ(f.viewer.frame.damage_count, 1);
    CHECK_EQ(f.viewer.frame.damage[0].x, 7);
    CHECK_EQ(f.viewer.frame.damage[0].y, 10);
    CHECK_EQ(f.viewer.frame.damage[0].width, 3);
    CHECK_EQ(f.viewer.frame.damage[0].height, 1);
    CHECK_EQ(pixel(&f, 0, 11), BLACK); /* not reported */
    f.dirty[0] = 3ull << 10;
    draw(&f);
    CHECK_EQ(f.viewer.frame.damage_count, 1);
    CHECK_EQ(f.viewer.frame.damage[0].y, 11);
    /* another place of the picture: all is drawn */
    vbe(&f, VGA_VBE_Y_OFFSET, 1);
    draw(&f);
    CHECK_EQ(pixel(&f, 0, 10), 0x222222);
    /* more pieces than the list has */
    for (u32 y = 0; y < 768; y += 2)
        put(4096 * (y + 1ull) + 4 * (y % 4 ? 0 : 1000), 0x333333, 4);
    memset(f.dirty, 0xff, sizeof(f.dirty));
    draw(&f);
    CHECK_EQ(f.viewer.frame.damage_count, DISPLAY_DAMAGE_MAX);
    CHECK_EQ(f.viewer.frame.damage[DISPLAY_DAMAGE_MAX - 1].height, 767 - 2 * (DISPLAY_DAMAGE_MAX - 1));
    teardown(&f);
}

/* Each viewer gets its own changes: see display.h. */
static void test_viewers(void)
{
    struct vga_fixture f;
    struct display_viewer other = {.changed = NULL};
    setup(&f);
    CHECK_EQ(f.changed, 1); /* the first one comes by itself */
    cell(&f, 0, 'x', 7);
    CHECK_EQ(f.changed, 1);
    display_ask(&f.viewer);
    display_ask(&f.viewer);
    CHECK_EQ(f.ready, 0);
    mailbox_run(&f.mailbox);
    CHECK_EQ(f.ready, 1);
    display_draw(&f.viewer, 0);
    cell(&f, 1, 'y', 7), cell(&f, 2, 'z', 7), crtc(&f, 0x0f, 3);
    CHECK_EQ(f.changed, 2);
    crtc(&f, 0x0f, 3); /* the same again is none */
    display_ask(&f.viewer);
    mailbox_run(&f.mailbox);
    crtc(&f, 0x0f, 3);
    CHECK_EQ(f.changed, 2);
    /* A change that the other viewer takes first is new to both. */
    vbe_mode(&f, 1024, 768, 32);
    CHECK_EQ(display_attach(&f.vga.display, &other), 0);
    draw(&f);
    display_take(&other), display_draw(&other, 0);
    put(4096 * 5, 0x123456, 4);
    f.dirty[0] = 1ull << 5;
    display_take(&other), display_draw(&other, 0);
    CHECK_EQ(other.frame.pixel[1024 * 5], 0x123456);
    display_take(&other), display_draw(&other, 0);
    CHECK_EQ(other.frame.damage_count, 0);
    draw(&f);
    CHECK_EQ(pixel(&f, 0, 5), 0x123456);
    display_detach(&other);
    teardown(&f);
}

int main(void)
{
    test_text();
    test_text_attributes();
    test_cursor();
    test_text_scrolling();
    test_planar();
    test_256_colors();
    test_cga();
    test_linear();
    test_damage();
    test_viewers();
    return check_report();
}
