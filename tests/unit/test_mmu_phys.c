/*
 * Guest-physical memory: regions laid over each other, the splitting of device accesses, ROM, A20, reports of
 * code writes.
 */
#include "mmu/phys.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MB (1ull << 20)

struct access_log {
    struct {
        bool write;
        u32 offset, value;
        unsigned size;
    } at[64];
    unsigned count, before;
    struct {
        u64 gpa, bytes;
    } code[8];
    unsigned code_count, protect_count;
    u64 protected_page;
};

static u32 device_read(void *device, u32 offset, unsigned size)
{
    struct access_log *log = device;
    log->at[log->count].write = false;
    log->at[log->count].offset = offset;
    log->at[log->count++].size = size;
    return 0xa0b0c000u | offset; /* more than a byte: phys must mask */
}

static void device_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct access_log *log = device;
    log->at[log->count].write = true;
    log->at[log->count].offset = offset;
    log->at[log->count].value = value;
    log->at[log->count++].size = size;
}

static const struct io_ops ops = {device_read, device_write};

static void on_before(void *owner)
{
    ((struct access_log *)owner)->before++;
}

static void on_code(void *owner, u64 gpa, u64 bytes)
{
    struct access_log *log = owner;
    log->code[log->code_count].gpa = gpa;
    log->code[log->code_count++].bytes = bytes;
}

static void on_protect(void *owner, u64 gpa_page)
{
    struct access_log *log = owner;
    log->protect_count++;
    log->protected_page = gpa_page;
}

static void setup(struct phys *phys, u64 bytes, struct access_log *log)
{
    CHECK_EQ(phys_init(phys, bytes), 0);
    memset(log, 0, sizeof *log);
    phys->owner = log;
    phys->before_device = on_before;
    phys->guarded_written = on_code;
    phys->protect = on_protect;
}

static void test_ram(void)
{
    struct phys phys;
    struct access_log log;
    setup(&phys, 4 * MB, &log);
    phys_write(&phys, 0x1000, 4, 0x12345678);
    CHECK_EQ(phys_read(&phys, 0x1000, 4), 0x12345678);
    CHECK_EQ(phys_read(&phys, 0x1001, 2), 0x3456);
    CHECK_EQ(phys_read(&phys, 0x1003, 1), 0x12);
    phys_write(&phys, 0x1ff8, 8, 0x1122334455667788);
    CHECK_EQ(phys_read(&phys, 0x1ff8, 8), 0x1122334455667788);
    CHECK_EQ(*phys_flags(&phys, 0x1abc), PHYS_DIRTY);
    CHECK_EQ(*phys_flags(&phys, 0x2000), 0);
    CHECK(phys_host(&phys, 0x1003) == phys.ram + 0x1003);
    /* Beyond the end: ones, and writes go nowhere. */
    CHECK_EQ(phys_read(&phys, 4 * MB, 4), 0xffffffff);
    CHECK_EQ(phys_read(&phys, 4 * MB, 1), 0xff);
    phys_write(&phys, 4 * MB, 4, 0);
    CHECK(phys_host(&phys, 4 * MB) == NULL && phys_flags(&phys, 4 * MB) == NULL && !phys_find(&phys, 4 * MB));
    phys_destroy(&phys);
    CHECK(phys_init(&phys, 0) < 0);
    CHECK(phys_init(&phys, 4097) < 0);
}

static void test_big_ram_is_split_at_3_gb(void)
{
    struct phys phys;
    struct access_log log;
    setup(&phys, 3 * 1024 * MB + 2 * MB, &log);
    CHECK(phys_host(&phys, 0xbfffffff) == phys.ram + 0xbfffffff);
    CHECK(phys_host(&phys, 0xc0000000) == NULL);
    CHECK(phys_host(&phys, 1ull << 32) == phys.ram + 0xc0000000);
    CHECK(phys_host(&phys, (1ull << 32) + 2 * MB) == NULL);
    CHECK(phys_flags(&phys, 1ull << 32) == phys.ram_flags + 0xc0000);
    phys_destroy(&phys);
}

static void test_overlays(void)
{
    struct phys phys;
    struct access_log log;
    setup(&phys, 4 * MB, &log);
    u8 *rom = mmap(NULL, 0x20000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(rom, 0x5a, 0x20000);
    phys_write(&phys, 0xf0010, 4, 0xcafe);
    CHECK_EQ(phys_map_mmio(&phys, 0xa0000, 0x20000, &ops, &log), 0);
    CHECK_EQ(phys_map_rom(&phys, 0xe0000, 0x20000, rom), 0);
    CHECK_EQ(phys.region_count, 5);
    for (unsigned n = 1; n < phys.region_count; n++)
        CHECK(phys.regions[n - 1].gpa + phys.regions[n - 1].bytes <= phys.regions[n].gpa);
    /* ROM keeps its bytes. */
    phys_write(&phys, 0xf0010, 4, 0x11111111);
    CHECK_EQ(phys_read(&phys, 0xf0010, 4), 0x5a5a5a5a);
    CHECK(phys_flags(&phys, 0xe0000) != NULL && *phys_flags(&phys, 0xf0010) == 0);
    /* RAM under it too, and comes back. */
    CHECK_EQ(phys_map_ram(&phys, 0xf0000, 0x10000), 0);
    CHECK_EQ(phys_read(&phys, 0xf0010, 4), 0xcafe);
    CHECK_EQ(phys_read(&phys, 0xe0010, 4), 0x5a5a5a5a);
    CHECK_EQ(phys_map_ram(&phys, 0xe0000, 0x10000), 0);
    CHECK_EQ(phys_map_ram(&phys, 0xa0000, 0x20000), 0);
    CHECK_EQ(phys.region_count, 1); /* merged into one again */
    CHECK_EQ(phys_map_ram(&phys, 3 * MB, 2 * MB), -22);
    CHECK_EQ(phys_map_mmio(&phys, 0xa0001, 0x1000, &ops, &log), -22);
    /* The head of a region is covered: offsets in the rest stay. */
    CHECK_EQ(phys_map_mmio(&phys, 0xfe000000, 0x4000, &ops, &log), 0);
    CHECK_EQ(phys_map_rom(&phys, 0xfe000000, 0x1000, rom), 0);
    phys_write(&phys, 0xfe001004, 4, 7);
    CHECK_EQ(log.at[log.count - 1].offset, 0x1004);
    CHECK_EQ(phys_read(&phys, 0xfe000ffc, 4), 0x5a5a5a5a);
    /* Mapping ROM again and again leaks nothing and exhausts nothing. */
    for (unsigned n = 0; n < 1000; n++)
        CHECK_EQ(phys_map_rom(&phys, 0xe0000, 0x20000, rom), 0);
    /* A full list refuses the region and is unchanged. */
    int error = 0;
    unsigned made = 0;
    while (!(error = phys_map_mmio(&phys, 0x100000000 + made * 0x2000, 0x1000, &ops, &log)))
        made++;
    CHECK_EQ(error, -28);
    CHECK_EQ(phys.region_count, PHYS_MAX_REGIONS);
    CHECK_EQ(phys_map_rom(&phys, 0x200000000, 0x1000, rom), -28);
    CHECK_EQ(phys_read(&phys, 0xe0000, 1), 0x5a);
    phys_destroy(&phys);
    munmap(rom, 0x20000);
}

static void test_random_overlays(void)
{
    /* Against a model: one owner a page. */
    struct phys phys;
    struct access_log log;
    setup(&phys, 64 * PAGE_SIZE, &log);
    u8 *rom = mmap(NULL, 96 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct {
        enum phys_kind kind;
        bool nothing;
        u8 *host;
        u32 offset;
    } model[96];
    for (unsigned n = 0; n < 96; n++) {
        model[n].kind = PHYS_RAM;
        model[n].nothing = n >= 64;
        model[n].host = phys.ram + n * PAGE_SIZE;
    }
    srand(1);
    for (unsigned round = 0; round < 3000; round++) {
        unsigned from = rand() % 96, pages = 1 + rand() % (96 - from);
        if (pages > 8 && rand() % 4) pages = 8;
        enum phys_kind kind = rand() % 3;
        if (kind == PHYS_RAM && from + pages > 64) continue;
        u64 gpa = from * PAGE_SIZE, bytes = pages * PAGE_SIZE;
        int error = kind == PHYS_RAM   ? phys_map_ram(&phys, gpa, bytes)
                    : kind == PHYS_ROM ? phys_map_rom(&phys, gpa, bytes, rom + gpa)
                                       : phys_map_mmio(&phys, gpa, bytes, &ops, &log);
        CHECK_EQ(error, 0);
        for (unsigned n = from; n < from + pages; n++) {
            model[n].nothing = false;
            model[n].kind = kind;
            model[n].host = (kind == PHYS_RAM ? phys.ram : rom) + n * PAGE_SIZE;
            model[n].offset = (n - from) * PAGE_SIZE;
        }
        for (unsigned n = 0; n < 96; n++) {
            struct phys_region *region = phys_find(&phys, n * PAGE_SIZE + 5);
            if (model[n].nothing) {
                CHECK(region == NULL);
                continue;
            }
            CHECK(region && region->kind == model[n].kind);
            if (!region || region->kind != model[n].kind) continue;
            if (region->kind == PHYS_MMIO)
                CHECK_EQ(n * PAGE_SIZE - region->origin, model[n].offset);
            else
                CHECK(phys_host(&phys, n * PAGE_SIZE) == model[n].host);
        }
    }
    phys_destroy(&phys);
    munmap(rom, 96 * PAGE_SIZE);
}

static void test_mmio_splitting(void)
{
    static const struct {
        u32 offset;
        unsigned size, pieces, piece;
    } rows[] = {
        {0x10, 1, 1, 1}, {0x10, 2, 1, 2}, {0x11, 2, 1, 2}, {0x13, 2, 2, 1}, {0x10, 4, 1, 4},
        {0x11, 4, 4, 1}, {0x12, 4, 4, 1}, {0x10, 8, 2, 4}, {0x14, 8, 2, 4}, {0x13, 8, 8, 1},
    };
    struct phys phys;
    struct access_log log;
    setup(&phys, 1 * MB, &log);
    CHECK_EQ(phys_map_mmio(&phys, 0xfec00000, 0x1000, &ops, &log), 0);
    for (unsigned n = 0; n < ARRAY_SIZE(rows); n++) {
        log.count = log.before = 0;
        u64 mmio_before = phys.mmio_accesses;
        u64 value = 0x8877665544332211;
        phys_write(&phys, 0xfec00000 + rows[n].offset, rows[n].size, value);
        CHECK_EQ(log.count, rows[n].pieces);
        CHECK_EQ(log.before, 1);
        CHECK_EQ(phys.mmio_accesses - mmio_before, rows[n].pieces);
        for (unsigned p = 0; p < log.count; p++) {
            CHECK_EQ(log.at[p].offset, rows[n].offset + p * rows[n].piece);
            CHECK_EQ(log.at[p].size, rows[n].piece);
            CHECK_EQ(log.at[p].value, mask_bytes(value >> (8 * p * rows[n].piece), rows[n].piece));
        }
        log.count = 0;
        u64 got = phys_read(&phys, 0xfec00000 + rows[n].offset, rows[n].size), expected = 0;
        CHECK_EQ(log.count, rows[n].pieces);
        for (unsigned p = 0; p < rows[n].pieces; p++)
            expected |= mask_bytes(0xa0b0c000u | (rows[n].offset + p * rows[n].piece), rows[n].piece)
                        << (8 * p * rows[n].piece);
        CHECK_EQ(got, expected);
    }
    phys_destroy(&phys);
}

static void test_a20(void)
{
    struct phys phys;
    struct access_log log;
    setup(&phys, 4 * MB, &log);
    phys.a20_mask = ~(1ull << 20);
    phys_write(&phys, 0x100010, 4, 0x1234);
    CHECK_EQ(phys_read(&phys, 0x10, 4), 0x1234);
    phys_write(&phys, 0x200010, 4, 0x5678);
    CHECK_EQ(phys_read(&phys, 0x300010, 4), 0x5678);
    u32 value = 0;
    phys_read_bytes(&phys, 0x100010, &value, 4);
    CHECK_EQ(value, 0x1234);
    /* A bus master does not pass the gate. */
    struct dma dma = phys_dma(&phys);
    value = 0x99;
    dma.write(dma.memory, 0x100010, &value, 4);
    CHECK_EQ(phys_read(&phys, 0x10, 4), 0x1234);
    dma.written(dma.memory, 0x101000, 1);
    CHECK_EQ(*phys_flags(&phys, 0x1000) & PHYS_DIRTY, 0);
    phys.a20_mask = UINT64_MAX;
    CHECK_EQ(phys_read(&phys, 0x100010, 4), 0x99);
    CHECK(*phys_flags(&phys, 0x101000) & PHYS_DIRTY);
    phys_destroy(&phys);
}

static u64 message_gpa;
static u32 message_value;

static void on_message(void *owner, u64 gpa, u32 value)
{
    message_gpa = gpa;
    message_value = value;
}

/* A bus master's dword to interrupt controllers is a message; anything else there goes nowhere. */
static void test_messages(void)
{
    struct phys phys;
    struct access_log log;
    setup(&phys, 1 * MB, &log);
    struct dma dma = phys_dma(&phys);
    u32 value[2] = {0x4031, 0};
    dma.write(dma.memory, 0xfee0c000, value, 4); /* no device there */
    phys.message = on_message;
    dma.write(dma.memory, 0xfee0c000, value, 8);
    dma.write(dma.memory, 0xfedffffc, value, 4);
    dma.write(dma.memory, 0xfef00000, value, 4);
    CHECK_EQ(message_gpa, 0);
    dma.write(dma.memory, 0xfee0c000, value, 4);
    CHECK_EQ(message_gpa, 0xfee0c000);
    CHECK_EQ(message_value, 0x4031);
    phys_destroy(&phys);
}

static void test_code_reports(void)
{
    struct phys phys;
    struct access_log log;
    setup(&phys, 1 * MB, &log);
    phys_guard(&phys, 0x3123, PHYS_CODE);
    phys_guard(&phys, 0x3456, PHYS_CODE);
    CHECK_EQ(log.protect_count, 1);
    CHECK_EQ(log.protected_page, 0x3000);
    CHECK(*phys_flags(&phys, 0x3fff) & PHYS_CODE);
    phys_write(&phys, 0x2ffc, 4, 1);
    CHECK_EQ(log.code_count, 0);
    phys_write(&phys, 0x3008, 4, 1);
    CHECK_EQ(log.code_count, 1);
    CHECK_EQ(log.code[0].gpa, 0x3008);
    CHECK_EQ(log.code[0].bytes, 4);
    /* A write over three pages is reported for the middle one too. */
    u8 run[0x2000];
    memset(run, 0x77, sizeof run);
    struct dma dma = phys_dma(&phys);
    dma.write(dma.memory, 0x2800, run, 0x2000);
    CHECK_EQ(log.code_count, 2);
    CHECK_EQ(log.code[1].gpa, 0x3000);
    CHECK_EQ(log.code[1].bytes, 0x1000);
    CHECK_EQ(phys_read(&phys, 0x47ff, 1), 0x77);
    phys_set_bits(&phys, 0x3010, 0x60);
    CHECK_EQ(log.code_count, 3);
    CHECK_EQ(log.code[2].gpa, 0x3010);
    phys_destroy(&phys);
}

static void test_runs(void)
{
    struct phys phys;
    struct access_log log;
    setup(&phys, 1 * MB, &log);
    u8 out[0x3000], in[0x3000];
    for (unsigned n = 0; n < sizeof out; n++)
        out[n] = (u8)(n * 7 + n / 256);
    CHECK_EQ(phys_map_mmio(&phys, 0x6000, 0x1000, &ops, &log), 0);
    phys_write_bytes(&phys, 0x4ff0, out, sizeof out); /* pages 4, 5, (6 is a device), 7 */
    phys_read_bytes(&phys, 0x4ff0, in, sizeof in);
    CHECK_EQ(log.count, 0);
    for (unsigned n = 0; n < sizeof in; n++) {
        u8 expected = n >= 0x1010 && n < 0x2010 ? 0xff : out[n];
        if (in[n] != expected) CHECK_EQ(in[n], expected);
    }
    phys_write_bytes(&phys, 1 * MB - 8, out, 16); /* over the end */
    phys_read_bytes(&phys, 1 * MB - 8, in, 16);
    CHECK(!memcmp(in, out, 8) && in[8] == 0xff && in[15] == 0xff);
    phys_destroy(&phys);
}

int main(void)
{
    test_ram();
    test_big_ram_is_split_at_3_gb();
    test_overlays();
    test_random_overlays();
    test_mmio_splitting();
    test_a20();
    test_messages();
    test_code_reports();
    test_runs();
    return check_report();
}
