#include "wire_video.h"

#include "video_mode.h"
#include "vm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEGACY_WINDOW 0xa0000u
#define LEGACY_BYTES  0x20000u
#define VIDEO_DEVFN   PCI_DEVFN(2, 0)
#define VBE_PORTS     0x1ce

#define ROM_NAME      "vgabios-stdvga.bin"
#define ROM_MAX_BYTES (256u << 10)

u64 video_memory_bytes(enum video_card card)
{
    return card == VIDEO_NONE ? 0 : VGA_MEMORY_BYTES;
}

/* --- what the VGA asks for --- */

static void map(void *machine, bool mapped, u32 offset)
{
    struct vm *vm = machine;
    if (mapped)
        phys_map_video(&vm->phys, LEGACY_WINDOW, VGA_BANK_BYTES, offset);
    else
        phys_map_mmio(&vm->phys, LEGACY_WINDOW, LEGACY_BYTES, &vga_memory_ops, &vm->chipset.video.vga);
    machine_memory_changed(vm, LEGACY_WINDOW, VGA_BANK_BYTES);
}

static void collect(void *machine, u64 *pages)
{
    shadow_collect_dirty(&((struct vm *)machine)->shadow, pages);
}

/* --- news --- */

/* Once a frame. */
GENERAL_REGS void video_written(struct video *video)
{
    if (!video->vga.display.armed || video->written) return;
    video->written = true;
    __atomic_or_fetch(&video->vm->vcpu.pending, PENDING_HOST, __ATOMIC_SEQ_CST);
}

void video_tell(struct video *video)
{
    if (!video->written) return;
    video->written = false;
    display_changed(&video->vga.display);
}

/* --- the ROM --- */

/* Its file, in a power of two bytes. Without it the machine is blind until an operating system sets a mode. */
static void load_rom(struct video *video)
{
    char path[FIRMWARE_PATH_BYTES];
    if (!firmware_find(video->vm->options->firmware_directory, ROM_NAME, path)) {
        log_debug("there is no video BIOS: %s is missing", path);
        return;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0 || !status.st_size || status.st_size > ROM_MAX_BYTES) {
        log_warn("the video BIOS %s is no file of 1 to 256 KB", path);
        if (fd >= 0) close(fd);
        return;
    }
    u32 bytes = PAGE_SIZE;
    while (bytes < status.st_size)
        bytes *= 2;
    u8 *rom = aligned_alloc(PAGE_SIZE, bytes);
    if (rom) memset(rom, 0xff, bytes);
    ssize_t done = rom ? read(fd, rom, (size_t)status.st_size) : -1;
    close(fd);
    if (done != status.st_size) {
        log_warn("cannot read the video BIOS %s", path);
        free(rom);
        return;
    }
    video->rom = rom;
    video->rom_bytes = bytes;
}

/* --- set-up --- */

static void claim_ports(struct video *video, struct port_bus *ports)
{
    struct vga *vga = &video->vga;
    ports_claim(ports, 0x3b0, 12, 1, &vga_mono_ops, vga);
    ports_claim(ports, 0x3c0, 32, 1, &vga_ops, vga);
    ports_claim(ports, VBE_PORTS, 4, 2, &vga_vbe_ops, vga);
}

bool video_init(struct video *video, struct vm *vm, char *error, size_t error_bytes)
{
    if (vm->options->video == VIDEO_NONE) return true;
    int failed =
        phys_map_mmio(&vm->phys, LEGACY_WINDOW, LEGACY_BYTES, &vga_memory_ops, &vm->chipset.video.vga);
    if (failed) {
        snprintf(error, error_bytes, "cannot fit the video memory: %s", strerror(-failed));
        return false;
    }
    video->vm = vm;
    load_rom(video);
    vga_init(&video->vga, &(struct vga_wiring){.clock = &vm->time.clock,
                                               .memory = vm->phys.video,
                                               .map = map,
                                               .collect = collect,
                                               .machine = vm});
    video->vga.display.post = &vm->post;
    vga_pci_init(&video->pci, &vm->chipset.pci, VIDEO_DEVFN, &video->vga, video->rom, video->rom_bytes);
    claim_ports(video, &vm->ports);
    return true;
}

void video_destroy(struct video *video)
{
    if (!video->vm) return;
    vga_destroy(&video->vga);
    free(video->rom);
}

void video_reset(struct video *video)
{
    if (!video->vm) return;
    pci_device_reset(&video->pci);
    vga_reset(&video->vga);
}

/* As the video BIOS would: the display interface knows no more than size and depth. */
static void set_mode(struct video *video, const struct video_mode *mode)
{
    const struct pci_bar *bar = &video->pci.bar[VGA_PCI_MEMORY_BAR];
    const u16 values[] = {mode->width, mode->height, mode->bits, VGA_VBE_ENABLED | VGA_VBE_LINEAR};
    struct port_bus *ports = &video->vm->ports;
    if (!bar->mapped) return;
    for (unsigned n = 0; n < ARRAY_SIZE(values); n++) {
        ports_write(ports, VBE_PORTS, 2, VGA_VBE_XRES + n);
        ports_write(ports, VBE_PORTS + 1, 2, values[n]);
    }
    video->screen = (struct boot_screen){.base = bar->base,
                                         .width = mode->width,
                                         .height = mode->height,
                                         .bits = mode->bits,
                                         .memory_bytes = VGA_MEMORY_BYTES};
}

void video_post(struct video *video)
{
    video->screen = (struct boot_screen){0};
    if (!video->vm) return;
    /* The legacy ports are behind the command register's switch, though no base address is of ports. */
    struct port_bus *ports = &video->vm->ports;
    ports_write(ports, 0xcf8, 4, 1u << 31 | VIDEO_DEVFN << 8 | PCI_COMMAND);
    ports_write(ports, 0xcfc, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
    ports_write(ports, 0xcf8, 4, 0);
    if (video->rom && !vga_load_font(&video->vga, video->rom, video->rom_bytes))
        log_debug("there is no font in the video BIOS");
    const struct video_mode *mode = video_mode_asked(video->vm->options->boot.append);
    if (mode) set_mode(video, mode);
}
