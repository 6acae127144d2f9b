/*
 * The 16550A. See uart16550.h. Section names in the comments are those of the PC16550D datasheet.
 */
#include "uart16550.h"

#define CRYSTAL_HZ 1843200ull

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };

enum { IER_RECEIVED = 0x01, IER_TRANSMITTER = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08 };
/* in order of priority ("Table III") */
enum {
    IIR_LINE = 0x06,
    IIR_RECEIVED = 0x04,
    IIR_TIMEOUT = 0x0c,
    IIR_TRANSMITTER = 0x02,
    IIR_MODEM = 0x00,
    IIR_NONE = 0x01,
    IIR_FIFOS = 0xc0
};
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RECEIVER = 0x02, FCR_TRIGGER = 0xc0 };
enum { LCR_LENGTH = 0x03, LCR_STOP2 = 0x04, LCR_PARITY = 0x08, LCR_DIVISOR = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10 };
enum {
    LSR_READY = 0x01,
    LSR_OVERRUN = 0x02,
    LSR_FRAMING = 0x08,
    LSR_BREAK = 0x10,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    LSR_FIFO_ERROR = 0x80
};
enum { MSR_RI_ENDED = 0x04, MSR_DELTAS = 0x0f, MSR_LINES = 0xf0 };

static bool fifos(const struct uart16550 *uart)
{
    return uart->fcr & FCR_ENABLE;
}
static bool loopback(const struct uart16550 *uart)
{
    return uart->mcr & MCR_LOOP;
}
static unsigned room(const struct uart16550 *uart)
{
    return (fifos(uart) ? UART_FIFO_BYTES : 1) - uart->count;
}

/* Characters have 5 to 8 bits. */
static u8 character_mask(const struct uart16550 *uart)
{
    return 0xff >> (3 - (uart->lcr & LCR_LENGTH));
}

static unsigned trigger_level(const struct uart16550 *uart)
{
    static const u8 levels[] = {1, 4, 8, 14};
    return fifos(uart) ? levels[uart->fcr >> 6] : 1;
}

/* "FIFO interrupt mode": the time of four characters with start, data, parity and stop bits. */
static u64 timeout_ns(const struct uart16550 *uart)
{
    unsigned bits =
        1 + 5 + (uart->lcr & LCR_LENGTH) + !!(uart->lcr & LCR_PARITY) + 1 + !!(uart->lcr & LCR_STOP2);
    u64 divisor = uart->divisor ? uart->divisor : 1;
    return 4 * bits * divisor * 16 * 1000000000ull / CRYSTAL_HZ;
}

/* The interrupt of highest priority, as IIR bits 3-0. */
static u8 pending(const struct uart16550 *uart)
{
    bool line_error = uart->overrun || (uart->count && uart->errors[uart->head]);
    if ((uart->ier & IER_LINE) && line_error) return IIR_LINE;
    if ((uart->ier & IER_RECEIVED) && uart->count >= trigger_level(uart)) return IIR_RECEIVED;
    if ((uart->ier & IER_RECEIVED) && uart->timed_out) return IIR_TIMEOUT;
    if ((uart->ier & IER_TRANSMITTER) && uart->thre_pending) return IIR_TRANSMITTER;
    if ((uart->ier & IER_MODEM) && (uart->msr & MSR_DELTAS)) return IIR_MODEM;
    return IIR_NONE;
}

static void update(struct uart16550 *uart)
{
    irq_set(&uart->irq, !loopback(uart) && pending(uart) != IIR_NONE);
}

/* "Character timeout": every character received or read restarts it while one is left. */
static void restart_timeout(struct uart16550 *uart)
{
    uart->timed_out = false;
    if (fifos(uart) && uart->count) {
        timer_arm(&uart->timeout, clock_now(uart->timeout.clock) + timeout_ns(uart));
    } else {
        timer_cancel(&uart->timeout);
    }
}

static void timeout_fired(void *device)
{
    struct uart16550 *uart = device;
    uart->timed_out = true;
    update(uart);
}

static void enqueue(struct uart16550 *uart, u8 byte, u8 errors)
{
    unsigned tail = (uart->head + uart->count++) % UART_FIFO_BYTES;
    uart->data[tail] = byte;
    uart->errors[tail] = errors;
    restart_timeout(uart);
}

static void clear_receiver(struct uart16550 *uart)
{
    uart->head = uart->count = 0;
    uart->overrun = false;
    restart_timeout(uart);
}

static bool receive(struct uart16550 *uart, u8 byte, u8 errors)
{
    if (loopback(uart) || !room(uart)) return false;
    enqueue(uart, byte, errors);
    update(uart);
    return true;
}

bool uart_receive(struct uart16550 *uart, u8 byte)
{
    return receive(uart, byte & character_mask(uart), 0);
}

bool uart_receive_break(struct uart16550 *uart)
{
    return receive(uart, 0, LSR_BREAK | LSR_FRAMING);
}

/* The transmitter feeds the receiver, which can overrun ("Overrun error"). With FIFOs the new character is
 * lost, without them the old one. */
static void loop_back(struct uart16550 *uart, u8 byte)
{
    if (!room(uart)) {
        uart->overrun = true;
        if (!fifos(uart)) uart->data[uart->head] = byte;
        return;
    }
    enqueue(uart, byte, 0);
}

static void write_data(struct uart16550 *uart, u8 byte)
{
    /* The holding register is emptied at once. Its interrupt falls and rises again: an edge for the 8259. */
    uart->thre_pending = false;
    update(uart);
    byte &= character_mask(uart);
    if (loopback(uart)) {
        loop_back(uart, byte);
    } else {
        uart->transmit(uart->sink, byte);
    }
    uart->thre_pending = !uart->full;
    update(uart);
}

void uart_set_transmitter(struct uart16550 *uart, bool full)
{
    if (uart->full == full) return;
    uart->full = full;
    uart->thre_pending = !full;
    update(uart);
}

static u8 read_data(struct uart16550 *uart)
{
    u8 byte = uart->data[uart->head];
    if (!uart->count) return byte;
    uart->errors[uart->head] = 0;
    uart->head = fifos(uart) ? (uart->head + 1) % UART_FIFO_BYTES : 0;
    uart->count--;
    restart_timeout(uart);
    update(uart);
    if (!loopback(uart) && uart->has_room) uart->has_room(uart->sink);
    return byte;
}

static void write_ier(struct uart16550 *uart, u8 value)
{
    u8 risen = value & ~uart->ier;
    uart->ier = value & 0x0f;
    /* Enabled while the transmitter is empty, it interrupts at once. Linux's 8250 driver tests for that. */
    if (risen & IER_TRANSMITTER) uart->thre_pending = !uart->full;
    update(uart);
}

static void write_fcr(struct uart16550 *uart, u8 value)
{
    bool toggled = (value ^ uart->fcr) & FCR_ENABLE;
    /* "Bit 0 must be a 1 when other FCR bits are written to or they will not be programmed." A change of
     * bit 0 empties the FIFOs. */
    uart->fcr = value & FCR_ENABLE ? value & (FCR_ENABLE | FCR_TRIGGER) : 0;
    if (toggled || (fifos(uart) && (value & FCR_CLEAR_RECEIVER))) {
        clear_receiver(uart);
        if (!loopback(uart) && uart->has_room) uart->has_room(uart->sink);
    }
    update(uart);
}

static u8 read_iir(struct uart16550 *uart)
{
    u8 source = pending(uart);
    if (source == IIR_TRANSMITTER) {
        uart->thre_pending = false; /* "Reset by reading the IIR, if source of interrupt" */
        update(uart);
    }
    return source | (fifos(uart) ? IIR_FIFOS : 0);
}

static u8 read_lsr(struct uart16550 *uart)
{
    u8 value = uart->full ? 0 : LSR_THRE | LSR_TEMT;
    if (uart->overrun) value |= LSR_OVERRUN;
    if (uart->count) value |= LSR_READY | uart->errors[uart->head];
    for (unsigned i = 0; fifos(uart) && i < uart->count; i++) {
        if (uart->errors[(uart->head + i) % UART_FIFO_BYTES]) value |= LSR_FIFO_ERROR;
    }
    uart->overrun = false;
    uart->errors[uart->head] = 0;
    update(uart);
    return value;
}

/* The modem lines as the UART sees them: in loopback they are its own outputs. */
static u8 modem_lines(const struct uart16550 *uart)
{
    if (!loopback(uart)) return uart->modem;
    return (uart->mcr & MCR_RTS ? UART_CTS : 0) | (uart->mcr & MCR_DTR ? UART_DSR : 0) |
           (uart->mcr & MCR_OUT1 ? UART_RI : 0) | (uart->mcr & MCR_OUT2 ? UART_DCD : 0);
}

static void modem_changed(struct uart16550 *uart)
{
    u8 lines = modem_lines(uart);
    u8 deltas = (lines ^ uart->msr) >> 4;
    if (lines & UART_RI) deltas &= ~MSR_RI_ENDED; /* only the trailing edge of RI counts */
    uart->msr = lines | (uart->msr & MSR_DELTAS) | deltas;
    update(uart);
}

void uart_set_modem(struct uart16550 *uart, u8 lines)
{
    uart->modem = lines & MSR_LINES;
    modem_changed(uart);
}

static void write_mcr(struct uart16550 *uart, u8 value)
{
    bool left_loopback = loopback(uart) && !(value & MCR_LOOP);
    uart->mcr = value & 0x1f;
    modem_changed(uart);
    if (left_loopback && room(uart) && uart->has_room) uart->has_room(uart->sink);
}

static u8 read_msr(struct uart16550 *uart)
{
    u8 value = uart->msr;
    uart->msr &= ~MSR_DELTAS;
    update(uart);
    return value;
}

static void ports_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct uart16550 *uart = device;
    if ((uart->lcr & LCR_DIVISOR) && offset <= REG_IER) {
        unsigned shift = 8 * offset;
        uart->divisor = (uart->divisor & ~(0xff << shift)) | (value & 0xff) << shift;
        return;
    }
    switch (offset) {
    case REG_DATA: write_data(uart, value); break;
    case REG_IER: write_ier(uart, value); break;
    case REG_IIR_FCR: write_fcr(uart, value); break;
    case REG_LCR: uart->lcr = value; break;
    case REG_MCR: write_mcr(uart, value); break;
    case REG_SCRATCH: uart->scratch = value; break;
    }
}

static u32 ports_read(void *device, u32 offset, unsigned size)
{
    struct uart16550 *uart = device;
    if ((uart->lcr & LCR_DIVISOR) && offset <= REG_IER) return uart->divisor >> (8 * offset) & 0xff;
    switch (offset) {
    case REG_DATA: return read_data(uart);
    case REG_IER: return uart->ier;
    case REG_IIR_FCR: return read_iir(uart);
    case REG_LCR: return uart->lcr;
    case REG_MCR: return uart->mcr;
    case REG_LSR: return read_lsr(uart);
    case REG_MSR: return read_msr(uart);
    default: return uart->scratch;
    }
}

const struct io_ops uart16550_ops = {ports_read, ports_write};

/* "Table I: reset configuration"; divisor and scratch are not affected. The line is left at 8 bits, as a BIOS
 * leaves it, for guests that print before they program it. */
void uart_reset(struct uart16550 *uart)
{
    uart->ier = uart->mcr = uart->fcr = 0;
    uart->lcr = LCR_LENGTH;
    uart->thre_pending = false;
    uart->msr = uart->modem;
    clear_receiver(uart);
    update(uart);
}

void uart_init(struct uart16550 *uart, struct clock *clock, struct irq_line irq,
               void (*transmit)(void *sink, u8 byte), void (*has_room)(void *sink), void *sink)
{
    *uart = (struct uart16550){
        .irq = irq,
        .transmit = transmit,
        .has_room = has_room,
        .sink = sink,
        .divisor = 12, /* 9600 baud, as a BIOS leaves it */
        .modem = UART_CTS | UART_DSR | UART_DCD,
    };
    timer_init(&uart->timeout, clock, timeout_fired, uart);
    uart_reset(uart);
}
