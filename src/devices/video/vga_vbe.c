/*
 * Bochs' display interface ("VBE DISPI", documented with its VGA BIOS and display driver), version B0C5h:
 * modes of any size by a handful of 16-bit registers, and the same in a page of memory with the standard
 * VGA's layout:
 *
 *   ports   1CEh index, 1CFh and 1D0h data
 *   page    000h EDID | 400h ports 3C0h-3DFh | 500h the registers, 2 bytes each
 *
 * An enabled mode takes over the picture and the memory at A0000h. The VGA's own registers keep their
 * values and count again when it is disabled. 4 bits a pixel are the VGA's planes.
 */
#include "vga.h"

#include <string.h>

#define ID_FIRST  0xb0c0
#define ID_LATEST 0xb0c5

static bool enabled(const struct vga *vga)
{
    return vga_vbe_on(&vga->reg);
}

static u32 at_most(u32 value, u32 limit)
{
    return value < limit ? value : limit;
}

static bool depth_exists(u16 bits)
{
    return bits == 4 || bits == 8 || bits == 15 || bits == 16 || bits == 24 || bits == 32;
}

/* Memory for a picture: a dword of the planes holds 8 pixels of 4 bits. */
static u32 line_bytes(const struct vga *vga)
{
    u32 width = vga->reg.vbe[VGA_VBE_VIRTUAL_WIDTH];
    return vga->reg.vbe[VGA_VBE_BPP] == 4 ? width / 2 : vga_vbe_line_bytes(&vga->reg);
}

/* Make the registers consistent with each other and with the size of memory. */
static void settle(struct vga *vga)
{
    u16 *vbe = vga->reg.vbe;
    if (!depth_exists(vbe[VGA_VBE_BPP])) vbe[VGA_VBE_BPP] = 8;
    vbe[VGA_VBE_XRES] = (u16)at_most(vbe[VGA_VBE_XRES] & ~7u, VGA_VBE_MAX_WIDTH);
    if (!vbe[VGA_VBE_XRES]) vbe[VGA_VBE_XRES] = 8;
    vbe[VGA_VBE_YRES] = (u16)at_most(vbe[VGA_VBE_YRES], VGA_VBE_MAX_HEIGHT);
    if (!vbe[VGA_VBE_YRES]) vbe[VGA_VBE_YRES] = 1;
    u16 *width = &vbe[VGA_VBE_VIRTUAL_WIDTH];
    *width = (u16)at_most(*width & ~7u, 2 * VGA_VBE_MAX_WIDTH);
    if (*width < vbe[VGA_VBE_XRES]) *width = vbe[VGA_VBE_XRES];
    u32 lines = VGA_MEMORY_BYTES / line_bytes(vga);
    vbe[VGA_VBE_YRES] = (u16)at_most(vbe[VGA_VBE_YRES], lines);
    vbe[VGA_VBE_VIRTUAL_HEIGHT] = (u16)at_most(lines, 0xffff);
    vbe[VGA_VBE_X_OFFSET] = (u16)at_most(vbe[VGA_VBE_X_OFFSET], (u32)*width - vbe[VGA_VBE_XRES]);
    vbe[VGA_VBE_Y_OFFSET] = (u16)at_most(vbe[VGA_VBE_Y_OFFSET], lines - vbe[VGA_VBE_YRES]);
    vbe[VGA_VBE_BANK] = (u16)at_most(vbe[VGA_VBE_BANK], VGA_MEMORY_BYTES / VGA_BANK_BYTES - 1);
}

/* The planes of 4-bit modes go on in units of 256 KB: see vga_planes_at(). */
static void clear_picture(struct vga *vga)
{
    u32 bytes = line_bytes(vga) * vga->reg.vbe[VGA_VBE_YRES];
    if (vga->reg.vbe[VGA_VBE_BPP] == 4) bytes = (u32)align_up(bytes, VGA_LEGACY_BYTES);
    memset(vga->wiring.memory, 0, bytes);
    vga->written = true;
}

/* The palette keeps its colours when its components change between six bits and eight. */
static void rescale_palette(struct vga *vga, bool wide)
{
    for (unsigned i = 0; i < 256; i++)
        for (unsigned c = 0; c < 3; c++) {
            u8 *component = &vga->reg.dac[i][c];
            *component = wide ? (u8)(*component << 2 | *component >> 4) : *component >> 2;
        }
}

static void write_enable(struct vga *vga, u16 value)
{
    u16 *vbe = vga->reg.vbe;
    bool was = enabled(vga);
    if ((vbe[VGA_VBE_ENABLE] ^ value) & VGA_VBE_8BIT_DAC) rescale_palette(vga, value & VGA_VBE_8BIT_DAC);
    vbe[VGA_VBE_ENABLE] = value;
    if (enabled(vga) && !was) {
        vbe[VGA_VBE_VIRTUAL_WIDTH] = vbe[VGA_VBE_X_OFFSET] = vbe[VGA_VBE_Y_OFFSET] = 0;
        settle(vga);
        if (!(value & VGA_VBE_NO_CLEAR)) clear_picture(vga);
    }
    if (!enabled(vga)) vbe[VGA_VBE_BANK] = 0;
}

static void write_register(struct vga *vga, u16 index, u16 value)
{
    u16 *vbe = vga->reg.vbe;
    switch (index) {
    case VGA_VBE_ID:
        if (value >= ID_FIRST && value <= ID_LATEST) vbe[index] = value;
        break;
    case VGA_VBE_ENABLE: write_enable(vga, value); break;
    case VGA_VBE_VIRTUAL_HEIGHT:
    case VGA_VBE_MEMORY_64K: break;
    default:
        if (index >= VGA_VBE_COUNT) return;
        vbe[index] = value;
        if (enabled(vga)) settle(vga);
    }
    vga_memory_update(vga);
    vga_changed(vga);
}

static u16 read_register(const struct vga *vga, u16 index)
{
    if (vga->reg.vbe[VGA_VBE_ENABLE] & VGA_VBE_GET_CAPABILITIES) switch (index) {
        case VGA_VBE_XRES: return VGA_VBE_MAX_WIDTH;
        case VGA_VBE_YRES: return VGA_VBE_MAX_HEIGHT;
        case VGA_VBE_BPP: return 32;
        }
    return index < VGA_VBE_COUNT ? vga->reg.vbe[index] : 0;
}

void vga_vbe_reset(struct vga *vga)
{
    memset(vga->reg.vbe, 0, sizeof(vga->reg.vbe));
    vga->reg.vbe[VGA_VBE_ID] = ID_LATEST;
    vga->reg.vbe[VGA_VBE_MEMORY_64K] = VGA_MEMORY_BYTES >> 16;
    vga->vbe_index = 0;
}

/* --- ports: word accesses at even and odd addresses; byte accesses have no effect --- */

static u32 vbe_read(void *device, u32 offset, unsigned size)
{
    struct vga *vga = device;
    if (size != 2) return 0xff;
    return offset == 0 ? vga->vbe_index : read_register(vga, vga->vbe_index);
}

static void vbe_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct vga *vga = device;
    if (size != 2) return;
    if (offset == 0)
        vga->vbe_index = (u16)value;
    else
        write_register(vga, vga->vbe_index, (u16)value);
}

const struct io_ops vga_vbe_ops = {vbe_read, vbe_write};

/* --- the page --- */

enum {
    MMIO_PORTS = 0x400,
    MMIO_PORTS_END = 0x420,
    MMIO_VBE = 0x500,
    MMIO_VBE_END = 0x500 + 2 * VGA_VBE_COUNT
};

/* The monitor's preferred resolution. */
#define EDID_WIDTH  1280
#define EDID_HEIGHT 800

static u32 mmio_byte(struct vga *vga, u32 offset)
{
    if (offset >= MMIO_PORTS && offset < MMIO_PORTS_END) return vga_ops.read(vga, offset - MMIO_PORTS, 1);
    if (offset >= MMIO_VBE && offset < MMIO_VBE_END)
        return read_register(vga, (u16)((offset - MMIO_VBE) / 2)) >> (offset & 1 ? 8 : 0);
    if (offset >= VGA_EDID_BYTES) return offset < MMIO_PORTS ? 0 : 0xff;
    u8 edid[VGA_EDID_BYTES];
    vga_edid(edid, EDID_WIDTH, EDID_HEIGHT);
    return edid[offset];
}

static u32 mmio_read(void *device, u32 offset, unsigned size)
{
    u32 value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (mmio_byte(device, offset + i) & 0xff) << (8 * i);
    return value;
}

static void mmio_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct vga *vga = device;
    for (unsigned i = 0; i < size; i++)
        if (offset + i >= MMIO_PORTS && offset + i < MMIO_PORTS_END)
            vga_ops.write(vga, offset + i - MMIO_PORTS, 1, value >> (8 * i) & 0xff);
    /* A register is written whole. */
    for (unsigned i = 0; i + 1 < size; i += 2)
        if (!(offset & 1) && offset + i >= MMIO_VBE && offset + i < MMIO_VBE_END)
            write_register(vga, (u16)((offset + i - MMIO_VBE) / 2), (u16)(value >> (8 * i)));
}

const struct io_ops vga_mmio_ops = {mmio_read, mmio_write};
