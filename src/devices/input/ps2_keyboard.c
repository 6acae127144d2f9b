/*
 * The PS/2 keyboard and the scan code tables. See ps2_keyboard.h.
 */
#include "ps2_keyboard.h"

enum {
    PREFIX_EXTENDED = 0xe0,
    PREFIX_PAUSE = 0xe1,
    PREFIX_BREAK = 0xf0, /* sets 2 and 3 */
    SET1_BREAK = 0x80,
};

enum {
    COMMAND_LEDS = 0xed,
    COMMAND_ECHO = 0xee,
    COMMAND_SCAN_CODE_SET = 0xf0,
    COMMAND_IDENTIFY = 0xf2,
    COMMAND_TYPEMATIC = 0xf3,
    COMMAND_ENABLE = 0xf4,
    COMMAND_DISABLE = 0xf5,
    COMMAND_DEFAULTS = 0xf6,
    COMMAND_ALL_KEYS_FIRST = 0xf7, /* F7-FA: set 3, how all keys report */
    COMMAND_ALL_KEYS_LAST = 0xfa,
    COMMAND_KEY_FIRST = 0xfb, /* FB-FD: set 3, how the keys that follow report */
    COMMAND_KEY_LAST = 0xfd,
    COMMAND_RESEND = 0xfe,
    COMMAND_RESET = 0xff,
};

#define TYPEMATIC_DEFAULT 0x2b /* 10.9 characters a second after 500 ms */

/* The translation of the 8042 ("Scan code translation", IBM PS/2 Keyboard and Auxiliary Device Controller). The index
 * is the set 2 code, the value the set 1 code. The table serves both directions. */
static const u8 set2_to_set1[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59, /* 00 */
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, /* 10 */
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, /* 20 */
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, /* 30 */
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, /* 40 */
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, /* 50 */
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, /* 60 */
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, /* 70 */
};

u8 ps2_set2_to_set1(u8 code)
{
    /* Above 7Fh only F7 (83h) and Alt-PrintScreen (84h) are codes; the rest are replies, which pass. */
    if (code == 0x83) return 0x41;
    if (code == 0x84) return 0x54;
    return code < 128 ? set2_to_set1[code] : code;
}

static u8 set1_to_set2(u8 code)
{
    /* 41h is the code of 83h, F7, and of 02h, which is no key. */
    if (code == 0x41) return 0x83;
    if (code == 0x54) return 0x84;
    for (unsigned i = 0; i < 128; i++) {
        if (set2_to_set1[i] == code) return i;
    }
    return 0;
}

/* Keys with a set 3 code that differs from their set 2 code. */
static const struct set3_row {
    bool extended;
    u8 set1, set3;
} set3_rows[] = {
    {0, 0x01, 0x08}, {0, 0x1d, 0x11}, {1, 0x1d, 0x58}, {0, 0x2b, 0x5c}, {0, 0x37, 0x7e}, {1, 0x37, 0x57},
    {0, 0x38, 0x19}, {1, 0x38, 0x39}, {0, 0x3a, 0x14}, {0, 0x3b, 0x07}, {0, 0x3c, 0x0f}, {0, 0x3d, 0x17},
    {0, 0x3e, 0x1f}, {0, 0x3f, 0x27}, {0, 0x40, 0x2f}, {0, 0x41, 0x37}, {0, 0x42, 0x3f}, {0, 0x43, 0x47},
    {0, 0x44, 0x4f}, {0, 0x45, 0x76}, {0, 0x46, 0x5f}, {0, 0x4a, 0x84}, {0, 0x4e, 0x7c}, {0, 0x54, 0x57},
    {0, 0x56, 0x13}, {0, 0x57, 0x56}, {0, 0x58, 0x5e}, {1, 0x1c, 0x79}, {1, 0x35, 0x77}, {1, 0x46, 0x62},
    {1, 0x47, 0x6e}, {1, 0x48, 0x63}, {1, 0x49, 0x6f}, {1, 0x4b, 0x61}, {1, 0x4d, 0x6a}, {1, 0x4f, 0x65},
    {1, 0x50, 0x60}, {1, 0x51, 0x6d}, {1, 0x52, 0x67}, {1, 0x53, 0x64}, {1, 0x5b, 0x8b}, {1, 0x5c, 0x8c},
    {1, 0x5d, 0x8d},
};

static u8 set1_to_set3(bool extended, u8 code)
{
    for (unsigned i = 0; i < ARRAY_SIZE(set3_rows); i++) {
        if (set3_rows[i].set1 == code && set3_rows[i].extended == extended) return set3_rows[i].set3;
    }
    return extended ? 0 : set1_to_set2(code);
}

static void defaults(struct ps2_keyboard *keyboard)
{
    ps2_clear(&keyboard->events);
    keyboard->set = 2;
    keyboard->typematic = TYPEMATIC_DEFAULT;
    keyboard->extended = false;
}

void ps2_keyboard_reset(struct ps2_keyboard *keyboard)
{
    *keyboard = (struct ps2_keyboard){.scanning = true};
    defaults(keyboard);
}

static void reply(struct ps2_keyboard *keyboard, u8 byte)
{
    ps2_put(&keyboard->replies, byte);
}

static void echo(struct ps2_keyboard *keyboard)
{
    reply(keyboard, PS2_ECHO);
}

static void resend(struct ps2_keyboard *keyboard)
{
    reply(keyboard, keyboard->last);
}

static void identify(struct ps2_keyboard *keyboard)
{
    reply(keyboard, PS2_ACK);
    reply(keyboard, 0xab);
    reply(keyboard, 0x83);
}

static void enable(struct ps2_keyboard *keyboard)
{
    ps2_clear(&keyboard->events);
    keyboard->scanning = true;
    reply(keyboard, PS2_ACK);
}

static void disable(struct ps2_keyboard *keyboard)
{
    defaults(keyboard);
    keyboard->scanning = false;
    reply(keyboard, PS2_ACK);
}

static void set_defaults(struct ps2_keyboard *keyboard)
{
    defaults(keyboard);
    reply(keyboard, PS2_ACK);
}

static void acknowledge(struct ps2_keyboard *keyboard)
{
    reply(keyboard, PS2_ACK);
}

static void reset(struct ps2_keyboard *keyboard)
{
    ps2_keyboard_reset(keyboard);
    reply(keyboard, PS2_ACK);
    reply(keyboard, PS2_SELF_TEST_PASSED);
}

static const struct command_row {
    u8 first, last;
    bool parameter; /* a byte follows: take_parameter() */
    void (*run)(struct ps2_keyboard *keyboard);
} command_rows[] = {
    {COMMAND_LEDS, COMMAND_LEDS, true, acknowledge},
    {COMMAND_ECHO, COMMAND_ECHO, false, echo},
    {COMMAND_SCAN_CODE_SET, COMMAND_SCAN_CODE_SET, true, acknowledge},
    {COMMAND_IDENTIFY, COMMAND_IDENTIFY, false, identify},
    {COMMAND_TYPEMATIC, COMMAND_TYPEMATIC, true, acknowledge},
    {COMMAND_ENABLE, COMMAND_ENABLE, false, enable},
    {COMMAND_DISABLE, COMMAND_DISABLE, false, disable},
    {COMMAND_DEFAULTS, COMMAND_DEFAULTS, false, set_defaults},
    {COMMAND_ALL_KEYS_FIRST, COMMAND_ALL_KEYS_LAST, false, acknowledge},
    {COMMAND_KEY_FIRST, COMMAND_KEY_LAST, true, acknowledge},
    {COMMAND_RESEND, COMMAND_RESEND, false, resend},
    {COMMAND_RESET, COMMAND_RESET, false, reset},
};

/* Take the byte that a command waited for. False: the byte is a command itself, and the wait is over. */
static bool take_parameter(struct ps2_keyboard *keyboard, u8 byte)
{
    u8 command = keyboard->command;
    if (byte >= COMMAND_LEDS) return false;
    /* Keys are listed until a command ends the list. */
    if (command < COMMAND_KEY_FIRST) keyboard->command = 0;
    if (command == COMMAND_LEDS) keyboard->leds = byte & 7;
    if (command == COMMAND_TYPEMATIC) keyboard->typematic = byte & 0x7f;
    if (command == COMMAND_SCAN_CODE_SET) {
        if (byte > 3) {
            reply(keyboard, PS2_RESEND);
            return true;
        }
        if (byte) {
            keyboard->set = byte;
            ps2_clear(&keyboard->events);
        }
    }
    reply(keyboard, PS2_ACK);
    if (command == COMMAND_SCAN_CODE_SET && byte == 0) reply(keyboard, keyboard->set);
    return true;
}

void ps2_keyboard_write(struct ps2_keyboard *keyboard, u8 byte)
{
    /* A new byte cancels the answer to the one before. */
    ps2_clear(&keyboard->replies);
    if (keyboard->command && take_parameter(keyboard, byte)) return;
    keyboard->command = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(command_rows); i++) {
        const struct command_row *row = &command_rows[i];
        if (byte < row->first || byte > row->last) continue;
        row->run(keyboard);
        if (row->parameter) keyboard->command = byte;
        return;
    }
    reply(keyboard, PS2_RESEND);
}

bool ps2_keyboard_has_byte(const struct ps2_keyboard *keyboard)
{
    return keyboard->replies.count || keyboard->events.count;
}

u8 ps2_keyboard_take(struct ps2_keyboard *keyboard)
{
    u8 byte = ps2_take(keyboard->replies.count ? &keyboard->replies : &keyboard->events);
    if (byte != PS2_RESEND) keyboard->last = byte;
    return byte;
}

/* Queue one set 1 byte, converted to the set in use. */
static void put_code(struct ps2_keyboard *keyboard, u8 set1)
{
    struct ps2_queue *events = &keyboard->events;
    if (keyboard->set == 1) {
        ps2_put(events, set1);
        return;
    }
    if (set1 == PREFIX_EXTENDED || set1 == PREFIX_PAUSE) {
        keyboard->extended = set1 == PREFIX_EXTENDED;
        if (keyboard->set == 2) ps2_put(events, set1);
        return;
    }
    u8 key = set1 & ~SET1_BREAK;
    u8 code = keyboard->set == 2 ? set1_to_set2(key) : set1_to_set3(keyboard->extended, key);
    keyboard->extended = false;
    if (!code) return;
    if (set1 & SET1_BREAK) ps2_put(events, PREFIX_BREAK);
    ps2_put(events, code);
}

/* The Pause key in set 3 is one code like any other; in sets 1 and 2 it is a sequence. */
static bool put_pause_set3(struct ps2_keyboard *keyboard, const u8 *set1, unsigned bytes)
{
    if (keyboard->set != 3 || !bytes || set1[0] != PREFIX_PAUSE) return false;
    ps2_put(&keyboard->events, 0x62);
    ps2_put(&keyboard->events, PREFIX_BREAK);
    ps2_put(&keyboard->events, 0x62);
    return true;
}

bool ps2_keyboard_key(struct ps2_keyboard *keyboard, const u8 *set1, unsigned bytes)
{
    /* A set 2 break code is one byte longer. The event is queued whole or not at all. */
    if (!keyboard->scanning || ps2_room(&keyboard->events) < 2 * bytes) return false;
    if (put_pause_set3(keyboard, set1, bytes)) return true;
    for (unsigned i = 0; i < bytes; i++) {
        put_code(keyboard, set1[i]);
    }
    return true;
}
