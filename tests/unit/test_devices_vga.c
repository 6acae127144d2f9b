/*
 * The VGA: text memory as vgacon uses it, planar writes in all four modes against values worked out by hand,
 * register access rules, retrace over time, and the text dump.
 */
#include "devices/vga.h"

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

static void start(void)
{
    fake = (struct fake_clock){.clock = {.now_ns = now_ns}};
    vga_init(&vga, &fake.clock);
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
    CHECK_EQ(vga.plane[0][0], 'A');
    CHECK_EQ(vga.plane[1][0], 0x1f);
    CHECK_EQ(vga.plane[0][2], 'B');
    CHECK_EQ(vga.plane[2][0], 0);
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
    CHECK_EQ(vga.plane[2][0x123], (0x123 * 7) & 0xff);
    CHECK_EQ(vga.plane[0][0x123], 0);
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
    CHECK_EQ(vga.plane[0][at], p0);
    CHECK_EQ(vga.plane[1][at], p1);
    CHECK_EQ(vga.plane[2][at], p2);
    CHECK_EQ(vga.plane[3][at], p3);
}

static void set_latches(u8 p0, u8 p1, u8 p2, u8 p3)
{
    vga.plane[0][99] = p0;
    vga.plane[1][99] = p1;
    vga.plane[2][99] = p2;
    vga.plane[3][99] = p3;
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
    /* CRTC 0-7 are protected, but for line compare bit 8 */
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
    CHECK_EQ(vga.attribute[0x10], 0x0c);
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
    indexed(0x3ce, 6, 0x05);
    CHECK_EQ(vga_text_dump(&vga, small, sizeof(small)), 0);
    CHECK_EQ(small[0], 0);
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
    return check_report();
}
