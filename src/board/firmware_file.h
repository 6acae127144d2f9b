/*
 * Files of firmware: SeaBIOS and its video BIOS (Debian's package seabios), the boot ROMs of network cards (ipxe-qemu).
 */
#ifndef RINGER_BOARD_FIRMWARE_FILE_H
#define RINGER_BOARD_FIRMWARE_FILE_H

#include "base/types.h"

#define FIRMWARE_PATH_BYTES 4096

/* Find a file in `directory`, or (NULL) in the directories of distributions. False: not found, and `path` is where it
 * should be. */
bool firmware_find(const char *directory, const char *name, char path[FIRMWARE_PATH_BYTES]);

/* Read a ROM into memory of a power of two bytes, to be freed, as pci_expansion_rom() takes it. The rest is ones. NULL
 * with one sentence in error. */
u8 *firmware_load_rom(const char *path, u32 *bytes, char *error, size_t error_bytes);

#endif
