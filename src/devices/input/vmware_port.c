/*
 * VMware's backdoor. See vmware_port.h.
 */
#include "vmware_port.h"

#include "ps2_mouse.h"

#define MAGIC             0x564d5868u
#define INTERFACE_VERSION 6
#define PRODUCT_SERVER    2
#define POINTER_VERSION   0x3442554au
#define UNKNOWN           0xffffffffu

enum command {
    COMMAND_VERSION = 10,
    COMMAND_POINTER_DATA = 39,
    COMMAND_POINTER_STATUS = 40,
    COMMAND_POINTER = 41,
    COMMAND_POINTER_RESTRICT = 86,
};

/* EBX of COMMAND_POINTER */
enum pointer_command {
    POINTER_DISABLE = 0xf5,
    POINTER_ENABLE = 0x45414552,
    POINTER_RELATIVE = 0x4c455252,
    POINTER_ABSOLUTE = 0x53424152,
};

#define STATUS_ERROR 0xffff0000u

/* The first word of an event. */
enum event_word {
    EVENT_MIDDLE = 0x08,
    EVENT_RIGHT = 0x10,
    EVENT_LEFT = 0x20,
    EVENT_RELATIVE = 0x10000,
};

static void put(struct vmware_port *port, u32 word)
{
    port->word[(port->head + port->count++) % VMWARE_QUEUE_WORDS] = word;
}

static u32 take(struct vmware_port *port)
{
    u32 word = port->word[port->head];
    port->head = (port->head + 1) % VMWARE_QUEUE_WORDS;
    port->count--;
    return word;
}

static void set_absolute(struct vmware_port *port, bool on)
{
    bool changed = port->absolute != on;
    port->absolute = on;
    if (changed && port->wiring.absolute) port->wiring.absolute(port->wiring.machine, on);
}

static void disable(struct vmware_port *port)
{
    port->enabled = false;
    port->head = port->count = 0;
    set_absolute(port, false);
}

static void pointer_command(struct vmware_port *port, u32 command)
{
    switch (command) {
    case POINTER_ENABLE:
        port->enabled = true;
        port->head = port->count = 0;
        put(port, POINTER_VERSION);
        break;
    case POINTER_DISABLE: disable(port); break;
    case POINTER_ABSOLUTE: set_absolute(port, port->enabled); break;
    case POINTER_RELATIVE: set_absolute(port, false); break;
    default: break;
    }
}

static u32 pointer_status(const struct vmware_port *port)
{
    return (port->enabled ? 0 : STATUS_ERROR) | port->count;
}

/* Give words of the queue. A driver that asks for a wrong number is out of step, and must enable the pointer again. */
static u32 pointer_data(struct vmware_port *port, u32 words)
{
    const struct vmware_port_wiring *w = &port->wiring;
    if (!words || words > VMWARE_EVENT_WORDS || words > port->count) {
        disable(port);
        return UNKNOWN;
    }
    u32 first = take(port);
    for (u32 n = 1; n < words; n++)
        w->set(w->machine, (enum vmware_register)n, take(port));
    return first;
}

static u32 port_read(void *device, u32 offset, unsigned size)
{
    struct vmware_port *port = device;
    const struct vmware_port_wiring *w = &port->wiring;
    if (offset || size != 4 || w->get(w->machine, VMWARE_EAX) != MAGIC) return UNKNOWN;
    u32 argument = w->get(w->machine, VMWARE_EBX);
    switch (w->get(w->machine, VMWARE_ECX) & 0xffff) {
    case COMMAND_VERSION:
        w->set(w->machine, VMWARE_EBX, MAGIC);
        w->set(w->machine, VMWARE_ECX, PRODUCT_SERVER);
        return INTERFACE_VERSION;
    case COMMAND_POINTER_DATA: return pointer_data(port, argument);
    case COMMAND_POINTER_STATUS: return pointer_status(port);
    case COMMAND_POINTER: pointer_command(port, argument); return 0;
    case COMMAND_POINTER_RESTRICT: return 0;
    default: return UNKNOWN;
    }
}

/* The protocol also has an OUT form of the same commands, which no known driver uses. */
static void port_write(void *device, u32 offset, unsigned size, u32 value) {}

const struct io_ops vmware_port_ops = {port_read, port_write};

static u32 held(u8 buttons)
{
    return (buttons & PS2_BUTTON_LEFT ? EVENT_LEFT : 0) | (buttons & PS2_BUTTON_RIGHT ? EVENT_RIGHT : 0) |
           (buttons & PS2_BUTTON_MIDDLE ? EVENT_MIDDLE : 0);
}

static u32 *queued(struct vmware_port *port, unsigned n)
{
    return &port->word[(port->head + n) % VMWARE_QUEUE_WORDS];
}

/* Two plain movements of the same kind, of which no word was fetched yet, become one. */
static bool move_on(struct vmware_port *port, u32 first, u32 x, u32 y)
{
    if (port->count < VMWARE_EVENT_WORDS) return false;
    unsigned last = port->count - VMWARE_EVENT_WORDS;
    if (*queued(port, last) != first || *queued(port, last + 3)) return false;
    bool sum = first & EVENT_RELATIVE;
    *queued(port, last + 1) = sum ? *queued(port, last + 1) + x : x;
    *queued(port, last + 2) = sum ? *queued(port, last + 2) + y : y;
    return true;
}

static void event(struct vmware_port *port, u32 first, u32 x, u32 y, int wheel)
{
    if (wheel || !move_on(port, first, x, y)) {
        if (port->count > VMWARE_QUEUE_WORDS - VMWARE_EVENT_WORDS) return;
        put(port, first);
        put(port, x);
        put(port, y);
        put(port, (u32)wheel);
    }
    if (port->wiring.nudge) port->wiring.nudge(port->wiring.machine);
}

bool vmware_port_point(struct vmware_port *port, u16 x, u16 y, int wheel, u8 buttons)
{
    if (!port->absolute) return false;
    event(port, held(buttons), x, y, wheel);
    return true;
}

bool vmware_port_move(struct vmware_port *port, int right, int down, int wheel, u8 buttons)
{
    if (!port->absolute) return false;
    event(port, held(buttons) | EVENT_RELATIVE, (u32)right, 0 - (u32)down, wheel);
    return true;
}

void vmware_port_reset(struct vmware_port *port)
{
    disable(port);
}

void vmware_port_init(struct vmware_port *port, const struct vmware_port_wiring *wiring)
{
    *port = (struct vmware_port){.wiring = *wiring};
}
