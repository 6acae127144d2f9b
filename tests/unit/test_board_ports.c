/*
 * The port bus: splitting, unclaimed ports, ends of ranges.
 */
#include "board/ports.h"

#include "check.h"

#include <stdlib.h>

/* A device that remembers its last access and answers with offset and size. */
struct probe {
    u32 offset, value;
    unsigned size, reads, writes;
};

static u32 probe_read(void *device, u32 offset, unsigned size)
{
    struct probe *probe = device;
    probe->reads++;
    probe->size = size;
    return 0x10 * (offset + 1) + size;
}

static void probe_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct probe *probe = device;
    *probe = (struct probe){.offset = offset, .value = value, .size = size, .writes = probe->writes + 1};
}

static const struct io_ops probe_ops = {probe_read, probe_write};

/* Streams through its first port only. */
static u32 stream_read(void *device, u32 offset, unsigned size, u8 *to, u32 count)
{
    if (offset) return 0;
    for (u32 n = 0; n < count * size; n++)
        to[n] = (u8)n;
    return count;
}

static u32 stream_write(void *device, u32 offset, unsigned size, const u8 *from, u32 count)
{
    struct probe *probe = device;
    probe->value = from[0];
    return offset ? 0 : count;
}

static const struct io_string_ops stream_ops = {stream_read, stream_write};

static void test_strings(struct port_bus *bus, struct probe *wide)
{
    u8 bytes[8] = {0};
    CHECK_EQ(ports_read_string(bus, 0xcf8, 2, bytes, 4), 0);
    struct port_range *window = ports_add(bus, 4, 2, &probe_ops, wide);
    ports_set_string(window, &stream_ops);
    ports_move(bus, window, 0x200, true);
    CHECK_EQ(ports_read_string(bus, 0x200, 2, bytes, 4), 4);
    CHECK_EQ(bytes[7], 7);
    CHECK_EQ(ports_read_string(bus, 0x202, 2, bytes, 4), 0);
    CHECK_EQ(ports_read_string(bus, 0x200, 4, bytes, 2), 0); /* wider than the range */
    CHECK_EQ(ports_read_string(bus, 0x300, 2, bytes, 4), 0);
    CHECK_EQ(ports_write_string(bus, 0x200, 1, (const u8 *)"x", 1), 1);
    CHECK_EQ(wide->value, 'x');
    CHECK_EQ(ports_write_string(bus, 0x300, 1, (const u8 *)"x", 1), 0);
}

/* A range that is gone answers no more, shows what it covered, and leaves its place to the next one. */
static void test_removal(struct port_bus *bus, struct probe *below, struct probe *above)
{
    struct port_range *first = ports_add(bus, 4, 1, &probe_ops, below),
                      *second = ports_add(bus, 4, 1, &probe_ops, above);
    unsigned count = bus->range_count;
    ports_move(bus, first, 0x300, true);
    ports_move(bus, second, 0x300, true);
    above->reads = below->reads = 0;
    ports_read(bus, 0x300, 1);
    CHECK_EQ(above->reads, 1);
    ports_remove(bus, second);
    ports_read(bus, 0x300, 1);
    CHECK_EQ(below->reads, 1);
    for (unsigned n = 0; n < 2 * PORT_MAX_RANGES; n++)
        ports_remove(bus, ports_add(bus, 4, 1, &probe_ops, above));
    CHECK_EQ(bus->range_count, count);
    ports_remove(bus, first);
    CHECK_EQ(ports_read(bus, 0x300, 1), 0xff);
}

int main(void)
{
    struct port_bus *bus = malloc(sizeof(*bus));
    struct probe narrow = {0}, wide = {0};
    ports_init(bus);
    ports_claim(bus, 0x60, 2, 1, &probe_ops, &narrow);
    ports_claim(bus, 0xcf8, 8, 4, &probe_ops, &wide);

    CHECK_EQ(ports_read(bus, 0x60, 1), 0x11);
    CHECK_EQ(ports_read(bus, 0x60, 2), 0x2111);
    CHECK_EQ(ports_read(bus, 0x61, 2), 0xff21); /* goes beyond the range */
    CHECK_EQ(ports_read(bus, 0x60, 4), 0xffff2111);
    CHECK_EQ(ports_read(bus, 0x5f, 4), 0xff2111ff);
    CHECK_EQ(ports_read(bus, 0x1234, 4), 0xffffffff);
    CHECK_EQ(ports_read(bus, 0x1234, 1), 0xff);
    CHECK_EQ(ports_read(bus, 0xcfc, 4), 0x54);
    CHECK_EQ(ports_read(bus, 0xcfe, 2), 0x72);
    CHECK_EQ(ports_read(bus, 0xcfe, 4), 0xffff0072);

    ports_write(bus, 0x60, 2, 0xffff1234);
    CHECK_EQ(narrow.writes, 2);
    CHECK_EQ(narrow.offset, 1);
    CHECK_EQ(narrow.value, 0x12);
    ports_write(bus, 0xcf8, 4, 0x80001234);
    CHECK_EQ(wide.writes, 1);
    CHECK_EQ(wide.value, 0x80001234);
    CHECK_EQ(wide.size, 4);

    /* The address space wraps: nothing is written past the table. */
    ports_claim(bus, 0xffff, 1, 1, &probe_ops, &narrow);
    CHECK_EQ(ports_read(bus, 0xffff, 4), 0xffffff11);
    ports_claim(bus, 0, 1, 1, &probe_ops, &narrow);
    CHECK_EQ(ports_read(bus, 0xffff, 2), 0x1111);

    /* A range that moves covers others, and uncovers them again. */
    struct probe moving = {0};
    struct port_range *window = ports_add(bus, 16, 4, &probe_ops, &moving);
    CHECK_EQ(ports_read(bus, 0x600, 4), 0xffffffff);
    ports_move(bus, window, 0x600, true);
    CHECK_EQ(ports_read(bus, 0x608, 4), 0x94);
    ports_move(bus, window, 0x60, true);
    CHECK_EQ(ports_read(bus, 0x608, 4), 0xffffffff);
    CHECK_EQ(ports_read(bus, 0x60, 4), 0x14);
    ports_move(bus, window, 0x60, false);
    CHECK_EQ(ports_read(bus, 0x60, 4), 0xffff2111);
    CHECK_EQ(ports_read(bus, 0xcfc, 4), 0x54);
    test_strings(bus, &wide);
    test_removal(bus, &narrow, &wide);
    free(bus);
    return check_report();
}
