/*
 * The flash chip by its commands: what each shows, what it refuses, sequences that are broken off, and a host that
 * cannot store.
 */
#include "check.h"
#include "devices/storage/nor_flash.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES = 0x24000, READY = 0x80 };

static u8 array[BYTES], stored[BYTES];
static bool shown_array, can_store;
static unsigned switches;
static struct nor_flash chip;

static void show_array(void *machine, bool is_array)
{
    shown_array = is_array;
    switches++;
}

static bool store(void *machine, u32 offset, const u8 *bytes, u32 count)
{
    CHECK(offset % 512 == 0 && count % 512 == 0 && count && offset + count <= BYTES);
    if (can_store) memcpy(stored + offset, bytes, count);
    return can_store;
}

static void power_on(bool read_only)
{
    static const struct nor_flash_wiring wiring = {show_array, store, NULL};
    for (unsigned n = 0; n < BYTES; n++)
        array[n] = stored[n] = (u8)(n * 7 + n / 256);
    shown_array = can_store = true;
    nor_flash_init(&chip, array, BYTES, read_only, &wiring);
    nor_flash_reset(&chip);
}

static void out(u32 offset, u8 value)
{
    nor_flash_ops.write(&chip, offset, 1, value);
}

static u32 in(u32 offset)
{
    return nor_flash_ops.read(&chip, offset, 1);
}

static u8 status(void)
{
    out(0, 0x70);
    u8 value = (u8)in(0);
    out(0, 0x50);
    out(0, 0xff);
    return value;
}

static void check_kept(void)
{
    CHECK(!memcmp(array, stored, BYTES));
}

static void test_reads(void)
{
    power_on(false);
    CHECK_EQ(nor_flash_ops.read(&chip, 5, 4),
             (u32)array[5] | array[6] << 8 | array[7] << 16 | (u32)array[8] << 24);
    out(0x3000, 0x98);
    CHECK(!shown_array);
    CHECK_EQ(nor_flash_ops.read(&chip, 0x10, 4), 0x01595251); /* QRY, command set 1 */
    CHECK_EQ(nor_flash_ops.read(&chip, 0x31, 4), 0x31495250); /* PRI1 */
    CHECK_EQ(in(0x27), 18);                                   /* not a power of two: the next one */
    CHECK_EQ(nor_flash_ops.read(&chip, 0x2d, 4), 0x00100000 | (BYTES / 4096 - 1));
    out(0, 0x90);
    CHECK_EQ(in(0x1002), 0);
    out(0, 0xff);
    CHECK(shown_array);
    CHECK_EQ(in(0x10), array[0x10]);
    /* Beyond the end there is nothing. */
    out(BYTES, 0x98);
    CHECK(shown_array);
    CHECK_EQ(in(BYTES), 0xff);
    /* The status of a cleared chip is 0; switches are told once. */
    CHECK_EQ(status(), 0);
    switches = 0;
    out(0, 0x70);
    out(0, 0x90);
    out(0, 0xff);
    out(0, 0xff);
    CHECK_EQ(switches, 2);
}

static void test_program_and_erase(void)
{
    power_on(false);
    array[0x1234] = stored[0x1234] = 0xf0;
    out(0x1234, 0x40);
    out(0x1234, 0x3c);
    CHECK_EQ(in(0x1234), READY);
    out(0, 0xff);
    CHECK_EQ(in(0x1234), 0x30);
    out(0x1fff, 0x20);
    out(0x1fff, 0xd0);
    CHECK_EQ(status(), READY);
    for (u32 n = 0; n < BYTES; n++)
        if ((array[n] == 0xff) != (n / 4096 == 1 || (u8)(n * 7 + n / 256) == 0xff)) CHECK_EQ(n, 0);
    check_kept();
    /* Erase without its confirmation. */
    out(0, 0x20);
    out(0, 0xff);
    CHECK_EQ(status(), READY | 0x30);
    CHECK_EQ(status(), 0);
    check_kept();
}

static void test_buffer(void)
{
    power_on(false);
    memset(array + 0x2000, 0xff, 4096);
    memcpy(stored, array, BYTES);
    out(0x2044, 0xe8);
    CHECK_EQ(in(0x2044), READY);
    out(0x2044, 3 - 1);
    out(0x2044, 0x11);
    out(0x2045, 0x22);
    out(0x205f, 0x33);
    out(0x2044, 0xd0);
    CHECK_EQ(status(), READY);
    CHECK(array[0x2044] == 0x11 && array[0x2045] == 0x22 && array[0x205f] == 0x33 && array[0x2046] == 0xff);
    check_kept();
    /* Too many bytes; an address outside of the buffer; another command instead of the confirmation. */
    out(0x2044, 0xe8);
    out(0x2044, 32);
    CHECK_EQ(status(), READY | 0x30);
    out(0x2044, 0xe8);
    out(0x2044, 1);
    out(0x2044, 0x00);
    out(0x2060, 0x00);
    CHECK_EQ(status(), READY | 0x30);
    out(0x2044, 0xe8);
    out(0x2044, 0);
    out(0x2044, 0x00);
    out(0x2044, 0xff);
    CHECK_EQ(status(), READY | 0x30);
    CHECK_EQ(array[0x2044], 0x11);
    check_kept();
}

/* Commands with a second byte; each returns the status. */
static u8 command(u32 offset, u8 first, u8 second)
{
    out(offset, first);
    out(offset, second);
    return status();
}
static u8 program_zero(u32 offset)
{
    return command(offset, 0x40, 0);
}
static u8 erase(u32 offset)
{
    return command(offset, 0x20, 0xd0);
}

static void test_refusals(void)
{
    power_on(false);
    out(0x3000, 0x60);
    out(0x3000, 0x01);
    out(0, 0x90);
    CHECK_EQ(in(0x3002), 1);
    CHECK_EQ(in(0x4002), 0);
    out(0x3000, 0x50);
    CHECK_EQ(program_zero(0x3010), READY | 0x12);
    CHECK_EQ(erase(0x3010), READY | 0x22);
    nor_flash_reset(&chip); /* the machine is reset: the lock stays */
    CHECK_EQ(program_zero(0x3010), READY | 0x12);
    CHECK(array[0x3010] != 0);
    CHECK_EQ(command(0x3000, 0x60, 0xd0), READY);
    CHECK_EQ(program_zero(0x3010), READY);
    CHECK_EQ(array[0x3010], 0);
    CHECK_EQ(command(0, 0x60, 0x55), READY | 0x30);
    check_kept();

    can_store = false;
    u8 before = array[0x5001];
    CHECK_EQ(program_zero(0x5001), READY | 0x10);
    CHECK_EQ(erase(0x5001), READY | 0x20);
    CHECK_EQ(array[0x5001], before);

    power_on(true);
    CHECK_EQ(program_zero(0x5001), READY | 0x18);
    CHECK_EQ(erase(0x5001), READY | 0x28);
    CHECK_EQ(array[0x5001], before);
    check_kept();
}

/* Any bytes at any address: the chip must neither leave its array nor differ from what was stored. */
static void test_random(void)
{
    static const u8 commands[] = {0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98,
                                  0xb0, 0xd0, 0xe8, 0xff, 1,    31,   255};
    power_on(false);
    srand(7);
    for (unsigned n = 0; n < 200000; n++) {
        u32 offset = (u32)rand() % (BYTES + 8);
        unsigned size = 1u << rand() % 3;
        u32 value = rand() % 4 ? commands[(unsigned)rand() % sizeof(commands)] : (u32)rand();
        can_store = rand() % 8;
        if (rand() % 3)
            nor_flash_ops.write(&chip, offset, size, value);
        else
            nor_flash_ops.read(&chip, offset, size);
    }
    check_kept();
}

int main(void)
{
    test_reads();
    test_program_and_erase();
    test_buffer();
    test_refusals();
    test_random();
    return check_report();
}
