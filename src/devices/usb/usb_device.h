/*
 * A full-speed USB device, as the wire sees it (USB 2.0, chapters 8 and 9): packets of endpoints, and behind endpoint 0
 * the standard requests, which usb_device.c answers from descriptors. A function (keyboard, tablet, disk) adds its own
 * requests and endpoints.
 *
 *   host controller --- usb_transact() ---> usb_device.c --- request(), in(), out() ---> usb_hid.c, usb_storage.c
 *                   <------ wake() --------
 *
 * Nothing is lost on this wire, so no packet comes twice, and data toggles need not be looked at. A device without data
 * answers NAK, and calls wake() when it has some: the host controller may poll slowly until then.
 */
#ifndef RINGER_DEVICES_USB_USB_DEVICE_H
#define RINGER_DEVICES_USB_USB_DEVICE_H

#include "base/device.h"

#define USB_PACKET_MAX    64 /* bytes, of every endpoint of these devices */
#define USB_CONTROL_BYTES 512

enum usb_pid { USB_PID_IN = 0x69, USB_PID_OUT = 0xe1, USB_PID_SETUP = 0x2d };

/* What usb_transact() returns if no data moves. */
enum usb_answer { USB_NAK = -1, USB_STALL = -2, USB_NO_ANSWER = -3 };

/* bmRequestType and bRequest (9.3, 9.4) */
enum {
    USB_TO_HOST = 0x80,
    USB_TYPE_MASK = 0x60,
    USB_TYPE_CLASS = 0x20,
    USB_RECIPIENT_MASK = 0x1f,
    USB_OF_DEVICE = 0,
    USB_OF_INTERFACE = 1,
    USB_OF_ENDPOINT = 2,
};
enum {
    USB_GET_STATUS = 0,
    USB_CLEAR_FEATURE = 1,
    USB_SET_FEATURE = 3,
    USB_SET_ADDRESS = 5,
    USB_GET_DESCRIPTOR = 6,
    USB_GET_CONFIGURATION = 8,
    USB_SET_CONFIGURATION = 9,
    USB_GET_INTERFACE = 10,
    USB_SET_INTERFACE = 11,
};
enum { USB_DESCRIPTOR_DEVICE = 1, USB_DESCRIPTOR_CONFIGURATION = 2, USB_DESCRIPTOR_STRING = 3 };

struct usb_setup {
    u8 type, request;
    u16 value, index, length;
};

struct usb_device;

struct usb_function {
    const u8 *device_descriptor; /* 18 bytes */
    const u8 *configuration;     /* the one configuration, with all that belongs to it */
    u32 configuration_bytes;
    /* String `index`, from 1. NULL: there is none. */
    const char *(*string)(struct usb_device *device, unsigned index);
    /* A request that usb_device.c does not know. To the host: puts up to USB_CONTROL_BYTES into data, and their number
     * into *bytes. From the host: there are *bytes. False: STALL. */
    bool (*request)(struct usb_device *device, const struct usb_setup *setup, u8 *data, u32 *bytes);
    /* A packet of another endpoint: the number of bytes moved, or an enum usb_answer. */
    int (*in)(struct usb_device *device, unsigned endpoint, u8 *data);
    int (*out)(struct usb_device *device, unsigned endpoint, const u8 *data, u32 bytes);
    /* The host has chosen the configuration, or the device lost it. */
    void (*configured)(struct usb_device *device);
    /* The bus was reset. */
    void (*reset)(struct usb_device *device);
};

enum usb_stage { USB_IDLE, USB_DATA_IN, USB_DATA_OUT, USB_STATUS_IN, USB_REFUSED };

struct usb_device {
    const struct usb_function *function;
    /* the host controller's; may be NULL */
    void (*wake)(void *port);
    void *port;

    u8 address, new_address; /* the new one counts when its request is complete */
    bool is_configured;
    bool may_wake;             /* remote wake-up is enabled */
    u16 halted_in, halted_out; /* bit n: endpoint n answers STALL */
    /* the control transfer under way */
    enum usb_stage stage;
    struct usb_setup setup;
    u8 data[USB_CONTROL_BYTES];
    u32 bytes, at;
};

void usb_device_init(struct usb_device *device, const struct usb_function *function);
/* The host resets the bus, or power comes. */
void usb_device_reset(struct usb_device *device);
/* A transaction. `data` holds the `bytes` of the host; for IN it has room for USB_PACKET_MAX. Returns the number of
 * bytes that moved, or an enum usb_answer. */
int usb_transact(struct usb_device *device, enum usb_pid pid, unsigned endpoint, u8 *data, u32 bytes);

/* --- for functions --- */

/* For request(): the answer is this byte. */
static inline bool usb_answer_byte(u8 *data, u32 *bytes, u8 value)
{
    data[0] = value;
    *bytes = 1;
    return true;
}

static inline void usb_wake(struct usb_device *device)
{
    if (device->wake) device->wake(device->port);
}

#endif
