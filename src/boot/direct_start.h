/*
 * The direct start of a kernel: what firmware would have left behind. Chips are set up, PCI devices have
 * their ranges and interrupts, and tables lie where operating systems look for them:
 *
 *   F0000h  RSDP | MP table's pointer and table | SMBIOS entry point and structures | ACPI tables
 */
#ifndef RINGER_BOOT_DIRECT_START_H
#define RINGER_BOOT_DIRECT_START_H

#include "acpi_tables.h"
#include "loader.h"
#include "smbios_tables.h"

struct apic_wires;
struct board;
struct cpu_model;
struct video;

#define DIRECT_RSDP 0xf0000u

struct direct_machine {
    struct board *board;
    struct apic_wires *apic;
    struct video *video;
    const struct cpu_model *cpu;
};

/* After the chips' reset. Returns the frame buffer that the command line (or NULL) asks for, if there is one.
 */
struct boot_screen direct_start(const struct direct_machine *machine, const char *command_line);

/* The machine wakes from S3: set up the chips again. Returns the physical address at which the guest wants to go on in
 * real mode, 0: nowhere. */
u32 direct_wake(const struct direct_machine *machine, const char *command_line);

/* What the tables tell of this machine; for firmware too. */
struct acpi_machine acpi_machine_of(const struct board *board);
struct smbios_machine smbios_machine_of(const struct board *board, const struct cpu_model *cpu);

#endif
