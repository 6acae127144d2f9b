#include "wire_hpet.h"

#include "board.h"
#include "devices/chipset/ioapic.h"
#include "mmu/phys.h"

static const u8 replaced_irq[HPET_REPLACES] = {[HPET_REPLACES_PIT] = 0, [HPET_REPLACES_RTC] = 8};

static void replace(void *machine, bool on)
{
    struct wire_hpet *wire = machine;
    wire->replaced = on;
    for (unsigned n = 0; n < HPET_REPLACES; n++)
        irq_set(&wire->isa[n], !on && wire->level[n]);
}

/* The output of the PIT or the RTC has changed. */
static void input(void *receiver, unsigned which, bool level)
{
    struct wire_hpet *wire = receiver;
    wire->level[which] = level;
    if (!wire->replaced) irq_set(&wire->isa[which], level);
}

int wire_hpet_init(struct wire_hpet *wire, struct board *board, struct ioapic *ioapic)
{
    if (!board->options->hpet) return 0;
    struct hpet_wiring wiring = {.has_pins = ioapic, .replace = replace, .machine = wire};
    for (unsigned n = 0; n < HPET_REPLACES; n++) {
        struct irq_line *irq = &board->irq[replaced_irq[n]];
        wiring.legacy[n] = wire->isa[n] = *irq;
        *irq = (struct irq_line){input, wire, n};
    }
    for (unsigned n = 0; n < HPET_PINS && ioapic; n++)
        wiring.pin[n] = ioapic_pin(ioapic, HPET_FIRST_PIN + n);
    hpet_init(&wire->hpet, board->clock, &wiring);
    wire->fitted = board->facts.hpet = true;
    return phys_map_mmio(board->memory, HPET_BASE, PAGE_SIZE, &hpet_ops, &wire->hpet);
}

void wire_hpet_reset(struct wire_hpet *wire)
{
    if (wire->fitted) hpet_reset(&wire->hpet);
}
