/*
 * The wires of the console. Events of frontends and scripts go to the keyboard, the mouse, VMware's pointer and the
 * switches of the machine. The states of lamps and pointer go to the frontends.
 *
 * Everything here runs on the vCPU thread. Other threads use console_send().
 */
#ifndef RINGER_BOARD_WIRE_CONSOLE_H
#define RINGER_BOARD_WIRE_CONSOLE_H

#include "base/device.h"
#include "devices/input/vmware_port.h"
#include "devices/usb/usb_hid.h"
#include "ui/console.h"

struct board;
struct i8042;
struct piix4_pm;

#define KEY_FEED_KEYS 256

/* Keys that wait for room in the keyboard's small buffer. If a key finds no room for a second, the guest reads no keys,
 * and the key is dropped. */
struct key_feed {
    struct {
        const struct key *key;
        bool down;
    } queue[KEY_FEED_KEYS];
    unsigned head, count;
    u64 since_ns; /* when the first of them began to wait */
    struct timer timer;
};

struct wire_console {
    struct board *board;
    struct i8042 *keyboard;
    struct piix4_pm *power;
    struct console console;
    struct vmware_port vmware;
    bool vmware_absolute;
    struct usb_hid *usb_keyboard,
        *usb_tablet; /* those that the guest uses; NULL: none, so the PS/2 devices are used */
    struct key_feed feed;
    bool paused;                 /* by the user */
    struct wire_console *mirror; /* lockstep's follower: it gets the same events */
    u16 x, y;                    /* the last position of the pointer */
    s32 odd_x, odd_y;            /* the fractions of counts that the PS/2 mouse has not reported yet */
};

/* `display`: NULL if there is none. */
void wire_console_init(struct wire_console *wire, struct board *board, struct i8042 *keyboard,
                       struct piix4_pm *power, struct display *display);
void wire_console_destroy(struct wire_console *wire);
void wire_console_reset(struct wire_console *wire);
/* The machine has stopped for good. */
void wire_console_stopped(struct wire_console *wire);

/* The guest has begun to use a USB device, or has stopped. */
void wire_console_use_keyboard(struct board *board, struct usb_hid *keyboard, bool used);
void wire_console_use_tablet(struct board *board, struct usb_hid *tablet, bool used);
/* PS2_LED_... that the guest has switched on. */
void wire_console_leds(struct board *board, u8 leds);

void wire_console_key(struct wire_console *wire, const struct key *key, bool down);
/* The user wants the machine to stand still, or to go on. */
void wire_console_pause(struct wire_console *wire, bool paused);
void wire_console_event(struct wire_console *wire, const struct console_event *event);

#endif
