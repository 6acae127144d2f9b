/*
 * The registers and ports of the UHCI. See uhci.h.
 */
#include "uhci.h"

#define INTEL      0x8086
#define PIIX3_USB  0x7020
#define CLASS_UHCI 0x0c0300u
#define BAR        4
#define BAR_BYTES  32

enum { CONFIG_RELEASE = 0x60, CONFIG_LEGACY = 0xc0 };
enum { RELEASE_1_0 = 0x10, LEGACY_HIGH_DEFAULT = 0x20, LEGACY_LOW_WRITABLE = 0xbf };
enum {
    USBCMD = 0x00,
    USBSTS = 0x02,
    USBINTR = 0x04,
    FRNUM = 0x06,
    FLBASE = 0x08,
    SOFMOD = 0x0c,
    PORTSC = 0x10
};
enum { COMMAND_WRITABLE = 0xff & ~UHCI_RESET, STATUS_CLEARED = 0x1f, INTERRUPTS = 0x0f, FRAME_MASK = 0x7ff };
enum { ENABLE_ERROR = 1, ENABLE_RESUME = 2, ENABLE_COMPLETED = 4, ENABLE_SHORT = 8 };
enum { PORT_CHANGES = UHCI_PORT_CONNECT_CHANGED | UHCI_PORT_ENABLE_CHANGED };
enum { PORT_WRITABLE = UHCI_PORT_ENABLED | UHCI_PORT_RESUME | UHCI_PORT_RESET | UHCI_PORT_SUSPENDED };
enum {
    PORT_LINES_IDLE = 1 << 4,
    PORT_LINES_RESUME = 1 << 5
}; /* D+ or D- is up; J and K of a full-speed device */
enum { SOF_DEFAULT = 64 };

static bool is_running(const struct uhci *u)
{
    return (u->command & UHCI_RUN) && !(u->command & (UHCI_SUSPEND | UHCI_BUS_RESET));
}

static void update_interrupt(struct uhci *u)
{
    bool up = (u->completed && (u->enable & ENABLE_COMPLETED)) ||
              (u->was_short && (u->enable & ENABLE_SHORT)) ||
              ((u->status & UHCI_STATUS_ERROR) && (u->enable & ENABLE_ERROR)) ||
              ((u->status & UHCI_STATUS_RESUME) && (u->enable & ENABLE_RESUME)) ||
              (u->status & (UHCI_STATUS_SYSTEM_ERROR | UHCI_STATUS_PROCESS_ERROR));
    pci_set_interrupt(&u->pci, up);
}

/* --- time --- */

static void schedule(struct uhci *u)
{
    u64 later = u->idle > UHCI_IDLE_FRAMES ? (UHCI_SLOW_FRAMES - 1) * UHCI_FRAME_NS : 0;
    timer_arm(&u->timer, u->due_ns + later);
}

/* Look again soon. */
static void hurry(struct uhci *u)
{
    u->idle = 0;
    if (is_running(u)) schedule(u);
}

static void run_frames(void *device)
{
    struct uhci *u = device;
    u64 now = clock_now(u->timer.clock);
    u64 count = now < u->due_ns ? 0 : (now - u->due_ns) / UHCI_FRAME_NS + 1;
    if (count > UHCI_FRAMES_LATE) {
        u->frame = (u16)((u->frame + (count - UHCI_FRAMES_LATE)) & FRAME_MASK);
        u->due_ns += (count - UHCI_FRAMES_LATE) * UHCI_FRAME_NS;
        count = UHCI_FRAMES_LATE;
    }
    for (; count && is_running(u); count--) {
        bool moved = pci_is_master(&u->pci) && uhci_run_frame(u, u->frame);
        u->idle = moved ? 0 : u->idle + (u->idle <= UHCI_IDLE_FRAMES);
        u->frame = (u->frame + 1) & FRAME_MASK;
        u->due_ns += UHCI_FRAME_NS;
    }
    update_interrupt(u);
    if (is_running(u)) schedule(u);
}

/* The frame that is on the wire: those that are overdue have been. */
static u16 current_frame(const struct uhci *u)
{
    u64 now = clock_now(u->timer.clock);
    u64 passed = is_running(u) && now >= u->due_ns ? (now - u->due_ns) / UHCI_FRAME_NS + 1 : 0;
    return (u16)((u->frame + passed) & FRAME_MASK);
}

static void set_command(struct uhci *u, u16 command)
{
    bool was = is_running(u);
    u16 frame = current_frame(u);
    u->command = command;
    if (is_running(u) == was) return;
    u->frame = frame;
    if (was) {
        timer_cancel(&u->timer);
        u->status |= UHCI_STATUS_HALTED;
    } else {
        u->status &= (u16)~UHCI_STATUS_HALTED;
        u->due_ns = clock_now(u->timer.clock) + UHCI_FRAME_NS;
        hurry(u);
    }
}

/* --- ports --- */

static bool is_reachable(const struct uhci_port *port)
{
    return port->device && (port->status & UHCI_PORT_ENABLED) &&
           !(port->status & (UHCI_PORT_RESET | UHCI_PORT_SUSPENDED));
}

struct usb_device *uhci_find(struct uhci *u, u8 address)
{
    for (unsigned n = 0; n < UHCI_PORTS; n++)
        if (is_reachable(&u->port[n]) && u->port[n].device->address == address) return u->port[n].device;
    return NULL;
}

/* A device has data. On a suspended port, or on a suspended bus, it may wake the host (USB 1.1, 7.1.7.5). The
 * controller says so in its own registers only while the bus is suspended: it goes on with the resume signal then,
 * which the driver ends (UHCI 1.1, 2.1.1, 2.1.2). */
static void device_wakes(void *owner)
{
    struct uhci_port *port = owner;
    struct uhci *u = port->uhci;
    bool asleep = u->command & UHCI_SUSPEND, sleeps = asleep || (port->status & UHCI_PORT_SUSPENDED);
    if (!sleeps) {
        hurry(u);
    } else if (port->device->may_wake && (port->status & UHCI_PORT_ENABLED)) {
        port->status |= UHCI_PORT_RESUME;
        if (!asleep) return;
        u->command |= UHCI_FORCE_RESUME;
        u->status |= UHCI_STATUS_RESUME;
        update_interrupt(u);
    }
}

static void write_port(struct uhci_port *port, u16 value)
{
    u16 kept = (u16)(port->status & ~PORT_WRITABLE & ~(value & PORT_CHANGES));
    bool resets = (value & UHCI_PORT_RESET) && !(port->status & UHCI_PORT_RESET);
    port->status = (u16)(kept | (value & PORT_WRITABLE));
    if (!port->device || (port->status & UHCI_PORT_RESET)) port->status &= (u16)~UHCI_PORT_ENABLED;
    if (!(port->status & UHCI_PORT_RESET)) return;
    port->status &= (u16) ~(UHCI_PORT_SUSPENDED | UHCI_PORT_RESUME);
    if (resets && port->device) usb_device_reset(port->device);
}

static u16 read_port(const struct uhci_port *port)
{
    bool resumes = (port->status & UHCI_PORT_RESUME) &&
                   ((port->status & UHCI_PORT_SUSPENDED) || (port->uhci->command & UHCI_SUSPEND));
    u16 lines = !port->device ? 0 : resumes ? PORT_LINES_RESUME : PORT_LINES_IDLE;
    return (u16)(port->status | UHCI_PORT_ONE | lines);
}

/* As after power-on: a device that is there has just been plugged in. */
static void reset_ports(struct uhci *u)
{
    for (unsigned n = 0; n < UHCI_PORTS; n++) {
        struct uhci_port *port = &u->port[n];
        port->status = port->device ? UHCI_PORT_CONNECTED | UHCI_PORT_CONNECT_CHANGED : 0;
        if (port->device) usb_device_reset(port->device);
    }
}

int uhci_plug(struct uhci *u, struct usb_device *device)
{
    for (int n = 0; n < UHCI_PORTS; n++) {
        struct uhci_port *port = &u->port[n];
        if (port->device) continue;
        port->device = device;
        device->wake = device_wakes;
        device->port = port;
        port->status |= UHCI_PORT_CONNECTED | UHCI_PORT_CONNECT_CHANGED;
        return n;
    }
    return -1;
}

/* --- registers --- */

static void reset_registers(struct uhci *u)
{
    timer_cancel(&u->timer);
    u->command = u->enable = u->frame = 0;
    u->status = UHCI_STATUS_HALTED;
    u->base = u->idle = 0;
    u->sof = SOF_DEFAULT;
    u->completed = u->was_short = false;
    reset_ports(u);
    update_interrupt(u);
}

static void write_command(struct uhci *u, u16 value)
{
    if (value & UHCI_RESET) { /* clears itself */
        reset_registers(u);
        return;
    }
    bool bus_reset = (value & UHCI_BUS_RESET) && !(u->command & UHCI_BUS_RESET);
    set_command(u, value & COMMAND_WRITABLE);
    if (bus_reset) reset_ports(u);
}

static u16 read_register(const struct uhci *u, u32 offset)
{
    switch (offset) {
    case USBCMD: return u->command;
    case USBSTS: return u->status;
    case USBINTR: return u->enable;
    case FRNUM: return current_frame(u);
    case FLBASE: return (u16)u->base;
    case FLBASE + 2: return (u16)(u->base >> 16);
    case SOFMOD: return u->sof;
    default: break;
    }
    unsigned port = (offset - PORTSC) / 2;
    return offset >= PORTSC && port < UHCI_PORTS ? read_port(&u->port[port]) : 0;
}

static void write_register(struct uhci *u, u32 offset, u16 value)
{
    unsigned port = (offset - PORTSC) / 2;
    switch (offset) {
    case USBCMD: write_command(u, value); break;
    case USBSTS:
        u->status &= (u16) ~(value & STATUS_CLEARED);
        if (value & UHCI_STATUS_INTERRUPT) u->completed = u->was_short = false;
        break;
    case USBINTR: u->enable = value & INTERRUPTS; break;
    case FRNUM:
        if (!is_running(u)) u->frame = value & FRAME_MASK;
        break;
    case FLBASE: u->base = (u->base & 0xffff0000) | (value & 0xf000); break;
    case FLBASE + 2: u->base = (u->base & 0xffff) | (u32)value << 16; break;
    case SOFMOD: u->sof = value & 0x7f; break;
    default:
        if (offset >= PORTSC && port < UHCI_PORTS) write_port(&u->port[port], value);
        break;
    }
    update_interrupt(u);
    hurry(u);
}

static u32 read(void *device, u32 offset, unsigned size)
{
    u16 value = read_register(device, offset & ~1u);
    return size == 1 && (offset & 1) ? value >> 8 : value & (size == 1 ? 0xffu : 0xffffu);
}

/* Bits of a register that a write of its other byte leaves alone. */
static u16 untouched(struct uhci *u, u32 offset)
{
    u16 value = read_register(u, offset);
    if (offset == USBSTS) return 0;
    return offset >= PORTSC ? (u16)(value & ~PORT_CHANGES) : value;
}

static void write(void *device, u32 offset, unsigned size, u32 value)
{
    struct uhci *u = device;
    u32 at = offset & ~1u;
    if (size == 1)
        value = offset & 1 ? (untouched(u, at) & 0xffu) | value << 8
                           : (untouched(u, at) & 0xff00u) | (value & 0xff);
    write_register(u, at, (u16)value);
}

static const struct io_ops ops = {read, write};

/* --- set-up --- */

void uhci_reset(void *device)
{
    struct uhci *u = device;
    pci_device_reset(&u->pci);
    u->pci.config[CONFIG_LEGACY] = 0;
    u->pci.config[CONFIG_LEGACY + 1] = LEGACY_HIGH_DEFAULT;
    reset_registers(u);
}

void uhci_init(struct uhci *u, struct pci_bus *bus, u8 devfn, const struct dma *dma, struct clock *clock)
{
    *u = (struct uhci){.dma = *dma};
    for (unsigned n = 0; n < UHCI_PORTS; n++)
        u->port[n].uhci = u;
    timer_init(&u->timer, clock, run_frames, u);
    pci_device_init(&u->pci, bus, devfn, INTEL, PIIX3_USB, CLASS_UHCI);
    pci_interrupt_pin(&u->pci, 4); /* 82371SB, USB INTPN: PIRQD# */
    pci_bar_ports(&u->pci, BAR, BAR_BYTES, 2, &ops, u);
    u->pci.config[CONFIG_RELEASE] = RELEASE_1_0;
    u->pci.writable[CONFIG_LEGACY] = LEGACY_LOW_WRITABLE;
    u->pci.writable[CONFIG_LEGACY + 1] = LEGACY_HIGH_DEFAULT;
    uhci_reset(u);
}
