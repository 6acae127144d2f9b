/*
 * The Plug and Play ISA card: the specification's procedure finds it at the first read port, and it is silent in
 * every other state. The guest chooses the read port, which the card must give back.
 */
#include "devices/chipset/isa_pnp.h"

#include "check.h"

#include <string.h>

static struct isa_pnp card;
static u16 mapped_at;

static void on_map(void *machine, u16 port, bool mapped)
{
    mapped_at = mapped ? port : 0;
}

static void address(u8 value)
{
    isa_pnp_address_ops.write(&card, 0, 1, value);
}
static void put(u8 index, u8 value)
{
    address(index);
    isa_pnp_write_ops.write(&card, 0, 1, value);
}
static u8 get(void)
{
    return mapped_at ? (u8)isa_pnp_read_ops.read(&card, 0, 1) : 0xff;
}
static u8 get_register(u8 index)
{
    address(index);
    return get();
}

/* The whole initiation key, as printed in the specification's appendix. */
static const u8 key[32] = {0x6a, 0xb5, 0xda, 0xed, 0xf6, 0xfb, 0x7d, 0xbe, 0xdf, 0x6f, 0x37,
                           0x1b, 0x0d, 0x86, 0xc3, 0x61, 0xb0, 0x58, 0x2c, 0x16, 0x8b, 0x45,
                           0xa2, 0xd1, 0xe8, 0x74, 0x3a, 0x9d, 0xce, 0xe7, 0x73, 0x39};

static void send_key(void)
{
    address(0);
    address(0);
    for (unsigned n = 0; n < sizeof key; n++)
        address(key[n]);
}

/* Turns 72 pairs of reads into 9 bytes. Returns false if the ninth is not the checksum of the other 8. */
static bool isolate(u8 identifier[9])
{
    u8 sum = 0x6a;
    memset(identifier, 0, 9);
    address(1);
    for (unsigned n = 0; n < 72; n++) {
        u8 first = get(), second = get();
        u8 bit = first == 0x55 && second == 0xaa;
        identifier[n / 8] |= (u8)(bit << n % 8);
        if (n < 64) sum = (u8)(sum >> 1 | ((sum ^ sum >> 1 ^ bit) & 1) << 7);
    }
    return sum && sum == identifier[8];
}

static void test_procedure(void)
{
    u8 id[9], again[9];
    isa_pnp_init(&card, on_map, NULL);
    put(3, 0); /* without the key nothing happens */
    CHECK_EQ(card.state, ISA_PNP_WAIT_FOR_KEY);
    send_key();
    CHECK_EQ(card.state, ISA_PNP_SLEEP);
    put(2, 4);
    put(3, 0);
    CHECK_EQ(mapped_at, 0);
    put(0, 0x213 >> 2);
    CHECK_EQ(mapped_at, 0x213);
    CHECK(isolate(id));
    CHECK_EQ(get(), 0xff); /* behind the last bit */
    put(6, 1);
    CHECK_EQ(card.state, ISA_PNP_CONFIG);
    CHECK_EQ(get_register(6), 1);
    put(3, 0); /* is there another? */
    CHECK_EQ(mapped_at, 0);
    CHECK(!isolate(again));
    put(3, 1);
    CHECK_EQ(mapped_at, 0x213);
    for (unsigned n = 0; n < 9; n++) {
        CHECK_EQ(get_register(5) & 1, 1);
        CHECK_EQ(get_register(4), id[n]);
    }
    u8 sum = 0, tag;
    CHECK_EQ(get_register(4), 0x0a); /* version tag */
    sum += 0x0a;
    unsigned left = 2;
    do { /* tag by tag to the end tag, small and large ones */
        while (left--)
            sum += get_register(4);
        sum += tag = get_register(4);
        left = tag & 7;
        if (tag & 0x80) {
            u8 low = get_register(4), high = get_register(4);
            sum += (u8)(low + high);
            left = (unsigned)(low | high << 8);
            CHECK(left < 64);
        }
    } while ((tag >> 3 & 15) != 15 || tag & 0x80);
    CHECK_EQ((u8)(sum + get_register(4)), 0);
    CHECK_EQ(get_register(4), 0xff);
    put(2, 2); /* wait for key: gone */
    CHECK_EQ(mapped_at, 0);
    CHECK_EQ(card.csn, 1);
    isa_pnp_reset(&card);
    CHECK_EQ(card.csn, 0);
}

static void test_bad_keys(void)
{
    isa_pnp_init(&card, on_map, NULL);
    for (unsigned bad = 0; bad < sizeof key; bad++) {
        for (unsigned n = 0; n < sizeof key; n++)
            address(n == bad ? (u8)(key[n] ^ 0x80) : key[n]);
        CHECK_EQ(card.state, ISA_PNP_WAIT_FOR_KEY);
        address(0);
    }
    send_key();
    CHECK_EQ(card.state, ISA_PNP_SLEEP);
}

int main(void)
{
    test_procedure();
    test_bad_keys();
    return check_report();
}
