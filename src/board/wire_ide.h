/*
 * The IDE function of the PIIX3 in this machine: its ports, IRQ 14 and 15, and the drives that the options
 * put there. It is there without drives too, as the chip is.
 */
#ifndef RINGER_BOARD_WIRE_IDE_H
#define RINGER_BOARD_WIRE_IDE_H

#include "devices/storage/piix3_ide.h"

struct vm;
struct port_window;
struct port_bus;

struct wire_ide {
    struct vm *vm;
    struct piix3_ide ide;
    struct port_window *command[2], *control[2];
};

/* The other chips of the board are there; drives_init() has opened the images. */
bool wire_ide_init(struct wire_ide *wire, struct vm *vm, char *error, size_t error_bytes);
void wire_ide_reset(struct wire_ide *wire);
void wire_ide_suspend(struct wire_ide *wire);

#endif
