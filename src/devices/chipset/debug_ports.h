/*
 * QEMU's two ports for tests and early consoles: isa-debug-exit and isa-debugcon.
 *
 * Ports: debug_exit_ops at any base with 1, 2 or 4 ports (QEMU's default 501h, 2 ports; Ringer's tests
 * F4h); debug_console_ops at E9h, byte-wide.
 */
#ifndef RINGER_DEVICES_CHIPSET_DEBUG_PORTS_H
#define RINGER_DEVICES_CHIPSET_DEBUG_PORTS_H

#include "base/device.h"

/* Writing v ends the machine with exit status (v << 1) | 1, which is never 0. */
struct debug_exit {
    void (*exit)(void *machine, u32 status);
    void *machine;
};

/* Every byte written goes to `transmit`. A read gives E9h, by which programs detect the port. */
struct debug_console {
    void (*transmit)(void *sink, u8 byte);
    void *sink;
};

void debug_exit_init(struct debug_exit *port, void (*exit)(void *machine, u32 status), void *machine);
void debug_console_init(struct debug_console *console, void (*transmit)(void *sink, u8 byte), void *sink);

extern const struct io_ops debug_exit_ops;
extern const struct io_ops debug_console_ops;

#endif
