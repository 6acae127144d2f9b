/*
 * How interrupts reach the processor: the board's wires between devices, the 8259 pair, the I/O APIC, the
 * local APIC and the CPU.
 *
 *   ISA IRQ n  ---+--> 8259 pair --INTR--+--> LINT0 of the local APIC --> CPU
 *                 +--> I/O APIC pin n    +--> I/O APIC pin 0
 *                      (IRQ 0: pin 2)
 *   PIRQ A-D   ---+--> PIIX3, which routes them to ISA IRQs
 *                 +--> I/O APIC pins 16-19, active low
 *   messages of PCI devices -------------> local APIC
 *
 * Both ways work at once, and the guest masks the one that it does not use. Without APICs (--no-apic) INTR of the 8259
 * pair goes straight to the CPU.
 */
#ifndef RINGER_BOARD_WIRE_APIC_H
#define RINGER_BOARD_WIRE_APIC_H

#include "devices/chipset/i8259.h"
#include "devices/chipset/ioapic.h"
#include "devices/chipset/lapic.h"
#include "devices/pci/pci_bus.h"

struct board;

#define IOAPIC_BASE 0xfec00000u
#define LAPIC_BASE  0xfee00000u /* until the guest moves it */

/* Inputs of the I/O APIC (global system interrupts of ACPI): each ISA IRQ has the input of its
 * number, except IRQ 0. */
#define IOAPIC_PIN_IRQ0  2
#define IOAPIC_PIN_PIRQA 16

struct apic_wires {
    struct board *board;
    struct i8259_pair *pic;
    bool fitted; /* there are APICs */
    bool intr;   /* the level of the CPU's pin */
    struct lapic lapic;
    struct ioapic ioapic;
    struct irq_line pirq[4]; /* of the PIIX3 */
    u32 lapic_shown;         /* gpa of its page; 0: it is not mapped */
};

/* Lay the wires of the ISA IRQs (board->irq), before any other chip is wired. `pic`: not yet initialized. */
void apic_wires_lay(struct apic_wires *wires, struct board *board, struct i8259_pair *pic);
/* Fit the APICs, if the board has them. Call it when the PIIX3 is on the PCI bus: the APICs take its PIRQ lines and
 * messages. Returns 0 or -errno. */
int apic_wires_fit(struct apic_wires *wires);
void apic_wires_reset(struct apic_wires *wires);

/* A bus master wrote a dword to PHYS_MESSAGES. It is lost if no APIC takes it. */
void apic_wires_message(struct apic_wires *wires, u64 address, u32 data);

/* The interrupt acknowledge cycle. Returns the vector, or -1: no interrupt is requested any more. */
int apic_wires_acknowledge(struct apic_wires *wires);
/* May a halted processor with interrupts disabled be woken by an NMI? */
bool apic_wires_may_wake(const struct apic_wires *wires);

/* --- from the CPU; only with APICs --- */

/* RESET or INIT of the processor alone, which set IA32_APIC_BASE to `base`. */
void apic_wires_cpu_reset(struct apic_wires *wires, u64 base);
/* IA32_APIC_BASE was written. */
void apic_wires_base(struct apic_wires *wires, u64 base);

#endif
