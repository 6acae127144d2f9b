/*
 * virtio-serial-pci with one port, and the virtconsole that plugs into it: hvc0 and so on in Linux.
 */
#include "char_link.h"
#include "devices/virtio/virtio_console.h"
#include "wire_virtio.h"

#include <stdio.h>
#include <stdlib.h>

struct wired_console {
    struct virtio_console console; /* first */
    struct char_link link;         /* unconnected until a virtconsole plugs in */
};

static u32 receive(void *device, const u8 *bytes, u32 count)
{
    struct wired_console *wired = device;
    return virtio_console_receive(&wired->console, bytes, count);
}

static u64 transmit(void *sink, const u8 *bytes, u64 count)
{
    struct wired_console *wired = sink;
    return char_link_send(&wired->link, bytes, (u32)count);
}

static void output_room(void *device)
{
    struct wired_console *wired = device;
    virtio_console_go_on(&wired->console);
}

static const struct char_link_ops link_ops = {.receive = receive, .room = output_room};

static void room(void *sink)
{
    struct wired_console *wired = sink;
    char_link_room(&wired->link);
}

static void destroy(void *device)
{
    struct wired_console *wired = device;
    char_link_destroy(&wired->link);
    free(wired);
}

static bool create_serial(struct board *board, const struct device_option *option, char *error,
                          size_t error_bytes)
{
    struct virtio_options virtio;
    if (!virtio_configure(board, option, &virtio, error, error_bytes)) return false;
    struct wired_console *wired = calloc(1, sizeof(*wired));
    if (!wired) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    board_add_device(board, option, wired, virtio_reset_line, destroy);
    if (!char_link_init(&wired->link, board, &link_ops, wired, NULL, error, error_bytes)) return false;
    board_add_link(board, &wired->link);
    virtio_console_init(&wired->console, &board->pci, &board->dma, &virtio, board->clock, transmit, room,
                        wired);
    return true;
}

/* The console is only the cable: it is reset and destroyed with the device that it plugs into. */
static bool create_console(struct board *board, const struct device_option *option, char *error,
                           size_t error_bytes)
{
    struct wired_console *wired = board_parent(board, option);
    char_link_destroy(&wired->link);
    return char_link_init(&wired->link, board, &link_ops, wired, device_text(option, "chardev"), error,
                          error_bytes);
}

static const struct property port_properties[] = {
    {"id", PROPERTY_TEXT, .help = "a name"},
    {"bus", PROPERTY_TEXT, .help = "ID.0 of a virtio-serial-pci (default: the last one with a free port)"},
    {"name", PROPERTY_TEXT, .help = "accepted as by QEMU, without effect"},
    {0},
};
static const struct device_bus bus_virtio_serial = {"virtio-serial-bus", port_properties, false};

static const struct property serial_properties[] = {VIRTIO_PROPERTIES, {0}};

const struct device_type virtio_serial_type = {
    .name = "virtio-serial-pci",
    .bus = &bus_pci,
    .help = "paravirtual serial device with one port",
    .properties = serial_properties,
    .check = virtio_check,
    .create = create_serial,
    .provides = &bus_virtio_serial,
    .sockets = 1,
};

static const struct property console_properties[] = {
    {"chardev", PROPERTY_CHARDEV, .help = "what is at the other end", .required = true},
    {0},
};

const struct device_type virtconsole_type = {
    .name = "virtconsole",
    .bus = &bus_virtio_serial,
    .help = "console at the port of a virtio-serial-pci",
    .properties = console_properties,
    .create = create_console,
    .takes_input = true,
};
