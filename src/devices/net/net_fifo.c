#include "net_fifo.h"

#include "ethernet.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void free_frame(struct net_fifo *fifo, struct net_frame *frame)
{
    frame->next = fifo->free_frames;
    fifo->free_frames = frame;
}

static void sent(void *card, struct net_frame *first)
{
    struct net_fifo *fifo = card;
    while (first) {
        struct net_frame *next = first->next;
        free_frame(fifo, first);
        first = next;
    }
    fifo->ops->has_room(fifo->chip);
}

/* Back ends may send frames shorter than the shortest on a wire, which has 60 bytes (IEEE 802.3, 3.2.8). Drivers drop
 * those. */
static void pad(struct net_buffer *buffer)
{
    if (buffer->used >= ETHERNET_LEAST) return;
    memset((u8 *)buffer->part[0].iov_base + buffer->used, 0, ETHERNET_LEAST - buffer->used);
    buffer->used = ETHERNET_LEAST;
}

static void received(void *card, struct net_buffer *first)
{
    struct net_fifo *fifo = card;
    for (struct net_buffer *buffer = first; buffer; buffer = buffer->next)
        pad(buffer);
    *fifo->received_last = first;
    while (*fifo->received_last)
        fifo->received_last = &(*fifo->received_last)->next;
    fifo->ops->has_frames(fifo->chip);
}

static void carrier(void *card, bool up)
{
    struct net_fifo *fifo = card;
    fifo->ops->carrier(fifo->chip, up);
}

static const struct net_card_ops card_ops = {.sent = sent, .received = received, .carrier = carrier};

static void clear(struct net_fifo *fifo)
{
    fifo->free_frames = NULL;
    for (unsigned n = 0; n < NET_FIFO_SENT; n++)
        free_frame(fifo, &fifo->frame[n].frame);
    fifo->received = NULL;
    fifo->received_last = &fifo->received;
    fifo->receiving = false;
}

bool net_fifo_init(struct net_fifo *fifo, struct net_cable *cable, const struct net_fifo_ops *ops, void *chip,
                   u32 largest)
{
    *fifo = (struct net_fifo){.cable = cable, .ops = ops, .chip = chip};
    fifo->memory = malloc((size_t)NET_FIFO_SENT * NET_FRAME_MAX + (size_t)NET_FIFO_RECEIVED * largest);
    if (!fifo->memory) return false;
    u8 *at = fifo->memory;
    for (unsigned n = 0; n < NET_FIFO_SENT; n++, at += NET_FRAME_MAX)
        fifo->frame[n].part.iov_base = at;
    for (unsigned n = 0; n < NET_FIFO_RECEIVED; n++, at += largest) {
        struct net_fifo_buffer *buffer = &fifo->buffer[n];
        buffer->part = (struct iovec){at, largest};
        buffer->buffer = (struct net_buffer){.part = &buffer->part, .part_count = 1, .capacity = largest};
    }
    clear(fifo);
    net_attach(cable, &card_ops, fifo);
    net_set_receive(cable, 0, false);
    return true;
}

void net_fifo_destroy(struct net_fifo *fifo)
{
    free(fifo->memory);
}

void net_fifo_reset(struct net_fifo *fifo)
{
    net_set_filter(fifo->cable, NULL);
    net_withdraw(fifo->cable);
    clear(fifo);
}

u8 *net_fifo_next(struct net_fifo *fifo)
{
    return fifo->free_frames ? container_of(fifo->free_frames, struct net_fifo_frame, frame)->part.iov_base
                             : NULL;
}

void net_fifo_send(struct net_fifo *fifo, u32 bytes, const struct net_offload *offload)
{
    struct net_fifo_frame *frame = container_of(fifo->free_frames, struct net_fifo_frame, frame);
    assert(bytes <= NET_FRAME_MAX);
    fifo->free_frames = frame->frame.next;
    frame->part.iov_len = bytes;
    frame->frame = (struct net_frame){.part = &frame->part, .part_count = 1, .bytes = bytes};
    if (offload) frame->frame.offload = *offload;
    net_send(fifo->cable, &frame->frame);
}

void net_fifo_receive(struct net_fifo *fifo, const struct net_filter *filter)
{
    net_set_filter(fifo->cable, filter);
    if (!filter) {
        while (fifo->received)
            net_fifo_drop(fifo);
        return;
    }
    for (unsigned n = 0; n < NET_FIFO_RECEIVED && !fifo->receiving; n++)
        net_offer(fifo->cable, &fifo->buffer[n].buffer);
    fifo->receiving = true;
}

void net_fifo_drop(struct net_fifo *fifo)
{
    struct net_buffer *first = fifo->received;
    fifo->received = first->next;
    if (!fifo->received) fifo->received_last = &fifo->received;
    net_offer(fifo->cable, first);
}
