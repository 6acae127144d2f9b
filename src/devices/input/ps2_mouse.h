/*
 * A PS/2 mouse with a wheel. It starts as the standard mouse (IBM PS/2 Hardware Interface Technical Reference,
 * "Mouse"). Three sample rates in a row, the knock, change it (Microsoft, "Key support, keyboard scan codes, and
 * Windows"):
 *
 *   200, 100, 80   IntelliMouse: identity 3, packets of four bytes
 *   200, 200, 80   IntelliMouse Explorer: identity 4, two more buttons
 *
 * Only the i8042 calls this.
 *
 * Movement is summed until the controller fetches a packet, so a slow guest gets fewer and larger packets
 * and never a queue of old ones. Changes of buttons are kept in order.
 */
#ifndef RINGER_DEVICES_INPUT_PS2_MOUSE_H
#define RINGER_DEVICES_INPUT_PS2_MOUSE_H

#include "ps2.h"

enum {
    PS2_BUTTON_LEFT = 1,
    PS2_BUTTON_RIGHT = 2,
    PS2_BUTTON_MIDDLE = 4,
    PS2_BUTTON_BACK = 8,
    PS2_BUTTON_FORWARD = 16,
    PS2_BUTTONS = 31,
};

struct ps2_mouse {
    struct ps2_queue replies, events; /* events: whole packets, and the rest of the one being fetched */
    u8 identity;                      /* 0, 3 or 4 */
    u8 resolution, rate;
    u8 knock[2]; /* the sample rates before `rate` */
    u8 command;  /* the command that waits for its parameter, or 0 */
    u8 last;
    bool reporting, remote, wrapping, double_scale;
    u8 buttons;
    bool changed;      /* something to report */
    int dx, dy, wheel; /* not reported yet; right, up and towards the user are positive */
};

void ps2_mouse_reset(struct ps2_mouse *mouse);
void ps2_mouse_write(struct ps2_mouse *mouse, u8 byte);
bool ps2_mouse_has_byte(const struct ps2_mouse *mouse);
u8 ps2_mouse_take(struct ps2_mouse *mouse);
/* The user moved it: counts right and *down* (as screens count), wheel clicks towards the user, buttons now
 * held. */
void ps2_mouse_event(struct ps2_mouse *mouse, int right, int down, int wheel, u8 buttons);

#endif
