/*
 * Chooses the loader by the contents of the file.
 */
#include "kernel_rom.h"
#include "load_common.h"
#include "load_linux.h"

#include "base/log.h"
#include "cpu/cpuid.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LOOK_BYTES       8192  /* a Multiboot header is in these */
#define E_MACHINE        18    /* of struct Elf64_Ehdr and Elf32_Ehdr */
#define SETUP_HEADER_END 0x228 /* end of the setup header in protocol 2.01 */

int load_check_long_mode(struct load *load, const char *path)
{
    if (load->cpu->x1_edx & X1D_LM) return 0;
    return load_fail(load, STATUS_USAGE,
                     "kernel '%s' is for 64-bit CPUs (x86-64), and the machine's CPU, model '%s', is a "
                     "32-bit one (-cpu max64 "
                     "is a 64-bit one)",
                     path, load->cpu->name);
}

bool loader_kernel_is_64bit(const char *path)
{
    u8 start[HEADER_END] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = pread(fd, start, sizeof start, 0) == (ssize_t)sizeof start;
    close(fd);
    if (!good) return false;
    if (!memcmp(start, ELFMAG, SELFMAG))
        return start[EI_CLASS] == ELFCLASS64 && get16(start + E_MACHINE) == EM_X86_64;
    return !memcmp(start + 0x202, "HdrS", 4) && get16(start + 0x206) >= 0x20c &&
           (get16(start + XLOADFLAGS) & XLF_KERNEL_64);
}

enum kernel_kind { KERNEL_LINUX, KERNEL_MULTIBOOT, KERNEL_ELF };

struct kernel {
    struct image image;
    enum kernel_kind kind;
    bool wants_firmware; /* it may call the BIOS */
    u32 header;          /* Multiboot: its header's file offset */
};

static int find_kind(struct load *load, struct kernel *kernel)
{
    u8 start[LOOK_BYTES];
    u64 bytes = kernel->image.bytes < sizeof start ? kernel->image.bytes : sizeof start;
    int status = image_read(load, &kernel->image, 0, start, bytes);
    if (status) return status;
    if (bytes >= SETUP_HEADER_END && get16(start + 0x1fe) == 0xaa55 && !memcmp(start + 0x202, "HdrS", 4)) {
        kernel->kind = KERNEL_LINUX;
        kernel->wants_firmware = linux_needs_firmware(start);
    } else if (multiboot_find(start, bytes, &kernel->header)) {
        kernel->kind = KERNEL_MULTIBOOT;
        kernel->wants_firmware = true;
    } else if (bytes >= 4 && !memcmp(start, "\177ELF", 4)) {
        kernel->kind = KERNEL_ELF;
    } else {
        return load_fail(
            load, STATUS_USAGE,
            "kernel '%s' cannot be started: it is not a bzImage, not ELF, and has no Multiboot header",
            kernel->image.path);
    }
    return 0;
}

static int open_kernel(struct load *load, struct kernel *kernel)
{
    *kernel = (struct kernel){.image.fd = -1};
    int status = image_open(load, &kernel->image, "kernel", load->files->kernel);
    if (!status) status = find_kind(load, kernel);
    if (status) image_close(&kernel->image);
    return status;
}

static bool goes_by_firmware(const struct load *load, const struct kernel *kernel)
{
    if (load->files->way == BOOT_WAY_USUAL) return kernel->wants_firmware;
    return load->files->way == BOOT_WAY_FIRMWARE;
}

static int load_kernel(struct load *load, const struct kernel *kernel)
{
    switch (kernel->kind) {
    case KERNEL_LINUX:
        return load->rom ? load_linux16(load, &kernel->image) : load_linux(load, &kernel->image);
    case KERNEL_MULTIBOOT: return load_multiboot(load, &kernel->image, kernel->header);
    case KERNEL_ELF: break;
    }
    if (load->rom)
        return load_fail(
            load, STATUS_USAGE,
            "kernel '%s' is an ELF file without a Multiboot header: it can only be started directly",
            kernel->image.path);
    return load_pvh(load, &kernel->image);
}

static int too_little_memory(struct load *load)
{
    return load_fail(load, STATUS_USAGE, "%llu KB of memory is too little to start anything",
                     (unsigned long long)load->phys->ram_bytes >> 10);
}

int loader_make_rom(struct phys *phys, const struct cpu_model *cpu, const struct boot_files *files,
                    struct kernel_rom **rom, char *error, size_t error_bytes)
{
    struct load load = {.phys = phys, .cpu = cpu, .files = files, .error = error, .error_bytes = error_bytes};
    struct kernel kernel;
    *rom = NULL;
    if (!files->kernel) return 0;
    int status = open_kernel(&load, &kernel);
    if (status) return status;
    if (goes_by_firmware(&load, &kernel)) {
        load.rom = kernel_rom_new();
        if (!load.rom)
            status = load_fail(&load, STATUS_HOST, "there is no memory left on the host");
        else if (phys_low_ram_bytes(phys) < 2 * ONE_MB)
            status = too_little_memory(&load);
        else
            status = load_kernel(&load, &kernel);
    }
    image_close(&kernel.image);
    if (status)
        kernel_rom_free(load.rom);
    else
        *rom = load.rom;
    return status;
}

int loader_load(struct vcpu *v, const struct boot_files *files, struct boot_screen screen, char *error,
                size_t error_bytes)
{
    struct load load = {.v = v,
                        .phys = v->phys,
                        .cpu = v->model,
                        .files = files,
                        .screen = screen,
                        .error = error,
                        .error_bytes = error_bytes};
    if (files->kernel && files->firmware)
        return load_fail(&load, STATUS_USAGE, "a kernel and a firmware image cannot both be started");
    if (!files->kernel && files->initrd)
        return load_fail(&load, STATUS_USAGE, "an initrd needs a kernel to go with it");
    if (!files->kernel && files->append)
        return load_fail(&load, STATUS_USAGE, "a kernel command line needs a kernel to go with it");
    if (phys_low_ram_bytes(v->phys) < 2 * ONE_MB) return too_little_memory(&load);
    if (files->firmware) return load_firmware(&load);
    if (!files->kernel)
        return load_fail(&load, STATUS_USAGE, "there is nothing to start: name a kernel or a firmware image");

    struct kernel kernel;
    int status = open_kernel(&load, &kernel);
    if (status) return status;
    status = load_kernel(&load, &kernel);
    image_close(&kernel.image);
    return status;
}
