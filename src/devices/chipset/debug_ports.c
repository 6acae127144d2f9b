/*
 * isa-debug-exit and the debug console. See debug_ports.h. They have no state and need no reset.
 */
#include "debug_ports.h"

#define CONSOLE_IDENTITY 0xe9

static u32 exit_read(void *device, u32 offset, unsigned size)
{
    return 0;
}

static void exit_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct debug_exit *port = device;
    port->exit(port->machine, value << 1 | 1);
}

const struct io_ops debug_exit_ops = {exit_read, exit_write};

void debug_exit_init(struct debug_exit *port, void (*exit)(void *machine, u32 status), void *machine)
{
    *port = (struct debug_exit){.exit = exit, .machine = machine};
}

static u32 console_read(void *device, u32 offset, unsigned size)
{
    return CONSOLE_IDENTITY;
}

static void console_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct debug_console *console = device;
    console->transmit(console->sink, value);
}

const struct io_ops debug_console_ops = {console_read, console_write};

void debug_console_init(struct debug_console *console, void (*transmit)(void *sink, u8 byte), void *sink)
{
    *console = (struct debug_console){.transmit = transmit, .sink = sink};
}
