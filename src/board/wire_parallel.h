/*
 * The parallel port at 378h, IRQ 7, with a chardev for a printer.
 */
#ifndef RINGER_BOARD_WIRE_PARALLEL_H
#define RINGER_BOARD_WIRE_PARALLEL_H

#include "char_link.h"
#include "devices/parallel/parallel_port.h"

struct wire_parallel {
    struct parallel_port port;
    struct char_link link;
};

/* False with one sentence in error. Without a -parallel there is no port. */
bool wire_parallel_init(struct wire_parallel *wire, struct board *board, char *error, size_t error_bytes);
void wire_parallel_destroy(struct wire_parallel *wire);
void wire_parallel_reset(struct wire_parallel *wire);

#endif
