/*
 * The PC's two 8237A DMA controllers (Intel datasheet, order 231466) and their page registers. As in the
 * PIIX3 (82371SB datasheet 3.2), there are no transfers from memory to memory and no compressed timing.
 *
 * Ports, all byte-wide: i8237_ops at 00h-0Fh (device: &dma->controller[0], channels 0-3) and at C0h-DFh
 * (device: &dma->controller[1], channels 4-7, a register every second port); dma_page_ops at 80h-8Fh (device:
 * the pair). Port 80h is a page register that no channel uses: the POST code.
 *
 * A device asserts DREQ (i8237_request()). When its channel may be served, at once or later, serve() is
 * called and the device moves its bytes with i8237_transfer(). The first controller reaches the bus
 * through channel 4, so channels 0-3 are served only while channel 4 is unmasked and in cascade mode.
 * Single, demand and block mode make no visible difference, because a device requests only when it has
 * bytes. Channels 5-7 move words: addresses and counts are in words.
 *
 *   mode   7-6 demand, single, block, cascade | 5 down | 4 autoinitialize | 3-2 verify, write, read
 *          1-0 channel
 */
#ifndef RINGER_DEVICES_CHIPSET_I8237_H
#define RINGER_DEVICES_CHIPSET_I8237_H

#include "base/device.h"

struct i8237_pair;

struct i8237_channel {
    u16 base_address, address;
    u16 base_count, count; /* units - 1 */
    u8 mode;
    bool dreq;
    bool in_service;
    void (*serve)(void *device); /* NULL: no device is on this channel */
    void *device;
};

struct i8237 {
    struct i8237_pair *pair;
    u8 shift;       /* ports a register, and bytes a unit: 1 << shift */
    bool high_byte; /* the flip-flop: the next byte of an address or count is the high one */
    u8 command, request, mask;
    u8 terminal; /* channels with a count that has ended since the status was read */
    struct i8237_channel channel[4];
};

struct i8237_pair {
    struct i8237 controller[2];
    u8 page[16];
    struct dma memory;
};

void i8237_init(struct i8237_pair *dma, struct dma memory);
void i8237_reset(struct i8237_pair *dma);

/* Connect a device to channel 0-3 or 5-7. */
void i8237_connect(struct i8237_pair *dma, unsigned channel, void (*serve)(void *device), void *device);
/* DREQ of a channel. May call serve(). */
void i8237_request(struct i8237_pair *dma, unsigned channel, bool dreq);
/* Would a transfer on this channel move bytes now? */
bool i8237_granted(const struct i8237_pair *dma, unsigned channel);
/* DACK: move up to `bytes` (channels 5-7: an even number) between the buffer and memory, in the direction of the
 * mode. In verify mode nothing moves, but the bytes are counted. Returns how many were moved: fewer if the count
 * ends, which sets *terminal (TC), and none if the channel is not granted. */
u32 i8237_transfer(struct i8237_pair *dma, unsigned channel, u8 *buffer, u32 bytes, bool *terminal);

extern const struct io_ops i8237_ops;
extern const struct io_ops dma_page_ops;

#endif
