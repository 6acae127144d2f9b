/*
 * The ACPI tables as a guest finds them: from the RSDP on, every pointer, length and checksum, and that they
 * lie where the memory map says reserved.
 */
#include "load_fixture.h"

#include "vm/acpi_tables.h"

static bool sums_to_zero(const u8 *at, u32 bytes)
{
    u8 sum = 0;
    for (u32 n = 0; n < bytes; n++)
        sum += at[n];
    return sum == 0;
}

static const u8 *table(struct load_fixture *f, u32 gpa, const char *signature)
{
    const u8 *at = guest(f, gpa);
    u32 bytes = guest32(f, gpa + 4);
    CHECK(!memcmp(at, signature, 4));
    CHECK(gpa >= ACPI_RSDP && gpa + bytes <= 0x100000);
    if (strcmp(signature, "FACS")) CHECK(sums_to_zero(at, bytes));
    return at;
}

/* The entries of the MADT follow each other to its end. */
static void check_madt(struct load_fixture *f, u32 gpa)
{
    const u8 *madt = table(f, gpa, "APIC");
    u32 bytes = guest32(f, gpa + 4), at = 44, seen = 0;
    CHECK_EQ(guest32(f, gpa + 36), 0xfee00000);
    CHECK_EQ(guest32(f, gpa + 40), 1);
    for (; at < bytes; at += madt[at + 1]) {
        seen |= 1u << madt[at];
        if (madt[at] == 1) CHECK_EQ(guest32(f, gpa + at + 4), 0xfec00000);
    }
    CHECK_EQ(at, bytes);
    CHECK_EQ(seen, 1 << 0 | 1 << 1 | 1 << 2 | 1 << 4);
}

static void check_tables(struct load_fixture *f, const bool fitted[ACPI_SERIAL_PORTS], bool apics)
{
    acpi_tables_put(&f->phys, fitted, apics);
    CHECK(!memcmp(guest(f, ACPI_RSDP), "RSD PTR ", 8));
    CHECK(sums_to_zero(guest(f, ACPI_RSDP), 20));
    u32 rsdt = guest32(f, ACPI_RSDP + 16);
    table(f, rsdt, "RSDT");
    u32 count = (guest32(f, rsdt + 4) - 36) / 4, serial = 0;
    u32 fadt = guest32(f, rsdt + 36);
    CHECK_EQ(table(f, fadt, "FACP")[46], 9);
    CHECK_EQ(guest32(f, fadt + 4), 116);
    CHECK_EQ(guest32(f, fadt + 76), 0x608);
    u32 facs = guest32(f, fadt + 36);
    table(f, facs, "FACS");
    CHECK_EQ(facs & 63, 0);
    CHECK_EQ(guest32(f, facs + 4), 64);
    table(f, guest32(f, fadt + 40), "DSDT");
    if (apics) check_madt(f, guest32(f, rsdt + 40));
    for (unsigned n = 0; n < ACPI_SERIAL_PORTS; n++) {
        if (!fitted[n]) continue;
        char name[] = "RINGCOM1";
        name[7] = (char)('1' + n);
        CHECK(!memcmp(table(f, guest32(f, rsdt + 40 + 4 * (apics + serial++)), "SSDT") + 16, name, 8));
    }
    CHECK_EQ(count, 1 + apics + serial);
}

int main(void)
{
    struct load_fixture *f = fixture_new(2 * MB);
    check_tables(f, (bool[ACPI_SERIAL_PORTS]){true}, true);
    check_tables(f, (bool[ACPI_SERIAL_PORTS]){true, true, true, true}, false);
    check_tables(f, (bool[ACPI_SERIAL_PORTS]){false, false, true}, true);
    check_tables(f, (bool[ACPI_SERIAL_PORTS]){false}, false);
    fixture_free(f);
    return check_report();
}
