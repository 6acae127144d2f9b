/*
 * The ACPI tables. See acpi_tables.h; the DSDT and the SSDTs are in the folder acpi.
 */
#include "acpi_tables.h"

#include "board/wire_apic.h"
#include "devices/chipset/hpet.h"
#include "devices/chipset/piix4_pm.h"
#include "load_common.h"

#include <assert.h>
#include <string.h>

#include "dsdt.hex"
#include "floppy.hex"
#include "hotplug.hex"
#include "hpet.hex"
#include "parallel.hex"
#include "serial1.hex"
#include "serial2.hex"
#include "serial3.hex"
#include "serial4.hex"
#include "suspend.hex"

/* The same in all tables. The ASL files have them too. */
#define OEM_ID       "RINGER"
#define OEM_TABLE_ID "RINGERPC"

enum {
    /* description header, 5.2.6 */
    HEADER_LENGTH = 4,
    HEADER_REVISION = 8,
    HEADER_CHECKSUM = 9,
    HEADER_OEM_ID = 10,
    HEADER_OEM_TABLE_ID = 16,
    HEADER_OEM_REVISION = 24,
    HEADER_CREATOR_ID = 28,
    HEADER_CREATOR_REVISION = 32,
    HEADER_BYTES = 36,
    /* RSDP, 5.2.5.3 */
    RSDP_CHECKSUM = 8,
    RSDP_OEM_ID = 9,
    RSDP_RSDT = 16,
    RSDP_BYTES = 20,
    /* FACS, 5.2.9 */
    FACS_LENGTH = 4,
    FACS_WAKING_VECTOR = 12,
    FACS_BYTES = 64,
    /* FADT, 5.2.8 */
    FADT_FACS = 36,
    FADT_DSDT = 40,
    FADT_PROFILE = 45,
    FADT_SCI_INT = 46,
    FADT_SMI_CMD = 48,
    FADT_ACPI_ENABLE = 52,
    FADT_ACPI_DISABLE = 53,
    FADT_PM1A_EVENT = 56,
    FADT_PM1A_CONTROL = 64,
    FADT_PM_TIMER = 76,
    FADT_GPE0 = 80,
    FADT_PM1_EVENT_BYTES = 88,
    FADT_PM1_CONTROL_BYTES = 89,
    FADT_PM_TIMER_BYTES = 91,
    FADT_GPE0_BYTES = 92,
    FADT_C2_LATENCY = 96,
    FADT_C3_LATENCY = 98,
    FADT_CENTURY = 108,
    FADT_BOOT_ARCHITECTURE = 109,
    FADT_FLAGS = 112,
    FADT_RESET_REGISTER = 116,
    FADT_RESET_VALUE = 128,
    FADT_X_FACS = 132,
    FADT_X_DSDT = 140,
    FADT_X_PM1A_EVENT = 148,
    FADT_X_PM1A_CONTROL = 172,
    FADT_X_PM_TIMER = 208,
    FADT_X_GPE0 = 220,
    FADT_BYTES = 244,
    FADT_REVISION = 3,
    /* MADT, 5.2.10 */
    MADT_LOCAL_APIC = 36,
    MADT_FLAGS = 40,
    MADT_ENTRIES = 44,
    /* HPET, IA-PC HPET Specification 1.0a, 3.2.4 */
    HPET_BLOCK_ID = 36,
    HPET_ADDRESS = 40,
    HPET_MINIMUM_TICKS = 53,
    HPET_BYTES = 56,
};

enum fadt_flags {
    FADT_WBINVD = 1 << 0,
    FADT_PROC_C1 = 1 << 2,
    FADT_NO_SLEEP_BUTTON = 1 << 5,
    FADT_RESET_REGISTER_SUPPORTED = 1 << 10,
};
enum { ARCHITECTURE_LEGACY_DEVICES = 1, ARCHITECTURE_8042 = 2 };
enum { MADT_PCAT_COMPATIBLE = 1 };
enum { MADT_TYPE_LOCAL_APIC, MADT_TYPE_IO_APIC, MADT_TYPE_OVERRIDE, MADT_TYPE_LOCAL_NMI = 4 };
enum { ACTIVE_HIGH = 1, LEVEL = 3 << 2 };

#define PROFILE_DESKTOP 1
#define SMI_COMMAND     0xb2
#define NO_C2           0xfff
#define NO_C3           0xfff
#define CENTURY         0x32 /* in CMOS */
#define RESET_PORT      0xcf9
#define RESET_HARD      0x06
#define PIT_IRQ         0
#define FACS_ALIGN      64
#define TABLE_ALIGN     16

/* --- one table --- */

/* Add a table with a complete body: fills in the header and the checksum. */
static u32 add_table(struct acpi_tables *acpi, u8 *table, const char *signature, u8 revision, u32 bytes)
{
    memcpy(table, signature, 4);
    put32(table + HEADER_LENGTH, bytes);
    table[HEADER_REVISION] = revision;
    memcpy(table + HEADER_OEM_ID, OEM_ID, 6);
    memcpy(table + HEADER_OEM_TABLE_ID, OEM_TABLE_ID, 8);
    put32(table + HEADER_OEM_REVISION, 1);
    memcpy(table + HEADER_CREATOR_ID, "RING", 4);
    put32(table + HEADER_CREATOR_REVISION, 1);
    u32 at = table_image_add(&acpi->tables, table, bytes, TABLE_ALIGN);
    table_image_sum(&acpi->tables, at, bytes, at + HEADER_CHECKSUM);
    return at;
}

/* Add a table that iasl made. It has its checksum already. */
static u32 add_code(struct acpi_tables *acpi, const u8 *code, u32 bytes)
{
    return table_image_add(&acpi->tables, code, bytes, TABLE_ALIGN);
}

static u32 add_facs(struct acpi_tables *acpi)
{
    u8 facs[FACS_BYTES] = "FACS";
    put32(facs + FACS_LENGTH, FACS_BYTES);
    u32 at = table_image_add(&acpi->tables, facs, sizeof facs, FACS_ALIGN);
    acpi->waking_vector = at + FACS_WAKING_VECTOR;
    return at;
}

/* Generic address structure (5.2.3.1) of a port. */
static void put_register(u8 *at, u16 port, unsigned bytes)
{
    at[0] = 1;
    at[1] = (u8)(bytes * 8);
    put64(at + 4, port);
}

static void put_block(u8 *fadt, u32 port_at, u32 bytes_at, u32 register_at, u16 port, u8 bytes)
{
    put32(fadt + port_at, port);
    fadt[bytes_at] = bytes;
    put_register(fadt + register_at, port, bytes);
}

static u32 add_fadt(struct acpi_tables *acpi, u16 pm_base, u32 facs, u32 dsdt)
{
    u8 fadt[FADT_BYTES] = {0};
    fadt[FADT_PROFILE] = PROFILE_DESKTOP;
    put16(fadt + FADT_SCI_INT, SCI_IRQ);
    put32(fadt + FADT_SMI_CMD, SMI_COMMAND);
    fadt[FADT_ACPI_ENABLE] = PIIX4_ACPI_ENABLE;
    fadt[FADT_ACPI_DISABLE] = PIIX4_ACPI_DISABLE;
    put_block(fadt, FADT_PM1A_EVENT, FADT_PM1_EVENT_BYTES, FADT_X_PM1A_EVENT, pm_base, 4);
    put_block(fadt, FADT_PM1A_CONTROL, FADT_PM1_CONTROL_BYTES, FADT_X_PM1A_CONTROL, pm_base + 4, 2);
    put_block(fadt, FADT_PM_TIMER, FADT_PM_TIMER_BYTES, FADT_X_PM_TIMER, pm_base + 8, 4);
    put_block(fadt, FADT_GPE0, FADT_GPE0_BYTES, FADT_X_GPE0, pm_base + 12, 4);
    put16(fadt + FADT_C2_LATENCY, NO_C2);
    put16(fadt + FADT_C3_LATENCY, NO_C3);
    fadt[FADT_CENTURY] = CENTURY;
    put16(fadt + FADT_BOOT_ARCHITECTURE, ARCHITECTURE_LEGACY_DEVICES | ARCHITECTURE_8042);
    put32(fadt + FADT_FLAGS,
          FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_RESET_REGISTER_SUPPORTED);
    put_register(fadt + FADT_RESET_REGISTER, RESET_PORT, 1);
    fadt[FADT_RESET_VALUE] = RESET_HARD;
    u32 at = add_table(acpi, fadt, "FACP", FADT_REVISION, sizeof fadt);
    table_image_point(&acpi->tables, at + FADT_FACS, 4, &acpi->tables, facs);
    table_image_point(&acpi->tables, at + FADT_X_FACS, 8, &acpi->tables, facs);
    table_image_point(&acpi->tables, at + FADT_DSDT, 4, &acpi->tables, dsdt);
    table_image_point(&acpi->tables, at + FADT_X_DSDT, 8, &acpi->tables, dsdt);
    return at;
}

/* --- interrupt controllers --- */

static u8 *put_override(u8 *at, u8 irq, u32 input, u16 flags)
{
    at[0] = MADT_TYPE_OVERRIDE;
    at[1] = 10;
    at[2] = 0; /* ISA */
    at[3] = irq;
    put32(at + 4, input);
    put16(at + 8, flags);
    return at + 10;
}

static u32 add_madt(struct acpi_tables *acpi)
{
    static const u8 local_apic[] = {MADT_TYPE_LOCAL_APIC, 8, 0, 0, 1, 0, 0, 0}; /* CPU 0, ID 0, enabled */
    static const u8 local_nmi[] = {MADT_TYPE_LOCAL_NMI, 6, 0xff, 0, 0, 1};      /* LINT1 of all CPUs */
    u8 madt[256] = {0}, *at = madt + MADT_ENTRIES;
    put32(madt + MADT_LOCAL_APIC, LAPIC_BASE);
    put32(madt + MADT_FLAGS, MADT_PCAT_COMPATIBLE);
    memcpy(at, local_apic, sizeof local_apic);
    at += sizeof local_apic;
    at[0] = MADT_TYPE_IO_APIC;
    at[1] = 12;
    put32(at + 4, IOAPIC_BASE);
    at += 12;
    at = put_override(at, PIT_IRQ, IOAPIC_PIN_IRQ0, 0);
    at = put_override(at, SCI_IRQ, SCI_IRQ, ACTIVE_HIGH | LEVEL);
    memcpy(at, local_nmi, sizeof local_nmi);
    at += sizeof local_nmi;
    return add_table(acpi, madt, "APIC", 1, (u32)(at - madt));
}

/* The HPET's address is a generic address structure of memory. Drivers keep to periods of at least
 * HPET_PERIOD_TICKS. */
static u32 add_hpet(struct acpi_tables *acpi)
{
    enum { HPET_PERIOD_TICKS = 10000 };
    u8 hpet[HPET_BYTES] = {0};
    put32(hpet + HPET_BLOCK_ID, HPET_ID);
    put64(hpet + HPET_ADDRESS + 4, HPET_BASE);
    put16(hpet + HPET_MINIMUM_TICKS, HPET_PERIOD_TICKS);
    return add_table(acpi, hpet, "HPET", 1, sizeof hpet);
}

/* Name (\PCIB, pci_memory): 20.2.5.1. */
static u32 add_facts(struct acpi_tables *acpi, const struct acpi_machine *machine)
{
    static const u8 name[] = {0x08, 'P', 'C', 'I', 'B', 0x0c};
    u8 ssdt[HEADER_BYTES + sizeof name + 4] = {0};
    memcpy(ssdt + HEADER_BYTES, name, sizeof name);
    put32(ssdt + HEADER_BYTES + sizeof name, machine->pci_memory);
    return add_table(acpi, ssdt, "SSDT", 1, sizeof ssdt);
}

/* --- all of them --- */

struct table_list {
    u32 at[9 + SERIAL_PORTS];
    unsigned count;
};

static void list_serial(struct acpi_tables *acpi, const struct acpi_machine *machine, struct table_list *list)
{
    static const struct {
        const u8 *code;
        u32 bytes;
    } serial[SERIAL_PORTS] = {
        {serial1_aml_code, sizeof serial1_aml_code},
        {serial2_aml_code, sizeof serial2_aml_code},
        {serial3_aml_code, sizeof serial3_aml_code},
        {serial4_aml_code, sizeof serial4_aml_code},
    };
    for (unsigned n = 0; n < SERIAL_PORTS; n++)
        if (machine->facts.serial[n])
            list->at[list->count++] = add_code(acpi, serial[n].code, serial[n].bytes);
}

static u32 add_rsdt(struct acpi_tables *acpi, const struct table_list *list)
{
    u8 rsdt[HEADER_BYTES + ARRAY_SIZE(list->at) * 4] = {0};
    u32 at = add_table(acpi, rsdt, "RSDT", 1, HEADER_BYTES + list->count * 4);
    for (unsigned n = 0; n < list->count; n++)
        table_image_point(&acpi->tables, at + HEADER_BYTES + n * 4, 4, &acpi->tables, list->at[n]);
    return at;
}

static void add_rsdp(struct acpi_tables *acpi, u32 rsdt)
{
    u8 rsdp[RSDP_BYTES] = "RSD PTR ";
    memcpy(rsdp + RSDP_OEM_ID, OEM_ID, 6);
    table_image_add(&acpi->rsdp, rsdp, sizeof rsdp, 1);
    table_image_point(&acpi->rsdp, RSDP_RSDT, 4, &acpi->tables, rsdt);
    table_image_sum(&acpi->rsdp, 0, RSDP_BYTES, RSDP_CHECKSUM);
}

void acpi_tables_build(struct acpi_tables *acpi, const struct acpi_machine *machine)
{
    struct table_list list = {.count = 0};
    u32 facs = add_facs(acpi);
    u32 dsdt = add_code(acpi, dsdt_aml_code, sizeof dsdt_aml_code);
    list.at[list.count++] = add_fadt(acpi, machine->pm_base, facs, dsdt);
    list.at[list.count++] = add_facts(acpi, machine);
    list.at[list.count++] = add_code(acpi, hotplug_aml_code, sizeof hotplug_aml_code);
    if (machine->facts.suspend)
        list.at[list.count++] = add_code(acpi, suspend_aml_code, sizeof suspend_aml_code);
    list_serial(acpi, machine, &list);
    if (machine->facts.parallel)
        list.at[list.count++] = add_code(acpi, parallel_aml_code, sizeof parallel_aml_code);
    if (machine->facts.floppy)
        list.at[list.count++] = add_code(acpi, floppy_aml_code, sizeof floppy_aml_code);
    if (machine->facts.apic) list.at[list.count++] = add_madt(acpi);
    if (machine->facts.hpet) {
        list.at[list.count++] = add_hpet(acpi);
        list.at[list.count++] = add_code(acpi, hpet_aml_code, sizeof hpet_aml_code);
    }
    add_rsdp(acpi, add_rsdt(acpi, &list));
}
