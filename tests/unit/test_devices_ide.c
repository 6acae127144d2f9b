/*
 * ATA disk and IDE channel: the registers at each step of PIO and multiple transfers, all kinds of addressing,
 * interrupts, resets, errors, and nonsense, which must not disturb the drive. (Transfers by DMA:
 * test_devices_ide_dma.c.)
 */
#include "ide_rig.h"

static u8 sectors[70000 * 8];

/* --- PIO --- */

static void test_read(void)
{
    rig_start();
    address(7, 2);
    CHECK_EQ(alternate(), READY);
    out(COMMAND, 0x20);
    CHECK_EQ(alternate(), IDE_BSY);
    CHECK(!irq);
    CHECK_EQ(settle(), 1);
    CHECK(irq);
    CHECK_EQ(alternate(), READY_DATA);
    CHECK(irq); /* the alternate status leaves it */
    CHECK_EQ(in(STATUS), READY_DATA);
    CHECK(!irq);
    read_words(sectors, 510);
    CHECK(!irq);
    read_words(sectors + 510, 2);
    CHECK(irq); /* for the second sector */
    CHECK_EQ(in(STATUS), READY_DATA);
    read_words(sectors + 512, 512);
    CHECK(!irq);
    CHECK_EQ(in(STATUS), READY);
    CHECK(!memcmp(sectors, disk.data + 7 * 512, 1024));
    CHECK_EQ(in(COUNT), 0);
    CHECK_EQ(in(LBA_LOW), 8);
    read_words(sectors, 4); /* no data: nothing */
    CHECK_EQ(in(STATUS), READY);
    rig_stop();
}

static void test_string_read(void)
{
    rig_start();
    address(100, 0); /* 256 */
    out(COMMAND, 0x20);
    settle();
    for (u32 at = 0; at < 256 * 512;) {
        CHECK_EQ(alternate(), READY_DATA);
        u32 words = ide_string_ops.read(&channel, DATA, 2, sectors + at, 1000);
        CHECK_EQ(words, 256); /* a DRQ block */
        at += words * 2;
        settle();
        if (!words) break;
    }
    CHECK_EQ(in(STATUS), READY);
    CHECK(!memcmp(sectors, disk.data + 100 * 512, 256 * 512));
    CHECK_EQ(ide_string_ops.read(&channel, DATA, 2, sectors, 1), 0);
    CHECK_EQ(ide_string_ops.read(&channel, COUNT, 1, sectors, 1), 0);
    CHECK_EQ(irqs, 1); /* it was never acknowledged */
    rig_stop();
}

static void test_write(void)
{
    rig_start();
    memset(sectors, 0x5a, 1024);
    address(20, 2);
    out(COMMAND, 0x30);
    CHECK_EQ(alternate(), READY_DATA); /* no interrupt before the first */
    CHECK(!irq);
    write_words(sectors, 512);
    CHECK(irq);
    CHECK_EQ(in(STATUS), READY_DATA);
    CHECK_EQ(ide_string_ops.write(&channel, DATA, 4, sectors, 200), 128);
    CHECK_EQ(in(STATUS), IDE_BSY);
    CHECK(!irq);
    CHECK_EQ(settle(), 1);
    CHECK(irq);
    CHECK_EQ(in(STATUS), READY);
    CHECK(!memcmp(sectors, disk.data + 20 * 512, 1024));
    CHECK(memcmp(sectors, disk.data + 22 * 512, 2));
    CHECK_EQ(disk.flushes, 0);
    rig_stop();
}

static void test_multiple(void)
{
    rig_start();
    out(COUNT, 0);
    out(COMMAND, 0xc6);
    address(0, 4);
    out(COMMAND, 0xc4); /* not set */
    CHECK_EQ(in(STATUS), FAILED);
    CHECK_EQ(in(ERROR), IDE_ABRT);
    out(COUNT, 3);
    out(COMMAND, 0xc6);
    CHECK_EQ(in(STATUS), FAILED);
    out(COUNT, 16);
    out(COMMAND, 0xc6);
    CHECK_EQ(in(STATUS), READY);
    address(50, 40);
    out(COMMAND, 0xc4);
    settle();
    irqs = 0;
    for (unsigned n = 0; n < 3; n++) { /* 16, 16, 8 sectors */
        unsigned words = n < 2 ? 4096 : 2048;
        CHECK_EQ(in(STATUS), READY_DATA);
        CHECK_EQ(ide_string_ops.read(&channel, DATA, 2, sectors + n * 8192, 10000), words);
    }
    CHECK_EQ(irqs, 2);
    CHECK_EQ(in(STATUS), READY);
    CHECK(!memcmp(sectors, disk.data + 50 * 512, 40 * 512));
    for (unsigned n = 0; n < 300 * 512; n++)
        sectors[n] = (u8)(n * 11 + n / 512);
    address_ext(1000, 300); /* more than the buffer holds */
    out(COMMAND, 0x39);
    u32 at = 0;
    while (in(STATUS)&IDE_DRQ) {
        at += 2 * ide_string_ops.write(&channel, DATA, 2, sectors + at, 10000);
        settle();
    }
    CHECK_EQ(at, 300 * 512);
    CHECK_EQ(in(STATUS), READY);
    CHECK(!memcmp(sectors, disk.data + 1000 * 512, 300 * 512));
    rig_stop();
}

/* --- addressing --- */

static void test_addresses(void)
{
    rig_start();
    out(DEVICE, 0xa3); /* CHS: cylinder 2, head 3, sector 4 of 16 heads and 63 sectors */
    out(COUNT, 1);
    out(LBA_LOW, 4);
    out(LBA_MID, 2);
    out(LBA_HIGH, 0);
    out(COMMAND, 0x20);
    settle();
    read_words(sectors, 512);
    CHECK(!memcmp(sectors, disk.data + ((2 * 16 + 3) * 63 + 3) * 512, 512));
    CHECK_EQ(in(LBA_LOW), 4);
    CHECK_EQ(in(LBA_MID), 2);
    CHECK_EQ(in(DEVICE), 0xa3);

    out(LBA_LOW, 0); /* sectors are counted from 1 */
    out(COUNT, 1);
    out(COMMAND, 0x20);
    CHECK_EQ(in(STATUS), FAILED);
    CHECK_EQ(in(ERROR), IDE_IDNF);
    out(DEVICE, 0xa3);
    out(COUNT, 10);
    out(COMMAND, 0x91); /* 4 heads, 10 sectors */
    CHECK_EQ(in(STATUS), READY);
    out(LBA_LOW, 11);
    out(COUNT, 1);
    out(COMMAND, 0x40);
    CHECK_EQ(in(ERROR), IDE_IDNF);
    out(DEVICE, 0xa1);
    out(LBA_LOW, 10);
    out(COUNT, 1);
    out(COMMAND, 0x20);
    settle();
    read_words(sectors, 512);
    CHECK(!memcmp(sectors, disk.data + ((2 * 4 + 1) * 10 + 9) * 512, 512));

    address(DISK_SECTORS - 1, 1);
    out(COMMAND, 0x40);
    settle();
    CHECK_EQ(in(STATUS), READY);
    address(DISK_SECTORS - 1, 2);
    out(COMMAND, 0x40);
    CHECK_EQ(in(ERROR), IDE_IDNF);
    address(DISK_SECTORS, 1);
    out(COMMAND, 0xc8);
    CHECK_EQ(in(ERROR), IDE_IDNF);
    address_ext(0x1000000000000 - 1, 0);
    out(COMMAND, 0x24);
    CHECK_EQ(in(ERROR), IDE_IDNF);

    address_ext(0, 0); /* the last sector: by READ NATIVE MAX ADDRESS EXT, read through HOB */
    out(COMMAND, 0x27);
    CHECK_EQ(in(LBA_LOW), (DISK_SECTORS - 1) & 0xff);
    CHECK_EQ(in(LBA_MID), (DISK_SECTORS - 1) >> 8);
    address_ext(0x123456789abc, 0x5566);
    CHECK_EQ(in(LBA_LOW), 0xbc);
    control(0x80);
    CHECK_EQ(in(LBA_LOW), 0x56);
    CHECK_EQ(in(LBA_MID), 0x34);
    CHECK_EQ(in(LBA_HIGH), 0x12);
    CHECK_EQ(in(COUNT), 0x55);
    out(COUNT, 1); /* a write clears it */
    CHECK_EQ(in(COUNT), 1);
    CHECK_EQ(disk.queued, 0);
    rig_stop();
}

/* --- commands without data --- */

static u16 identify_word(unsigned n)
{
    return (u16)(sectors[n * 2] | sectors[n * 2 + 1] << 8);
}

static void identify(void)
{
    out(DEVICE, 0xa0);
    out(COMMAND, 0xec);
    CHECK_EQ(in(STATUS), READY_DATA);
    read_words(sectors, 512);
}

static void test_features(void)
{
    rig_start();
    identify();
    CHECK_EQ(identify_word(0), 0x0040);
    CHECK_EQ(identify_word(60) | identify_word(61) << 16, DISK_SECTORS);
    CHECK_EQ(identify_word(100), DISK_SECTORS);
    CHECK_EQ(identify_word(1), DISK_SECTORS / (16 * 63));
    CHECK_EQ(identify_word(27), 'R' << 8 | 'I');
    CHECK_EQ(identify_word(10), 'D' << 8 | '1');
    CHECK_EQ(identify_word(85) & 0x20, 0x20);
    CHECK_EQ(identify_word(169), 1);
    u8 sum = 0;
    for (unsigned n = 0; n < 512; n++)
        sum += sectors[n];
    CHECK_EQ(sum, 0);

    out(FEATURE, 0x03);
    out(COUNT, 0x22); /* multiword DMA 2 */
    out(COMMAND, 0xef);
    CHECK_EQ(in(STATUS), READY);
    identify();
    CHECK_EQ(identify_word(63), 0x0407);
    out(FEATURE, 0x03);
    out(COUNT, 0x46); /* UDMA 6: there is none */
    out(COMMAND, 0xef);
    CHECK_EQ(in(STATUS), FAILED);

    out(FEATURE, 0x82); /* no write cache: flushed at once, and after each write */
    out(COMMAND, 0xef);
    settle();
    CHECK_EQ(in(STATUS), READY);
    CHECK_EQ(disk.flushes, 1);
    address(5, 1);
    out(COMMAND, 0x30);
    write_words(sectors, 512);
    settle();
    CHECK_EQ(in(STATUS), READY);
    CHECK_EQ(disk.flushes, 2);
    out(COMMAND, 0xea);
    CHECK_EQ(in(STATUS), IDE_BSY);
    settle();
    CHECK_EQ(in(STATUS), READY);
    CHECK_EQ(disk.flushes, 3);

    out(COMMAND, 0xe5);
    CHECK_EQ(in(COUNT), 0xff);
    out(COMMAND, 0xe0);
    settle();
    out(COMMAND, 0xe5);
    CHECK_EQ(in(COUNT), 0);

    out(FEATURE, 0xda); /* SMART RETURN STATUS: good */
    out(LBA_MID, 0x4f);
    out(LBA_HIGH, 0xc2);
    out(COMMAND, 0xb0);
    CHECK_EQ(in(STATUS), READY);
    CHECK_EQ(in(LBA_MID), 0x4f);
    out(FEATURE, 0xd9);
    out(COMMAND, 0xb0);
    out(FEATURE, 0xda);
    out(COMMAND, 0xb0);
    CHECK_EQ(in(STATUS), FAILED); /* disabled */
    static const u8 unknown[] = {0x00, 0x02, 0x3c, 0x87, 0xa0, 0xa1, 0xf9, 0xff};
    for (unsigned n = 0; n < ARRAY_SIZE(unknown); n++) {
        out(COMMAND, unknown[n]);
        CHECK_EQ(in(STATUS), FAILED);
        CHECK_EQ(in(ERROR), IDE_ABRT);
    }
    rig_stop();
}

/* --- interrupts and resets --- */

static void test_resets(void)
{
    rig_start();
    CHECK_EQ(in(ERROR), 1);
    CHECK_EQ(in(LBA_MID), 0);
    out(DEVICE, 0xb0);
    CHECK_EQ(in(LBA_MID), 0x14);
    CHECK_EQ(in(LBA_HIGH), 0xeb);
    CHECK_EQ(in(STATUS), 0);

    out(DEVICE, 0xa0);
    control(0x02); /* nIEN */
    out(COMMAND, 0x10);
    CHECK(!irq);
    control(0);
    CHECK(irq);
    out(DEVICE, 0xb0); /* the other drive has none */
    CHECK(!irq);
    out(DEVICE, 0xa0);
    CHECK(irq);
    in(STATUS);
    CHECK(!irq);

    address(3, 1); /* a reset while the disk works: busy until it is done, without a visible effect */
    out(COMMAND, 0x20);
    control(0x04);
    CHECK_EQ(alternate(), IDE_BSY);
    control(0);
    CHECK_EQ(alternate(), IDE_BSY);
    out(COMMAND, 0xec);
    CHECK_EQ(alternate(), IDE_BSY);
    settle();
    CHECK_EQ(in(STATUS), READY);
    CHECK_EQ(in(ERROR), 1);
    CHECK_EQ(in(COUNT), 1);
    CHECK(!irq);
    control(0x04);
    out(COMMAND, 0xec); /* not during a reset */
    CHECK_EQ(in(STATUS), IDE_BSY);
    control(0);
    CHECK_EQ(in(STATUS), READY);

    address(3, 1);
    out(COMMAND, 0x20);
    control(0x04);
    settle(); /* done while SRST is up */
    CHECK_EQ(in(STATUS), IDE_BSY);
    control(0);
    CHECK_EQ(in(STATUS), READY);
    address(3, 1);
    out(COMMAND, 0x20);
    control(0x04);
    control(0);
    control(0x04);
    settle(); /* and while it is up again */
    CHECK_EQ(in(STATUS), IDE_BSY);
    control(0);
    CHECK_EQ(in(STATUS), READY);

    put_table((const u32[][2]){{0x20000, 0x600}}, 1); /* DMA's writes to RAM are reported nevertheless */
    address(3, 3);
    out(COMMAND, 0xc8);
    start_master(true);
    control(0x04);
    control(0);
    settle();
    CHECK_EQ(in(STATUS), READY);
    CHECK(!memcmp(memory.ram + 0x20000, disk.data + 3 * 512, 0x600));
    CHECK_EQ(memory.written, 0x600);
    stop_master();

    out(COMMAND, 0x90);
    CHECK(irq);
    CHECK_EQ(in(ERROR), 1);
    CHECK_EQ(in(STATUS), READY);

    address(3, 1); /* the whole machine, while a write waits for its data */
    out(COMMAND, 0x30);
    ide_reset(&channel);
    CHECK_EQ(in(STATUS), READY);
    write_words(sectors, 512);
    CHECK_EQ(disk.queued, 0);

    /* A channel without drives, and a channel without drive 1. */
    ide_init(&channel, (struct irq_line){set_irq, NULL, 14}, fake_dma(&memory));
    CHECK_EQ(in(STATUS), 0);
    out(COMMAND, 0xec);
    CHECK_EQ(in(STATUS), 0);
    ide_attach(&channel, 0, IDE_DISK, &disk.disk, "D1");
    out(DEVICE, 0xb0);
    out(COUNT, 0x55);
    CHECK_EQ(in(COUNT), 0);
    out(COMMAND, 0xec);
    CHECK_EQ(in(STATUS), 0);
    CHECK(!irq);
    rig_stop();
}

/* --- errors --- */

static void test_errors(void)
{
    rig_start();
    disk.bad_sector = 105;
    address(100, 10);
    out(COMMAND, 0x20);
    settle();
    for (unsigned n = 0; n < 5; n++) { /* the good sectors are delivered */
        CHECK_EQ(in(STATUS), READY_DATA);
        read_words(sectors, 512);
        CHECK(!memcmp(sectors, disk.data + (100 + n) * 512, 512));
        settle();
    }
    CHECK(irq);
    CHECK_EQ(in(STATUS), FAILED);
    CHECK_EQ(in(ERROR), IDE_UNC);
    CHECK_EQ(in(LBA_LOW), 105);
    CHECK_EQ(in(COUNT), 5);
    address_ext(80, 600); /* READ VERIFY SECTORS reads them too, and transfers nothing */
    out(COMMAND, 0x42);
    settle();
    CHECK(irq);
    CHECK_EQ(in(STATUS), FAILED);
    CHECK_EQ(in(ERROR), IDE_UNC);
    CHECK_EQ(in(LBA_LOW), 105);
    address_ext(106, 600);
    out(COMMAND, 0x42);
    settle();
    CHECK_EQ(in(STATUS), READY);
    CHECK_EQ(in(LBA_LOW), 705 & 0xff);

    put_table((const u32[][2]){{0x20000, 0x1000}}, 1);
    address(104, 8);
    out(COMMAND, 0xc8);
    start_master(true);
    settle();
    CHECK(irq);
    CHECK_EQ(master_status(), INTERRUPT | ACTIVE); /* the table was not used up */
    CHECK_EQ(in(STATUS), FAILED);
    CHECK_EQ(in(ERROR), IDE_UNC);
    CHECK_EQ(in(LBA_LOW), 105);
    CHECK_EQ(in(COUNT), 7);
    CHECK(!memcmp(memory.ram + 0x20000, disk.data + 104 * 512, 512)); /* the good sectors have arrived */
    stop_master();
    /* At any position in a long transfer with odd descriptors. */
    for (unsigned bad = 200; bad < 200 + 64; bad += 3) {
        memset(memory.ram + 0x20000, 0, 0x10000);
        disk.bad_sector = bad;
        put_table((const u32[][2]){{0x20000, 0x1002}, {0x21002, 0x300}, {0x21302, 0x8000 - 0x1302}}, 3);
        address_ext(200, 64);
        out(COMMAND, 0x25);
        start_master(true);
        settle();
        CHECK_EQ(in(STATUS), FAILED);
        CHECK_EQ(in(LBA_LOW), bad & 0xff);
        CHECK_EQ(in(LBA_MID), bad >> 8);
        CHECK_EQ(in(COUNT), 264 - bad);
        CHECK_EQ(master_status(), INTERRUPT | ACTIVE);
        CHECK(!memcmp(memory.ram + 0x20000, disk.data + 200 * 512, (bad - 200) * 512));
        stop_master();
    }
    disk.bad_sector = 105;
    put_table((const u32[][2]){{0x20000, 0x1000}}, 1);
    address(104, 8);
    out(COMMAND, 0xca);
    start_master(false);
    settle();
    CHECK_EQ(in(STATUS), FAILED | IDE_DF);
    CHECK_EQ(in(ERROR), IDE_ABRT);
    CHECK_EQ(in(LBA_LOW), 105);
    address(0, 1);
    out(COMMAND, 0x20); /* as if nothing had happened */
    settle();
    CHECK_EQ(in(STATUS), READY_DATA);
    read_words(sectors, 512);

    disk.disk.read_only = true;
    address(0, 1);
    out(COMMAND, 0x30);
    CHECK_EQ(in(ERROR), IDE_ABRT);
    out(COMMAND, 0xca);
    CHECK_EQ(in(ERROR), IDE_ABRT);
    rig_stop();
}

/* Random writes in any order, while the disk answers now and then. Only the sanitizers can find an error here; after
 * a reset the drive works. */
static void test_noise(void)
{
    u64 state = 88172645463325252ull;
    rig_start();
    for (unsigned n = 0; n < 400000; n++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32 r = (u32)(state >> 20), value = (u32)(state >> 40);
        static const u8 likely_commands[] = {0x20, 0xc8, 0xca, 0x30, 0xa0, 0xc4, 0xc5, 0xc6,
                                             0x25, 0x35, 0x06, 0xe7, 0xec, 0xa1, 0x08};
        switch (r % 16) {
        case 0:
        case 1:
        case 2:
        case 3: out(r >> 8 & 7, (u8)value); break;
        case 4: out(COMMAND, likely_commands[value % sizeof(likely_commands)]); break;
        case 5: in(r >> 8 & 7); break;
        case 6:
            if (!(value & 15)) control((u8)(value >> 8));
            break;
        case 7: ide_master_write(&channel, r >> 8 & 7, (u8)value); break;
        case 8: ide_master_write(&channel, MASTER_COMMAND, value & 9); break;
        case 9: ide_command_ops.write(&channel, DATA, 1u << (r >> 8) % 3, value); break;
        case 10: ide_command_ops.read(&channel, DATA, 1u << (r >> 8) % 3); break;
        case 11: ide_string_ops.read(&channel, DATA, 2, sectors, value & 0xffff); break;
        case 12: ide_string_ops.write(&channel, DATA, 2, sectors, value & 0xfff); break;
        case 13: memory_disk_run(&disk, 1); break;
        case 14: memory_disk_run(&cd, 1); break;
        default: out(DEVICE, value & 1 ? 0xe0 : 0xf0); break;
        }
    }
    control(0);
    control(4);
    settle();
    control(0);
    settle();
    memory_disk_fill(&disk);
    address(7, 1);
    out(COMMAND, 0x20);
    settle();
    CHECK_EQ(in(STATUS), READY_DATA);
    read_words(sectors, 512);
    CHECK(!memcmp(sectors, disk.data + 7 * 512, 512));
    rig_stop();
}

int main(void)
{
    test_read();
    test_string_read();
    test_write();
    test_multiple();
    test_addresses();
    test_features();
    test_resets();
    test_errors();
    test_noise();
    return check_report();
}
