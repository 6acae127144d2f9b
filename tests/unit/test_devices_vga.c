/*
 * The VGA: text memory as vgacon uses it, planar writes in all four modes against values worked out by hand,
 * register access rules, retrace over time, and the text dump.
 */
#include "devices/video/vga.h"

#include "check.h"

#include <string.h>

struct fake_clock {
    struct clock clock;
    u64 now;
};

static struct fake_clock fake;
static struct vga vga;

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->now;
}

static u8 memory[VGA_MEMORY_BYTES];
static struct {
    bool mapped;
    u32 offset, count;
} window;

static void map(void *machine, bool mapped, u32 offset)
{
    window.mapped = mapped;
    window.offset = offset;
    window.count++;
}

static void collect(void *machine, u64 *pages) {}

static void start(void)
{
    fake = (struct fake_clock){.clock = {.now_ns = now_ns}};
    memset(memory, 0, sizeof(memory));
    memset(&window, 0, sizeof(window));
    vga_destroy(&vga);
    vga_init(&vga,
             &(struct vga_wiring){.clock = &fake.clock, .memory = memory, .map = map, .collect = collect});
}

static u8 in(unsigned port)
{
    return vga_ops.read(&vga, port - 0x3c0, 1);
}
static void out(unsigned port, u8 value)
{
    vga_ops.write(&vga, port - 0x3c0, 1, value);
}

static void indexed(unsigned port, u8 index, u8 value)
{
    out(port, index);
    out(port + 1, value);
}

static u32 peek(u32 address, unsigned size)
{
    return vga_memory_ops.read(&vga, address - 0xa0000, size);
}
static void poke(u32 address, unsigned size, u32 value)
{
    vga_memory_ops.write(&vga, address - 0xa0000, size, value);
}

static void print(unsigned cell, const char *text)
{
    for (; *text; text++, cell++) {
        poke(0xb8000 + 2 * cell, 2, 0x1700 | (u8)*text);
    }
}

static void test_text_memory(void)
{
    start();
    CHECK_EQ(peek(0xb8000, 4), 0x07200720);
    poke(0xb8000, 4, 0x1f421f41);
    CHECK_EQ(peek(0xb8000, 4), 0x1f421f41);
    CHECK_EQ(*vga_plane_byte(&vga, 0, 0), 'A');
    CHECK_EQ(*vga_plane_byte(&vga, 1, 0), 0x1f);
    CHECK_EQ(*vga_plane_byte(&vga, 0, 2), 'B');
    CHECK_EQ(*vga_plane_byte(&vga, 2, 0), 0);
    poke(0xbfffe, 2, 0xaa55); /* all 32 KB are there */
    CHECK_EQ(peek(0xbfffe, 2), 0xaa55);
    CHECK_EQ(peek(0xa0000, 4), 0xffffffff); /* and nothing elsewhere */
    CHECK_EQ(peek(0xb0000, 1), 0xff);
    poke(0xb0000, 1, 1);
    out(0x3c2, 0x65);
    CHECK_EQ(peek(0xb8000, 2), 0xffff); /* memory disabled */
}

/* Linux' vgacon loads a font: plane 2, sequential, at A0000h. */
static void test_font_load(void)
{
    start();
    print(0, "text");
    indexed(0x3c4, 2, 0x04), indexed(0x3c4, 4, 0x07);
    indexed(0x3ce, 4, 0x02), indexed(0x3ce, 5, 0x00), indexed(0x3ce, 6, 0x00);
    for (unsigned i = 0; i < 8192; i++) {
        poke(0xa0000 + i, 1, i * 7);
    }
    CHECK_EQ(peek(0xa0123, 1), (0x123 * 7) & 0xff);
    CHECK_EQ(*vga_plane_byte(&vga, 2, 0x123), (0x123 * 7) & 0xff);
    CHECK_EQ(*vga_plane_byte(&vga, 0, 0x123), 0);
    indexed(0x3c4, 2, 0x03), indexed(0x3c4, 4, 0x03);
    indexed(0x3ce, 4, 0x00), indexed(0x3ce, 5, 0x10), indexed(0x3ce, 6, 0x0e);
    CHECK_EQ(peek(0xb8000, 4), 0x17651774);
}

static void planar(void)
{
    start();
    indexed(0x3c4, 2, 0x0f), indexed(0x3c4, 4, 0x06);
    indexed(0x3ce, 5, 0x00), indexed(0x3ce, 6, 0x05);
}

static void check_planes(u32 at, u8 p0, u8 p1, u8 p2, u8 p3)
{
    CHECK_EQ(*vga_plane_byte(&vga, 0, at), p0);
    CHECK_EQ(*vga_plane_byte(&vga, 1, at), p1);
    CHECK_EQ(*vga_plane_byte(&vga, 2, at), p2);
    CHECK_EQ(*vga_plane_byte(&vga, 3, at), p3);
}

static void set_latches(u8 p0, u8 p1, u8 p2, u8 p3)
{
    *vga_plane_byte(&vga, 0, 99) = p0;
    *vga_plane_byte(&vga, 1, 99) = p1;
    *vga_plane_byte(&vga, 2, 99) = p2;
    *vga_plane_byte(&vga, 3, 99) = p3;
    peek(0xa0000 + 99, 1);
}

static void test_write_modes(void)
{
    planar();
    poke(0xa0010, 1, 0x3c);
    check_planes(0x10, 0x3c, 0x3c, 0x3c, 0x3c);
    indexed(0x3c4, 2, 0x05);
    poke(0xa0011, 1, 0x81);
    check_planes(0x11, 0x81, 0x00, 0x81, 0x00);
    indexed(0x3c4, 2, 0x0f);
    /* mode 0: planes 0 and 1 by set/reset, the others rotated by 4, the middle bits only, XORed with the
     * latch */
    set_latches(0xff, 0x00, 0xf0, 0x0f);
    indexed(0x3ce, 0, 0x01), indexed(0x3ce, 1, 0x03), indexed(0x3ce, 3, 0x1c), indexed(0x3ce, 8, 0x3c);
    poke(0xa0012, 1, 0xab);
    check_planes(0x12, 0xc3, 0x00, 0xf0 ^ (0xba & 0x3c), 0x0f ^ (0xba & 0x3c));
    /* AND, OR */
    indexed(0x3ce, 1, 0x00), indexed(0x3ce, 8, 0xff);
    indexed(0x3ce, 3, 0x08), poke(0xa0013, 1, 0x55);
    check_planes(0x13, 0x55, 0x00, 0x50, 0x05);
    indexed(0x3ce, 3, 0x10), poke(0xa0014, 1, 0x55);
    check_planes(0x14, 0xff, 0x55, 0xf5, 0x5f);
    /* mode 1: the latches */
    indexed(0x3ce, 5, 0x01), poke(0xa0015, 1, 0x12);
    check_planes(0x15, 0xff, 0x00, 0xf0, 0x0f);
    /* mode 2: a colour through the bit mask */
    indexed(0x3ce, 5, 0x02), indexed(0x3ce, 3, 0x00), indexed(0x3ce, 8, 0x0f), poke(0xa0016, 1, 0x0a);
    check_planes(0x16, 0xf0, 0x0f, 0xf0, 0x0f);
    /* mode 3: set/reset, through the data and the bit mask */
    indexed(0x3ce, 5, 0x03), indexed(0x3ce, 0, 0x0c), indexed(0x3ce, 8, 0x3f), poke(0xa0017, 1, 0xf3);
    check_planes(0x17, 0xff & ~0x33, 0x00, 0xf0 | 0x33, 0x0f | 0x33);
}

static void test_read_modes(void)
{
    planar();
    set_latches(0xaa, 0xcc, 0xf0, 0x00);
    for (unsigned plane = 0; plane < 4; plane++) {
        static const u8 expected[] = {0xaa, 0xcc, 0xf0, 0x00};
        indexed(0x3ce, 4, plane);
        CHECK_EQ(peek(0xa0000 + 99, 1), expected[plane]);
    }
    indexed(0x3ce, 5, 0x08), indexed(0x3ce, 2, 0x05), indexed(0x3ce, 7, 0x0f);
    CHECK_EQ(peek(0xa0000 + 99, 1), 0xaa & ~0xcc & 0xf0);
    indexed(0x3ce, 7, 0x04); /* only plane 2 matters */
    CHECK_EQ(peek(0xa0000 + 99, 1), 0xf0);
    indexed(0x3ce, 7, 0x00);
    CHECK_EQ(peek(0xa0000 + 99, 1), 0xff);
    /* chain 4 */
    indexed(0x3ce, 5, 0x40), indexed(0x3c4, 4, 0x0e);
    poke(0xa0100, 4, 0x44332211);
    check_planes(0x100, 0x11, 0x22, 0x33, 0x44);
    CHECK_EQ(peek(0xa0100, 4), 0x44332211);
}

static void test_registers(void)
{
    start();
    CHECK_EQ(in(0x3cc), 0x67);
    /* CRTC 0-7 are protected, except line compare bit 8 */
    indexed(0x3d4, 0, 0x55);
    CHECK_EQ(in(0x3d5), 0x5f);
    indexed(0x3d4, 7, 0x00);
    CHECK_EQ(in(0x3d5), 0x0f);
    indexed(0x3d4, 0x11, 0x0e), indexed(0x3d4, 0, 0x55);
    CHECK_EQ(in(0x3d5), 0x55);
    /* the attribute controller's flip-flop */
    in(0x3da);
    out(0x3c0, 0x10), out(0x3c0, 0x0c);
    out(0x3c0, 0x03);
    in(0x3da); /* resets it */
    out(0x3c0, 0x03), out(0x3c0, 0x2a);
    CHECK_EQ(in(0x3c1), 0x2a);
    CHECK_EQ(vga.reg.attribute[0x10], 0x0c);
    out(0x3c0, 0x23), out(0x3c0, 0x15); /* the palette belongs to the screen */
    CHECK_EQ(in(0x3c1), 0x2a);
    CHECK_EQ(in(0x3c0), 0x23);
    /* DAC */
    out(0x3c8, 5);
    for (unsigned i = 0; i < 6; i++) {
        out(0x3c9, 0xf0 + i);
    }
    CHECK_EQ(in(0x3c7), 0);
    CHECK_EQ(in(0x3c8), 7);
    out(0x3c7, 5);
    CHECK_EQ(in(0x3c7), 3);
    for (unsigned i = 0; i < 6; i++) {
        CHECK_EQ(in(0x3c9), 0x30 + i);
    }
    /* the CRTC moves to 3B4h for monochrome */
    CHECK_EQ(vga_mono_ops.read(&vga, 4, 1), 0xff);
    out(0x3c2, 0x66);
    CHECK_EQ(in(0x3d4), 0xff);
    vga_mono_ops.write(&vga, 4, 1, 0x0f), vga_mono_ops.write(&vga, 5, 1, 0x77);
    CHECK_EQ(vga_mono_ops.read(&vga, 5, 1), 0x77);
    /* indices that lead nowhere */
    out(0x3ce, 0x0f), out(0x3cf, 0xff);
    CHECK_EQ(in(0x3cf), 0);
    out(0x3c4, 0x07), out(0x3c5, 0xff);
    CHECK_EQ(in(0x3c5), 0);
    vga_mono_ops.write(&vga, 4, 1, 0x1f), vga_mono_ops.write(&vga, 5, 1, 0x77);
    CHECK_EQ(vga_mono_ops.read(&vga, 5, 1), 0);
    in(0x3da);
    out(0x3c0, 0x1f), out(0x3c0, 0xff);
    CHECK_EQ(in(0x3c1), 0);
}

static void test_retrace(void)
{
    start();
    CHECK_EQ(in(0x3da), 0);
    fake.now = 25422;
    CHECK_EQ(in(0x3da), 1);
    fake.now = 31778;
    CHECK_EQ(in(0x3da), 0);
    fake.now = 400ull * 31778;
    CHECK_EQ(in(0x3da), 1);
    fake.now = 412ull * 31778;
    CHECK_EQ(in(0x3da), 9);
    fake.now = 414ull * 31778;
    CHECK_EQ(in(0x3da), 1);
    fake.now = 449ull * 31778;
    CHECK_EQ(in(0x3da), 0);
}

static void check_dump(const char *expected)
{
    static char out_text[16384];
    size_t length = vga_text_dump(&vga, out_text, sizeof(out_text));
    CHECK_EQ(length, strlen(out_text));
    CHECK(strncmp(out_text, expected, strlen(expected)) == 0);
}

static unsigned count_lines(void)
{
    static char out_text[16384];
    vga_text_dump(&vga, out_text, sizeof(out_text));
    unsigned lines = 0;
    for (const char *c = out_text; *c; c++) {
        lines += *c == '\n';
    }
    return lines;
}

static void test_dump(void)
{
    start();
    print(0, "Hello");
    print(80 + 2, "wor\x81"
                  "d \xdb\xc4  ");
    check_dump("Hello\n  worüd █─\n\n\n");
    CHECK_EQ(count_lines(), 25);
    indexed(0x3d4, 0x0c, 0), indexed(0x3d4, 0x0d, 80); /* scrolled by one line */
    check_dump("  worüd █─\n\n\n");
    indexed(0x3d4, 0x0d, 0);
    /* 50 lines of 8 scan lines; 40 columns */
    indexed(0x3d4, 0x11, 0), indexed(0x3d4, 0x09, 0x47), indexed(0x3d4, 0x01, 39);
    CHECK_EQ(count_lines(), 50);
    indexed(0x3d4, 0x13, 0x14);
    print(40, "second of 40");
    check_dump("Hello\nsecond of 40\n  wor");
    /* the start address wraps around the memory */
    indexed(0x3d4, 0x0c, 0x7f), indexed(0x3d4, 0x0d, 0xff);
    CHECK_EQ(count_lines(), 50);
    /* a small buffer is filled and terminated */
    indexed(0x3d4, 0x0c, 0), indexed(0x3d4, 0x0d, 0);
    char small[4] = "zzz";
    CHECK(vga_text_dump(&vga, small, sizeof(small)) > 60);
    CHECK(strcmp(small, "Hel") == 0);
    CHECK(vga_text_dump(&vga, NULL, 0) > 60);
    /* nothing in a graphics mode; in one of the display interface's the VGA's registers still say text */
    vga_vbe_ops.write(&vga, 0, 2, VGA_VBE_ENABLE), vga_vbe_ops.write(&vga, 1, 2, VGA_VBE_ENABLED);
    CHECK_EQ(vga_text_dump(&vga, small, sizeof(small)), 0);
    vga_vbe_ops.write(&vga, 1, 2, 0);
    CHECK(vga_text_dump(&vga, NULL, 0) > 0);
    indexed(0x3ce, 6, 0x05);
    CHECK_EQ(vga_text_dump(&vga, small, sizeof(small)), 0);
    CHECK_EQ(small[0], 0);
}

/* Chain 4 as plain memory while the graphics controller changes nothing; a bank of a linear mode. */
static void test_mapped_window(void)
{
    planar();
    CHECK_EQ(window.count, 0);
    indexed(0x3c4, 4, 0x0e);
    CHECK(window.mapped && window.offset == 0 && window.count == 1);
    for (unsigned at = 0; at < 0x10000; at += 0x123) { /* it is the same memory */
        poke(0xa0000 + at, 1, at * 13);
        CHECK_EQ(memory[at], (u8)(at * 13));
        CHECK_EQ(*vga_plane_byte(&vga, at & 3, at & ~3u), (u8)(at * 13));
    }
    indexed(0x3ce, 8, 0x0f);
    CHECK(!window.mapped && window.count == 2);
    indexed(0x3ce, 8, 0xff), indexed(0x3c4, 2, 0x01);
    CHECK(!window.mapped);
    indexed(0x3c4, 2, 0x0f);
    CHECK(window.mapped);
    indexed(0x3ce, 6, 0x0f); /* B8000h */
    CHECK(!window.mapped);
    indexed(0x3ce, 6, 0x05);
    vga_reset(&vga);
    CHECK(!window.mapped);
}

static void vbe(u16 index, u16 value)
{
    vga_vbe_ops.write(&vga, 0, 2, index);
    vga_vbe_ops.write(&vga, 1, 2, value);
}
static u16 vbe_in(u16 index)
{
    vga_vbe_ops.write(&vga, 0, 2, index);
    return (u16)vga_vbe_ops.read(&vga, 1, 2);
}

static void test_vbe(void)
{
    start();
    CHECK_EQ(vbe_in(VGA_VBE_ID), 0xb0c5);
    CHECK_EQ(vbe_in(VGA_VBE_MEMORY_64K), 256);
    memset(memory, 0xaa, sizeof(memory));
    vbe(VGA_VBE_XRES, 1920), vbe(VGA_VBE_YRES, 1200), vbe(VGA_VBE_BPP, 32), vbe(VGA_VBE_ENABLE, 0x41);
    CHECK_EQ(memory[0] | memory[1920 * 1200 * 4 - 1], 0);
    CHECK_EQ(memory[1920 * 1200 * 4], 0xaa);
    CHECK_EQ(vbe_in(VGA_VBE_VIRTUAL_WIDTH), 1920);
    CHECK_EQ(vbe_in(VGA_VBE_VIRTUAL_HEIGHT), (16 << 20) / (1920 * 4));
    vbe(VGA_VBE_Y_OFFSET, 5000);
    CHECK_EQ(vbe_in(VGA_VBE_Y_OFFSET), (16 << 20) / (1920 * 4) - 1200);
    vbe(VGA_VBE_ENABLE, 0x43); /* capabilities */
    CHECK_EQ(vbe_in(VGA_VBE_XRES), 2560);
    vbe(VGA_VBE_ENABLE, 0x41);
    CHECK_EQ(vbe_in(VGA_VBE_XRES), 1920);
    CHECK_EQ(vbe_in(VGA_VBE_X_OFFSET), 0); /* it was on already: nothing is reset, nothing cleared */
    /* banks, where the VGA's registers say A0000h */
    indexed(0x3ce, 6, 0x05);
    CHECK(window.mapped && window.offset == 0);
    vbe(VGA_VBE_BANK, 5);
    CHECK(window.mapped && window.offset == 5 * 65536);
    poke(0xa0010, 4, 0x12345678);
    CHECK_EQ(memory[5 * 65536 + 0x10], 0x78);
    vbe(VGA_VBE_BANK, 0xffff);
    CHECK_EQ(vbe_in(VGA_VBE_BANK), 255);
    vbe(VGA_VBE_ENABLE, 0);
    CHECK(!window.mapped);
    CHECK_EQ(vbe_in(VGA_VBE_BANK), 0);
    /* too much */
    vbe(VGA_VBE_XRES, 9999), vbe(VGA_VBE_YRES, 9999), vbe(VGA_VBE_BPP, 7), vbe(VGA_VBE_ENABLE, 0xc1);
    CHECK_EQ(vbe_in(VGA_VBE_XRES), 2560);
    CHECK_EQ(vbe_in(VGA_VBE_YRES), 1600);
    CHECK_EQ(vbe_in(VGA_VBE_BPP), 8);
    vbe(VGA_VBE_VIRTUAL_WIDTH, 0xffff), vbe(VGA_VBE_BPP, 32);
    CHECK_EQ(vbe_in(VGA_VBE_VIRTUAL_WIDTH), 5120);
    CHECK_EQ(vbe_in(VGA_VBE_YRES), (16 << 20) / (5120 * 4));
    /* eight bits of colour */
    out(0x3c8, 1), out(0x3c9, 0x3f), out(0x3c9, 0x15), out(0x3c9, 0x00);
    vbe(VGA_VBE_ENABLE, 0x61);
    out(0x3c7, 1);
    CHECK_EQ(in(0x3c9), 0xff);
    CHECK_EQ(in(0x3c9), 0x55);
    out(0x3c8, 1), out(0x3c9, 0xfe);
    CHECK_EQ(vga.reg.dac[1][0], 0xfe);
    /* the page: the same registers, the VGA's ports, EDID */
    CHECK_EQ(vga_mmio_ops.read(&vga, 0x500 + 2 * VGA_VBE_XRES, 2), 2560);
    vga_mmio_ops.write(&vga, 0x500 + 2 * VGA_VBE_ENABLE, 2, 0);
    CHECK_EQ(vbe_in(VGA_VBE_ENABLE), 0);
    vga_mmio_ops.write(&vga, 0x402, 1, 0x67);
    CHECK_EQ(vga_mmio_ops.read(&vga, 0x40c, 1), 0x67);
    u8 sum = 0;
    for (unsigned n = 0; n < 128; n++)
        sum += (u8)vga_mmio_ops.read(&vga, n, 1);
    CHECK_EQ(sum, 0);
    CHECK_EQ(vga_mmio_ops.read(&vga, 0, 4), 0xffffff00);
}

/* The shapes by which a font is found, and its letters. */
static void test_font_of_image(void)
{
    static u8 image[40000];
    start();
    CHECK(!vga_load_font(&vga, image, sizeof(image)));
    memset(image, 0x11, sizeof(image));
    u8 *font = image + 12345;
    memset(font, 0, 4096);
    memset(font + 0xdb * 16, 0xff, 16);
    memset(font + 0xdf * 16, 0xff, 8);
    memset(font + 'A' * 16 + 3, 0x7e, 1);
    CHECK(vga_load_font(&vga, image, sizeof(image)));
    CHECK_EQ(*vga_plane_byte(&vga, 2, 'A' * 32 + 3), 0x7e);
    CHECK_EQ(*vga_plane_byte(&vga, 2, 0xdb * 32 + 15), 0xff);
    CHECK_EQ(*vga_plane_byte(&vga, 2, 0xdb * 32 + 16), 0);
    CHECK(!vga_load_font(&vga, image, 12345 + 4095));
}

int main(void)
{
    test_text_memory();
    test_font_load();
    test_write_modes();
    test_read_modes();
    test_registers();
    test_retrace();
    test_dump();
    test_mapped_window();
    test_vbe();
    test_font_of_image();
    return check_report();
}
