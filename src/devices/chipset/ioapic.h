/*
 * The I/O APIC: an 82093AA (Intel datasheet, order 290566; version 11h, 24 pins).
 *
 * Memory: ioapic_ops, 4 KB; the device is the struct ioapic.
 *
 *   00h  IOREGSEL   the register that IOWIN shows
 *   10h  IOWIN      00h ID, 01h version, 02h arbitration, 10h-3Fh redirection table, two dwords a pin
 *
 *   63-56 destination | 16 masked | 15 level | 14 remote IRR | 13 active low | 12 send pending |
 *   11 logical | 10-8 delivery mode | 7-0 vector
 *
 * Invariants
 * 1. A pin's level is its voltage. PCI wires are high when idle: the board says so by ioapic_set_idle_high(). By
 *    bit 13 the guest chooses the active level.
 * 2. An edge that comes while its entry is masked is lost. An edge that no local APIC takes waits. A level
 *    that is active, unmasked and without remote IRR is sent as soon as a local APIC takes it.
 */
#ifndef RINGER_DEVICES_CHIPSET_IOAPIC_H
#define RINGER_DEVICES_CHIPSET_IOAPIC_H

#include "apic_bus.h"
#include "base/device.h"

#define IOAPIC_PINS 24

struct ioapic {
    /* Returns whether a local APIC took it. */
    bool (*send)(void *bus, const struct apic_message *message);
    void *bus;
    u32 select;
    u32 id;
    u32 lines; /* levels of the pins */
    u32 edges; /* pins with an edge that waits to be sent */
    u64 entry[IOAPIC_PINS];
};

void ioapic_init(struct ioapic *ioapic, bool (*send)(void *bus, const struct apic_message *message),
                 void *bus);
void ioapic_reset(struct ioapic *ioapic);
/* The pins with wires that are high when idle. */
void ioapic_set_idle_high(struct ioapic *ioapic, u32 pins);

struct irq_line ioapic_pin(struct ioapic *ioapic, unsigned pin);
/* A local APIC has ended this level-triggered interrupt. */
void ioapic_eoi(struct ioapic *ioapic, u8 vector);
/* A local APIC may now take messages that it refused. */
void ioapic_retry(struct ioapic *ioapic);
/* May a pin raise an NMI? */
bool ioapic_has_nmi(const struct ioapic *ioapic);

extern const struct io_ops ioapic_ops;

#endif
