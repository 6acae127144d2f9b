/*
 * Drivers that break every rule of rings: the device sets DEVICE_NEEDS_RESET, touches nothing, and works again after
 * a reset. Hazards: a loop that never ends; memory outside of RAM; a queue that does not exist.
 */
#include "devices/virtio/virtio_rng.h"

#include "check.h"

#define RIG_QUEUE 8
#include "virtio_rig.h"

static struct rig rig;
static struct virtio_rng rng;
static struct clock test_clock;
static u64 now_ns;
static bool have_random;
static unsigned filled;

static u64 now(const struct clock *c)
{
    return now_ns;
}

static bool fill(void *owner, u8 *bytes, unsigned count)
{
    CHECK(count <= VIRTIO_RNG_BYTES);
    memset(bytes, 0xa5, count);
    filled++;
    return have_random;
}

static void make(struct virtio_options options)
{
    rig_init(&rig);
    struct dma dma = rig_dma(&rig);
    test_clock = (struct clock){.now_ns = now};
    have_random = true;
    options.devfn = PCI_DEVFN(5, 0);
    virtio_rng_init(&rng, &rig.bus, &dma, &options, &test_clock, fill, NULL);
    rig.virtio = &rng.virtio;
}

static void start(u64 features)
{
    make((struct virtio_options){0});
    rig_start(&rig, features, 1);
    CHECK_EQ(rig_status(&rig), 15);
}

enum { DATA = 0x40000, TABLE = 0x50000 };

static bool serves(void)
{
    u32 head, written;
    struct rig_buffer buffer = {DATA, 64, true};
    memset(rig.ram + DATA, 0, 64);
    rig_add(&rig, 0, &buffer, 1);
    rig_notify(&rig, 0);
    return rig_get(&rig, 0, &head, &written) && written == 64 && rig.ram[DATA + 63] == 0xa5;
}

/* The chain with this head breaks the device; after a reset it serves again. */
static void breaks(u16 head, u64 features)
{
    rig_offer(&rig, 0, head);
    rig_notify(&rig, 0);
    CHECK_EQ(rig_status(&rig), 15 | VIRTIO_NEEDS_RESET);
    CHECK_EQ(rig_interrupt_status(&rig), 2); /* the configuration changed, sort of */
    CHECK_EQ(load_any(rig.ram + rig.queue[0].device + 2, 2), 0);
    rig_notify(&rig, 0);
    CHECK(!serves());
    rig_write(&rig, 20, 1, 15); /* the bit is not the driver's to clear */
    CHECK_EQ(rig_status(&rig), 15 | VIRTIO_NEEDS_RESET);
    rig_start(&rig, features, 1);
    CHECK_EQ(rig_status(&rig), 15);
    CHECK(serves());
}

static void test_descriptors(void)
{
    static const struct {
        u64 gpa;
        u32 bytes;
        u16 flags, next;
    } bad[] = {
        {DATA, 16, 2 | 1, RIG_QUEUE},      /* goes on at a descriptor that is not there */
        {DATA, 16, 2 | 1, 0xffff},         /* ... */
        {DATA, 16, 2 | 1, 0},              /* goes on with itself */
        {DATA, 0, 2 | 1, 0},               /* the same, of nothing */
        {RIG_RAM_BYTES, 16, 2, 0},         /* outside of RAM */
        {RIG_RAM_BYTES - 8, 16, 2, 0},     /* partly */
        {DATA, 0xffffffff, 2, 0},          /* a length that is too long */
        {0xffffffffffffff00, 0x200, 2, 0}, /* around the end of all memory */
        {1ull << 63, 16, 0, 0},            /* to be read */
        {TABLE, 16, 4, 0},                 /* an indirect table that was not negotiated */
    };
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        start(0);
        rig_put_descriptor(&rig, rig.queue[0].descriptors, 0, bad[n].gpa, bad[n].bytes, bad[n].flags,
                           bad[n].next);
        breaks(0, 0);
    }
    start(0);
    breaks(RIG_QUEUE, 0);
    start(0);
    breaks(0xffff, 0);
}

static void test_order(void)
{
    start(0);
    struct rig_buffer buffer[] = {{DATA, 16, true}, {DATA, 16, false}};
    rig_add(&rig, 0, buffer, 2); /* to be read behind to be written */
    rig_notify(&rig, 0);
    CHECK(rig_status(&rig) & VIRTIO_NEEDS_RESET);
}

static void test_index(void)
{
    start(0);
    /* More chains than the queue has entries. */
    store_any(rig.ram + rig.queue[0].driver + 2, 2, RIG_QUEUE + 1);
    rig_notify(&rig, 0);
    CHECK(rig_status(&rig) & VIRTIO_NEEDS_RESET);
    start(0);
    store_any(rig.ram + rig.queue[0].driver + 2, 2, 0xffff); /* backwards */
    rig_notify(&rig, 0);
    CHECK(rig_status(&rig) & VIRTIO_NEEDS_RESET);
}

static void test_indirect(void)
{
    u32 head = 0, written = 0;
    static const struct {
        u64 gpa;
        u32 bytes;
        u16 flags;
    } bad[] = {
        {TABLE, 0, 4},           {TABLE, 17, 4},
        {TABLE, 32, 4 | 1},      {RIG_RAM_BYTES / 2 - 16, 32, 4}, /* the table crosses the seam of memory */
        {RIG_RAM_BYTES, 32, 4},  {TABLE, 0xfffffff0, 4},
        {TABLE + 0x1000, 16, 4}, /* the entry is indirect, too */
        {TABLE + 0x2000, 32, 4}, /* a loop within the table */
        {TABLE + 0x3000, 16, 4}, /* the entry goes on outside of the table */
    };
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        start(VIRTIO_F_INDIRECT_DESC);
        rig_put_descriptor(&rig, TABLE, 0, DATA, 16, 2, 0);
        rig_put_descriptor(&rig, TABLE + 0x1000, 0, TABLE, 16, 4, 0);
        rig_put_descriptor(&rig, TABLE + 0x2000, 0, DATA, 0, 2 | 1, 1);
        rig_put_descriptor(&rig, TABLE + 0x2000, 1, DATA, 0, 2 | 1, 0);
        rig_put_descriptor(&rig, TABLE + 0x3000, 0, DATA, 16, 2 | 1, 1);
        rig_put_descriptor(&rig, rig.queue[0].descriptors, 0, bad[n].gpa, bad[n].bytes, bad[n].flags, 0);
        breaks(0, VIRTIO_F_INDIRECT_DESC);
    }
    /* A good one: direct entries, then a table. */
    start(VIRTIO_F_INDIRECT_DESC);
    rig_put_descriptor(&rig, TABLE, 0, DATA, 16, 2 | 1, 1);
    rig_put_descriptor(&rig, TABLE, 1, DATA + 0x100, 16, 2, 0);
    rig_put_descriptor(&rig, rig.queue[0].descriptors, 0, DATA + 0x200, 16, 1, 1);
    rig_put_descriptor(&rig, rig.queue[0].descriptors, 1, TABLE, 32, 4, 0);
    rig_offer(&rig, 0, 0);
    rig_notify(&rig, 0);
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(written, 32);
    CHECK_EQ(rig.ram[DATA + 0x10f], 0xa5);
}

static void test_long_chain(void)
{
    /* As many parts as fit, then one more. */
    for (unsigned more = 0; more < 2; more++) {
        start(VIRTIO_F_INDIRECT_DESC);
        unsigned count = VIRTIO_CHAIN_PARTS + more;
        for (unsigned n = 0; n < count; n++)
            rig_put_descriptor(&rig, TABLE, n, DATA + n, 1, n + 1 < count ? 3 : 2, (u16)(n + 1));
        rig_put_descriptor(&rig, rig.queue[0].descriptors, 0, TABLE, count * 16, 4, 0);
        rig_offer(&rig, 0, 0);
        rig_notify(&rig, 0);
        CHECK_EQ(rig_status(&rig), more ? 15 | VIRTIO_NEEDS_RESET : 15);
    }
}

static void place(u32 offset, u64 value)
{
    rig_write(&rig, offset, 4, (u32)value);
    rig_write(&rig, offset + 4, 4, (u32)(value >> 32));
}

static void test_queues(void)
{
    static const struct {
        u16 size;
        u64 descriptors, driver, device;
    } bad[] = {
        {0, 0x1000, 0x2000, 0x3000},
        {3, 0x1000, 0x2000, 0x3000},
        {16, 0x1000, 0x2000, 0x3000}, /* the device has 8 */
        {0xffff, 0x1000, 0x2000, 0x3000},
        {8, RIG_RAM_BYTES, 0x2000, 0x3000},
        {8, RIG_RAM_BYTES - 16, 0x2000, 0x3000},
        {8, 0x1000, ~0ull, 0x3000},
        {8, 0x1000, 0x2000, 1ull << 40},
        {8, 0x1000, 0x2000, RIG_RAM_BYTES / 2 - 4},
    };
    filled = 0;
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        make((struct virtio_options){0});
        rig_start(&rig, 0, 0);
        rig_write(&rig, 22, 2, 0);
        rig_write(&rig, 24, 2, bad[n].size);
        place(32, bad[n].descriptors);
        place(40, bad[n].driver);
        place(48, bad[n].device);
        rig_write(&rig, 28, 2, 1);
        CHECK_EQ(rig_read(&rig, 28, 2), 0);
        CHECK(rig_status(&rig) & VIRTIO_NEEDS_RESET);
        rig_notify(&rig, 0);
        rig_notify(&rig, 1);
        rig_notify(&rig, 1023);
    }
    CHECK_EQ(filled, 0);
    /* Queues that are not there; a legacy page that is not. */
    make((struct virtio_options){0});
    rig_write(&rig, 22, 2, 0xffff);
    CHECK_EQ(rig_read(&rig, 24, 2), 0);
    rig_write(&rig, 28, 2, 1);
    rig_write(&rig, 58, 2, 1);
    rig.legacy = true;
    rig_out(&rig, 14, 2, 9);
    CHECK_EQ(rig_in(&rig, 12, 2), 0);
    rig_out(&rig, 8, 4, 1);
    rig_out(&rig, 14, 2, 0);
    rig_out(&rig, 8, 4, 0xffffffff);
    rig_out(&rig, 16, 2, 0);
    rig_out(&rig, 16, 2, 0xffff);
    CHECK_EQ(filled, 0);
}

static void test_negotiation(void)
{
    make((struct virtio_options){0});
    rig_config_write(&rig, PCI_COMMAND, 2, 6);
    rig_write(&rig, 20, 1, 3);
    rig_write(&rig, 8, 4, 1);
    rig_write(&rig, 12, 4, 0x80000001); /* VERSION_1, and one that was not offered */
    rig_write(&rig, 20, 1, 11);
    CHECK_EQ(rig_status(&rig), 3);
    rig_write(&rig, 12, 4, 0);
    rig_write(&rig, 20, 1, 11);
    CHECK_EQ(rig_status(&rig), 3); /* not without VERSION_1 */
    rig_write(&rig, 12, 4, 1);
    rig_write(&rig, 20, 1, 11);
    CHECK_EQ(rig_status(&rig), 11);
    rig_write(&rig, 12, 4, 0); /* too late */
    CHECK_EQ(rig_read(&rig, 12, 4), 1);
    rig_write(&rig, 0, 4, 0);
    CHECK_EQ(rig_read(&rig, 4, 4) >> 28, 3);
    rig_write(&rig, 0, 4, 77);
    CHECK_EQ(rig_read(&rig, 4, 4), 0);
    /* No bus master, no memory. */
    rig_place_queue(&rig, 0);
    rig_write(&rig, 20, 1, 15);
    rig_config_write(&rig, PCI_COMMAND, 2, 2);
    CHECK(!serves());
    rig_config_write(&rig, PCI_COMMAND, 2, 6);
    rig_notify(&rig, 0);
    u32 head, written;
    CHECK(rig_get(&rig, 0, &head, &written));
}

/* The way to BAR 4 through configuration space. */
static void test_access_capability(void)
{
    make((struct virtio_options){.no_legacy = true});
    CHECK_EQ(rig_config_read(&rig, 0, 4), 0x10441af4);
    unsigned at = rng.virtio.access_capability;
    rig_config_write(&rig, at + 4, 1, 4);
    rig_config_write(&rig, at + 8, 4, 20); /* the status */
    rig_config_write(&rig, at + 12, 4, 1);
    rig_config_write(&rig, at + 16, 1, 3);
    CHECK_EQ(rig_status(&rig), 3);
    CHECK_EQ(rig_config_read(&rig, at + 16, 1), 3);
    rig_config_write(&rig, at + 8, 4, 18);
    rig_config_write(&rig, at + 12, 4, 2);
    CHECK_EQ(rig_config_read(&rig, at + 16, 4), 1); /* one queue */
    static const u32 bad[][3] = {{4, 0x8000, 4}, {4, 0xfffffffc, 4}, {4, 2, 4}, {4, 0, 3},
                                 {4, 0, 8},      {0, 0, 4},          {6, 0, 4}, {4, 0, 0xffffffff}};
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        rig_config_write(&rig, at + 4, 1, bad[n][0]);
        rig_config_write(&rig, at + 8, 4, bad[n][1]);
        rig_config_write(&rig, at + 12, 4, bad[n][2]);
        rig_config_write(&rig, at + 16, 4, 0x12345678);
        CHECK_EQ(rig_config_read(&rig, at + 16, 4), 0x12345678);
    }
    CHECK_EQ(rig_status(&rig), 3);
}

static void test_entropy(void)
{
    u32 head = 0, written = 0;
    start(VIRTIO_F_EVENT_IDX);
    CHECK(serves());
    struct rig_buffer large = {DATA, 0x2000, true};
    rig_add(&rig, 0, &large, 1);
    rig_notify(&rig, 0);
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(written, VIRTIO_RNG_BYTES);
    /* The host has no random bytes yet: the buffer stays with the driver until there are some. */
    have_random = false;
    rig_add(&rig, 0, &large, 1);
    rig_notify(&rig, 0);
    CHECK(!rig_get(&rig, 0, &head, &written));
    have_random = true;
    now_ns += 1000000000;
    clock_run(&test_clock);
    CHECK(rig_get(&rig, 0, &head, &written));
    /* A reset while waiting. */
    have_random = false;
    rig_add(&rig, 0, &large, 1);
    rig_notify(&rig, 0);
    virtio_hard_reset(&rng.virtio);
    have_random = true;
    now_ns += 1000000000;
    unsigned before = filled;
    clock_run(&test_clock);
    CHECK_EQ(filled, before);
}

int main(void)
{
    test_negotiation();
    test_access_capability();
    test_queues();
    test_descriptors();
    test_order();
    test_index();
    test_indirect();
    test_long_chain();
    test_entropy();
    return check_report();
}
