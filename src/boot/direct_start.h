/*
 * The direct start of a kernel. The machine is put into the state in which firmware would leave it: chips are set
 * up, PCI devices have their ranges and interrupts, and tables are where operating systems look for them:
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

/* Call after the reset of the chips. Returns the frame buffer that the command line (or NULL) asks for, if any. */
struct boot_screen direct_start(const struct direct_machine *machine, const char *command_line);

/* The machine wakes from S3: set up the chips again. Returns the guest's waking vector, a physical address for real
 * mode; 0: the guest has set none. */
u32 direct_wake(const struct direct_machine *machine, const char *command_line);

/* The facts of this machine for the tables. */
struct acpi_machine acpi_machine_of(const struct board *board);
struct smbios_machine smbios_machine_of(const struct board *board, const struct cpu_model *cpu);

#endif
