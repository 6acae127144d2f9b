/*
 * The ACPI tables (ACPI Specification 2.0c, chapter 5). A directly started kernel and firmware get the same
 * tables; firmware gets them through its table loader.
 *
 *   RSDP -> RSDT -> FADT -> DSDT (what every machine has), FACS
 *                -> SSDTs: facts, PCI hot plug, suspend to RAM, each serial port, parallel port, floppy controller,
 *                   HPET
 *                -> MADT if there are APICs
 *                -> HPET if there is one
 *
 * They describe the interrupts that wire_apic.h draws.
 */
#ifndef RINGER_BOOT_ACPI_TABLES_H
#define RINGER_BOOT_ACPI_TABLES_H

#include "board/board.h"
#include "table_image.h"

#define ACPI_SMBUS_BASE 0x700 /* first port of the PIIX4's SMBus host */
/* First port of its power management, before firmware sets it: SeaBIOS uses the same. */
#define ACPI_PM_BASE 0x600

/* What the tables describe. */
struct acpi_machine {
    struct board_facts facts;
    u32 pci_memory; /* the start of PCI's ranges below 4 GB */
    u16 pm_base;    /* first port of the PIIX4's power management */
};

struct acpi_tables {
    struct table_image rsdp, tables;
    u32 waking_vector; /* offset in `tables` of the FACS's waking vector, which the guest writes before S3 */
};

/* On entry both images are empty. The tables must be aligned to 64, the RSDP to 16 and below 1 MB. */
#define ACPI_TABLES_ALIGN 64
#define ACPI_RSDP_ALIGN   16
void acpi_tables_build(struct acpi_tables *acpi, const struct acpi_machine *machine);

#endif
