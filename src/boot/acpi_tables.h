/*
 * The ACPI tables (ACPI Specification 2.0c, chapter 5): the same for a kernel that is started without
 * firmware, and, through its table loader, for firmware.
 *
 *   RSDP -> RSDT -> FADT -> DSDT (what every machine has), FACS
 *                -> SSDTs: of facts, for each serial port, for the floppy controller, for the HPET
 *                -> MADT where there are APICs
 *                -> HPET where there is one
 *
 * What they say of interrupts is how wire_apic.h draws them.
 */
#ifndef RINGER_BOOT_ACPI_TABLES_H
#define RINGER_BOOT_ACPI_TABLES_H

#include "board/board.h"
#include "table_image.h"

#define ACPI_SMBUS_BASE 0x700 /* of its SMBus host */
#define ACPI_PM_BASE    0x600 /* of the PIIX4's power management ports: SeaBIOS puts them there too */

/* What there is. */
struct acpi_machine {
    struct board_facts facts;
    u32 pci_memory; /* where PCI's ranges below 4 GB begin */
};

struct acpi_tables {
    struct table_image rsdp, tables;
    u32 waking_vector; /* in tables: the FACS's, which the guest writes before S3 */
};

/* Both images empty before. The tables want to lie at a multiple of 64, the RSDP of 16 below 1 MB. */
#define ACPI_TABLES_ALIGN 64
#define ACPI_RSDP_ALIGN   16
void acpi_tables_build(struct acpi_tables *acpi, const struct acpi_machine *machine);

#endif
