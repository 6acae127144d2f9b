/*
 * The memory balloon: pages in both directions, runs, reported pages, statistics, a target, a driver that lies
 * (hazards: a page released that the driver did not name; a queue number that moves when a feature is refused; a buffer
 * given back twice).
 */
#include "devices/virtio/virtio_balloon.h"

#include "check.h"
#include "virtio_rig.h"

static struct rig rig;
static struct virtio_balloon balloon;
static struct {
    u64 gpa, bytes;
} released[16];
static unsigned releases, changes;
static u32 told;

static void release(void *memory, u64 gpa, u64 bytes)
{
    released[releases].gpa = gpa;
    released[releases++ % 16].bytes = bytes;
}
static void changed(void *owner, u32 actual)
{
    changes++;
    told = actual;
}

static void start(bool legacy, u64 features, bool reporting)
{
    struct virtio_options options = {.devfn = PCI_DEVFN(3, 0)};
    struct virtio_balloon_options how = {.reporting = reporting};
    rig_init(&rig);
    struct dma dma = rig_dma(&rig);
    dma.release = release;
    rig.legacy = legacy;
    rig.virtio = &balloon.virtio;
    virtio_balloon_init(&balloon, &rig.bus, &dma, &options, &how);
    balloon.changed = changed;
    releases = changes = 0;
    rig_start(&rig, features, reporting ? 4 : 3);
}

static void offer_pages(unsigned queue, const u32 *page, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        pci_put32(rig.ram + 0x40000 + 4 * n, page[n]);
    rig_add(&rig, queue, &(struct rig_buffer){0x40000, 4 * count, false}, 1);
    rig_notify(&rig, queue);
}

static void test_pages(bool legacy)
{
    static const u32 pages[] = {5, 6, 7, 100, 99, 98, 3};
    u32 head, written;
    start(legacy, 0, false);
    offer_pages(0, pages, 7);
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(releases, 3);
    CHECK_EQ(released[0].gpa, 5 << 12);
    CHECK_EQ(released[0].bytes, 3 << 12);
    CHECK_EQ(released[1].gpa, 98 << 12);
    CHECK_EQ(released[1].bytes, 3 << 12);
    CHECK_EQ(released[2].gpa, 3 << 12);
    CHECK_EQ(balloon.released_bytes, 7 << 12);
    offer_pages(1, pages, 7);
    CHECK(rig_get(&rig, 1, &head, &written));
    CHECK_EQ(releases, 3); /* deflated pages are touched when they are used */
}

static void test_target(bool legacy)
{
    u32 config = legacy ? 20 : 0x2000;
    u32 (*get)(struct rig *, u32, unsigned) = legacy ? rig_in : rig_read;
    void (*put)(struct rig *, u32, unsigned, u32) = legacy ? rig_out : rig_write;
    start(legacy, 0, false);
    CHECK_EQ(rig_config_read(&rig, PCI_DEVICE, 2), 0x1002);
    virtio_balloon_set_target(&balloon, 1234);
    CHECK_EQ(get(&rig, config, 4), 1234);
    CHECK(rig_interrupt_status(&rig) & 2);
    put(&rig, config + 4, 4, 77);
    CHECK_EQ(changes, 1);
    CHECK_EQ(told, 77);
    put(&rig, config, 4, 9); /* the target is the host's */
    CHECK_EQ(get(&rig, config, 4), 1234);
    virtio_hard_reset(&balloon.virtio);
    CHECK_EQ(virtio_balloon_actual(&balloon), 0);
}

static void test_stats(void)
{
    u32 head, written;
    start(false, VIRTIO_BALLOON_F_STATS_VQ, false);
    virtio_balloon_ask_stats(&balloon); /* before there is a buffer */
    u8 *at = rig.ram + 0x50000;
    pci_put16(at, 4);
    store_any(at + 2, 8, 0x123456789aull);
    pci_put16(at + 10, 77); /* a tag of a later version */
    store_any(at + 12, 8, 1);
    rig_add(&rig, 2, &(struct rig_buffer){0x50000, 20, false}, 1);
    rig_notify(&rig, 2);
    CHECK_EQ(balloon.stat[4], 0x123456789aull);
    CHECK_EQ(balloon.stat[5], UINT64_MAX);
    CHECK(rig_get(&rig, 2, &head, &written)); /* the question waited for it */
    CHECK(!rig_get(&rig, 2, &head, &written));
    rig_add(&rig, 2, &(struct rig_buffer){0x50000, 20, false}, 1);
    rig_notify(&rig, 2);
    CHECK(!rig_get(&rig, 2, &head, &written)); /* the device keeps it */
    virtio_balloon_ask_stats(&balloon);
    CHECK(rig_get(&rig, 2, &head, &written));
    virtio_balloon_ask_stats(&balloon);
    CHECK(!rig_get(&rig, 2, &head, &written));
}

static void test_reports(void)
{
    u32 head, written;
    struct rig_buffer pages[] = {{0x60000, 0x8000, true}, {0x7c000, 0x8000, true}};
    start(false, VIRTIO_BALLOON_F_STATS_VQ | VIRTIO_BALLOON_F_REPORTING, true);
    rig_add(&rig, 3, pages, 2);
    rig_notify(&rig, 3);
    CHECK(rig_get(&rig, 3, &head, &written));
    CHECK_EQ(written, 0);
    u64 bytes = 0;
    for (unsigned n = 0; n < releases; n++) {
        bytes += released[n].bytes;
        CHECK((released[n].gpa >= 0x60000 && released[n].gpa < 0x68000) ||
              (released[n].gpa >= 0x7c000 && released[n].gpa < 0x84000));
    }
    CHECK_EQ(bytes, 0x10000);
    /* Without statistics the reports are queue 2. */
    start(false, VIRTIO_BALLOON_F_REPORTING, true);
    rig_add(&rig, 2, pages, 1);
    rig_notify(&rig, 2);
    CHECK(rig_get(&rig, 2, &head, &written));
    CHECK_EQ(releases, 1);
}

int main(void)
{
    test_pages(false);
    test_pages(true);
    test_target(false);
    test_target(true);
    test_stats();
    test_reports();
    return check_report();
}
