#include "wire_apic.h"

#include "board.h"
#include "mmu/phys.h"

/* IA32_APIC_BASE (SDM 3A 11.4.4). */
#define BASE_ENABLED (1u << 11)

/* The slave 8259A's INT is wired to this input of the master. */
#define CASCADE_IRQ 2

/* --- wires --- */

static void cpu_intr(void *receiver, unsigned pin, bool level)
{
    struct apic_wires *wires = receiver;
    wires->intr = level;
    wires->board->host->intr(wires->board->machine, level);
}

static void pic_intr(void *receiver, unsigned pin, bool level)
{
    struct apic_wires *wires = receiver;
    if (!wires->fitted) {
        cpu_intr(receiver, pin, level);
        return;
    }
    struct irq_line lint0 = lapic_pin(&wires->lapic, 0), pin0 = ioapic_pin(&wires->ioapic, 0);
    irq_set(&lint0, level);
    irq_set(&pin0, level);
}

static void isa_irq(void *receiver, unsigned irq, bool level)
{
    struct apic_wires *wires = receiver;
    struct irq_line pic = i8259_pin(wires->pic, irq);
    irq_set(&pic, level);
    if (!wires->fitted) return;
    struct irq_line pin = ioapic_pin(&wires->ioapic, irq ? irq : IOAPIC_PIN_IRQ0);
    irq_set(&pin, level);
}

void apic_wires_lay(struct apic_wires *wires, struct board *board, struct i8259_pair *pic)
{
    *wires = (struct apic_wires){.board = board, .pic = pic};
    i8259_init(pic, (struct irq_line){pic_intr, wires, 0});
    for (unsigned irq = 0; irq < ISA_IRQS; irq++)
        if (irq != CASCADE_IRQ) board->irq[irq] = (struct irq_line){isa_irq, wires, irq};
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

/* --- the local APIC's outputs --- */

static void nmi(void *machine)
{
    struct board *board = ((struct apic_wires *)machine)->board;
    board->host->nmi(board->machine);
}

static void init(void *machine)
{
    struct board *board = ((struct apic_wires *)machine)->board;
    board->host->init(board->machine);
}

static void eoi(void *machine, u8 vector)
{
    ioapic_eoi(&((struct apic_wires *)machine)->ioapic, vector);
}

static void accepting(void *machine)
{
    ioapic_retry(&((struct apic_wires *)machine)->ioapic);
}

static u64 tsc(void *machine)
{
    struct board *board = ((struct apic_wires *)machine)->board;
    return board->host->tsc(board->machine);
}

static u64 tsc_hz(void *machine)
{
    struct board *board = ((struct apic_wires *)machine)->board;
    return board->host->tsc_hz(board->machine);
}

static u64 timer_hz(void *machine)
{
    struct board *board = ((struct apic_wires *)machine)->board;
    return board->host->apic_timer_hz(board->machine);
}

/* --- the CPU --- */

int apic_wires_acknowledge(struct apic_wires *wires)
{
    if (!wires->intr) return -1;
    if (!wires->fitted) return i8259_acknowledge(wires->pic);
    int vector = lapic_acknowledge(&wires->lapic);
    if (vector != LAPIC_EXTINT) return vector;
    vector = i8259_acknowledge(wires->pic);
    if (!wires->lapic.pin[0]) return vector;
    /* INT falls at each INTA, so the pair's next request is an edge for the I/O APIC. */
    struct irq_line pin0 = ioapic_pin(&wires->ioapic, 0);
    irq_set(&pin0, false);
    irq_set(&pin0, true);
    return vector;
}

bool apic_wires_may_wake(const struct apic_wires *wires)
{
    return wires->fitted && (lapic_lint0_is_nmi(&wires->lapic) || ioapic_has_nmi(&wires->ioapic));
}

/* Map the page of the local APIC. It may cover RAM or empty addresses. No system puts it over a device. */
static void show(struct apic_wires *wires, u32 base)
{
    struct board *board = wires->board;
    if (base == wires->lapic_shown) return;
    u32 old = wires->lapic_shown;
    wires->lapic_shown = 0;
    if (old) {
        if (phys_map_ram(board->memory, old, PAGE_SIZE)) phys_unmap(board->memory, old, PAGE_SIZE);
        board_memory_changed(board, old, PAGE_SIZE);
    }
    const struct phys_region *there = base ? phys_find(board->memory, base) : NULL;
    if (!base || (there && there->kind != PHYS_RAM)) return;
    if (phys_map_mmio(board->memory, base, PAGE_SIZE, &lapic_ops, &wires->lapic)) return;
    board_memory_changed(board, base, PAGE_SIZE);
    wires->lapic_shown = base;
}

void apic_wires_base(struct apic_wires *wires, u64 base)
{
    bool enabled = base & BASE_ENABLED;
    lapic_enable(&wires->lapic, enabled);
    show(wires, enabled ? (u32)base & ~PAGE_MASK : 0);
}

void apic_wires_cpu_reset(struct apic_wires *wires, u64 base)
{
    lapic_enable(&wires->lapic, true);
    lapic_reset(&wires->lapic);
    apic_wires_base(wires, base);
}

/* --- set-up --- */

void apic_wires_reset(struct apic_wires *wires)
{
    if (!wires->fitted) return;
    ioapic_reset(&wires->ioapic);
    wires->lapic.id = 0;
}

int apic_wires_fit(struct apic_wires *wires)
{
    struct board *board = wires->board;
    struct pci_bus *bus = &board->pci;
    if (board->options->no_apic) return 0;
    lapic_init(&wires->lapic, board->clock, board->tsc_deadline,
               &(struct lapic_wiring){.intr = {cpu_intr, wires, 0},
                                      .nmi = nmi,
                                      .init = init,
                                      .eoi = eoi,
                                      .accepting = accepting,
                                      .tsc = tsc,
                                      .tsc_hz = tsc_hz,
                                      .timer_hz = timer_hz,
                                      .machine = wires});
    ioapic_init(&wires->ioapic, send, &wires->lapic);
    ioapic_set_idle_high(&wires->ioapic, 0xfu << IOAPIC_PIN_PIRQA);
    for (unsigned n = 0; n < ARRAY_SIZE(wires->pirq); n++) {
        wires->pirq[n] = bus->pirq[n];
        bus->pirq[n] = (struct irq_line){pirq, wires, n};
    }
    bus->msi = msi;
    bus->msi_owner = wires;
    wires->fitted = board->facts.apic = true;
    return phys_map_mmio(board->memory, IOAPIC_BASE, PAGE_SIZE, &ioapic_ops, &wires->ioapic);
}
