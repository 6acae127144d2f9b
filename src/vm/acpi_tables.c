/*
 * The ACPI tables. See acpi_tables.h; the DSDT and the SSDTs are acpi/dsdt.asl and acpi/serial.asl.in.
 */
#include "acpi_tables.h"

#include "devices/piix4_pm.h"
#include "load_common.h"
#include "wire_apic.h"

#include <assert.h>
#include <string.h>

#include "dsdt.hex"
#include "serial1.hex"
#include "serial2.hex"
#include "serial3.hex"
#include "serial4.hex"

#define AREA_END ONE_MB

/* The same everywhere; serial.asl.in and dsdt.asl have it too. */
#define OEM_ID       "RINGER"
#define OEM_TABLE_ID "RINGERPC"

enum {
    /* description header, 5.2.3 */
    HEADER_LENGTH = 4,
    HEADER_REVISION = 8,
    HEADER_CHECKSUM = 9,
    HEADER_OEM_ID = 10,
    HEADER_OEM_TABLE_ID = 16,
    HEADER_OEM_REVISION = 24,
    HEADER_CREATOR_ID = 28,
    HEADER_CREATOR_REVISION = 32,
    HEADER_BYTES = 36,
    /* RSDP, 5.2.1 */
    RSDP_CHECKSUM = 8,
    RSDP_OEM_ID = 9,
    RSDP_RSDT = 16,
    RSDP_BYTES = 20,
    /* FACS, 5.2.6 */
    FACS_LENGTH = 4,
    FACS_BYTES = 64,
    /* FADT, 5.2.5 */
    FADT_FACS = 36,
    FADT_DSDT = 40,
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
    FADT_FLAGS = 112,
    FADT_BYTES = 116,
    /* MADT, 5.2.8: 1.0b calls it "Multiple APIC Description Table" */
    MADT_LOCAL_APIC = 36,
    MADT_FLAGS = 40,
    MADT_BYTES = 44,
    MADT_MAX_BYTES = 128,
};

/* The 8259 pair is there too. */
#define MADT_PCAT_COMPATIBLE 1

enum fadt_flags {
    FADT_WBINVD = 1 << 0,
    FADT_PROC_C1 = 1 << 2,
    FADT_NO_SLEEP_BUTTON = 1 << 5,
};

#define SCI_IRQ         9
#define SMI_COMMAND     0xb2
#define NO_C2           0xfff
#define NO_C3           0xfff
#define CENTURY         0x32 /* in CMOS */
#define FACS_ALIGNMENT  64
#define TABLE_ALIGNMENT 16

/* Flags of a MADT override. */
enum { ACTIVE_HIGH = 1, LEVEL = 3 << 2 };

static const struct {
    const u8 *code;
    u32 bytes;
} serial_tables[ACPI_SERIAL_PORTS] = {
    {serial1_aml_code, sizeof serial1_aml_code},
    {serial2_aml_code, sizeof serial2_aml_code},
    {serial3_aml_code, sizeof serial3_aml_code},
    {serial4_aml_code, sizeof serial4_aml_code},
};

struct area {
    struct phys *phys;
    u32 at;
};

static u32 put(struct area *area, const void *table, u32 bytes, u32 align)
{
    u32 gpa = (u32)align_up(area->at, align);
    assert(gpa + bytes <= AREA_END);
    phys_write_bytes(area->phys, gpa, table, bytes);
    area->at = gpa + bytes;
    return gpa;
}

static void make_sum_zero(u8 *table, u32 bytes, u32 checksum_at)
{
    u8 sum = 0;
    for (u32 n = 0; n < bytes; n++)
        sum += table[n];
    table[checksum_at] -= sum;
}

/* A table whose body is written. */
static u32 put_table(struct area *area, u8 *table, const char *signature, u8 revision, u32 bytes)
{
    memcpy(table, signature, 4);
    put32(table + HEADER_LENGTH, bytes);
    table[HEADER_REVISION] = revision;
    memcpy(table + HEADER_OEM_ID, OEM_ID, 6);
    memcpy(table + HEADER_OEM_TABLE_ID, OEM_TABLE_ID, 8);
    put32(table + HEADER_OEM_REVISION, 1);
    memcpy(table + HEADER_CREATOR_ID, "RING", 4);
    put32(table + HEADER_CREATOR_REVISION, 1);
    make_sum_zero(table, bytes, HEADER_CHECKSUM);
    return put(area, table, bytes, TABLE_ALIGNMENT);
}

static u32 put_facs(struct area *area)
{
    u8 facs[FACS_BYTES] = "FACS";
    put32(facs + FACS_LENGTH, FACS_BYTES);
    return put(area, facs, sizeof facs, FACS_ALIGNMENT);
}

static void put_block(u8 *fadt, u32 port_at, u32 bytes_at, u16 port, u8 bytes)
{
    put32(fadt + port_at, port);
    fadt[bytes_at] = bytes;
}

static u32 put_fadt(struct area *area, u32 facs, u32 dsdt)
{
    u8 fadt[FADT_BYTES] = {0};
    put32(fadt + FADT_FACS, facs);
    put32(fadt + FADT_DSDT, dsdt);
    put16(fadt + FADT_SCI_INT, SCI_IRQ);
    put32(fadt + FADT_SMI_CMD, SMI_COMMAND);
    fadt[FADT_ACPI_ENABLE] = PIIX4_ACPI_ENABLE;
    fadt[FADT_ACPI_DISABLE] = PIIX4_ACPI_DISABLE;
    put_block(fadt, FADT_PM1A_EVENT, FADT_PM1_EVENT_BYTES, ACPI_PM_BASE, 4);
    put_block(fadt, FADT_PM1A_CONTROL, FADT_PM1_CONTROL_BYTES, ACPI_PM_BASE + 4, 2);
    put_block(fadt, FADT_PM_TIMER, FADT_PM_TIMER_BYTES, ACPI_PM_BASE + 8, 4);
    put_block(fadt, FADT_GPE0, FADT_GPE0_BYTES, ACPI_PM_BASE + 12, 4);
    put16(fadt + FADT_C2_LATENCY, NO_C2);
    put16(fadt + FADT_C3_LATENCY, NO_C3);
    fadt[FADT_CENTURY] = CENTURY;
    put32(fadt + FADT_FLAGS, FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON);
    return put_table(area, fadt, "FACP", 1, sizeof fadt);
}

/* One local APIC, one I/O APIC whose inputs are global system interrupts 0 to 23. Where an ISA interrupt is
 * not on the input of its number, or not edge-triggered and active high, an override says so; the last row is
 * LINT1's NMI, on all processors. (5.2.8.1-5.2.8.6) */
static u32 put_madt(struct area *area)
{
    static const u8 rows[] = {
        0,
        8,
        0,
        0,
        1,
        0,
        0,
        0, /* processor 0, APIC ID 0, enabled */
        1,
        12,
        0,
        0,
        0,
        0,
        IOAPIC_BASE >> 16 & 0xff,
        IOAPIC_BASE >> 24,
        0,
        0,
        0,
        0,
        2,
        10,
        0,
        0,
        IOAPIC_PIN_IRQ0,
        0,
        0,
        0,
        0,
        0, /* as the bus has it */
        2,
        10,
        0,
        SCI_IRQ,
        SCI_IRQ,
        0,
        0,
        0,
        ACTIVE_HIGH | LEVEL,
        0,
        4,
        6,
        0xff,
        0,
        0,
        1,
    };
    u8 madt[MADT_MAX_BYTES] = {0};
    put32(madt + MADT_LOCAL_APIC, LAPIC_BASE);
    put32(madt + MADT_FLAGS, MADT_PCAT_COMPATIBLE);
    memcpy(madt + MADT_BYTES, rows, sizeof rows);
    return put_table(area, madt, "APIC", 1, MADT_BYTES + sizeof rows);
}

static void put_rsdp(struct phys *phys, u32 rsdt)
{
    u8 rsdp[RSDP_BYTES] = "RSD PTR ";
    memcpy(rsdp + RSDP_OEM_ID, OEM_ID, 6);
    put32(rsdp + RSDP_RSDT, rsdt);
    make_sum_zero(rsdp, sizeof rsdp, RSDP_CHECKSUM);
    phys_write_bytes(phys, ACPI_RSDP, rsdp, sizeof rsdp);
}

void acpi_tables_put(struct phys *phys, const bool serial_fitted[ACPI_SERIAL_PORTS], bool apics)
{
    struct area area = {.phys = phys, .at = ACPI_RSDP + RSDP_BYTES};
    u8 rsdt[HEADER_BYTES + (2 + ACPI_SERIAL_PORTS) * 4] = {0};
    u32 bytes = HEADER_BYTES;
    u32 facs = put_facs(&area);
    u32 dsdt = put(&area, dsdt_aml_code, sizeof dsdt_aml_code, TABLE_ALIGNMENT);
    put32(rsdt + bytes, put_fadt(&area, facs, dsdt));
    bytes += 4;
    if (apics) {
        put32(rsdt + bytes, put_madt(&area));
        bytes += 4;
    }
    for (unsigned n = 0; n < ACPI_SERIAL_PORTS; n++) {
        if (!serial_fitted[n]) continue;
        put32(rsdt + bytes, put(&area, serial_tables[n].code, serial_tables[n].bytes, TABLE_ALIGNMENT));
        bytes += 4;
    }
    put_rsdp(phys, put_table(&area, rsdt, "RSDT", 1, bytes));
}
