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

/* What a driver may still write after it has seen an empty transmitter: a FIFO, and some. */
#define TRANSMITTER_ROOM 64

static void transmit(void *sink, u8 byte)
{
    struct serial_port *port = sink;
    char_link_force(&port->link, &byte, 1);
    if (char_link_out_room(&port->link) >= TRANSMITTER_ROOM) return;
    char_link_flush(&port->link);
    if (char_link_out_room(&port->link) >= TRANSMITTER_ROOM) return;
    port->link.refused = true;
    uart_set_transmitter(&port->uart, true);
}

static void output_room(void *device)
{
    struct serial_port *port = device;
    uart_set_transmitter(&port->uart, false);
}

static void has_room(void *sink)
{
    struct serial_port *port = sink;
    char_link_room(&port->link);
}

static const struct char_link_ops link_ops = {
    .receive = receive, .receive_break = receive_break, .room = output_room};

bool serial_port_init(struct serial_port *port, struct board *board, struct irq_line irq, const char *chardev,
                      char *error, size_t error_bytes)
{
    if (!char_link_init(&port->link, board, &link_ops, port, chardev, error, error_bytes)) return false;
    uart_init(&port->uart, board->clock, irq, transmit, has_room, port);
    return true;
}
