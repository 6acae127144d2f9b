#include "pci_windows.h"

#include "vm/vm.h"

#include <string.h>

/* --- memory --- */

struct range {
    u64 from, to;
};

static struct range window_range(const struct pci_window *window)
{
    return (struct range){window->base, (u64)window->base + window->bar->bytes};
}

static bool in_hole(const struct phys *phys, const struct pci_bar *bar)
{
    return bar->base >= phys_low_ram_bytes(phys) && bar->base < PCI_HOLE_END &&
           bar->bytes <= PCI_HOLE_END - bar->base;
}

/* Widen the range until each window is in it or beside it: then it can be laid anew whole. */
static void close_over(const struct pci_windows *windows, struct range *range)
{
    for (unsigned n = 0; n < windows->count; n++) {
        const struct pci_window *window = &windows->window[n];
        if (window->ports || !window->placed) continue;
        struct range other = window_range(window);
        bool beside = other.to <= range->from || other.from >= range->to;
        bool within = other.from >= range->from && other.to <= range->to;
        if (beside || within) continue;
        if (other.from < range->from) range->from = other.from;
        if (other.to > range->to) range->to = other.to;
        n = (unsigned)-1; /* from the first again */
    }
}

static int lay(struct phys *phys, const struct pci_window *window)
{
    const struct pci_bar *bar = window->bar;
    switch (bar->kind) {
    case PCI_BAR_MMIO: return phys_map_mmio(phys, window->base, bar->bytes, bar->ops, bar->handler);
    case PCI_BAR_MEMORY:
        return phys_map_video(phys, window->base, bar->bytes, (u64)(bar->host - phys->video));
    case PCI_BAR_IMAGE: return phys_map_rom(phys, window->base, bar->bytes, bar->host);
    default: return 0;
    }
}

/* Lay what belongs into the range, on nothing. */
static void lay_range(struct pci_windows *windows, struct range range)
{
    struct vm *vm = windows->vm;
    close_over(windows, &range);
    int failed = phys_unmap(&vm->phys, range.from, range.to - range.from);
    for (unsigned n = 0; n < windows->count && !failed; n++) {
        struct pci_window *window = &windows->window[n];
        if (window->ports || !window->placed) continue;
        struct range its = window_range(window);
        if (its.from >= range.from && its.to <= range.to) failed = lay(&vm->phys, window);
    }
    /* Only a guest that piles windows up gets here: what is not laid is not there. */
    if (failed && !windows->complained) {
        windows->complained = true;
        log_warn("the guest's PCI windows are too many pieces of memory: %s", strerror(-failed));
    }
    machine_memory_changed(vm, range.from, range.to - range.from);
}

static void move_memory(struct pci_windows *windows, struct pci_window *window)
{
    const struct pci_bar *bar = window->bar;
    bool was_placed = window->placed;
    struct range old = was_placed ? window_range(window) : (struct range){0};
    window->placed = bar->mapped && in_hole(&windows->vm->phys, bar);
    window->base = bar->base;
    if (was_placed) lay_range(windows, old);
    if (window->placed) lay_range(windows, window_range(window));
}

/* --- ports --- */

static void move_ports(struct pci_windows *windows, struct pci_window *window)
{
    const struct pci_bar *bar = window->bar;
    window->placed = bar->mapped && bar->base < PORT_COUNT && bar->bytes <= PORT_COUNT - bar->base;
    window->base = bar->base;
    ports_move(&windows->vm->ports, window->ports, (u16)bar->base, window->placed);
}

/* --- both --- */

/* A register is met when it first decodes something: its place in the list, and so its rank where windows
 * overlap, is that of its first use. */
static struct pci_window *window_of(struct pci_windows *windows, const struct pci_bar *bar)
{
    for (unsigned n = 0; n < windows->count; n++)
        if (windows->window[n].bar == bar) return &windows->window[n];
    if (windows->count == PCI_WINDOWS_MAX) return NULL;
    struct pci_window *window = &windows->window[windows->count++];
    *window = (struct pci_window){.bar = bar};
    if (bar->kind == PCI_BAR_PORTS)
        window->ports = ports_add(&windows->vm->ports, (u16)bar->bytes, bar->widest, bar->ops, bar->handler);
    return window;
}

static void map(void *owner, struct pci_bar *bar)
{
    struct pci_windows *windows = owner;
    struct pci_window *window = window_of(windows, bar);
    if (!window)
        log_warn("too many PCI windows");
    else if (window->ports)
        move_ports(windows, window);
    else
        move_memory(windows, window);
}

void pci_windows_init(struct pci_windows *windows, struct vm *vm, struct pci_bus *bus)
{
    *windows = (struct pci_windows){.vm = vm};
    bus->map = map;
    bus->map_owner = windows;
}
