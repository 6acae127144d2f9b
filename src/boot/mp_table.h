/*
 * The multiprocessor table (Intel MultiProcessor Specification 1.4, chapter 4). Systems without ACPI find the APICs by
 * it: one processor, one I/O APIC, and the interrupts at its inputs. It is for directly started kernels; SeaBIOS makes
 * its own.
 */
#ifndef RINGER_BOOT_MP_TABLE_H
#define RINGER_BOOT_MP_TABLE_H

#include "table_image.h"

/* The interrupt pin of a PCI device, and the input of the I/O APIC to which it is wired. */
struct mp_pci_interrupt {
    u8 device, pin, input; /* pin: 0 INTA to 3 INTD */
};

struct mp_machine {
    u32 cpu_signature, cpu_features; /* CPUID leaf 1, EAX and EDX */
    const struct mp_pci_interrupt *pci;
    unsigned pci_count;
};

#define MP_TABLE_ALIGN 16
/* On entry `image` is empty. The floating pointer comes first in it. */
void mp_table_build(struct table_image *image, const struct mp_machine *machine);

#endif
