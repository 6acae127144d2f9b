/*
 * A 16550A UART as on a PC's serial port (National PC16550D datasheet, DS008652).
 *
 * Ports, byte-wide: uart16550_ops at 3F8h-3FFh (IRQ 4), 2F8h (3), 3E8h (4), 2E8h (3).
 *
 * The line outward is infinitely fast. The UART transmits a byte as soon as it is written, and the
 * transmitter is empty, so a guest's console does not crawl at 115200 baud; unless the reader is slow
 * (uart_set_transmitter()). The divisor times only the receiver's character timeout. The line inward waits instead of
 * overrunning: uart_receive() refuses a character for which there is no room.
 *
 * On a PC the OUT2 output gates the interrupt wire. This UART ignores OUT2, as QEMU's does, because kernels that were
 * written for QEMU set MCR = 0 and expect interrupts. Loopback does disconnect the wire ("Loopback": the modem control
 * outputs are forced to their inactive state). Then only IIR shows the interrupt.
 */
#ifndef RINGER_DEVICES_SERIAL_UART16550_H
#define RINGER_DEVICES_SERIAL_UART16550_H

#include "base/device.h"

#define UART_FIFO_BYTES 16

/* The lines from the modem, as in bits 7-4 of the modem status register. */
enum { UART_CTS = 0x10, UART_DSR = 0x20, UART_RI = 0x40, UART_DCD = 0x80 };

struct uart16550 {
    struct irq_line irq;
    struct timer timeout;
    void (*transmit)(void *sink, u8 byte);
    void (*has_room)(void *sink);
    void *sink;

    u8 ier, lcr, mcr, scratch;
    u8 fcr; /* bit 0 and bits 7-6 only */
    u16 divisor;
    u8 modem; /* lines from the modem */
    u8 msr;   /* lines and deltas, as last computed */
    bool overrun;
    bool full;         /* the transmitter: nothing leaves at present */
    bool thre_pending; /* the transmitter became empty, or its interrupt was enabled; not yet read from IIR */
    bool timed_out;    /* characters wait below the trigger level */

    u8 data[UART_FIFO_BYTES];
    u8 errors[UART_FIFO_BYTES]; /* LSR bits 4-2 that came with each character */
    unsigned head, count;
};

/* transmit: a byte leaves. has_room (may be NULL): the receiver has room, whether or not uart_receive()
 * had refused a character. At first a modem is connected: CTS, DSR and DCD are on. */
void uart_init(struct uart16550 *uart, struct clock *clock, struct irq_line irq,
               void (*transmit)(void *sink, u8 byte), void (*has_room)(void *sink), void *sink);
void uart_reset(struct uart16550 *uart);

/* A character arrives. False: no room (or the receiver is in loopback); offer it again later. */
bool uart_receive(struct uart16550 *uart, u8 byte);
/* The line is held in break for longer than a character. */
bool uart_receive_break(struct uart16550 *uart);
/* The transmitter is full and says so, or is empty again. */
void uart_set_transmitter(struct uart16550 *uart, bool full);
/* The modem's lines change: UART_CTS etc. */
void uart_set_modem(struct uart16550 *uart, u8 lines);

extern const struct io_ops uart16550_ops;

#endif
