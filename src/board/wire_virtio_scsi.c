/*
 * virtio-scsi-pci, and the disks and CD drives that plug into it.
 */
#include "device_table.h"
#include "devices/virtio/virtio_scsi.h"
#include "drives.h"
#include "wire_scsi.h"
#include "wire_virtio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

static const struct property bus_properties[] = {
    {"id", PROPERTY_TEXT, .help = "a name"},
    {"bus", PROPERTY_TEXT, .help = "the virtio-scsi-pci it plugs into (default: the last one before it)"},
    {"channel", PROPERTY_NUMBER, .help = "0", .most = 0},
    {"scsi-id", PROPERTY_NUMBER, .help = "target (default: the first free one)", .most = 255, .chosen = true},
    {"lun", PROPERTY_NUMBER, .help = "number of the unit in its target (default 0)", .most = 16383},
    {0},
};

static const struct device_bus bus_scsi = {.name = "SCSI", .properties = bus_properties};

/* --- the host --- */

struct wired_scsi {
    struct virtio_scsi scsi; /* first */
    u8 devfn;
};

static bool create_host(struct board *board, const struct device_option *option, char *error,
                        size_t error_bytes)
{
    struct virtio_options virtio;
    if (!virtio_configure(board, option, &virtio, error, error_bytes)) return false;
    struct wired_scsi *wired = calloc(1, sizeof(*wired));
    if (!wired) return SAY("out of memory");
    wired->devfn = virtio.devfn;
    board_add_device(board, option, wired, virtio_reset_line, free);
    virtio_scsi_init(&wired->scsi, &board->pci, &board->dma, &virtio);
    return true;
}

static const struct property host_properties[] = {VIRTIO_PROPERTIES, {0}};

const struct device_type virtio_scsi_type = {
    .name = "virtio-scsi-pci",
    .bus = &bus_pci,
    .help = "paravirtual SCSI host",
    .properties = host_properties,
    .check = virtio_check,
    .create = create_host,
    .provides = &bus_scsi,
    .sockets = VIRTIO_SCSI_UNITS,
    .plugs = true,
};

/* --- units --- */

static bool attach(struct virtio_scsi *scsi, const struct device_option *option, u16 lun,
                   struct scsi_unit *unit, unsigned *target)
{
    *target = (unsigned)device_number(option, "scsi-id");
    if (device_text(option, "scsi-id")) return virtio_scsi_attach(scsi, (u8)*target, lun, unit);
    for (; *target < 256; ++*target)
        if (virtio_scsi_attach(scsi, (u8)*target, lun, unit)) return true;
    return false;
}

static bool create_unit(struct board *board, const struct device_option *option, char *error,
                        size_t error_bytes)
{
    struct wired_scsi *host = board_parent(board, option);
    struct drive *drive = drives_by_id(board->drives, device_text(option, "drive"));
    const char *serial = device_text(option, "serial");
    const struct scsi_unit_options options = {.cd = option->type->medium == MEDIUM_CDROM,
                                              .removable = device_number(option, "removable"),
                                              .vendor = device_text(option, "vendor"),
                                              .product = device_text(option, "product"),
                                              .revision = device_text(option, "ver"),
                                              .serial = serial ? serial : drive->serial};
    u16 lun = (u16)device_number(option, "lun");
    unsigned target;
    struct scsi_unit *unit = calloc(1, sizeof(*unit));
    if (!unit) return SAY("out of memory");
    scsi_unit_init(unit, drive_disk(drive), &options);
    if (!attach(&host->scsi, option, lun, unit, &target)) {
        free(unit);
        return SAY("-device %s: the SCSI address is taken, or there is none left", option->type->name);
    }
    board_add_device(board, option, unit, NULL, free);
    board_choose(board, option, target);
    unsigned index = device_boot_index(option, drive->boot_index);
    board_add_boot_entry(board, index, "/pci@i0cf8/scsi@%x/channel@0/disk@%x,%x", host->devfn >> 3, target,
                         lun);
    return true;
}

/* The unit goes, and its host stays. */
static void unplug_unit(struct board *board, const struct device_option *option)
{
    struct wired_scsi *host = board_parent(board, option);
    struct scsi_unit *unit = board->device[board_number_of(board, option)].device;
    if (unit) virtio_scsi_detach(&host->scsi, unit);
}

static const struct property unit_properties[] = {
    {"drive", PROPERTY_DRIVE, .help = "what is in it", .required = true},
    {"serial", PROPERTY_TEXT, .help = "serial number"},
    {"vendor", PROPERTY_TEXT, .help = "vendor, 8 characters"},
    {"product", PROPERTY_TEXT, .help = "product, 16 characters"},
    {"ver", PROPERTY_TEXT, .help = "revision, 4 characters"},
    {"removable", PROPERTY_SWITCH, .help = "the medium can be removed"},
    {"bootindex", PROPERTY_BOOT, .help = "firmware tries small numbers first"},
    {0},
};

const struct device_type scsi_hd_type = {
    .name = "scsi-hd",
    .bus = &bus_scsi,
    .help = "SCSI disk",
    .medium = MEDIUM_DISK,
    .properties = unit_properties,
    .create = create_unit,
    .plugs = true,
    .unplug = unplug_unit,
};

const struct device_type scsi_cd_type = {
    .name = "scsi-cd",
    .bus = &bus_scsi,
    .help = "SCSI CD-ROM drive",
    .medium = MEDIUM_CDROM,
    .properties = unit_properties,
    .create = create_unit,
    .plugs = true,
    .unplug = unplug_unit,
};

struct scsi_unit *wire_scsi_cd_of(const struct board *board, const struct drive *drive)
{
    const struct device_options *devices = &board->options->devices;
    for (unsigned n = 0; n < devices->count && drive->id; n++)
        if (devices->device[n].type == &scsi_cd_type &&
            !strcmp(device_text(&devices->device[n], "drive"), drive->id))
            return board->device[n].device;
    return NULL;
}
