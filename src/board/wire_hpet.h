/*
 * The HPET of this machine (-machine hpet=on), and the two interrupts that it replaces when the guest asks for it:
 *
 *   8254           ---+                  MC146818       ---+
 *                     +--> ISA IRQ 0                       +--> ISA IRQ 8
 *   HPET timer 0   ---+                  HPET timer 1   ---+
 */
#ifndef RINGER_BOARD_WIRE_HPET_H
#define RINGER_BOARD_WIRE_HPET_H

#include "devices/chipset/hpet.h"

struct board;
struct ioapic;

enum { HPET_REPLACES_PIT, HPET_REPLACES_RTC, HPET_REPLACES };

struct wire_hpet {
    bool fitted;
    bool replaced; /* the HPET drives both */
    struct hpet hpet;
    struct irq_line isa[HPET_REPLACES];
    bool level[HPET_REPLACES]; /* of PIT and RTC */
};

/* Call it before PIT and RTC are wired: board->irq[0] and [8] lead through the HPET from now on. `ioapic`: not yet
 * initialized, or NULL. Returns 0 or -errno. */
int wire_hpet_init(struct wire_hpet *wire, struct board *board, struct ioapic *ioapic);
void wire_hpet_reset(struct wire_hpet *wire);

#endif
