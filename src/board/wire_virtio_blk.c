/*
 * virtio-blk-pci: a disk of its own in a PCI slot.
 */
#include "devices/virtio/virtio_blk.h"
#include "drives.h"
#include "wire_virtio.h"

#include <stdio.h>
#include <stdlib.h>

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    struct drive *drive = drives_by_id(board->drives, device_text(option, "drive"));
    const char *serial = device_text(option, "serial");
    struct virtio_options virtio;
    if (!virtio_configure(board, option, &virtio, error, error_bytes)) return false;
    struct virtio_blk *blk = calloc(1, sizeof(*blk));
    if (!blk) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    board_add_device(board, option, blk, virtio_reset_line, free);
    unsigned index = device_boot_index(option, drive->boot_index);
    board_add_boot_entry(board, index, "/pci@i0cf8/scsi@%x/disk@0,0", virtio.devfn >> 3);
    virtio_blk_init(blk, &board->pci, &board->dma, &virtio, drive_disk(drive), serial ? serial : "");
    return true;
}

static const struct property properties[] = {
    {"drive", PROPERTY_DRIVE, .help = "what is in it", .required = true},
    {"serial", PROPERTY_TEXT, .help = "serial number, for the guest"},
    {"bootindex", PROPERTY_BOOT, .help = "firmware tries small numbers first"},
    VIRTIO_PROPERTIES,
    {0},
};

const struct device_type virtio_blk_type = {
    .name = "virtio-blk-pci",
    .bus = &bus_pci,
    .help = "paravirtual disk",
    .properties = properties,
    .check = virtio_check,
    .create = create,
    .plugs = true,
};
