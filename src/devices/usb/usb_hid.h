/*
 * USB keyboard and tablet (HID 1.11; HID Usage Tables 1.12). One interrupt endpoint each, to the host.
 *
 *   keyboard   the boot protocol's report (HID 1.11 B.1): modifiers | 0 | six keys that are down. Lamps come
 *              by SET_REPORT.
 *   tablet     buttons | x, 16 bits, 0 to 7FFFh | y | wheel: the pointer's place on the screen
 *
 * Events wait in a queue, a report for each, so that a short press is not lost between two polls.
 */
#ifndef RINGER_DEVICES_USB_USB_HID_H
#define RINGER_DEVICES_USB_USB_HID_H

#include "usb_device.h"

#define USB_HID_EVENTS    32
#define USB_KEYBOARD_KEYS 6

struct usb_hid;

struct usb_hid_kind; /* usb_hid.c */

struct usb_hid_event {
    u8 usage; /* keyboard */
    bool down;
    u8 buttons; /* tablet */
    u16 x, y;
    s16 wheel; /* clicks away from the user */
};

struct usb_hid_wiring {
    /* The host has begun to use the device, or has stopped. */
    void (*used)(void *owner, struct usb_hid *hid);
    void (*lamps)(void *owner, u8 leds); /* as in the report: 0 Num Lock, 1 Caps Lock, 2 Scroll Lock */
    void *owner;
};

struct usb_hid {
    struct usb_device usb; /* first */
    const struct usb_hid_kind *kind;
    struct usb_hid_wiring wiring;
    struct clock *clock;
    struct usb_hid_event event[USB_HID_EVENTS];
    unsigned head, count;
    struct usb_hid_event last; /* the state that was reported last */
    u8 modifiers, key[USB_KEYBOARD_KEYS];
    unsigned keys; /* that are down; more than USB_KEYBOARD_KEYS: the report says so */
    bool down[256];
    u8 protocol; /* 0 boot, 1 report */
    u8 idle;     /* in 4 ms: how often a report comes without an event; 0: never */
    u64 reported_ns;
};

void usb_keyboard_init(struct usb_hid *hid, struct clock *clock, const struct usb_hid_wiring *wiring);
void usb_tablet_init(struct usb_hid *hid, struct clock *clock, const struct usb_hid_wiring *wiring);

/* False: there is no room for the event. */
bool usb_keyboard_key(struct usb_hid *hid, u8 usage, bool down);
/* x and y: 0 to FFFFh over the whole screen; clicks of the wheel towards the user; buttons 0 left, 1 right, 2 middle, 3
 * back, 4 forward. */
void usb_tablet_point(struct usb_hid *hid, u16 x, u16 y, int wheel, u8 buttons);

#endif
