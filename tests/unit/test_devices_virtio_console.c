/*
 * The virtio console: bytes both ways, input that comes before its buffers, and more output than may be sent at a
 * time. Hazards: lost input; a guest that keeps the machine busy with one endless buffer.
 */
#include "devices/virtio/virtio_console.h"

#include "check.h"
#include "virtio_rig.h"

static struct rig rig;
static struct virtio_console console;
static struct clock test_clock;
static u64 now_ns, sent, rooms;
static char last[64];

static u64 now(const struct clock *c)
{
    return now_ns;
}

static u64 transmit(void *sink, const u8 *bytes, u64 count)
{
    if (count < sizeof(last)) {
        memcpy(last, bytes, count);
        last[count] = 0;
    }
    sent += count;
    return count;
}

static void room(void *sink)
{
    rooms++;
}

static void start(bool legacy)
{
    struct virtio_options options = {.devfn = PCI_DEVFN(6, 0)};
    rig_init(&rig);
    struct dma dma = rig_dma(&rig);
    test_clock = (struct clock){.now_ns = now};
    sent = rooms = 0;
    static const struct virtio_port_ops ops = {.transmit = transmit, .room = room};
    virtio_console_init(&console, &rig.bus, &dma, &options, &test_clock, 1, false);
    virtio_port_plug(&console, 0, true, NULL, &ops, NULL);
    rig.virtio = &console.virtio;
    rig.legacy = legacy;
    rig_start(&rig, 0, 2);
}

enum { DATA = 0x40000 };

static void test_both_ways(bool legacy)
{
    u32 head = 0, written = 0;
    start(legacy);
    memcpy(rig.ram + DATA, "hello", 5);
    struct rig_buffer out[] = {{DATA, 2, false}, {DATA + 2, 3, false}};
    rig_add(&rig, 1, out, 2);
    rig_notify(&rig, 1);
    CHECK(!strcmp(last, "hello"));
    CHECK(rig_get(&rig, 1, &head, &written));
    CHECK_EQ(written, 0);
    CHECK_EQ(rig_interrupt_status(&rig), 1);

    CHECK_EQ(virtio_port_receive(&console.port[0], (const u8 *)"abc", 3), 0); /* no buffer yet */
    struct rig_buffer in[] = {{DATA, 2, true}};
    rig_add(&rig, 0, in, 1);
    rig_notify(&rig, 0);
    CHECK_EQ(rooms, 1);
    CHECK_EQ(virtio_port_receive(&console.port[0], (const u8 *)"abc", 3), 2);
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(written, 2);
    CHECK(!memcmp(rig.ram + DATA, "ab", 2));
    CHECK_EQ(rig_interrupt_status(&rig), 1);
}

/* Queues that are filled before the driver is ready: no buffer is taken or reported until then, and all are taken
 * afterwards (2.1.2). */
static void test_before_ready(void)
{
    u32 head = 0, written = 0;
    start(false);
    rig_write(&rig, 20, 1, 0);
    for (unsigned half = 0; half < 2; half++) {
        rig_write(&rig, 8, 4, half);
        rig_write(&rig, 12, 4, (u32)(VIRTIO_F_VERSION_1 >> 32 * half));
    }
    rig_write(&rig, 20, 1, 11);
    rig_place_queue(&rig, 0);
    rig_place_queue(&rig, 1);
    memcpy(rig.ram + DATA, "x", 1);
    rig_add(&rig, 1, &(struct rig_buffer){DATA, 1, false}, 1);
    rig_notify(&rig, 1);
    rig_add(&rig, 0, &(struct rig_buffer){DATA, 2, true}, 1);
    rig_notify(&rig, 0);
    CHECK_EQ(sent, 0);
    CHECK_EQ(virtio_port_receive(&console.port[0], (const u8 *)"ab", 2), 0);
    CHECK(!rig.line);
    CHECK(!rig_get(&rig, 0, &head, &written));
    CHECK_EQ(rooms, 0);
    rig_write(&rig, 20, 1, 15);
    CHECK_EQ(sent, 1);
    CHECK_EQ(rooms, 1);
    CHECK(rig_get(&rig, 1, &head, &written));
    CHECK_EQ(virtio_port_receive(&console.port[0], (const u8 *)"ab", 2), 2);
}

static void test_flood(void)
{
    u32 head = 0, written = 0;
    start(false);
    /* Many times as much as may be sent at once, all from the same bytes. */
    enum { PARTS = 8, BYTES = RIG_RAM_BYTES / 2 };
    struct rig_buffer out[PARTS];
    for (unsigned n = 0; n < PARTS; n++)
        out[n] = (struct rig_buffer){0, BYTES, false};
    rig_add(&rig, 1, out, PARTS);
    rig_notify(&rig, 1);
    CHECK(sent > 0 && sent <= 65536);
    CHECK(!rig_get(&rig, 1, &head, &written));
    rig_notify(&rig, 1); /* it does not hurry for that */
    CHECK(sent <= 65536);
    unsigned turns = 0;
    for (; turns < 1000 && !rig_get(&rig, 1, &head, &written); turns++) {
        now_ns += 10;
        clock_run(&test_clock);
    }
    CHECK_EQ(sent, (u64)PARTS * BYTES);
    CHECK_EQ(turns, (u64)PARTS * BYTES / 65536 - 1);
    /* A reset ends the transfer. */
    rig_add(&rig, 1, out, PARTS);
    rig_notify(&rig, 1);
    rig_write(&rig, 20, 1, 0);
    sent = 0;
    now_ns += 10;
    clock_run(&test_clock);
    CHECK_EQ(sent, 0);
    /* Of the queue alone, too. */
    rig_start(&rig, VIRTIO_F_RING_RESET, 2);
    rig_add(&rig, 1, out, PARTS);
    rig_notify(&rig, 1);
    rig_write(&rig, 22, 2, 1);
    rig_write(&rig, 58, 2, 1);
    sent = 0;
    now_ns += 10;
    clock_run(&test_clock);
    CHECK_EQ(sent, 0);
}

static void test_emergency_write(void)
{
    start(false);
    rig_write(&rig, 0x2008, 4, '!');
    CHECK_EQ(sent, 1);
    CHECK_EQ(last[0], '!');
}

/* Several ports: the messages between driver and device (5.3.6.2), and a port that is closed. Hazard: input that is
 * lost before a program has opened the port. */
static void message(unsigned id, unsigned event, unsigned value)
{
    store_any(rig.ram + DATA, 4, id);
    store_any(rig.ram + DATA + 4, 2, event);
    store_any(rig.ram + DATA + 6, 2, value);
    rig_add(&rig, 3, &(struct rig_buffer){DATA, 8, false}, 1);
    rig_notify(&rig, 3);
}

static bool hears(unsigned id, unsigned event, unsigned value, const char *name)
{
    u32 head, written;
    rig_add(&rig, 2, &(struct rig_buffer){DATA + 0x100, 64, true}, 1);
    rig_notify(&rig, 2);
    const u8 *at = rig.ram + DATA + 0x100;
    return rig_get(&rig, 2, &head, &written) && written == 8 + strlen(name) && load_any(at, 4) == id &&
           load_any(at + 4, 2) == event && load_any(at + 6, 2) == value &&
           !memcmp(at + 8, name, strlen(name));
}

static void test_ports(void)
{
    enum { READY, ADD, PORT_READY = 3, CONSOLE, OPEN = 6, NAME };
    static const struct virtio_port_ops ops = {.transmit = transmit, .room = room};
    struct virtio_options options = {.devfn = PCI_DEVFN(6, 0)};
    u32 head, written;
    rig_init(&rig);
    struct dma dma = rig_dma(&rig);
    sent = rooms = 0;
    virtio_console_init(&console, &rig.bus, &dma, &options, &test_clock, 2, true);
    virtio_port_plug(&console, 0, true, NULL, &ops, NULL);
    virtio_port_plug(&console, 1, false, "org.example.agent", &ops, NULL);
    rig.virtio = &console.virtio;
    rig.legacy = false;
    rig_start(&rig, VIRTIO_CONSOLE_F_MULTIPORT, 6);
    CHECK_EQ(load_any(&console.virtio.config[4], 4), 2);
    virtio_port_set_open(&console.port[1],
                         true); /* the driver does not know of the port yet: told when it is ready */
    console.message_head = console.message_tail;
    message(0, READY, 1);
    CHECK(hears(0, ADD, 1, "") && hears(1, ADD, 1, ""));
    message(0, PORT_READY, 1);
    CHECK(hears(0, CONSOLE, 1, ""));
    message(1, PORT_READY, 1);
    CHECK(hears(1, NAME, 1, "org.example.agent") && hears(1, OPEN, 1, ""));
    rig_add(&rig, 4, &(struct rig_buffer){DATA + 0x200, 16, true}, 1);
    CHECK_EQ(virtio_port_receive(&console.port[1], (const u8 *)"abc", 3), 0);
    message(1, OPEN, 1);
    CHECK_EQ(rooms, 1);
    CHECK_EQ(virtio_port_receive(&console.port[1], (const u8 *)"abc", 3), 3);
    CHECK(rig_get(&rig, 4, &head, &written) && written == 3 && !memcmp(rig.ram + DATA + 0x200, "abc", 3));
    memcpy(rig.ram + DATA + 0x300, "answer", 6);
    rig_add(&rig, 5, &(struct rig_buffer){DATA + 0x300, 6, false}, 1);
    rig_notify(&rig, 5);
    CHECK(!strcmp(last, "answer") && rig_get(&rig, 5, &head, &written));
    virtio_port_set_open(&console.port[1], false);
    CHECK(hears(1, OPEN, 0, ""));
    message(7, PORT_READY, 1); /* there is no such port */
    message(0xffffffff, OPEN, 1);
    message(1, OPEN, 0);
    CHECK_EQ(virtio_port_receive(&console.port[1], (const u8 *)"abc", 3), 0);
}

int main(void)
{
    test_ports();
    test_both_ways(false);
    test_both_ways(true);
    test_before_ready();
    test_flood();
    test_emergency_write();
    return check_report();
}
