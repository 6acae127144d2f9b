/*
 * The port bus: the range that answers at each of the 65536 I/O ports.
 *
 * A range is registered with the widest access that its device understands. Wider ones are split into halves,
 * low half first, as an ISA bridge does it (PIIX3 datasheet 4.3, "bus cycle steering"). An access that leaves
 * its range is split too. Ports without a range read as ones and ignore writes.
 */
#ifndef RINGER_BOARD_PORTS_H
#define RINGER_BOARD_PORTS_H

#include "base/counters.h"
#include "base/device.h"

#define PORT_COUNT      65536
#define PORT_MAX_RANGES 128

struct port_range {
    u16 base;
    u16 count; /* 0: free for another range */
    u8 widest; /* 1, 2 or 4 bytes */
    bool mapped;
    const struct io_ops *ops;
    const struct io_string_ops *string_ops; /* NULL: element by element */
    void *device;
};

struct port_bus {
    u8 index[PORT_COUNT]; /* range number + 1, or 0 */
    struct port_range range[PORT_MAX_RANGES];
    unsigned range_count;
};

void ports_init(struct port_bus *bus);

/* Claim ports base to base+count-1. A later claim wins over an earlier one where they overlap. */
void ports_claim(struct port_bus *bus, u16 base, u16 count, u8 widest, const struct io_ops *ops,
                 void *device);

/* A range that the guest can move: it has no ports until ports_move() gives it some. */
struct port_range *ports_add(struct port_bus *bus, u16 count, u8 widest, const struct io_ops *ops,
                             void *device);
/* For good: its entry of the table is free for another range. */
void ports_remove(struct port_bus *bus, struct port_range *range);
/* Move the range to `base`, or (mapped: false) take it off the bus. The ranges that it covered before answer again. */
void ports_move(struct port_bus *bus, struct port_range *range, u16 base, bool mapped);

/* String I/O for this range. */
void ports_set_string(struct port_range *range, const struct io_string_ops *ops);

u32 ports_read(struct port_bus *bus, u16 port, unsigned size);
void ports_write(struct port_bus *bus, u16 port, unsigned size, u32 value);
/* Transfer up to `count` elements at once. Returns how many were transferred; 0: the port takes single elements
 * only. */
u32 ports_read_string(struct port_bus *bus, u16 port, unsigned size, u8 *to, u32 count);
u32 ports_write_string(struct port_bus *bus, u16 port, unsigned size, const u8 *from, u32 count);

#endif
