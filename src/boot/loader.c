/*
 * Chooses the loader by the contents of the file.
 */
#include "kernel_rom.h"
#include "load_common.h"
#include "load_linux.h"

#include "base/log.h"
#include "cpu/cpuid.h"

#include <elf.h>
#include <string.h>

#define LOOK_BYTES       8192  /* a Multiboot header is in these */
#define E_MACHINE        18    /* of struct Elf64_Ehdr and Elf32_Ehdr */
#define SETUP_HEADER_END 0x228 /* end of the setup header in protocol 2.01 */
#define BOOT_FLAG        0x1fe /* of a boot sector: AA55h */

int load_check_long_mode(struct load *load, const char *path)
{
    if (load->cpu->x1_edx & X1D_LM) return 0;
    return load_fail(load, STATUS_USAGE,
                     "kernel '%s' is for 64-bit CPUs (x86-64), and the machine's CPU, model '%s', is a "
                     "32-bit one (-cpu max64 is a 64-bit one)",
                     path, load->cpu->name);
}

enum kernel_kind { KERNEL_LINUX, KERNEL_MULTIBOOT, KERNEL_ELF };

struct kernel {
    struct image image;
    enum kernel_kind kind;
    bool wants_firmware; /* it may call the BIOS */
    bool is_64bit;       /* a bzImage with a 64-bit entry, or an x86-64 ELF file */
    u32 header;          /* Multiboot: its header's file offset */
};

static int find_kind(struct load *load, struct kernel *kernel)
{
    u8 start[LOOK_BYTES] = {0};
    u64 bytes = kernel->image.bytes < sizeof start ? kernel->image.bytes : sizeof start;
    int status = image_read(load, &kernel->image, 0, start, bytes);
    if (status) return status;
    bool is_elf = !memcmp(start, ELFMAG, SELFMAG);
    kernel->is_64bit = is_elf && start[EI_CLASS] == ELFCLASS64 && get16(start + E_MACHINE) == EM_X86_64;
    if (bytes >= SETUP_HEADER_END && get16(start + BOOT_FLAG) == 0xaa55 &&
        !memcmp(start + HEADER_MAGIC, "HdrS", 4)) {
        kernel->kind = KERNEL_LINUX;
        kernel->is_64bit = linux_is_64bit(start);
        kernel->wants_firmware = linux_needs_firmware(start);
    } else if (multiboot_find(start, bytes, &kernel->header)) {
        kernel->kind = KERNEL_MULTIBOOT;
        kernel->wants_firmware = true;
    } else if (is_elf) {
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

bool loader_kernel_is_64bit(const struct boot_files *files)
{
    char unused[256]; /* loader_make_rom() meets the same error, and its caller reports it */
    struct load load = {.files = files, .error = unused, .error_bytes = sizeof unused};
    struct kernel kernel;
    if (!files->kernel || open_kernel(&load, &kernel)) return false;
    image_close(&kernel.image);
    return kernel.is_64bit;
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
