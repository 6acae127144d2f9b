/*
 * Loaders put a kernel or firmware into guest memory, and the vCPU into the state that its boot protocol
 * promises. The contents of a file say what it is:
 *
 *   load_linux.c      bzImage, 32-bit boot protocol
 *   load_linux16.c    bzImage or zImage, 16-bit boot protocol: by firmware
 *   load_multiboot.c  Multiboot 1, ELF (load_elf.c) or with addresses in its header: by firmware or directly
 *   load_pvh.c        ELF with a PVH entry note
 *   load_firmware.c   raw firmware image, started at the reset vector
 *
 * Nothing in a file is trusted: every offset, length and address is checked before it is used.
 */
#ifndef RINGER_BOOT_LOADER_H
#define RINGER_BOOT_LOADER_H

#include "cpu/vcpu.h"
#include "options/options_boot.h"

/* A linear frame buffer that the screen shows when the kernel starts. */
struct boot_screen {
    u32 base;
    u16 width, height, bits; /* width 0: there is none, but text */
    u32 memory_bytes;
};

struct kernel_rom;

/* The option ROM by which firmware starts the kernel, or in *rom NULL where it is started directly. To be freed by
 * kernel_rom_free(). Returns as loader_load(). */
int loader_make_rom(struct phys *phys, const struct cpu_model *cpu, const struct boot_files *files,
                    struct kernel_rom **rom, char *error, size_t error_bytes);

/* The vCPU has just been reset, and nothing runs. Returns 0, or the status the program should exit with (enum
 * exit_status) and one sentence without a full stop in `error`. May be called again after a reset: the files
 * are read anew. A firmware image stays mapped as long as v->phys uses it, that is to the end of the process. */
int loader_load(struct vcpu *v, const struct boot_files *files, struct boot_screen screen, char *error,
                size_t error_bytes);

#endif
