/*
 * A VGA with video memory, a clock and a viewer, for tests of its picture.
 */
#ifndef VGA_FIXTURE_H
#define VGA_FIXTURE_H

#include "devices/video/vga.h"

#include "check.h"

#include <string.h>

struct vga_fixture {
    struct clock clock;
    struct vga vga;
    struct mailbox mailbox;
    struct display_viewer viewer;
    u64 dirty[VGA_MEMORY_BYTES / PAGE_SIZE / 64]; /* the next result of collect() */
    bool mapped;
    unsigned changed, ready;
};

static u8 video_memory[VGA_MEMORY_BYTES];

static u64 fixture_now(const struct clock *clock)
{
    return 0;
}

static void fixture_map(void *machine, bool mapped, u32 offset)
{
    ((struct vga_fixture *)machine)->mapped = mapped;
}

static void fixture_collect(void *machine, u64 *pages)
{
    struct vga_fixture *f = machine;
    for (unsigned n = 0; n < ARRAY_SIZE(f->dirty); n++)
        pages[n] |= f->dirty[n];
    memset(f->dirty, 0, sizeof(f->dirty));
}

static void fixture_changed(struct display_viewer *viewer)
{
    container_of(viewer, struct vga_fixture, viewer)->changed++;
}

static void fixture_ready(struct display_viewer *viewer)
{
    container_of(viewer, struct vga_fixture, viewer)->ready++;
}

static void setup(struct vga_fixture *f)
{
    memset(f, 0, sizeof(*f));
    memset(video_memory, 0, sizeof(video_memory));
    f->clock.now_ns = fixture_now;
    vga_init(&f->vga, &(struct vga_wiring){.clock = &f->clock,
                                           .memory = video_memory,
                                           .map = fixture_map,
                                           .collect = fixture_collect,
                                           .machine = f});
    f->vga.display.mailbox = &f->mailbox;
    f->viewer.changed = fixture_changed;
    f->viewer.ready = fixture_ready;
    CHECK_EQ(display_attach(&f->vga.display, &f->viewer), 0);
    mailbox_run(&f->mailbox);
}

static void teardown(struct vga_fixture *f)
{
    display_detach(&f->viewer);
    vga_destroy(&f->vga);
}

static void out(struct vga_fixture *f, u16 port, u8 value)
{
    vga_ops.write(&f->vga, port - 0x3c0u, 1, value);
}

static void reg(struct vga_fixture *f, u16 port, u8 index, u8 value)
{
    out(f, port, index);
    out(f, (u16)(port + 1), value);
}

static void crtc(struct vga_fixture *f, u8 index, u8 value)
{
    reg(f, 0x3d4, 0x11, 0); /* no protection */
    reg(f, 0x3d4, index, value);
}

static void attribute(struct vga_fixture *f, u8 index, u8 value)
{
    vga_ops.read(&f->vga, 0x3da - 0x3c0, 1);
    out(f, 0x3c0, index);
    out(f, 0x3c0, value);
    out(f, 0x3c0, 0x20); /* the palette is the screen's again */
}

static void dac(struct vga_fixture *f, u8 index, u8 red, u8 green, u8 blue)
{
    out(f, 0x3c8, index);
    out(f, 0x3c9, red);
    out(f, 0x3c9, green);
    out(f, 0x3c9, blue);
}

static void vbe(struct vga_fixture *f, u16 index, u16 value)
{
    vga_vbe_ops.write(&f->vga, 0, 2, index);
    vga_vbe_ops.write(&f->vga, 1, 2, value);
}

static void vbe_mode(struct vga_fixture *f, u16 width, u16 height, u16 bits)
{
    vbe(f, VGA_VBE_ENABLE, 0);
    vbe(f, VGA_VBE_XRES, width);
    vbe(f, VGA_VBE_YRES, height);
    vbe(f, VGA_VBE_BPP, bits);
    vbe(f, VGA_VBE_ENABLE, VGA_VBE_ENABLED | VGA_VBE_LINEAR);
}

static void poke(struct vga_fixture *f, u32 gpa, u8 value)
{
    if (f->mapped)
        video_memory[gpa - 0xa0000] = value;
    else
        vga_memory_ops.write(&f->vga, gpa - 0xa0000, 1, value);
}

/* Mode 12h: 640 x 480 in planes. */
static void planar(struct vga_fixture *f)
{
    reg(f, 0x3c4, 1, 0x01), reg(f, 0x3c4, 2, 0x0f), reg(f, 0x3c4, 4, 0x06);
    reg(f, 0x3ce, 5, 0x00), reg(f, 0x3ce, 6, 0x05);
    crtc(f, 0x07, 0x3e), crtc(f, 0x09, 0x40), crtc(f, 0x12, 0xdf), crtc(f, 0x13, 0x28);
    crtc(f, 0x17, 0xe3), crtc(f, 0x18, 0xff);
    attribute(f, 0x10, 0x01), attribute(f, 0x13, 0x00);
}

/* Mode 13h. */
static void mode13(struct vga_fixture *f)
{
    reg(f, 0x3c4, 1, 0x01), reg(f, 0x3c4, 2, 0x0f), reg(f, 0x3c4, 4, 0x0e);
    reg(f, 0x3ce, 5, 0x40), reg(f, 0x3ce, 6, 0x05);
    crtc(f, 0x07, 0x1f), crtc(f, 0x09, 0x41), crtc(f, 0x12, 0x8f), crtc(f, 0x13, 0x28);
    crtc(f, 0x14, 0x40), crtc(f, 0x17, 0xa3), crtc(f, 0x18, 0xff);
    attribute(f, 0x10, 0x41), attribute(f, 0x13, 0x00);
}

static u64 draw_at(struct vga_fixture *f, u64 now_ns)
{
    display_take(&f->viewer);
    return display_draw(&f->viewer, now_ns);
}

static void draw(struct vga_fixture *f)
{
    draw_at(f, 0);
}

static u32 pixel(const struct vga_fixture *f, u32 x, u32 y)
{
    return f->viewer.frame.pixel[(u64)y * f->viewer.frame.width + x];
}

#endif
