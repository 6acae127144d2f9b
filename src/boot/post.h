/*
 * In the firmware's place: what a power-on self test leaves behind, for kernels that are started without one.
 * Chips are set up, and tables lie where operating systems look for them:
 *
 *   F0000h  RSDP | MP table's pointer and table | SMBIOS entry point and structures | ACPI tables
 */
#ifndef RINGER_BOOT_POST_H
#define RINGER_BOOT_POST_H

#include "acpi_tables.h"
#include "smbios_tables.h"

struct vm;

#define POST_RSDP 0xf0000u

/* After the chips' reset. */
void post(struct vm *vm);
/* The same for the chips alone, when the machine wakes from S3. Returns the physical address at which the
 * guest wants to go on in real mode, 0: nowhere. */
u32 post_wake(struct vm *vm);

/* What the tables tell of this machine; for firmware too. */
struct acpi_machine acpi_machine_of(const struct vm *vm);
struct smbios_machine smbios_machine_of(const struct vm *vm);

#endif
