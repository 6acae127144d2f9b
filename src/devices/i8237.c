/*
 * Two 8237A and their page registers. See i8237.h. Register names are those of the 8237A datasheet.
 */
#include "i8237.h"

enum {
    REG_COMMAND = 8, /* read: status */
    REG_REQUEST,
    REG_SINGLE_MASK,
    REG_MODE,
    REG_CLEAR_FLIP_FLOP,
    REG_MASTER_CLEAR, /* read: temporary */
    REG_CLEAR_MASK,
    REG_ALL_MASK,
};

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
    chip->command = chip->request = chip->temporary = 0;
    chip->mask = 0x0f;
}

/* Writing goes to the base and the current register both. */
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
}

static u32 ports_read(void *device, u32 offset, unsigned size)
{
    struct i8237 *chip = device;
    unsigned reg = offset >> chip->shift;
    if (reg < REG_COMMAND) return read_channel(chip, reg);
    switch (reg) {
    case REG_COMMAND: return chip->request << 4;
    case REG_MASTER_CLEAR: return chip->temporary;
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

void i8237_init(struct i8237_pair *dma)
{
    *dma = (struct i8237_pair){.controller = {{.shift = 0}, {.shift = 1}}};
    i8237_reset(dma);
}
