#include "eeprom_93c46.h"

enum { COMMAND_BITS = 9, DATA_BITS = 16 };
enum { OPERATION_SPECIAL = 0, OPERATION_WRITE = 1, OPERATION_READ = 2, OPERATION_ERASE = 3 };
/* Of OPERATION_SPECIAL: the upper two bits of the address. */
enum { SPECIAL_EWDS = 0, SPECIAL_WRAL = 1, SPECIAL_ERAL = 2, SPECIAL_EWEN = 3 };

void eeprom_93c46_reset(struct eeprom_93c46 *eeprom)
{
    eeprom->write_enabled = eeprom->selected = eeprom->clock = eeprom->reading = false;
    eeprom->out = true;
    eeprom->bits = 0;
    eeprom->command = 0;
}

static void clock_out(struct eeprom_93c46 *e)
{
    e->out = e->word[e->address] >> (DATA_BITS - 1 - e->bits) & 1;
    if (++e->bits < DATA_BITS) return;
    e->bits = 0;
    e->address = (e->address + 1) % EEPROM_93C46_WORDS;
}

static void clock_in(struct eeprom_93c46 *e, bool di)
{
    if (!e->bits && !di) return; /* not yet the start bit */
    if (e->bits == COMMAND_BITS + DATA_BITS) return;
    e->command = e->command << 1 | di;
    if (++e->bits != COMMAND_BITS || (e->command >> 6 & 3) != OPERATION_READ) return;
    e->reading = true;
    e->address = e->command % EEPROM_93C46_WORDS;
    e->out = false;
    e->bits = 0;
}

static void fill(struct eeprom_93c46 *e, u16 value)
{
    for (unsigned n = 0; n < EEPROM_93C46_WORDS; n++)
        e->word[n] = value;
}

/* `data` belongs to a command with data, which is complete with it; other commands are complete without. */
static void execute(struct eeprom_93c46 *e)
{
    bool whole = e->bits == COMMAND_BITS + DATA_BITS;
    u16 data = (u16)e->command;
    u32 command = whole ? e->command >> DATA_BITS : e->command;
    unsigned address = command % EEPROM_93C46_WORDS;
    if (e->bits < COMMAND_BITS) return;
    switch (command >> 6 & 3) {
    case OPERATION_WRITE:
        if (whole && e->write_enabled) e->word[address] = data;
        break;
    case OPERATION_ERASE:
        if (e->write_enabled) e->word[address] = 0xffff;
        break;
    case OPERATION_SPECIAL:
        if (address >> 4 == SPECIAL_EWEN) e->write_enabled = true;
        if (address >> 4 == SPECIAL_EWDS) e->write_enabled = false;
        if (address >> 4 == SPECIAL_ERAL && e->write_enabled) fill(e, 0xffff);
        if (address >> 4 == SPECIAL_WRAL && e->write_enabled && whole) fill(e, data);
        break;
    default: break;
    }
}

void eeprom_93c46_pins(struct eeprom_93c46 *e, bool cs, bool sk, bool di)
{
    bool rising = sk && !e->clock;
    e->clock = sk;
    if (!cs) {
        if (e->selected && !e->reading) execute(e);
        e->selected = e->reading = false;
        e->out = true; /* what was written is done: ready */
        e->bits = 0;
        e->command = 0;
        return;
    }
    e->selected = true;
    if (!rising) return;
    if (e->reading)
        clock_out(e);
    else
        clock_in(e, di);
}
