/*
 * The VGA's memory at A0000h-BFFFFh: how an address becomes bytes of the four planes (Technical
 * Reference, "Display memory", "Graphics controller").
 *
 *   addressing   plane                          address in the plane
 *   planar       all in the map mask            address
 *   odd/even     0 and 2, or 1 and 3, by A0     address with A0 = 0
 *   chain 4      A1-A0                          address with A1 = A0 = 0
 *   linear       none: a bank of 64 KB of a VBE mode of 8 bits a pixel or more
 *
 * The four bytes of an address are handled as one dword, plane 0 lowest, as in the hardware. (A change of code in video
 * memory is not noticed if it is made through vga_memory_ops. Through plain memory it is.)
 */
#include "vga.h"

enum { MEMORY_ODD_EVEN_OFF = 0x04, MEMORY_CHAIN4 = 0x08 };
enum { MODE_WRITE = 0x03, MODE_READ_COMPARE = 0x08, MODE_ODD_EVEN = 0x10 };
enum { ROTATE_COUNT = 0x07, ROTATE_FUNCTION = 0x18 };
enum { ALL_PLANES = 0x0f };

/* "Miscellaneous register, memory map": the part of the 128 KB at which the VGA answers. */
static const struct map_row {
    u32 first, bytes;
} map_rows[] = {{0x00000, 0x20000}, {0x00000, 0x10000}, {0x10000, 0x08000}, {0x18000, 0x08000}};

static const struct map_row *map_row(const struct vga *vga)
{
    return &map_rows[vga->reg.graphics[VGA_GR_MISCELLANEOUS] >> 2 & 3];
}

/* Does A0000h show banks of a linear mode? */
static bool linear(const struct vga *vga)
{
    return vga_vbe_on(&vga->reg) && vga->reg.vbe[VGA_VBE_BPP] >= 8;
}

static u32 bank_offset(const struct vga *vga)
{
    return vga_vbe_on(&vga->reg) ? vga->reg.vbe[VGA_VBE_BANK] * VGA_BANK_BYTES : 0;
}

/* --- A0000h as plain memory --- */

/* Chain 4, with a graphics controller that passes data unchanged. */
static bool chained(const struct vga *vga)
{
    const u8 *gr = vga->reg.graphics, *sr = vga->reg.sequencer;
    return (sr[VGA_SR_MEMORY_MODE] & MEMORY_CHAIN4) && sr[VGA_SR_MAP_MASK] == ALL_PLANES &&
           !gr[VGA_GR_ENABLE_SET_RESET] && !gr[VGA_GR_DATA_ROTATE] &&
           !(gr[VGA_GR_MODE] & (MODE_WRITE | MODE_READ_COMPARE)) && gr[VGA_GR_BIT_MASK] == 0xff &&
           !vga_vbe_on(&vga->reg);
}

void vga_memory_update(struct vga *vga)
{
    u32 offset = linear(vga) ? bank_offset(vga) : 0;
    bool mapped = (vga->reg.misc & VGA_MISC_ENABLE_RAM) && map_row(vga)->first == 0 &&
                  (linear(vga) || chained(vga)) && offset <= VGA_MEMORY_BYTES - VGA_BANK_BYTES;
    if (mapped == vga->mapped && (!mapped || offset == vga->map_offset)) return;
    vga->mapped = mapped;
    vga->map_offset = offset;
    vga->wiring.map(vga->wiring.machine, mapped, offset);
}

/* --- A0000h-BFFFFh as a device --- */

/* Convert an offset from A0000h to an address. False: the VGA does not answer there. */
static bool decode(const struct vga *vga, u32 offset, u32 *address)
{
    const struct map_row *row = map_row(vga);
    if (!(vga->reg.misc & VGA_MISC_ENABLE_RAM) || offset < row->first || offset - row->first >= row->bytes)
        return false;
    *address = (offset - row->first) % VGA_BANK_BYTES + bank_offset(vga);
    return *address < (linear(vga) ? VGA_MEMORY_BYTES : VGA_MEMORY_BYTES / 4);
}

static any32 *planes(const struct vga *vga, u32 address)
{
    return (any32 *)(vga->wiring.memory + vga_planes_at(address));
}

/* Four bits, one a plane, to four bytes, one a plane. */
static u32 spread(u8 bits)
{
    static const u32 bytes[16] = {0x00000000, 0x000000ff, 0x0000ff00, 0x0000ffff, 0x00ff0000, 0x00ff00ff,
                                  0x00ffff00, 0x00ffffff, 0xff000000, 0xff0000ff, 0xff00ff00, 0xff00ffff,
                                  0xffff0000, 0xffff00ff, 0xffffff00, 0xffffffff};
    return bytes[bits & 15];
}

static u32 repeat(u8 byte)
{
    return byte * 0x01010101u;
}

/* "Function select": replace, AND, OR, XOR with the latch. */
static u32 combine(const struct vga *vga, u32 value)
{
    switch ((vga->reg.graphics[VGA_GR_DATA_ROTATE] & ROTATE_FUNCTION) >> 3) {
    case 1: return value & vga->latch;
    case 2: return value | vga->latch;
    case 3: return value ^ vga->latch;
    default: return value;
    }
}

/* The value for the planes of a byte that the CPU wrote ("Graphics mode register, write mode"). */
static u32 planes_value(const struct vga *vga, u8 byte)
{
    const u8 *gr = vga->reg.graphics;
    unsigned count = gr[VGA_GR_DATA_ROTATE] & ROTATE_COUNT;
    u8 rotated = (u8)(byte >> count | byte << (8 - count)), mask = gr[VGA_GR_BIT_MASK];
    u32 set = spread(gr[VGA_GR_SET_RESET]), enabled = spread(gr[VGA_GR_ENABLE_SET_RESET]), value;
    switch (gr[VGA_GR_MODE] & MODE_WRITE) {
    case 0: value = (repeat(rotated) & ~enabled) | (set & enabled); break;
    case 1: return vga->latch;
    case 2: value = spread(byte); break;
    default: value = set; mask &= rotated;
    }
    u32 bits = repeat(mask);
    return (combine(vga, value) & bits) | (vga->latch & ~bits);
}

static void write_byte(struct vga *vga, u32 offset, u8 value)
{
    u32 address;
    if (!decode(vga, offset, &address)) return;
    if (linear(vga)) {
        vga->wiring.memory[address] = value;
        return;
    }
    u8 mask = vga->reg.sequencer[VGA_SR_MAP_MASK], memory_mode = vga->reg.sequencer[VGA_SR_MEMORY_MODE];
    if (memory_mode & MEMORY_CHAIN4) {
        mask &= (u8)(1 << (address & 3));
        address &= ~3u;
    } else if (!(memory_mode & MEMORY_ODD_EVEN_OFF)) {
        mask &= address & 1 ? 0x0a : 0x05;
        address &= ~1u;
    }
    any32 *at = planes(vga, address);
    u32 written = spread(mask);
    *at = (*at & ~written) | (planes_value(vga, value) & written);
}

/* Read mode 1: a bit for each pixel with the colour to compare with, in the planes that matter. */
static u8 compare_colors(const struct vga *vga)
{
    u32 differs = (vga->latch ^ spread(vga->reg.graphics[VGA_GR_COLOR_COMPARE])) &
                  spread(vga->reg.graphics[VGA_GR_COLOR_DONT_CARE]);
    return (u8) ~(differs | differs >> 8 | differs >> 16 | differs >> 24);
}

static u8 read_byte(struct vga *vga, u32 offset)
{
    u32 address;
    if (!decode(vga, offset, &address)) return 0xff;
    if (linear(vga)) return vga->wiring.memory[address];
    u8 plane = vga->reg.graphics[VGA_GR_READ_MAP], mode = vga->reg.graphics[VGA_GR_MODE];
    if (vga->reg.sequencer[VGA_SR_MEMORY_MODE] & MEMORY_CHAIN4) {
        plane = address & 3;
        address &= ~3u;
    } else if (mode & MODE_ODD_EVEN) {
        plane = (plane & 2) | (address & 1);
        address &= ~1u;
    }
    vga->latch = *planes(vga, address);
    return mode & MODE_READ_COMPARE ? compare_colors(vga) : (u8)(vga->latch >> 8 * plane);
}

static u32 memory_read(void *device, u32 offset, unsigned size)
{
    u32 value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (u32)read_byte(device, offset + i) << (8 * i);
    return value;
}

static void memory_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct vga *vga = device;
    for (unsigned i = 0; i < size; i++)
        write_byte(vga, offset + i, (u8)(value >> (8 * i)));
    if (vga->written) return;
    vga->written = true;
    vga_changed(vga);
}

const struct io_ops vga_memory_ops = {memory_read, memory_write};
