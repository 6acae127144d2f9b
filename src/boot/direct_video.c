#include "direct_video.h"

#include "base/log.h"
#include "board/board.h"
#include "board/wire_video.h"
#include "video_mode.h"

/* Set a mode through the display interface, as the video BIOS does. */
static struct boot_screen set_mode(struct video *video, const struct video_mode *mode)
{
    const struct pci_bar *bar = &video->pci.bar[VGA_PCI_MEMORY_BAR];
    const u16 values[] = {mode->width, mode->height, mode->bits, VGA_VBE_ENABLED | VGA_VBE_LINEAR};
    struct port_bus *ports = &video->board->ports;
    if (!bar->mapped) return (struct boot_screen){0};
    for (unsigned n = 0; n < ARRAY_SIZE(values); n++) {
        ports_write(ports, VIDEO_VBE_PORTS, 2, VGA_VBE_XRES + n);
        ports_write(ports, VIDEO_VBE_PORTS + 1, 2, values[n]);
    }
    return (struct boot_screen){.base = bar->base,
                                .width = mode->width,
                                .height = mode->height,
                                .bits = mode->bits,
                                .memory_bytes = VGA_MEMORY_BYTES};
}

struct boot_screen direct_video(struct video *video, const char *command_line)
{
    if (!video->board) return (struct boot_screen){0};
    /* The command register enables the legacy ports too, although no base address register is for ports. */
    struct port_bus *ports = &video->board->ports;
    ports_write(ports, 0xcf8, 4, 1u << 31 | VIDEO_DEVFN << 8 | PCI_COMMAND);
    ports_write(ports, 0xcfc, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
    ports_write(ports, 0xcf8, 4, 0);
    if (video->rom && !vga_load_font(&video->vga, video->rom, video->rom_bytes))
        log_debug("the video BIOS has no font");
    const struct video_mode *mode = video_mode_asked(command_line);
    return mode ? set_mode(video, mode) : (struct boot_screen){0};
}
