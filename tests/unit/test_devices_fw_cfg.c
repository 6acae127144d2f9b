/*
 * The firmware configuration device: ports, directory, transfers, and hostile guests.
 */
#include "devices/chipset/fw_cfg.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_BYTES 65536u
#define DESCRIPTOR   0x100u
#define BUFFER       0x1000u

static u8 memory[MEMORY_BYTES];
static u64 touched; /* bytes that went over the bus */

static void memory_read(void *opaque, u64 gpa, void *buffer, u64 bytes)
{
    touched += bytes;
    for (u64 n = 0; n < bytes; n++)
        ((u8 *)buffer)[n] = gpa + n < MEMORY_BYTES ? memory[gpa + n] : 0xff;
}

static void memory_write(void *opaque, u64 gpa, const void *buffer, u64 bytes)
{
    touched += bytes;
    for (u64 n = 0; n < bytes; n++)
        if (gpa + n < MEMORY_BYTES) memory[gpa + n] = ((const u8 *)buffer)[n];
}

static const struct dma dma = {.read = memory_read, .write = memory_write};

static void put_big(u8 *at, u64 value, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n++)
        at[n] = (u8)(value >> 8 * (bytes - 1 - n));
}

static u32 get_big(const u8 *at, unsigned bytes)
{
    u32 value = 0;
    for (unsigned n = 0; n < bytes; n++)
        value = value << 8 | at[n];
    return value;
}

static void start(struct fw_cfg *cfg, u64 gpa)
{
    fw_cfg_dma_ops.write(cfg, 0, 4, __builtin_bswap32((u32)(gpa >> 32)));
    fw_cfg_dma_ops.write(cfg, 4, 4, __builtin_bswap32((u32)gpa));
}

/* Returns what the descriptor's control word has become. */
static u32 transfer(struct fw_cfg *cfg, u32 control, u32 bytes, u64 address)
{
    put_big(memory + DESCRIPTOR, control, 4);
    put_big(memory + DESCRIPTOR + 4, bytes, 4);
    put_big(memory + DESCRIPTOR + 8, address, 8);
    start(cfg, DESCRIPTOR);
    return get_big(memory + DESCRIPTOR, 4);
}

static void select_key(struct fw_cfg *cfg, u16 key)
{
    fw_cfg_ops.write(cfg, 0, 2, key);
}

static u8 next(struct fw_cfg *cfg)
{
    return (u8)fw_cfg_ops.read(cfg, 1, 1);
}

enum { READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

static void test_ports(struct fw_cfg *cfg)
{
    const char *expected = "QEMU";
    for (unsigned n = 0; n < 4; n++)
        CHECK_EQ(next(cfg), expected[n]); /* selected by reset */
    CHECK_EQ(next(cfg), 0);
    select_key(cfg, FW_CFG_ID);
    CHECK_EQ(next(cfg), 3);
    CHECK_EQ(next(cfg), 0);
    select_key(cfg, 0x7777);
    for (unsigned n = 0; n < 100; n++)
        CHECK_EQ(next(cfg), 0);
    select_key(cfg, FW_CFG_SIGNATURE);
    fw_cfg_ops.write(cfg, 1, 1, 'x'); /* the data port takes nothing */
    fw_cfg_ops.write(cfg, 0, 1, 1);   /* the selector is a word */
    CHECK_EQ(next(cfg), 'Q');
    CHECK_EQ(fw_cfg_ops.read(cfg, 0, 2), 0xffffffff);
}

static void test_directory(struct fw_cfg *cfg)
{
    CHECK(fw_cfg_put_file(cfg, "etc/one", "12345", 5, false));
    CHECK(fw_cfg_put_file(cfg, "etc/two", "", 0, false));
    CHECK(fw_cfg_put_file(cfg, "etc/one", "abcdefg", 7, false)); /* again: the new contents */
    CHECK_EQ(transfer(cfg, FW_CFG_DIRECTORY << 16 | SELECT | READ, 4 + 2 * 64, BUFFER), 0);
    CHECK_EQ(get_big(memory + BUFFER, 4), 2);
    const u8 *one = memory + BUFFER + 4, *two = one + 64;
    CHECK_EQ(get_big(one, 4), 7);
    CHECK_EQ(get_big(one + 4, 2), FW_CFG_FIRST_FILE);
    CHECK(!strcmp((const char *)one + 8, "etc/one"));
    CHECK_EQ(get_big(two, 4), 0);
    CHECK_EQ(get_big(two + 4, 2), FW_CFG_FIRST_FILE + 1);
    select_key(cfg, FW_CFG_FIRST_FILE);
    CHECK_EQ(next(cfg), 'a');
    CHECK_EQ(next(cfg), 'b');
    char long_name[FW_CFG_NAME_BYTES + 1];
    memset(long_name, 'n', FW_CFG_NAME_BYTES);
    long_name[FW_CFG_NAME_BYTES] = '\0';
    CHECK(!fw_cfg_put_file(cfg, long_name, "", 0, false));
    CHECK(!fw_cfg_put_file(cfg, "", "", 0, false));
}

static void test_transfers(struct fw_cfg *cfg)
{
    CHECK_EQ(fw_cfg_dma_ops.read(cfg, 0, 4), 'Q' | 'E' << 8 | 'M' << 16 | 'U' << 24);
    CHECK_EQ(fw_cfg_dma_ops.read(cfg, 7, 1), 'G');
    fw_cfg_put_file(cfg, "numbers", "0123456789", 10, false);
    u32 select = (u32)(FW_CFG_FIRST_FILE + 2) << 16 | SELECT;
    memset(memory + BUFFER, 0xcc, 32);
    CHECK_EQ(transfer(cfg, select | READ, 4, BUFFER), 0);
    CHECK_EQ(transfer(cfg, SKIP, 3, 0), 0);
    CHECK_EQ(transfer(cfg, READ, 6, BUFFER + 4), 0); /* three are left: zeros follow */
    CHECK(!memcmp(memory + BUFFER, "0123789\0\0\0\xcc", 11));
    CHECK_EQ(transfer(cfg, READ, 2, BUFFER), 0);
    CHECK(!memcmp(memory + BUFFER, "\0\0", 2));
    CHECK_EQ(transfer(cfg, select, 0, 0), 0); /* only select */
    CHECK_EQ(next(cfg), '0');
    CHECK_EQ(transfer(cfg, SKIP, 0xffffffff, 0), 0);
    CHECK_EQ(next(cfg), 0);
}

static void test_writable(struct fw_cfg *cfg)
{
    fw_cfg_put_file(cfg, "mine", "....", 4, true);
    u32 mine = (u32)(FW_CFG_FIRST_FILE + 3) << 16 | SELECT;
    memcpy(memory + BUFFER, "word!", 5);
    CHECK_EQ(transfer(cfg, mine | WRITE, 5, BUFFER), 1); /* too long: nothing is written */
    select_key(cfg, FW_CFG_FIRST_FILE + 3);
    CHECK_EQ(next(cfg), '.');
    CHECK_EQ(transfer(cfg, mine | WRITE, 4, BUFFER), 0);
    CHECK_EQ(transfer(cfg, WRITE, 1, BUFFER), 1); /* at the end */
    fw_cfg_reset(cfg);
    select_key(cfg, FW_CFG_FIRST_FILE + 3);
    CHECK_EQ(next(cfg), 'w');
    CHECK_EQ(transfer(cfg, FW_CFG_SIGNATURE << 16 | SELECT | WRITE, 4, BUFFER), 1);
    CHECK_EQ(transfer(cfg, 0x7777u << 16 | SELECT | WRITE, 4, BUFFER), 1);
    CHECK_EQ(transfer(cfg, 0x7777u << 16 | SELECT | WRITE, 0, BUFFER), 1);
    select_key(cfg, FW_CFG_SIGNATURE);
    CHECK_EQ(next(cfg), 'Q');
}

static void test_hostile(struct fw_cfg *cfg)
{
    touched = 0;
    CHECK_EQ(transfer(cfg, SELECT | READ, 0xffffffff, 0), 1);
    CHECK_EQ(transfer(cfg, SELECT | READ, FW_CFG_TRANSFER_MAX + 1, 0), 1);
    CHECK(touched < 100);
    CHECK_EQ(transfer(cfg, SELECT | READ, 0x10000, UINT64_MAX - 100), 0); /* around the end of the space */
    start(cfg, UINT64_MAX - 3); /* the descriptor as well: all ones, so a transfer that is too long */
    start(cfg, MEMORY_BYTES - 8);
    /* A transfer that overwrites its own descriptor. */
    CHECK_EQ(transfer(cfg, SELECT | READ, 64, DESCRIPTOR - 8), 0);
    fw_cfg_dma_ops.write(cfg, 4, 1, 0xff);
    fw_cfg_dma_ops.write(cfg, 2, 2, 0xffff);
    unsigned seed = 1;
    for (unsigned n = 0; n < 200000; n++) {
        seed = seed * 1103515245 + 12345;
        u32 random = seed >> 8;
        for (unsigned i = 0; i < 16; i++)
            memory[DESCRIPTOR + i] = (u8)rand();
        memory[DESCRIPTOR + 4] = 0;
        memory[DESCRIPTOR + 5] = 0;
        if (random & 1) memset(memory + DESCRIPTOR + 8, 0, 6);
        if (random & 2) memory[DESCRIPTOR] = 0;
        switch (random >> 4 & 3) {
        case 0: select_key(cfg, (u16)(random >> 8 & 0x3f)); break;
        case 1: next(cfg); break;
        default: start(cfg, DESCRIPTOR);
        }
        if (!(n % 1000)) fw_cfg_reset(cfg);
    }
}

static void test_full_table(struct fw_cfg *cfg)
{
    char name[] = "file00";
    unsigned added = 0;
    for (unsigned n = 0; n < 99; n++) {
        name[4] = (char)('0' + n / 10);
        name[5] = (char)('0' + n % 10);
        added += fw_cfg_put_file(cfg, name, name, sizeof(name), false);
    }
    CHECK(added > 30 && added < FW_CFG_ITEMS);
    CHECK_EQ(transfer(cfg, FW_CFG_DIRECTORY << 16 | SELECT | READ, 4, BUFFER), 0);
    CHECK_EQ(get_big(memory + BUFFER, 4), cfg->files);
}

int main(void)
{
    struct fw_cfg cfg;
    CHECK(fw_cfg_init(&cfg, &dma));
    test_ports(&cfg);
    test_directory(&cfg);
    test_transfers(&cfg);
    test_writable(&cfg);
    test_hostile(&cfg);
    test_full_table(&cfg);
    fw_cfg_destroy(&cfg);
    return check_report();
}
