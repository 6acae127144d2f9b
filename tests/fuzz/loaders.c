/*
 * Hostile kernels, initial file systems and firmware images. Input: two bytes that choose the kind, then the file.
 */
#include "boot/kernel_rom.h"
#include "boot/loader.h"
#include "cpu/cpuid.h"
#include "cpu/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_BYTES (16u << 20)

static struct rig *machine_new(void)
{
    struct rig *rig = rig_open(RAM_BYTES);
    if (!rig) abort();
    rig->vcpu.model = cpu_model_find("max64");
    return rig;
}

static int file_of(const u8 *data, size_t bytes, char *path, size_t path_bytes)
{
    int fd = memfd_create("fuzzed", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes) abort();
    snprintf(path, path_bytes, "/proc/self/fd/%d", fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    char path[64], error[512];
    if (bytes < 2 || bytes > (4u << 20)) return 0;
    unsigned choice = data[0];
    /* A firmware image stays mapped until the process ends, so few runs load one. */
    bool firmware = (choice & 0x3f) == 0x3f;
    int fd = file_of(data + 2, bytes - 2, path, sizeof(path));
    struct boot_files files = {.kernel = firmware ? NULL : path,
                               .firmware = firmware ? path : NULL,
                               .initrd = !firmware && (choice & 0x40) ? path : NULL,
                               .append = !firmware && (choice & 0x80) ? "quiet console=ttyS0" : NULL,
                               .guest_unpacks = data[1] & 1};
    /* A machine costs more than a run, so all kernels share one. The contents of its memory must not matter. */
    static struct rig *shared;
    if (!shared) shared = machine_new();
    struct rig *m = firmware ? machine_new() : shared;
    vcpu_reset(&m->vcpu);
    error[0] = 0;
    int status = loader_load(&m->vcpu, &files, (struct boot_screen){0}, error, sizeof(error));
    if (status && (!error[0] || strchr(error, '\n'))) abort(); /* one sentence */
    struct kernel_rom *rom;
    files.way = BOOT_WAY_FIRMWARE;
    error[0] = 0;
    status = loader_make_rom(&m->phys, m->vcpu.model, &files, &rom, error, sizeof(error));
    if (status && (!error[0] || strchr(error, '\n'))) abort();
    kernel_rom_free(rom);
    if (firmware) rig_close(m);
    close(fd);
    return 0;
}
