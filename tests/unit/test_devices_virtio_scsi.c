/*
 * The virtio SCSI host with a disk and a CD drive: addresses, sense and unit attention, INQUIRY, capacities, reads and
 * writes with buffers in pieces, residuals, errors, task management that waits for I/O, a reset in the middle of it.
 */
#include "devices/virtio/virtio_scsi.h"

#include "base/big_endian.h"
#include "check.h"
#include "memory_disk.h"
#define RIG_QUEUE 16
#include "virtio_rig.h"

enum { HEADER = 0x20000, DATA = 0x30000, RESPONSE = 0x2f000, CONTROL = 0x28000 };
enum { SECTORS = 256, DISK_TARGET = 2, CD_TARGET = 5 };

static struct rig rig;
static struct virtio_scsi scsi;
static struct scsi_unit disk_unit, cd_unit;
static struct memory_disk medium, disc;
static u64 next_id;
static u64 features; /* that the driver accepts */

static void start(void)
{
    struct virtio_options options = {.devfn = PCI_DEVFN(4, 0)};
    rig_init(&rig);
    struct dma dma = rig_dma(&rig);
    memory_disk_free(&medium);
    memory_disk_free(&disc);
    memory_disk_init(&medium, SECTORS);
    memory_disk_init(&disc, SECTORS);
    virtio_scsi_init(&scsi, &rig.bus, &dma, &options);
    rig.virtio = &scsi.virtio;
    scsi_unit_init(&disk_unit, &medium.disk,
                   &(struct scsi_unit_options){.serial = "S-1", .vendor = "V", .product = "P"});
    scsi_unit_init(&cd_unit, &disc.disk, &(struct scsi_unit_options){.cd = true});
    CHECK(virtio_scsi_attach(&scsi, DISK_TARGET, 0, &disk_unit));
    CHECK(virtio_scsi_attach(&scsi, CD_TARGET, 0, &cd_unit));
    CHECK(!virtio_scsi_attach(&scsi, CD_TARGET, 0, &cd_unit));
    rig_start(&rig, features, 3);
    disk_unit.attention = cd_unit.attention = 0;
}

/* Data in two pieces. */
static void submit(u8 target, u16 lun, const u8 *cdb, unsigned bytes, u32 out, u32 in)
{
    u8 *header = rig.ram + HEADER;
    memset(header, 0, 64);
    header[0] = 1;
    header[1] = target;
    put_be16(header + 2, lun | 0x4000u);
    store_any(header + 8, 8, ++next_id);
    memcpy(header + 19, cdb, bytes);
    struct rig_buffer buffer[4] = {{HEADER, 51, false}};
    unsigned count = 1;
    if (out) buffer[count++] = (struct rig_buffer){DATA, out, false};
    buffer[count++] = (struct rig_buffer){RESPONSE, 108, true};
    if (in) buffer[count++] = (struct rig_buffer){DATA, in, true};
    rig_add(&rig, 2, buffer, count);
    memset(rig.ram + RESPONSE, 0xee, 108);
    rig_notify(&rig, 2);
}

static bool given(void)
{
    u32 head, written;
    return rig_get(&rig, 2, &head, &written);
}

/* The status, or 100h + the response's code. */
static unsigned run(u8 target, u16 lun, const u8 *cdb, unsigned bytes, u32 out, u32 in)
{
    submit(target, lun, cdb, bytes, out, in);
    memory_disk_run(&medium, 10);
    memory_disk_run(&disc, 10);
    CHECK(given());
    const u8 *response = rig.ram + RESPONSE;
    return response[11] ? 0x100u + response[11] : response[10];
}
#define RUN(target, out, in, ...)                                                                            \
    run(target, 0, (const u8[]){__VA_ARGS__}, sizeof((u8[]){__VA_ARGS__}), out, in)

static u32 sense(void)
{
    const u8 *s = rig.ram + RESPONSE + 12;
    return (u32)(s[2] & 15) << 16 | (u32)s[12] << 8 | s[13];
}
static u32 residual(void)
{
    return pci_get32(rig.ram + RESPONSE + 4);
}

static void test_addresses(void)
{
    start();
    CHECK_EQ(rig_config_read(&rig, PCI_DEVICE, 2), 0x1004);
    CHECK_EQ(RUN(9, 0, 0, 0x00), 0x103); /* no such target */
    CHECK_EQ(run(DISK_TARGET, 1, (const u8[]){0}, 1, 0, 0), 2);
    CHECK_EQ(sense(), SCSI_NO_UNIT);
    CHECK_EQ(run(DISK_TARGET, 1, (const u8[]){0x12, 0, 0, 0, 36}, 5, 0, 36), 0);
    CHECK_EQ(rig.ram[DATA], 0x7f);
    CHECK_EQ(RUN(DISK_TARGET, 0, 100, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 100), 0);
    CHECK_EQ(get_be32(rig.ram + DATA), 8);
    CHECK_EQ(residual(), 100 - 16);
    disk_unit.attention = SCSI_WAS_RESET;
    CHECK_EQ(RUN(DISK_TARGET, 0, 0, 0x00), 2);
    CHECK_EQ(sense(), SCSI_WAS_RESET);
    CHECK_EQ(RUN(DISK_TARGET, 0, 0, 0x00), 0);
    CHECK_EQ(RUN(DISK_TARGET, 0, 0, 0xff), 2);
    CHECK_EQ(sense(), SCSI_INVALID_COMMAND);
}

static void test_inquiry(void)
{
    start();
    CHECK_EQ(RUN(DISK_TARGET, 0, 96, 0x12, 0, 0, 0, 96), 0);
    CHECK(!memcmp(rig.ram + DATA + 8, "V       P               1   ", 28));
    CHECK_EQ(residual(), 96 - 66);
    CHECK_EQ(RUN(DISK_TARGET, 0, 96, 0x12, 1, 0x80, 0, 96), 0);
    CHECK(!memcmp(rig.ram + DATA + 4, "S-1", 3));
    CHECK_EQ(RUN(CD_TARGET, 0, 96, 0x12, 0, 0, 0, 96), 0);
    CHECK_EQ(rig.ram[DATA], 5);
    CHECK_EQ(rig.ram[DATA + 1], 0x80);
    CHECK_EQ(RUN(CD_TARGET, 0, 96, 0x12, 1, 0xb0, 0, 96), 2); /* disks only */
    CHECK_EQ(RUN(DISK_TARGET, 0, 96, 0x12, 0, 0x80, 0, 96), 2);
    CHECK_EQ(sense(), SCSI_INVALID_FIELD);
}

static void test_blocks(void)
{
    start();
    CHECK_EQ(RUN(DISK_TARGET, 0, 8, 0x25, 0), 0);
    CHECK_EQ(get_be32(rig.ram + DATA), SECTORS - 1);
    CHECK_EQ(RUN(DISK_TARGET, 0, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 0);
    CHECK_EQ(get_be32(rig.ram + DATA + 4), SECTORS - 1);
    CHECK_EQ(RUN(DISK_TARGET, 0, 2048, 0x28, 0, 0, 0, 0, 7, 0, 0, 3), 0);
    CHECK(!memcmp(rig.ram + DATA, medium.data + 7 * 512, 3 * 512));
    CHECK_EQ(residual(), 512);
    memset(rig.ram + DATA, 0x5a, 1024);
    CHECK_EQ(RUN(DISK_TARGET, 1024, 0, 0x2a, 8, 0, 0, 0, 9, 0, 0, 2), 0); /* FUA */
    CHECK_EQ(medium.data[9 * 512 + 1023], 0x5a);
    CHECK_EQ(medium.flushes, 1);
    CHECK_EQ(RUN(DISK_TARGET, 512, 0, 0x0a, 0, 0, 20, 1), 0);
    CHECK_EQ(medium.data[20 * 512], 0x5a);
    CHECK_EQ(RUN(DISK_TARGET, 0, 0, 0x35), 0);
    CHECK_EQ(medium.flushes, 2);
    CHECK_EQ(RUN(DISK_TARGET, 0, 512, 0x28, 0, 0, 0, 1, 0, 0, 0, 1), 2);
    CHECK_EQ(sense(), SCSI_OUT_OF_RANGE);
    CHECK_EQ(RUN(DISK_TARGET, 0, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 2), 2); /* the buffer is too small */
    medium.bad_sector = 30;
    CHECK_EQ(RUN(DISK_TARGET, 0, 512, 0x28, 0, 0, 0, 0, 30, 0, 0, 1), 2);
    CHECK_EQ(sense(), SCSI_READ_ERROR);
    medium.disk.read_only = true;
    CHECK_EQ(RUN(DISK_TARGET, 512, 0, 0x2a, 0, 0, 0, 0, 9, 0, 0, 1), 2);
    CHECK_EQ(sense(), SCSI_WRITE_PROTECTED);
}

static void test_thin(void)
{
    start();
    u8 *list = rig.ram + DATA;
    memset(list, 0, 24);
    put_be16(list, 22);
    put_be16(list + 2, 16);
    put_be32(list + 12, 40);
    put_be32(list + 16, 8);
    CHECK_EQ(RUN(DISK_TARGET, 24, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 24), 0);
    CHECK_EQ(medium.discarded, 8 * 512);
    put_be32(list + 12, SECTORS);
    CHECK_EQ(RUN(DISK_TARGET, 24, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 24), 2);
    CHECK_EQ(sense(), SCSI_OUT_OF_RANGE);
    memset(list, 1, 512);
    CHECK_EQ(RUN(DISK_TARGET, 512, 0, 0x41, 0, 0, 0, 0, 1, 0, 0, 1), 2); /* not zeros */
    memset(list, 0, 512);
    CHECK_EQ(RUN(DISK_TARGET, 512, 0, 0x41, 0, 0, 0, 0, 1, 0, 0, 1), 0);
}

static void test_modes(void)
{
    start();
    CHECK_EQ(RUN(DISK_TARGET, 0, 64, 0x1a, 8, 8, 0, 64), 0);
    CHECK_EQ(rig.ram[DATA + 4], 8);
    CHECK_EQ(rig.ram[DATA + 6], 4); /* write cache on */
    u8 *list = rig.ram + DATA;
    memset(list, 0, 24);
    list[4] = 8;
    list[5] = 18;
    CHECK_EQ(RUN(DISK_TARGET, 24, 0, 0x15, 0x10, 0, 0, 24), 0);
    unsigned flushes = medium.flushes;
    CHECK_EQ(RUN(DISK_TARGET, 512, 0, 0x2a, 0, 0, 0, 0, 9, 0, 0, 1), 0);
    CHECK_EQ(medium.flushes, flushes + 1); /* writes are stable now */
    CHECK_EQ(RUN(DISK_TARGET, 0, 64, 0x1a, 0, 0x2a, 0, 64), 2);
    CHECK_EQ(RUN(CD_TARGET, 0, 64, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64), 0);
    CHECK_EQ(rig.ram[DATA + 8], 0x2a);
}

static void test_cd(void)
{
    start();
    CHECK_EQ(RUN(CD_TARGET, 0, 8, 0x25, 0), 0);
    CHECK_EQ(get_be32(rig.ram + DATA), SECTORS / 4 - 1);
    CHECK_EQ(get_be32(rig.ram + DATA + 4), 2048);
    CHECK_EQ(RUN(CD_TARGET, 0, 4096, 0x28, 0, 0, 0, 0, 3, 0, 0, 2), 0);
    CHECK(!memcmp(rig.ram + DATA, disc.data + 3 * 2048, 4096));
    CHECK_EQ(RUN(CD_TARGET, 2048, 0, 0x2a, 0, 0, 0, 0, 3, 0, 0, 1), 2);
    CHECK_EQ(RUN(CD_TARGET, 0, 20, 0x43, 0, 0, 0, 0, 0, 0, 0, 20), 0);
    CHECK_EQ(get_be32(rig.ram + DATA + 16), SECTORS / 4);
    CHECK_EQ(RUN(CD_TARGET, 0, 0, 0x1e, 0, 0, 0, 1), 0);
    CHECK_EQ(RUN(CD_TARGET, 0, 0, 0x1b, 0, 0, 0, 2), 2); /* locked */
    CHECK_EQ(sense(), SCSI_LOCKED);
    CHECK_EQ(RUN(CD_TARGET, 0, 0, 0x1e), 0);
    CHECK_EQ(RUN(CD_TARGET, 0, 0, 0x1b, 0, 0, 0, 2), 0);
    CHECK_EQ(RUN(CD_TARGET, 0, 0, 0x00), 2);
    CHECK_EQ(sense(), SCSI_NO_MEDIUM);
    scsi_move_tray(&cd_unit, false);
    CHECK_EQ(RUN(CD_TARGET, 0, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 0);
    CHECK_EQ(rig.ram[DATA + 4], 2);
    CHECK_EQ(RUN(CD_TARGET, 0, 0, 0x00), 2);
    CHECK_EQ(sense(), SCSI_MEDIUM_CHANGED);
    CHECK_EQ(RUN(CD_TARGET, 0, 0, 0x00), 0);
}

static u8 manage(u32 function, u64 id, bool *complete)
{
    u8 *at = rig.ram + CONTROL;
    u32 head, written;
    memset(at, 0, 32);
    pci_put32(at + 4, function);
    at[8] = 1;
    at[9] = DISK_TARGET;
    at[10] = 0x40;
    store_any(at + 16, 8, id);
    struct rig_buffer buffer[] = {{CONTROL, 24, false}, {CONTROL + 64, 1, true}};
    at[64] = 0xee;
    rig_add(&rig, 0, buffer, 2);
    rig_notify(&rig, 0);
    *complete = rig_get(&rig, 0, &head, &written);
    return at[64];
}

static void test_management(void)
{
    bool complete;
    u32 head, written;
    start();
    CHECK_EQ(manage(5, 0, &complete), 0);
    CHECK(complete);
    CHECK_EQ(disk_unit.attention, SCSI_WAS_RESET);
    disk_unit.attention = 0;
    submit(DISK_TARGET, 0, (const u8[]){0x28, 0, 0, 0, 0, 1, 0, 0, 1}, 9, 0, 512);
    CHECK_EQ(manage(0, next_id, &complete), 0xee); /* it waits for the read */
    CHECK(!complete);
    memory_disk_run(&medium, 1);
    CHECK(given());
    CHECK(rig_get(&rig, 0, &head, &written));
    CHECK_EQ(rig.ram[CONTROL + 64], 0);
    CHECK_EQ(manage(0, 12345, &complete), 0); /* no such task */
    CHECK(complete);
    CHECK_EQ(manage(2, 0, &complete), 11);
}

static void test_reset(void)
{
    start();
    submit(DISK_TARGET, 0, (const u8[]){0x28, 0, 0, 0, 0, 1, 0, 0, 1}, 9, 0, 512);
    rig_write(&rig, 20, 1, 0);
    CHECK(rig_status(&rig) != 0); /* the buffers are still in use */
    memory_disk_run(&medium, 1);
    CHECK_EQ(rig_status(&rig), 0);
    CHECK(!given());
}

static void test_broken(void)
{
    start();
    rig_add(&rig, 2, &(struct rig_buffer){HEADER, 20, false}, 1);
    rig_notify(&rig, 2);
    CHECK(rig_status(&rig) & VIRTIO_NEEDS_RESET);
}

/* An event that came into the driver's next buffer: its number, target and reason, as 0xEEEETTRR; 0: none came. */
static u32 event(void)
{
    u32 head, written;
    const u8 *bytes = rig.ram + CONTROL;
    if (!rig_get(&rig, 1, &head, &written)) return 0;
    CHECK_EQ(written, 16);
    CHECK(!bytes[6] && !bytes[7] && (bytes[4] == 1 || !bytes[5]));
    return (pci_get32(bytes) >> 16 | (pci_get32(bytes) & 0xff)) << 16 | (u32)bytes[5] << 8 | bytes[12];
}

static void give_event_buffer(void)
{
    memset(rig.ram + CONTROL, 0xee, 16);
    rig_add(&rig, 1, &(struct rig_buffer){CONTROL, 16, true}, 1);
    rig_notify(&rig, 1);
}

/* Units that come and go: the driver is told if it wants to be, and also that it missed one. */
static void test_events(void)
{
    enum { TARGET = 7, HOTPLUG = 2 };
    static struct scsi_unit unit;
    for (unsigned told = 0; told < 2; told++) {
        features = told ? HOTPLUG : 0;
        start();
        scsi_unit_init(&unit, &medium.disk, &(struct scsi_unit_options){.serial = "S-2"});
        give_event_buffer();
        CHECK(virtio_scsi_attach(&scsi, TARGET, 0, &unit));
        CHECK_EQ(event(), told ? 0x10701 : 0);
        unit.attention = 0;
        CHECK_EQ(RUN(TARGET, 0, 0, 0x00), 0);
        if (told) give_event_buffer();
        virtio_scsi_detach(&scsi, &unit);
        CHECK_EQ(event(), told ? 0x10702 : 0);
        CHECK_EQ(RUN(TARGET, 0, 0, 0x00), 0x103);
        CHECK_EQ(RUN(DISK_TARGET, 0, 0, 0x00), 0);
        CHECK_EQ(RUN(CD_TARGET, 0, 36, 0x12, 0, 0, 0, 36), 0);
        virtio_scsi_detach(&scsi, &unit); /* it is not there: nothing happens */
    }
    CHECK(virtio_scsi_attach(&scsi, TARGET, 0, &unit)); /* no buffer is there */
    CHECK_EQ(event(), 0);
    give_event_buffer();
    CHECK_EQ(event(), 0x80000000);
    features = 0;
}

int main(void)
{
    test_events();
    test_addresses();
    test_inquiry();
    test_blocks();
    test_thin();
    test_modes();
    test_cd();
    test_management();
    test_reset();
    test_broken();
    return check_report();
}
