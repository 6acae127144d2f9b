/*
 * USB keyboard and tablet. See usb_hid.h.
 */
#include "usb_hid.h"

#include <assert.h>
#include <string.h>

enum { DESCRIPTOR_HID = 0x21, DESCRIPTOR_REPORT = 0x22, HID_DESCRIPTOR_AT = 18, HID_DESCRIPTOR_BYTES = 9 };
enum { GET_REPORT = 1, GET_IDLE = 2, GET_PROTOCOL = 3, SET_REPORT = 9, SET_IDLE = 10, SET_PROTOCOL = 11 };
enum { REPORT_INPUT = 1, REPORT_OUTPUT = 2 };
enum { USAGE_FIRST_MODIFIER = 0xe0, USAGE_LAST_MODIFIER = 0xe7, USAGE_ROLLOVER = 0x01 };
enum { KEYBOARD_REPORT_BYTES = 8, TABLET_REPORT_BYTES = 6, ENDPOINT = 1 };
#define IDLE_UNIT_NS   4000000ull
#define TABLET_BUTTONS 0x1f

/* clang-format off */

/* HID 1.11 B.1: 8 modifiers, a byte of 0, lamps (5 bits, output), 6 keys. */
static const u8 keyboard_report[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01,                               /* generic desktop, keyboard: a collection */
    0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01,       /* keys E0h to E7h, 0 or 1 */
    0x75, 0x01, 0x95, 0x08, 0x81, 0x02,                               /* 8 of 1 bit */
    0x75, 0x08, 0x95, 0x01, 0x81, 0x01,                               /* a byte that means nothing */
    0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x75, 0x01, 0x95, 0x05, 0x91, 0x02, /* lamps 1 to 5, output */
    0x75, 0x03, 0x95, 0x01, 0x91, 0x01,                               /* 3 bits that mean nothing */
    0x05, 0x07, 0x19, 0x00, 0x2a, 0xff, 0x00, 0x15, 0x00, 0x26, 0xff, 0x00, /* keys 0 to FFh */
    0x75, 0x08, 0x95, 0x06, 0x81, 0x00,                               /* 6 of 8 bits */
    0xc0,
};

static const u8 tablet_report[] = {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00,       /* generic desktop, mouse, pointer: collections */
    0x05, 0x09, 0x19, 0x01, 0x29, 0x05, 0x15, 0x00, 0x25, 0x01,       /* buttons 1 to 5 */
    0x75, 0x01, 0x95, 0x05, 0x81, 0x02, 0x75, 0x03, 0x95, 0x01, 0x81, 0x01,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xff, 0x7f, /* X, Y: 0 to 7FFFh, */
    0x35, 0x00, 0x46, 0xff, 0x7f, 0x75, 0x10, 0x95, 0x02, 0x81, 0x02, /* absolute */
    0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x35, 0x00, 0x45, 0x00,       /* wheel, */
    0x75, 0x08, 0x95, 0x01, 0x81, 0x06,                               /* relative */
    0xc0, 0xc0,
};

/* USB 2.0 table 9-8. Vendor and product are those under which guests know these devices. */

static const u8 device_descriptor[] = {18, 1, 0x10, 0x01, 0, 0, 0, 64, 0x27, 0x06, 0x01, 0x00, 0x00, 0x01, 1, 2, 3, 1};

/* Tables 9-10 to 9-13: configuration 1 (remote wake-up, 100 mA), interface 0, HID descriptor, interrupt endpoint 1. */
#define CONFIGURATION(subclass, protocol, report, interval)                        \
    {9, 2, 34, 0, 1, 1, 0, 0xa0, 50,                                               \
     9, 4, 0, 0, 1, 3, subclass, protocol, 0,                                      \
     HID_DESCRIPTOR_BYTES, DESCRIPTOR_HID, 0x11, 0x01, 0, 1, DESCRIPTOR_REPORT, sizeof(report), 0, \
     7, 5, 0x80 | ENDPOINT, 3, 8, 0, interval}
static const u8 keyboard_configuration[] = CONFIGURATION(1, 1, keyboard_report, 10);
static const u8 tablet_configuration[] = CONFIGURATION(0, 0, tablet_report, 10);

/* clang-format on */

struct usb_hid_kind {
    const u8 *report; /* the descriptor */
    u32 report_descriptor_bytes;
    u32 report_bytes;
    const char *product;
    void (*take)(struct usb_hid *hid, const struct usb_hid_event *event);
    void (*put)(const struct usb_hid *hid, u8 *report);
};

/* --- events --- */

static struct usb_hid_event *newest(struct usb_hid *hid)
{
    return &hid->event[(hid->head + hid->count - 1) % USB_HID_EVENTS];
}

/* An event wakes the host even if earlier ones wait: the host may have suspended the port in between. */
static bool add_event(struct usb_hid *hid, const struct usb_hid_event *event)
{
    if (!hid->usb.is_configured) return false;
    bool room = hid->count < USB_HID_EVENTS;
    if (room) {
        hid->count++;
        *newest(hid) = *event;
    }
    usb_wake(&hid->usb);
    return room;
}

/* --- the keyboard --- */

bool usb_keyboard_key(struct usb_hid *hid, u8 usage, bool down)
{
    return add_event(hid, &(struct usb_hid_event){.usage = usage, .down = down});
}

static void take_key(struct usb_hid *hid, const struct usb_hid_event *event)
{
    if (hid->down[event->usage] == event->down) return;
    hid->down[event->usage] = event->down;
    if (event->usage >= USAGE_FIRST_MODIFIER && event->usage <= USAGE_LAST_MODIFIER) {
        hid->modifiers ^= (u8)(1u << (event->usage - USAGE_FIRST_MODIFIER));
        return;
    }
    hid->keys = 0;
    memset(hid->key, 0, sizeof(hid->key));
    for (unsigned usage = 1; usage < USAGE_FIRST_MODIFIER; usage++)
        if (hid->down[usage] && hid->keys++ < USB_KEYBOARD_KEYS) hid->key[hid->keys - 1] = (u8)usage;
}

static void put_keys(const struct usb_hid *hid, u8 *report)
{
    report[0] = hid->modifiers;
    report[1] = 0;
    if (hid->keys > USB_KEYBOARD_KEYS)
        memset(report + 2, USAGE_ROLLOVER, USB_KEYBOARD_KEYS);
    else
        memcpy(report + 2, hid->key, USB_KEYBOARD_KEYS);
}

/* --- the tablet --- */

void usb_tablet_point(struct usb_hid *hid, u16 x, u16 y, int wheel, u8 buttons)
{
    struct usb_hid_event event = {
        .x = x >> 1, .y = y >> 1, .wheel = (s16)-wheel, .buttons = buttons & TABLET_BUTTONS};
    /* Movements add up if the host has not taken the last one. */
    if (hid->count && (newest(hid)->buttons == event.buttons || hid->count == USB_HID_EVENTS)) {
        event.wheel = (s16)(event.wheel + newest(hid)->wheel);
        *newest(hid) = event;
        usb_wake(&hid->usb);
    } else {
        add_event(hid, &event);
    }
}

static void take_point(struct usb_hid *hid, const struct usb_hid_event *event)
{
    hid->last = *event;
}

static void put_point(const struct usb_hid *hid, u8 *report)
{
    const struct usb_hid_event *at = &hid->last;
    int wheel = at->wheel < -127 ? -127 : at->wheel > 127 ? 127 : at->wheel;
    report[0] = at->buttons;
    report[1] = (u8)at->x;
    report[2] = (u8)(at->x >> 8);
    report[3] = (u8)at->y;
    report[4] = (u8)(at->y >> 8);
    report[5] = (u8)wheel;
}

/* --- the function --- */

static const char *string(struct usb_device *device, unsigned index)
{
    const struct usb_hid *hid = container_of(device, struct usb_hid, usb);
    const char *const strings[] = {"Ringer", hid->kind->product, "1"};
    return index <= ARRAY_SIZE(strings) ? strings[index - 1] : NULL;
}

static bool get_descriptor(const struct usb_hid *hid, const struct usb_setup *setup, u8 *data, u32 *bytes)
{
    if (setup->value >> 8 == DESCRIPTOR_HID)
        memcpy(data, hid->usb.function->configuration + HID_DESCRIPTOR_AT, *bytes = HID_DESCRIPTOR_BYTES);
    else if (setup->value >> 8 == DESCRIPTOR_REPORT)
        memcpy(data, hid->kind->report, *bytes = hid->kind->report_descriptor_bytes);
    else
        return false;
    return true;
}

/* HID 1.11 7.2 */
static bool class_request(struct usb_hid *hid, const struct usb_setup *setup, u8 *data, u32 *bytes)
{
    switch (setup->request) {
    case GET_REPORT:
        if (setup->value >> 8 != REPORT_INPUT) return false;
        hid->kind->put(hid, data);
        *bytes = hid->kind->report_bytes;
        return true;
    case SET_REPORT:
        if (setup->value >> 8 != REPORT_OUTPUT || !*bytes) return false;
        if (hid->wiring.lamps) hid->wiring.lamps(hid->wiring.owner, data[0]);
        return true;
    case GET_IDLE: return usb_answer_byte(data, bytes, hid->idle);
    case SET_IDLE:
        hid->idle = setup->value >> 8;
        hid->reported_ns = clock_now(hid->clock);
        return true;
    case GET_PROTOCOL: return usb_answer_byte(data, bytes, hid->protocol);
    case SET_PROTOCOL: hid->protocol = setup->value & 1; return true;
    default: return false;
    }
}

static bool request(struct usb_device *device, const struct usb_setup *setup, u8 *data, u32 *bytes)
{
    struct usb_hid *hid = container_of(device, struct usb_hid, usb);
    if ((setup->type & USB_RECIPIENT_MASK) != USB_OF_INTERFACE) return false;
    bool to_host = setup->type & USB_TO_HOST;
    if ((setup->type & USB_TYPE_MASK) == USB_TYPE_CLASS) {
        bool reads = setup->request < SET_REPORT;
        return reads == to_host && class_request(hid, setup, data, bytes);
    }
    return to_host && setup->request == USB_GET_DESCRIPTOR && get_descriptor(hid, setup, data, bytes);
}

static int in(struct usb_device *device, unsigned endpoint, u8 *data)
{
    struct usb_hid *hid = container_of(device, struct usb_hid, usb);
    u64 now = clock_now(hid->clock);
    if (endpoint != ENDPOINT) return USB_NO_ANSWER;
    if (hid->count) {
        hid->kind->take(hid, &hid->event[hid->head]);
        hid->head = (hid->head + 1) % USB_HID_EVENTS;
        hid->count--;
    } else if (!hid->idle || now - hid->reported_ns < hid->idle * IDLE_UNIT_NS) {
        return USB_NAK;
    }
    hid->reported_ns = now;
    hid->kind->put(hid, data);
    hid->last.wheel = 0;
    return (int)hid->kind->report_bytes;
}

static void configured(struct usb_device *device)
{
    struct usb_hid *hid = container_of(device, struct usb_hid, usb);
    hid->count = 0;
    if (hid->wiring.used) hid->wiring.used(hid->wiring.owner, hid);
}

static void reset(struct usb_device *device)
{
    struct usb_hid *hid = container_of(device, struct usb_hid, usb);
    hid->head = hid->count = hid->keys = 0;
    hid->modifiers = hid->idle = 0;
    hid->protocol = 1;
    hid->last = (struct usb_hid_event){0};
    memset(hid->key, 0, sizeof(hid->key));
    memset(hid->down, 0, sizeof(hid->down));
}

static const struct usb_hid_kind keyboard_kind = {
    keyboard_report, sizeof(keyboard_report), KEYBOARD_REPORT_BYTES, "USB Keyboard", take_key, put_keys};
static const struct usb_hid_kind tablet_kind = {
    tablet_report, sizeof(tablet_report), TABLET_REPORT_BYTES, "USB Tablet", take_point, put_point};

static const struct usb_function keyboard_function = {.device_descriptor = device_descriptor,
                                                      .configuration = keyboard_configuration,
                                                      .configuration_bytes = sizeof(keyboard_configuration),
                                                      .string = string,
                                                      .request = request,
                                                      .in = in,
                                                      .configured = configured,
                                                      .reset = reset};
static const struct usb_function tablet_function = {.device_descriptor = device_descriptor,
                                                    .configuration = tablet_configuration,
                                                    .configuration_bytes = sizeof(tablet_configuration),
                                                    .string = string,
                                                    .request = request,
                                                    .in = in,
                                                    .configured = configured,
                                                    .reset = reset};

static void init(struct usb_hid *hid, const struct usb_hid_kind *kind, const struct usb_function *function,
                 struct clock *clock, const struct usb_hid_wiring *wiring)
{
    static_assert(sizeof(keyboard_report) < 256 && sizeof(tablet_report) < 256, "the length takes one byte");
    *hid = (struct usb_hid){.kind = kind, .wiring = *wiring, .clock = clock};
    usb_device_init(&hid->usb, function);
    reset(&hid->usb);
}

void usb_keyboard_init(struct usb_hid *hid, struct clock *clock, const struct usb_hid_wiring *wiring)
{
    init(hid, &keyboard_kind, &keyboard_function, clock, wiring);
}

void usb_tablet_init(struct usb_hid *hid, struct clock *clock, const struct usb_hid_wiring *wiring)
{
    init(hid, &tablet_kind, &tablet_function, clock, wiring);
}
