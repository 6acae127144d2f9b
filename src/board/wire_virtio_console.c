/*
 * virtio-serial-pci, and what plugs into it: virtconsole (hvc0 and so on in Linux) and virtserialport
 * (/dev/virtio-ports/NAME).
 */
#include "char_link.h"
#include "devices/virtio/virtio_console.h"
#include "ui/console.h"
#include "ui/vdagent.h"
#include "wire_virtio.h"

#include <stdio.h>
#include <stdlib.h>

struct wired_port {
    const struct device_option *option; /* NULL: nothing is plugged in */
    struct board *board;
    struct virtio_port *port;
    struct char_link link;
    bool is_agents; /* behind a -chardev qemu-vdagent: `agent` is used, and `link` is not */
    struct vdagent agent;
};

struct wired_console {
    struct virtio_console console; /* first */
    struct wired_port port[VIRTIO_CONSOLE_PORTS];
};

static u32 receive(void *device, const u8 *bytes, u32 count)
{
    struct wired_port *port = device;
    return virtio_port_receive(port->port, bytes, count);
}

static u64 transmit(void *sink, const u8 *bytes, u64 count)
{
    struct wired_port *port = sink;
    return char_link_send(&port->link, bytes, (u32)count);
}

static void output_room(void *device)
{
    struct wired_port *port = device;
    virtio_port_go_on(port->port);
}

static void opened(void *device, bool open)
{
    struct wired_port *port = device;
    virtio_port_set_open(port->port, open);
}

static void room(void *sink)
{
    struct wired_port *port = sink;
    char_link_room(&port->link);
}

static const struct char_link_ops link_ops = {.receive = receive, .room = output_room, .opened = opened};
static const struct virtio_port_ops port_ops = {transmit, room, NULL};

/* --- the port of spice-vdagent --- */

static u64 agent_transmit(void *sink, const u8 *bytes, u64 count)
{
    struct wired_port *port = sink;
    vdagent_receive(&port->agent, bytes, count);
    return count;
}

static void agent_room(void *sink)
{
    struct wired_port *port = sink;
    vdagent_go_on(&port->agent);
}

static void agent_opened(void *sink, bool open)
{
    struct wired_port *port = sink;
    if (!open) vdagent_reset(&port->agent);
}

static const struct virtio_port_ops agent_port_ops = {agent_transmit, agent_room, agent_opened};

static u32 agent_send(void *owner, const u8 *bytes, u32 count)
{
    struct wired_port *port = owner;
    return virtio_port_receive(port->port, bytes, count);
}

static void agent_copied(void *owner)
{
    struct wired_port *port = owner;
    struct console *console = port->board->console;
    console_set(console, &console->copied, console->copied + 1);
}

static const struct vdagent_ops agent_ops = {agent_send, agent_copied};

static bool plug_agent(struct wired_port *port, struct virtio_console *console, unsigned number,
                       const char *name, const struct char_options *options, char *error, size_t error_bytes)
{
    struct board *board = port->board;
    if (board->agent) {
        snprintf(error, error_bytes, "there can be one qemu-vdagent");
        return false;
    }
    board->agent = &port->agent;
    port->is_agents = true;
    console_set(board->console, &board->console->shares, options->clipboard);
    vdagent_init(&port->agent, &agent_ops, port, options->clipboard ? &board->console->clipboard : NULL);
    virtio_port_plug(console, number, false, name, &agent_port_ops, port);
    virtio_port_set_open(port->port, true);
    return true;
}

static void disconnect_agent(struct wired_port *port)
{
    port->is_agents = false;
    port->board->agent = NULL;
    console_set(port->board->console, &port->board->console->shares, false);
    vdagent_destroy(&port->agent);
}

/* --- the device --- */

static void disconnect(struct wired_port *port)
{
    if (port->is_agents)
        disconnect_agent(port);
    else
        char_link_destroy(&port->link);
}

static void destroy(void *device)
{
    struct wired_console *wired = device;
    for (unsigned n = 0; n < VIRTIO_CONSOLE_PORTS; n++)
        if (wired->port[n].option) disconnect(&wired->port[n]);
    free(wired);
}

extern const struct device_type virtserialport_type;

/* The ports that will plug in, and whether the device needs the messages of several ports for them. */
static unsigned count_ports(const struct board *board, const struct device_option *option, bool *multiport)
{
    const struct device_options *options = &board->options->devices;
    unsigned ports = 0;
    for (unsigned n = 0; n < options->count; n++) {
        const struct device_option *other = &options->device[n];
        if (!other->type || !other->parent || &options->device[other->parent - 1] != option) continue;
        *multiport |= ++ports > 1 || other->type == &virtserialport_type;
    }
    *multiport |= !ports; /* without it, a driver takes port 0 for granted */
    return ports ? ports : 1;
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
    bool multiport = false;
    unsigned ports = count_ports(board, option, &multiport);
    /* Port 0 is a console's: where only serial ports plug in, it stays empty (5.3.2). The others may come later. */
    if (multiport) ports = VIRTIO_CONSOLE_PORTS;
    virtio_console_init(&wired->console, &board->pci, &board->dma, &virtio, board->clock, ports, multiport);
    return true;
}

static bool plug(struct board *board, const struct device_option *option, bool is_console, const char *name,
                 char *error, size_t error_bytes)
{
    struct wired_console *wired = board_parent(board, option);
    struct virtio_console *console = &wired->console;
    unsigned number = console->multiport && !is_console ? 1 : 0;
    while (number < VIRTIO_CONSOLE_PORTS && console->port[number].console)
        number++;
    if (number == VIRTIO_CONSOLE_PORTS || (number && !console->multiport)) {
        snprintf(error, error_bytes, "the virtio-serial-pci has no port left");
        return false;
    }
    struct wired_port *port = &wired->port[number];
    port->port = &console->port[number];
    port->board = board;
    const struct char_options *chardev = device_chardev(option, "chardev");
    if (!is_console && chardev && chardev->kind == CHAR_VDAGENT) {
        bool good = plug_agent(port, console, number, name, chardev, error, error_bytes);
        if (good) port->option = option;
        return good;
    }
    if (!char_link_init(&port->link, board, &link_ops, port, device_text(option, "chardev"), error,
                        error_bytes))
        return false;
    port->option = option;
    virtio_port_plug(console, number, is_console, name, &port_ops, port);
    board_add_link(board, &port->link);
    if (board->plug) char_link_join(&port->link);
    return true;
}

/* The port goes, and its device stays. */
static void unplug(struct board *board, const struct device_option *option)
{
    struct wired_console *wired = board_parent(board, option);
    for (unsigned n = 0; n < VIRTIO_CONSOLE_PORTS; n++) {
        struct wired_port *port = &wired->port[n];
        if (port->option != option) continue;
        if (port->is_agents) {
            disconnect_agent(port);
        } else {
            board_remove_link(board, &port->link);
            char_link_leave(&port->link);
        }
        virtio_port_unplug(port->port);
        port->option = NULL;
    }
}

/* The ports are reset and destroyed with the device that they plug into. */
static bool create_console(struct board *board, const struct device_option *option, char *error,
                           size_t error_bytes)
{
    return plug(board, option, true, device_text(option, "name"), error, error_bytes);
}

static bool create_serial_port(struct board *board, const struct device_option *option, char *error,
                               size_t error_bytes)
{
    return plug(board, option, false, device_text(option, "name"), error, error_bytes);
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
    .help = "paravirtual serial device with ports",
    .properties = serial_properties,
    .check = virtio_check,
    .create = create_serial,
    .provides = &bus_virtio_serial,
    .sockets = VIRTIO_CONSOLE_PORTS - 1,
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
    .plugs = true,
    .unplug = unplug,
};

const struct device_type virtserialport_type = {
    .name = "virtserialport",
    .bus = &bus_virtio_serial,
    .help = "named port of a virtio-serial-pci",
    .properties = console_properties,
    .create = create_serial_port,
    .takes_input = true,
    .plugs = true,
    .unplug = unplug,
};
