#include "mp_table.h"

#include "acpi_tables.h"
#include "board/wire_apic.h"
#include "load_common.h"

#include <assert.h>
#include <string.h>

enum {
    POINTER_TABLE = 4,
    POINTER_LENGTH = 8, /* in 16 bytes */
    POINTER_REVISION = 9,
    POINTER_SUM = 10,
    POINTER_BYTES = 16,
    /* configuration table header */
    TABLE_LENGTH = 4,
    TABLE_REVISION = 6,
    TABLE_SUM = 7,
    TABLE_OEM_ID = 8,
    TABLE_PRODUCT_ID = 16,
    TABLE_ENTRIES = 34,
    TABLE_LOCAL_APIC = 36,
    TABLE_HEADER_BYTES = 44,
};
enum { ENTRY_PROCESSOR, ENTRY_BUS, ENTRY_IO_APIC, ENTRY_INTERRUPT, ENTRY_LOCAL_INTERRUPT };
enum { KIND_INT = 0, KIND_NMI = 1, KIND_EXTINT = 3 };
enum { AS_THE_BUS_HAS_IT = 0, ACTIVE_HIGH_LEVEL = 1 | 3 << 2 };
enum { BUS_PCI = 0, BUS_ISA = 1 };

#define SPECIFICATION_1_4 4
#define ISA_IRQS          16
#define CASCADE_IRQ       2
#define IO_APIC_ID        0
#define ALL_LOCAL_APICS   0xff
#define TABLE_MAX         2048

struct table {
    u8 bytes[TABLE_MAX];
    u32 used;
    unsigned entries;
};

static u8 *entry(struct table *t, u8 type, u32 bytes)
{
    assert(t->used + bytes <= TABLE_MAX);
    u8 *at = t->bytes + t->used;
    at[0] = type;
    t->used += bytes;
    t->entries++;
    return at;
}

static void add_bus(struct table *t, u8 id, const char *name)
{
    u8 *at = entry(t, ENTRY_BUS, 8);
    at[1] = id;
    memcpy(at + 2, name, 6);
}

static void add_interrupt(struct table *t, u8 type, u8 kind, u16 flags, u8 bus, u8 source, u8 apic, u8 input)
{
    u8 *at = entry(t, type, 8);
    at[1] = kind;
    put16(at + 2, flags);
    at[4] = bus;
    at[5] = source;
    at[6] = apic;
    at[7] = input;
}

static void add_parts(struct table *t, const struct mp_machine *machine)
{
    u8 *at = entry(t, ENTRY_PROCESSOR, 20);
    at[2] = 0x14; /* version of the local APIC */
    at[3] = 3;    /* enabled; the bootstrap processor */
    put32(at + 4, machine->cpu_signature);
    put32(at + 8, machine->cpu_features);
    add_bus(t, BUS_PCI, "PCI   ");
    add_bus(t, BUS_ISA, "ISA   ");
    at = entry(t, ENTRY_IO_APIC, 8);
    at[1] = IO_APIC_ID;
    at[2] = 0x11;
    at[3] = 1; /* usable */
    put32(at + 4, IOAPIC_BASE);
}

static void add_interrupts(struct table *t, const struct mp_machine *machine)
{
    for (unsigned n = 0; n < machine->pci_count; n++) {
        const struct mp_pci_interrupt *pci = &machine->pci[n];
        add_interrupt(t, ENTRY_INTERRUPT, KIND_INT, AS_THE_BUS_HAS_IT, BUS_PCI,
                      (u8)(pci->device << 2 | pci->pin), IO_APIC_ID, pci->input);
    }
    for (u8 irq = 0; irq < ISA_IRQS; irq++)
        if (irq != CASCADE_IRQ)
            add_interrupt(t, ENTRY_INTERRUPT, KIND_INT,
                          irq == SCI_IRQ ? ACTIVE_HIGH_LEVEL : AS_THE_BUS_HAS_IT, BUS_ISA, irq, IO_APIC_ID,
                          irq ? irq : IOAPIC_PIN_IRQ0);
    add_interrupt(t, ENTRY_LOCAL_INTERRUPT, KIND_EXTINT, AS_THE_BUS_HAS_IT, BUS_ISA, 0, 0, 0);
    add_interrupt(t, ENTRY_LOCAL_INTERRUPT, KIND_NMI, AS_THE_BUS_HAS_IT, BUS_ISA, 0, ALL_LOCAL_APICS, 1);
}

void mp_table_build(struct table_image *image, const struct mp_machine *machine)
{
    struct table t = {.used = TABLE_HEADER_BYTES};
    add_parts(&t, machine);
    add_interrupts(&t, machine);
    memcpy(t.bytes, "PCMP", 4);
    put16(t.bytes + TABLE_LENGTH, (u16)t.used);
    t.bytes[TABLE_REVISION] = SPECIFICATION_1_4;
    memcpy(t.bytes + TABLE_OEM_ID, "RINGER  ", 8);
    memcpy(t.bytes + TABLE_PRODUCT_ID, "PC          ", 12);
    put16(t.bytes + TABLE_ENTRIES, (u16)t.entries);
    put32(t.bytes + TABLE_LOCAL_APIC, LAPIC_BASE);

    u8 pointer[POINTER_BYTES] = "_MP_";
    pointer[POINTER_LENGTH] = POINTER_BYTES / 16;
    pointer[POINTER_REVISION] = SPECIFICATION_1_4;
    u32 floating = table_image_add(image, pointer, sizeof pointer, MP_TABLE_ALIGN);
    u32 table = table_image_add(image, t.bytes, t.used, MP_TABLE_ALIGN);
    table_image_point(image, floating + POINTER_TABLE, 4, image, table);
    table_image_sum(image, floating, POINTER_BYTES, floating + POINTER_SUM);
    table_image_sum(image, table, t.used, table + TABLE_SUM);
}
