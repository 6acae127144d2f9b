/*
 * The multiprocessor table (Intel MultiProcessor Specification 1.4, chapter 4), by which systems without ACPI
 * find the APICs: one processor, one I/O APIC, and which interrupt reaches which of its inputs. For kernels
 * that are started without firmware; SeaBIOS makes its own.
 */
#ifndef RINGER_BOOT_MP_TABLE_H
#define RINGER_BOOT_MP_TABLE_H

#include "table_image.h"

/* A PCI device's interrupt pin, and the input of the I/O APIC it is wired to. */
struct mp_pci_interrupt {
    u8 device, pin, input; /* pin: 0 INTA to 3 INTD */
};

struct mp_machine {
    u32 cpu_signature, cpu_features; /* CPUID leaf 1, EAX and EDX */
    const struct mp_pci_interrupt *pci;
    unsigned pci_count;
};

#define MP_TABLE_ALIGN 16
/* The floating pointer comes first. `image` empty before. */
void mp_table_build(struct table_image *image, const struct mp_machine *machine);

#endif
