#include "wire_hpet.h"

#include "vm/vm.h"

static void replace(void *machine, bool on)
{
    struct wire_hpet *wire = machine;
    wire->replaced = on;
    for (unsigned n = 0; n < HPET_REPLACES; n++)
        irq_set(&wire->isa[n], !on && wire->level[n]);
}

int wire_hpet_init(struct wire_hpet *wire, struct vm *vm)
{
    wire->isa[HPET_REPLACES_PIT] = apic_wires_isa(vm, 0);
    wire->isa[HPET_REPLACES_RTC] = apic_wires_isa(vm, 8);
    if (!vm->options->hpet) return 0;
    struct hpet_wiring wiring = {.legacy = {wire->isa[HPET_REPLACES_PIT], wire->isa[HPET_REPLACES_RTC]},
                                 .has_pins = !vm->options->no_apic,
                                 .replace = replace,
                                 .machine = wire};
    for (unsigned n = 0; n < HPET_PINS && wiring.has_pins; n++)
        wiring.pin[n] = ioapic_pin(&vm->chipset.apic.ioapic, HPET_FIRST_PIN + n);
    hpet_init(&wire->hpet, &vm->time.clock, &wiring);
    wire->fitted = true;
    return phys_map_mmio(&vm->phys, HPET_BASE, PAGE_SIZE, &hpet_ops, &wire->hpet);
}

void wire_hpet_reset(struct wire_hpet *wire)
{
    if (wire->fitted) hpet_reset(&wire->hpet);
}

void wire_hpet_input(struct wire_hpet *wire, unsigned which, bool level)
{
    wire->level[which] = level;
    if (!wire->replaced) irq_set(&wire->isa[which], level);
}
