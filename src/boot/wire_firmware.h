/*
 * What the machine provides for firmware, normally SeaBIOS: the firmware configuration device with its items (boot
 * order, memory map, ACPI and SMBIOS tables with the script for the table loader, option ROMs), and the boot order in
 * CMOS.
 */
#ifndef RINGER_BOOT_WIRE_FIRMWARE_H
#define RINGER_BOOT_WIRE_FIRMWARE_H

#include "acpi_tables.h"
#include "board/firmware_file.h"
#include "devices/chipset/fw_cfg.h"
#include "kernel_items.h"
#include "options/options_boot.h"

struct board;
struct cpu_model;
struct mc146818;
struct kernel_rom;

struct firmware_wiring {
    struct board *board;
    struct mc146818 *rtc;
    const struct cpu_model *cpu;
    const struct boot_files *files;
    const struct boot_plan *plan;
};

struct firmware {
    struct firmware_wiring wiring; /* board NULL: not initialized */
    struct fw_cfg config;
    char image[FIRMWARE_PATH_BYTES]; /* the default firmware */
    struct kernel_rom *kernel;       /* the kernel that firmware starts; NULL: none */
    struct kernel_items items;       /* the same for UEFI firmware */
    struct acpi_tables acpi;         /* as firmware last read them */
    bool started;                    /* the machine has started since power-on */
};

/* Does the machine start with firmware, and not directly with a kernel? */
bool firmware_runs(const struct firmware *firmware);

/* Call after all devices were made. False: one sentence is in `error`. */
bool firmware_init(struct firmware *firmware, const struct firmware_wiring *wiring, char *error,
                   size_t error_bytes);
void firmware_destroy(struct firmware *firmware);
/* Call at every start of the machine, the first one included. */
void firmware_reset(struct firmware *firmware);

#endif
