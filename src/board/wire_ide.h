/*
 * The IDE function of the PIIX3 on the board: its ports, IRQ 14 and 15, and its drives. It exists without drives
 * too, because the chip does.
 */
#ifndef RINGER_BOARD_WIRE_IDE_H
#define RINGER_BOARD_WIRE_IDE_H

#include "devices/storage/piix3_ide.h"

struct board;
struct port_range;

struct wire_ide {
    struct board *board;
    struct piix3_ide ide;
    struct port_range *command[2], *control[2];
};

/* False with one sentence in error. */
bool wire_ide_init(struct wire_ide *wire, struct board *board, char *error, size_t error_bytes);
void wire_ide_reset(struct wire_ide *wire);
void wire_ide_suspend(struct wire_ide *wire);

#endif
