/*
 * USB: piix3-usb-uhci, and what plugs into its two ports: usb-kbd, usb-tablet, usb-storage.
 */
#include "board.h"
#include "device_table.h"
#include "devices/input/ps2_keyboard.h"
#include "devices/usb/uhci.h"
#include "devices/usb/usb_hid.h"
#include "devices/usb/usb_storage.h"
#include "drives.h"
#include "wire_console.h"

#include <stdio.h>
#include <stdlib.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

static const struct property bus_properties[] = {
    {"id", PROPERTY_TEXT, .help = "a name"},
    {"bus", PROPERTY_TEXT, .help = "the host controller it plugs into (default: the last one before it)"},
    {"port", PROPERTY_NUMBER, .help = "accepted: ports are taken in the order of the options",
     .most = UHCI_PORTS},
    {0},
};

static const struct device_bus bus_usb = {.name = "USB", .properties = bus_properties};

static const struct property no_properties[] = {{0}};

/* --- the host controller --- */

static void destroy_host(void *device)
{
    struct uhci *uhci = device;
    timer_cancel(&uhci->timer);
    free(uhci);
}

static bool create_host(struct board *board, const struct device_option *option, char *error,
                        size_t error_bytes)
{
    u8 devfn;
    if (!board_find_slot(board, option, &devfn, error, error_bytes)) return false;
    struct uhci *uhci = calloc(1, sizeof(*uhci));
    if (!uhci) return SAY("out of memory");
    board_add_device(board, option, uhci, uhci_reset, destroy_host);
    uhci_init(uhci, &board->pci, devfn, &board->dma, board->clock);
    return true;
}

const struct device_type uhci_type = {
    .name = "piix3-usb-uhci",
    .bus = &bus_pci,
    .help = "USB host controller with two ports",
    .properties = no_properties,
    .create = create_host,
    .provides = &bus_usb,
    .sockets = UHCI_PORTS,
};

/* --- keyboard and tablet --- */

struct wired_hid {
    struct usb_hid hid; /* first */
    struct board *board;
    bool tablet;
};

static void use(struct wired_hid *wired, bool used)
{
    if (wired->tablet)
        wire_console_use_tablet(wired->board, &wired->hid, used);
    else
        wire_console_use_keyboard(wired->board, &wired->hid, used);
}

static void used(void *owner, struct usb_hid *hid)
{
    use(owner, hid->usb.is_configured);
}

/* HID numbers the lamps from 0: Num Lock, Caps Lock, Scroll Lock. */
static void lamps(void *owner, u8 leds)
{
    struct wired_hid *wired = owner;
    wire_console_leds(wired->board, (u8)((leds & 1 ? PS2_LED_NUM : 0) | (leds & 2 ? PS2_LED_CAPS : 0) |
                                         (leds & 4 ? PS2_LED_SCROLL : 0)));
}

static void destroy_hid(void *device)
{
    use(device, false);
    free(device);
}

static bool create_hid(struct board *board, const struct device_option *option, bool tablet, char *error,
                       size_t error_bytes)
{
    struct wired_hid *wired = calloc(1, sizeof(*wired));
    if (!wired) return SAY("out of memory");
    *wired = (struct wired_hid){.board = board, .tablet = tablet};
    const struct usb_hid_wiring wiring = {.used = used, .lamps = lamps, .owner = wired};
    board_add_device(board, option, wired, NULL, destroy_hid);
    if (tablet)
        usb_tablet_init(&wired->hid, board->clock, &wiring);
    else
        usb_keyboard_init(&wired->hid, board->clock, &wiring);
    uhci_plug(board_parent(board, option), &wired->hid.usb);
    return true;
}

static bool create_keyboard(struct board *board, const struct device_option *option, char *error,
                            size_t error_bytes)
{
    return create_hid(board, option, false, error, error_bytes);
}

static bool create_tablet(struct board *board, const struct device_option *option, char *error,
                          size_t error_bytes)
{
    return create_hid(board, option, true, error, error_bytes);
}

const struct device_type usb_keyboard_type = {
    .name = "usb-kbd",
    .bus = &bus_usb,
    .help = "USB keyboard, in the PS/2 keyboard's place when the guest uses it",
    .properties = no_properties,
    .create = create_keyboard,
};

const struct device_type usb_tablet_type = {
    .name = "usb-tablet",
    .bus = &bus_usb,
    .help = "USB tablet: the pointer is where the host's is",
    .properties = no_properties,
    .create = create_tablet,
};

/* --- disks --- */

static void destroy_storage(void *device)
{
    usb_storage_destroy(device);
    free(device);
}

static bool create_storage(struct board *board, const struct device_option *option, char *error,
                           size_t error_bytes)
{
    struct uhci *uhci = board_parent(board, option);
    struct drive *drive = drives_by_id(board->drives, device_text(option, "drive"));
    const char *serial = device_text(option, "serial");
    const struct scsi_unit_options options = {.removable = device_number(option, "removable"),
                                              .serial = serial ? serial : drive->serial};
    struct usb_storage *storage = calloc(1, sizeof(*storage));
    if (!storage) return SAY("out of memory");
    board_add_device(board, option, storage, NULL, destroy_storage);
    usb_storage_init(storage, drive_disk(drive), &options);
    int port = uhci_plug(uhci, &storage->usb);
    unsigned index = device_boot_index(option, drive->boot_index);
    board_add_boot_entry(board, index, "/pci@i0cf8/usb@%x/storage@%x/channel@0/disk@0,0",
                         uhci->pci.devfn >> 3, (unsigned)port + 1);
    return true;
}

static const struct property storage_properties[] = {
    {"drive", PROPERTY_DRIVE, .help = "what is on it", .required = true},
    {"serial", PROPERTY_TEXT, .help = "serial number"},
    {"removable", PROPERTY_SWITCH, .help = "the medium can be removed"},
    {"bootindex", PROPERTY_BOOT, .help = "firmware tries small numbers first"},
    {0},
};

const struct device_type usb_storage_type = {
    .name = "usb-storage",
    .bus = &bus_usb,
    .help = "USB disk",
    .properties = storage_properties,
    .create = create_storage,
};
