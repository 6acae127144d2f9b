#include "serial_port.h"

#include "board.h"

static u32 receive(void *device, const u8 *bytes, u32 count)
{
    struct serial_port *port = device;
    u32 taken = 0;
    while (taken < count && uart_receive(&port->uart, bytes[taken]))
        taken++;
    return taken;
}

/* A break that finds no room is lost. */
static void receive_break(void *device)
{
    struct serial_port *port = device;
    uart_receive_break(&port->uart);
}

static void transmit(void *sink, u8 byte)
{
    struct serial_port *port = sink;
    char_link_send(&port->link, &byte, 1);
}

static void has_room(void *sink)
{
    struct serial_port *port = sink;
    char_link_room(&port->link);
}

bool serial_port_init(struct serial_port *port, struct board *board, struct irq_line irq,
                      const char *specification, char *error, size_t error_bytes)
{
    if (!char_link_init(&port->link, board, receive, port, specification, error, error_bytes)) return false;
    port->link.receive_break = receive_break;
    uart_init(&port->uart, board->clock, irq, transmit, has_room, port);
    return true;
}
