/*
 * The VGA under a stream of register writes, memory accesses, modes of the display interface and drawing. Hazards: a
 * register that leads beyond video memory, and a line that does not fit in its buffer. Video memory is allocated to the
 * byte, so that a sanitizer detects both.
 *
 *   input: operations of a byte and its arguments
 *   00-7F  write port 3B0h + byte % 30h: value      80-8F  register of the display interface: value (2 bytes)
 *   90-9F  write the page: offset, value            A0-BF  write A0000h: offset (2 bytes), value
 *   C0-DF  read A0000h, ports and page: offset      E0-EF  write video memory: offset (2 bytes), value
 *   F0-FF  draw (a few times an input), or reset
 */
#include "input.h"

#include "devices/video/vga.h"

#include <stdlib.h>
#include <string.h>

struct machine {
    struct clock clock;
    u64 now;
    bool mapped;
    u32 offset;
    u64 pages; /* the same mask for all */
};

static u64 now_ns(const struct clock *clock)
{
    struct machine *m = (struct machine *)clock;
    return m->now += 1000;
}

static void map(void *machine, bool mapped, u32 offset)
{
    struct machine *m = machine;
    m->mapped = mapped;
    m->offset = offset;
}

static void collect(void *machine, u64 *pages)
{
    for (unsigned n = 0; n < VGA_MEMORY_BYTES / PAGE_SIZE / 64; n++)
        pages[n] |= ((struct machine *)machine)->pages;
}

/* The highest byte first. */
static u32 next(struct input *in, unsigned bytes)
{
    u32 value = 0;
    for (; bytes; bytes--)
        value = value << 8 | (in->at < in->end ? *in->at++ : 0);
    return value;
}

static void write_window(struct vga *vga, const struct machine *m, u32 offset, unsigned size, u32 value)
{
    if (m->mapped && offset + size <= VGA_BANK_BYTES)
        memcpy(vga->wiring.memory + m->offset + offset, &value, size);
    else
        vga_memory_ops.write(vga, offset, size, value);
}

static void write_port(struct vga *vga, u32 port, u32 value)
{
    if (port < 0x10)
        vga_mono_ops.write(vga, port % 12, 1, value);
    else
        vga_ops.write(vga, port - 0x10, 1, value);
}

static void step(struct vga *vga, struct machine *m, struct input *in, struct display_viewer *viewer,
                 unsigned *draws)
{
    static const u8 sizes[] = {1, 2, 4, 4};
    u32 op = next(in, 1), size = sizes[op & 3];
    if (op < 0x80) {
        write_port(vga, op % 0x30, next(in, 1));
    } else if (op < 0x90) {
        vga_vbe_ops.write(vga, 0, 2, op & 15);
        vga_vbe_ops.write(vga, 1, 2, next(in, 2));
    } else if (op < 0xa0) {
        u32 offset = next(in, 2) % (PAGE_SIZE - size + 1);
        vga_mmio_ops.write(vga, offset, size, next(in, 2));
    } else if (op < 0xc0) {
        u32 offset = (next(in, 2) | (op & 4) << 14) % (0x20000 - size + 1);
        write_window(vga, m, offset, size, next(in, 1) * 0x01010101u);
    } else if (op < 0xe0) {
        u32 offset = (next(in, 2) | (op & 4) << 14) % (0x20000 - size + 1);
        vga_memory_ops.read(vga, offset, size);
        vga_mmio_ops.read(vga, offset % (PAGE_SIZE - size + 1), size);
        vga_ops.read(vga, offset % 0x20, 1);
        vga_vbe_ops.read(vga, offset % 2, 2);
    } else if (op < 0xf0) {
        u32 offset = next(in, 2) << 8;
        vga->wiring.memory[offset % VGA_MEMORY_BYTES] = (u8)next(in, 1);
    } else if (op == 0xff) {
        vga_reset(vga);
    } else if (*draws < 2) {
        ++*draws;
        m->pages = op & 1 ? 0x8421 : 0;
        if (op & 8) display_take(viewer);
        display_draw(viewer, m->now += (u64)op << 22);
        char text[64];
        vga_text_dump(vga, text, sizeof(text));
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    static u8 *memory;
    struct machine m = {.clock = {.now_ns = now_ns}};
    struct vga vga;
    if (!memory) memory = malloc(VGA_MEMORY_BYTES); /* its contents decide nothing */
    if (!memory) abort();
    vga_init(&vga, &(struct vga_wiring){
                       .clock = &m.clock, .memory = memory, .map = map, .collect = collect, .machine = &m});
    struct display_viewer viewer = {.changed = NULL};
    if (display_attach(&vga.display, &viewer)) abort();
    struct input in = {data, data + bytes};
    unsigned draws = 0;
    while (in.at < in.end)
        step(&vga, &m, &in, &viewer, &draws);
    display_detach(&viewer);
    vga_destroy(&vga);
    return 0;
}
