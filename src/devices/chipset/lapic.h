/*
 * The local APIC of the one processor: the Pentium 4's (xAPIC, version 14h; SDM 3A chapter 10). There is no
 * x2APIC, and CPUID offers none.
 *
 * Memory: lapic_ops, 4 KB at IA32_APIC_BASE; the device is the struct lapic. Registers are dwords 16 bytes
 * apart. Reads may be narrower; a write that is not an aligned dword does nothing.
 *
 *   020 ID        080 TPR   0B0 EOI   0F0 SVR       180 TMR   280 ESR   320-370 LVT
 *   030 version   090 APR   0D0 LDR   100 ISR (8)   200 IRR   300 ICR   380 initial, 390 current count
 *                 0A0 PPR   0E0 DFR                           310 ICR   3E0 divide
 *
 * The timer divides the rate of the crystal in CPUID leaf 15h. The count is computed from the clock when it is read.
 * Periods that end while the host is late give one interrupt, and the next one ends on time. So periods neither come
 * in bursts nor drift.
 *
 * Invariants
 * 1. wiring.intr is up while there is something to acknowledge: an interrupt in IRR of a higher class than PPR, or an
 *    external interrupt (of the 8259 pair, through LINT0 or a message).
 * 2. While it is globally disabled (IA32_APIC_BASE bit 11 clear), LINT0 is INTR and LINT1 is NMI.
 * 3. While the APIC is software-disabled (SVR bit 8) it accepts neither fixed interrupts nor unmasked LVT
 *    entries. There is one exception: RESET leaves LINT0 unmasked for the 8259 pair, so that firmware without
 *    knowledge of APICs gets its interrupts.
 */
#ifndef RINGER_DEVICES_CHIPSET_LAPIC_H
#define RINGER_DEVICES_CHIPSET_LAPIC_H

#include "apic_bus.h"
#include "base/device.h"

enum lapic_lvt {
    LAPIC_LVT_TIMER,
    LAPIC_LVT_THERMAL,
    LAPIC_LVT_PERFORMANCE,
    LAPIC_LVT_LINT0,
    LAPIC_LVT_LINT1,
    LAPIC_LVT_ERROR,
    LAPIC_LVTS,
};

struct lapic_wiring {
    struct irq_line intr;
    void (*nmi)(void *machine);
    void (*init)(void *machine);           /* an INIT message: the processor and this APIC are reset */
    void (*eoi)(void *machine, u8 vector); /* the end of a level-triggered interrupt */
    void (*accepting)(void *machine);      /* messages that were refused may be accepted now */
    u64 (*tsc)(void *machine);             /* the guest's TSC */
    u64 (*tsc_hz)(void *machine);
    u64 (*timer_hz)(void *machine); /* the rate that the counting timer divides */
    void *machine;
};

/* 256 bits, one a vector. */
struct lapic_vectors {
    u64 word[4];
};

struct lapic {
    struct clock *clock;
    struct lapic_wiring wiring;
    struct timer timer;
    bool enabled;      /* IA32_APIC_BASE bit 11 */
    bool has_deadline; /* the timer has TSC-deadline mode */
    u8 id;
    u8 tpr;
    u32 ldr, dfr, svr;
    struct lapic_vectors irr, isr, tmr;
    u8 esr, errors; /* ESR as it reads, and errors since it was written */
    u32 icr[2];
    u32 lvt[LAPIC_LVTS];
    u32 initial_count;
    u32 divide;
    bool counting;
    u64 start;    /* when the count began, in ticks since power-on */
    u64 deadline; /* IA32_TSC_DEADLINE; 0: none */
    bool pin[2];  /* LINT0, LINT1 */
    bool extint;  /* a message requested an external interrupt, not yet acknowledged */
};

#define LAPIC_EXTINT (-1)

void lapic_init(struct lapic *lapic, struct clock *clock, bool has_deadline,
                const struct lapic_wiring *wiring);
/* RESET or INIT. The ID stays. */
void lapic_reset(struct lapic *lapic);
/* IA32_APIC_BASE bit 11. Clearing it resets the registers. */
void lapic_enable(struct lapic *lapic, bool enabled);

/* The interrupt for the processor: a vector, which goes into service, or LAPIC_EXTINT: ask the 8259 pair. */
int lapic_acknowledge(struct lapic *lapic);
/* A message on the bus. False: it was not accepted and may be sent again. */
bool lapic_message(struct lapic *lapic, const struct apic_message *message);
/* The wire of LINT0 or LINT1. */
struct irq_line lapic_pin(struct lapic *lapic, unsigned pin);
/* Is LINT0 programmed to be an NMI? */
bool lapic_lint0_is_nmi(const struct lapic *lapic);

/* IA32_TSC_DEADLINE. */
/* The task priority, which CR8 also reaches. */
u8 lapic_task_priority(const struct lapic *lapic);
void lapic_set_task_priority(struct lapic *lapic, u8 priority);
u64 lapic_deadline(const struct lapic *lapic);
void lapic_set_deadline(struct lapic *lapic, u64 tsc);
/* The guest has moved its TSC. */
void lapic_tsc_moved(struct lapic *lapic);

extern const struct io_ops lapic_ops;

#endif
