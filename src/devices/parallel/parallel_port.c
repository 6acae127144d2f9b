/*
 * Parallel port. See parallel_port.h.
 */
#include "parallel_port.h"

enum { DATA, STATUS, CONTROL };
enum { NOT_BUSY = 1 << 7, NOT_ACKNOWLEDGE = 1 << 6, SELECTED = 1 << 4, NO_ERROR = 1 << 3, STATUS_ONES = 7 };
enum { STROBE = 1, NOT_INITIALIZE = 4, SELECT = 8, INTERRUPT = 1 << 4, INPUT = 1 << 5, CONTROL_ONES = 0xc0 };
#define ACKNOWLEDGE_NS 5000u

static void update_interrupt(struct parallel_port *port)
{
    irq_set(&port->irq, (port->control & INTERRUPT) && !port->acknowledge);
}

static void acknowledge(struct parallel_port *port)
{
    port->acknowledge = true;
    update_interrupt(port);
    timer_arm(&port->timer, clock_now(port->timer.clock) + ACKNOWLEDGE_NS);
}

static void acknowledged(void *device)
{
    struct parallel_port *port = device;
    port->acknowledge = port->busy = false;
    update_interrupt(port);
}

static void print(struct parallel_port *port)
{
    if (port->busy) return;
    port->busy = true;
    port->full = !port->transmit(port->sink, port->data);
    if (!port->full) acknowledge(port);
}

void parallel_port_room(struct parallel_port *port)
{
    if (!port->full) return;
    port->full = false;
    acknowledge(port);
}

static u32 read(void *device, u32 offset, unsigned size)
{
    const struct parallel_port *port = device;
    switch (offset) {
    case DATA: return port->control & INPUT ? 0xff : port->data;
    case STATUS:
        return STATUS_ONES | SELECTED | NO_ERROR | (port->busy ? 0 : NOT_BUSY) |
               (port->acknowledge ? 0 : NOT_ACKNOWLEDGE);
    case CONTROL: return port->control | CONTROL_ONES;
    default: return 0xff;
    }
}

static void write(void *device, u32 offset, unsigned size, u32 value)
{
    struct parallel_port *port = device;
    if (offset == DATA) port->data = (u8)value;
    if (offset != CONTROL) return;
    u8 rising = (u8)(value & ~port->control);
    port->control = value & 0x3f;
    bool ready = (value & NOT_INITIALIZE) && (value & SELECT) && !(value & INPUT);
    if ((rising & STROBE) && ready) print(port);
    update_interrupt(port);
}

const struct io_ops parallel_port_ops = {read, write};

void parallel_port_reset(struct parallel_port *port)
{
    timer_cancel(&port->timer);
    port->data = 0;
    port->control = NOT_INITIALIZE | SELECT;
    port->busy = port->full; /* the byte that waits for the host is not lost */
    port->acknowledge = false;
    update_interrupt(port);
}

void parallel_port_init(struct parallel_port *port, struct clock *clock, struct irq_line irq,
                        bool (*transmit)(void *sink, u8 byte), void *sink)
{
    *port = (struct parallel_port){.irq = irq, .transmit = transmit, .sink = sink};
    timer_init(&port->timer, clock, acknowledged, port);
    parallel_port_reset(port);
}
