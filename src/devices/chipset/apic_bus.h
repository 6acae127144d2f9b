/*
 * Messages to local APICs (SDM 3A 10.6, 10.8, 10.11). They come from the I/O APIC, from a local APIC's ICR, or from
 * a device that signals by MSI.
 */
#ifndef RINGER_DEVICES_CHIPSET_APIC_BUS_H
#define RINGER_DEVICES_CHIPSET_APIC_BUS_H

#include "base/types.h"

enum apic_delivery {
    APIC_FIXED,
    APIC_LOWEST_PRIORITY,
    APIC_SMI,
    APIC_NMI = 4,
    APIC_INIT,
    APIC_STARTUP,
    APIC_EXTINT,
};

struct apic_message {
    u8 vector;
    u8 delivery;    /* enum apic_delivery */
    u8 destination; /* FFh: all local APICs */
    bool logical;
    bool level; /* level-triggered: its EOI goes to the I/O APICs */
};

/* Fields at the same bits in ICR, LVT, redirection entry and MSI data. */
enum {
    APIC_VECTOR = 0xff,
    APIC_DELIVERY = 7 << 8,
    APIC_DELIVERY_SHIFT = 8,
    APIC_LOGICAL = 1 << 11,
    APIC_SEND_PENDING = 1 << 12,
    APIC_ACTIVE_LOW = 1 << 13,
    APIC_REMOTE_IRR = 1 << 14,
    APIC_LEVEL = 1 << 15,
    APIC_MASKED = 1 << 16,
};

/* Figures 10-14 and 10-15 of 10.11. Address: 19-12 destination, 2 logical. */
static inline struct apic_message apic_message_of_msi(u64 address, u32 data)
{
    return (struct apic_message){.vector = data & APIC_VECTOR,
                                 .delivery = (data & APIC_DELIVERY) >> APIC_DELIVERY_SHIFT,
                                 .destination = (u8)(address >> 12),
                                 .logical = address & 4,
                                 .level = data & APIC_LEVEL};
}

#endif
