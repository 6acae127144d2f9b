/*
 * Ports for tests and early consoles: the exit port, the console at E9h, and the port that SeaBIOS writes its
 * log to.
 */
#ifndef RINGER_BOARD_WIRE_DEBUG_H
#define RINGER_BOARD_WIRE_DEBUG_H

#include "devices/chipset/debug_ports.h"
#include "ui/chardev.h"

struct board;

struct debug_output {
    struct debug_console port;
    struct chardev back_end;
};

struct wire_debug {
    struct debug_exit exit;
    struct debug_output console, firmware_log;
};

/* False with one sentence in error. */
bool wire_debug_init(struct wire_debug *wire, struct board *board, char *error, size_t error_bytes);
void wire_debug_destroy(struct wire_debug *wire);

#endif
