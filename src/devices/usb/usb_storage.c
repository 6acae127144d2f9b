/*
 * A USB disk. See usb_storage.h.
 */
#include "usb_storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WRAPPER_BYTES = 31,
    STATUS_BYTES = 13,
    ENDPOINT_IN = 1,
    ENDPOINT_OUT = 2,
    CDB_MAX = 16,
    WRAPPER_CDB = 15
};
enum { CLASS_RESET = 0xff, GET_MAX_LUN = 0xfe };
enum { GOOD = 0, FAILED = 1, PHASE_ERROR = 2 };
#define SIGNATURE_COMMAND 0x43425355u
#define SIGNATURE_STATUS  0x53425355u

/* clang-format off */
static const u8 device_descriptor[] = {18, 1, 0x10, 0x01, 0, 0, 0, 64, 0xf4, 0x46, 0x01, 0x00, 0x00, 0x01, 1, 2, 3, 1};

/* USB 2.0 tables 9-10 to 9-13: configuration 1 (200 mA), interface 0 (mass storage, SCSI, bulk-only), two bulk
 * endpoints of 64 bytes. */
static const u8 configuration[] = {
    9, 2, 32, 0, 1, 1, 0, 0x80, 100,
    9, 4, 0, 0, 2, 8, 6, 0x50, 0,
    7, 5, 0x80 | ENDPOINT_IN, 2, USB_PACKET_MAX, 0, 0,
    7, 5, ENDPOINT_OUT, 2, USB_PACKET_MAX, 0, 0,
};
/* clang-format on */

/* --- commands --- */

static void answer(struct usb_storage *s, u8 status, u32 residue)
{
    s->status = status;
    s->residue = residue;
    s->at = 0;
    s->stage = s->to_host && s->length ? STORAGE_IN : STORAGE_STATUS;
    usb_wake(&s->usb);
}

/* Bulk-Only Transport 6.7: the device would move data that the host does not expect, or more of them. */
static bool disagrees(const struct usb_storage *s)
{
    const struct scsi_command *command = &s->command;
    return command->wants_in > command->in_bytes || command->wants_out > command->out_bytes;
}

static void done(struct scsi_command *command)
{
    struct usb_storage *s = command->transport;
    s->executing = false;
    if (s->abandoned) {
        s->abandoned = false;
        usb_wake(&s->usb);
        return;
    }
    u32 moved = command->moved < s->length ? (u32)command->moved : s->length;
    if (moved < s->length && s->to_host) memset(s->buffer + moved, 0, s->length - moved);
    u8 status = disagrees(s) ? PHASE_ERROR : command->status == SCSI_GOOD ? GOOD : FAILED;
    answer(s, status, s->length - moved);
}

static void execute(struct usb_storage *s)
{
    struct scsi_command *command = &s->command;
    s->part = (struct iovec){s->buffer, s->length};
    command->out = command->in = &s->part;
    command->out_count = !s->to_host && s->length;
    command->in_count = s->to_host && s->length;
    command->out_bytes = command->out_count ? s->length : 0;
    command->in_bytes = command->in_count ? s->length : 0;
    s->stage = STORAGE_BUSY;
    s->executing = true;
    if (command->unit)
        scsi_execute(command);
    else
        scsi_execute_nobody(command);
}

static bool make_room(struct usb_storage *s)
{
    if (s->length > USB_STORAGE_DATA_MAX) return false;
    if (s->length <= s->buffer_bytes) return true;
    u8 *larger = malloc(s->length);
    if (!larger) return false;
    free(s->buffer);
    s->buffer = larger;
    s->buffer_bytes = s->length;
    return true;
}

static bool is_valid(const u8 *wrapper, u32 bytes)
{
    return bytes == WRAPPER_BYTES && (u32)load_any(wrapper, 4) == SIGNATURE_COMMAND &&
           !(wrapper[12] & 0x7f) && wrapper[13] < 16 && wrapper[14] >= 1 && wrapper[14] <= CDB_MAX;
}

static void halt_both(struct usb_storage *s)
{
    s->usb.halted_in |= 1u << ENDPOINT_IN;
    s->usb.halted_out |= 1u << ENDPOINT_OUT;
}

/* Clearing the endpoints' halts is not enough then. */
static int refuse_all(struct usb_storage *s)
{
    s->broken = true;
    halt_both(s);
    return USB_STALL;
}

static int take_wrapper(struct usb_storage *s, const u8 *wrapper, u32 bytes)
{
    if (!is_valid(wrapper, bytes)) return refuse_all(s);
    s->tag = (u32)load_any(wrapper + 4, 4);
    s->length = (u32)load_any(wrapper + 8, 4);
    s->to_host = wrapper[12];
    s->at = 0;
    s->command = (struct scsi_command){.unit = wrapper[13] ? NULL : &s->unit, .done = done, .transport = s};
    memcpy(s->command.cdb, wrapper + WRAPPER_CDB, wrapper[14]);
    if (!make_room(s)) {
        u32 length = s->length;
        s->length = 0;
        answer(s, PHASE_ERROR, length);
    } else if (!s->to_host && s->length) {
        s->stage = STORAGE_OUT;
    } else {
        execute(s);
    }
    return (int)bytes;
}

/* --- endpoints --- */

static int out(struct usb_device *device, unsigned endpoint, const u8 *data, u32 bytes)
{
    struct usb_storage *s = container_of(device, struct usb_storage, usb);
    if (endpoint != ENDPOINT_OUT) return USB_NO_ANSWER;
    if (s->broken) return refuse_all(s);
    if (s->executing) return USB_NAK;
    if (s->stage == STORAGE_COMMAND) return take_wrapper(s, data, bytes);
    if (s->stage != STORAGE_OUT || bytes > s->length - s->at) return USB_STALL;
    memcpy(s->buffer + s->at, data, bytes);
    s->at += bytes;
    if (s->at == s->length) execute(s);
    return (int)bytes;
}

static int give_status(struct usb_storage *s, u8 *data)
{
    store_any(data, 4, SIGNATURE_STATUS);
    store_any(data + 4, 4, s->tag);
    store_any(data + 8, 4, s->residue);
    data[12] = s->status;
    s->stage = STORAGE_COMMAND;
    return STATUS_BYTES;
}

static int in(struct usb_device *device, unsigned endpoint, u8 *data)
{
    struct usb_storage *s = container_of(device, struct usb_storage, usb);
    if (endpoint != ENDPOINT_IN) return USB_NO_ANSWER;
    if (s->broken) return refuse_all(s);
    if (s->stage == STORAGE_STATUS) return give_status(s, data);
    if (s->stage != STORAGE_IN) return USB_NAK;
    u32 now = s->length - s->at < USB_PACKET_MAX ? s->length - s->at : USB_PACKET_MAX;
    memcpy(data, s->buffer + s->at, now);
    s->at += now;
    if (s->at == s->length) s->stage = STORAGE_STATUS;
    return (int)now;
}

/* --- requests --- */

/* The command that the unit has cannot be stopped: its result is dropped, and the next command waits for it. */
static void forget_command(struct usb_storage *s)
{
    s->abandoned = s->executing;
    s->stage = STORAGE_COMMAND;
    s->broken = false;
}

/* Bulk-Only Transport 3.1, 3.2 */
static bool request(struct usb_device *device, const struct usb_setup *setup, u8 *data, u32 *bytes)
{
    struct usb_storage *s = container_of(device, struct usb_storage, usb);
    if ((setup->type & ~USB_TO_HOST) != (USB_TYPE_CLASS | USB_OF_INTERFACE)) return false;
    if (setup->request == GET_MAX_LUN && (setup->type & USB_TO_HOST)) return usb_answer_byte(data, bytes, 0);
    if (setup->request != CLASS_RESET || (setup->type & USB_TO_HOST)) return false;
    forget_command(s);
    return true;
}

static void reset(struct usb_device *device)
{
    struct usb_storage *s = container_of(device, struct usb_storage, usb);
    forget_command(s);
    scsi_unit_reset(&s->unit);
}

static const char *string(struct usb_device *device, unsigned index)
{
    const struct usb_storage *s = container_of(device, struct usb_storage, usb);
    const char *const strings[] = {"Ringer", "USB Disk", s->serial};
    return index <= ARRAY_SIZE(strings) ? strings[index - 1] : NULL;
}

static const struct usb_function function = {.device_descriptor = device_descriptor,
                                             .configuration = configuration,
                                             .configuration_bytes = sizeof(configuration),
                                             .string = string,
                                             .request = request,
                                             .in = in,
                                             .out = out,
                                             .reset = reset};

void usb_storage_init(struct usb_storage *s, struct disk *disk, const struct scsi_unit_options *options)
{
    *s = (struct usb_storage){0};
    scsi_unit_init(&s->unit, disk, options);
    snprintf(s->serial, sizeof(s->serial), "%s", options->serial ? options->serial : "1");
    usb_device_init(&s->usb, &function);
}

void usb_storage_destroy(struct usb_storage *s)
{
    free(s->buffer);
}
