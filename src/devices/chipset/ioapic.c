/*
 * The 82093AA. See ioapic.h. Register names are those of the datasheet.
 */
#include "ioapic.h"

#include <assert.h>

enum { IOREGSEL = 0x00, IOWIN = 0x10 };
enum { IOAPICID = 0, IOAPICVER = 1, IOAPICARB = 2, IOREDTBL = 0x10 };

#define VERSION     (0x11 | (IOAPIC_PINS - 1) << 16)
#define ID_WRITABLE 0x0f000000u
#define ENTRY_WRITABLE                                                                                       \
    (0xffull << 56 | APIC_MASKED | APIC_LEVEL | APIC_ACTIVE_LOW | APIC_LOGICAL | APIC_DELIVERY | APIC_VECTOR)

static unsigned delivery_of(u64 entry)
{
    return (unsigned)(entry & APIC_DELIVERY) >> APIC_DELIVERY_SHIFT;
}

/* "SMI, NMI, INIT and ExtINT: edge", whatever bit 15 says. */
static bool level_triggered(u64 entry)
{
    return (entry & APIC_LEVEL) && delivery_of(entry) <= APIC_LOWEST_PRIORITY;
}

static bool active(const struct ioapic *ioapic, unsigned pin)
{
    return (ioapic->lines >> pin & 1) != !!(ioapic->entry[pin] & APIC_ACTIVE_LOW);
}

static void service(struct ioapic *ioapic, unsigned pin)
{
    u64 *entry = &ioapic->entry[pin];
    bool level = level_triggered(*entry);
    if (*entry & APIC_MASKED) return;
    if (level ? !active(ioapic, pin) || (*entry & APIC_REMOTE_IRR) : !(ioapic->edges & 1u << pin)) return;
    struct apic_message message = {.vector = (u8)*entry,
                                   .delivery = (u8)delivery_of(*entry),
                                   .destination = (u8)(*entry >> 56),
                                   .logical = *entry & APIC_LOGICAL,
                                   .level = level};
    if (!ioapic->send(ioapic->bus, &message)) return;
    if (level)
        *entry |= APIC_REMOTE_IRR;
    else
        ioapic->edges &= ~(1u << pin);
}

static void pin_changed(void *receiver, unsigned pin, bool level)
{
    struct ioapic *ioapic = receiver;
    u32 bit = 1u << pin;
    if (!!(ioapic->lines & bit) == level) return;
    ioapic->lines ^= bit;
    u64 entry = ioapic->entry[pin];
    if ((entry & APIC_MASKED) || !active(ioapic, pin)) return;
    if (!level_triggered(entry)) ioapic->edges |= bit;
    service(ioapic, pin);
}

struct irq_line ioapic_pin(struct ioapic *ioapic, unsigned pin)
{
    assert(pin < IOAPIC_PINS);
    return (struct irq_line){.set = pin_changed, .receiver = ioapic, .pin = pin};
}

void ioapic_eoi(struct ioapic *ioapic, u8 vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        u64 *entry = &ioapic->entry[pin];
        if (!(*entry & APIC_REMOTE_IRR) || (*entry & APIC_VECTOR) != vector) continue;
        *entry &= ~(u64)APIC_REMOTE_IRR;
        service(ioapic, pin);
    }
}

void ioapic_retry(struct ioapic *ioapic)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        service(ioapic, pin);
}

bool ioapic_has_nmi(const struct ioapic *ioapic)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        if (!(ioapic->entry[pin] & APIC_MASKED) && delivery_of(ioapic->entry[pin]) == APIC_NMI) return true;
    return false;
}

/* --- registers --- */

static u32 read_entry(const struct ioapic *ioapic, unsigned n)
{
    unsigned pin = n / 2;
    u64 entry = ioapic->entry[pin];
    if (ioapic->edges & 1u << pin) entry |= APIC_SEND_PENDING;
    return (u32)(entry >> (n % 2 * 32));
}

static void write_entry(struct ioapic *ioapic, unsigned n, u32 value)
{
    unsigned pin = n / 2, shift = n % 2 * 32;
    u64 *entry = &ioapic->entry[pin], written = ENTRY_WRITABLE & 0xffffffffull << shift;
    *entry = (*entry & ~written) | ((u64)value << shift & written);
    /* An edge has no remote IRR, and a level no edge. */
    if (level_triggered(*entry))
        ioapic->edges &= ~(1u << pin);
    else
        *entry &= ~(u64)APIC_REMOTE_IRR;
    service(ioapic, pin);
}

static u32 window_read(void *device, u32 offset, unsigned size)
{
    const struct ioapic *ioapic = device;
    u32 value = 0;
    if (offset >> 2 == IOREGSEL >> 2) {
        value = ioapic->select;
    } else if (offset >> 2 != IOWIN >> 2) {
        return 0;
    } else if (ioapic->select == IOAPICID || ioapic->select == IOAPICARB) {
        value = ioapic->id;
    } else if (ioapic->select == IOAPICVER) {
        value = VERSION;
    } else if (ioapic->select - IOREDTBL < 2 * IOAPIC_PINS) {
        value = read_entry(ioapic, ioapic->select - IOREDTBL);
    }
    return value >> (8 * (offset & 3));
}

static void window_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct ioapic *ioapic = device;
    if (offset == IOREGSEL) {
        ioapic->select = value & 0xff;
    } else if (offset != IOWIN || size != 4) {
        return;
    } else if (ioapic->select == IOAPICID) {
        ioapic->id = value & ID_WRITABLE;
    } else if (ioapic->select - IOREDTBL < 2 * IOAPIC_PINS) {
        write_entry(ioapic, ioapic->select - IOREDTBL, value);
    }
}

const struct io_ops ioapic_ops = {window_read, window_write};

void ioapic_reset(struct ioapic *ioapic)
{
    ioapic->select = ioapic->id = 0;
    ioapic->edges = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        ioapic->entry[pin] = APIC_MASKED;
}

void ioapic_set_idle_high(struct ioapic *ioapic, u32 pins)
{
    ioapic->lines |= pins;
}

void ioapic_init(struct ioapic *ioapic, bool (*send)(void *bus, const struct apic_message *message),
                 void *bus)
{
    *ioapic = (struct ioapic){.send = send, .bus = bus};
    ioapic_reset(ioapic);
}
