/*
 * The tables that describe the machine, as an operating system finds them: every pointer, length and checksum of ACPI,
 * SMBIOS and MP tables, in a direct start and after a firmware's table loader.
 */
#include "board/wire_apic.h"
#include "boot/acpi_tables.h"
#include "boot/load_common.h"
#include "boot/mp_table.h"
#include "boot/smbios_tables.h"
#include "check.h"
#include "devices/chipset/hpet.h"

#include <stdlib.h>
#include <string.h>

/* Guest memory: the part that a guest would search. */
#define MEMORY_BASE  0xe0000u
#define MEMORY_BYTES 0x20000u
#define RSDP         0xf0000u
#define TABLES       0xf1000u

static u8 memory[MEMORY_BYTES];

static u8 *guest(u32 gpa)
{
    if (gpa >= MEMORY_BASE && gpa - MEMORY_BASE < MEMORY_BYTES - 512) return memory + (gpa - MEMORY_BASE);
    CHECK(!"a pointer out of the tables' memory");
    return memory;
}

static bool sums_to_zero(const u8 *at, u32 bytes)
{
    u8 sum = 0;
    for (u32 n = 0; n < bytes; n++)
        sum += at[n];
    return sum == 0;
}

static const u8 *table(u32 gpa, const char *signature)
{
    const u8 *at = guest(gpa);
    CHECK(!memcmp(at, signature, 4));
    if (strcmp(signature, "FACS")) CHECK(sums_to_zero(at, get32(at + 4)));
    return at;
}

/* The n-th table of the RSDT, or NULL. */
static const u8 *listed(const u8 *rsdt, unsigned n)
{
    return n < (get32(rsdt + 4) - 36) / 4 ? guest(get32(rsdt + 36 + 4 * n)) : NULL;
}

static const u8 *find_listed(const u8 *rsdt, const char *signature, const char *oem_table_id)
{
    for (unsigned n = 0; listed(rsdt, n); n++) {
        const u8 *at = table(get32(rsdt + 36 + 4 * n),
                             (const char[5]){(char)listed(rsdt, n)[0], (char)listed(rsdt, n)[1],
                                             (char)listed(rsdt, n)[2], (char)listed(rsdt, n)[3]});
        if (!memcmp(at, signature, 4) && !memcmp(at + 16, oem_table_id, strlen(oem_table_id))) return at;
    }
    return NULL;
}

static void check_madt(const u8 *madt)
{
    unsigned processors = 0, io_apics = 0, overrides = 0;
    CHECK_EQ(get32(madt + 36), LAPIC_BASE);
    for (const u8 *at = madt + 44; at < madt + get32(madt + 4); at += at[1]) {
        CHECK(at[1] >= 6);
        processors += at[0] == 0;
        if (at[0] == 1) {
            io_apics++;
            CHECK_EQ(get32(at + 4), IOAPIC_BASE);
        }
        if (at[0] == 2) {
            overrides++;
            CHECK_EQ(get32(at + 4), at[3] ? at[3] : 2);
            CHECK_EQ(get16(at + 8), at[3] ? 0xd : 0);
        }
        if (!at[1]) break;
    }
    CHECK_EQ(processors, 1);
    CHECK_EQ(io_apics, 1);
    CHECK_EQ(overrides, 2);
}

static void check_fadt(const u8 *fadt)
{
    CHECK_EQ(get32(fadt + 4), 244);
    CHECK_EQ(fadt[46], 9);
    CHECK_EQ(get32(fadt + 76), 0x608);
    CHECK_EQ(get64(fadt + 208 + 4), 0x608);
    CHECK_EQ(get64(fadt + 116 + 4), 0xcf9);
    u32 facs = get32(fadt + 36);
    CHECK_EQ(facs & 63, 0);
    CHECK_EQ(get64(fadt + 132), facs);
    CHECK_EQ(get32(table(facs, "FACS") + 4), 64);
    CHECK_EQ(get64(fadt + 140), get32(fadt + 40));
    table(get32(fadt + 40), "DSDT");
}

static void check_acpi(const struct acpi_machine *machine)
{
    const u8 *rsdp = guest(RSDP);
    CHECK(!memcmp(rsdp, "RSD PTR ", 8));
    CHECK(sums_to_zero(rsdp, 20));
    const u8 *rsdt = table(get32(rsdp + 16), "RSDT");
    const u8 *fadt = find_listed(rsdt, "FACP", ""), *facts = find_listed(rsdt, "SSDT", "RINGERPC");
    CHECK(fadt && facts);
    if (fadt) check_fadt(fadt);
    if (facts) CHECK_EQ(get32(facts + 42), machine->pci_memory);
    for (unsigned n = 0; n < SERIAL_PORTS; n++) {
        char name[] = "RINGCOM1";
        name[7] = (char)('1' + n);
        CHECK_EQ(find_listed(rsdt, "SSDT", name) != NULL, machine->facts.serial[n]);
    }
    CHECK_EQ(find_listed(rsdt, "SSDT", "RINGFDC") != NULL, machine->facts.floppy);
    CHECK_EQ(find_listed(rsdt, "SSDT", "RINGSLP3") != NULL, machine->facts.suspend);
    const u8 *hpet = find_listed(rsdt, "HPET", "");
    CHECK_EQ(hpet != NULL, machine->facts.hpet);
    CHECK_EQ(find_listed(rsdt, "SSDT", "RINGHPET") != NULL, machine->facts.hpet);
    if (hpet) {
        CHECK_EQ(get32(hpet + 36), HPET_ID);
        CHECK_EQ(hpet[40], 0); /* in memory */
        CHECK_EQ(get64(hpet + 44), HPET_BASE);
    }
    const u8 *madt = find_listed(rsdt, "APIC", "");
    CHECK_EQ(madt != NULL, machine->facts.apic);
    if (madt) check_madt(madt);
}

static void settle(struct table_image *image)
{
    table_image_settle(image);
    memcpy(guest(image->base), image->bytes, image->used);
}

/* Does what a table loader does, by the script alone (SeaBIOS, src/fw/romfile_loader.h). */
static u32 addresses[2] = {RSDP, TABLES};

static u32 file_at(const struct table_file *files, const u8 *name)
{
    for (unsigned n = 0; n < 2; n++)
        if (!strcmp(files[n].name, (const char *)name)) return addresses[n];
    CHECK(!"a file by that name");
    return TABLES;
}

static void run_script(const struct table_file *files, const u8 *script, u32 bytes)
{
    for (const u8 *at = script; at < script + bytes; at += TABLE_SCRIPT_ENTRY_BYTES) {
        u32 file = file_at(files, at + 4);
        switch (get32(at)) {
        case 1: {
            CHECK_EQ(file & (get32(at + 60) - 1), 0);
            CHECK(at[64] == TABLE_ZONE_HIGH || at[64] == TABLE_ZONE_F_SEGMENT);
            const struct table_image *image = files[file == TABLES].image;
            memcpy(guest(file), image->bytes, image->used);
            break;
        }
        case 2: {
            u8 *pointer = guest(file + get32(at + 116));
            u32 target = file_at(files, at + 60);
            if (at[120] == 4)
                put32(pointer, get32(pointer) + target);
            else
                put64(pointer, get64(pointer) + target);
            break;
        }
        case 3: {
            u8 *sum = guest(file + get32(at + 60));
            const u8 *start = guest(file + get32(at + 64));
            for (u32 n = 0, left = get32(at + 68), total = *sum; n <= left; n++) {
                if (n == left)
                    *sum = (u8)total;
                else
                    total -= start[n];
            }
            break;
        }
        default: CHECK(!"a command of the table loader");
        }
    }
}

static void test_acpi(const struct acpi_machine *machine)
{
    struct acpi_tables *acpi = calloc(1, sizeof(*acpi));
    acpi_tables_build(acpi, machine);
    const struct table_file files[] = {
        {&acpi->rsdp, "etc/acpi/rsdp", TABLE_ZONE_F_SEGMENT, ACPI_RSDP_ALIGN},
        {&acpi->tables, "etc/acpi/tables", TABLE_ZONE_HIGH, ACPI_TABLES_ALIGN},
    };
    u32 bytes = table_script(files, 2, NULL);
    u8 *script = malloc(bytes);
    CHECK_EQ(table_script(files, 2, script), bytes);
    memset(memory, 0xcc, sizeof(memory));
    run_script(files, script, bytes);
    check_acpi(machine);
    free(script);

    memset(memory, 0xcc, sizeof(memory));
    table_image_place(&acpi->rsdp, RSDP);
    table_image_place(&acpi->tables, TABLES);
    settle(&acpi->rsdp);
    settle(&acpi->tables);
    check_acpi(machine);
    free(acpi);
}

/* --- SMBIOS --- */

static const u8 *next_structure(const u8 *at)
{
    for (at += at[1]; at[0] || at[1]; at++)
        ;
    return at + 2;
}

static const struct firmware_options nothing_of_the_users = {.bios_release = {0xff, 0xff}};

static void test_smbios(u64 memory_bytes, u64 low_bytes, unsigned devices)
{
    struct smbios_tables *smbios = calloc(1, sizeof(*smbios));
    smbios_tables_build(smbios, &(struct smbios_machine){.memory_bytes = memory_bytes,
                                                         .low_memory_bytes = low_bytes,
                                                         .cpu = "a processor",
                                                         .with_bios = true,
                                                         .user = &nothing_of_the_users});
    table_image_place(&smbios->anchor, 0xf0000);
    table_image_place(&smbios->tables, 0xf0100);
    settle(&smbios->anchor);
    settle(&smbios->tables);
    const u8 *anchor = guest(0xf0000), *tables = guest(get32(anchor + 24));
    CHECK(!memcmp(anchor, "_SM_", 4) && !memcmp(anchor + 16, "_DMI_", 5));
    CHECK(sums_to_zero(anchor, anchor[5]));
    CHECK(sums_to_zero(anchor + 16, 15));
    unsigned count = 0, of_type[128] = {0}, largest = 0;
    u64 told = 0;
    const u8 *at = tables;
    for (; count < 100; count++) {
        const u8 *next = next_structure(at);
        CHECK(at[0] < 128);
        of_type[at[0] & 127]++;
        if (next - at > largest) largest = (unsigned)(next - at);
        if (at[0] == 17) told += get16(at + 12) == 0x7fff ? get32(at + 28) : get16(at + 12);
        u8 type = at[0];
        at = next;
        if (type == 127) break;
    }
    CHECK_EQ(count + 1, get16(anchor + 28));
    CHECK_EQ(at - tables, get16(anchor + 22));
    CHECK_EQ(largest, get16(anchor + 8));
    CHECK_EQ(told, memory_bytes >> 20);
    CHECK_EQ(of_type[17], devices);
    CHECK_EQ(of_type[19], memory_bytes > low_bytes ? 2 : 1);
    static const u8 once[] = {0, 1, 3, 4, 16, 32, 127};
    for (unsigned n = 0; n < sizeof(once); n++)
        CHECK_EQ(of_type[once[n]], 1);
    free(smbios);
}

/* The text that a byte of a structure numbers. */
static const char *text_of(const u8 *structure, unsigned at)
{
    const char *text = (const char *)structure + structure[1];
    for (unsigned n = structure[at]; n > 1; n--)
        text += strlen(text) + 1;
    return structure[at] ? text : "";
}

static const u8 *find_structure(const u8 *at, u8 type)
{
    for (; at[0] != 127; at = next_structure(at))
        if (at[0] == type) return at;
    return NULL;
}

/* Hazards: a UUID in the wrong byte order (7.2.1); a file beside the machine's own structure of its type; an anchor
 * that counts neither. */
static void test_smbios_of_user(void)
{
    static u8 chassis[] = {3, 13, 0, 3, 1, 17, 0, 0, 0, 3, 3, 3, 3, 'f', 'i', 'l', 'e', 0, 0};
    struct firmware_options user = {
        .given = {true, true, true},
        .field = {[BIOS_VENDOR] = "vendor",
                  [SYSTEM_SERIAL] = "S77",
                  [SYSTEM_FAMILY] = "family",
                  [BOARD_PRODUCT] = "board"},
        .bios_release = {3, 9},
        .uefi = true,
        .oem = {"one", "two"},
        .oem_count = 2,
        .structure = {{chassis, sizeof(chassis)}},
        .structures = 1,
        .has_uuid = true,
        .uuid = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10, 0x32, 0x54, 0x76}};
    static const u8 uuid[] = {0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd, 0x10, 0x32, 0x54, 0x76};
    struct smbios_tables *smbios = calloc(1, sizeof(*smbios));
    smbios_tables_build(smbios, &(struct smbios_machine){.memory_bytes = 1 << 24,
                                                         .low_memory_bytes = 1 << 24,
                                                         .cpu = "a processor",
                                                         .user = &user});
    table_image_place(&smbios->anchor, 0xf0000);
    table_image_place(&smbios->tables, 0xf0100);
    settle(&smbios->anchor);
    settle(&smbios->tables);
    const u8 *anchor = guest(0xf0000), *tables = guest(get32(anchor + 24)), *at = tables;
    unsigned count = 1, of_type[128] = {0};
    for (; at[0] != 127; at = next_structure(at), count++)
        of_type[at[0] & 127]++;
    CHECK_EQ(count, get16(anchor + 28));
    for (unsigned type = 0; type < 5; type++)
        CHECK_EQ(of_type[type], 1);
    const u8 *bios = find_structure(tables, 0), *system = find_structure(tables, 1),
             *oem = find_structure(tables, 11);
    CHECK(!strcmp(text_of(bios, 4), "vendor") && bios[0x14] == 3 && bios[0x15] == 9 && bios[0x13] & 1 << 3);
    CHECK(!strcmp(text_of(system, 4), "Ringer") && !strcmp(text_of(system, 7), "S77"));
    CHECK(!strcmp(text_of(system, 0x1a), "family") && !system[0x19]);
    CHECK(!memcmp(system + 8, uuid, sizeof(uuid)));
    CHECK(!strcmp(text_of(find_structure(tables, 2), 5), "board"));
    CHECK(!strcmp(text_of(find_structure(tables, 3), 4), "file"));
    CHECK_EQ(oem[4], 2);
    CHECK(!strcmp(text_of(oem, 4), "two"));
    free(smbios);
}

/* --- MP --- */

static void test_mp(void)
{
    const struct mp_pci_interrupt pci[] = {{1, 3, 19}, {3, 0, 18}, {4, 0, 19}};
    struct table_image *image = calloc(1, sizeof(*image));
    mp_table_build(image, &(struct mp_machine){.pci = pci, .pci_count = 3});
    table_image_place(image, 0xf0000);
    settle(image);
    const u8 *pointer = guest(0xf0000), *header = guest(get32(pointer + 4));
    CHECK(!memcmp(pointer, "_MP_", 4) && sums_to_zero(pointer, 16));
    CHECK(!memcmp(header, "PCMP", 4) && sums_to_zero(header, get16(header + 4)));
    unsigned isa = 0, from_pci = 0, entries = 0;
    u32 inputs = 0;
    const u8 *at = header + 44;
    for (; at < header + get16(header + 4); at += at[0] ? 8 : 20, entries++) {
        CHECK(at[0] <= 4);
        if (at[0] != 3) continue;
        isa += at[4] != 0;
        from_pci += at[4] == 0;
        CHECK((at[7] < 16) == (at[4] != 0)); /* an input is ISA's or PCI's */
        inputs |= 1 << at[7];
    }
    CHECK_EQ(entries, get16(header + 34));
    CHECK_EQ(from_pci, 3);
    CHECK_EQ(isa, 16 - 1);
    CHECK_EQ(inputs, 0xcfffe);
    free(image);
}

int main(void)
{
    test_acpi(&(struct acpi_machine){
        .pm_base = ACPI_PM_BASE, .facts = {.serial = {true}}, .pci_memory = 0x80000000});
    test_acpi(&(struct acpi_machine){
        .pm_base = ACPI_PM_BASE,
        .facts = {.serial = {true, true, true, true}, .floppy = true, .apic = true, .suspend = true},
        .pci_memory = 1});
    test_acpi(&(struct acpi_machine){.pm_base = ACPI_PM_BASE,
                                     .facts = {.serial = {false, false, true}, .apic = true}});
    test_acpi(&(struct acpi_machine){.pm_base = ACPI_PM_BASE, .facts = {.floppy = true, .hpet = true}});
    test_smbios_of_user();
    test_smbios(128ull << 20, 128ull << 20, 1);
    test_smbios(6ull << 30, 3ull << 30, 1);
    test_smbios(64ull << 30, 3ull << 30, 4);
    test_smbios(2ull << 20, 2ull << 20, 1);
    test_mp();
    return check_report();
}
