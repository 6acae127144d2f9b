/*
 * The floppy controller on the board: its ports, IRQ 6, DMA channel 2, and its drives. Without drives there is no
 * controller.
 */
#ifndef RINGER_BOARD_WIRE_FLOPPY_H
#define RINGER_BOARD_WIRE_FLOPPY_H

#include "devices/storage/i82077.h"

struct board;

struct wire_floppy {
    struct i82077 controller;
};

/* False with one sentence in error. */
bool wire_floppy_init(struct wire_floppy *wire, struct board *board, struct i8237_pair *dma, char *error,
                      size_t error_bytes);
void wire_floppy_reset(struct wire_floppy *wire);
/* The type of drive `number` for CMOS. */
u8 wire_floppy_type(struct board *board, unsigned number);

#endif
