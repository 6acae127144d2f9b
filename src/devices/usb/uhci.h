/*
 * The USB host controller of Intel's PIIX3 (82371SB datasheet; UHCI Design Guide 1.1) with its two ports. uhci.c has
 * the registers and the ports, uhci_schedule.c runs the schedule that the driver builds in memory.
 *
 *   00h USBCMD   7 64-byte packets at the frame's end | 6 configured | 4 force resume | 3 suspend | 2 bus reset |
 *                1 reset | 0 run
 *   02h USBSTS   5 halted | 4 process error | 3 system error | 2 resume | 1 error | 0 interrupt
 *                (0 to 4: write 1 to clear)
 *   04h USBINTR  3 short packet | 2 on completion | 1 resume | 0 error
 *   06h FRNUM    number of the frame, 11 bits
 *   08h FLBASE   the list of 1024 frames, a page
 *   0Ch SOFMOD
 *   10h PORTSC   for each port: 12 suspend | 9 reset | 6 resume | 5-4 lines | 3 enable changed | 2 enabled |
 *                1 connect changed | 0 connected
 *
 * Time. A frame is 1 ms long. The driver adds work by writing to memory, of which the controller hears nothing, so it
 * has to look. While transfers complete it looks after every frame. After IDLE_FRAMES frames without any it looks every
 * SLOW_FRAMES frames, and then runs all these frames one after the other, because work may be at any number. A device
 * that has data ends the slow pace at once (usb_device.wake), and so does a write to a register. A controller that is
 * stopped or suspended has no timer.
 *
 * Invariants: 1. A frame moves at most FRAME_BYTES and visits at most FRAME_VISITS elements, whatever the schedule
 * looks like.
 * 2. More than FRAMES_LATE frames that are overdue are left out.
 */
#ifndef RINGER_DEVICES_USB_UHCI_H
#define RINGER_DEVICES_USB_UHCI_H

#include "devices/pci/pci_bus.h"
#include "usb_device.h"

#define UHCI_PORTS    2
#define UHCI_FRAME_NS 1000000ull
#define UHCI_FRAME_BYTES                                                                                     \
    (8u << 10) /* the wire has time for 1,280: more makes transfers faster, and no driver knows */
#define UHCI_FRAME_VISITS 1024u
#define UHCI_IDLE_FRAMES  50u
#define UHCI_SLOW_FRAMES  16u
#define UHCI_FRAMES_LATE  64u

enum {
    UHCI_RUN = 1 << 0,
    UHCI_RESET = 1 << 1,
    UHCI_BUS_RESET = 1 << 2,
    UHCI_SUSPEND = 1 << 3,
    UHCI_FORCE_RESUME = 1 << 4
};
enum {
    UHCI_STATUS_INTERRUPT = 1 << 0,
    UHCI_STATUS_ERROR = 1 << 1,
    UHCI_STATUS_RESUME = 1 << 2,
    UHCI_STATUS_SYSTEM_ERROR = 1 << 3,
    UHCI_STATUS_PROCESS_ERROR = 1 << 4,
    UHCI_STATUS_HALTED = 1 << 5,
};
enum {
    UHCI_PORT_CONNECTED = 1 << 0,
    UHCI_PORT_CONNECT_CHANGED = 1 << 1,
    UHCI_PORT_ENABLED = 1 << 2,
    UHCI_PORT_ENABLE_CHANGED = 1 << 3,
    UHCI_PORT_RESUME = 1 << 6,
    UHCI_PORT_ONE = 1 << 7, /* always 1, so that drivers can count the ports */
    UHCI_PORT_RESET = 1 << 9,
    UHCI_PORT_SUSPENDED = 1 << 12,
};

struct uhci {
    struct pci_device pci; /* first */
    struct dma dma;
    struct timer timer;
    u16 command, status, enable, frame;
    u8 sof;
    u32 base;
    bool completed, was_short; /* the two causes of UHCI_STATUS_INTERRUPT, which USBINTR enables one by one */
    struct uhci_port {
        struct uhci *uhci;
        struct usb_device *device; /* NULL: nothing is plugged in */
        u16 status;
    } port[UHCI_PORTS];
    u64 due_ns; /* while it runs: the end of the frame `frame` */
    u32 idle;   /* frames without a transfer */
};

void uhci_init(struct uhci *uhci, struct pci_bus *bus, u8 devfn, const struct dma *dma, struct clock *clock);
/* The reset line. */
void uhci_reset(void *device);
/* Plug a device in. Returns the number of the port, from 0, or -1: there is none left. */
int uhci_plug(struct uhci *uhci, struct usb_device *device);

/* --- uhci_schedule.c --- */

/* Run the frame with that number. Returns whether anything moved. */
bool uhci_run_frame(struct uhci *uhci, u16 frame);

/* --- uhci.c, for the schedule --- */

/* The device with that address on an enabled port, or NULL. */
struct usb_device *uhci_find(struct uhci *uhci, u8 address);

#endif
