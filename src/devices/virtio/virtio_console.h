/*
 * A virtio console (5.3): ports with bytes in both directions, without a rate. Port 0 exists always. With
 * VIRTIO_CONSOLE_F_MULTIPORT there are more, consoles (hvc1, ...) and serial ports with names (/dev/virtio-ports/NAME
 * in Linux), and messages about them on two control queues.
 *
 * Output of the guest is passed on at once, in pieces small enough to let other work go on, as long as the sink takes
 * it. Input waits with the sender until the guest has given a buffer for it; that of a serial port, until a program has
 * opened it.
 */
#ifndef RINGER_DEVICES_VIRTIO_VIRTIO_CONSOLE_H
#define RINGER_DEVICES_VIRTIO_VIRTIO_CONSOLE_H

#include "virtio.h"

/* Feature bits (5.3.3) */
#define VIRTIO_CONSOLE_F_MULTIPORT   (1ull << 1)
#define VIRTIO_CONSOLE_F_EMERG_WRITE (1ull << 2)

#define VIRTIO_CONSOLE_PORTS (VIRTIO_QUEUES / 2 - 1)

/* What a port is to its other end. Any but transmit may be NULL. */
struct virtio_port_ops {
    u64 (*transmit)(void *sink, const u8 *bytes, u64 count); /* returns how many it took */
    void (*room)(void *sink);                                /* the guest has made room for input */
    void (*opened)(void *sink, bool open);                   /* by a program in the guest */
};

struct virtio_port {
    struct virtio_console *console; /* NULL: there is no such port */
    const struct virtio_port_ops *ops;
    void *sink;
    const char *name; /* NULL: none */
    bool is_console;
    bool host_open, guest_open;
    /* The chain being sent, and how much of it has been sent. */
    bool sending, blocked;
    u64 sent;
    struct virtio_chain output;
    struct timer more;
};

#define VIRTIO_CONSOLE_MESSAGES 64

struct virtio_console {
    struct virtio virtio; /* first */
    bool multiport;       /* offered */
    bool ready;           /* the driver has been told of the ports */
    struct virtio_port port[VIRTIO_CONSOLE_PORTS];
    struct virtio_chain input;
    /* Messages for which the driver has given no buffer yet. */
    struct virtio_port_message {
        u8 port;
        u8 event;
        u8 value;
    } message[VIRTIO_CONSOLE_MESSAGES];
    u32 message_head, message_tail; /* never wrap */
};

/* `ports`: how many there may be; more than one need the control queues, which `multiport` gives. */
void virtio_console_init(struct virtio_console *console, struct pci_bus *bus, const struct dma *dma,
                         const struct virtio_options *options, struct clock *clock, unsigned ports,
                         bool multiport);
/* The name must outlive the port. A driver that runs is told. */
void virtio_port_plug(struct virtio_console *console, unsigned number, bool is_console, const char *name,
                      const struct virtio_port_ops *ops, void *sink);

/* The port goes, and the driver is told. */
void virtio_port_unplug(struct virtio_port *port);

/* Give the guest input. Returns how many bytes it took; room() tells when it may take more. */
unsigned virtio_port_receive(struct virtio_port *port, const u8 *bytes, unsigned count);
/* transmit() took less than all, and would take more now. */
void virtio_port_go_on(struct virtio_port *port);
/* A client is at the other end, or no longer. */
void virtio_port_set_open(struct virtio_port *port, bool open);

#endif
