/*
 * See isa_pnp.h. Section numbers are those of the specification. The card decodes its read port only in the
 * states Isolation and Config.
 */
#include "isa_pnp.h"

enum {
    SET_READ_PORT = 0x00,
    SERIAL_ISOLATION = 0x01,
    CONFIG_CONTROL = 0x02,
    WAKE = 0x03,
    RESOURCE_DATA = 0x04,
    STATUS = 0x05,
    CARD_SELECT_NUMBER = 0x06,
};

enum { CONTROL_WAIT_FOR_KEY = 2, CONTROL_RESET_CSN = 4 };

/* B.1: the generators of the initiation key and of the checksum both begin with this. */
#define KEY_FIRST 0x6a
#define KEY_BYTES 32
#define NOTHING   0xff

/* 4.5: vendor RNG, product 0001, no serial number; the checksum is computed. 5: version 1.0, a name, the end. */
enum { IDENTIFIER_BYTES = 9, IDENTIFIER_BITS = 72 };
static const u8 identifier[IDENTIFIER_BYTES - 1] = {0x49, 0xc7, 0x00, 0x01, 0xff, 0xff, 0xff, 0xff};
static const u8 resources[] = {0x0a, 0x10, 0x00, 0x82, 10,  0,   'R', 'i', 'n',
                               'g',  'e',  'r',  ' ',  'I', 'S', 'A', 0x79};
#define RESOURCE_BYTES (IDENTIFIER_BYTES + sizeof(resources) + 1)

/* B.1: the next byte of the generator, with a bit of data mixed in. */
static u8 generator(u8 value, u8 bit)
{
    return (u8)(value >> 1 | ((value ^ value >> 1 ^ bit) & 1) << 7);
}

static u8 identifier_byte(unsigned n)
{
    if (n < sizeof(identifier)) return identifier[n];
    u8 sum = KEY_FIRST;
    for (unsigned bit = 0; bit < 8 * sizeof(identifier); bit++)
        sum = generator(sum, identifier[bit / 8] >> bit % 8 & 1);
    return sum;
}

static u8 resource_byte(unsigned n)
{
    if (n < IDENTIFIER_BYTES) return identifier_byte(n);
    n -= IDENTIFIER_BYTES;
    if (n < sizeof(resources)) return resources[n];
    u8 sum = 0; /* 5.1: all bytes behind the identifier add up to 0 */
    for (unsigned i = 0; i < sizeof(resources); i++)
        sum += resources[i];
    return n == sizeof(resources) ? (u8)-sum : NOTHING;
}

static void enter(struct isa_pnp *card, enum isa_pnp_state state)
{
    card->state = (u8)state;
    bool talks = state == ISA_PNP_ISOLATION || state == ISA_PNP_CONFIG;
    if (state == ISA_PNP_WAIT_FOR_KEY) {
        card->key = KEY_FIRST;
        card->key_left = KEY_BYTES;
    }
    card->map(card->machine, card->read_port, talks && card->read_port);
}

void isa_pnp_init(struct isa_pnp *card, void (*map)(void *machine, u16 port, bool mapped), void *machine)
{
    *card = (struct isa_pnp){.map = map, .machine = machine};
    isa_pnp_reset(card);
}

void isa_pnp_reset(struct isa_pnp *card)
{
    card->index = card->csn = card->bit = card->at = 0;
    card->second_read = false;
    card->read_port = 0;
    enter(card, ISA_PNP_WAIT_FOR_KEY);
}

/* 3.3.1: the bytes of the initiation key must come in order. Any other byte restarts the key. */
static void take_key(struct isa_pnp *card, u8 value)
{
    if (value != card->key) {
        enter(card, ISA_PNP_WAIT_FOR_KEY);
        return;
    }
    card->key = generator(card->key, 0);
    if (--card->key_left == 0) enter(card, ISA_PNP_SLEEP);
}

static void address_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct isa_pnp *card = device;
    if (card->state == ISA_PNP_WAIT_FOR_KEY)
        take_key(card, (u8)value);
    else
        card->index = (u8)value;
}

/* Wake[CSN]: the card with that number answers, from the start of its data. All other cards go to sleep. */
static void wake(struct isa_pnp *card, u8 csn)
{
    card->bit = card->at = 0;
    card->second_read = false;
    if (csn != card->csn)
        enter(card, ISA_PNP_SLEEP);
    else
        enter(card, csn ? ISA_PNP_CONFIG : ISA_PNP_ISOLATION);
}

static void data_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct isa_pnp *card = device;
    if (card->state == ISA_PNP_WAIT_FOR_KEY) return;
    switch (card->index) {
    case SET_READ_PORT:
        if (card->state != ISA_PNP_ISOLATION) break;
        card->read_port = (u16)((value & 0xff) << 2 | 3);
        enter(card, ISA_PNP_ISOLATION);
        break;
    case CONFIG_CONTROL:
        if (value & CONTROL_RESET_CSN) card->csn = 0;
        if (value & CONTROL_WAIT_FOR_KEY) enter(card, ISA_PNP_WAIT_FOR_KEY);
        break;
    case WAKE: wake(card, (u8)value); break;
    case CARD_SELECT_NUMBER:
        if (card->state == ISA_PNP_SLEEP) break;
        card->csn = (u8)value;
        enter(card, ISA_PNP_CONFIG);
        break;
    default: break;
    }
}

/* 3.3.2: a 1 is 55h and then AAh, a 0 is silence. */
static u8 isolation_read(struct isa_pnp *card)
{
    if (card->state != ISA_PNP_ISOLATION || card->bit >= IDENTIFIER_BITS) return NOTHING;
    bool one = identifier_byte(card->bit / 8) >> card->bit % 8 & 1, second = card->second_read;
    card->second_read = !second;
    if (second) card->bit++;
    return !one ? NOTHING : second ? 0xaa : 0x55;
}

static u32 data_read(void *device, u32 offset, unsigned size)
{
    struct isa_pnp *card = device;
    if (card->index == SERIAL_ISOLATION) return isolation_read(card);
    if (card->state != ISA_PNP_CONFIG) return NOTHING;
    switch (card->index) {
    case RESOURCE_DATA: return card->at < RESOURCE_BYTES ? resource_byte(card->at++) : NOTHING;
    case STATUS: return 1; /* the next byte of resource data is ready */
    case CARD_SELECT_NUMBER: return card->csn;
    default: return 0; /* no logical device */
    }
}

static u32 nothing_read(void *device, u32 offset, unsigned size)
{
    return NOTHING;
}

static void nothing_write(void *device, u32 offset, unsigned size, u32 value) {}

const struct io_ops isa_pnp_address_ops = {nothing_read, address_write};
const struct io_ops isa_pnp_write_ops = {nothing_read, data_write};
const struct io_ops isa_pnp_read_ops = {data_read, nothing_write};
