/*
 * A parallel port with a printer at it: the standard port of the IBM PC with the data register of the PS/2, which can
 * be read (IEEE 1284-2000, annex on the PC's registers; IBM PS/2 Technical Reference, "Parallel Port Controller").
 *
 *   +0   data: what is on the lines; reads as ones while they are inputs
 *   +1   status, read only: 7 not busy | 6 not acknowledge | 5 out of paper | 4 selected | 3 no error | 2-0 ones
 *   +2   control: 5 data lines are inputs | 4 interrupt enable | 3 select | 2 not initialize |
 *        1 auto feed | 0 strobe; 7-6 read as ones
 *
 * The printer takes a byte when strobe rises, is busy until the host has taken the byte, and then acknowledges it with
 * a pulse of 5 us. The interrupt line is the acknowledge line behind a gate: its rising edge is the end of the pulse.
 */
#ifndef RINGER_DEVICES_PARALLEL_PARALLEL_PORT_H
#define RINGER_DEVICES_PARALLEL_PARALLEL_PORT_H

#include "base/device.h"

struct parallel_port {
    struct irq_line irq;
    struct timer timer;
    /* Take a byte. False: there is no room for more; parallel_port_room() will be called. */
    bool (*transmit)(void *sink, u8 byte);
    void *sink;
    u8 data, control;
    bool busy, full, acknowledge;
};

extern const struct io_ops parallel_port_ops; /* 3 ports */

void parallel_port_init(struct parallel_port *port, struct clock *clock, struct irq_line irq,
                        bool (*transmit)(void *sink, u8 byte), void *sink);
void parallel_port_reset(struct parallel_port *port);
/* The host can take bytes again. */
void parallel_port_room(struct parallel_port *port);

#endif
