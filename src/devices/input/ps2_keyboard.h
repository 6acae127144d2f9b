/*
 * A PS/2 keyboard of 101/102 keys (IBM PS/2 Hardware Interface Technical Reference, "101/102-key keyboard"):
 * scan code sets 1, 2 (default) and 3. Only the i8042 calls this.
 *
 * Keys come in as set 1 codes, which a PC program sees after the controller's translation. The keyboard converts
 * them to the set in use. In set 3 every key sends make and break codes. The host repeats keys, so typematic
 * settings are accepted and have no effect.
 */
#ifndef RINGER_DEVICES_INPUT_PS2_KEYBOARD_H
#define RINGER_DEVICES_INPUT_PS2_KEYBOARD_H

#include "ps2.h"

enum { PS2_LED_SCROLL = 1, PS2_LED_NUM = 2, PS2_LED_CAPS = 4 };

struct ps2_keyboard {
    struct ps2_queue replies, events;
    u8 set;  /* 1-3 */
    u8 leds; /* PS2_LED_... */
    u8 typematic;
    bool scanning;
    u8 command;    /* the command that waits for its parameter, or 0 */
    u8 last;       /* the byte sent last, for RESEND */
    bool extended; /* the last set 1 byte was E0 */
};

void ps2_keyboard_reset(struct ps2_keyboard *keyboard);
/* A byte from the controller. */
void ps2_keyboard_write(struct ps2_keyboard *keyboard, u8 byte);
bool ps2_keyboard_has_byte(const struct ps2_keyboard *keyboard);
u8 ps2_keyboard_take(struct ps2_keyboard *keyboard);
/* One whole key event as set 1 bytes. False: scanning is off or the buffer is full, and the event is lost. */
bool ps2_keyboard_key(struct ps2_keyboard *keyboard, const u8 *set1, unsigned bytes);

/* A set 2 code without prefix and its translation into set 1, 0 if there is none. The controller's table. */
u8 ps2_set2_to_set1(u8 code);

#endif
