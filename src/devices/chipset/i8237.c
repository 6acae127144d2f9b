/*
 * Two 8237A and their page registers. See i8237.h. Register names are those of the 8237A datasheet.
 */
#include "i8237.h"

#include <string.h>

enum {
    REG_COMMAND = 8, /* read: status */
    REG_REQUEST,
    REG_SINGLE_MASK,
    REG_MODE,
    REG_CLEAR_FLIP_FLOP,
    REG_MASTER_CLEAR, /* read: temporary, for transfers from memory to memory */
    REG_CLEAR_MASK,
    REG_ALL_MASK,
};

enum { COMMAND_DISABLE = 0x04 };
enum { MODE_CASCADE = 0xc0, MODE_DOWN = 0x20, MODE_AUTOINITIALIZE = 0x10, MODE_TRANSFER = 0x0c };
enum { TRANSFER_VERIFY = 0x00, TRANSFER_TO_MEMORY = 0x04, TRANSFER_FROM_MEMORY = 0x08 };
#define CASCADE_CHANNEL 4

/* --- transfers --- */

static struct i8237_channel *channel_of(struct i8237_pair *dma, unsigned channel)
{
    return &dma->controller[channel / 4].channel[channel % 4];
}

static bool is_cascade(const struct i8237_channel *channel)
{
    return (channel->mode & MODE_CASCADE) == MODE_CASCADE;
}

/* Can the channel be served: controller enabled, channel not masked? */
static bool is_open(const struct i8237 *chip, unsigned number)
{
    return !(chip->command & COMMAND_DISABLE) && !(chip->mask & 1 << number);
}

bool i8237_granted(const struct i8237_pair *dma, unsigned channel)
{
    const struct i8237 *chip = &dma->controller[channel / 4];
    unsigned number = channel % 4;
    if (!is_open(chip, number) || is_cascade(&chip->channel[number])) return false;
    return channel >= CASCADE_CHANNEL ||
           (is_open(&dma->controller[1], 0) && is_cascade(&dma->controller[1].channel[0]));
}

/* The page register of each channel; 4 has that of memory refresh. */
static u32 page_of(const struct i8237_pair *dma, unsigned channel)
{
    static const u8 at[8] = {0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa};
    return dma->page[at[channel]];
}

/* Address of the current unit. The page register never changes by counting: addresses wrap within 64 K units. */
static u32 unit_address(const struct i8237_pair *dma, unsigned channel)
{
    const struct i8237 *chip = &dma->controller[channel / 4];
    u32 page = page_of(dma, channel), address = chip->channel[channel % 4].address;
    return chip->shift ? (page & 0xfe) << 16 | address << 1 : page << 16 | address;
}

static void move(struct i8237_pair *dma, u8 direction, u32 gpa, u8 *buffer, u32 bytes)
{
    if (direction == TRANSFER_TO_MEMORY)
        dma->memory.write(dma->memory.memory, gpa, buffer, bytes);
    else if (direction == TRANSFER_FROM_MEMORY)
        dma->memory.read(dma->memory.memory, gpa, buffer, bytes);
}

static void come_to_end(struct i8237 *chip, unsigned number)
{
    struct i8237_channel *channel = &chip->channel[number];
    chip->terminal |= 1 << number;
    chip->request &= (u8) ~(1 << number);
    if (channel->mode & MODE_AUTOINITIALIZE) {
        channel->address = channel->base_address;
        channel->count = channel->base_count;
    } else {
        chip->mask |= 1 << number;
    }
}

u32 i8237_transfer(struct i8237_pair *dma, unsigned channel, u8 *buffer, u32 bytes, bool *terminal)
{
    struct i8237 *chip = &dma->controller[channel / 4];
    struct i8237_channel *c = channel_of(dma, channel);
    u32 done = 0, units = bytes >> chip->shift;
    *terminal = false;
    while (units && !*terminal && i8237_granted(dma, channel)) {
        u32 run = c->count + 1u, to_wrap = 0x10000u - c->address;
        if (c->mode & MODE_DOWN) to_wrap = 1;
        if (run > to_wrap) run = to_wrap;
        if (run > units) run = units;
        move(dma, c->mode & MODE_TRANSFER, unit_address(dma, channel), buffer + done, run << chip->shift);
        c->address = (u16)(c->mode & MODE_DOWN ? c->address - run : c->address + run);
        c->count = (u16)(c->count - run);
        units -= run;
        done += run << chip->shift;
        *terminal = c->count == 0xffff;
        if (*terminal) come_to_end(chip, channel % 4);
    }
    return done;
}

/* A software request without a device: the bus floats, and the count runs out. */
static void serve_without_device(struct i8237_pair *dma, unsigned channel)
{
    u8 floating[512];
    bool terminal = false;
    memset(floating, 0xff, sizeof(floating));
    while (!terminal && i8237_transfer(dma, channel, floating, sizeof(floating), &terminal))
        continue;
}

/* Serve the channels that request it and can be served. Call when either may have changed. */
static void update(struct i8237_pair *dma)
{
    for (unsigned n = 0; n < 8; n++) {
        struct i8237_channel *channel = channel_of(dma, n);
        bool software = dma->controller[n / 4].request & 1 << (n % 4);
        if ((!channel->dreq && !software) || channel->in_service || !i8237_granted(dma, n)) continue;
        channel->in_service = true;
        if (channel->serve)
            channel->serve(channel->device);
        else
            serve_without_device(dma, n);
        channel->in_service = false;
    }
}

void i8237_connect(struct i8237_pair *dma, unsigned channel, void (*serve)(void *device), void *device)
{
    struct i8237_channel *c = channel_of(dma, channel);
    c->serve = serve;
    c->device = device;
}

void i8237_request(struct i8237_pair *dma, unsigned channel, bool dreq)
{
    struct i8237_channel *c = channel_of(dma, channel);
    bool was = c->dreq;
    c->dreq = dreq;
    if (dreq && !was) update(dma);
}

/* --- registers --- */

/* Bit 2 sets or clears the channel's bit. */
static u8 change_bit(u8 bits, u8 value)
{
    u8 bit = 1 << (value & 3);
    return value & 4 ? bits | bit : bits & ~bit;
}

static u16 put_byte(u16 word, bool high, u8 byte)
{
    return high ? (word & 0xff) | byte << 8 : (word & 0xff00) | byte;
}

/* "Master clear" does what the RESET pin does: all channels masked. */
static void master_clear(struct i8237 *chip)
{
    chip->high_byte = false;
    chip->command = chip->request = chip->terminal = 0;
    chip->mask = 0x0f;
}

/* A write goes to both the base and the current register. */
static void write_channel(struct i8237 *chip, unsigned reg, u8 value)
{
    struct i8237_channel *channel = &chip->channel[reg >> 1];
    if (reg & 1) {
        channel->count = channel->base_count = put_byte(channel->base_count, chip->high_byte, value);
    } else {
        channel->address = channel->base_address = put_byte(channel->base_address, chip->high_byte, value);
    }
    chip->high_byte = !chip->high_byte;
}

static u8 read_channel(struct i8237 *chip, unsigned reg)
{
    const struct i8237_channel *channel = &chip->channel[reg >> 1];
    u16 word = reg & 1 ? channel->count : channel->address;
    chip->high_byte = !chip->high_byte;
    return chip->high_byte ? word : word >> 8;
}

static void ports_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct i8237 *chip = device;
    unsigned reg = offset >> chip->shift;
    if (reg < REG_COMMAND) {
        write_channel(chip, reg, value);
        return;
    }
    switch (reg) {
    case REG_COMMAND: chip->command = value; break;
    case REG_REQUEST: chip->request = change_bit(chip->request, value); break;
    case REG_SINGLE_MASK: chip->mask = change_bit(chip->mask, value); break;
    case REG_MODE: chip->channel[value & 3].mode = value & 0xfc; break;
    case REG_CLEAR_FLIP_FLOP: chip->high_byte = false; break;
    case REG_MASTER_CLEAR: master_clear(chip); break;
    case REG_CLEAR_MASK: chip->mask = 0; break;
    case REG_ALL_MASK: chip->mask = value & 0x0f; break;
    }
    update(chip->pair);
}

/* A read clears the terminal count bits. */
static u8 read_status(struct i8237 *chip)
{
    u8 status = chip->terminal;
    for (unsigned n = 0; n < 4; n++)
        if (chip->channel[n].dreq || chip->request & 1 << n) status |= 0x10 << n;
    chip->terminal = 0;
    return status;
}

static u32 ports_read(void *device, u32 offset, unsigned size)
{
    struct i8237 *chip = device;
    unsigned reg = offset >> chip->shift;
    if (reg < REG_COMMAND) return read_channel(chip, reg);
    switch (reg) {
    case REG_COMMAND: return read_status(chip);
    case REG_MASTER_CLEAR: return 0;
    case REG_ALL_MASK: return chip->mask | 0xf0; /* not on the first 8237A, but on every PC chipset */
    default: return 0xff;
    }
}

const struct io_ops i8237_ops = {ports_read, ports_write};

static u32 page_read(void *device, u32 offset, unsigned size)
{
    return ((struct i8237_pair *)device)->page[offset];
}

static void page_write(void *device, u32 offset, unsigned size, u32 value)
{
    ((struct i8237_pair *)device)->page[offset] = value;
}

const struct io_ops dma_page_ops = {page_read, page_write};

void i8237_reset(struct i8237_pair *dma)
{
    master_clear(&dma->controller[0]);
    master_clear(&dma->controller[1]);
}

void i8237_init(struct i8237_pair *dma, struct dma memory)
{
    *dma = (struct i8237_pair){.controller = {{.pair = dma, .shift = 0}, {.pair = dma, .shift = 1}},
                               .memory = memory};
    i8237_reset(dma);
}
