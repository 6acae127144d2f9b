/*
 * ATAPI CD drive: the phases of the PACKET command by PIO and DMA, byte count limits, sense data, changes of the
 * medium, and the replies of the commands that ask for information.
 */
#include "devices/storage/cd_sector.h"
#include "ide_rig.h"

enum { REASON_PACKET = 1, REASON_TO_GUEST = 2, REASON_END = 3 };

static u8 got[0x40000];
static u32 got_bytes;
static unsigned blocks;
static unsigned change_after; /* blocks, if not 0: the disc is exchanged then */

/* By the host: the tray opens, has another disc (or none) put in, and closes. */
static void change_disc(u64 bytes)
{
    ide_move_tray(&channel.drive[1], true);
    cd.disk.bytes = bytes;
    ide_move_tray(&channel.drive[1], false);
}

/* Sends a packet by PIO; all data that it returns go into `got`. */
static u8 packet(const u8 *command, u16 limit)
{
    got_bytes = blocks = 0;
    out(DEVICE, 0xb0);
    out(FEATURE, 0);
    out(LBA_MID, (u8)limit);
    out(LBA_HIGH, (u8)(limit >> 8));
    out(COMMAND, 0xa0);
    CHECK_EQ(alternate() & (IDE_BSY | IDE_DRQ), IDE_DRQ);
    CHECK_EQ(in(COUNT), REASON_PACKET);
    CHECK(!irq);
    write_words(command, 12);
    for (;;) {
        settle();
        CHECK(irq);
        u8 status = in(STATUS);
        CHECK(!irq);
        if (!(status & IDE_DRQ)) {
            CHECK_EQ(in(COUNT), REASON_END);
            return status;
        }
        CHECK_EQ(in(COUNT), REASON_TO_GUEST);
        u32 bytes = in(LBA_MID) | in(LBA_HIGH) << 8;
        if (!bytes || got_bytes + bytes > sizeof(got) - 1) return 0;
        read_words(got + got_bytes, bytes);
        got_bytes += bytes;
        if (++blocks == change_after) change_disc(cd.disk.bytes);
    }
}

#define PACKET(...) packet((const u8[12]){__VA_ARGS__}, 0xfffe)

/* Check condition, and the answer of REQUEST SENSE. */
static void expect_sense(u8 status, u8 key, u16 code)
{
    CHECK_EQ(status, FAILED);
    CHECK_EQ(in(ERROR) >> 4, key);
    CHECK_EQ(PACKET(0x03, 0, 0, 0, 18), READY);
    CHECK_EQ(got_bytes, 18);
    CHECK_EQ(got[0], 0x70);
    CHECK_EQ(got[2], key);
    CHECK_EQ(got[12] << 8 | got[13], code);
    PACKET(0x03, 0, 0, 0, 18);
    CHECK_EQ(got[2], 0);
}

/* An unrecovered read error of this sector, after `good` bytes. */
static void expect_bad_sector(u8 status, u32 good, u32 sector)
{
    CHECK_EQ(status, FAILED);
    CHECK_EQ(in(ERROR) >> 4, 3);
    CHECK_EQ(got_bytes, good);
    CHECK_EQ(PACKET(0x03, 0, 0, 0, 18), READY);
    CHECK_EQ(got[0], 0xf0);
    CHECK_EQ((u32)got[3] << 24 | got[4] << 16 | got[5] << 8 | got[6], sector);
    CHECK_EQ(got[12] << 8 | got[13], 0x1100);
}

static void start(void)
{
    rig_start();
    expect_sense(PACKET(0x00), 6, 0x2900); /* reset: the first thing it reports */
    CHECK_EQ(PACKET(0x00), READY);
}

static void test_identify(void)
{
    rig_start();
    out(DEVICE, 0xb0);
    CHECK_EQ(in(STATUS), 0);
    out(COMMAND, 0xec);
    CHECK_EQ(in(STATUS), FAILED);
    CHECK_EQ(in(LBA_MID), 0x14);
    CHECK_EQ(in(LBA_HIGH), 0xeb);
    out(COMMAND, 0xa1);
    CHECK_EQ(in(STATUS), READY_DATA);
    read_words(got, 512);
    CHECK_EQ(got[0] | got[1] << 8, 0x85c0);
    out(COMMAND, 0x08);
    CHECK_EQ(in(LBA_MID), 0x14);
    CHECK_EQ(in(STATUS), 0);
    CHECK(!irq);
    out(LBA_MID, 0);
    out(COMMAND, 0x20); /* no disk, by its signature */
    CHECK_EQ(in(ERROR), IDE_ABRT);
    CHECK_EQ(in(LBA_MID), 0x14);
    out(FEATURE, 0x03);
    out(COUNT, 0x47); /* there is no such mode */
    out(COMMAND, 0xef);
    CHECK_EQ(in(ERROR), IDE_ABRT);
    CHECK_EQ(PACKET(0x12, 0, 0, 0, 96), READY);
    CHECK_EQ(got_bytes, 36);
    CHECK_EQ(got[0], 5);
    CHECK_EQ(got[1], 0x80);
    CHECK(!memcmp(got + 8, "RINGER  CD-ROM          ", 24));
    CHECK_EQ(PACKET(0x12, 0, 0, 0, 5), READY);
    CHECK_EQ(got_bytes, 5);
    CHECK_EQ(PACKET(0x12, 0, 0, 0, 0), READY);
    CHECK_EQ(got_bytes, 0);
    rig_stop();
}

/* --- the code of a raw sector, by its definition: syndromes are 0 --- */

static u8 field_times(u8 a, u8 b)
{
    u8 product = 0;
    for (; b; b >>= 1) {
        if (b & 1) product ^= a;
        a = (u8)(a << 1 ^ (a & 0x80 ? 0x1d : 0));
    }
    return product;
}

/* The bytes at `at` of a vector, the first one with the highest power of alpha. */
static void check_vector(const u8 *matrix, const unsigned *at, unsigned length)
{
    u8 sum = 0, weighted = 0, power = 1;
    for (unsigned n = length; n--;) {
        sum ^= matrix[at[n]];
        weighted ^= field_times(matrix[at[n]], power);
        power = field_times(power, 2);
    }
    CHECK_EQ(sum, 0);
    CHECK_EQ(weighted, 0);
}

/* ECMA-130 annex A: words 0 to 1117 behind the synchronization; P and Q vectors. */
static void check_code(const u8 *raw)
{
    const u8 *matrix = raw + 12;
    unsigned at[45];
    u32 crc = 0;
    for (unsigned n = 0; n < 2068; n++) {
        crc ^= raw[n];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xd8018001 : 0);
    }
    CHECK_EQ(crc, 0);
    for (unsigned byte = 0; byte < 2; byte++) {
        for (unsigned column = 0; column < 43; column++) {
            for (unsigned row = 0; row < 26; row++)
                at[row] = (43 * row + column) * 2 + byte;
            check_vector(matrix, at, 26);
        }
        for (unsigned diagonal = 0; diagonal < 26; diagonal++) {
            for (unsigned n = 0; n < 43; n++)
                at[n] = (44 * n + 43 * diagonal) % 1118 * 2 + byte;
            at[43] = (43 * 26 + diagonal) * 2 + byte;
            at[44] = (44 * 26 + diagonal) * 2 + byte;
            check_vector(matrix, at, 45);
        }
    }
}

static void test_read(void)
{
    start();
    CHECK_EQ(PACKET(0x25), READY);
    CHECK_EQ(got_bytes, 8);
    CHECK_EQ(got[2] << 8 | got[3], CD_SECTORS - 1);
    CHECK_EQ(got[6], 8);
    CHECK_EQ(PACKET(0x28, 0, 0, 0, 0, 17, 0, 0, 1), READY);
    CHECK_EQ(got_bytes, 2048);
    CHECK_EQ(blocks, 1);
    CHECK(!memcmp(got, cd.data + 17 * 2048, 2048));
    CHECK_EQ(packet((const u8[12]){0x28, 0, 0, 0, 0, 3, 0, 0, 3}, 1001), READY); /* 1000 at a time */
    CHECK_EQ(got_bytes, 3 * 2048);
    CHECK_EQ(blocks, 7);
    CHECK(!memcmp(got, cd.data + 3 * 2048, 3 * 2048));
    CHECK_EQ(PACKET(0xa8, 0, 0, 0, 0, 100, 0, 0, 0, 120), READY); /* more than the buffer */
    CHECK_EQ(got_bytes, 120 * 2048);
    CHECK(!memcmp(got, cd.data + 100 * 2048, 120 * 2048));
    CHECK_EQ(PACKET(0x28, 0, 0, 0, 0, 17, 0, 0, 0), READY);
    CHECK_EQ(got_bytes, 0);
    expect_sense(PACKET(0x28, 0, 0, 0, 1, 0xf4, 0, 0, 1), 5, 0x2100);
    expect_sense(PACKET(0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff), 5, 0x2100);
    expect_sense(PACKET(0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff), 5, 0x2100);
    expect_sense(PACKET(0xff), 5, 0x2000);
    cd.bad_sector = 21 * 4 + 1;
    expect_bad_sector(PACKET(0x28, 0, 0, 0, 0, 20, 0, 0, 2), 2048, 21);
    CHECK_EQ(PACKET(0x28, 0, 0, 0, 0, 20, 0, 0, 1), READY);
    expect_bad_sector(PACKET(0xbe, 0, 0, 0, 0, 19, 0, 0, 30, 0xf0), 2 * 2064, 21);

    /* READ CD: data, everything but the code, and parts that the disc does not have. */
    CHECK_EQ(PACKET(0xbe, 0, 0, 0, 0, 40, 0, 0, 2, 0x10), READY);
    CHECK_EQ(got_bytes, 4096);
    CHECK(!memcmp(got, cd.data + 40 * 2048, 4096));
    CHECK_EQ(PACKET(0xbe, 0, 0, 0, 0, 40, 0, 0, 40, 0xf0), READY);
    CHECK_EQ(got_bytes, 40 * 2064);
    CHECK_EQ(got[1], 0xff);
    CHECK_EQ(got[12] << 16 | got[13] << 8 | got[14], 0x000240); /* frame 190 */
    CHECK_EQ(got[15], 1);
    bool same = true;
    for (unsigned n = 0; n < 40; n++)
        same &= !memcmp(got + n * 2064 + 16, cd.data + (40 + n) * 2048, 2048);
    CHECK(same);
    CHECK_EQ(PACKET(0xbe, 0, 0, 0, 0, 40, 0, 0, 20, 0xf8), READY);
    CHECK_EQ(got_bytes, 20 * CD_RAW_BYTES);
    for (unsigned n = 0; n < 20; n++) {
        check_code(got + n * CD_RAW_BYTES);
        same &= !memcmp(got + n * CD_RAW_BYTES + 16, cd.data + (40 + n) * 2048, 2048);
    }
    CHECK(same);
    CHECK_EQ(PACKET(0xb9, 0, 0, 0, 2, 40, 0, 2, 42, 0x10), READY);
    CHECK_EQ(got_bytes, 4096);
    CHECK(!memcmp(got, cd.data + 40 * 2048, 4096));
    expect_sense(PACKET(0xbe, 0x04, 0, 0, 0, 40, 0, 0, 1, 0x10), 5, 0x6400); /* audio */
    expect_sense(PACKET(0xbe, 0, 0, 0, 0, 40, 0, 0, 1, 0x10, 1), 5, 0x2400);
    rig_stop();
}

static u8 dma_packet(const u8 *command)
{
    stop_master(); /* or it goes on with the last command's table */
    out(DEVICE, 0xb0);
    out(FEATURE, 1);
    out(LBA_MID, 0);
    out(LBA_HIGH, 0);
    out(COMMAND, 0xa0);
    write_words(command, 12);
    start_master(true);
    settle();
    return in(STATUS);
}

static void test_dma(void)
{
    start();
    put_table((const u32[][2]){{0x20000, 0x10000}}, 1);
    CHECK_EQ(dma_packet((const u8[12]){0x28, 0, 0, 0, 0, 50, 0, 0, 32}), READY);
    CHECK_EQ(master_status(), INTERRUPT);
    CHECK_EQ(in(COUNT), REASON_END);
    CHECK(!memcmp(memory.ram + 0x20000, cd.data + 50 * 2048, 32 * 2048));
    CHECK_EQ(memory.written, 32 * 2048);
    CHECK_EQ(dma_packet((const u8[12]){0x12, 0, 0, 0, 36}), READY); /* what is no sector */
    CHECK_EQ(master_status(), ACTIVE | INTERRUPT);
    CHECK(!memcmp(memory.ram + 0x20008, "RINGER", 6));
    put_table((const u32[][2]){{0x20000, 0x8000}, {0x40000, 0x8000}}, 2); /* 2060 bytes a sector */
    CHECK_EQ(dma_packet((const u8[12]){0xbe, 0, 0, 0, 0, 50, 0, 0, 30, 0x90}), READY);
    CHECK(!memcmp(memory.ram + 0x20000 + 2060 + 12, cd.data + 51 * 2048, 2048));
    CHECK(!memcmp(memory.ram + 0x40000 + 29 * 2060 + 12 - 0x8000, cd.data + 79 * 2048, 2048));
    cd.bad_sector = 60 * 4;
    put_table((const u32[][2]){{0x20000, 0x10000}}, 1);
    memset(memory.ram + 0x20000, 0, 0x10000);
    got_bytes = 0;
    expect_bad_sector(dma_packet((const u8[12]){0x28, 0, 0, 0, 0, 50, 0, 0, 32}), 0, 60);
    CHECK(!memcmp(memory.ram + 0x20000, cd.data + 50 * 2048, 10 * 2048));
    CHECK_EQ(dma_packet((const u8[12]){0x28, 0, 0, 0, 9, 50, 0, 0, 32}), FAILED);
    CHECK_EQ(in(ERROR) >> 4, 5);
    rig_stop();
}

static void test_medium(void)
{
    start();
    CHECK_EQ(PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), READY);
    CHECK_EQ(got_bytes, 8);
    CHECK_EQ(got[2], 4);
    CHECK_EQ(got[4], 0);
    CHECK_EQ(got[5], 2); /* there is one */
    expect_sense(PACKET(0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), 5, 0x2400);

    CHECK_EQ(PACKET(0x1e, 0, 0, 0, 1), READY); /* locked */
    expect_sense(PACKET(0x1b, 0, 0, 0, 2), 5, 0x5302);
    CHECK_EQ(PACKET(0x1e), READY);
    CHECK_EQ(PACKET(0x1b, 0, 0, 0, 2), READY); /* out */
    expect_sense(PACKET(0x00), 2, 0x3a02);
    expect_sense(PACKET(0x28, 0, 0, 0, 0, 17, 0, 0, 1), 2, 0x3a02);
    CHECK_EQ(PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), READY);
    CHECK_EQ(got[4], 3);
    CHECK_EQ(got[5], 1);
    CHECK_EQ(PACKET(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), READY);
    CHECK_EQ(got[1] & 0x10, 0x10);
    CHECK_EQ(PACKET(0x1b, 0, 0, 0, 3), READY); /* and in */
    expect_sense(PACKET(0x00), 6, 0x2800);
    CHECK_EQ(PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), READY);
    CHECK_EQ(got[4], 2);
    PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8);
    CHECK_EQ(got[4], 0);
    CHECK_EQ(PACKET(0x00), READY);

    u64 bytes = cd.disk.bytes; /* another disc, and none */
    change_disc(0);
    expect_sense(PACKET(0x25), 2, 0x3a01);
    CHECK_EQ(PACKET(0x46, 0, 0, 0, 0, 0, 0, 0xff, 0xff), READY);
    CHECK_EQ(got[6] << 8 | got[7], 0);
    change_disc(bytes - 4 * 2048);
    CHECK_EQ(PACKET(0x03, 0, 0, 0, 18), READY); /* REQUEST SENSE has it too */
    CHECK_EQ(got[2], 6);
    CHECK_EQ(PACKET(0x25), READY);
    CHECK_EQ(got[2] << 8 | got[3], CD_SECTORS - 5);
    change_after = 2; /* in the middle of a command: what it gives is of one disc */
    expect_sense(PACKET(0xa8, 0, 0, 0, 0, 100, 0, 0, 0, 120), 6, 0x2800);
    change_after = 0;
    rig_stop();
}

/* MODE SELECT(10), or (6), with this list, by PIO in blocks of `limit` or (0) by DMA. */
static u8 select_mode(u8 opcode, const u8 *list, u8 bytes, u16 limit)
{
    const u8 command[12] = {opcode, 0x10, 0, 0, opcode == 0x15 ? bytes : 0, 0, 0, 0, bytes};
    out(DEVICE, 0xb0);
    out(FEATURE, !limit);
    out(LBA_MID, (u8)limit);
    out(LBA_HIGH, 0);
    out(COMMAND, 0xa0);
    write_words(command, 12);
    if (!limit) {
        memcpy(memory.ram + 0x20000, list, bytes);
        put_table((const u32[][2]){{0x20000, 0x100}}, 1);
        start_master(false);
        stop_master();
        CHECK(irq);
        return in(STATUS);
    }
    for (unsigned at = 0; at < bytes;) {
        CHECK(irq);
        CHECK_EQ(in(STATUS), READY_DATA);
        CHECK_EQ(in(COUNT), 0);
        u8 now = in(LBA_MID);
        CHECK_EQ(now, bytes - at < limit ? bytes - at : limit);
        if (!now) break;
        write_words(list + at, now);
        at += now;
    }
    CHECK(irq);
    CHECK_EQ(in(COUNT), REASON_END);
    return in(STATUS);
}

static void test_mode_select(void)
{
    start();
    u8 list[8 + 8 + 8] = {[8] = 0x01, 6, 0x04, 20, [16] = 0x0d, 6, 0, 0, 0, 60, 0, 75};
    CHECK_EQ(select_mode(0x55, list, 24, 10), READY);
    CHECK_EQ(PACKET(0x5a, 0, 0x01, 0, 0, 0, 0, 0, 16), READY);
    CHECK_EQ(got[10] << 8 | got[11], 0x0414);
    CHECK_EQ(PACKET(0x5a, 0, 0x41, 0, 0, 0, 0, 0, 16), READY); /* changeable, */
    CHECK_EQ(got[9] << 16 | got[10] << 8 | got[11], 0x0637ff);
    CHECK_EQ(PACKET(0x5a, 0, 0x81, 0, 0, 0, 0, 0, 16), READY); /* default */
    CHECK_EQ(got[10] << 8 | got[11], 0x0005);
    list[11] = 30;
    list[21] = 61; /* a value that cannot be changed: then none is */
    expect_sense(select_mode(0x55, list, 24, 0), 5, 0x2600);
    PACKET(0x5a, 0, 0x01, 0, 0, 0, 0, 0, 16);
    CHECK_EQ(got[11], 20);
    CHECK_EQ(select_mode(0x55, list, 16, 0), READY);
    PACKET(0x5a, 0, 0x01, 0, 0, 0, 0, 0, 16);
    CHECK_EQ(got[11], 30);
    CHECK_EQ(select_mode(0x15, (const u8[]){0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 8, 0, 1, 6, 0, 7, 0, 0, 0, 0}, 20,
                         256 - 2),
             READY); /* a block descriptor before it */
    CHECK_EQ(PACKET(0x1a, 0, 0x01, 0, 12), READY);
    CHECK_EQ(got[7], 7);
    expect_sense(select_mode(0x55, list, 7, 6), 5, 0x1a00); /* less than a header, than a page */
    expect_sense(select_mode(0x55, list, 9, 6), 5, 0x1a00);
    expect_sense(select_mode(0x55, list, 15, 6), 5, 0x1a00);
    list[8] = 0x05; /* no such page */
    expect_sense(select_mode(0x55, list, 16, 8), 5, 0x2600);
    CHECK_EQ(PACKET(0x55, 0x10), READY); /* no list */
    expect_sense(PACKET(0x55, 0x11, 0, 0, 0, 0, 0, 0, 8), 5, 0x2400);
    rig_stop();
}

static void test_informing(void)
{
    start();
    static const u8 toc[] = {0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 1, 0xf4};
    CHECK_EQ(PACKET(0x43, 0, 0, 0, 0, 0, 0, 1, 0), READY);
    CHECK_EQ(got_bytes, sizeof(toc));
    CHECK(!memcmp(got, toc, sizeof(toc)));
    static const u8 msf[] = {0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x14, 0xaa, 0, 0, 0, 8, 50};
    CHECK_EQ(PACKET(0x43, 2, 0, 0, 0, 0, 0, 1, 0), READY);
    CHECK(!memcmp(got, msf, sizeof(msf)));
    CHECK_EQ(PACKET(0x43, 2, 0, 0, 0, 0, 0xaa, 1, 0), READY);
    CHECK_EQ(got_bytes, 12);
    expect_sense(PACKET(0x43, 2, 0, 0, 0, 0, 2, 1, 0), 5, 0x2400);
    CHECK_EQ(PACKET(0x43, 0, 1, 0, 0, 0, 0, 1, 0), READY);
    CHECK_EQ(got_bytes, 12);
    CHECK_EQ(PACKET(0x43, 0, 0, 0, 0, 0, 0, 1, 0, 0x40), READY); /* the old place of the format */
    CHECK_EQ(got_bytes, 12);
    CHECK_EQ(PACKET(0x43, 2, 2, 0, 0, 0, 1, 1, 0), READY);
    CHECK_EQ(got_bytes, 48);
    CHECK_EQ(got[4 + 22 + 3], 0xa2);
    CHECK_EQ(got[4 + 22 + 9], 8);
    expect_sense(PACKET(0x43, 2, 5, 0, 0, 0, 1, 1, 0), 5, 0x2400);

    CHECK_EQ(PACKET(0x5a, 0, 0x3f, 0, 0, 0, 0, 1, 0), READY);
    CHECK_EQ(got_bytes, 8 + 8 + 8 + 20);
    CHECK_EQ(got[1], got_bytes - 2);
    CHECK_EQ(got[8], 0x01);
    CHECK_EQ(got[24], 0x2a);
    CHECK_EQ(PACKET(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 12), READY);
    CHECK_EQ(got_bytes, 12);
    CHECK_EQ(PACKET(0x1a, 0, 0x01, 0, 255), READY);
    CHECK_EQ(got_bytes, 12);
    expect_sense(PACKET(0x5a, 0, 0x11, 0, 0, 0, 0, 1, 0), 5, 0x2400);
    expect_sense(PACKET(0x5a, 0, 0xc1, 0, 0, 0, 0, 1, 0), 5, 0x3900);

    CHECK_EQ(PACKET(0x46, 0, 0, 0, 0, 0, 0, 1, 0), READY);
    CHECK_EQ(got[6] << 8 | got[7], 8);
    CHECK_EQ(got[3], got_bytes - 4);
    CHECK_EQ(PACKET(0x46, 2, 0, 0x1e, 0, 0, 0, 1, 0), READY);
    CHECK_EQ(got_bytes, 16);
    CHECK_EQ(got[8] << 8 | got[9], 0x1e);
    CHECK_EQ(PACKET(0x51, 0, 0, 0, 0, 0, 0, 1, 0), READY);
    CHECK_EQ(got_bytes, 34);
    CHECK_EQ(PACKET(0x42, 2, 0x40, 1, 0, 0, 0, 1, 0), READY);
    CHECK_EQ(got_bytes, 16);
    CHECK_EQ(PACKET(0xbb), READY);
    expect_sense(PACKET(0xad, 0, 0, 0, 0, 0, 0, 0, 16, 0), 5, 0x2400); /* no DVD */
    rig_stop();
}

int main(void)
{
    test_identify();
    test_read();
    test_dma();
    test_medium();
    test_informing();
    test_mode_select();
    return check_report();
}
