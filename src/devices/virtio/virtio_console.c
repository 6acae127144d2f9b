/*
 * Virtio console. See virtio_console.h.
 */
#include "virtio_console.h"

#include <assert.h>
#include <string.h>

#define CLASS_COMMUNICATION_OTHER 0x078000u
#define QUEUE_SIZE                128

/* The queues of port 0, of control, and behind them those of the other ports (5.3.2). */
enum { QUEUE_RECEIVE, QUEUE_TRANSMIT, QUEUE_MESSAGES, QUEUE_COMMANDS };

/* Configuration (5.3.4): the size of the screen is for a feature that is not offered. */
enum { CONFIG_PORTS = 4, CONFIG_EMERGENCY_WRITE = 8, CONFIG_BYTES = 12 };

/* Control messages (5.3.6.2): id of 4 bytes, event and value of 2 */
enum { DEVICE_READY, DEVICE_ADD, DEVICE_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };
#define MESSAGE_BYTES 8

/* Bytes sent before other work gets its turn. */
#define SEND_BYTES 65536u

static unsigned number_of(const struct virtio_port *port)
{
    return (unsigned)(port - port->console->port);
}

static unsigned receive_queue(const struct virtio_port *port)
{
    unsigned number = number_of(port);
    return number ? 2 * number + 2 : QUEUE_RECEIVE;
}

static bool is_multiport(const struct virtio_console *console)
{
    return virtio_has(&console->virtio, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* --- bytes --- */

static void send_some(struct virtio_port *port)
{
    struct virtio *virtio = &port->console->virtio;
    const struct virtio_chain *chain = &port->output;
    unsigned queue = receive_queue(port) + 1;
    u8 piece[512];
    u64 count = 0;
    if (!virtio_chain_is_live(virtio, chain)) port->sending = false;
    for (u64 left = SEND_BYTES; left; left -= count) {
        if (!port->sending && !virtio_take(virtio, queue, &port->output)) break;
        if (!port->sending) port->sent = 0;
        count = virtio_chain_read(chain, port->sent, piece, left < sizeof(piece) ? left : sizeof(piece));
        u64 taken = count ? port->ops->transmit(port->sink, piece, count) : 0;
        port->sent += taken;
        port->blocked = taken < count;
        port->sending = count && port->sent < chain->readable_bytes;
        if (port->blocked) break;
        if (!port->sending) virtio_give(virtio, chain, 0);
    }
    if (!port->blocked && (port->sending || virtio_is_waiting(virtio, queue)))
        timer_arm(&port->more, clock_now(port->more.clock) + 1);
    virtio_interrupt(virtio, queue);
}

void virtio_port_go_on(struct virtio_port *port)
{
    if (!port->blocked) return;
    port->blocked = false;
    send_some(port);
}

static void more(void *device)
{
    send_some(device);
}

unsigned virtio_port_receive(struct virtio_port *port, const u8 *bytes, unsigned count)
{
    struct virtio_console *console = port->console;
    struct virtio *virtio = &console->virtio;
    unsigned done = 0, queue = receive_queue(port);
    if (!port->is_console && !port->guest_open) return 0;
    while (done < count && virtio_take(virtio, queue, &console->input)) {
        u64 now = virtio_chain_write(&console->input, 0, bytes + done, count - done);
        virtio_give(virtio, &console->input, (u32)now);
        done += (unsigned)now;
    }
    virtio_interrupt(virtio, queue);
    return done;
}

/* --- control --- */

static void send_messages(struct virtio_console *console)
{
    struct virtio *virtio = &console->virtio;
    while (console->message_head != console->message_tail &&
           virtio_take(virtio, QUEUE_MESSAGES, &console->input)) {
        const struct virtio_port_message *message =
            &console->message[console->message_head++ % VIRTIO_CONSOLE_MESSAGES];
        u8 bytes[MESSAGE_BYTES];
        store_any(bytes, 4, message->port);
        store_any(bytes + 4, 2, message->event);
        store_any(bytes + 6, 2, message->value);
        u64 used = virtio_chain_write(&console->input, 0, bytes, sizeof(bytes));
        const char *name = console->port[message->port].name;
        if (message->event == PORT_NAME && name)
            used += virtio_chain_write(&console->input, used, name, strlen(name));
        virtio_give(virtio, &console->input, (u32)used);
    }
    virtio_interrupt(virtio, QUEUE_MESSAGES);
}

/* A driver that gives no buffers loses messages at last, and no others. */
static void tell(struct virtio_port *port, u8 event, u8 value)
{
    struct virtio_console *console = port->console;
    if (!is_multiport(console) || console->message_tail - console->message_head == VIRTIO_CONSOLE_MESSAGES)
        return;
    console->message[console->message_tail++ % VIRTIO_CONSOLE_MESSAGES] =
        (struct virtio_port_message){(u8)number_of(port), event, value};
}

static void port_ready(struct virtio_port *port)
{
    if (port->is_console) tell(port, CONSOLE_PORT, 1);
    if (port->name) tell(port, PORT_NAME, 1);
    if (port->host_open) tell(port, PORT_OPEN, 1);
}

static void set_guest_open(struct virtio_port *port, bool open)
{
    bool changed = port->guest_open != open;
    port->guest_open = open;
    if (changed && port->ops->opened) port->ops->opened(port->sink, open);
}

static void take_command(struct virtio_console *console, u64 id, u64 event, u64 value)
{
    if (event == DEVICE_READY) {
        console->ready = value;
        for (unsigned n = 0; n < VIRTIO_CONSOLE_PORTS && value; n++)
            if (console->port[n].console) tell(&console->port[n], DEVICE_ADD, 1);
        return;
    }
    struct virtio_port *port = id < VIRTIO_CONSOLE_PORTS ? &console->port[id] : NULL;
    if (!port || !port->console) return;
    if (event == PORT_READY && value) port_ready(port);
    if (event != PORT_OPEN) return;
    set_guest_open(port, value);
    if (value && port->ops->room) port->ops->room(port->sink);
}

static void take_commands(struct virtio_console *console)
{
    struct virtio *virtio = &console->virtio;
    /* A queue has QUEUE_SIZE of them at most; then others have their turn. */
    for (unsigned n = 0; n < QUEUE_SIZE && virtio_take(virtio, QUEUE_COMMANDS, &console->input); n++) {
        u8 bytes[MESSAGE_BYTES];
        u64 count = virtio_chain_read(&console->input, 0, bytes, sizeof(bytes));
        virtio_give(virtio, &console->input, 0);
        if (count == sizeof(bytes))
            take_command(console, load_any(bytes, 4), load_any(bytes + 4, 2), load_any(bytes + 6, 2));
    }
    virtio_interrupt(virtio, QUEUE_COMMANDS);
    send_messages(console);
}

void virtio_port_set_open(struct virtio_port *port, bool open)
{
    if (port->host_open == open) return;
    port->host_open = open;
    if (port->is_console) return; /* hvc has no such state */
    tell(port, PORT_OPEN, open);
    send_messages(port->console);
}

/* --- the device --- */

static void notify(struct virtio *virtio, unsigned queue)
{
    struct virtio_console *console = container_of(virtio, struct virtio_console, virtio);
    if (console->multiport && (queue == QUEUE_MESSAGES || queue == QUEUE_COMMANDS)) {
        if (queue == QUEUE_MESSAGES)
            send_messages(console);
        else
            take_commands(console);
        return;
    }
    struct virtio_port *port = &console->port[queue < 2 ? 0 : queue / 2 - 1];
    if (!port->console) return;
    if (queue & 1 && !port->more.armed && !port->blocked)
        send_some(port);
    else if (!(queue & 1) && port->ops->room)
        port->ops->room(port->sink);
}

static void reset(struct virtio *virtio)
{
    struct virtio_console *console = container_of(virtio, struct virtio_console, virtio);
    console->message_head = console->message_tail;
    console->ready = false;
    for (unsigned n = 0; n < VIRTIO_CONSOLE_PORTS; n++) {
        struct virtio_port *port = &console->port[n];
        if (!port->console) continue;
        port->sending = port->blocked = false;
        set_guest_open(port, false);
        timer_cancel(&port->more);
    }
}

/* A character for the console without a queue, for early messages (emergency write). */
static void config_written(struct virtio *virtio, u32 offset, unsigned size)
{
    struct virtio_console *console = container_of(virtio, struct virtio_console, virtio);
    const struct virtio_port *port = &console->port[0];
    if (offset == CONFIG_EMERGENCY_WRITE && port->console)
        port->ops->transmit(port->sink, &virtio->config[CONFIG_EMERGENCY_WRITE], 1);
}

static const struct virtio_kind console_kind = {
    .notify = notify, .config_written = config_written, .reset = reset};

void virtio_console_init(struct virtio_console *console, struct pci_bus *bus, const struct dma *dma,
                         const struct virtio_options *options, struct clock *clock, unsigned ports,
                         bool multiport)
{
    u16 sizes[VIRTIO_QUEUES];
    unsigned queues = multiport ? 2 * ports + 2 : 2;
    assert(ports && ports <= VIRTIO_CONSOLE_PORTS && (ports == 1 || multiport));
    for (unsigned n = 0; n < queues; n++)
        sizes[n] = QUEUE_SIZE;
    console->multiport = multiport;
    console->ready = false;
    console->message_head = console->message_tail = 0;
    for (unsigned n = 0; n < VIRTIO_CONSOLE_PORTS; n++) {
        console->port[n] = (struct virtio_port){.console = NULL};
        timer_init(&console->port[n].more, clock, more, &console->port[n]);
    }
    virtio_init(&console->virtio, &console_kind, bus, dma, options, VIRTIO_CONSOLE, CLASS_COMMUNICATION_OTHER,
                VIRTIO_CONSOLE_F_EMERG_WRITE | (multiport ? VIRTIO_CONSOLE_F_MULTIPORT : 0), sizes, queues);
    console->virtio.config_bytes = CONFIG_BYTES;
    if (multiport) store_any(&console->virtio.config[CONFIG_PORTS], 4, ports);
    store_any(&console->virtio.config_writable[CONFIG_EMERGENCY_WRITE], 4, 0xffffffff);
}

void virtio_port_plug(struct virtio_console *console, unsigned number, bool is_console, const char *name,
                      const struct virtio_port_ops *ops, void *sink)
{
    struct virtio_port *port = &console->port[number];
    port->console = console;
    port->is_console = is_console;
    port->name = name;
    port->ops = ops;
    port->sink = sink;
    if (!console->ready) return;
    tell(port, DEVICE_ADD, 1);
    send_messages(console);
}

/* What it was sending is lost, and the driver has its buffer back. */
void virtio_port_unplug(struct virtio_port *port)
{
    struct virtio_console *console = port->console;
    struct virtio *virtio = &console->virtio;
    timer_cancel(&port->more);
    if (port->sending && virtio_chain_is_live(virtio, &port->output)) {
        virtio_give(virtio, &port->output, 0);
        virtio_interrupt(virtio, receive_queue(port) + 1);
    }
    if (console->ready) tell(port, DEVICE_REMOVE, 1);
    port->console = NULL;
    port->name = NULL;
    port->sending = port->blocked = port->host_open = port->guest_open = false;
    send_messages(console);
}
