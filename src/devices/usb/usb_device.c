/*
 * What all USB devices have in common. See usb_device.h.
 */
#include "usb_device.h"

#include <string.h>

enum { FEATURE_HALT = 0, FEATURE_REMOTE_WAKE = 1 };
enum { STATUS_REMOTE_WAKE = 2, STATUS_HALTED = 1 };
enum { ENDPOINT_IN = 0x80, ENDPOINT_NUMBER = 0x0f };
enum { DEVICE_DESCRIPTOR_BYTES = 18, SETUP_BYTES = 8 };
#define LANGUAGE_US 0x0409

void usb_device_init(struct usb_device *device, const struct usb_function *function)
{
    *device = (struct usb_device){.function = function};
}

void usb_device_reset(struct usb_device *device)
{
    bool was = device->is_configured;
    device->address = device->new_address = 0;
    device->is_configured = device->may_wake = false;
    device->halted_in = device->halted_out = 0;
    device->stage = USB_IDLE;
    if (device->function->reset) device->function->reset(device);
    if (was && device->function->configured) device->function->configured(device);
}

/* --- standard requests (9.4) --- */

static u32 put_string(const char *text, u8 *data)
{
    u32 bytes = 2;
    for (; *text && bytes + 2 <= 254; text++) { /* ASCII in UTF-16 */
        data[bytes++] = (u8)*text;
        data[bytes++] = 0;
    }
    data[0] = (u8)bytes;
    data[1] = USB_DESCRIPTOR_STRING;
    return bytes;
}

static bool get_descriptor(struct usb_device *d, u8 *data, u32 *bytes)
{
    const struct usb_function *f = d->function;
    const char *text;
    unsigned index = d->setup.value & 0xff;
    switch (d->setup.value >> 8) {
    case USB_DESCRIPTOR_DEVICE:
        memcpy(data, f->device_descriptor, *bytes = DEVICE_DESCRIPTOR_BYTES);
        return true;
    case USB_DESCRIPTOR_CONFIGURATION:
        if (index) return false;
        memcpy(data, f->configuration, *bytes = f->configuration_bytes);
        return true;
    case USB_DESCRIPTOR_STRING:
        if (!index) {
            const u8 languages[] = {4, USB_DESCRIPTOR_STRING, LANGUAGE_US & 0xff, LANGUAGE_US >> 8};
            memcpy(data, languages, *bytes = sizeof(languages));
            return true;
        }
        text = f->string ? f->string(d, index) : NULL;
        if (text) *bytes = put_string(text, data);
        return text;
    default: return false; /* a device qualifier is for devices that know high speed */
    }
}

static bool set_configuration(struct usb_device *d)
{
    u8 value = d->setup.value & 0xff, ours = d->function->configuration[5];
    if (value && value != ours) return false;
    d->is_configured = value;
    d->halted_in = d->halted_out = 0;
    if (d->function->configured) d->function->configured(d);
    return true;
}

static u16 *halted(struct usb_device *d)
{
    return d->setup.index & ENDPOINT_IN ? &d->halted_in : &d->halted_out;
}

static u16 halt_bit(const struct usb_device *d)
{
    return (u16)(1u << (d->setup.index & ENDPOINT_NUMBER));
}

static bool set_feature(struct usb_device *d, bool set)
{
    unsigned recipient = d->setup.type & USB_RECIPIENT_MASK;
    if (recipient == USB_OF_DEVICE && d->setup.value == FEATURE_REMOTE_WAKE) {
        d->may_wake = set;
        return true;
    }
    if (recipient != USB_OF_ENDPOINT || d->setup.value != FEATURE_HALT) return false;
    /* Endpoint 0 recovers by itself. */
    if (!(d->setup.index & ENDPOINT_NUMBER)) return true;
    *halted(d) = (u16)(set ? *halted(d) | halt_bit(d) : *halted(d) & ~halt_bit(d));
    return true;
}

static bool get_status(struct usb_device *d, u8 *data, u32 *bytes)
{
    unsigned recipient = d->setup.type & USB_RECIPIENT_MASK;
    data[0] = data[1] = 0;
    if (recipient == USB_OF_DEVICE && d->may_wake) data[0] = STATUS_REMOTE_WAKE;
    if (recipient == USB_OF_ENDPOINT && (*halted(d) & halt_bit(d))) data[0] = STATUS_HALTED;
    *bytes = 2;
    return true;
}

/* False: this is no standard request, or not one that every device has. */
static bool standard_request(struct usb_device *d, u8 *data, u32 *bytes)
{
    unsigned recipient = d->setup.type & USB_RECIPIENT_MASK;
    if (d->setup.type & USB_TYPE_MASK) return false;
    switch (d->setup.request) {
    case USB_GET_STATUS: return get_status(d, data, bytes);
    case USB_CLEAR_FEATURE: return set_feature(d, false);
    case USB_SET_FEATURE: return set_feature(d, true);
    case USB_SET_ADDRESS: d->new_address = d->setup.value & 0x7f; return true;
    case USB_GET_DESCRIPTOR: return recipient == USB_OF_DEVICE && get_descriptor(d, data, bytes);
    case USB_GET_CONFIGURATION:
        return usb_answer_byte(data, bytes, d->is_configured ? d->function->configuration[5] : 0);
    case USB_SET_CONFIGURATION: return set_configuration(d);
    case USB_GET_INTERFACE: return usb_answer_byte(data, bytes, 0);
    case USB_SET_INTERFACE: return !d->setup.value;
    default: return false;
    }
}

static bool run_request(struct usb_device *d)
{
    bool to_host = d->setup.type & USB_TO_HOST;
    u32 bytes = to_host ? 0 : d->bytes;
    bool good = standard_request(d, d->data, &bytes) ||
                (d->function->request && d->function->request(d, &d->setup, d->data, &bytes));
    if (to_host) d->bytes = bytes < d->setup.length ? bytes : d->setup.length;
    return good;
}

/* --- control transfers (8.5.3) --- */

static int take_setup(struct usb_device *d, const u8 *data, u32 bytes)
{
    if (bytes != SETUP_BYTES) return USB_NO_ANSWER;
    d->setup = (struct usb_setup){data[0], data[1], (u16)(data[2] | data[3] << 8),
                                  (u16)(data[4] | data[5] << 8), (u16)(data[6] | data[7] << 8)};
    d->new_address = d->address;
    d->bytes = d->at = 0;
    if (d->setup.type & USB_TO_HOST)
        d->stage = run_request(d) ? USB_DATA_IN : USB_REFUSED;
    else if (d->setup.length)
        d->stage = d->setup.length <= USB_CONTROL_BYTES ? USB_DATA_OUT : USB_REFUSED;
    else
        d->stage = run_request(d) ? USB_STATUS_IN : USB_REFUSED;
    return SETUP_BYTES;
}

static int control_in(struct usb_device *d, u8 *data)
{
    if (d->stage == USB_STATUS_IN) {
        d->stage = USB_IDLE;
        d->address = d->new_address;
        return 0;
    }
    if (d->stage != USB_DATA_IN) return USB_STALL;
    u32 now = d->bytes - d->at < USB_PACKET_MAX ? d->bytes - d->at : USB_PACKET_MAX;
    memcpy(data, d->data + d->at, now);
    d->at += now;
    return (int)now;
}

static int control_out(struct usb_device *d, const u8 *data, u32 bytes)
{
    if (d->stage == USB_DATA_IN) { /* the status stage */
        d->stage = USB_IDLE;
        return (int)bytes;
    }
    if (d->stage != USB_DATA_OUT || bytes > d->setup.length - d->bytes) return USB_STALL;
    memcpy(d->data + d->bytes, data, bytes);
    d->bytes += bytes;
    if (d->bytes == d->setup.length) d->stage = run_request(d) ? USB_STATUS_IN : USB_REFUSED;
    return (int)bytes;
}

int usb_transact(struct usb_device *d, enum usb_pid pid, unsigned endpoint, u8 *data, u32 bytes)
{
    const struct usb_function *f = d->function;
    if (pid != USB_PID_IN && bytes > USB_PACKET_MAX) return USB_NO_ANSWER;
    if (pid == USB_PID_SETUP) return endpoint ? USB_NO_ANSWER : take_setup(d, data, bytes);
    if (!endpoint) return pid == USB_PID_IN ? control_in(d, data) : control_out(d, data, bytes);
    if (!d->is_configured) return USB_NO_ANSWER;
    if ((pid == USB_PID_IN ? d->halted_in : d->halted_out) >> endpoint & 1) return USB_STALL;
    if (pid == USB_PID_IN) return f->in ? f->in(d, endpoint, data) : USB_NO_ANSWER;
    return f->out ? f->out(d, endpoint, data, bytes) : USB_NO_ANSWER;
}
