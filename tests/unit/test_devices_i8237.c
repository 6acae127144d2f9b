/*
 * DMA transfers of the 8237 pair: directions, ends, autoinitialization, wrap-around, words on the second controller,
 * the cascade, requests that wait for their channel, and channels without a device.
 */
#include "devices/chipset/i8237.h"

#include "check.h"
#include "memory_disk.h"

static struct i8237_pair dma;
static struct fake_memory memory;
static unsigned served;
static u8 bytes[0x20000];

static void out(unsigned port, u8 value)
{
    if (port >= 0xc0)
        i8237_ops.write(&dma.controller[1], port - 0xc0, 1, value);
    else if (port >= 0x80)
        dma_page_ops.write(&dma, port - 0x80, 1, value);
    else
        i8237_ops.write(&dma.controller[0], port, 1, value);
}
static u8 in(unsigned port)
{
    if (port >= 0xc0) return (u8)i8237_ops.read(&dma.controller[1], port - 0xc0, 1);
    return (u8)i8237_ops.read(&dma.controller[0], port, 1);
}

/* Low byte first. */
static u16 in16(unsigned port)
{
    u8 low = in(port);
    return (u16)(low | in(port) << 8);
}

static void serve(void *device)
{
    served++;
}

/* Channel 2, or 6 (word = 1). */
static void set_up(bool word, u8 mode, u8 page, u16 address, u16 count)
{
    unsigned base = word ? 0xc0 : 0, shift = word;
    out(base + (12 << shift), 0);
    out(base + (11 << shift), (u8)(mode | 2));
    out(base + (4 << shift), (u8)address);
    out(base + (4 << shift), (u8)(address >> 8));
    out(base + (5 << shift), (u8)count);
    out(base + (5 << shift), (u8)(count >> 8));
    out(word ? 0x89 : 0x81, page);
    out(base + (10 << shift), 2);
}

static void start(void)
{
    memset(&memory, 0, sizeof(memory));
    for (unsigned n = 0; n < sizeof(bytes); n++)
        bytes[n] = (u8)(n * 5 + (n >> 8));
    i8237_init(&dma, fake_dma(&memory));
    i8237_connect(&dma, 2, serve, NULL);
    i8237_connect(&dma, 6, serve, NULL);
    served = 0;
    out(0xd6, 0xc0); /* cascade */
    out(0xd4, 0);
}

static void test_transfers(void)
{
    bool end;
    start();
    set_up(false, 0x44, 1, 0x2000, 999); /* single, to memory */
    CHECK_EQ(i8237_transfer(&dma, 2, bytes, 400, &end), 400);
    CHECK(!end);
    CHECK_EQ(in16(4), 0x2000 + 400);
    CHECK_EQ(in16(5), 599);
    CHECK_EQ(in(8), 0);
    CHECK_EQ(i8237_transfer(&dma, 2, bytes + 400, 1000, &end), 600);
    CHECK(end);
    CHECK(!memcmp(memory.ram + 0x12000, bytes, 1000));
    CHECK_EQ(memory.ram[0x12000 + 1000], 0);
    CHECK_EQ(in16(5), 0xffff);
    CHECK_EQ(in(8), 0x04);
    CHECK_EQ(in(8), 0);
    CHECK_EQ(i8237_transfer(&dma, 2, bytes, 1, &end), 0); /* masked by its end */
    CHECK(!end);

    u8 back[1000];
    set_up(false, 0x58, 1, 0x2000, 99); /* from memory, autoinitialize */
    for (unsigned n = 0; n < 2; n++) {
        CHECK_EQ(i8237_transfer(&dma, 2, back, 1000, &end), 100);
        CHECK(end);
        CHECK(!memcmp(back, bytes, 100));
    }
    set_up(false, 0x40, 1, 0x2000, 99); /* verify */
    memset(back, 1, sizeof(back));
    CHECK_EQ(i8237_transfer(&dma, 2, back, 1000, &end), 100);
    CHECK_EQ(back[0], 1);
    CHECK(!memcmp(memory.ram + 0x12000, bytes, 1000));

    set_up(false, 0x44, 1, 0xfff0, 0x1f); /* the page does not count along */
    CHECK_EQ(i8237_transfer(&dma, 2, bytes, 0x20, &end), 0x20);
    CHECK(!memcmp(memory.ram + 0x1fff0, bytes, 0x10));
    CHECK(!memcmp(memory.ram + 0x10000, bytes + 0x10, 0x10));
    set_up(false, 0x64, 1, 0x3003, 3); /* downward */
    CHECK_EQ(i8237_transfer(&dma, 2, bytes, 4, &end), 4);
    CHECK_EQ(memory.ram[0x13003], bytes[0]);
    CHECK_EQ(memory.ram[0x13000], bytes[3]);
    set_up(false, 0x44, 1, 0, 0xffff); /* all 64 KB */
    CHECK_EQ(i8237_transfer(&dma, 2, bytes, 0x20000, &end), 0x10000);
    CHECK(end);
    CHECK(!memcmp(memory.ram + 0x10000, bytes, 0x10000));

    set_up(true, 0x44, 5, 0x8000, 0xff); /* words: bit 0 of the page does not count */
    CHECK_EQ(i8237_transfer(&dma, 6, bytes, 5, &end), 4);
    CHECK_EQ(i8237_transfer(&dma, 6, bytes + 4, 10000, &end), 508);
    CHECK(end);
    CHECK(!memcmp(memory.ram + 0x50000, bytes, 512));
    CHECK_EQ(in(0xd0), 0x04);
    set_up(false, 0x44, 0x20, 0, 9); /* nowhere */
    CHECK_EQ(i8237_transfer(&dma, 2, bytes, 10, &end), 10);
}

static void test_requests(void)
{
    bool end;
    start();
    set_up(false, 0x44, 1, 0, 9);
    out(10, 6); /* mask */
    i8237_request(&dma, 2, true);
    CHECK_EQ(served, 0);
    CHECK_EQ(in(8), 0x40);
    out(10, 2);
    CHECK_EQ(served, 1);
    i8237_request(&dma, 2, false);
    CHECK_EQ(in(8), 0);
    out(8, 4); /* the controller is disabled */
    i8237_request(&dma, 2, true);
    CHECK_EQ(served, 1);
    CHECK(!i8237_granted(&dma, 2));
    out(8, 0);
    CHECK_EQ(served, 2);
    i8237_request(&dma, 2, false);
    out(0xd4, 4); /* the cascade is masked */
    i8237_request(&dma, 2, true);
    CHECK_EQ(served, 2);
    CHECK_EQ(i8237_transfer(&dma, 2, bytes, 1, &end), 0);
    out(0xd4, 0);
    CHECK_EQ(served, 3);

    out(11, 0x85); /* a block of channel 1 on software's request: no device answers, ones are written */
    out(12, 0);
    out(2, 0), out(2, 0x40), out(3, 3), out(3, 0);
    out(0x83, 1);
    out(10, 1);
    out(9, 5);
    CHECK_EQ(memory.ram[0x14000], 0xff);
    CHECK_EQ(memory.ram[0x14003], 0xff);
    CHECK_EQ(memory.ram[0x14004], 0);
    CHECK_EQ(in(8) & 0x22, 0x02);
    out(11, 0x95); /* the same with autoinitialization: once a request */
    out(10, 1);
    out(9, 5);
    CHECK_EQ(in(8) & 0x22, 0x02);
}

/* Random writes to all registers, while devices transfer what they can. */
static void test_noise(void)
{
    u64 state = 88172645463325252ull;
    start();
    for (unsigned n = 0; n < 200000; n++) {
        bool end;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        static const u8 bases[] = {0x00, 0x80, 0xc0, 0x08};
        unsigned port = bases[state & 3] + (state >> 8 & 15);
        if (state >> 60 == 0) i8237_request(&dma, state >> 20 & 7, state >> 30 & 1);
        if (state >> 60 == 1) i8237_transfer(&dma, state >> 20 & 7, bytes, state >> 40 & 0xffff, &end);
        if (port < 16 || port >= 0x80) out(port, (u8)(state >> 16));
        if (port < 16 || port >= 0xc0) in(port);
    }
    CHECK(true);
}

int main(void)
{
    test_transfers();
    test_requests();
    test_noise();
    return check_report();
}
