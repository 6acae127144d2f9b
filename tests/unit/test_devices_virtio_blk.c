/*
 * The virtio block device, driven by hand-made rings through both interfaces: every kind of request, several in
 * flight, errors, write-through, resets during requests. Hazards: a request that is given back after a reset; a write
 * that is reported before it is stable; lost interrupts.
 */
#include "devices/virtio/virtio_blk.h"

#include "check.h"
#include "virtio_rig.h"

#define SECTORS 256u

/* A disk that holds requests until the test lets it do them. */
struct fake_disk {
    struct disk disk;
    struct disk_request *request[VIRTIO_BLK_REQUESTS];
    unsigned count;
    unsigned flushes;
    u8 bytes[SECTORS * 512];
};

static struct rig rig;
static struct virtio_blk blk;
static struct fake_disk medium;

static void submit(struct disk *disk, struct disk_request *request)
{
    CHECK(medium.count < ARRAY_SIZE(medium.request));
    medium.request[medium.count++] = request;
}

static void move(struct disk_request *request)
{
    u8 *at = medium.bytes + request->offset;
    u64 bytes = 0;
    for (unsigned n = 0; n < request->part_count; n++) {
        const struct iovec *part = &request->part[n];
        if (request->operation == DISK_READ)
            memcpy(part->iov_base, at, part->iov_len);
        else
            memcpy(at, part->iov_base, part->iov_len);
        at += part->iov_len;
        bytes += part->iov_len;
    }
    CHECK_EQ(bytes, request->bytes);
}

/* Does request n of those that wait. */
static void complete(unsigned n, int error)
{
    struct disk_request *request = medium.request[n];
    CHECK(n < medium.count);
    memmove(&medium.request[n], &medium.request[n + 1], (--medium.count - n) * sizeof(medium.request[0]));
    request->error = error;
    if (!error) {
        CHECK(request->offset + request->bytes <= sizeof(medium.bytes));
        switch (request->operation) {
        case DISK_READ:
        case DISK_WRITE: move(request); break;
        case DISK_FLUSH: medium.flushes++; break;
        case DISK_DISCARD: memset(medium.bytes + request->offset, 0xdd, request->bytes); break;
        case DISK_ZERO: memset(medium.bytes + request->offset, 0, request->bytes); break;
        }
    }
    request->done(request);
}

enum { HEADER = 0x20000, DATA = 0x30000, STATUS = 0x2f000 };

static void start(bool legacy, u64 features)
{
    struct virtio_options options = {.devfn = PCI_DEVFN(4, 0)};
    rig_init(&rig);
    struct dma dma = rig_dma(&rig);
    memset(&medium, 0, sizeof(medium));
    medium.disk = (struct disk){.bytes = sizeof(medium.bytes), .can_discard = true, .submit = submit};
    for (unsigned n = 0; n < sizeof(medium.bytes); n++)
        medium.bytes[n] = (u8)(n ^ n >> 9);
    virtio_blk_init(&blk, &rig.bus, &dma, &options, &medium.disk, "disk-no-1");
    rig.virtio = &blk.virtio;
    rig.legacy = legacy;
    rig_start(&rig, features, 1);
}

static void put_header(unsigned n, u32 type, u64 sector)
{
    u8 *at = rig.ram + HEADER + 64 * n;
    memset(at, 0, 32);
    pci_put32(at, type);
    store_any(at + 8, 8, sector);
    rig.ram[STATUS + n] = 0xee;
}

/* One request with one data buffer. */
static u16 request(unsigned n, u32 type, u64 sector, u64 gpa, u32 bytes)
{
    bool out = type == VIRTIO_BLK_T_OUT || type >= VIRTIO_BLK_T_DISCARD;
    put_header(n, type, sector);
    struct rig_buffer buffer[3] = {{HEADER + 64 * n, 16, false}, {gpa, bytes, !out}, {STATUS + n, 1, true}};
    return rig_add(&rig, 0, buffer, 3);
}

static void test_identity(void)
{
    start(false, 0);
    CHECK_EQ(rig_config_read(&rig, 0, 4), 0x10011af4);
    CHECK_EQ(rig_config_read(&rig, 0x2c, 4), 0x00021af4);
    CHECK_EQ(rig_config_read(&rig, 8, 4), 0x01000000);
    CHECK_EQ(rig_read(&rig, 0x2000, 4), SECTORS);
    CHECK_EQ(rig_read(&rig, 0x2004, 4), 0);
    CHECK_EQ(rig_read(&rig, 0x2000 + 12, 4), VIRTIO_SEGMENTS);
    CHECK_EQ(rig_read(&rig, 0x2000 + 20, 4), 512);
    CHECK_EQ(rig_read(&rig, 0x2000 + 60, 4), 0);
    CHECK_EQ(rig_in(&rig, 20, 4), SECTORS); /* at the legacy interface's place */
    rig_config_write(&rig, blk.virtio.msix.capability + 2, 2, 0x8000);
    CHECK_EQ(rig_in(&rig, 24, 4), SECTORS); /* which MSI-X moves */
    CHECK_EQ(rig_in(&rig, 20, 2), VIRTIO_NO_VECTOR);
}

static void test_transfers(bool legacy)
{
    u32 head = 0, written = 0;
    start(legacy, VIRTIO_BLK_F_FLUSH);
    u16 first = request(0, VIRTIO_BLK_T_IN, 3, DATA, 1024);
    rig_notify(&rig, 0);
    CHECK_EQ(medium.count, 1);
    CHECK(!rig_get(&rig, 0, &head, &written));
    CHECK(!rig.line);
    complete(0, 0);
    CHECK(rig.line);
    CHECK_EQ(rig_interrupt_status(&rig), 1);
    CHECK(!rig.line);
    CHECK_EQ(rig_interrupt_status(&rig), 0);
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(head, first);
    CHECK_EQ(written, 1025);
    CHECK_EQ(rig.ram[STATUS], VIRTIO_BLK_S_OK);
    CHECK(!memcmp(rig.ram + DATA, medium.bytes + 3 * 512, 1024));
    CHECK(rig.written_bytes >= 1025);

    /* A write with data on both sides of the hole in memory. */
    memset(rig.ram + RIG_RAM_BYTES / 2 - 512, 0x77, 1024);
    request(1, VIRTIO_BLK_T_OUT, 10, RIG_RAM_BYTES / 2 - 512, 1024);
    rig_notify(&rig, 0);
    CHECK_EQ(medium.count, 1);
    CHECK_EQ(medium.request[0]->part_count, 2);
    complete(0, 0);
    CHECK_EQ(medium.count, 0);
    CHECK_EQ(rig.ram[STATUS + 1], VIRTIO_BLK_S_OK);
    CHECK_EQ(medium.bytes[10 * 512], 0x77);
    CHECK_EQ(medium.bytes[12 * 512 - 1], 0x77);
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(written, 1);
}

/* Header, data and status in as few, and as many, descriptors as the driver likes. */
static void test_layouts(void)
{
    u32 head = 0, written = 0;
    start(false, VIRTIO_BLK_F_FLUSH);
    put_header(0, VIRTIO_BLK_T_OUT, 1);
    memset(rig.ram + HEADER + 16, 0x5c, 512);
    struct rig_buffer one[] = {{HEADER, 16 + 512, false}, {STATUS, 1, true}};
    rig_add(&rig, 0, one, 2);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK_EQ(medium.bytes[512], 0x5c);
    CHECK_EQ(medium.bytes[1023], 0x5c);
    CHECK(rig_get(&rig, 0, &head, &written));

    put_header(0, VIRTIO_BLK_T_IN, 2);
    struct rig_buffer many[] = {{HEADER, 7, false},
                                {HEADER + 7, 9, false},
                                {DATA, 100, true},
                                {DATA + 100, 0, true},
                                {DATA + 100, 412 + 1, true}};
    rig_add(&rig, 0, many, 5);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(written, 513);
    CHECK(!memcmp(rig.ram + DATA, medium.bytes + 1024, 512));
    CHECK_EQ(rig.ram[DATA + 512], VIRTIO_BLK_S_OK);
}

static void test_many_in_flight(void)
{
    u32 head = 0, written = 0;
    u16 heads[4];
    start(false, VIRTIO_BLK_F_FLUSH | VIRTIO_F_EVENT_IDX);
    for (unsigned n = 0; n < 4; n++)
        heads[n] = request(n, VIRTIO_BLK_T_IN, n, DATA + 512 * n, 512);
    rig_notify(&rig, 0);
    CHECK_EQ(medium.count, 4);
    /* The device asks for a notification of the next one. */
    CHECK_EQ(load_any(rig.ram + rig.queue[0].device + 4 + 8 * RIG_QUEUE, 2), 4);
    complete(2, 0);
    CHECK(rig.line);
    rig_interrupt_status(&rig);
    complete(0, 0); /* the event is still at 0: no second interrupt */
    CHECK(!rig.line);
    store_any(rig.ram + rig.queue[0].driver + 4 + 2 * RIG_QUEUE, 2, 3); /* after the fourth */
    complete(1, 0);
    CHECK(!rig.line);
    complete(0, -5);
    CHECK(rig.line);
    static const unsigned order[] = {2, 0, 3, 1};
    for (unsigned n = 0; n < 4; n++) {
        CHECK(rig_get(&rig, 0, &head, &written));
        CHECK_EQ(head, heads[order[n]]);
        CHECK_EQ(rig.ram[STATUS + order[n]], n == 3 ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
    }
}

static void test_other_requests(void)
{
    u32 head = 0, written = 0;
    start(false, VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES);
    put_header(0, VIRTIO_BLK_T_FLUSH, 0);
    struct rig_buffer bare[] = {{HEADER, 16, false}, {STATUS, 1, true}};
    rig_add(&rig, 0, bare, 2);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK_EQ(medium.flushes, 1);
    CHECK(rig_get(&rig, 0, &head, &written));

    request(0, VIRTIO_BLK_T_GET_ID, 0, DATA, 20);
    rig_notify(&rig, 0);
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(written, 21);
    CHECK(!memcmp(rig.ram + DATA, "disk-no-1\0\0\0\0\0\0\0\0\0\0\0", 20));

    store_any(rig.ram + DATA, 8, 5);
    store_any(rig.ram + DATA + 8, 4, 2);
    store_any(rig.ram + DATA + 12, 4, 0);
    request(0, VIRTIO_BLK_T_DISCARD, 0, DATA, 16);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK_EQ(medium.bytes[5 * 512], 0xdd);
    CHECK_EQ(rig.ram[STATUS], VIRTIO_BLK_S_OK);
    store_any(rig.ram + DATA + 12, 4, 1);
    request(1, VIRTIO_BLK_T_DISCARD, 0, DATA, 16); /* a discard has no flags */
    request(2, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 16);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK_EQ(rig.ram[STATUS + 1], VIRTIO_BLK_S_UNSUPP);
    CHECK_EQ(rig.ram[STATUS + 2], VIRTIO_BLK_S_OK);
    CHECK_EQ(medium.bytes[6 * 512 + 511], 0);
    store_any(rig.ram + DATA, 8, SECTORS - 1);
    request(3, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 16);
    request(4, 99, 0, DATA, 16);
    rig_notify(&rig, 0);
    CHECK_EQ(medium.count, 0);
    CHECK_EQ(rig.ram[STATUS + 3], VIRTIO_BLK_S_IOERR);
    CHECK_EQ(rig.ram[STATUS + 4], VIRTIO_BLK_S_UNSUPP);
}

static void test_bad_ranges(void)
{
    static const struct {
        u64 sector;
        u32 bytes;
    } bad[] = {{SECTORS, 512}, {SECTORS - 1, 1024}, {~0ull, 512}, {1ull << 55, 512},
               {0, 511},       {~0ull - 1, 1024}};
    start(false, VIRTIO_BLK_F_FLUSH);
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++)
        for (u32 type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
            request(0, type, bad[n].sector, DATA, bad[n].bytes);
            rig_notify(&rig, 0);
            CHECK_EQ(medium.count, 0);
            CHECK_EQ(rig.ram[STATUS], VIRTIO_BLK_S_IOERR);
        }
    medium.disk.read_only = true;
    request(0, VIRTIO_BLK_T_OUT, 0, DATA, 512);
    rig_notify(&rig, 0);
    CHECK_EQ(medium.count, 0);
    CHECK_EQ(rig.ram[STATUS], VIRTIO_BLK_S_IOERR);
    CHECK_EQ(rig_status(&rig), 15);
}

static void test_write_through(void)
{
    start(true, 0); /* a driver without flush */
    request(0, VIRTIO_BLK_T_OUT, 0, DATA, 512);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK_EQ(rig.ram[STATUS], 0xee);
    CHECK_EQ(medium.count, 1);
    complete(0, 0);
    CHECK_EQ(medium.flushes, 1);
    CHECK_EQ(rig.ram[STATUS], VIRTIO_BLK_S_OK);
    request(0, VIRTIO_BLK_T_OUT, 0, DATA, 512);
    rig_notify(&rig, 0);
    complete(0, 0);
    complete(0, -28);
    CHECK_EQ(rig.ram[STATUS], VIRTIO_BLK_S_IOERR);

    start(true, VIRTIO_BLK_F_WRITE_ZEROES); /* zeros are a write, too */
    store_any(rig.ram + DATA, 8, 5);
    store_any(rig.ram + DATA + 8, 8, 2);
    request(0, VIRTIO_BLK_T_WRITE_ZEROES, 0, DATA, 16);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK_EQ(medium.count, 1);
    complete(0, 0);
    CHECK_EQ(medium.flushes, 1);
    CHECK_EQ(rig.ram[STATUS], VIRTIO_BLK_S_OK);

    start(false, VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE);
    CHECK_EQ(rig_read(&rig, 0x2000 + 32, 1), 1);
    rig_write(&rig, 0x2000 + 32, 1, 0);
    request(0, VIRTIO_BLK_T_OUT, 0, DATA, 512);
    rig_notify(&rig, 0);
    complete(0, 0);
    complete(0, 0);
    CHECK_EQ(medium.flushes, 1);
    CHECK_EQ(rig.ram[STATUS], VIRTIO_BLK_S_OK);
}

/* A request from before a reset ends after it: the driver waits, and does not get the request back. */
static void test_reset_in_flight(void)
{
    u32 head = 0, written = 0;
    start(false, VIRTIO_BLK_F_FLUSH);
    request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
    request(1, VIRTIO_BLK_T_IN, 0, DATA, 512);
    rig_notify(&rig, 0);
    rig_write(&rig, 20, 1, 0);
    CHECK(rig_status(&rig) != 0);
    complete(0, 0);
    CHECK(rig_status(&rig) != 0);
    complete(0, 0);
    CHECK_EQ(rig_status(&rig), 0);
    CHECK_EQ(rig.ram[STATUS], 0xee);
    CHECK(!rig.line);
    rig_start(&rig, VIRTIO_BLK_F_FLUSH, 1);
    CHECK(!rig_get(&rig, 0, &head, &written));
    request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK(rig_get(&rig, 0, &head, &written));

    /* The same with one queue (2.6.1). */
    start(false, VIRTIO_BLK_F_FLUSH | VIRTIO_F_RING_RESET);
    request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
    rig_notify(&rig, 0);
    rig_write(&rig, 58, 2, 1);
    CHECK_EQ(rig_read(&rig, 58, 2), 1);
    CHECK_EQ(rig_read(&rig, 28, 2), 0);
    complete(0, 0);
    CHECK_EQ(rig_read(&rig, 58, 2), 0);
    CHECK_EQ(rig.ram[STATUS], 0xee);
    rig_place_queue(&rig, 0);
    request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(rig_status(&rig), 15);
}

/* A driver that offers the same descriptors over and over: more chains than a queue can hold are waiting, but
 * never more requests than there are. */
static void test_starved(void)
{
    u32 head = 0, written = 0;
    start(false, VIRTIO_BLK_F_FLUSH);
    u16 same = request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
    rig_notify(&rig, 0);
    unsigned offered = 1;
    for (; offered < VIRTIO_BLK_REQUESTS + 10; offered++) {
        rig_offer(&rig, 0, same);
        rig_notify(&rig, 0);
    }
    CHECK_EQ(medium.count, VIRTIO_BLK_REQUESTS);
    unsigned got = 0;
    while (medium.count) {
        complete(medium.count - 1, 0);
        got += rig_get(&rig, 0, &head, &written);
    }
    CHECK_EQ(got, offered);
    CHECK_EQ(rig_status(&rig), 15);
}

static void test_msix(void)
{
    start(false, VIRTIO_BLK_F_FLUSH);
    rig_config_write(&rig, blk.virtio.msix.capability + 2, 2, 0x8000);
    for (unsigned n = 0; n < 2; n++) {
        rig_write(&rig, 0x4000 + 16 * n, 4, 0xfee00000);
        rig_write(&rig, 0x4000 + 16 * n + 8, 4, 0x40 + n);
        rig_write(&rig, 0x4000 + 16 * n + 12, 4, 0);
    }
    rig_write(&rig, 22, 2, 0);
    rig_write(&rig, 26, 2, 7); /* there is none */
    CHECK_EQ(rig_read(&rig, 26, 2), VIRTIO_NO_VECTOR);
    rig_write(&rig, 26, 2, 1);
    CHECK_EQ(rig_read(&rig, 26, 2), 1);
    rig_write(&rig, 16, 2, 0);
    request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK_EQ(rig.messages, 1);
    CHECK_EQ(rig.message_data, 0x41);
    CHECK(!rig.line);
    CHECK_EQ(rig_interrupt_status(&rig), 0);
    rig_write(&rig, 0x4000 + 16 + 12, 4, 1);
    request(0, VIRTIO_BLK_T_IN, 0, DATA, 512);
    rig_notify(&rig, 0);
    complete(0, 0);
    CHECK_EQ(rig.messages, 1);
    CHECK_EQ(rig_read(&rig, 0x5000, 4), 2);
    rig_write(&rig, 0x4000 + 16 + 12, 4, 0);
    CHECK_EQ(rig.messages, 2);
    CHECK_EQ(rig_read(&rig, 0x5000, 4), 0);
}

int main(void)
{
    test_identity();
    test_transfers(false);
    test_transfers(true);
    test_layouts();
    test_many_in_flight();
    test_other_requests();
    test_bad_ranges();
    test_write_through();
    test_reset_in_flight();
    test_starved();
    test_msix();
    return check_report();
}
