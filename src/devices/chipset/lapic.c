/*
 * The local APIC: registers, messages it accepts, interrupts for the processor. See lapic.h.
 */
#include "lapic_private.h"

#include <assert.h>

#define VERSION (0x14 | (LAPIC_LVTS - 1) << 16)

enum { SVR_ENABLED = 1 << 8, SVR_WRITABLE = 0x3ff };
enum { FLAT_MODEL = 0xf };
enum {
    ESR_SENT_ILLEGAL_VECTOR = 1 << 5,
    ESR_RECEIVED_ILLEGAL_VECTOR = 1 << 6,
    ESR_ILLEGAL_REGISTER = 1 << 7,
};
enum { ICR_ASSERT = 1 << 14, ICR_SHORTHAND_SHIFT = 18 };
enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };
#define ICR_WRITABLE       0x000ccfff
#define FIRST_LEGAL_VECTOR 16
#define BROADCAST          0xff
#define LVT_OFFSET         0x32 /* in registers of 16 bytes */

/* --- sets of vectors --- */

static void set_vector(struct lapic_vectors *set, unsigned vector, bool on)
{
    u64 bit = 1ull << (vector & 63);
    set->word[vector / 64] = on ? set->word[vector / 64] | bit : set->word[vector / 64] & ~bit;
}

static bool has_vector(const struct lapic_vectors *set, unsigned vector)
{
    return set->word[vector / 64] >> (vector & 63) & 1;
}

/* -1: the set is empty. */
static int highest(const struct lapic_vectors *set)
{
    for (int n = 3; n >= 0; n--)
        if (set->word[n]) return 64 * n + 63 - __builtin_clzll(set->word[n]);
    return -1;
}

/* --- priorities (10.8.3) and the INTR output --- */

static unsigned class_of(int vector)
{
    return vector < 0 ? 0 : (unsigned)vector & 0xf0;
}

static u8 processor_priority(const struct lapic *lapic)
{
    unsigned serving = class_of(highest(&lapic->isr));
    return (lapic->tpr & 0xf0u) >= serving ? lapic->tpr : (u8)serving;
}

/* The interrupt that the processor must take next, or -1. */
static int deliverable(const struct lapic *lapic)
{
    int vector = highest(&lapic->irr);
    return class_of(vector) > (processor_priority(lapic) & 0xf0u) ? vector : -1;
}

static unsigned delivery_of(u32 entry)
{
    return (entry & APIC_DELIVERY) >> APIC_DELIVERY_SHIFT;
}

/* The level of LINT0 or LINT1 means a request. */
static bool pin_active(const struct lapic *lapic, unsigned pin)
{
    return lapic->pin[pin] != !!(lapic->lvt[LAPIC_LVT_LINT0 + pin] & APIC_ACTIVE_LOW);
}

static bool pin_is_extint(const struct lapic *lapic, unsigned pin)
{
    u32 entry = lapic->lvt[LAPIC_LVT_LINT0 + pin];
    return !(entry & APIC_MASKED) && delivery_of(entry) == APIC_EXTINT && pin_active(lapic, pin);
}

/* Recompute INTR. */
static void update(struct lapic *lapic)
{
    bool wanted = lapic->pin[0];
    if (lapic->enabled)
        wanted =
            lapic->extint || deliverable(lapic) >= 0 || pin_is_extint(lapic, 0) || pin_is_extint(lapic, 1);
    irq_set(&lapic->wiring.intr, wanted);
}

int lapic_acknowledge(struct lapic *lapic)
{
    if (!lapic->enabled) return LAPIC_EXTINT;
    int vector = deliverable(lapic);
    if (vector >= 0) {
        set_vector(&lapic->irr, (unsigned)vector, false);
        set_vector(&lapic->isr, (unsigned)vector, true);
    } else if (lapic->extint || pin_is_extint(lapic, 0) || pin_is_extint(lapic, 1)) {
        lapic->extint = false;
        vector = LAPIC_EXTINT;
    } else {
        vector = lapic->svr & APIC_VECTOR; /* spurious (10.9) */
    }
    update(lapic);
    return vector;
}

/* --- accepting interrupts --- */

static void error(struct lapic *lapic, u8 bit)
{
    if (lapic->errors & bit) return;
    lapic->errors |= bit;
    lapic_local_event(lapic, LAPIC_LVT_ERROR);
}

static bool accept_fixed(struct lapic *lapic, u8 vector, bool level)
{
    if (!(lapic->svr & SVR_ENABLED)) return false;
    if (vector < FIRST_LEGAL_VECTOR) {
        error(lapic, ESR_RECEIVED_ILLEGAL_VECTOR);
        return true;
    }
    set_vector(&lapic->irr, vector, true);
    set_vector(&lapic->tmr, vector, level);
    update(lapic);
    return true;
}

static bool accept(struct lapic *lapic, unsigned delivery, u8 vector, bool level)
{
    switch (delivery) {
    case APIC_FIXED:
    case APIC_LOWEST_PRIORITY: return accept_fixed(lapic, vector, level);
    case APIC_NMI: lapic->wiring.nmi(lapic->wiring.machine); return true;
    case APIC_INIT: lapic->wiring.init(lapic->wiring.machine); return true;
    case APIC_EXTINT:
        lapic->extint = true;
        update(lapic);
        return true;
    default: return true; /* SMI has no handler. A start-up message has no effect: the processor runs. */
    }
}

/* 10.6.2 */
static bool addressed(const struct lapic *lapic, const struct apic_message *message)
{
    u8 destination = message->destination;
    if (destination == BROADCAST) return true;
    if (!message->logical) return destination == lapic->id;
    u8 own = (u8)(lapic->ldr >> 24);
    if (lapic->dfr >> 28 == FLAT_MODEL) return destination & own;
    return destination >> 4 == own >> 4 && (destination & own & 15);
}

bool lapic_message(struct lapic *lapic, const struct apic_message *message)
{
    if (!lapic->enabled || !addressed(lapic, message)) return false;
    return accept(lapic, message->delivery, message->vector, message->level);
}

void lapic_local_event(struct lapic *lapic, enum lapic_lvt number)
{
    u32 entry = lapic->lvt[number];
    if (entry & APIC_MASKED) return;
    unsigned delivery =
        number == LAPIC_LVT_TIMER || number == LAPIC_LVT_ERROR ? APIC_FIXED : delivery_of(entry);
    accept(lapic, delivery, (u8)entry, false);
}

/* --- LINT0 and LINT1 --- */

/* A level-triggered fixed interrupt comes again at each EOI while the pin is active. */
static void check_level(struct lapic *lapic, unsigned pin)
{
    u32 *entry = &lapic->lvt[LAPIC_LVT_LINT0 + pin];
    bool level = delivery_of(*entry) == APIC_FIXED && (*entry & APIC_LEVEL);
    if (!level || (*entry & (APIC_MASKED | APIC_REMOTE_IRR)) || !pin_active(lapic, pin)) return;
    if (accept_fixed(lapic, (u8)*entry, true)) *entry |= APIC_REMOTE_IRR;
}

static void pin_rose(struct lapic *lapic, unsigned pin)
{
    u32 entry = lapic->lvt[LAPIC_LVT_LINT0 + pin];
    unsigned delivery = delivery_of(entry);
    if (delivery == APIC_EXTINT || (delivery == APIC_FIXED && (entry & APIC_LEVEL))) return;
    lapic_local_event(lapic, LAPIC_LVT_LINT0 + pin);
}

static void pin_changed(void *receiver, unsigned pin, bool level)
{
    struct lapic *lapic = receiver;
    if (level == lapic->pin[pin]) return;
    lapic->pin[pin] = level;
    if (!lapic->enabled) {
        if (pin == 1 && level) lapic->wiring.nmi(lapic->wiring.machine);
    } else if (pin_active(lapic, pin)) {
        pin_rose(lapic, pin);
        check_level(lapic, pin);
    }
    update(lapic);
}

struct irq_line lapic_pin(struct lapic *lapic, unsigned pin)
{
    assert(pin < 2);
    return (struct irq_line){.set = pin_changed, .receiver = lapic, .pin = pin};
}

bool lapic_lint0_is_nmi(const struct lapic *lapic)
{
    u32 entry = lapic->lvt[LAPIC_LVT_LINT0];
    return lapic->enabled && !(entry & APIC_MASKED) && delivery_of(entry) == APIC_NMI;
}

static void end_level(struct lapic *lapic, u8 vector)
{
    for (unsigned pin = 0; pin < 2; pin++) {
        u32 *entry = &lapic->lvt[LAPIC_LVT_LINT0 + pin];
        if (!(*entry & APIC_REMOTE_IRR) || (*entry & APIC_VECTOR) != vector) continue;
        *entry &= ~(u32)APIC_REMOTE_IRR;
        check_level(lapic, pin);
    }
}

/* --- registers: functions that read and write one; n is its index in the row --- */

static u32 read_id(struct lapic *lapic, unsigned n)
{
    return (u32)lapic->id << 24;
}
static void write_id(struct lapic *lapic, unsigned n, u32 value)
{
    lapic->id = (u8)(value >> 24);
    lapic->wiring.accepting(lapic->wiring.machine);
}

static u32 read_version(struct lapic *lapic, unsigned n)
{
    return VERSION;
}

u8 lapic_task_priority(const struct lapic *lapic)
{
    return lapic->tpr;
}
void lapic_set_task_priority(struct lapic *lapic, u8 priority)
{
    lapic->tpr = priority;
    update(lapic);
}

static u32 read_tpr(struct lapic *lapic, unsigned n)
{
    return lapic->tpr;
}
static void write_tpr(struct lapic *lapic, unsigned n, u32 value)
{
    lapic_set_task_priority(lapic, (u8)value);
}

/* Arbitration priority, of processors before the Pentium 4 (10.6.2.4). */
static u32 read_apr(struct lapic *lapic, unsigned n)
{
    unsigned task = lapic->tpr & 0xf0u, asking = class_of(highest(&lapic->irr)),
             serving = class_of(highest(&lapic->isr));
    if (task >= asking && task > serving) return lapic->tpr;
    return asking > serving ? asking : serving;
}

static u32 read_ppr(struct lapic *lapic, unsigned n)
{
    return processor_priority(lapic);
}

static u32 read_zero(struct lapic *lapic, unsigned n)
{
    return 0;
}
static void write_eoi(struct lapic *lapic, unsigned n, u32 value)
{
    int vector = highest(&lapic->isr);
    if (vector < 0) return;
    set_vector(&lapic->isr, (unsigned)vector, false);
    if (has_vector(&lapic->tmr, (unsigned)vector)) {
        end_level(lapic, (u8)vector);
        lapic->wiring.eoi(lapic->wiring.machine, (u8)vector);
    }
    update(lapic);
}

static u32 read_ldr(struct lapic *lapic, unsigned n)
{
    return lapic->ldr;
}
static void write_ldr(struct lapic *lapic, unsigned n, u32 value)
{
    lapic->ldr = value & 0xff000000;
    lapic->wiring.accepting(lapic->wiring.machine);
}

static u32 read_dfr(struct lapic *lapic, unsigned n)
{
    return lapic->dfr;
}
static void write_dfr(struct lapic *lapic, unsigned n, u32 value)
{
    lapic->dfr = value | 0x0fffffff;
    lapic->wiring.accepting(lapic->wiring.machine);
}

static u32 read_svr(struct lapic *lapic, unsigned n)
{
    return lapic->svr;
}
static void write_svr(struct lapic *lapic, unsigned n, u32 value)
{
    lapic->svr = value & SVR_WRITABLE;
    if (lapic->svr & SVR_ENABLED) {
        lapic->wiring.accepting(lapic->wiring.machine);
        return;
    }
    u32 timer = lapic->lvt[LAPIC_LVT_TIMER];
    for (unsigned entry = 0; entry < LAPIC_LVTS; entry++)
        lapic->lvt[entry] |= APIC_MASKED; /* 10.4.7.2 */
    lapic_timer_entry_written(lapic, timer);
    update(lapic);
}

static u32 word_of(const struct lapic_vectors *set, unsigned n)
{
    return (u32)(set->word[n / 2] >> (n % 2 * 32));
}
static u32 read_isr(struct lapic *lapic, unsigned n)
{
    return word_of(&lapic->isr, n);
}
static u32 read_tmr(struct lapic *lapic, unsigned n)
{
    return word_of(&lapic->tmr, n);
}
static u32 read_irr(struct lapic *lapic, unsigned n)
{
    return word_of(&lapic->irr, n);
}

static u32 read_esr(struct lapic *lapic, unsigned n)
{
    return lapic->esr;
}
/* A write of any value moves the errors since the last write into ESR (10.5.3). */
static void write_esr(struct lapic *lapic, unsigned n, u32 value)
{
    lapic->esr = lapic->errors;
    lapic->errors = 0;
}

static u32 read_icr(struct lapic *lapic, unsigned n)
{
    return lapic->icr[n];
}

/* Table 10-3: the shorthands "self" and "all including self" allow fixed interrupts only. INIT to self is invalid
 * there, but KVM and QEMU deliver it too, and guests restart the processor by it. */
static bool legal_shorthand(unsigned shorthand, unsigned delivery)
{
    bool self = shorthand == SHORTHAND_SELF || shorthand == SHORTHAND_ALL;
    return !self || delivery == APIC_FIXED || (shorthand == SHORTHAND_SELF && delivery == APIC_INIT) ||
           (shorthand == SHORTHAND_ALL && delivery == APIC_LOWEST_PRIORITY);
}

static void send(struct lapic *lapic)
{
    u32 command = lapic->icr[0];
    unsigned shorthand = command >> ICR_SHORTHAND_SHIFT & 3;
    struct apic_message message = {.vector = (u8)command,
                                   .delivery = (u8)delivery_of(command),
                                   .destination = (u8)(lapic->icr[1] >> 24),
                                   .logical = command & APIC_LOGICAL};
    bool fixed = message.delivery == APIC_FIXED || message.delivery == APIC_LOWEST_PRIORITY;
    if (fixed && message.vector < FIRST_LEGAL_VECTOR) {
        error(lapic, ESR_SENT_ILLEGAL_VECTOR);
        return;
    }
    if (shorthand == SHORTHAND_OTHERS || !legal_shorthand(shorthand, message.delivery)) return;
    /* INIT level de-assert only sets arbitration IDs, and this APIC has none. */
    if (message.delivery == APIC_INIT && (command & APIC_LEVEL) && !(command & ICR_ASSERT)) return;
    if (message.delivery == APIC_EXTINT) return;
    if (shorthand != SHORTHAND_NONE) message.destination = BROADCAST;
    lapic_message(lapic, &message);
}

static void write_icr(struct lapic *lapic, unsigned n, u32 value)
{
    lapic->icr[n] = value & (n ? 0xff000000 : ICR_WRITABLE);
    if (n == 0) send(lapic);
}

static u32 read_lvt(struct lapic *lapic, unsigned n)
{
    return lapic->lvt[n];
}

static u32 writable_of_lvt(const struct lapic *lapic, enum lapic_lvt entry)
{
    switch (entry) {
    case LAPIC_LVT_TIMER:
        return APIC_VECTOR | APIC_MASKED | (lapic->has_deadline ? LAPIC_TIMER_MODE : LAPIC_TIMER_PERIODIC);
    case LAPIC_LVT_ERROR: return APIC_VECTOR | APIC_MASKED;
    case LAPIC_LVT_LINT0:
    case LAPIC_LVT_LINT1: return APIC_VECTOR | APIC_DELIVERY | APIC_ACTIVE_LOW | APIC_LEVEL | APIC_MASKED;
    default: return APIC_VECTOR | APIC_DELIVERY | APIC_MASKED;
    }
}

static void write_lvt(struct lapic *lapic, unsigned n, u32 value)
{
    u32 before = lapic->lvt[n];
    value &= writable_of_lvt(lapic, n);
    if (!(lapic->svr & SVR_ENABLED)) value |= APIC_MASKED;
    if (value & APIC_LEVEL) value |= before & APIC_REMOTE_IRR;
    lapic->lvt[n] = value;
    if (n == LAPIC_LVT_TIMER) lapic_timer_entry_written(lapic, before);
    if (n == LAPIC_LVT_LINT0 || n == LAPIC_LVT_LINT1) {
        check_level(lapic, n - LAPIC_LVT_LINT0);
        update(lapic);
    }
}

static const struct {
    u32 (*read)(struct lapic *lapic, unsigned n);
    void (*write)(struct lapic *lapic, unsigned n, u32 value);
    u8 first; /* register of the row */
} registers[] = {
    [0x02] = {read_id, write_id, 0x02},
    [0x03] = {read_version, NULL, 0x03},
    [0x08] = {read_tpr, write_tpr, 0x08},
    [0x09] = {read_apr, NULL, 0x09},
    [0x0a] = {read_ppr, NULL, 0x0a},
    [0x0b] = {read_zero, write_eoi, 0x0b},
    [0x0c] = {read_zero, NULL, 0x0c}, /* remote read: there is no other APIC */
    [0x0d] = {read_ldr, write_ldr, 0x0d},
    [0x0e] = {read_dfr, write_dfr, 0x0e},
    [0x0f] = {read_svr, write_svr, 0x0f},
    [0x10 ... 0x17] = {read_isr, NULL, 0x10},
    [0x18 ... 0x1f] = {read_tmr, NULL, 0x18},
    [0x20 ... 0x27] = {read_irr, NULL, 0x20},
    [0x28] = {read_esr, write_esr, 0x28},
    [0x30 ... 0x31] = {read_icr, write_icr, 0x30},
    [LVT_OFFSET... LVT_OFFSET + LAPIC_LVTS - 1] = {read_lvt, write_lvt, LVT_OFFSET},
    [0x38] = {lapic_timer_read_initial, lapic_timer_write_initial, 0x38},
    [0x39] = {lapic_timer_read_current, NULL, 0x39},
    [0x3e] = {lapic_timer_read_divide, lapic_timer_write_divide, 0x3e},
};

static u32 window_read(void *device, u32 offset, unsigned size)
{
    struct lapic *lapic = device;
    u32 n = offset >> 4, within = offset & 15;
    if (n >= ARRAY_SIZE(registers) || !registers[n].read) {
        error(lapic, ESR_ILLEGAL_REGISTER);
        return 0;
    }
    return within < 4 ? registers[n].read(lapic, n - registers[n].first) >> (8 * within) : 0;
}

static void window_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct lapic *lapic = device;
    u32 n = offset >> 4;
    if (size != 4 || (offset & 15)) return;
    if (n >= ARRAY_SIZE(registers) || !registers[n].read)
        error(lapic, ESR_ILLEGAL_REGISTER);
    else if (registers[n].write)
        registers[n].write(lapic, n - registers[n].first, value);
}

const struct io_ops lapic_ops = {window_read, window_write};

/* --- reset and set-up --- */

/* 10.4.7.1 */
void lapic_reset(struct lapic *lapic)
{
    lapic_timer_stop(lapic);
    lapic->tpr = 0;
    lapic->ldr = 0;
    lapic->dfr = 0xffffffff;
    lapic->svr = 0xff;
    lapic->irr = lapic->isr = lapic->tmr = (struct lapic_vectors){{0}};
    lapic->esr = lapic->errors = 0;
    lapic->icr[0] = lapic->icr[1] = 0;
    lapic->divide = 0;
    for (unsigned entry = 0; entry < LAPIC_LVTS; entry++)
        lapic->lvt[entry] = APIC_MASKED;
    lapic->lvt[LAPIC_LVT_LINT0] = APIC_EXTINT << APIC_DELIVERY_SHIFT; /* invariant 3 */
    lapic->extint = false;
    update(lapic);
}

void lapic_enable(struct lapic *lapic, bool enabled)
{
    if (enabled == lapic->enabled) return;
    lapic->enabled = enabled;
    lapic_reset(lapic);
}

void lapic_init(struct lapic *lapic, struct clock *clock, bool has_deadline,
                const struct lapic_wiring *wiring)
{
    *lapic = (struct lapic){.clock = clock, .wiring = *wiring, .enabled = true, .has_deadline = has_deadline};
    lapic_timer_init(lapic);
    lapic_reset(lapic);
}
