#include "ports.h"

#include <assert.h>
#include <string.h>

static_assert(PORT_MAX_WINDOWS < 256, "window number + 1 fits the index table's bytes");

void ports_init(struct port_bus *bus)
{
    memset(bus, 0, sizeof(*bus));
}

static void show(struct port_bus *bus, const struct port_window *window)
{
    assert(window->base + window->count <= PORT_COUNT);
    memset(bus->index + window->base, (int)(window - bus->window) + 1, window->count);
}

struct port_window *ports_add(struct port_bus *bus, u16 count, u8 widest, const struct io_ops *ops,
                              void *device)
{
    assert(bus->window_count < PORT_MAX_WINDOWS);
    struct port_window *window = &bus->window[bus->window_count++];
    *window = (struct port_window){.count = count, .widest = widest, .ops = ops, .device = device};
    return window;
}

void ports_claim(struct port_bus *bus, u16 base, u16 count, u8 widest, const struct io_ops *ops, void *device)
{
    struct port_window *window = ports_add(bus, count, widest, ops, device);
    window->base = base;
    window->mapped = true;
    show(bus, window);
}

void ports_move(struct port_bus *bus, struct port_window *window, u16 base, bool mapped)
{
    window->base = base;
    window->mapped = mapped;
    /* Rare: all of them anew, in their order, so that later ones win. */
    memset(bus->index, 0, sizeof(bus->index));
    for (unsigned n = 0; n < bus->window_count; n++)
        if (bus->window[n].mapped) show(bus, &bus->window[n]);
}

/* The window that takes the access whole, NULL if it must be split (or nobody is there). */
static struct port_window *whole(struct port_bus *bus, u16 port, unsigned size)
{
    unsigned number = bus->index[port];
    if (!number) return NULL;
    struct port_window *window = &bus->window[number - 1];
    if (size > window->widest || port + size > (unsigned)window->base + window->count) return NULL;
    return window;
}

u32 ports_read(struct port_bus *bus, u16 port, unsigned size)
{
    struct port_window *window = whole(bus, port, size);
    if (window) return (u32)mask_bytes(window->ops->read(window->device, port - window->base, size), size);
    if (size == 1) return 0xff;
    unsigned half = size / 2;
    u32 low = ports_read(bus, port, half);
    return low | ports_read(bus, (u16)(port + half), half) << (half * 8);
}

void ports_write(struct port_bus *bus, u16 port, unsigned size, u32 value)
{
    struct port_window *window = whole(bus, port, size);
    if (window) {
        window->ops->write(window->device, port - window->base, size, (u32)mask_bytes(value, size));
        return;
    }
    if (size == 1) return;
    unsigned half = size / 2;
    ports_write(bus, port, half, (u32)mask_bytes(value, half));
    ports_write(bus, (u16)(port + half), half, value >> (half * 8));
}

void ports_set_string(struct port_window *window, const struct io_string_ops *ops)
{
    window->string_ops = ops;
}

u32 ports_read_string(struct port_bus *bus, u16 port, unsigned size, u8 *to, u32 count)
{
    struct port_window *window = whole(bus, port, size);
    if (!window || !window->string_ops) return 0;
    return window->string_ops->read(window->device, port - window->base, size, to, count);
}

u32 ports_write_string(struct port_bus *bus, u16 port, unsigned size, const u8 *from, u32 count)
{
    struct port_window *window = whole(bus, port, size);
    if (!window || !window->string_ops) return 0;
    return window->string_ops->write(window->device, port - window->base, size, from, count);
}
