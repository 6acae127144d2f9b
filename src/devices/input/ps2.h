/*
 * Shared by the PS/2 keyboard and the PS/2 mouse: queues of bytes for the controller, and the controller's
 * commands.
 *
 * A device answers commands before it reports events ("the keyboard's response is not put into its buffer",
 * IBM PS/2 Hardware Interface Technical Reference, Keyboard), so it has a short queue of replies and a longer
 * one of events.
 */
#ifndef RINGER_DEVICES_INPUT_PS2_H
#define RINGER_DEVICES_INPUT_PS2_H

#include "base/types.h"

enum {
    PS2_SELF_TEST_PASSED = 0xaa,
    PS2_ECHO = 0xee,
    PS2_ACK = 0xfa,
    PS2_RESEND = 0xfe,
};

#define PS2_QUEUE_BYTES 64

struct ps2_queue {
    u8 byte[PS2_QUEUE_BYTES];
    unsigned head, count;
};

static inline unsigned ps2_room(const struct ps2_queue *queue)
{
    return PS2_QUEUE_BYTES - queue->count;
}

/* A byte for which there is no room is lost. */
static inline void ps2_put(struct ps2_queue *queue, u8 byte)
{
    if (!ps2_room(queue)) return;
    queue->byte[(queue->head + queue->count++) % PS2_QUEUE_BYTES] = byte;
}

static inline u8 ps2_take(struct ps2_queue *queue)
{
    u8 byte = queue->byte[queue->head];
    queue->head = (queue->head + 1) % PS2_QUEUE_BYTES;
    queue->count--;
    return byte;
}

static inline void ps2_clear(struct ps2_queue *queue)
{
    queue->head = queue->count = 0;
}

#endif
