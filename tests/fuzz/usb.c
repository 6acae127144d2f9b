/*
 * Hostile drivers of the USB host controller and of its devices. Input: a byte that chooses what is on the second port,
 * then an operation a byte with its arguments behind it: registers, configuration space, memory, whole transfers to a
 * device, keys and pointer, disk requests that end, and the clock. Memory is 64 KB that repeats, so that frame list,
 * queues and packets overlap in all ways.
 */
#include "input.h"

#include "devices/usb/uhci.h"
#include "devices/usb/usb_hid.h"
#include "devices/usb/usb_storage.h"

#include <stdlib.h>
#include <string.h>

enum { MEMORY_BYTES = 65536, DISK_BYTES = 65536, QUEUED_MAX = 4, OPERATIONS_MAX = 400 };
enum { LIST = 0x1000, QUEUE = 0x2000, TDS = 0x2100, BUFFER = 0x4000 };
enum { TD_ACTIVE = 1 << 23, POINTER_END = 1, POINTER_QUEUE = 2, POINTER_DEPTH = 4 };

static u8 memory[MEMORY_BYTES], disk_data[DISK_BYTES];
static u64 now;
static struct clock fake_time;
static struct uhci uhci;
static struct usb_hid hid[2];
static struct usb_storage storage;
static struct disk_request *queue[QUEUED_MAX];
static unsigned queued;

static u64 now_ns(const struct clock *clock)
{
    return now;
}

static void memory_read(void *owner, u64 gpa, void *buffer, u64 bytes)
{
    for (u64 n = 0; n < bytes; n++)
        ((u8 *)buffer)[n] = memory[(gpa + n) % MEMORY_BYTES];
}

static void memory_write(void *owner, u64 gpa, const void *buffer, u64 bytes)
{
    for (u64 n = 0; n < bytes; n++)
        memory[(gpa + n) % MEMORY_BYTES] = ((const u8 *)buffer)[n];
}

static void submit(struct disk *disk, struct disk_request *request)
{
    if (queued == QUEUED_MAX || request->offset + request->bytes > DISK_BYTES) abort();
    queue[queued++] = request;
}

static void end_request(bool bad)
{
    if (!queued) return;
    struct disk_request *request = queue[0];
    memmove(queue, queue + 1, --queued * sizeof(*queue));
    request->error = bad ? -5 : 0;
    u64 at = request->offset;
    for (unsigned n = 0; n < request->part_count && request->operation <= DISK_WRITE; n++) {
        const struct iovec *part = &request->part[n];
        bool reads = request->operation == DISK_READ;
        memcpy(reads ? part->iov_base : disk_data + at, reads ? disk_data + at : part->iov_base,
               part->iov_len);
        at += part->iov_len;
    }
    request->done(request);
}

static void put32(u32 at, u32 value)
{
    memcpy(memory + at % (MEMORY_BYTES - 4), &value, 4);
}

/* Up to 8 packets of up to 64 bytes in the queue, as a driver puts them there. */
static void transfer(struct input *in)
{
    static const u8 pids[] = {USB_PID_IN, USB_PID_OUT, USB_PID_SETUP, 0};
    unsigned count = take(in, 1) & 7;
    put32(QUEUE, POINTER_END);
    put32(QUEUE + 4, TDS);
    for (u32 n = 0; n <= count; n++) {
        u32 at = TDS + 32 * n, what = take(in, 2);
        put32(at, n == count ? POINTER_END : (at + 32) | POINTER_DEPTH);
        put32(at + 4, TD_ACTIVE | take(in, 1) << 24);
        put32(at + 8,
              (take(in, 1) - 1u) << 21 | (what >> 8 & 15) << 15 | (what & 0x0f) << 8 | pids[what >> 4 & 3]);
        put32(at + 12, BUFFER + 64 * n);
    }
}

/* A command for the disk, with its wrapper at BUFFER. */
static void wrapper(struct input *in)
{
    memset(memory + BUFFER, 0, 31);
    memcpy(memory + BUFFER, "USBC", 4);
    put32(BUFFER + 8, take(in, 2));
    memory[BUFFER + 12] = take(in, 1) & 0x80;
    memory[BUFFER + 14] = 16;
    for (unsigned n = 0; n < 10; n++)
        memory[BUFFER + 15 + n] = (u8)take(in, 1);
}

static void operate(struct input *in)
{
    unsigned operation = take(in, 1);
    u32 offset = take(in, 1), size = 1 + (operation >> 7);
    struct usb_hid *which = &hid[offset & 1];
    switch (operation & 15) {
    case 0:
    case 1: uhci.pci.bar[4].ops->write(&uhci, offset & 31, size, take(in, size)); break;
    case 2: uhci.pci.bar[4].ops->read(&uhci, offset & 31, size); break;
    case 3:
        pci_config_ops.write(uhci.pci.bus, 0, 4, 0x80000000u | uhci.pci.devfn << 8 | (offset & 0xfc));
        pci_config_ops.write(uhci.pci.bus, 4 + (offset & 3), 1, take(in, 1));
        break;
    case 4: put32((offset << 8 | take(in, 1)) & ~3u, take(in, 4)); break;
    case 5: transfer(in); break;
    case 6: wrapper(in); break;
    case 7:
        if (which->kind) usb_keyboard_key(which, (u8)take(in, 1), operation >> 7);
        break;
    case 8:
        if (which->kind)
            usb_tablet_point(which, (u16)take(in, 2), (u16)take(in, 2), (s8)take(in, 1), (u8)take(in, 1));
        break;
    case 9: end_request(operation >> 7); break;
    case 10: uhci_reset(&uhci); break;
    case 11:
        now += (u64)offset * UHCI_FRAME_NS * 100;
        clock_run(&fake_time);
        break;
    default:
        now += UHCI_FRAME_NS;
        clock_run(&fake_time);
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    static struct pci_bus bus;
    static struct disk disk;
    static const struct usb_hid_wiring wiring;
    const struct dma dma = {.read = memory_read, .write = memory_write};
    const struct scsi_unit_options options = {.serial = "1"};
    struct input in = {data, data + bytes};
    memset(memory, 0, sizeof(memory));
    now = queued = 0;
    fake_time = (struct clock){.now_ns = now_ns};
    disk = (struct disk){.bytes = DISK_BYTES, .can_discard = true, .submit = submit};
    memset(hid, 0, sizeof(hid));
    pci_bus_init(&bus);
    uhci_init(&uhci, &bus, PCI_DEVFN(4, 0), &dma, &fake_time);
    usb_storage_init(&storage, &disk, &options);
    usb_tablet_init(&hid[0], &fake_time, &wiring);
    usb_keyboard_init(&hid[1], &fake_time, &wiring);
    unsigned first = take(&in, 1) & 1;
    uhci_plug(&uhci, &hid[first].usb);
    uhci_plug(&uhci, &storage.usb);
    /* As a driver leaves it: it runs, and each frame leads to the queue. The devices have addresses 1 and 2. */
    for (u32 n = 0; n < 1024; n++)
        put32(LIST + 4 * n, QUEUE | POINTER_QUEUE);
    put32(QUEUE, POINTER_END);
    put32(QUEUE + 4, POINTER_END);
    uhci.pci.config[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MASTER;
    uhci.base = LIST;
    for (unsigned port = 0; port < UHCI_PORTS; port++) {
        uhci.port[port].status |= UHCI_PORT_ENABLED;
        uhci.port[port].device->address = (u8)(port + 1);
        uhci.port[port].device->is_configured = true;
    }
    uhci.pci.bar[4].ops->write(&uhci, 0, 2, UHCI_RUN);
    for (unsigned n = 0; in.at < in.end && n < OPERATIONS_MAX; n++)
        operate(&in);
    while (queued)
        end_request(false);
    usb_storage_destroy(&storage);
    return 0;
}
