#include "wire_apic.h"

#include "cpu/cpuid.h"
#include "vm/vm.h"

/* --- wires --- */

static struct apic_wires *wires_of(void *machine)
{
    return &((struct vm *)machine)->chipset.apic;
}

/* INTR of the CPU. */
static void cpu_intr(void *receiver, unsigned pin, bool level)
{
    struct vcpu *v = &((struct vm *)receiver)->vcpu;
    v->interrupt_line = level;
    if (level) __atomic_or_fetch(&v->pending, PENDING_INTERRUPT, __ATOMIC_SEQ_CST);
}

static void pic_intr(void *receiver, unsigned pin, bool level)
{
    struct apic_wires *wires = wires_of(receiver);
    if (!wires->fitted) {
        cpu_intr(receiver, pin, level);
        return;
    }
    struct irq_line lint0 = lapic_pin(&wires->lapic, 0), pin0 = ioapic_pin(&wires->ioapic, 0);
    irq_set(&lint0, level);
    irq_set(&pin0, level);
}

struct irq_line apic_wires_intr(struct vm *vm)
{
    return (struct irq_line){pic_intr, vm, 0};
}

static void isa_irq(void *receiver, unsigned irq, bool level)
{
    struct vm *vm = receiver;
    struct irq_line pic = i8259_pin(&vm->chipset.pic, irq);
    irq_set(&pic, level);
    if (!vm->chipset.apic.fitted) return;
    struct irq_line pin = ioapic_pin(&vm->chipset.apic.ioapic, irq ? irq : IOAPIC_PIN_IRQ0);
    irq_set(&pin, level);
}

struct irq_line apic_wires_isa(struct vm *vm, unsigned irq)
{
    return (struct irq_line){isa_irq, vm, irq};
}

static void pirq(void *receiver, unsigned n, bool level)
{
    struct apic_wires *wires = receiver;
    struct irq_line pin = ioapic_pin(&wires->ioapic, IOAPIC_PIN_PIRQA + n);
    irq_set(&wires->pirq[n], level);
    irq_set(&pin, !level);
}

static bool send(void *bus, const struct apic_message *message)
{
    return lapic_message(bus, message);
}

void apic_wires_message(struct apic_wires *wires, u64 address, u32 data)
{
    if (!wires->fitted || address - PHYS_MESSAGES >= PHYS_MESSAGES_BYTES) return;
    struct apic_message message = apic_message_of_msi(address, data);
    lapic_message(&wires->lapic, &message);
}

static void msi(void *owner, u64 address, u32 data)
{
    apic_wires_message(owner, address, data);
}

/* --- what the local APIC says --- */

static void nmi(void *machine)
{
    struct vm *vm = machine;
    __atomic_or_fetch(&vm->vcpu.pending, PENDING_NMI, __ATOMIC_SEQ_CST);
}

static void init(void *machine)
{
    machine_request_reset(machine, false);
}

static void eoi(void *machine, u8 vector)
{
    ioapic_eoi(&wires_of(machine)->ioapic, vector);
}

static void accepting(void *machine)
{
    ioapic_retry(&wires_of(machine)->ioapic);
}

static u64 guest_tsc(void *machine)
{
    struct vm *vm = machine;
    return vm_time_tsc(&vm->time) + vm->vcpu.tsc_offset;
}

static u64 tsc_hz(void *machine)
{
    struct vm *vm = machine;
    return vm_time_tsc_hz(&vm->time);
}

static u64 timer_hz(void *machine)
{
    return cpuid_crystal_hz(tsc_hz(machine));
}

/* --- the CPU --- */

int apic_wires_acknowledge(struct apic_wires *wires)
{
    struct vm *vm = wires->vm;
    if (!vm->vcpu.interrupt_line) return -1;
    if (!wires->fitted) return i8259_acknowledge(&vm->chipset.pic);
    int vector = lapic_acknowledge(&wires->lapic);
    if (vector != LAPIC_EXTINT) return vector;
    vector = i8259_acknowledge(&vm->chipset.pic);
    if (!wires->lapic.pin[0]) return vector;
    /* INT falls with every INTA: what the pair still wants is an edge for the I/O APIC. */
    struct irq_line pin0 = ioapic_pin(&wires->ioapic, 0);
    irq_set(&pin0, false);
    irq_set(&pin0, true);
    return vector;
}

bool apic_wires_may_wake(const struct apic_wires *wires)
{
    return wires->fitted && (lapic_lint0_is_nmi(&wires->lapic) || ioapic_has_nmi(&wires->ioapic));
}

/* The page is shown over RAM and where nothing is: no system puts it over a device. */
static void show(struct apic_wires *wires, u32 base)
{
    struct vm *vm = wires->vm;
    if (base == wires->lapic_shown) return;
    u32 old = wires->lapic_shown;
    wires->lapic_shown = 0;
    if (old) {
        if (phys_map_ram(&vm->phys, old, PAGE_SIZE)) phys_unmap(&vm->phys, old, PAGE_SIZE);
        machine_memory_changed(vm, old, PAGE_SIZE);
    }
    const struct phys_region *there = base ? phys_find(&vm->phys, base) : NULL;
    if (!base || (there && there->kind != PHYS_RAM)) return;
    if (phys_map_mmio(&vm->phys, base, PAGE_SIZE, &lapic_ops, &wires->lapic)) return;
    machine_memory_changed(vm, base, PAGE_SIZE);
    wires->lapic_shown = base;
}

void apic_wires_base(struct apic_wires *wires, u64 base)
{
    bool enabled = base & APIC_BASE_ENABLED;
    lapic_enable(&wires->lapic, enabled);
    show(wires, enabled ? (u32)base & ~PAGE_MASK : 0);
}

void apic_wires_cpu_reset(struct apic_wires *wires)
{
    lapic_enable(&wires->lapic, true);
    lapic_reset(&wires->lapic);
    apic_wires_base(wires, wires->vm->vcpu.apic_base);
}

/* --- set-up --- */

void apic_wires_reset(struct apic_wires *wires)
{
    if (!wires->fitted) return;
    ioapic_reset(&wires->ioapic);
    wires->lapic.id = 0;
}

void apic_wires_post(struct apic_wires *wires)
{
    enum { SVR = 0xf0, LINT0 = 0x350, LINT1 = 0x360, ENABLED = 0x1ff };
    if (!wires->fitted) return;
    lapic_ops.write(&wires->lapic, SVR, 4, ENABLED);
    lapic_ops.write(&wires->lapic, LINT0, 4, APIC_EXTINT << APIC_DELIVERY_SHIFT);
    lapic_ops.write(&wires->lapic, LINT1, 4, APIC_NMI << APIC_DELIVERY_SHIFT);
}

int apic_wires_init(struct apic_wires *wires, struct vm *vm, struct pci_bus *bus)
{
    wires->vm = vm;
    if (vm->options->no_apic) return 0;
    lapic_init(&wires->lapic, &vm->time.clock, vm->options->cpu->f1_ecx & F1C_TSC_DEADLINE,
               &(struct lapic_wiring){.intr = {cpu_intr, vm, 0},
                                      .nmi = nmi,
                                      .init = init,
                                      .eoi = eoi,
                                      .accepting = accepting,
                                      .tsc = guest_tsc,
                                      .tsc_hz = tsc_hz,
                                      .timer_hz = timer_hz,
                                      .machine = vm});
    ioapic_init(&wires->ioapic, send, &wires->lapic);
    ioapic_set_idle_high(&wires->ioapic, 0xfu << IOAPIC_PIN_PIRQA);
    for (unsigned n = 0; n < ARRAY_SIZE(wires->pirq); n++) {
        wires->pirq[n] = bus->pirq[n];
        bus->pirq[n] = (struct irq_line){pirq, wires, n};
    }
    bus->msi = msi;
    bus->msi_owner = wires;
    wires->fitted = true;
    return phys_map_mmio(&vm->phys, IOAPIC_BASE, PAGE_SIZE, &ioapic_ops, &wires->ioapic);
}
