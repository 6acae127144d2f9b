/*
 * Which loader a file is for.
 */
#include "load_common.h"

#include "base/log.h"

#include <string.h>

#define LOOK_BYTES 8192 /* a Multiboot header lies within these */

static int load_kernel(struct load *load, const struct image *kernel)
{
    u8 start[LOOK_BYTES];
    u64 bytes = kernel->bytes < sizeof start ? kernel->bytes : sizeof start;
    int status = image_read(load, kernel, 0, start, bytes);
    if (status) return status;
    u32 header;
    if (bytes >= 0x206 && get16(start + 0x1fe) == 0xaa55 && !memcmp(start + 0x202, "HdrS", 4))
        return load_linux(load, kernel);
    if (multiboot_find(start, bytes, &header)) return load_multiboot(load, kernel, header);
    if (bytes >= 4 && !memcmp(start, "\177ELF", 4)) return load_pvh(load, kernel);
    return load_fail(load, STATUS_USAGE,
                     "kernel '%s' is none that can be started: not a bzImage, not ELF, no Multiboot header",
                     kernel->path);
}

int loader_load(struct vcpu *v, const struct boot_files *files, struct boot_screen screen, char *error,
                size_t error_bytes)
{
    struct load load = {.v = v,
                        .phys = v->phys,
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
    if (phys_low_ram_bytes(v->phys) < 2 * ONE_MB)
        return load_fail(&load, STATUS_USAGE, "%llu KB of memory are too little to start anything",
                         (unsigned long long)v->phys->ram_bytes >> 10);
    if (files->firmware) return load_firmware(&load);
    if (!files->kernel)
        return load_fail(&load, STATUS_USAGE, "there is nothing to start: name a kernel or a firmware image");

    struct image kernel;
    int status = image_open(&load, &kernel, "kernel", files->kernel);
    if (status) return status;
    status = load_kernel(&load, &kernel);
    image_close(&kernel);
    return status;
}
