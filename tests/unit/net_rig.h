/*
 * A network card on a rig: RAM, a PCI bus with one interrupt wire, a clock, and a cable with the test at its other end.
 */
#ifndef RINGER_TESTS_UNIT_NET_RIG_H
#define RINGER_TESTS_UNIT_NET_RIG_H

#include "base/device.h"
#include "base/net.h"
#include "devices/pci/pci_bus.h"

#include <stdlib.h>
#include <string.h>

#define NET_RIG_RAM    (1u << 20)
#define NET_RIG_FRAMES 512

struct net_rig {
    u8 ram[NET_RIG_RAM];
    struct pci_bus bus;
    struct clock clock;
    u64 now_ns;
    bool line;
    struct net_cable cable;
    const struct net_card_ops *card_ops;
    void *card;
    struct net_frame *sent, **sent_last; /* on their way */
    unsigned sent_count;
    u8 last[NET_FRAME_MAX]; /* the bytes of the frame that was sent last */
    u32 last_bytes;
    struct net_offload last_offload;
    struct net_buffer *offered, **offered_last;
    struct net_filter filter;
    bool has_filter;
};

static struct net_rig net_rig;

static const u8 net_rig_mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 0x12, 0x34, 0x56}; /* the card's */
static const u8 net_rig_everybody[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* The card's registers. */
static inline u32 net_rig_in(const struct pci_device *card, unsigned bar, u32 offset, unsigned size)
{
    return card->bar[bar].ops->read(card->bar[bar].handler, offset, size);
}

static inline void net_rig_out(const struct pci_device *card, unsigned bar, u32 offset, unsigned size,
                               u32 value)
{
    card->bar[bar].ops->write(card->bar[bar].handler, offset, size, value);
}

static inline void net_rig_read(void *memory, u64 gpa, void *buffer, u64 bytes)
{
    for (u64 n = 0; n < bytes; n++)
        ((u8 *)buffer)[n] = gpa + n < NET_RIG_RAM ? net_rig.ram[gpa + n] : 0xff;
}

static inline void net_rig_write(void *memory, u64 gpa, const void *buffer, u64 bytes)
{
    for (u64 n = 0; n < bytes; n++)
        if (gpa + n < NET_RIG_RAM) net_rig.ram[gpa + n] = ((const u8 *)buffer)[n];
}

static inline u8 *net_rig_map(void *memory, u64 gpa, u64 *bytes)
{
    if (gpa >= NET_RIG_RAM) return NULL;
    if (*bytes > NET_RIG_RAM - gpa) *bytes = NET_RIG_RAM - gpa;
    return net_rig.ram + gpa;
}

static inline void net_rig_written(void *memory, u64 gpa, u64 bytes)
{
    if (gpa > NET_RIG_RAM || bytes > NET_RIG_RAM - gpa) abort();
}

static inline struct dma net_rig_dma(void)
{
    return (struct dma){net_rig_read, net_rig_write, net_rig_map, net_rig_written, NULL, NULL};
}

static inline u64 net_rig_now(const struct clock *clock)
{
    return net_rig.now_ns;
}

static inline void net_rig_line(void *receiver, unsigned pin, bool level)
{
    net_rig.line = level;
}

static inline void net_rig_attach(struct net_cable *cable, const struct net_card_ops *ops, void *card)
{
    net_rig.card_ops = ops;
    net_rig.card = card;
}

/* Reads every byte, as a back end would. */
static inline void net_rig_send(struct net_cable *cable, struct net_frame *frame)
{
    u32 bytes = 0;
    for (unsigned n = 0; n < frame->part_count; n++) {
        if (frame->part[n].iov_len > sizeof(net_rig.last) - bytes) abort();
        memcpy(net_rig.last + bytes, frame->part[n].iov_base, frame->part[n].iov_len);
        bytes += (u32)frame->part[n].iov_len;
    }
    if (bytes != frame->bytes) abort();
    net_rig.last_bytes = bytes;
    net_rig.last_offload = frame->offload;
    frame->next = NULL;
    *net_rig.sent_last = frame;
    net_rig.sent_last = &frame->next;
    net_rig.sent_count++;
}

static inline void net_rig_flush(struct net_cable *cable) {}

static inline void net_rig_offer(struct net_cable *cable, struct net_buffer *buffer)
{
    buffer->next = NULL;
    *net_rig.offered_last = buffer;
    net_rig.offered_last = &buffer->next;
}

static inline void net_rig_withdraw(struct net_cable *cable)
{
    net_rig.sent = NULL;
    net_rig.sent_last = &net_rig.sent;
    net_rig.offered = NULL;
    net_rig.offered_last = &net_rig.offered;
}

static inline void net_rig_filter(struct net_cable *cable, const struct net_filter *filter)
{
    net_rig.has_filter = filter != NULL;
    if (filter) net_rig.filter = *filter;
}

static inline void net_rig_receive(struct net_cable *cable, u32 takes, bool merges) {}

static inline void net_rig_start(void)
{
    static const struct net_cable_ops ops = {net_rig_attach,   net_rig_send,   net_rig_flush,  net_rig_offer,
                                             net_rig_withdraw, net_rig_filter, net_rig_receive};
    memset(&net_rig, 0, sizeof(net_rig));
    net_rig.now_ns = 1000000000;
    net_rig.clock.now_ns = net_rig_now;
    pci_bus_init(&net_rig.bus);
    for (unsigned n = 0; n < 4; n++)
        net_rig.bus.pirq[n] = (struct irq_line){net_rig_line, NULL, n};
    net_rig.cable = (struct net_cable){.ops = &ops, .up = true};
    net_rig_withdraw(&net_rig.cable);
}

/* The back end has sent everything. */
static inline void net_rig_done(void)
{
    struct net_frame *first = net_rig.sent;
    net_rig.sent = NULL;
    net_rig.sent_last = &net_rig.sent;
    net_rig.sent_count = 0;
    if (first) net_rig.card_ops->sent(net_rig.card, first);
}

/* A frame comes by the cable. Returns false if the card refuses it or has no buffer large enough. */
static inline bool net_rig_arrive(const u8 *frame, u32 bytes)
{
    struct net_buffer *buffer = net_rig.offered;
    if (!net_rig.has_filter || !net_rig.filter.accepts(&net_rig.filter, frame, bytes)) return false;
    if (!buffer || buffer->capacity - buffer->reserved < bytes) return false;
    net_rig.offered = buffer->next;
    if (!net_rig.offered) net_rig.offered_last = &net_rig.offered;
    buffer->next = NULL;
    buffer->used = bytes;
    buffer->count = 1;
    buffer->offload = (struct net_offload){.flags = NET_CHECKSUM_GOOD};
    if (buffer->part[0].iov_len < bytes) abort();
    memcpy(buffer->part[0].iov_base, frame, bytes);
    net_rig.card_ops->received(net_rig.card, buffer);
    return true;
}

static inline unsigned net_rig_offered_count(void)
{
    unsigned count = 0;
    for (const struct net_buffer *buffer = net_rig.offered; buffer; buffer = buffer->next)
        count++;
    return count;
}

static inline void net_rig_carrier(bool up)
{
    net_rig.cable.up = up;
    net_rig.card_ops->carrier(net_rig.card, up);
}

#endif
