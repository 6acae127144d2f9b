/*
 * The transmit and receive FIFOs of the older Ethernet controllers. A frame to send is copied into the FIFO, so the
 * chip is done with its descriptor or buffer at once. A received frame waits in the FIFO until the guest's memory has
 * room for it.
 *
 *     chip                                      cable
 *       net_fifo_next(), net_fifo_send() ---->    frames, of up to NET_FRAME_MAX bytes
 *       has_room() <------------------------------ sent
 *       has_frames() <---------------------------- received
 *       net_fifo_first(), net_fifo_drop()
 *
 * While the receive FIFO is full, frames wait in the cable and, behind it, in the back end: no frame is lost if the
 * guest takes it in time.
 */
#ifndef RINGER_DEVICES_NET_NET_FIFO_H
#define RINGER_DEVICES_NET_NET_FIFO_H

#include "base/net.h"

#define NET_FIFO_SENT     16 /* frames on their way out */
#define NET_FIFO_RECEIVED 64

struct net_fifo;

struct net_fifo_frame {
    struct net_frame frame; /* first */
    struct iovec part;
};

struct net_fifo_buffer {
    struct net_buffer buffer; /* first */
    struct iovec part;
};

/* A chip's functions for its FIFOs. They are called on the vCPU thread, and never from within a function below. */
struct net_fifo_ops {
    void (*has_room)(void *chip);   /* the transmit FIFO has room again */
    void (*has_frames)(void *chip); /* frames were received */
    void (*carrier)(void *chip, bool up);
};

struct net_fifo {
    struct net_cable *cable;
    const struct net_fifo_ops *ops;
    void *chip;
    u8 *memory;
    struct net_fifo_frame frame[NET_FIFO_SENT];
    struct net_frame *free_frames;
    struct net_fifo_buffer buffer[NET_FIFO_RECEIVED];
    struct net_buffer *received, **received_last;
    bool receiving; /* buffers are offered */
};

/* Received frames have up to `largest` bytes. Returns false: out of memory. */
bool net_fifo_init(struct net_fifo *fifo, struct net_cable *cable, const struct net_fifo_ops *ops, void *chip,
                   u32 largest);
void net_fifo_destroy(struct net_fifo *fifo);

/* Empties both; nothing is received until the next net_fifo_receive(). */
void net_fifo_reset(struct net_fifo *fifo);

/* Room for a frame of NET_FRAME_MAX bytes, the same until it is sent. NULL: the FIFO is full. */
u8 *net_fifo_next(struct net_fifo *fifo);
/* Send the frame that was put there. The offload is as net_frame has it. */
void net_fifo_send(struct net_fifo *fifo, u32 bytes, const struct net_offload *offload);
static inline void net_fifo_flush(struct net_fifo *fifo)
{
    net_flush(fifo->cable);
}

/* Receives frames that the filter accepts, which must be no larger than `largest`. NULL: receives nothing, and
 * forgets frames that wait. */
void net_fifo_receive(struct net_fifo *fifo, const struct net_filter *filter);
/* The frame that was received first: its bytes are in part[0], `used` of them. NULL: none. */
static inline const struct net_buffer *net_fifo_first(const struct net_fifo *fifo)
{
    return fifo->received;
}
static inline const u8 *net_fifo_bytes(const struct net_buffer *buffer)
{
    return buffer->part[0].iov_base;
}
/* Done with it. */
void net_fifo_drop(struct net_fifo *fifo);

#endif
