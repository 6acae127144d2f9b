#include "ports.h"

#include <assert.h>
#include <string.h>

static_assert(PORT_MAX_RANGES < 256, "range number + 1 fits the index table's bytes");

void ports_init(struct port_bus *bus)
{
    memset(bus, 0, sizeof(*bus));
}

static void show(struct port_bus *bus, const struct port_range *range)
{
    assert(range->base + range->count <= PORT_COUNT);
    memset(bus->index + range->base, (int)(range - bus->range) + 1, range->count);
}

struct port_range *ports_add(struct port_bus *bus, u16 count, u8 widest, const struct io_ops *ops,
                             void *device)
{
    unsigned n = 0;
    while (n < bus->range_count && bus->range[n].count)
        n++;
    assert(n < PORT_MAX_RANGES);
    if (n == bus->range_count) bus->range_count++;
    struct port_range *range = &bus->range[n];
    *range = (struct port_range){.count = count, .widest = widest, .ops = ops, .device = device};
    return range;
}

void ports_claim(struct port_bus *bus, u16 base, u16 count, u8 widest, const struct io_ops *ops, void *device)
{
    struct port_range *range = ports_add(bus, count, widest, ops, device);
    range->base = base;
    range->mapped = true;
    show(bus, range);
}

void ports_move(struct port_bus *bus, struct port_range *range, u16 base, bool mapped)
{
    range->base = base;
    range->mapped = mapped;
    /* Rare, so all ranges are entered again, in their order: later ones win. */
    memset(bus->index, 0, sizeof(bus->index));
    for (unsigned n = 0; n < bus->range_count; n++)
        if (bus->range[n].mapped) show(bus, &bus->range[n]);
}

void ports_remove(struct port_bus *bus, struct port_range *range)
{
    ports_move(bus, range, 0, false);
    *range = (struct port_range){.count = 0};
}

/* The range that takes the whole access. NULL: the access must be split, or no range is there. */
static struct port_range *whole(struct port_bus *bus, u16 port, unsigned size)
{
    unsigned number = bus->index[port];
    if (!number) return NULL;
    struct port_range *range = &bus->range[number - 1];
    if (size > range->widest || port + size > (unsigned)range->base + range->count) return NULL;
    return range;
}

u32 ports_read(struct port_bus *bus, u16 port, unsigned size)
{
    struct port_range *range = whole(bus, port, size);
    if (range) return (u32)mask_bytes(range->ops->read(range->device, port - range->base, size), size);
    if (size == 1) return 0xff;
    unsigned half = size / 2;
    u32 low = ports_read(bus, port, half);
    return low | ports_read(bus, (u16)(port + half), half) << (half * 8);
}

void ports_write(struct port_bus *bus, u16 port, unsigned size, u32 value)
{
    struct port_range *range = whole(bus, port, size);
    if (range) {
        range->ops->write(range->device, port - range->base, size, (u32)mask_bytes(value, size));
        return;
    }
    if (size == 1) return;
    unsigned half = size / 2;
    ports_write(bus, port, half, (u32)mask_bytes(value, half));
    ports_write(bus, (u16)(port + half), half, value >> (half * 8));
}

void ports_set_string(struct port_range *range, const struct io_string_ops *ops)
{
    range->string_ops = ops;
}

u32 ports_read_string(struct port_bus *bus, u16 port, unsigned size, u8 *to, u32 count)
{
    struct port_range *range = whole(bus, port, size);
    if (!range || !range->string_ops) return 0;
    return range->string_ops->read(range->device, port - range->base, size, to, count);
}

u32 ports_write_string(struct port_bus *bus, u16 port, unsigned size, const u8 *from, u32 count)
{
    struct port_range *range = whole(bus, port, size);
    if (!range || !range->string_ops) return 0;
    return range->string_ops->write(range->device, port - range->base, size, from, count);
}
