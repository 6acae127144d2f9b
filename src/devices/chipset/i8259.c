/*
 * Two cascaded 8259A. See i8259.h. Section names in the comments are those of the 8259A datasheet.
 */
#include "i8259.h"

#include <assert.h>

#define CASCADE 2

enum { ICW1_NEEDS_ICW4 = 0x01, ICW1_SINGLE = 0x02, ICW1_SELECT = 0x10 };
enum { ICW4_AUTO_EOI = 0x02, ICW4_SPECIAL_FULLY_NESTED = 0x10 };
enum { OCW2_EOI = 0x20, OCW2_SPECIFIC = 0x40, OCW2_ROTATE = 0x80 };
enum {
    OCW3_READ_ISR = 0x01,
    OCW3_READ = 0x02,
    OCW3_POLL = 0x04,
    OCW3_SELECT = 0x08,
    OCW3_SPECIAL_MASK = 0x20,
    OCW3_SET_SPECIAL_MASK = 0x40
};

/* The priority of an input: 0 the highest, 7 the lowest. */
static unsigned urgency(const struct i8259 *chip, unsigned input)
{
    return (input - chip->lowest - 1) & 7;
}

/* The input of highest priority in a set, or -1. */
static int most_urgent(const struct i8259 *chip, u8 set)
{
    for (unsigned u = 0; u < 8; u++) {
        unsigned input = (chip->lowest + 1 + u) & 7;
        if (set & (1 << input)) return input;
    }
    return -1;
}

/* Interrupts in service that hold others back. In "special mask mode" masked ones do not. */
static u8 holding_back(const struct i8259 *chip)
{
    return chip->special_mask ? chip->isr & ~chip->imr : chip->isr;
}

/* The input for which the chip requests an interrupt, or -1. */
static int wanted(const struct i8259 *chip)
{
    int request = most_urgent(chip, chip->irr & ~chip->imr);
    int serving = most_urgent(chip, holding_back(chip));
    if (request < 0 || serving < 0) return request;
    if (urgency(chip, request) < urgency(chip, serving)) return request;
    /* "Special fully nested mode": a slave in service is not locked out from its master's priority logic. */
    bool slave_again =
        chip->special_fully_nested && chip == &chip->pair->master && request == CASCADE && serving == CASCADE;
    return slave_again ? request : -1;
}

static void set_input(struct i8259 *chip, unsigned input, bool level)
{
    u8 bit = 1 << input;
    bool rose = level && !(chip->lines & bit);
    if (!level) {
        chip->lines &= ~bit;
        chip->irr &= ~bit;
        return;
    }
    chip->lines |= bit;
    if (rose || (chip->elcr & bit)) chip->irr |= bit;
}

/* Recompute both INT outputs. */
static void update(struct i8259_pair *pair)
{
    set_input(&pair->master, CASCADE, wanted(&pair->slave) >= 0);
    irq_set(&pair->intr, wanted(&pair->master) >= 0);
}

static void input_changed(void *receiver, unsigned pin, bool level)
{
    struct i8259_pair *pair = receiver;
    set_input(pin < 8 ? &pair->master : &pair->slave, pin & 7, level);
    update(pair);
}

/* INTA of one chip: its input goes into service. Returns the number of the input; 7 if the request is gone ("default
 * IR7"). */
static unsigned take(struct i8259 *chip)
{
    int input = wanted(chip);
    if (input < 0) return 7;
    u8 bit = 1 << input;
    if (!(chip->elcr & bit)) chip->irr &= ~bit;
    if (!chip->auto_eoi) {
        chip->isr |= bit;
    } else if (chip->rotate_on_auto_eoi) {
        chip->lowest = input;
    }
    return input;
}

int i8259_acknowledge(struct i8259_pair *pair)
{
    bool spurious = wanted(&pair->master) < 0;
    unsigned input = take(&pair->master);
    int vector = pair->master.vector_base + input;
    if (!spurious && input == CASCADE) {
        vector = pair->slave.vector_base + take(&pair->slave);
        /* The slave's INT falls with the acknowledge, so another request (automatic EOI) makes a new edge. */
        set_input(&pair->master, CASCADE, false);
    }
    update(pair);
    return vector;
}

/* ICW1: "the edge sense circuit is reset", IMR cleared, IR7 lowest, status read set to IRR. */
static void begin_initialization(struct i8259 *chip, u8 icw1)
{
    chip->single = icw1 & ICW1_SINGLE;
    chip->needs_icw4 = icw1 & ICW1_NEEDS_ICW4;
    chip->step = 2;
    chip->irr = chip->lines & chip->elcr;
    chip->isr = 0;
    chip->imr = 0;
    chip->lowest = 7;
    chip->auto_eoi = chip->rotate_on_auto_eoi = false;
    chip->special_mask = chip->special_fully_nested = false;
    chip->read_isr = chip->poll = false;
}

static void continue_initialization(struct i8259 *chip, u8 value)
{
    switch (chip->step) {
    case 2:
        chip->vector_base = value & 0xf8;
        chip->step = chip->single ? (chip->needs_icw4 ? 4 : 0) : 3;
        break;
    case 3:
        chip->icw3 = value;
        chip->step = chip->needs_icw4 ? 4 : 0;
        break;
    case 4:
        chip->auto_eoi = value & ICW4_AUTO_EOI;
        chip->special_fully_nested = value & ICW4_SPECIAL_FULLY_NESTED;
        chip->step = 0;
        break;
    }
}

static void end_of_interrupt(struct i8259 *chip, u8 ocw2)
{
    /* A non-specific EOI ends the interrupt in service of highest priority. Special mask mode passes over
     * masked ones. */
    int input = ocw2 & OCW2_SPECIFIC ? ocw2 & 7 : most_urgent(chip, holding_back(chip));
    if (input < 0) return;
    chip->isr &= ~(1 << input);
    if (ocw2 & OCW2_ROTATE) chip->lowest = input;
}

static void write_ocw2(struct i8259 *chip, u8 ocw2)
{
    if (ocw2 & OCW2_EOI) {
        end_of_interrupt(chip, ocw2);
    } else if (!(ocw2 & OCW2_SPECIFIC)) {
        chip->rotate_on_auto_eoi = ocw2 & OCW2_ROTATE;
    } else if (ocw2 & OCW2_ROTATE) {
        chip->lowest = ocw2 & 7; /* "set priority command" */
    }
}

static void write_ocw3(struct i8259 *chip, u8 ocw3)
{
    if (ocw3 & OCW3_POLL) chip->poll = true;
    if (ocw3 & OCW3_READ) chip->read_isr = ocw3 & OCW3_READ_ISR;
    if (ocw3 & OCW3_SET_SPECIAL_MASK) chip->special_mask = ocw3 & OCW3_SPECIAL_MASK;
}

static void ports_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct i8259 *chip = device;
    if (offset == 1) {
        if (chip->step) {
            continue_initialization(chip, value);
        } else {
            chip->imr = value;
        }
    } else if (value & ICW1_SELECT) {
        begin_initialization(chip, value);
    } else if (value & OCW3_SELECT) {
        write_ocw3(chip, value);
    } else {
        write_ocw2(chip, value);
    }
    update(chip->pair);
}

/* "Poll command": the next read is the acknowledge. */
static u8 read_poll(struct i8259 *chip)
{
    chip->poll = false;
    bool asked = wanted(chip) >= 0;
    u8 value = asked ? 0x80 | take(chip) : 0;
    if (asked && chip == &chip->pair->slave) set_input(&chip->pair->master, CASCADE, false);
    update(chip->pair);
    return value;
}

static u32 ports_read(void *device, u32 offset, unsigned size)
{
    struct i8259 *chip = device;
    if (chip->poll) return read_poll(chip);
    if (offset == 1) return chip->imr;
    return chip->read_isr ? chip->isr : chip->irr;
}

const struct io_ops i8259_ops = {ports_read, ports_write};

static struct i8259 *elcr_chip(struct i8259_pair *pair, u32 offset)
{
    return offset ? &pair->slave : &pair->master;
}

static u32 elcr_read(void *device, u32 offset, unsigned size)
{
    return elcr_chip(device, offset)->elcr;
}

static void elcr_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct i8259 *chip = elcr_chip(device, offset);
    chip->elcr = value & chip->elcr_mask;
    chip->irr |= chip->lines & chip->elcr;
    update(chip->pair);
}

const struct io_ops i8259_elcr_ops = {elcr_read, elcr_write};

struct irq_line i8259_pin(struct i8259_pair *pair, unsigned irq)
{
    assert(irq < 16 && irq != CASCADE);
    return (struct irq_line){.set = input_changed, .receiver = pair, .pin = irq};
}

static void reset_chip(struct i8259 *chip)
{
    chip->elcr = 0;
    begin_initialization(chip, ICW1_NEEDS_ICW4);
    chip->step = 0;
    chip->vector_base = 0;
    chip->icw3 = 0;
}

void i8259_reset(struct i8259_pair *pair)
{
    reset_chip(&pair->master);
    reset_chip(&pair->slave);
    update(pair);
}

void i8259_init(struct i8259_pair *pair, struct irq_line intr)
{
    /* 82371SB, ELCR1 and ELCR2: IRQ 0, 1, 2, 8 and 13 are always edge-triggered. */
    *pair = (struct i8259_pair){
        .master = {.pair = pair, .elcr_mask = 0xf8},
        .slave = {.pair = pair, .elcr_mask = 0xde},
        .intr = intr,
    };
    i8259_reset(pair);
}
