/*
 * A USB disk (Mass Storage Class, Bulk-Only Transport 1.0) with SCSI commands (storage/scsi_unit.h).
 *
 *   host -> endpoint 2   command block wrapper, 31 bytes: "USBC" | tag, 4 | data length, 4 | direction | LUN |
 *                        length | CDB, 16
 *   data, either way     as much as the wrapper says: what the unit does not have is filled with zeros (6.7.2), and
 *                        counted in the residue
 *   host <- endpoint 1   command status wrapper, 13 bytes: "USBS" | tag, 4 | residue, 4 | status
 *
 * The unit gets a command when all data from the host are there. While it works, both endpoints answer NAK.
 */
#ifndef RINGER_DEVICES_USB_USB_STORAGE_H
#define RINGER_DEVICES_USB_USB_STORAGE_H

#include "devices/storage/scsi_unit.h"
#include "usb_device.h"

/* The most that READ (10) transfers: 65535 blocks. A command with more data is refused. */
#define USB_STORAGE_DATA_MAX (65535u * 512)

enum usb_storage_stage { STORAGE_COMMAND, STORAGE_OUT, STORAGE_BUSY, STORAGE_IN, STORAGE_STATUS };

struct usb_storage {
    struct usb_device usb; /* first */
    struct scsi_unit unit;
    struct scsi_command command;
    char serial[36];
    enum usb_storage_stage stage;
    bool broken;    /* an invalid wrapper came: STALL until the class's reset (6.6.1) */
    bool executing; /* the unit has the command */
    bool abandoned; /* and the host no longer wants its result */
    u32 tag, length, at;
    bool to_host;
    u8 status;
    u32 residue;
    struct iovec part;
    u8 *buffer;
    u32 buffer_bytes;
};

void usb_storage_init(struct usb_storage *storage, struct disk *disk,
                      const struct scsi_unit_options *options);
void usb_storage_destroy(struct usb_storage *storage);

#endif
