/*
 * The kernel of -kernel for UEFI firmware: the items of the firmware configuration device by which QEMU passes a
 * bzImage, its initrd and its command line. OVMF makes files of them and starts the kernel as an EFI program (OvmfPkg,
 * QemuKernelLoaderFsDxe). The files are read when the firmware asks for them.
 */
#ifndef RINGER_BOOT_KERNEL_ITEMS_H
#define RINGER_BOOT_KERNEL_ITEMS_H

#include "kernel_rom.h"

struct boot_files;

struct kernel_items {
    struct rom_piece setup, kernel, initrd;
};

/* Returns 0, or an exit status with a sentence in load->error. Other kernels than a bzImage get no items. */
int kernel_items_install(struct load *load, struct kernel_items *items, struct fw_cfg *config);
void kernel_items_destroy(struct kernel_items *items);

#endif
