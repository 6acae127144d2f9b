#include "pci_ranges.h"

#include "base/log.h"
#include "board.h"
#include "mmu/phys.h"

#include <string.h>

/* --- memory --- */

/* A piece of memory. */
struct piece {
    u64 from, to;
};

static struct piece piece_of(const struct pci_range *range)
{
    return (struct piece){range->base, (u64)range->base + range->bar->bytes};
}

static bool in_hole(const struct phys *phys, const struct pci_bar *bar)
{
    return bar->base >= phys_low_ram_bytes(phys) && bar->base < PCI_HOLE_END &&
           bar->bytes <= PCI_HOLE_END - bar->base;
}

/* Widen the piece until each range is either inside or outside of it. Then the whole piece can be mapped anew. */
static void close_over(const struct pci_ranges *ranges, struct piece *piece)
{
    for (unsigned n = 0; n < ranges->count; n++) {
        const struct pci_range *range = &ranges->range[n];
        if (range->ports || !range->shown) continue;
        struct piece other = piece_of(range);
        bool beside = other.to <= piece->from || other.from >= piece->to;
        bool within = other.from >= piece->from && other.to <= piece->to;
        if (beside || within) continue;
        if (other.from < piece->from) piece->from = other.from;
        if (other.to > piece->to) piece->to = other.to;
        n = (unsigned)-1; /* start again with the first */
    }
}

static int lay(struct phys *phys, const struct pci_range *range)
{
    const struct pci_bar *bar = range->bar;
    switch (bar->kind) {
    case PCI_BAR_MMIO: return phys_map_mmio(phys, range->base, bar->bytes, bar->ops, bar->handler);
    case PCI_BAR_MEMORY: return phys_map_video(phys, range->base, bar->bytes, (u64)(bar->host - phys->video));
    case PCI_BAR_IMAGE: return phys_map_rom(phys, range->base, bar->bytes, bar->host);
    default: return 0;
    }
}

/* Unmap the piece, and map the ranges that belong there. */
static void lay_piece(struct pci_ranges *ranges, struct piece piece)
{
    struct phys *phys = ranges->board->memory;
    close_over(ranges, &piece);
    int failed = phys_unmap(phys, piece.from, piece.to - piece.from);
    for (unsigned n = 0; n < ranges->count && !failed; n++) {
        struct pci_range *range = &ranges->range[n];
        if (range->ports || !range->shown) continue;
        struct piece its = piece_of(range);
        if (its.from >= piece.from && its.to <= piece.to) failed = lay(phys, range);
    }
    /* Only a guest with many overlapping ranges gets here. The remaining ranges are absent. */
    if (failed && !ranges->warned) {
        ranges->warned = true;
        log_warn("the guest has cut PCI memory into too many pieces: %s", strerror(-failed));
    }
    board_memory_changed(ranges->board, piece.from, piece.to - piece.from);
}

static void move_memory(struct pci_ranges *ranges, struct pci_range *range)
{
    const struct pci_bar *bar = range->bar;
    bool was_shown = range->shown;
    struct piece old = was_shown ? piece_of(range) : (struct piece){0};
    range->shown = bar->mapped && in_hole(ranges->board->memory, bar);
    range->base = bar->base;
    if (was_shown) lay_piece(ranges, old);
    if (range->shown) lay_piece(ranges, piece_of(range));
}

/* --- ports --- */

static void move_ports(struct pci_ranges *ranges, struct pci_range *range)
{
    const struct pci_bar *bar = range->bar;
    range->shown = bar->mapped && bar->base < PORT_COUNT && bar->bytes <= PORT_COUNT - bar->base;
    range->base = bar->base;
    ports_move(&ranges->board->ports, range->ports, (u16)bar->base, range->shown);
}

/* --- both --- */

/* A register enters the list when it first decodes something. So the order of first use decides where ranges
 * overlap. */
static struct pci_range *range_of(struct pci_ranges *ranges, const struct pci_bar *bar)
{
    for (unsigned n = 0; n < ranges->count; n++)
        if (ranges->range[n].bar == bar) return &ranges->range[n];
    if (ranges->count == PCI_RANGES_MAX) return NULL;
    struct pci_range *range = &ranges->range[ranges->count++];
    *range = (struct pci_range){.bar = bar};
    if (bar->kind == PCI_BAR_PORTS)
        range->ports = ports_add(&ranges->board->ports, (u16)bar->bytes, bar->widest, bar->ops, bar->handler);
    if (range->ports && bar->string_ops) ports_set_string(range->ports, bar->string_ops);
    return range;
}

static void map(void *owner, struct pci_bar *bar)
{
    struct pci_ranges *ranges = owner;
    struct pci_range *range = range_of(ranges, bar);
    if (!range)
        log_warn("the guest uses more than %u PCI ranges", PCI_RANGES_MAX);
    else if (range->ports)
        move_ports(ranges, range);
    else
        move_memory(ranges, range);
}

/* The device leaves the bus, and its register decodes nothing any more. */
static void forget(void *owner, struct pci_bar *bar)
{
    struct pci_ranges *ranges = owner;
    unsigned n = 0;
    while (n < ranges->count && ranges->range[n].bar != bar)
        n++;
    if (n == ranges->count) return;
    struct port_range *ports = ranges->range[n].ports;
    ranges->count--;
    memmove(&ranges->range[n], &ranges->range[n + 1], (ranges->count - n) * sizeof(ranges->range[0]));
    if (ports) ports_remove(&ranges->board->ports, ports);
}

void pci_ranges_init(struct pci_ranges *ranges, struct board *board)
{
    *ranges = (struct pci_ranges){.board = board};
    board->pci.map = map;
    board->pci.forget = forget;
    board->pci.map_owner = ranges;
}
