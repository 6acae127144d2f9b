/*
 * The floppy controller of this machine: its ports, IRQ 6, DMA channel 2, and the drives that the options put
 * there. Without drives there is no controller.
 */
#ifndef RINGER_BOARD_WIRE_FLOPPY_H
#define RINGER_BOARD_WIRE_FLOPPY_H

#include "devices/storage/i82077.h"

struct vm;

struct wire_floppy {
    bool fitted;
    struct i82077 controller;
};

/* The 8259s and 8237s are there; drives_init() has opened the images. */
bool wire_floppy_init(struct wire_floppy *wire, struct vm *vm, char *error, size_t error_bytes);
void wire_floppy_reset(struct wire_floppy *wire);
/* The type of drive `number` for CMOS. */
u8 wire_floppy_type(struct vm *vm, unsigned number);

#endif
