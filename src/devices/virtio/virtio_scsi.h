/*
 * A virtio SCSI host (5.6): targets with logical units (storage/scsi_unit.h) behind one request queue.
 *
 *   queue 0   control: task management, and which events the driver wants
 *   queue 1   events: a unit has come or gone (5.6.6.3)
 *   queue 2   requests
 *
 *   request   read:    LUN, 8 | id, 8 | attribute, priority, CRN | CDB | data to the unit
 *             written: sense length, 4 | residual, 4 | status qualifier, 2 | status | response | sense |
 *                      data from the unit
 *   LUN       1, target, 40h | LUN high, LUN low, 0 0 0 0
 *
 * The host's I/O cannot be aborted. A task management function that aborts tasks is therefore complete when they are.
 */
#ifndef RINGER_DEVICES_VIRTIO_VIRTIO_SCSI_H
#define RINGER_DEVICES_VIRTIO_VIRTIO_SCSI_H

#include "devices/storage/scsi_unit.h"
#include "virtio.h"

#define VIRTIO_SCSI_UNITS    32
#define VIRTIO_SCSI_REQUESTS 128
#define VIRTIO_SCSI_SENSE    96
#define VIRTIO_SCSI_HEAD     (12 + VIRTIO_SCSI_SENSE) /* of a response */

/* The response's code (5.6.6.1) */
enum {
    VIRTIO_SCSI_OK = 0,
    VIRTIO_SCSI_OVERRUN = 1,
    VIRTIO_SCSI_BAD_TARGET = 3,
    VIRTIO_SCSI_FAILURE = 9,
    VIRTIO_SCSI_FUNCTION_REJECTED = 11,
    VIRTIO_SCSI_INCORRECT_LUN = 12,
};

struct virtio_scsi;

struct virtio_scsi_request {
    struct virtio_scsi *scsi;
    struct virtio_scsi_request *next_free;
    bool active;
    u8 target;
    u16 lun;
    u64 id;
    struct scsi_command command;
    struct virtio_chain chain;
    struct iovec data[VIRTIO_CHAIN_PARTS];
};

struct virtio_scsi {
    struct virtio virtio; /* first */
    struct virtio_scsi_unit {
        struct scsi_unit *unit;
        u8 target;
        u16 lun;
    } unit[VIRTIO_SCSI_UNITS];
    unsigned units;
    bool missed; /* an event found no buffer: the next one says so */
    struct virtio_scsi_request *free;
    bool starved;
    /* A task management function that waits for tasks. */
    bool managing;
    u8 managed_target;
    u16 managed_lun;
    u64 managed_id;
    bool managed_all, managed_resets; /* all tasks of the unit; the unit is reset then */
    struct virtio_chain control, event;
    struct virtio_scsi_request request[VIRTIO_SCSI_REQUESTS];
};

void virtio_scsi_init(struct virtio_scsi *scsi, struct pci_bus *bus, const struct dma *dma,
                      const struct virtio_options *options);
/* False: there is no room, or another unit has this address. */
bool virtio_scsi_attach(struct virtio_scsi *scsi, u8 target, u16 lun, struct scsi_unit *unit);
/* The unit takes no more requests. Those under way still end, so it must outlive them. */
void virtio_scsi_detach(struct virtio_scsi *scsi, const struct scsi_unit *unit);

#endif
