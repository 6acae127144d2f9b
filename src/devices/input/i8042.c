/*
 * The 8042. See i8042.h. "Reference" is the IBM PS/2 Hardware Interface Technical Reference.
 */
#include "i8042.h"

#define BYTE_NS 660000 /* 11 bits at 16.7 kHz, the fastest clock a device may give */

/* Status register (port 64h) */
enum {
    STATUS_OUTPUT_FULL = 0x01,
    STATUS_SYSTEM = 0x04,
    STATUS_COMMAND = 0x08,
    STATUS_NOT_LOCKED = 0x10,
    STATUS_MOUSE = 0x20,
};

/* Command byte */
enum {
    MODE_KEYBOARD_INTERRUPT = 0x01,
    MODE_MOUSE_INTERRUPT = 0x02,
    MODE_SYSTEM = 0x04,
    MODE_KEYBOARD_OFF = 0x10,
    MODE_MOUSE_OFF = 0x20,
    MODE_TRANSLATE = 0x40,
};

/* Output port */
enum {
    PORT_NOT_RESET = 0x01,
    PORT_A20 = 0x02,
    PORT_KEYBOARD_FULL = 0x10,
    PORT_MOUSE_FULL = 0x20,
    PORT_ONES = 0xcc
};

#define BREAK_PREFIX 0xf0

static u8 *mode(struct i8042 *kbc)
{
    return &kbc->ram[0];
}

/* Recompute both interrupt outputs. */
static void update(struct i8042 *kbc)
{
    bool keyboard = kbc->full && !kbc->from_mouse, mouse = kbc->full && kbc->from_mouse;
    irq_set(&kbc->wiring.irq1, keyboard && (*mode(kbc) & MODE_KEYBOARD_INTERRUPT));
    irq_set(&kbc->wiring.irq12, mouse && (*mode(kbc) & MODE_MOUSE_INTERRUPT));
}

static void fill(struct i8042 *kbc, u8 byte, bool from_mouse)
{
    kbc->output = byte;
    kbc->full = true;
    kbc->from_mouse = from_mouse;
    update(kbc);
}

static bool keyboard_waits(struct i8042 *kbc)
{
    return !(*mode(kbc) & MODE_KEYBOARD_OFF) && ps2_keyboard_has_byte(&kbc->keyboard);
}

static bool mouse_waits(struct i8042 *kbc)
{
    return !(*mode(kbc) & MODE_MOUSE_OFF) && ps2_mouse_has_byte(&kbc->mouse);
}

/* Put the next byte into the buffer, or start its transfer over the wire. */
static void pump(struct i8042 *kbc)
{
    if (kbc->full) return;
    if (kbc->answers.count) {
        u8 byte = ps2_take(&kbc->answers);
        fill(kbc, byte, ps2_take(&kbc->answers));
    } else if ((keyboard_waits(kbc) || mouse_waits(kbc)) && !kbc->timer.armed) {
        timer_arm(&kbc->timer, clock_now(kbc->timer.clock) + BYTE_NS);
    }
}

/* Translate set 2 to set 1: F0 becomes bit 7 of the byte that follows. False: no byte to deliver yet. */
static bool translate(struct i8042 *kbc, u8 *byte)
{
    if (!(*mode(kbc) & MODE_TRANSLATE)) return true;
    if (*byte == BREAK_PREFIX) {
        kbc->break_prefix = true;
        return false;
    }
    *byte = ps2_set2_to_set1(*byte) | (kbc->break_prefix ? 0x80 : 0);
    kbc->break_prefix = false;
    return true;
}

static void byte_arrived(void *device)
{
    struct i8042 *kbc = device;
    if (!kbc->full && keyboard_waits(kbc)) {
        u8 byte = ps2_keyboard_take(&kbc->keyboard);
        if (translate(kbc, &byte)) fill(kbc, byte, false);
    } else if (!kbc->full && mouse_waits(kbc)) {
        fill(kbc, ps2_mouse_take(&kbc->mouse), true);
    }
    pump(kbc);
}

static void answer(struct i8042 *kbc, u8 byte, bool as_mouse)
{
    ps2_put(&kbc->answers, byte);
    ps2_put(&kbc->answers, as_mouse);
}

static void set_output_port(struct i8042 *kbc, u8 value)
{
    kbc->output_port = value & (PORT_NOT_RESET | PORT_A20);
    if (kbc->wiring.a20) kbc->wiring.a20(kbc->wiring.machine, value & PORT_A20);
    if (!(value & PORT_NOT_RESET)) {
        kbc->output_port |= PORT_NOT_RESET;
        if (kbc->wiring.reset) kbc->wiring.reset(kbc->wiring.machine);
    }
}

static void read_ram(struct i8042 *kbc, u8 command)
{
    answer(kbc, kbc->ram[command & 31], false);
}

static void await_byte(struct i8042 *kbc, u8 command)
{
    kbc->command = command;
}

static void no_password(struct i8042 *kbc, u8 command)
{
    answer(kbc, 0xf1, false);
}

static void mouse_off(struct i8042 *kbc, u8 command)
{
    *mode(kbc) |= MODE_MOUSE_OFF;
}
static void mouse_on(struct i8042 *kbc, u8 command)
{
    *mode(kbc) &= ~MODE_MOUSE_OFF;
}
static void keyboard_off(struct i8042 *kbc, u8 command)
{
    *mode(kbc) |= MODE_KEYBOARD_OFF;
}
static void keyboard_on(struct i8042 *kbc, u8 command)
{
    *mode(kbc) &= ~MODE_KEYBOARD_OFF;
}

/* A9h, ABh: test of a port's clock and data lines; 0 means good. */
static void interface_test(struct i8042 *kbc, u8 command)
{
    answer(kbc, 0, false);
}

/* Reference, "AA": the self test leaves both ports disabled and sets the system flag. */
static void self_test(struct i8042 *kbc, u8 command)
{
    ps2_clear(&kbc->answers);
    kbc->full = false;
    *mode(kbc) |= MODE_KEYBOARD_OFF | MODE_MOUSE_OFF | MODE_SYSTEM;
    answer(kbc, 0x55, false);
}

/* Input port: keyboard not locked, colour display, manufacturing jumper out. */
static void read_input_port(struct i8042 *kbc, u8 command)
{
    answer(kbc, 0xa0, false);
}

static void read_output_port(struct i8042 *kbc, u8 command)
{
    answer(kbc,
           kbc->output_port | PORT_ONES |
               (kbc->full ? (kbc->from_mouse ? PORT_MOUSE_FULL : PORT_KEYBOARD_FULL) : 0),
           false);
}

/* DDh and DFh switch A20 without a data byte. Compatibles have them since the HP Vectra; IBM does not. */
static void set_a20(struct i8042 *kbc, u8 command)
{
    set_output_port(kbc, (kbc->output_port & ~PORT_A20) | (command & PORT_A20));
}

/* E0h: clock lines in bits 0 (keyboard) and 1 (mouse): low while disabled. */
static void read_test_inputs(struct i8042 *kbc, u8 command)
{
    answer(kbc, (*mode(kbc) & MODE_KEYBOARD_OFF ? 0 : 1) | (*mode(kbc) & MODE_MOUSE_OFF ? 0 : 2), false);
}

/* F0-FF: bits 3-0 of the output port go low for 6 us where the command has a 0. Bit 0 is the CPU's reset. */
static void pulse(struct i8042 *kbc, u8 command)
{
    if (!(command & PORT_NOT_RESET)) set_output_port(kbc, kbc->output_port & ~PORT_NOT_RESET);
}

static const struct command_row {
    u8 first, last;
    void (*run)(struct i8042 *kbc, u8 command);
} command_rows[] = {
    {0x20, 0x3f, read_ram},         {0x60, 0x7f, await_byte},      {0xa4, 0xa4, no_password},
    {0xa7, 0xa7, mouse_off},        {0xa8, 0xa8, mouse_on},        {0xa9, 0xa9, interface_test},
    {0xaa, 0xaa, self_test},        {0xab, 0xab, interface_test},  {0xad, 0xad, keyboard_off},
    {0xae, 0xae, keyboard_on},      {0xc0, 0xc0, read_input_port}, {0xd0, 0xd0, read_output_port},
    {0xd1, 0xd4, await_byte},       {0xdd, 0xdd, set_a20},         {0xdf, 0xdf, set_a20},
    {0xe0, 0xe0, read_test_inputs}, {0xf0, 0xff, pulse},
};

static void command_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct i8042 *kbc = device;
    kbc->last_was_command = true;
    kbc->command = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(command_rows); i++) {
        if (value >= command_rows[i].first && value <= command_rows[i].last) command_rows[i].run(kbc, value);
    }
    update(kbc);
    pump(kbc);
}

static u32 command_read(void *device, u32 offset, unsigned size)
{
    struct i8042 *kbc = device;
    return STATUS_NOT_LOCKED | (kbc->full ? STATUS_OUTPUT_FULL : 0) |
           (kbc->full && kbc->from_mouse ? STATUS_MOUSE : 0) |
           (*mode(kbc) & MODE_SYSTEM ? STATUS_SYSTEM : 0) | (kbc->last_was_command ? STATUS_COMMAND : 0);
}

/* The data byte that a command waited for. */
static void take_parameter(struct i8042 *kbc, u8 command, u8 value)
{
    switch (command) {
    case 0xd1: set_output_port(kbc, value); break;
    case 0xd2: answer(kbc, value, false); break;
    case 0xd3: answer(kbc, value, true); break;
    case 0xd4:
        *mode(kbc) &= ~MODE_MOUSE_OFF; /* a byte to a device also enables its port */
        ps2_mouse_write(&kbc->mouse, value);
        break;
    default: kbc->ram[command & 31] = value;
    }
}

static void tell_lamps(struct i8042 *kbc)
{
    if (kbc->leds == kbc->keyboard.leds) return;
    kbc->leds = kbc->keyboard.leds;
    if (kbc->lamps) kbc->lamps(kbc->lamps_owner, kbc->leds);
}

static void data_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct i8042 *kbc = device;
    u8 command = kbc->command;
    kbc->last_was_command = false;
    kbc->command = 0;
    if (command) {
        take_parameter(kbc, command, value);
    } else {
        *mode(kbc) &= ~MODE_KEYBOARD_OFF;
        ps2_keyboard_write(&kbc->keyboard, value);
        tell_lamps(kbc);
    }
    update(kbc);
    pump(kbc);
}

static u32 data_read(void *device, u32 offset, unsigned size)
{
    struct i8042 *kbc = device;
    u8 value = kbc->output; /* stays readable when the buffer is empty */
    kbc->full = false;
    update(kbc);
    pump(kbc);
    return value;
}

const struct io_ops i8042_data_ops = {data_read, data_write};
const struct io_ops i8042_command_ops = {command_read, command_write};

bool i8042_key(struct i8042 *kbc, const u8 *set1, unsigned bytes)
{
    bool taken = ps2_keyboard_key(&kbc->keyboard, set1, bytes);
    pump(kbc);
    return taken;
}

void i8042_mouse(struct i8042 *kbc, int right, int down, int wheel, u8 buttons)
{
    ps2_mouse_event(&kbc->mouse, right, down, wheel, buttons);
    pump(kbc);
}

void i8042_reset(struct i8042 *kbc)
{
    timer_cancel(&kbc->timer);
    ps2_keyboard_reset(&kbc->keyboard);
    tell_lamps(kbc);
    ps2_mouse_reset(&kbc->mouse);
    ps2_clear(&kbc->answers);
    *mode(kbc) = MODE_KEYBOARD_INTERRUPT | MODE_SYSTEM | MODE_MOUSE_OFF | MODE_TRANSLATE;
    kbc->command = 0;
    kbc->last_was_command = kbc->full = kbc->from_mouse = kbc->break_prefix = false;
    set_output_port(kbc, PORT_NOT_RESET | PORT_A20);
    update(kbc);
}

void i8042_watch_lamps(struct i8042 *kbc, void (*lamps)(void *owner, u8 leds), void *owner)
{
    kbc->lamps = lamps;
    kbc->lamps_owner = owner;
}

void i8042_init(struct i8042 *kbc, struct clock *clock, const struct i8042_wiring *wiring)
{
    *kbc = (struct i8042){.wiring = *wiring};
    timer_init(&kbc->timer, clock, byte_arrived, kbc);
    i8042_reset(kbc);
}
