/*
 * Loaders put a kernel or firmware into guest memory, and the vCPU into the state that the boot protocol defines. The
 * contents of a file decide its kind:
 *
 *   load_linux.c      bzImage, 32-bit and 64-bit boot protocol
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
    u16 width, height, bits; /* width 0: no frame buffer; the screen shows text */
    u32 memory_bytes;
};

struct kernel_rom;

/* Is the kernel one for 64-bit CPUs: a bzImage with a 64-bit entry, or an x86-64 ELF file? False if there is none, or
 * if it cannot be read. */
bool loader_kernel_is_64bit(const struct boot_files *files);

/* Make the option ROM by which firmware starts the kernel. *rom is NULL if the kernel is started directly; otherwise
 * free it with kernel_rom_free(). Returns the same as loader_load(). */
int loader_make_rom(struct phys *phys, const struct cpu_model *cpu, const struct boot_files *files,
                    struct kernel_rom **rom, char *error, size_t error_bytes);

/* Call after a reset of the vCPU, while nothing runs. Returns 0, or an exit status (enum exit_status) with one sentence
 * without a full stop in `error`. After another reset it can be called again: the files are read anew. A firmware
 * image stays mapped until the process ends. */
int loader_load(struct vcpu *v, const struct boot_files *files, struct boot_screen screen, char *error,
                size_t error_bytes);

#endif
