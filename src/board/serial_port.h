/*
 * A serial port: a UART and the cable from it to the host.
 */
#ifndef RINGER_BOARD_SERIAL_PORT_H
#define RINGER_BOARD_SERIAL_PORT_H

#include "char_link.h"
#include "devices/serial/uart16550.h"

struct serial_port {
    struct char_link link;
    struct uart16550 uart;
};

/* `chardev`: its id. Returns false with one sentence in error. The caller destroys the link. */
bool serial_port_init(struct serial_port *port, struct board *board, struct irq_line irq, const char *chardev,
                      char *error, size_t error_bytes);

#endif
