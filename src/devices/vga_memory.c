/*
 * The VGA's memory window: how an address of A0000h-BFFFFh becomes bytes of the four planes (Technical
 * Reference, "Display memory", "Graphics controller").
 *
 *   addressing   plane                          offset in the plane
 *   planar       all in the map mask            address
 *   odd/even     0 and 2, or 1 and 3, by A0     address with A0 = 0
 *   chain 4      A1-A0                          address with A1 = A0 = 0
 */
#include "vga.h"

enum { MEMORY_ODD_EVEN_OFF = 0x04, MEMORY_CHAIN4 = 0x08 };
enum { MODE_WRITE = 0x03, MODE_READ_COMPARE = 0x08, MODE_ODD_EVEN = 0x10 };
enum { ROTATE_COUNT = 0x07, ROTATE_FUNCTION = 0x18 };

/* "Miscellaneous register, memory map": where the window lies in the 128 KB. */
static const struct map_row {
    u32 first, bytes;
} map_rows[] = {{0x00000, 0x20000}, {0x00000, 0x10000}, {0x10000, 0x08000}, {0x18000, 0x08000}};

/* Offset of the window into the memory behind it. False: the VGA does not answer there. */
static bool decode(const struct vga *vga, u32 offset, u32 *address)
{
    const struct map_row *row = &map_rows[vga->graphics[VGA_GR_MISCELLANEOUS] >> 2 & 3];
    if (!(vga->misc & VGA_MISC_ENABLE_RAM) || offset < row->first || offset - row->first >= row->bytes)
        return false;
    *address = (offset - row->first) % VGA_PLANE_BYTES;
    return true;
}

static u8 rotate(u8 value, unsigned count)
{
    return value >> count | value << (8 - count);
}

/* "Function select": replace, AND, OR, XOR with the latch. */
static u8 combine(const struct vga *vga, u8 value, u8 latch)
{
    switch ((vga->graphics[VGA_GR_DATA_ROTATE] & ROTATE_FUNCTION) >> 3) {
    case 1: return value & latch;
    case 2: return value | latch;
    case 3: return value ^ latch;
    default: return value;
    }
}

/* What one plane gets of a byte that the CPU wrote ("Graphics mode register, write mode"). */
static u8 plane_value(const struct vga *vga, unsigned plane, u8 value)
{
    const u8 *gr = vga->graphics;
    u8 latch = vga->latch[plane], mask = gr[VGA_GR_BIT_MASK];
    u8 set = gr[VGA_GR_SET_RESET] >> plane & 1 ? 0xff : 0;
    u8 rotated = rotate(value, gr[VGA_GR_DATA_ROTATE] & ROTATE_COUNT);
    switch (gr[VGA_GR_MODE] & MODE_WRITE) {
    case 0: value = gr[VGA_GR_ENABLE_SET_RESET] >> plane & 1 ? set : rotated; break;
    case 1: return latch;
    case 2: value = value >> plane & 1 ? 0xff : 0; break;
    case 3:
        value = set;
        mask &= rotated;
        break;
    }
    return (combine(vga, value, latch) & mask) | (latch & ~mask);
}

static void write_byte(struct vga *vga, u32 offset, u8 value)
{
    u32 address;
    if (!decode(vga, offset, &address)) return;
    u8 planes = vga->sequencer[VGA_SR_MAP_MASK], memory_mode = vga->sequencer[VGA_SR_MEMORY_MODE];
    if (memory_mode & MEMORY_CHAIN4) {
        planes &= 1 << (address & 3);
        address &= ~3u;
    } else if (!(memory_mode & MEMORY_ODD_EVEN_OFF)) {
        planes &= address & 1 ? 0x0a : 0x05;
        address &= ~1u;
    }
    for (unsigned plane = 0; plane < 4; plane++) {
        if (planes & 1 << plane) vga->plane[plane][address] = plane_value(vga, plane, value);
    }
}

/* Read mode 1: a bit for each pixel whose colour is the one compared with, in the planes that matter. */
static u8 compare_colors(const struct vga *vga)
{
    u8 same = 0xff;
    for (unsigned plane = 0; plane < 4; plane++) {
        if (!(vga->graphics[VGA_GR_COLOR_DONT_CARE] >> plane & 1)) continue;
        u8 wanted = vga->graphics[VGA_GR_COLOR_COMPARE] >> plane & 1 ? 0xff : 0;
        same &= ~(vga->latch[plane] ^ wanted);
    }
    return same;
}

static u8 read_byte(struct vga *vga, u32 offset)
{
    u32 address;
    if (!decode(vga, offset, &address)) return 0xff;
    u8 plane = vga->graphics[VGA_GR_READ_MAP], mode = vga->graphics[VGA_GR_MODE];
    if (vga->sequencer[VGA_SR_MEMORY_MODE] & MEMORY_CHAIN4) {
        plane = address & 3;
        address &= ~3u;
    } else if (mode & MODE_ODD_EVEN) {
        plane = (plane & 2) | (address & 1);
        address &= ~1u;
    }
    for (unsigned i = 0; i < 4; i++) {
        vga->latch[i] = vga->plane[i][address];
    }
    return mode & MODE_READ_COMPARE ? compare_colors(vga) : vga->latch[plane];
}

static u32 memory_read(void *device, u32 offset, unsigned size)
{
    u32 value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= (u32)read_byte(device, offset + i) << (8 * i);
    }
    return value;
}

static void memory_write(void *device, u32 offset, unsigned size, u32 value)
{
    for (unsigned i = 0; i < size; i++) {
        write_byte(device, offset + i, value >> (8 * i));
    }
}

const struct io_ops vga_memory_ops = {memory_read, memory_write};
