/*
 * A virtio console (5.3) with one port: bytes in both directions, without a rate.
 *
 * Output of the guest is passed on at once, in pieces small enough to let other work go on, as long as the sink takes it. Input waits with the
 * sender until the guest has given a buffer for it.
 */
#ifndef RINGER_DEVICES_VIRTIO_VIRTIO_CONSOLE_H
#define RINGER_DEVICES_VIRTIO_VIRTIO_CONSOLE_H

#include "virtio.h"

/* Feature bits (5.3.3) */
#define VIRTIO_CONSOLE_F_EMERG_WRITE (1ull << 2)

struct virtio_console {
    struct virtio virtio; /* first */
    u64 (*transmit)(void *sink, const u8 *bytes, u64 count);
    /* The guest has made room for input; may be NULL. */
    void (*room)(void *sink);
    void *sink;
    struct virtio_chain input;
    /* The chain being sent, and how much of it has been sent. */
    bool sending, blocked;
    u64 sent;
    struct virtio_chain output;
    struct timer more;
};

void virtio_console_init(struct virtio_console *console, struct pci_bus *bus, const struct dma *dma,
                         const struct virtio_options *options, struct clock *clock,
                         u64 (*transmit)(void *sink, const u8 *bytes, u64 count), void (*room)(void *sink),
                         void *sink);
/* transmit() took less than all, and would take more now. */
void virtio_console_go_on(struct virtio_console *console);
/* Give the guest input. Returns how many bytes it took; room() tells when it may take more. */
unsigned virtio_console_receive(struct virtio_console *console, const u8 *bytes, unsigned count);

#endif
