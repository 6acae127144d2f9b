/*
 * The name and parts of the machine, as programs like dmidecode show them: SMBIOS structures (SMBIOS Reference
 * Specification 2.8, chapter 7) and their entry point (5.2.1).
 */
#ifndef RINGER_BOOT_SMBIOS_TABLES_H
#define RINGER_BOOT_SMBIOS_TABLES_H

#include "options/options_firmware.h"
#include "table_image.h"

struct smbios_machine {
    u64 memory_bytes, low_memory_bytes;  /* all, and below 4 GB */
    const char *cpu;                     /* its name */
    u32 cpu_signature, cpu_features;     /* CPUID leaf 1, EAX and EDX */
    bool with_bios;                      /* type 0 too; not for firmware, which adds its own */
    const struct firmware_options *user; /* what the user changes */
};

struct smbios_tables {
    struct table_image anchor, tables;
};

/* On entry both images are empty. */
#define SMBIOS_ALIGN 16
void smbios_tables_build(struct smbios_tables *smbios, const struct smbios_machine *machine);

#endif
