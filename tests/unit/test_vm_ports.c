/*
 * The port bus: splitting, unclaimed ports, windows' ends.
 */
#include "vm/ports.h"

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

int main(void)
{
    struct port_bus *bus = malloc(sizeof(*bus));
    struct probe narrow = {0}, wide = {0};
    ports_init(bus);
    ports_claim(bus, 0x60, 2, 1, &probe_ops, &narrow);
    ports_claim(bus, 0xcf8, 8, 4, &probe_ops, &wide);

    CHECK_EQ(ports_read(bus, 0x60, 1), 0x11);
    CHECK_EQ(ports_read(bus, 0x60, 2), 0x2111);
    CHECK_EQ(ports_read(bus, 0x61, 2), 0xff21); /* leaves the window */
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

    /* A window that moves covers others and shows them again. */
    struct probe moving = {0};
    struct port_window *window = ports_add(bus, 16, 4, &probe_ops, &moving);
    CHECK_EQ(ports_read(bus, 0x600, 4), 0xffffffff);
    ports_move(bus, window, 0x600, true);
    CHECK_EQ(ports_read(bus, 0x608, 4), 0x94);
    ports_move(bus, window, 0x60, true);
    CHECK_EQ(ports_read(bus, 0x608, 4), 0xffffffff);
    CHECK_EQ(ports_read(bus, 0x60, 4), 0x14);
    ports_move(bus, window, 0x60, false);
    CHECK_EQ(ports_read(bus, 0x60, 4), 0xffff2111);
    CHECK_EQ(ports_read(bus, 0xcfc, 4), 0x54);
    free(bus);
    return check_report();
}
