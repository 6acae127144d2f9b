/*
 * The ACPI tables of a machine whose kernel is started without firmware (ACPI Specification 1.0b, chapter 5).
 * They lie in the BIOS area, which the memory map reserves and where an operating system looks for the RSDP:
 *
 *   F0000h   RSDP -> RSDT -> FADT -> DSDT (what every machine has), FACS
 *                         -> MADT, where there are APICs
 *                         -> an SSDT for each serial port
 */
#ifndef RINGER_VM_ACPI_TABLES_H
#define RINGER_VM_ACPI_TABLES_H

#include "mmu/phys.h"

#define ACPI_RSDP    0xf0000u
#define ACPI_PM_BASE 0x600 /* of the PIIX4's power management ports */

#define ACPI_SERIAL_PORTS 4

/* apics: the machine has APICs. */
void acpi_tables_put(struct phys *phys, const bool serial_fitted[ACPI_SERIAL_PORTS], bool apics);

#endif
