#include "smbios_tables.h"

#include "load_common.h"

#include <assert.h>
#include <string.h>

#define MAKER "Ringer"

/* Structure types; the handles are type << 8 | number of its kind. */
enum {
    BIOS = 0,
    SYSTEM = 1,
    BASE_BOARD = 2,
    CHASSIS = 3,
    PROCESSOR = 4,
    OEM_STRINGS = 11,
    MEMORY_ARRAY = 16,
    MEMORY_DEVICE = 17,
    MEMORY_ARRAY_ADDRESS = 19,
    BOOT_STATUS = 32,
    END = 127,
};
#define HANDLE(type, number) ((u16)((type) << 8 | (number)))

enum {
    ANCHOR_SUM = 4,
    ANCHOR_LENGTH = 5,
    ANCHOR_VERSION = 6,
    ANCHOR_LARGEST = 8,
    ANCHOR_DMI = 16,
    ANCHOR_DMI_SUM = 21,
    ANCHOR_TABLE_BYTES = 22,
    ANCHOR_TABLE = 24,
    ANCHOR_COUNT = 28,
    ANCHOR_BCD_VERSION = 30,
    ANCHOR_BYTES = 31,
};

enum { SAFE = 3, UNKNOWN = 2, OTHER = 1, NONE = 3 };
#define MODULE_BYTES   (16ull << 30) /* a memory device has its size in MB in one word: less than 32 GB */
#define MODULES_MAX    4
#define GB_HIGH_MEMORY (4ull << 30)

/* One structure under construction: the formatted area, then its strings. */
struct structure {
    u8 area[64];
    u32 bytes;
    char strings[SMBIOS_USER_BYTES + 256];
    u32 string_bytes;
    u8 string_count;
};

struct builder {
    struct smbios_tables *smbios;
    const struct firmware_options *user;
    unsigned count;
    u32 largest;
};

static struct structure begin(u8 type, u16 handle, u8 bytes)
{
    struct structure s = {.bytes = bytes};
    s.area[0] = type;
    s.area[1] = bytes;
    put16(s.area + 2, handle);
    return s;
}

/* Add a string. The byte at `at` gets its number. */
static void string(struct structure *s, u32 at, const char *text)
{
    u32 bytes = (u32)strlen(text) + 1;
    assert(s->string_bytes + bytes < sizeof(s->strings));
    memcpy(s->strings + s->string_bytes, text, bytes);
    s->string_bytes += bytes;
    s->area[at] = ++s->string_count;
}

/* 6.1.3: a 0 byte ends the set of strings, which has two of them when it is empty. */
static void finish(struct builder *b, const struct structure *s)
{
    static const u8 end[2];
    struct table_image *tables = &b->smbios->tables;
    u32 at = table_image_add(tables, s->area, s->bytes, 1);
    table_image_add(tables, s->strings, s->string_bytes, 1);
    table_image_add(tables, end, s->string_bytes ? 1 : 2, 1);
    if (tables->used - at > b->largest) b->largest = tables->used - at;
    b->count++;
}

/* The user's text for a field, or `otherwise`, which may be NULL: the structure then has no such string. */
static void field(struct builder *b, struct structure *s, u32 at, enum smbios_field field,
                  const char *otherwise)
{
    const char *text = b->user->field[field] ? b->user->field[field] : otherwise;
    if (text) string(s, at, text);
}

static void add_bios(struct builder *b)
{
    struct structure s = begin(BIOS, HANDLE(BIOS, 0), 0x18);
    field(b, &s, 4, BIOS_VENDOR, MAKER);
    field(b, &s, 5, BIOS_VERSION, "1");
    field(b, &s, 8, BIOS_DATE, "01/01/2026");
    s.area[0x0a] = 1 << 3; /* BIOS characteristics are not given */
    /* except these: this is a virtual machine, and UEFI is there */
    s.area[0x13] = (u8)(1 << 4 | (b->user->uefi ? 1 << 3 : 0));
    memcpy(s.area + 0x14, b->user->bios_release, 2);
    s.area[0x16] = s.area[0x17] = 0xff;
    finish(b, &s);
}

/* 7.2.1: the first three parts of a UUID are little-endian. */
static void put_uuid(u8 *to, const u8 *uuid)
{
    static const u8 order[UUID_BYTES] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    for (unsigned n = 0; n < UUID_BYTES; n++)
        to[n] = uuid[order[n]];
}

static void add_system(struct builder *b)
{
    struct structure s = begin(SYSTEM, HANDLE(SYSTEM, 0), 0x1b);
    field(b, &s, 4, SYSTEM_MANUFACTURER, MAKER);
    field(b, &s, 5, SYSTEM_PRODUCT, "Ringer PC (i440FX + PIIX3)");
    field(b, &s, 6, SYSTEM_VERSION, "1");
    field(b, &s, 7, SYSTEM_SERIAL, NULL);
    if (b->user->has_uuid) put_uuid(s.area + 8, b->user->uuid);
    s.area[0x18] = 6; /* woken by the power switch */
    field(b, &s, 0x19, SYSTEM_SKU, NULL);
    field(b, &s, 0x1a, SYSTEM_FAMILY, NULL);
    finish(b, &s);
}

static void add_base_board(struct builder *b)
{
    struct structure s = begin(BASE_BOARD, HANDLE(BASE_BOARD, 0), 0x0f);
    field(b, &s, 4, BOARD_MANUFACTURER, MAKER);
    field(b, &s, 5, BOARD_PRODUCT, NULL);
    field(b, &s, 6, BOARD_VERSION, NULL);
    field(b, &s, 7, BOARD_SERIAL, NULL);
    field(b, &s, 8, BOARD_ASSET, NULL);
    s.area[9] = 1; /* it hosts the CPU */
    field(b, &s, 0x0a, BOARD_LOCATION, NULL);
    put16(s.area + 0x0b, HANDLE(CHASSIS, 0));
    s.area[0x0d] = 10; /* motherboard; 0Eh: it has no list of what is on it */
    finish(b, &s);
}

static void add_chassis(struct builder *b)
{
    struct structure s = begin(CHASSIS, HANDLE(CHASSIS, 0), 0x16);
    field(b, &s, 4, CHASSIS_MANUFACTURER, MAKER);
    s.area[5] = OTHER;
    field(b, &s, 6, CHASSIS_VERSION, NULL);
    field(b, &s, 7, CHASSIS_SERIAL, NULL);
    field(b, &s, 8, CHASSIS_ASSET, NULL);
    field(b, &s, 0x15, CHASSIS_SKU, NULL);
    s.area[9] = s.area[0x0a] = s.area[0x0b] = SAFE; /* boot-up, power supply, temperature */
    s.area[0x0c] = NONE;                            /* security */
    finish(b, &s);
}

static void add_processor(struct builder *b, const struct smbios_machine *machine)
{
    struct structure s = begin(PROCESSOR, HANDLE(PROCESSOR, 0), 0x2a);
    string(&s, 4, "CPU 0");
    s.area[5] = 3; /* central processor */
    s.area[6] = OTHER;
    string(&s, 7, MAKER);
    put32(s.area + 8, machine->cpu_signature);
    put32(s.area + 12, machine->cpu_features);
    string(&s, 0x10, machine->cpu);
    s.area[0x18] = 1 << 6 | 1; /* populated, enabled */
    s.area[0x19] = OTHER;
    put16(s.area + 0x1a, 0xffff); /* no handles of caches */
    put16(s.area + 0x1c, 0xffff);
    put16(s.area + 0x1e, 0xffff);
    s.area[0x23] = s.area[0x24] = s.area[0x25] = 1; /* cores, enabled, threads */
    put16(s.area + 0x26, UNKNOWN);
    put16(s.area + 0x28, OTHER);
    finish(b, &s);
}

static void add_memory_device(struct builder *b, unsigned number, u64 bytes)
{
    char name[] = "DIMM 0";
    name[5] = (char)('0' + number);
    struct structure s = begin(MEMORY_DEVICE, HANDLE(MEMORY_DEVICE, number), 0x28);
    put16(s.area + 4, HANDLE(MEMORY_ARRAY, 0));
    put16(s.area + 6, 0xfffe); /* errors are not reported */
    put16(s.area + 8, 0xffff);
    put16(s.area + 0x0a, 0xffff); /* widths unknown */
    u64 mb = bytes >> 20;
    put16(s.area + 0x0c, mb < 0x7fff ? (u16)mb : 0x7fff); /* 7FFFh: see the extended size */
    put32(s.area + 0x1c, mb < 0x7fff ? 0 : (u32)mb);
    s.area[0x0e] = 9; /* DIMM */
    string(&s, 0x10, name);
    s.area[0x12] = 7; /* RAM */
    put16(s.area + 0x13, 1 << 1);
    string(&s, 0x17, MAKER);
    finish(b, &s);
}

static void add_memory_range(struct builder *b, unsigned number, u64 start, u64 bytes)
{
    struct structure s = begin(MEMORY_ARRAY_ADDRESS, HANDLE(MEMORY_ARRAY_ADDRESS, number), 0x1f);
    put32(s.area + 4, (u32)(start >> 10));
    put32(s.area + 8, (u32)((start + bytes - 1) >> 10));
    put16(s.area + 0x0c, HANDLE(MEMORY_ARRAY, 0));
    s.area[0x0e] = 1;
    finish(b, &s);
}

static void add_memory(struct builder *b, const struct smbios_machine *machine)
{
    u64 all = machine->memory_bytes, high = all - machine->low_memory_bytes;
    unsigned modules = (unsigned)((all + MODULE_BYTES - 1) / MODULE_BYTES);
    assert(modules <= MODULES_MAX);
    struct structure s = begin(MEMORY_ARRAY, HANDLE(MEMORY_ARRAY, 0), 0x17);
    s.area[4] = OTHER;
    s.area[5] = 3; /* system memory */
    s.area[6] = 6; /* ECC, of many bits */
    put32(s.area + 7, (u32)(all >> 10));
    put16(s.area + 0x0b, 0xfffe);
    put16(s.area + 0x0d, (u16)modules);
    finish(b, &s);
    for (unsigned n = 0; n < modules; n++)
        add_memory_device(b, n, n + 1 < modules ? MODULE_BYTES : all - n * MODULE_BYTES);
    add_memory_range(b, 0, 0, machine->low_memory_bytes);
    if (high) add_memory_range(b, 1, GB_HIGH_MEMORY, high);
}

static void add_oem_strings(struct builder *b)
{
    struct structure s = begin(OEM_STRINGS, HANDLE(OEM_STRINGS, 0), 5);
    for (unsigned n = 0; n < b->user->oem_count; n++)
        string(&s, 4, b->user->oem[n]); /* the byte becomes the number of strings */
    finish(b, &s);
}

/* Structures of the user's, whole. */
static void add_structures(struct builder *b)
{
    struct table_image *tables = &b->smbios->tables;
    for (unsigned n = 0; n < b->user->structures; n++) {
        u32 bytes = b->user->structure[n].count;
        table_image_add(tables, b->user->structure[n].bytes, bytes, 1);
        if (bytes > b->largest) b->largest = bytes;
        b->count++;
    }
}

static void add_anchor(struct builder *b)
{
    struct table_image *anchor = &b->smbios->anchor, *tables = &b->smbios->tables;
    u8 entry[ANCHOR_BYTES] = "_SM_";
    entry[ANCHOR_LENGTH] = ANCHOR_BYTES;
    entry[ANCHOR_VERSION] = 2;
    entry[ANCHOR_VERSION + 1] = 8;
    put16(entry + ANCHOR_LARGEST, (u16)b->largest);
    memcpy(entry + ANCHOR_DMI, "_DMI_", 5);
    put16(entry + ANCHOR_TABLE_BYTES, (u16)tables->used);
    put16(entry + ANCHOR_COUNT, (u16)b->count);
    entry[ANCHOR_BCD_VERSION] = 0x28;
    u32 at = table_image_add(anchor, entry, sizeof entry, SMBIOS_ALIGN);
    table_image_point(anchor, at + ANCHOR_TABLE, 4, tables, 0);
    /* The inner sum comes first, because it is part of the outer one. */
    table_image_sum(anchor, at + ANCHOR_DMI, ANCHOR_BYTES - ANCHOR_DMI, at + ANCHOR_DMI_SUM);
    table_image_sum(anchor, at, ANCHOR_BYTES, at + ANCHOR_SUM);
}

void smbios_tables_build(struct smbios_tables *smbios, const struct smbios_machine *machine)
{
    const struct firmware_options *user = machine->user;
    struct builder b = {.smbios = smbios, .user = user};
    add_structures(&b);
    if ((machine->with_bios || user->given[BIOS]) && !firmware_options_replace(user, BIOS)) add_bios(&b);
    if (!firmware_options_replace(user, SYSTEM)) add_system(&b);
    if (user->given[BASE_BOARD] && !firmware_options_replace(user, BASE_BOARD)) add_base_board(&b);
    if (!firmware_options_replace(user, CHASSIS)) add_chassis(&b);
    if (!firmware_options_replace(user, PROCESSOR)) add_processor(&b, machine);
    if (user->oem_count) add_oem_strings(&b);
    add_memory(&b, machine);
    struct structure s = begin(BOOT_STATUS, HANDLE(BOOT_STATUS, 0), 0x0b); /* no errors detected */
    finish(&b, &s);
    s = begin(END, HANDLE(END, 0), 4);
    finish(&b, &s);
    add_anchor(&b);
}
