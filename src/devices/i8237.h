/*
 * The PC's two 8237A DMA controllers (Intel datasheet, order 231466) and their page registers, as far as a
 * machine without ISA bus masters needs them: kernels program them and find what they wrote. No device
 * requests a transfer, so none is made, and status shows what software requested only.
 *
 * Windows, all byte-wide: i8237_ops at 00h-0Fh (device: &dma->controller[0], channels 0-3) and at C0h-DFh
 * (device: &dma->controller[1], channels 4-7, a register every second port); dma_page_ops at 80h-8Fh (device:
 * the pair). Port 80h is a page register that no channel uses: the POST code.
 */
#ifndef RINGER_DEVICES_I8237_H
#define RINGER_DEVICES_I8237_H

#include "base/device.h"

struct i8237_channel {
    u16 base_address, address;
    u16 base_count, count;
    u8 mode;
};

struct i8237 {
    u8 shift;       /* ports a register: 1 << shift */
    bool high_byte; /* the flip-flop: the next byte of an address or count is the high one */
    u8 command, request, mask, temporary;
    struct i8237_channel channel[4];
};

struct i8237_pair {
    struct i8237 controller[2];
    u8 page[16];
};

void i8237_init(struct i8237_pair *dma);
void i8237_reset(struct i8237_pair *dma);

extern const struct io_ops i8237_ops;
extern const struct io_ops dma_page_ops;

#endif
