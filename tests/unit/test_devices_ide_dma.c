/*
 * ATA disk and IDE channel: transfers by the bus master, with good, odd and bad tables of regions, and TRIM, which
 * takes its list of sectors by DMA.
 */
#include "ide_rig.h"

static void test_dma(void)
{
    rig_start();
    static const u32 table[][2] = {{0x20000, 0x200}, {0x30000, 0x400}, {0x20200, 0xa00}};
    put_table(table, 3);
    address(9, 8);
    out(COMMAND, 0xc8);
    CHECK_EQ(alternate(), READY_DATA); /* it waits for the bus master */
    CHECK_EQ(disk.queued, 0);
    start_master(true);
    CHECK_EQ(alternate(), IDE_BSY);
    CHECK_EQ(master_status(), ACTIVE);
    CHECK_EQ(settle(), 1);
    CHECK(irq);
    CHECK_EQ(master_status(), INTERRUPT);
    stop_master();
    CHECK_EQ(in(STATUS), READY);
    CHECK(!memcmp(memory.ram + 0x20000, disk.data + 9 * 512, 0x200));
    CHECK(!memcmp(memory.ram + 0x30000, disk.data + 10 * 512, 0x400));
    CHECK(!memcmp(memory.ram + 0x20200, disk.data + 12 * 512, 0xa00));
    CHECK_EQ(memory.written, 8 * 512);
    CHECK_EQ(in(LBA_LOW), 16);
    ide_master_write(&channel, MASTER_STATUS, INTERRUPT);
    CHECK_EQ(master_status(), 0);

    for (unsigned n = 0; n < 4096; n++)
        memory.ram[0x40000 + n] = (u8)(n * 7);
    put_table((const u32[][2]){{0x40000, 0x2000}}, 1); /* longer than the transfer: active stays */
    start_master(false);
    CHECK_EQ(master_status(), ACTIVE);
    address_ext(33, 8);
    out(COMMAND, 0x35); /* the other order: the bus master waits for the drive */
    settle();
    CHECK_EQ(master_status(), ACTIVE | INTERRUPT);
    CHECK_EQ(in(STATUS), READY);
    CHECK(!memcmp(disk.data + 33 * 512, memory.ram + 0x40000, 4096));
    stop_master();
    CHECK_EQ(master_status(), INTERRUPT);
    CHECK_EQ(memory.written, 8 * 512);
    CHECK_EQ(disk.flushes, 0);
    put_table((const u32[][2]){{0x40000, 0x1000}}, 1);
    start_master(false);
    address_ext(33, 8);
    out(COMMAND, 0x3d); /* FUA */
    settle();
    CHECK_EQ(disk.flushes, 1);
    rig_stop();
}

static void test_odd_tables(void)
{
    rig_start();
    /* Too short: no interrupt, not active any more, and the drive waits; the rest goes to the next table. */
    put_table((const u32[][2]){{0x20000, 0x600}}, 1);
    address(100, 4);
    out(COMMAND, 0xc8);
    start_master(true);
    settle();
    CHECK(!irq);
    CHECK_EQ(master_status(), 0);
    CHECK_EQ(alternate(), READY_DATA);
    put_table((const u32[][2]){{0x20600, 0x200}}, 1);
    start_master(true);
    settle();
    CHECK(irq);
    CHECK(!memcmp(memory.ram + 0x20000, disk.data + 100 * 512, 2048));
    in(STATUS);

    /* Pieces that are no multiples of sectors, some of them nowhere. */
    static const u32 pieces[][2] = {
        {0x20000, 0x2}, {0x9fff0, 0x22}, {0xc0000, 0x1fe}, {0x1ffffe, 0x10}, {0x30001, 0x1d0}};
    memset(memory.ram + 0x20000, 0, 0x20000);
    put_table(pieces, 5);
    address(200, 2);
    out(COMMAND, 0xc8);
    start_master(true);
    settle();
    CHECK_EQ(in(STATUS), READY);
    const u8 *expected = disk.data + 200 * 512;
    CHECK(!memcmp(memory.ram + 0x20000, expected, 2));
    CHECK(!memcmp(memory.ram + 0x9fff0, expected + 2, 0x10));
    CHECK(!memcmp(memory.ram + 0xc0000, expected + 0x24, 0x1fe));
    CHECK(!memcmp(memory.ram + 0x1ffffe, expected + 0x222, 2));
    CHECK(!memcmp(memory.ram + 0x30000, expected + 0x232, 0x1ce));

    /* Written from nowhere: ones. */
    put_table((const u32[][2]){{0x20000, 0x100}, {0xb0000, 0x300}}, 2);
    memset(memory.ram + 0x20000, 0x77, 0x100);
    address(300, 2);
    out(COMMAND, 0xca);
    start_master(false);
    settle();
    CHECK_EQ(in(STATUS), READY);
    CHECK_EQ(disk.data[300 * 512 + 0xff], 0x77);
    CHECK_EQ(disk.data[300 * 512 + 0x100], 0xff);
    CHECK_EQ(disk.data[300 * 512 + 0x3ff], 0xff);
    CHECK_EQ(disk.data[302 * 512], (302 * 259 + 302 * 256) & 0xff);

    /* 64 KB from a count of 0; a table of two-byte pieces; the whole command in one go and the table at the
     * end of memory, which then reads as ones: an entry at FFFFFFFEh. */
    put_table((const u32[][2]){{0x100000, 0}}, 1);
    address(0, 128);
    out(COMMAND, 0xc8);
    start_master(true);
    settle();
    CHECK(!memcmp(memory.ram + 0x100000, disk.data, 65536));
    in(STATUS);
    static u32 tiny[2048][2];
    for (unsigned n = 0; n < 2048; n++) {
        tiny[n][0] = 0x40000 + n * 4;
        tiny[n][1] = 2;
    }
    put_table(tiny, 2048);
    address(17, 8);
    out(COMMAND, 0xc8);
    start_master(true);
    settle();
    CHECK_EQ(in(STATUS), READY);
    bool same = true;
    for (unsigned n = 0; n < 2048; n++)
        same &= !memcmp(memory.ram + 0x40000 + n * 4, disk.data + 17 * 512 + n * 2, 2);
    CHECK(same);
    for (unsigned n = 0; n < 4; n++)
        ide_master_write(&channel, MASTER_TABLE + n, 0xff);
    address_ext(0, DISK_SECTORS);
    out(COMMAND, 0x25);
    start_master(true);
    settle();
    CHECK_EQ(alternate() & IDE_BSY, 0);
    ide_reset(&channel);

    /* The wrong direction, a stop and a new start in the middle, the bus master switched off. */
    ide_master_enable(&channel, true);
    put_table((const u32[][2]){{0x20000, 0x1000}}, 1);
    address(1, 8);
    out(COMMAND, 0xc8);
    start_master(false);
    CHECK_EQ(disk.queued, 0);
    start_master(true);
    CHECK_EQ(disk.queued, 1);
    stop_master();
    CHECK_EQ(master_status() & ACTIVE, 0);
    start_master(true);
    CHECK_EQ(disk.queued, 1);
    settle();
    CHECK_EQ(in(STATUS), READY);
    ide_master_enable(&channel, false);
    address(1, 8);
    out(COMMAND, 0xc8);
    start_master(true);
    CHECK_EQ(disk.queued, 0);
    ide_master_enable(&channel, true);
    CHECK_EQ(disk.queued, 1);
    settle();
    CHECK_EQ(in(STATUS), READY);
    rig_stop();
}

static void test_trim(void)
{
    rig_start();
    static const u64 entries[] = {5ull << 48 | 100, 0, 1ull << 48 | (DISK_SECTORS - 1)};
    memcpy(memory.ram + 0x20000, entries, sizeof(entries));
    put_table((const u32[][2]){{0x20000, 0x200}}, 1);
    address_ext(0, 1);
    out(FEATURE, 1);
    out(COMMAND, 0x06);
    start_master(false);
    settle();
    CHECK_EQ(in(STATUS), READY);
    CHECK_EQ(disk.discards, 2);
    CHECK_EQ(disk.discarded, 6 * 512);
    memory.ram[0x20000] = 0xff; /* beyond the end */
    memory.ram[0x20005] = 0xff;
    address_ext(0, 1);
    out(FEATURE, 1);
    out(COMMAND, 0x06);
    start_master(false);
    settle();
    CHECK_EQ(in(STATUS), FAILED);
    address_ext(0, 9);
    out(COMMAND, 0x06);
    CHECK_EQ(in(ERROR), IDE_ABRT);
    rig_stop();
}

int main(void)
{
    test_dma();
    test_odd_tables();
    test_trim();
    return check_report();
}
