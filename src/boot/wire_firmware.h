/*
 * What the machine does for its firmware, SeaBIOS above all: the firmware configuration device and the items
 * in it (boot order, memory map, ACPI and SMBIOS tables with the script that places them, option ROMs), the
 * boot order in CMOS, and the port that SeaBIOS writes its log to.
 *
 * SeaBIOS and its VGA BIOS are files of Debian's package seabios. They are looked for in the directory of the
 * option -L, or where distributions put them.
 */
#ifndef RINGER_BOOT_WIRE_FIRMWARE_H
#define RINGER_BOOT_WIRE_FIRMWARE_H

#include "devices/chipset/debug_ports.h"
#include "devices/chipset/fw_cfg.h"
#include "ui/chardev.h"

struct vm;
struct kernel_rom;

#define FIRMWARE_PATH_BYTES 4096

struct firmware {
    struct vm *vm; /* NULL: not initialized */
    struct fw_cfg config;
    struct debug_console log;
    struct chardev log_back_end;
    char image[FIRMWARE_PATH_BYTES]; /* the default firmware */
    struct kernel_rom *kernel;       /* that firmware starts; NULL: none */
    bool started;                    /* since power-on */
};

/* Does the machine start with firmware, and not directly with a kernel? */
bool firmware_runs(const struct firmware *firmware);

/* After all devices are there. False with one sentence in error. */
bool firmware_init(struct firmware *firmware, struct vm *vm, char *error, size_t error_bytes);
void firmware_destroy(struct firmware *firmware);
/* At every start of the machine, the first too. */
void firmware_reset(struct firmware *firmware);
void firmware_flush_output(struct firmware *firmware);

/* Find a file of the firmware's package. False: it is nowhere; path then is where it should be. */
bool firmware_find(const char *directory, const char *name, char path[FIRMWARE_PATH_BYTES]);

#endif
