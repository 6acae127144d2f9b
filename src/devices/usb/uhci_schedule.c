/*
 * The schedule of the UHCI (Design Guide, chapter 3): what a frame's entry in the list leads to.
 *
 *   pointer       31-4 address | 2 depth first (in a TD) | 1 a queue head, otherwise a TD | 0 end
 *   queue head    +0 the next one beside it (head) | +4 its first TD (element), which the controller moves on
 *   TD            +0 link
 *                 +4 29 short packet ends the queue's turn | 28-27 errors left | 25 isochronous | 24 interrupt |
 *                    23 active | 22 stalled | 21 buffer error | 20 babble | 19 NAK | 18 timeout | 10-0 bytes moved - 1
 *                 +8 31-21 bytes - 1 | 18-15 endpoint | 14-8 address | 7-0 PID
 *                 +12 buffer
 */
#include "uhci.h"

#include <assert.h>

enum { POINTER_END = 1, POINTER_QUEUE = 2, POINTER_DEPTH = 4 };
#define POINTER_ADDRESS 0xfffffff0u
#define TD_SHORT_ENDS   (1u << 29)
#define TD_ERRORS_SHIFT 27
#define TD_ERRORS       (3u << TD_ERRORS_SHIFT)
#define TD_ISOCHRONOUS  (1u << 25)
#define TD_INTERRUPT    (1u << 24)
#define TD_ACTIVE       (1u << 23)
#define TD_STALLED      (1u << 22)
#define TD_BABBLE       (1u << 20)
#define TD_NAK          (1u << 19)
#define TD_TIMEOUT      (1u << 18)
#define TD_FAULTS       0x7e0000u /* stalled to bit stuffing */
#define LENGTH_MASK     0x7ffu
#define LENGTH_MOST     0x500u
#define ADDRESS_MASK    0x7f
#define ENDPOINT_MASK   0x0f

struct td {
    u32 at, link, status, token, buffer;
};

/* The way through one frame. */
struct walk {
    struct uhci *uhci;
    u32 bytes_left, visits_left;
    bool moved;
    /* Brent's algorithm: a queue head that was visited; the mark moves on after 1, 2, 4 ... queue heads. */
    u32 mark, steps, stride;
};

/* What comes after a TD. */
enum next {
    NEXT_TD,    /* it is done: the queue moves on */
    NEXT_QUEUE, /* the queue stays where it is */
    NEXT_FRAME,
};

static u32 get32(struct uhci *u, u32 gpa)
{
    u8 bytes[4];
    u->dma.read(u->dma.memory, gpa, bytes, sizeof(bytes));
    return pci_get32(bytes);
}

static void put32(struct uhci *u, u32 gpa, u32 value)
{
    u8 bytes[4];
    pci_put32(bytes, value);
    u->dma.write(u->dma.memory, gpa, bytes, sizeof(bytes));
}

static void read_td(struct uhci *u, u32 pointer, struct td *td)
{
    u8 bytes[16];
    td->at = pointer & POINTER_ADDRESS;
    u->dma.read(u->dma.memory, td->at, bytes, sizeof(bytes));
    td->link = pci_get32(bytes);
    td->status = pci_get32(bytes + 4);
    td->token = pci_get32(bytes + 8);
    td->buffer = pci_get32(bytes + 12);
}

/* --- a transaction --- */

static void set_status(struct uhci *u, struct td *td, u32 status)
{
    if (status == td->status) return;
    put32(u, td->at + 4, status);
    td->status = status;
}

/* The TD has ended for good, well or not. */
static void retire(struct walk *w, struct td *td, u32 status)
{
    set_status(w->uhci, td, status & ~TD_ACTIVE);
    if (td->status & TD_INTERRUPT) w->uhci->completed = true;
    w->moved = true;
}

/* It failed once (Design Guide 3.2.2): it is tried again in the next frame, as often as it says; 0 means for ever. */
static enum next no_answer(struct walk *w, struct td *td)
{
    u32 left = (td->status & TD_ERRORS) >> TD_ERRORS_SHIFT;
    u32 status = (td->status & ~TD_ERRORS) | TD_TIMEOUT;
    if (left > 1) {
        set_status(w->uhci, td, status | (left - 1) << TD_ERRORS_SHIFT);
    } else if (left) {
        w->uhci->status |= UHCI_STATUS_ERROR;
        retire(w, td, status | TD_STALLED);
    } else {
        set_status(w->uhci, td, status);
    }
    return NEXT_QUEUE;
}

static enum next refused(struct walk *w, struct td *td, u32 why)
{
    w->uhci->status |= UHCI_STATUS_ERROR;
    retire(w, td, td->status | why | TD_STALLED);
    return NEXT_QUEUE;
}

static enum next succeeded(struct walk *w, struct td *td, u32 moved, u32 wanted)
{
    bool ends = (td->token & 0xff) == USB_PID_IN && moved < wanted && (td->status & TD_SHORT_ENDS);
    retire(w, td, (td->status & ~(TD_FAULTS | LENGTH_MASK)) | ((moved - 1) & LENGTH_MASK));
    if (ends) w->uhci->was_short = true;
    return ends ? NEXT_QUEUE : NEXT_TD;
}

/* A TD that no driver may write: the controller stops (Design Guide 2.1.2, "Host Controller Process Error"). */
static enum next process_error(struct walk *w)
{
    w->uhci->status |= UHCI_STATUS_PROCESS_ERROR | UHCI_STATUS_HALTED;
    w->uhci->command &= (u16)~UHCI_RUN;
    return NEXT_FRAME;
}

static enum next transact(struct walk *w, struct td *td)
{
    struct uhci *u = w->uhci;
    u8 data[LENGTH_MOST];
    u32 pid = td->token & 0xff, bytes = ((td->token >> 21) + 1) & LENGTH_MASK;
    bool in = pid == USB_PID_IN;
    static_assert(LENGTH_MOST >= USB_PACKET_MAX, "the longest packet of a device fits");
    if (bytes > LENGTH_MOST || (!in && pid != USB_PID_OUT && pid != USB_PID_SETUP)) return process_error(w);
    if (w->bytes_left < bytes) return NEXT_FRAME;
    struct usb_device *device = uhci_find(u, td->token >> 8 & ADDRESS_MASK);
    int answer = USB_NO_ANSWER;
    if (device) {
        if (!in && bytes) u->dma.read(u->dma.memory, td->buffer, data, bytes);
        answer = usb_transact(device, (enum usb_pid)pid, td->token >> 15 & ENDPOINT_MASK, data, bytes);
    }
    switch (answer) {
    case USB_NAK: set_status(u, td, td->status | TD_NAK); return NEXT_QUEUE;
    case USB_STALL: return refused(w, td, 0);
    case USB_NO_ANSWER: return no_answer(w, td);
    default: break;
    }
    u32 moved = (u32)answer;
    if (in && moved > bytes) return refused(w, td, TD_BABBLE);
    w->bytes_left -= moved;
    if (in && moved) u->dma.write(u->dma.memory, td->buffer, data, moved);
    return succeeded(w, td, moved, bytes);
}

static enum next run_td(struct walk *w, struct td *td)
{
    if (td->status & TD_ACTIVE) {
        enum next next = transact(w, td);
        /* Isochronous: once, whatever comes of it (3.2.2). */
        if (next != NEXT_FRAME && (td->status & TD_ISOCHRONOUS) && (td->status & TD_ACTIVE))
            retire(w, td, td->status);
        return next;
    }
    /* An inactive TD interrupts too (3.2.2, IOC): drivers use it to be called at the end of a frame. */
    if (td->status & TD_INTERRUPT) w->uhci->completed = true;
    return NEXT_QUEUE;
}

/* --- the way --- */

/* A queue. Returns the pointer to what comes after it. */
static u32 run_queue(struct walk *w, u32 pointer)
{
    u32 at = pointer & POINTER_ADDRESS;
    u32 head = get32(w->uhci, at), element = get32(w->uhci, at + 4);
    while (!(element & POINTER_END)) {
        struct td td;
        if (element & POINTER_QUEUE) return element;
        if (!w->visits_left) return POINTER_END;
        w->visits_left--;
        read_td(w->uhci, element, &td);
        enum next next = run_td(w, &td);
        if (next == NEXT_FRAME) return POINTER_END;
        if (next == NEXT_QUEUE) break;
        put32(w->uhci, at + 4, td.link);
        if (!(td.link & POINTER_DEPTH)) break;
        element = td.link;
    }
    return head;
}

/* Drivers close a ring of queue heads, so that queues have several turns a frame. A ring in which nothing moves ends
 * the frame. */
static bool is_idle_ring(struct walk *w, u32 pointer, bool moved_since)
{
    if (moved_since) w->stride = w->steps = 0;
    if (w->stride && pointer == w->mark) return true;
    if (w->steps++ >= w->stride) {
        w->mark = pointer;
        w->stride = w->stride ? w->stride * 2 : 1;
        w->steps = 0;
    }
    return false;
}

bool uhci_run_frame(struct uhci *u, u16 frame)
{
    struct walk w = {.uhci = u, .bytes_left = UHCI_FRAME_BYTES, .visits_left = UHCI_FRAME_VISITS};
    u32 pointer = get32(u, u->base + (frame & 1023u) * 4);
    bool completed = u->completed, was_short = u->was_short, any = false;
    for (; !(pointer & POINTER_END) && w.visits_left; w.visits_left--) {
        struct td td;
        if (pointer & POINTER_QUEUE) {
            bool moved = w.moved;
            w.moved = false;
            any |= moved;
            if (is_idle_ring(&w, pointer & POINTER_ADDRESS, moved)) break;
            pointer = run_queue(&w, pointer);
        } else {
            read_td(u, pointer, &td);
            if (run_td(&w, &td) == NEXT_FRAME) break;
            pointer = td.link;
        }
        if (!w.visits_left) break;
    }
    any |= w.moved;
    if (u->completed || u->was_short) u->status |= UHCI_STATUS_INTERRUPT;
    return any || u->completed != completed || u->was_short != was_short;
}
