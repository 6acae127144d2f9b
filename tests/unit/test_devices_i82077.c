/*
 * The floppy controller: each command's bytes, transfers by DMA and through the FIFO, ends of tracks and counts,
 * errors, the change line, resets, and diskettes of all sizes.
 */
#include "devices/storage/i82077.h"

#include "check.h"
#include "memory_disk.h"

enum { DOR = 2, MSR = 4, FIFO = 5 };
enum { RQM = 0x80, TO_HOST = 0x40, NO_DMA = 0x20, BUSY = 0x10 };

struct fake_clock {
    struct clock clock;
    u64 now;
};

static struct fake_clock fake;
static struct i8237_pair dma;
static struct fake_memory memory;
static struct memory_disk disk[2];
static struct i82077 fdc;
static bool irq;
static unsigned irqs; /* rising edges */
static u8 result[16];
static unsigned results;

static u64 now_ns(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->now;
}
static void set_irq(void *receiver, unsigned pin, bool level)
{
    irqs += level && !irq;
    irq = level;
}

static u8 in(u32 port)
{
    return (u8)i82077_ops.read(&fdc, port, 1);
}
static void out(u32 port, u8 value)
{
    i82077_ops.write(&fdc, port, 1, value);
}
static u8 change(void)
{
    return i82077_change_ops.read(&fdc, 0, 1) >> 7;
}
static void set_rate(enum floppy_rate rate)
{
    i82077_change_ops.write(&fdc, 0, 1, rate);
}

/* Lets time pass and the disks work until nothing happens any more. */
static void settle(void)
{
    bool busy = true;
    while (busy) {
        busy = memory_disk_run(&disk[0], 1000) | memory_disk_run(&disk[1], 1000);
        if (clock_next_deadline(&fake.clock) == UINT64_MAX) continue;
        fake.now = clock_next_deadline(&fake.clock);
        clock_run(&fake.clock);
        busy = true;
    }
}

static void send(const u8 *bytes, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        CHECK_EQ(in(MSR) & (RQM | TO_HOST), RQM);
        out(FIFO, bytes[n]);
    }
}
static void take_result(void)
{
    results = 0;
    while ((in(MSR) & (RQM | TO_HOST | BUSY | NO_DMA)) == (RQM | TO_HOST | BUSY) && results < sizeof(result))
        result[results++] = in(FIFO);
}
static void command(const u8 *bytes, unsigned count)
{
    send(bytes, count);
    settle();
    take_result();
}
#define COMMAND(...) command((const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

/* Channel 2: from or to 10000h. */
static void set_dma(bool to_memory, u32 bytes)
{
    struct i8237 *chip = &dma.controller[0];
    i8237_ops.write(chip, 12, 1, 0);
    i8237_ops.write(chip, 11, 1, to_memory ? 0x46 : 0x4a);
    i8237_ops.write(chip, 4, 1, 0), i8237_ops.write(chip, 4, 1, 0);
    i8237_ops.write(chip, 5, 1, (bytes - 1) & 0xff), i8237_ops.write(chip, 5, 1, (bytes - 1) >> 8);
    dma_page_ops.write(&dma, 1, 1, 1);
    i8237_ops.write(chip, 10, 1, 2);
}

static void expect(u8 st0, u8 st1, u8 st2, u8 c, u8 h, u8 r)
{
    CHECK_EQ(results, 7);
    CHECK_EQ(result[0], st0);
    CHECK_EQ(result[1], st1);
    CHECK_EQ(result[2], st2);
    CHECK_EQ(result[3], c);
    CHECK_EQ(result[4], h);
    CHECK_EQ(result[5], r);
    CHECK(!irq);
}

static void seek(u8 cylinder)
{
    COMMAND(0x0f, 0, cylinder);
    CHECK(irq);
    COMMAND(0x08);
    CHECK_EQ(result[0], 0x20);
    CHECK_EQ(result[1], cylinder);
    CHECK(!irq);
}

static void start(u64 sectors, enum floppy_rate rate)
{
    memset(&fake, 0, sizeof(fake));
    memset(&memory, 0, sizeof(memory));
    fake.clock.now_ns = now_ns;
    irq = false;
    i8237_init(&dma, fake_dma(&memory));
    i8237_ops.write(&dma.controller[1], 0x16, 1, 0xc0);
    i8237_ops.write(&dma.controller[1], 0x14, 1, 0);
    i82077_init(&fdc, &fake.clock, (struct irq_line){set_irq, NULL, 6}, &dma);
    memory_disk_init(&disk[0], sectors);
    memory_disk_init(&disk[1], 1440);
    i82077_attach(&fdc, 0, &disk[0].disk);
    i82077_attach(&fdc, 1, &disk[1].disk);
    CHECK_EQ(in(MSR), 0);
    out(DOR, 0x1c);
    CHECK(irq);
    for (unsigned n = 0; n < 4; n++) {
        COMMAND(0x08);
        CHECK_EQ(results, 2);
        CHECK_EQ(result[0], 0xc0 | n);
    }
    CHECK(!irq);
    COMMAND(0x08);
    CHECK_EQ(results, 1);
    CHECK_EQ(result[0], 0x80);
    set_rate(rate);
    COMMAND(0x03, 0xaf, 0x02);
    CHECK_EQ(results, 0);
}

static void stop(void)
{
    memory_disk_free(&disk[0]);
    memory_disk_free(&disk[1]);
}

static u32 lba(u8 c, u8 h, u8 r)
{
    return (c * 2u + h) * 18 + r - 1;
}

static void test_read(void)
{
    start(2880, FLOPPY_RATE_500K);
    CHECK_EQ(change(), 1);
    COMMAND(0x07, 0);
    COMMAND(0x08);
    CHECK_EQ(result[0], 0x20);
    CHECK_EQ(change(), 1); /* it was there: no step */
    set_dma(true, 1024);
    COMMAND(0xe6, 0, 0, 0, 3, 2, 18, 0x1b, 0xff);
    expect(0, 0, 0, 0, 0, 5);
    CHECK(!memcmp(memory.ram + 0x10000, disk[0].data + 2 * 512, 1024));
    CHECK_EQ(memory.ram[0x10400], 0);
    seek(20);
    CHECK_EQ(change(), 0);
    set_dma(true, 36 * 512); /* a cylinder */
    COMMAND(0xe6, 0, 20, 0, 1, 2, 18, 0x1b, 0xff);
    expect(4, 0, 0, 21, 0, 1);
    CHECK(!memcmp(memory.ram + 0x10000, disk[0].data + lba(20, 0, 1) * 512, 36 * 512));
    set_dma(true, 512); /* the last of side 0: the result is on side 1 */
    COMMAND(0xe6, 0, 20, 0, 18, 2, 18, 0x1b, 0xff);
    expect(0, 0, 0, 20, 1, 1);
    set_dma(true, 512); /* without MT it is the next cylinder's */
    COMMAND(0x66, 0, 20, 0, 18, 2, 18, 0x1b, 0xff);
    expect(0, 0, 0, 21, 0, 1);
    set_dma(true, 4096); /* more than the track has */
    COMMAND(0x66, 4, 20, 1, 17, 2, 18, 0x1b, 0xff);
    expect(0x44, 0x80, 0, 21, 1, 1);
    CHECK(!memcmp(memory.ram + 0x10000, disk[0].data + lba(20, 1, 17) * 512, 1024));
    set_dma(true, 100); /* less than a sector */
    COMMAND(0x66, 4, 20, 1, 1, 2, 18, 0x1b, 0xff);
    expect(4, 0, 0, 20, 1, 2);
    set_dma(true, 1024);
    COMMAND(0x42, 4, 20, 1, 7, 2, 18, 0x1b, 0xff); /* READ TRACK begins at its beginning */
    CHECK(!memcmp(memory.ram + 0x10000, disk[0].data + lba(20, 1, 1) * 512, 1024));

    COMMAND(0x4a, 0);
    CHECK_EQ(result[3], 20);
    u8 first = result[5];
    COMMAND(0x4a, 4);
    CHECK_EQ(result[4], 1);
    CHECK_EQ(result[5], first + 1);

    set_dma(true, 512); /* what is not there */
    COMMAND(0x66, 0, 20, 0, 19, 2, 19, 0x1b, 0xff);
    expect(0x40, 0x04, 0, 20, 0, 19);
    COMMAND(0x66, 0, 20, 0, 0, 2, 18, 0x1b, 0xff);
    expect(0x40, 0x04, 0, 20, 0, 0);
    COMMAND(0x66, 0, 21, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x40, 0x04, 0x10, 21, 0, 1);
    COMMAND(0x66, 0, 20, 0, 1, 3, 18, 0x1b, 0xff);
    expect(0x40, 0x04, 0, 20, 0, 1);
    set_rate(FLOPPY_RATE_250K);
    COMMAND(0x4a, 0);
    expect(0x40, 0x01, 0, 0, 0, 0);
    set_rate(FLOPPY_RATE_500K);
    out(DOR, 0x0c); /* the motor is off */
    COMMAND(0x66, 0, 20, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x40, 0x01, 0, 20, 0, 1);
    out(DOR, 0x1c);
    disk[0].bad_sector = lba(20, 0, 2);
    set_dma(true, 4096);
    COMMAND(0x66, 0, 20, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0x40, 0x20, 0x20, 20, 0, 2);
    COMMAND(0x6c, 0, 20, 0, 1, 2, 18, 0x1b, 0xff); /* deleted data: none */
    expect(0x40, 0x80, 0x40, 20, 0, 1);
    stop();
}

static void test_write(void)
{
    start(2880, FLOPPY_RATE_500K);
    seek(79);
    for (unsigned n = 0; n < 1500; n++)
        memory.ram[0x10000 + n] = (u8)(n * 3 + n / 512);
    set_dma(false, 1300);
    COMMAND(0xc5, 4, 79, 1, 4, 2, 18, 0x1b, 0xff);
    expect(4, 0, 0, 79, 1, 7);
    const u8 *at = disk[0].data + lba(79, 1, 4) * 512;
    CHECK(!memcmp(at, memory.ram + 0x10000, 1300));
    CHECK_EQ(at[1300], 0); /* the rest of the sector */
    CHECK_EQ(at[1535], 0);

    /* VERIFY: to the track's end, and with a count. */
    COMMAND(0x56, 4, 79, 1, 1, 2, 18, 0x1b, 0xff);
    expect(4, 0, 0, 80, 1, 1);
    COMMAND(0x56, 0x84, 79, 1, 4, 2, 18, 0x1b, 3);
    expect(4, 0, 0, 79, 1, 7);
    disk[0].bad_sector = lba(79, 1, 5);
    COMMAND(0x56, 0x84, 79, 1, 4, 2, 18, 0x1b, 3);
    expect(0x44, 0x20, 0x20, 79, 1, 5);
    disk[0].bad_sector = UINT64_MAX;

    /* SCAN for the second sector's bytes, with a wildcard byte. */
    memcpy(memory.ram + 0x10000, at + 512, 512);
    memcpy(memory.ram + 0x10200, at + 512, 512);
    memory.ram[0x10203] = 0xff;
    set_dma(false, 1024);
    COMMAND(0x51, 4, 79, 1, 4, 2, 18, 0x1b, 1);
    expect(4, 0, 0x08, 79, 1, 5);
    memory.ram[0x10005] ^= 1;
    set_dma(false, 512);
    COMMAND(0x51, 4, 79, 1, 5, 2, 18, 0x1b, 1);
    expect(4, 0, 0x04, 79, 1, 6);

    /* FORMAT two sectors of a track. */
    static const u8 ids[] = {79, 0, 5, 2, 79, 0, 1, 2};
    memcpy(memory.ram + 0x10000, ids, sizeof(ids));
    set_dma(false, 8);
    COMMAND(0x4d, 0, 2, 2, 0x54, 0xf6);
    CHECK_EQ(result[0], 0);
    CHECK_EQ(disk[0].data[lba(79, 0, 5) * 512], 0xf6);
    CHECK_EQ(disk[0].data[lba(79, 0, 1) * 512 + 511], 0xf6);
    CHECK(disk[0].data[lba(79, 0, 2) * 512 + 1] != 0xf6);

    disk[0].disk.read_only = true;
    COMMAND(0x04, 4);
    CHECK_EQ(result[0], 0x6c);
    set_dma(false, 512);
    COMMAND(0xc5, 4, 79, 1, 4, 2, 18, 0x1b, 0xff);
    expect(0x44, 0x02, 0, 79, 1, 4);
    COMMAND(0x4d, 0, 2, 2, 0x54, 0xf6);
    CHECK_EQ(result[1], 0x02);
    stop();
}

static void test_fifo(void)
{
    start(2880, FLOPPY_RATE_500K);
    COMMAND(0x03, 0xaf, 0x03); /* no DMA */
    send((const u8[]){0x46, 0, 0, 0, 17, 2, 18, 0x1b, 0xff}, 9);
    u8 bytes[1024];
    irqs = 0;
    for (unsigned n = 0; n < 1024; n++) {
        settle();
        CHECK_EQ(in(MSR), RQM | TO_HOST | NO_DMA | BUSY);
        CHECK(irq);
        CHECK_EQ(irqs, n + 1); /* an edge for each byte: the 8259 takes no other */
        bytes[n] = in(FIFO);
    }
    settle();
    CHECK(!memcmp(bytes, disk[0].data + 16 * 512, 1024));
    take_result();
    expect(0x40, 0x80, 0, 1, 0, 1); /* no terminal count: the end of the track is an error */
    send((const u8[]){0x45, 0, 0, 0, 18, 2, 18, 0x1b, 0xff}, 9);
    settle();
    irqs = 0;
    for (unsigned n = 0; n < 512; n++) {
        CHECK_EQ(in(MSR), RQM | NO_DMA | BUSY);
        out(FIFO, (u8)(n ^ 0x5a));
        CHECK_EQ(irqs, n + (n < 511)); /* the first rose before the first byte */
    }
    settle();
    take_result();
    expect(0x40, 0x80, 0, 1, 0, 1);
    CHECK_EQ(disk[0].data[17 * 512 + 1], 0x5b);

    /* With the FIFO on and a threshold of 4, INT gives 12 bytes when reading. */
    COMMAND(0x13, 0, 0x03, 0);
    send((const u8[]){0x46, 0, 0, 0, 18, 2, 18, 0x1b, 0xff}, 9);
    irqs = 0;
    for (unsigned n = 0; n < 512; n++) {
        settle();
        CHECK_EQ(irqs, n / 12 + 1);
        CHECK_EQ(in(FIFO), disk[0].data[17 * 512 + n]);
    }
    settle();
    take_result();
    expect(0x40, 0x80, 0, 1, 0, 1);
    /* Writing, it takes 16 bytes at first and then 12. */
    send((const u8[]){0x45, 0, 0, 0, 18, 2, 18, 0x1b, 0xff}, 9);
    irqs = 0;
    settle();
    for (unsigned n = 0; n < 512; n++) {
        CHECK_EQ(irqs, n < 16 ? 1 : (n - 16) / 12 + 2);
        out(FIFO, (u8)n);
    }
    settle();
    take_result();
    expect(0x40, 0x80, 0, 1, 0, 1);
    stop();
}

static void test_control(void)
{
    start(2880, FLOPPY_RATE_500K);
    COMMAND(0x10);
    CHECK_EQ(result[0], 0x90);
    COMMAND(0x18); /* PART ID is a later chip's */
    CHECK_EQ(results, 1);
    CHECK_EQ(result[0], 0x80);
    COMMAND(0x13, 0, 0x57, 9);
    COMMAND(0x12, 0x84);
    COMMAND(0x94);
    CHECK_EQ(result[0], 0x10);
    COMMAND(0x0e);
    CHECK_EQ(results, 10);
    CHECK_EQ(result[4], 0xaf);
    CHECK_EQ(result[7], 0x84);
    CHECK_EQ(result[8], 0x57);
    out(MSR, 0x80); /* by way of DSR; the configuration is locked, and says not to poll */
    settle();
    COMMAND(0x0e);
    CHECK_EQ(result[8], 0x57);
    set_rate(FLOPPY_RATE_500K);
    set_dma(true, 512); /* implied seek */
    COMMAND(0x66, 0, 33, 0, 1, 2, 18, 0x1b, 0xff);
    expect(0, 0, 0, 33, 0, 2);
    memcpy(memory.ram + 0x10000, (const u8[]){33, 0, 1, 2}, 4); /* these two name no cylinder */
    set_dma(false, 4);
    COMMAND(0x4d, 0, 2, 1, 0x54, 0xf6);
    CHECK_EQ(result[0], 0);
    CHECK_EQ(disk[0].data[lba(33, 0, 1) * 512], 0xf6);
    COMMAND(0x4a, 0);
    CHECK_EQ(result[3], 33);
    COMMAND(0x14);
    out(DOR, 0x18);
    CHECK_EQ(in(MSR), 0);
    out(DOR, 0x1c);
    CHECK(irq);
    COMMAND(0x0e);
    CHECK_EQ(result[8], 0x20);
    for (unsigned n = 0; n < 4; n++)
        COMMAND(0x08);

    COMMAND(0x8f, 0, 7); /* relative: outward, to 0 at most */
    COMMAND(0x08);
    CHECK_EQ(result[1], 0);
    COMMAND(0xcf, 0, 7);
    COMMAND(0x08);
    CHECK_EQ(result[1], 7);
    COMMAND(0x07, 2); /* no such drive */
    COMMAND(0x08);
    CHECK_EQ(result[0], 0x72);
    send((const u8[]){0x0f, 0, 40}, 3);
    CHECK_EQ(in(MSR), RQM | 1);
    out(DOR, 0x14); /* the gate is closed: no interrupt gets out */
    settle();
    CHECK(!irq);
    out(DOR, 0x1c);
    CHECK(irq);
    COMMAND(0x08);

    memset(memory.ram + 0x10000, 0, 512);
    set_dma(true, 512); /* a reset while the disk works */
    send((const u8[]){0x66, 0, 40, 0, 1, 2, 18, 0x1b, 0xff}, 9);
    fake.now = clock_next_deadline(&fake.clock);
    clock_run(&fake.clock);
    CHECK_EQ(disk[0].queued, 1);
    out(DOR, 0x18);
    out(DOR, 0x1c);
    CHECK_EQ(in(MSR), 0);
    settle();
    CHECK_EQ(in(MSR), RQM);
    CHECK(irq);
    CHECK_EQ(memory.ram[0x10000] | memory.ram[0x10001], 0);
    stop();
}

static void test_diskettes(void)
{
    static const struct {
        u16 sectors;
        u8 sides, tracks, per_track, type;
        enum floppy_rate rate;
    } sizes[] = {{320, 1, 40, 8, 1, FLOPPY_RATE_250K},   {360, 1, 40, 9, 1, FLOPPY_RATE_250K},
                 {640, 2, 40, 8, 1, FLOPPY_RATE_250K},   {720, 2, 40, 9, 1, FLOPPY_RATE_250K},
                 {1440, 2, 80, 9, 3, FLOPPY_RATE_250K},  {2400, 2, 80, 15, 2, FLOPPY_RATE_500K},
                 {2880, 2, 80, 18, 4, FLOPPY_RATE_500K}, {5760, 2, 80, 36, 5, FLOPPY_RATE_1M}};
    for (unsigned n = 0; n < ARRAY_SIZE(sizes); n++) {
        start(sizes[n].sectors, sizes[n].rate);
        CHECK_EQ(fdc.drive[0].type, sizes[n].type);
        u8 last = sizes[n].tracks - 1, side = sizes[n].sides - 1;
        seek(last);
        set_dma(true, 512);
        COMMAND(0x66, side << 2, last, side, sizes[n].per_track, 2, sizes[n].per_track, 0x1b, 0xff);
        CHECK_EQ(result[0], side << 2);
        CHECK(!memcmp(memory.ram + 0x10000, disk[0].data + (sizes[n].sectors - 1) * 512, 512));
        COMMAND(0x66, side << 2, last, side, sizes[n].per_track + 1, 2, sizes[n].per_track + 1, 0x1b, 0xff);
        CHECK_EQ(result[1], 0x04);
        COMMAND(0x4a, 4); /* a diskette with one side has nothing on the other */
        CHECK_EQ(result[1], side ? 0 : 0x01);
        stop();
    }
    CHECK(!floppy_format_of(0));
    CHECK(!floppy_format_of(3u << 20));
    CHECK_EQ(floppy_format_of(512)->type, FLOPPY_DRIVE_1440K);

    /* 40 tracks in the drive of a 1.2 MB one: faster, and every second track. */
    start(2400, FLOPPY_RATE_300K);
    seek(2);
    CHECK_EQ(change(), 0);
    disk[0].disk.bytes = 720 * 512;
    i82077_medium_changed(&fdc, 0);
    CHECK_EQ(change(), 1);
    COMMAND(0x4a, 0);
    expect(0, 0, 0, 1, 0, 1);
    disk[0].disk.bytes = 0; /* out */
    i82077_medium_changed(&fdc, 0);
    seek(3);
    CHECK_EQ(change(), 1);
    COMMAND(0x4a, 0);
    CHECK_EQ(result[1], 0x01);
    set_dma(true, 512);
    COMMAND(0xe6, 1, 0, 0, 1, 2, 9, 0x1b, 0xff); /* and drive B; its motor is off */
    CHECK_EQ(result[1], 0x01);
    stop();
}

static void test_noise(void)
{
    u64 state = 88172645463325252ull;
    start(2880, FLOPPY_RATE_500K);
    for (unsigned n = 0; n < 400000; n++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32 r = (u32)(state >> 20), value = (u32)(state >> 40);
        static const u8 opcodes[] = {0xe6, 0xc5, 0x4d, 0x51, 0x59, 0x5d, 0x56,
                                     0x0f, 0x07, 0x08, 0x4a, 0x42, 0x13};
        switch (r % 10) {
        case 0: out(r >> 8 & 7, (u8)value); break;
        case 1: in(r >> 8 & 7); break;
        case 2: out(FIFO, opcodes[value % sizeof(opcodes)]); break;
        case 3:
        case 4: out(FIFO, value % 20); break;
        case 5: in(FIFO); break;
        case 6:
            if (!(value & 7)) out(DOR, (u8)(0x1c | (value >> 8 & 0x23)));
            break;
        case 7: set_dma(value & 1, value >> 4 & 0xfff); break;
        case 8: memory_disk_run(&disk[0], 1), memory_disk_run(&disk[1], 1); break;
        default: fake.now += value & 0x3ffff, clock_run(&fake.clock);
        }
    }
    out(DOR, 0);
    settle();
    out(DOR, 0x1c);
    settle();
    CHECK_EQ(in(MSR), RQM);
    stop();
}

int main(void)
{
    test_read();
    test_write();
    test_fifo();
    test_control();
    test_diskettes();
    test_noise();
    return check_report();
}
