/*
 * The UHCI by its registers, with a schedule in an array: a tablet, a keyboard and a disk; what they answer, when
 * interrupts come, what the ports do; hostile schedules, which end within their frame.
 */
#include "devices/usb/uhci.h"
#include "devices/usb/usb_hid.h"
#include "devices/usb/usb_storage.h"

#include "check.h"
#include "memory_disk.h"

#include <string.h>

#define MS         1000000ull
#define RAM_BYTES  (1u << 20)
#define LIST       0x1000u
#define QUEUE      0x3000u
#define TDS        0x4000u
#define BUFFER     0x10000u
#define ACTIVE     (1u << 23)
#define STALLED    (1u << 22)
#define BABBLE     (1u << 20)
#define NAK        (1u << 19)
#define TIMEOUT    (1u << 18)
#define ON_END     (1u << 24)
#define SHORT_ENDS (1u << 29)
#define ERRORS(n)  ((n) << 27)

enum {
    USBCMD = 0,
    USBSTS = 2,
    USBINTR = 4,
    FRNUM = 6,
    FLBASE = 8,
    SOFMOD = 12,
    PORTSC1 = 16,
    PORTSC2 = 18,
    BEYOND = 20
};
enum { END = 1, QH = 2, DEPTH = 4 };

static u8 ram[RAM_BYTES];
static u64 now, reads;
static unsigned wakes;
static bool line;
static struct clock fake_time;
static struct pci_bus bus;
static struct uhci uhci;
static struct usb_hid tablet, keyboard;
static struct usb_storage storage;
static struct memory_disk disk;
static u8 disk_data[1 << 20];
static bool used;
static u8 leds;

static u64 now_ns(const struct clock *clock)
{
    return now;
}
static void dma_read(void *memory, u64 gpa, void *buffer, u64 bytes)
{
    reads++;
    memset(buffer, 0xff, bytes);
    if (gpa < RAM_BYTES && bytes <= RAM_BYTES - gpa) memcpy(buffer, ram + gpa, bytes);
}
static void dma_write(void *memory, u64 gpa, const void *buffer, u64 bytes)
{
    if (gpa < RAM_BYTES && bytes <= RAM_BYTES - gpa) memcpy(ram + gpa, buffer, bytes);
}
static void set_line(void *receiver, unsigned pin, bool level)
{
    line = level;
}
static void set_used(void *owner, struct usb_hid *hid)
{
    used = hid->usb.is_configured;
}
static void set_leds(void *owner, u8 value)
{
    leds = value;
}

static void put(u32 offset, u16 value)
{
    uhci.pci.bar[4].ops->write(&uhci, offset, 2, value);
}
static u16 get(u32 offset)
{
    return (u16)uhci.pci.bar[4].ops->read(&uhci, offset, 2);
}
static void put32(u32 at, u32 value)
{
    memcpy(ram + at, &value, 4);
}
static u32 get32(u32 at)
{
    u32 value;
    memcpy(&value, ram + at, 4);
    return value;
}

static void run(u64 ms)
{
    for (; ms; ms--) {
        now += MS;
        clock_run(&fake_time);
    }
}

static const struct usb_hid_wiring wiring = {set_used, set_leds, NULL};

static void start(struct usb_device *first, struct usb_device *second)
{
    static const struct dma dma = {.read = dma_read, .write = dma_write};
    now = 0;
    fake_time = (struct clock){.now_ns = now_ns};
    memset(ram, 0, sizeof(ram));
    pci_bus_init(&bus);
    for (unsigned n = 0; n < 4; n++)
        bus.pirq[n] = (struct irq_line){.set = set_line};
    uhci_init(&uhci, &bus, PCI_DEVFN(4, 0), &dma, &fake_time);
    if (first) CHECK_EQ(uhci_plug(&uhci, first), 0);
    if (second) CHECK_EQ(uhci_plug(&uhci, second), 1);
    uhci.pci.config[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MASTER;
    for (u32 n = 0; n < 1024; n++)
        put32(LIST + 4 * n, QUEUE | QH);
    put32(QUEUE, END);
    put32(QUEUE + 4, END);
    put(FLBASE, LIST);
    put(FLBASE + 2, 0);
    put(USBINTR, 0xf);
    put(PORTSC1, 0x200);
    put(PORTSC1, 0x4 | 0xa);
    put(PORTSC2, 0x200);
    put(PORTSC2, 0x4 | 0xa);
    put(USBCMD, 0xc1);
}

static void start_tablet(void)
{
    usb_tablet_init(&tablet, &fake_time, &wiring);
    start(&tablet.usb, NULL);
}

/* --- transfers --- */

static unsigned tds;

static u32 td_at(unsigned n)
{
    return TDS + 32 * n;
}
static void add_td(u32 status, u8 pid, u8 address, u8 endpoint, u32 buffer, u32 bytes)
{
    u32 at = td_at(tds);
    if (tds) put32(at - 32, at | DEPTH);
    put32(at, END);
    put32(at + 4, status);
    put32(at + 8, (bytes - 1) << 21 | (u32)endpoint << 15 | (u32)address << 8 | pid);
    put32(at + 12, buffer);
    tds++;
}
static u32 status_of(unsigned n)
{
    return get32(td_at(n) + 4);
}
static u32 moved(unsigned n)
{
    return (status_of(n) + 1) & 0x7ff;
}
static void go(void)
{
    put32(QUEUE + 4, td_at(0));
    run(1);
    tds = 0;
}

/* A control transfer. Returns the bytes that came, or -1: STALL. */
static int control(u8 address, u8 type, u8 request, u16 value, u16 index, u16 length)
{
    const u8 setup[8] = {type,      request,          (u8)value,  (u8)(value >> 8),
                         (u8)index, (u8)(index >> 8), (u8)length, (u8)(length >> 8)};
    bool in = type & 0x80;
    unsigned packets = (length + 63u) / 64;
    memcpy(ram + BUFFER, setup, 8);
    add_td(ACTIVE | ERRORS(3), 0x2d, address, 0, BUFFER, 8);
    for (unsigned n = 0; n < packets; n++)
        add_td(ACTIVE | ERRORS(3), in ? 0x69 : 0xe1, address, 0, BUFFER + 0x100 + 64 * n,
               length - 64 * n < 64 ? length - 64u * n : 64);
    add_td(ACTIVE | ERRORS(3) | ON_END, in ? 0xe1 : 0x69, address, 0, 0, 0);
    unsigned count = tds;
    go();
    int sum = 0;
    for (unsigned n = 0; n < count; n++) {
        if (status_of(n) & STALLED) return -1;
        CHECK(!(status_of(n) & ACTIVE));
        if (n && n + 1 < count) sum += (int)moved(n);
    }
    return sum;
}

static void configure(u8 address)
{
    CHECK_EQ(control(0, 0, 5, address, 0, 0), 0);
    CHECK_EQ(control(address, 0, 9, 1, 0, 0), 0);
}

/* --- tests --- */

static void test_registers(void)
{
    start_tablet();
    CHECK_EQ(get(USBSTS) & 0x20, 0);
    put(USBCMD, 0);
    CHECK_EQ(get(USBSTS) & 0x20, 0x20);
    CHECK_EQ(clock_next_deadline(&fake_time), UINT64_MAX);
    put(FRNUM, 0x7fe);
    CHECK_EQ(get(FRNUM), 0x7fe);
    put(USBCMD, 1);
    run(1);
    CHECK_EQ(get(FRNUM), 0x7ff);
    run(1);
    CHECK_EQ(get(FRNUM), 0);
    put(FRNUM, 5); /* not while it runs */
    CHECK_EQ(get(FRNUM), 0);
    CHECK_EQ(get(PORTSC1) & 0x80, 0x80);
    CHECK_EQ(get(BEYOND), 0);
    put(SOFMOD, 0x1234);
    CHECK_EQ(get(SOFMOD), 0x34);
    uhci.pci.bar[4].ops->write(&uhci, FLBASE + 1, 1, 0x55);
    CHECK_EQ(get(FLBASE), 0x5000);
    put(USBCMD, 2);
    CHECK_EQ(get(USBCMD), 0);
    CHECK_EQ(get(SOFMOD), 64);
    CHECK_EQ(get(PORTSC1) & 0xf, 3); /* connected, and that is new */
    CHECK_EQ(get(PORTSC2) & 0xf, 0);
    put(PORTSC1, 2);
    CHECK_EQ(get(PORTSC1) & 0xf, 1);
    put(PORTSC2, 4); /* nothing to enable there */
    CHECK_EQ(get(PORTSC2) & 4, 0);
}

static void test_control(void)
{
    start_tablet();
    CHECK_EQ(control(0, 0x80, 6, 0x100, 0, 64), 18);
    CHECK_EQ(ram[BUFFER + 0x100], 18);
    CHECK_EQ(get(USBSTS) & 1, 1);
    CHECK(line);
    put(USBSTS, 1);
    CHECK(!line);
    configure(5);
    CHECK(used);
    CHECK_EQ(control(5, 0x80, 6, 0x200, 0, 9), 9);
    CHECK_EQ(control(5, 0x80, 6, 0x200, 0, 255), 34);
    CHECK_EQ(control(5, 0x81, 6, 0x2200, 0, 255), ram[BUFFER + 0x100] ? (int)tablet.usb.bytes : -2);
    CHECK_EQ(control(5, 0x80, 6, 0x300, 0, 255), 4);
    CHECK_EQ(control(5, 0x80, 6, 0x301, 0x409, 255), 2 + 2 * 6);
    CHECK_EQ(control(5, 0x80, 6, 0x600, 0, 10), -1); /* it knows no high speed */
    CHECK_EQ(get(USBSTS) & 2, 2);
    CHECK_EQ(control(5, 0x80, 8, 0, 0, 1), 1); /* and recovers from that */
    CHECK_EQ(ram[BUFFER + 0x100], 1);
    CHECK_EQ(control(5, 0x00, 9, 7, 0, 0), -1);
    CHECK_EQ(control(5, 0x21, 9, 0x200, 0, 600), -1);
    CHECK_EQ(control(5, 0x00, 3, 1, 0, 0), 0); /* remote wake-up */
    CHECK_EQ(control(5, 0x80, 0, 0, 0, 2), 2);
    CHECK_EQ(ram[BUFFER + 0x100], 2);
    CHECK_EQ(control(5, 0x02, 3, 0, 0x81, 0), 0); /* endpoint 1 halted */
    add_td(ACTIVE | ERRORS(3), 0x69, 5, 1, BUFFER, 8);
    go();
    CHECK_EQ(status_of(0) & (ACTIVE | STALLED), STALLED);
    /* A bus reset takes address and configuration. */
    put(PORTSC1, 0x200);
    CHECK(!used);
    put(PORTSC1, 4);
    CHECK_EQ(control(0, 0x80, 8, 0, 0, 1), 1);
    CHECK_EQ(ram[BUFFER + 0x100], 0);
}

static void test_errors(void)
{
    start_tablet();
    /* No device has that address: three attempts, a frame each. */
    add_td(ACTIVE | ERRORS(3), 0x69, 9, 0, BUFFER, 8);
    put32(QUEUE + 4, td_at(0));
    run(2);
    CHECK_EQ(status_of(0) & (ACTIVE | TIMEOUT | ERRORS(3)), ACTIVE | TIMEOUT | ERRORS(1));
    run(1);
    CHECK_EQ(status_of(0) & (ACTIVE | STALLED), STALLED);
    CHECK_EQ(get(USBSTS) & 2, 2);
    tds = 0;
    /* A packet that is longer than the host wants. */
    put(USBSTS, 0x1f);
    static const u8 setup[] = {0x80, 6, 0, 1, 0, 0, 18, 0};
    memcpy(ram + BUFFER, setup, 8);
    add_td(ACTIVE | ERRORS(3), 0x2d, 0, 0, BUFFER, 8);
    add_td(ACTIVE | ERRORS(3), 0x69, 0, 0, BUFFER + 0x100, 8);
    go();
    CHECK_EQ(status_of(1) & (ACTIVE | STALLED | BABBLE), STALLED | BABBLE);
    /* A short packet ends the queue's turn, if the TD says so. */
    put(USBSTS, 0x1f);
    add_td(ACTIVE | ERRORS(3), 0x2d, 0, 0, BUFFER, 8);
    add_td(ACTIVE | ERRORS(3) | SHORT_ENDS, 0x69, 0, 0, BUFFER + 0x100, 64);
    add_td(ACTIVE | ERRORS(3), 0xe1, 0, 0, 0, 0);
    go();
    CHECK_EQ(moved(1), 18);
    CHECK_EQ(status_of(2) & ACTIVE, ACTIVE);
    CHECK_EQ(get32(QUEUE + 4) & ~DEPTH, td_at(1));
    CHECK_EQ(get(USBSTS) & 1, 1);
    put(USBINTR, 4); /* interrupts for completion only */
    CHECK(!line);
    put(USBINTR, 8);
    CHECK(line);
    /* An unknown PID stops the controller. */
    put(USBSTS, 0x1f);
    add_td(ACTIVE, 0x77, 0, 0, BUFFER, 8);
    go();
    CHECK_EQ(get(USBSTS) & 0x30, 0x30);
    CHECK_EQ(get(USBCMD) & 1, 0);
    CHECK_EQ(clock_next_deadline(&fake_time), UINT64_MAX);
}

static void test_input(void)
{
    usb_tablet_init(&tablet, &fake_time, &wiring);
    usb_keyboard_init(&keyboard, &fake_time, &wiring);
    start(&tablet.usb, &keyboard.usb);
    CHECK(!usb_keyboard_key(&keyboard, 4, true)); /* not configured */
    put(PORTSC2, 0);
    configure(2);
    put(PORTSC2, 4);
    configure(3);
    add_td(ACTIVE, 0x69, 2, 1, BUFFER, 8);
    go();
    CHECK_EQ(status_of(0) & (ACTIVE | NAK), ACTIVE | NAK);
    usb_tablet_point(&tablet, 0xffff, 0x8000, -1, 1);
    usb_tablet_point(&tablet, 0, 0, 0, 0);
    usb_tablet_point(&tablet, 0x10, 0x20, 2, 0);
    run(1);
    CHECK_EQ(status_of(0) & ACTIVE, 0);
    CHECK_EQ(moved(0), 6);
    CHECK(!memcmp(ram + BUFFER, "\x01\xff\x7f\x00\x40\x01", 6));
    add_td(ACTIVE, 0x69, 2, 1, BUFFER, 8);
    add_td(ACTIVE, 0x69, 2, 1, BUFFER + 8, 8);
    go();
    CHECK(!memcmp(ram + BUFFER, "\x00\x08\x00\x10\x00\xfe", 6));
    CHECK_EQ(status_of(1) & ACTIVE, ACTIVE);
    /* Keys, one event a report; more than six at once. */
    CHECK(usb_keyboard_key(&keyboard, 0xe1, true) && usb_keyboard_key(&keyboard, 4, true));
    for (u8 usage = 5; usage < 11; usage++)
        CHECK(usb_keyboard_key(&keyboard, usage, true));
    CHECK(usb_keyboard_key(&keyboard, 10, false));
    static const char *const reports[] = {"\x02\0\0\0\0\0\0", "\x02\0\x04\0\0\0\0"};
    for (unsigned n = 0; n < 9; n++) {
        add_td(ACTIVE, 0x69, 3, 1, BUFFER, 8);
        go();
        CHECK_EQ(moved(0), 8);
        if (n < 2) CHECK(!memcmp(ram + BUFFER, reports[n], 8));
        if (n == 7) CHECK(!memcmp(ram + BUFFER, "\x02\0\1\1\1\1\1\1", 8));
        if (n == 8) CHECK(!memcmp(ram + BUFFER, "\x02\0\4\5\6\7\x8\x9", 8));
    }
    for (unsigned n = 0; n < USB_HID_EVENTS; n++)
        CHECK(usb_keyboard_key(&keyboard, 4, n & 1));
    CHECK(!usb_keyboard_key(&keyboard, 4, true));
    ram[BUFFER + 0x100] = 3;
    CHECK_EQ(control(3, 0x21, 9, 0x200, 0, 1), 1);
    CHECK_EQ(leds, 3);
}

/* Idle rate: a report every 8 ms without any event. */
static void test_idle_rate(void)
{
    usb_keyboard_init(&keyboard, &fake_time, &wiring);
    start(&keyboard.usb, NULL);
    configure(2);
    CHECK_EQ(control(2, 0x21, 10, 0x0200, 0, 0), 0);
    add_td(ACTIVE, 0x69, 2, 1, BUFFER, 8);
    go();
    run(5);
    CHECK_EQ(status_of(0) & ACTIVE, ACTIVE);
    run(4);
    CHECK_EQ(status_of(0) & ACTIVE, 0);
}

/* Without work the timer is slow; a device's data and a register end that, and no frame is left out. */
static void test_pace(void)
{
    start_tablet();
    configure(2);
    run(UHCI_IDLE_FRAMES + UHCI_SLOW_FRAMES);
    wakes = 0;
    for (unsigned n = 0; n < 1000; n++) {
        now += MS;
        if (clock_next_deadline(&fake_time) > now) continue;
        wakes++;
        clock_run(&fake_time);
    }
    CHECK(wakes >= 1000 / UHCI_SLOW_FRAMES - 1 && wakes <= 1000 / UHCI_SLOW_FRAMES + 1);
    /* Work at one number of 1024 is found all the same. */
    for (u32 n = 0; n < 1024; n++)
        put32(LIST + 4 * n, END);
    put32(LIST + 4 * 777, QUEUE | QH);
    add_td(ACTIVE, 0x69, 2, 1, BUFFER, 8);
    put32(QUEUE + 4, td_at(0));
    tds = 0;
    tablet.count = 0;
    usb_tablet_point(&tablet, 1, 1, 0, 0);
    run(1024 + UHCI_SLOW_FRAMES);
    CHECK_EQ(status_of(0) & ACTIVE, 0);
    for (u32 n = 0; n < 1024; n++)
        put32(LIST + 4 * n, QUEUE | QH);
    add_td(ACTIVE, 0x69, 2, 1, BUFFER, 8);
    put32(QUEUE + 4, td_at(0));
    tds = 0;
    run(UHCI_IDLE_FRAMES + 3 * UHCI_SLOW_FRAMES);
    usb_tablet_point(&tablet, 9, 9, 0, 0);
    run(1);
    CHECK_EQ(status_of(0) & ACTIVE, 0);
    /* A host that was away for an hour does not run an hour of frames. */
    reads = 0;
    now += 3600000 * MS;
    clock_run(&fake_time);
    CHECK(reads < 100000);
    CHECK_EQ(uhci.timer.armed, true);
    /* Suspended: no timer, and a device may wake the host. */
    put(USBSTS, 0x1f);
    CHECK_EQ(control(2, 0x00, 3, 1, 0, 0), 0);
    put(USBSTS, 0x1f);
    put(PORTSC1, 0x1004);
    put(USBCMD, 0x48);
    CHECK_EQ(clock_next_deadline(&fake_time), UINT64_MAX);
    usb_tablet_point(&tablet, 5, 5, 0, 1);
    CHECK(line && (get(USBSTS) & 4) && (get(PORTSC1) & 0x70) == 0x60);
    CHECK_EQ(get(USBCMD), 0x58); /* the controller goes on with the resume signal */
    put(USBCMD, 0x40);
    put(USBCMD, 0x41);
    put(PORTSC1, 4);
    CHECK_EQ(get(PORTSC1) & 0x70, 0x10);
    add_td(ACTIVE, 0x69, 2, 1, BUFFER, 8);
    go();
    CHECK_EQ(status_of(0) & ACTIVE, 0); /* the event was kept */
}

/* Suspended ports and buses (UHCI 1.1, 2.1.1, 2.1.2, 2.1.7): who may wake whom, and what says so. */
static void test_resume(void)
{
    start_tablet();
    configure(2);
    put(USBINTR, 0x0f);
    put(USBSTS, 0x1f);
    /* A device that may not wake the host does not. */
    put(PORTSC1, 0x1004);
    usb_tablet_point(&tablet, 1, 1, 0, 0);
    CHECK_EQ(get(PORTSC1) & 0x40, 0);
    put(PORTSC1, 4);
    CHECK_EQ(control(2, 0x00, 3, 1, 0, 0), 0);
    put(USBSTS, 0x1f);
    /* A suspended port, and the bus runs: only the port says so. */
    put(PORTSC1, 0x1004);
    CHECK_EQ(get(PORTSC1) & 0x1074, 0x1014);
    usb_tablet_point(&tablet, 2, 2, 0, 0);
    CHECK_EQ(get(PORTSC1) & 0x1074, 0x1064);
    CHECK_EQ(get(USBSTS) & 4, 0);
    CHECK_EQ(get(USBCMD) & 0x10, 0);
    /* The signal goes on until the driver ends it. */
    add_td(ACTIVE | ERRORS(3), 0x69, 2, 1, BUFFER, 8);
    put32(QUEUE + 4, td_at(0));
    run(3);
    CHECK(status_of(0) & STALLED); /* nobody answers */
    CHECK(get(PORTSC1) & 0x40);
    put(PORTSC1, 4);
    CHECK_EQ(get(PORTSC1) & 0x1074, 0x14);
    tds = 0;
    add_td(ACTIVE | ERRORS(3), 0x69, 2, 1, BUFFER, 8);
    go();
    CHECK_EQ(status_of(0) & ACTIVE, 0);
    /* A disabled port feels nothing, suspended or not. */
    put(PORTSC1, 0x1000);
    usb_tablet_point(&tablet, 3, 3, 0, 0);
    CHECK_EQ(get(PORTSC1) & 0x40, 0);
    /* A reset ends suspend and resume, and the permission to wake. */
    put(PORTSC1, 4);
    put(PORTSC1, 0x1044);
    put(PORTSC1, 0x1244);
    CHECK_EQ(get(PORTSC1) & 0x1044, 0);
    put(PORTSC1, 0);
    put(PORTSC1, 4);
    put(PORTSC1, 0x1004);
    usb_tablet_point(&tablet, 4, 4, 0, 0);
    CHECK_EQ(get(PORTSC1) & 0x40, 0);
    /* The driver resumes the bus itself: no frame runs before suspend and signal have ended. */
    put(PORTSC1, 4);
    put(USBCMD, 0x48);
    put(USBCMD, 0x58);
    CHECK_EQ(clock_next_deadline(&fake_time), UINT64_MAX);
    put(USBCMD, 0x49);
    CHECK_EQ(clock_next_deadline(&fake_time), UINT64_MAX);
    put(USBCMD, 0x41);
    CHECK(clock_next_deadline(&fake_time) != UINT64_MAX);
}

/* --- the disk --- */

/* The device has address 2. */
static void start_storage(void)
{
    const struct scsi_unit_options options = {.serial = "S-1"};
    for (u32 n = 0; n < sizeof(disk_data); n++)
        disk_data[n] = (u8)(n * 7 + n / 512);
    disk = (struct memory_disk){.disk = {.bytes = sizeof(disk_data), .submit = memory_disk_submit},
                                .data = disk_data,
                                .bad_sector = UINT64_MAX};
    usb_storage_init(&storage, &disk.disk, &options);
    start(&storage.usb, NULL);
    configure(2);
}

static void command(u8 flags, u32 length, const u8 *cdb, u8 cdb_bytes)
{
    u8 *wrapper = ram + BUFFER;
    memset(wrapper, 0, 31);
    memcpy(wrapper, "USBC\x11\x22\x33\x44", 8);
    memcpy(wrapper + 8, &length, 4);
    wrapper[12] = flags;
    wrapper[14] = cdb_bytes;
    memcpy(wrapper + 15, cdb, cdb_bytes);
    add_td(ACTIVE | ERRORS(3), 0xe1, 2, 2, BUFFER, 31);
    go();
}

/* Returns the status byte; 0xff: none came. */
static u8 wrapper_status(u32 *residue)
{
    add_td(ACTIVE | ERRORS(3) | SHORT_ENDS, 0x69, 2, 1, BUFFER + 0x80, 13);
    go();
    if (status_of(0) & (ACTIVE | STALLED)) return 0xff;
    CHECK(!memcmp(ram + BUFFER + 0x80, "USBS\x11\x22\x33\x44", 8));
    *residue = get32(BUFFER + 0x88);
    return ram[BUFFER + 0x8c];
}

static void transfer(u8 pid, u32 bytes)
{
    for (u32 at = 0; at < bytes; at += 64)
        add_td(ACTIVE | ERRORS(3), pid, 2, pid == 0x69 ? 1 : 2, BUFFER + 0x1000 + at,
               bytes - at < 64 ? bytes - at : 64);
    unsigned count = tds;
    go();
    run(2);
    CHECK_EQ(status_of(count - 1) & ACTIVE, 0);
}

static void test_storage(void)
{
    static const u8 inquiry[] = {0x12, 0, 0, 0, 36, 0}, ready[6] = {0}, sense[] = {3, 0, 0, 0, 18, 0};
    static const u8 read[] = {0x28, 0, 0, 0, 0, 8, 0, 0, 4, 0}, write[] = {0x2a, 0, 0, 0, 0, 8, 0, 0, 4, 0};
    static const u8 far[] = {0x28, 0, 0x7f, 0, 0, 8, 0, 0, 4, 0};
    u32 residue;
    start_storage();
    CHECK_EQ(control(2, 0xa1, 0xfe, 0, 0, 1), 1);
    CHECK_EQ(ram[BUFFER + 0x100], 0);
    /* INQUIRY; with more data asked for than there are. */
    command(0x80, 96, inquiry, 6);
    transfer(0x69, 96);
    CHECK_EQ(wrapper_status(&residue), 0);
    CHECK_EQ(residue, 60);
    /* The reset is told once. */
    command(0, 0, ready, 6);
    CHECK_EQ(wrapper_status(&residue), 1);
    command(0x80, 18, sense, 6);
    transfer(0x69, 18);
    CHECK_EQ(ram[BUFFER + 0x1000 + 2], 6);
    CHECK_EQ(wrapper_status(&residue), 0);
    command(0, 0, ready, 6);
    CHECK_EQ(wrapper_status(&residue), 0);
    /* Read: NAK while the disk works. */
    command(0x80, 2048, read, 10);
    add_td(ACTIVE | ERRORS(3), 0x69, 2, 1, BUFFER, 64);
    go();
    CHECK_EQ(status_of(0) & (ACTIVE | NAK), ACTIVE | NAK);
    memory_disk_run(&disk, 1);
    transfer(0x69, 2048);
    CHECK(!memcmp(ram + BUFFER + 0x1000, disk_data + 8 * 512, 2048));
    CHECK_EQ(wrapper_status(&residue), 0);
    CHECK_EQ(residue, 0);
    /* Write. */
    command(0, 2048, write, 10);
    for (u32 n = 0; n < 2048; n++)
        ram[BUFFER + 0x1000 + n] = (u8)~n;
    transfer(0xe1, 2048);
    CHECK_EQ(wrapper_status(&residue), 0xff); /* not yet */
    memory_disk_run(&disk, 1);
    CHECK_EQ(wrapper_status(&residue), 0);
    CHECK(!memcmp(ram + BUFFER + 0x1000, disk_data + 8 * 512, 2048));
    /* Beyond the end: filled up, and refused. */
    command(0x80, 2048, far, 10);
    transfer(0x69, 2048);
    CHECK_EQ(wrapper_status(&residue), 1);
    CHECK_EQ(residue, 2048);
    /* More than any command may transfer. */
    command(0x80, 0xffffffff, read, 10);
    CHECK_EQ(wrapper_status(&residue), 2);
    /* Reset while the disk works: the result is dropped, and the next command waits. */
    command(0x80, 2048, read, 10);
    CHECK_EQ(control(2, 0x21, 0xff, 0, 0, 0), 0);
    command(0, 0, ready, 6);
    CHECK_EQ(status_of(0) & (ACTIVE | NAK), ACTIVE | NAK);
    memory_disk_run(&disk, 1);
    run(1);
    CHECK_EQ(status_of(0) & ACTIVE, 0);
    CHECK_EQ(wrapper_status(&residue), 0);
    /* A false wrapper: STALL until the class's reset. */
    memcpy(ram + BUFFER, "nonsense", 8);
    add_td(ACTIVE | ERRORS(3), 0xe1, 2, 2, BUFFER, 31);
    go();
    CHECK_EQ(status_of(0) & STALLED, STALLED);
    CHECK_EQ(control(2, 0x02, 1, 0, 0x81, 0), 0);
    CHECK_EQ(wrapper_status(&residue), 0xff);
    CHECK_EQ(control(2, 0x21, 0xff, 0, 0, 0), 0);
    CHECK_EQ(control(2, 0x02, 1, 0, 0x81, 0), 0);
    CHECK_EQ(control(2, 0x02, 1, 0, 0x02, 0), 0);
    command(0, 0, ready, 6);
    CHECK_EQ(wrapper_status(&residue), 0);
    usb_storage_destroy(&storage);
}

/* Data that the host takes or gives, in one transfer. */
static u8 exchange(u8 flags, u32 length, const u8 *cdb, u8 cdb_bytes, u32 *residue)
{
    command(flags, length, cdb, cdb_bytes);
    if (length && !flags) transfer(0xe1, length);
    memory_disk_run(&disk, 1);
    if (length && flags) transfer(0x69, length);
    u8 status = wrapper_status(residue);
    if (status != 0xff) return status;
    memory_disk_run(&disk, 1);
    return wrapper_status(residue);
}

/* What the host expects, and what the device would do, as Bulk-Only Transport 6.7 numbers the cases: the status, and
 * how much of what was expected was not used. */
static void test_thirteen_cases(void)
{
    enum { IN = 0x80, GOOD = 0, FAILED = 1, PHASE = 2 };
    static const u8 ready[6] = {0}, read[] = {0x28, 0, 0, 0, 0, 8, 0, 0, 2, 0},
                    write[] = {0x2a, 0, 0, 0, 0, 8, 0, 0, 2, 0}, inquiry[] = {0x12, 0, 0, 0, 36, 0},
                    far[] = {0x2a, 0, 0x7f, 0, 0, 8, 0, 0, 2, 0};
    static const struct {
        u8 flags;
        u16 length;
        const u8 *cdb;
        u8 cdb_bytes, status;
        u16 residue;
    } cases[] = {
        {0, 0, ready, 6, GOOD, 0},          /* 1: Hn = Dn */
        {0, 0, read, 10, PHASE, 0},         /* 2: Hn < Di */
        {0, 0, write, 10, PHASE, 0},        /* 3: Hn < Do */
        {IN, 64, ready, 6, GOOD, 64},       /* 4: Hi > Dn */
        {IN, 1536, read, 10, GOOD, 512},    /* 5: Hi > Di */
        {IN, 96, inquiry, 6, GOOD, 60},     /* 5 */
        {IN, 1024, read, 10, GOOD, 0},      /* 6: Hi = Di */
        {IN, 512, read, 10, PHASE, 512},    /* 7: Hi < Di */
        {IN, 18, inquiry, 6, PHASE, 0},     /* 7 */
        {IN, 1024, write, 10, PHASE, 1024}, /* 8: Hi <> Do */
        {0, 64, ready, 6, GOOD, 64},        /* 9: Ho > Dn */
        {0, 1024, read, 10, PHASE, 1024},   /* 10: Ho <> Di */
        {0, 1536, write, 10, GOOD, 512},    /* 11: Ho > Do */
        {0, 1024, write, 10, GOOD, 0},      /* 12: Ho = Do */
        {0, 512, write, 10, PHASE, 512},    /* 13: Ho < Do */
        {0, 1024, far, 10, FAILED, 1024},   /* an error of the command is none of the transport */
    };
    u32 residue;
    u8 before[1024];
    start_storage();
    CHECK_EQ(exchange(0, 0, ready, 6, &residue), FAILED); /* the reset is told once */
    for (unsigned n = 0; n < ARRAY_SIZE(cases); n++) {
        memcpy(before, disk_data + 8 * 512, sizeof(before));
        memset(ram + BUFFER + 0x1000, (int)n + 1, 2048);
        CHECK_EQ(exchange(cases[n].flags, cases[n].length, cases[n].cdb, cases[n].cdb_bytes, &residue),
                 cases[n].status);
        CHECK_EQ(residue, cases[n].residue);
        bool writes = cases[n].cdb == write && cases[n].status == GOOD;
        CHECK_EQ(memcmp(before, disk_data + 8 * 512, sizeof(before)) != 0, writes);
    }
    usb_storage_destroy(&storage);
}

/* A packet that is longer than the host wants, with nearly all bytes of the frame used up: the frame still ends. */
static void test_frame_bytes(void)
{
    enum { FULL = UHCI_FRAME_BYTES / 64 };
    static const u8 write[] = {0x2a, 0, 0, 0, 0, 8, 0, 0, 32, 0}, setup[] = {0x80, 6, 0, 1, 0, 0, 18, 0};
    start_storage();
    command(0, 2 * UHCI_FRAME_BYTES, write, 10);
    memcpy(ram + BUFFER, setup, 8);
    add_td(ACTIVE | ERRORS(3), 0x2d, 2, 0, BUFFER, 8);
    go();
    for (u32 n = 0; n < FULL; n++)
        add_td(ACTIVE | ERRORS(3), 0xe1, 2, 2, BUFFER, n + 1 < FULL ? 64 : 63);
    add_td(ACTIVE | ERRORS(3), 0x69, 2, 0, BUFFER, 1);
    add_td(ACTIVE | ERRORS(3), 0xe1, 2, 2, BUFFER, 64);
    put32(td_at(FULL - 1), END);
    put32(td_at(FULL), END);
    put32(QUEUE, (QUEUE + 16) | QH);
    put32(QUEUE + 16, (QUEUE + 32) | QH);
    put32(QUEUE + 20, td_at(FULL));
    put32(QUEUE + 32, END);
    put32(QUEUE + 36, td_at(FULL + 1));
    go();
    CHECK_EQ(status_of(FULL - 1) & ACTIVE, 0);
    CHECK_EQ(status_of(FULL) & (ACTIVE | BABBLE), BABBLE);
    CHECK_EQ(status_of(FULL + 1) & ACTIVE, ACTIVE);
    usb_storage_destroy(&storage);
}

/* --- hostile schedules: each ends, with a bounded number of accesses --- */

static void bounded(const char *what)
{
    reads = 0;
    run(1);
    if (reads > 4 * UHCI_FRAME_VISITS) printf("%s: %llu reads\n", what, (unsigned long long)reads);
    CHECK(reads <= 4 * UHCI_FRAME_VISITS);
}

static void test_hostile(void)
{
    start_tablet();
    configure(2);
    put32(QUEUE, QUEUE | QH);
    bounded("a queue head that is its own successor");
    CHECK(reads < 20);
    put32(QUEUE, (QUEUE + 16) | QH);
    put32(QUEUE + 16, (QUEUE + 32) | QH);
    put32(QUEUE + 20, END);
    put32(QUEUE + 32, QUEUE | QH);
    put32(QUEUE + 36, END);
    bounded("a ring of three");
    CHECK(reads < 40);
    put32(QUEUE + 4, QUEUE | QH);
    bounded("a queue within itself");
    put32(QUEUE, END);
    put32(QUEUE + 4, td_at(0));
    put32(td_at(0), td_at(0) | DEPTH);
    put32(td_at(0) + 4, ACTIVE);
    put32(td_at(0) + 8, 0x7ffu << 21 | 2u << 8 | 0xe1);
    bounded("a TD that is its own successor, done again and again");
    put32(LIST + 4 * get(FRNUM), td_at(1));
    put32(td_at(1), td_at(1));
    put32(td_at(1) + 4, 0);
    bounded("a TD outside of queues that is its own successor");
    put32(LIST + 4 * get(FRNUM), 0xfffffff0u);
    bounded("a TD beyond memory");
    put32(LIST + 4 * get(FRNUM), 0xfffffff2u);
    bounded("a queue beyond memory");
    put(FLBASE + 2, 0xffff);
    bounded("a list beyond memory");
}

int main(void)
{
    test_registers();
    test_control();
    test_errors();
    test_input();
    test_idle_rate();
    test_pace();
    test_resume();
    test_storage();
    test_thirteen_cases();
    test_frame_bytes();
    test_hostile();
    return check_report();
}
