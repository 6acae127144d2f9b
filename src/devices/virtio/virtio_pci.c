/*
 * Virtio over PCI (4.1), modern and legacy. See virtio.h.
 *
 * BAR 4, memory, 32 KB, laid out as the capabilities say:
 *
 *   0000h  common configuration        3000h  notifications, 4 bytes a queue
 *   1000h  interrupt status            4000h  MSI-X table
 *   2000h  the device's configuration  5000h  MSI-X pending bits
 *
 * BAR 0, ports, the legacy interface (4.1.4.10): a header of 20 bytes, or of 24 while MSI-X is enabled, and
 * the device's configuration behind it.
 */
#include "virtio.h"

#include <string.h>

#define VENDOR             0x1af4
#define MODERN_DEVICE_BASE 0x1040
#define MODERN_REVISION    1
#define MODERN_SUBSYSTEM   0x1100
#define LEGACY_RING_ALIGN  4096
#define NOTIFY_MULTIPLIER  4

enum { BAR_LEGACY = 0, BAR_MODERN = 4 };
#define LEGACY_BYTES 128
#define MODERN_BYTES 0x8000

enum area { AREA_COMMON, AREA_STATUS, AREA_DEVICE, AREA_NOTIFY, AREA_TABLE, AREA_PENDING };
#define AREA_SHIFT 12
#define AREA_BYTES (1u << AREA_SHIFT)

/* Capabilities (4.1.4) */
enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_STATUS, CAP_DEVICE, CAP_ACCESS };
enum { CAP_BYTES = 16, CAP_LONG_BYTES = 20 };
enum { CAP_LENGTH_OF = 2, CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_EXTRA = 16 };

/* Common configuration (4.1.4.3) */
enum {
    COMMON_OFFERED_SELECT = 0,
    COMMON_OFFERED = 4,
    COMMON_ACCEPTED_SELECT = 8,
    COMMON_ACCEPTED = 12,
    COMMON_CONFIG_VECTOR = 16,
    COMMON_QUEUES = 18,
    COMMON_STATUS = 20,
    COMMON_GENERATION = 21,
    COMMON_QUEUE_SELECT = 22,
    COMMON_QUEUE_SIZE = 24,
    COMMON_QUEUE_VECTOR = 26,
    COMMON_QUEUE_ENABLE = 28,
    COMMON_QUEUE_NOTIFY_OFFSET = 30,
    COMMON_QUEUE_DESCRIPTORS = 32,
    COMMON_QUEUE_DRIVER = 40,
    COMMON_QUEUE_DEVICE = 48,
    COMMON_QUEUE_NOTIFY_DATA = 56,
    COMMON_QUEUE_RESET = 58,
    COMMON_BYTES = 60,
};

/* The legacy header (4.1.4.10) */
enum {
    LEGACY_OFFERED = 0,
    LEGACY_ACCEPTED = 4,
    LEGACY_QUEUE_PAGE = 8,
    LEGACY_QUEUE_SIZE = 12,
    LEGACY_QUEUE_SELECT = 14,
    LEGACY_NOTIFY = 16,
    LEGACY_STATUS = 18,
    LEGACY_INTERRUPT_STATUS = 19,
    LEGACY_CONFIG_VECTOR = 20,
    LEGACY_QUEUE_VECTOR = 22,
};

enum { STATUS_QUEUE = 1, STATUS_CONFIG = 2 };

/* --- both interfaces --- */

/* The selected queue, or NULL. */
static struct virtio_queue *selected(struct virtio *virtio)
{
    return virtio->queue_select < virtio->queues ? &virtio->queue[virtio->queue_select] : NULL;
}

void virtio_pci_interrupt(struct virtio *virtio, int queue)
{
    if (pci_msix_enabled(&virtio->msix)) {
        pci_msix_send(&virtio->msix, queue < 0 ? virtio->config_vector : virtio->queue[queue].vector);
        return;
    }
    virtio->interrupt_status |= queue < 0 ? STATUS_CONFIG : STATUS_QUEUE;
    pci_set_interrupt(&virtio->pci, true);
}

static u8 take_interrupt_status(struct virtio *virtio)
{
    u8 status = virtio->interrupt_status;
    virtio->interrupt_status = 0;
    if (status) pci_set_interrupt(&virtio->pci, false);
    return status;
}

static u16 vector_or_none(const struct virtio *virtio, u32 vector)
{
    return vector < virtio->msix.vectors ? (u16)vector : VIRTIO_NO_VECTOR;
}

/* --- modern --- */

/* Build the whole structure for each read. It is read rarely, and some drivers read single bytes. */
static u32 common_read(struct virtio *virtio, u32 offset, unsigned size)
{
    u8 now[COMMON_BYTES] = {0};
    const struct virtio_queue *queue = selected(virtio);
    if (offset + size > COMMON_BYTES) return 0;
    u32 offered = virtio->offered_select < 2 ? (u32)(virtio->offered >> 32 * virtio->offered_select) : 0;
    u32 accepted = virtio->accepted_select < 2 ? (u32)(virtio->accepted >> 32 * virtio->accepted_select) : 0;
    pci_put32(now + COMMON_OFFERED_SELECT, virtio->offered_select);
    pci_put32(now + COMMON_OFFERED, offered);
    pci_put32(now + COMMON_ACCEPTED_SELECT, virtio->accepted_select);
    pci_put32(now + COMMON_ACCEPTED, accepted);
    pci_put16(now + COMMON_CONFIG_VECTOR, virtio->config_vector);
    pci_put16(now + COMMON_QUEUES, (u16)virtio->queues);
    now[COMMON_STATUS] = virtio_status(virtio);
    now[COMMON_GENERATION] = virtio->generation;
    pci_put16(now + COMMON_QUEUE_SELECT, virtio->queue_select);
    if (queue) {
        pci_put16(now + COMMON_QUEUE_SIZE, queue->size);
        pci_put16(now + COMMON_QUEUE_VECTOR, queue->vector);
        pci_put16(now + COMMON_QUEUE_ENABLE, queue->enabled);
        pci_put16(now + COMMON_QUEUE_NOTIFY_OFFSET, virtio->queue_select);
        store_any(now + COMMON_QUEUE_DESCRIPTORS, 8, queue->descriptors_gpa);
        store_any(now + COMMON_QUEUE_DRIVER, 8, queue->driver_gpa);
        store_any(now + COMMON_QUEUE_DEVICE, 8, queue->device_gpa);
        pci_put16(now + COMMON_QUEUE_NOTIFY_DATA, virtio->queue_select);
        pci_put16(now + COMMON_QUEUE_RESET, queue->resetting);
    }
    return (u32)load_any(now + offset, size);
}

static void set_half(u64 *address, bool high, u32 value)
{
    *address = high ? (u32)*address | (u64)value << 32 : (*address >> 32) << 32 | value;
}

static void queue_write(struct virtio *virtio, struct virtio_queue *queue, u32 offset, u32 value)
{
    switch (offset) {
    case COMMON_QUEUE_VECTOR: queue->vector = vector_or_none(virtio, value); return;
    case COMMON_QUEUE_RESET:
        if (value != 1 || !virtio_has(virtio, VIRTIO_F_RING_RESET)) return;
        virtio_queue_reset(virtio, virtio->queue_select);
        if (virtio->kind->queue_reset) virtio->kind->queue_reset(virtio, virtio->queue_select);
        return;
    default: break;
    }
    if (queue->enabled) return; /* the rest stays as it is until a reset */
    switch (offset) {
    case COMMON_QUEUE_SIZE: queue->size = (u16)value; break;
    case COMMON_QUEUE_ENABLE:
        if (value == 1) virtio_queue_enable(virtio, virtio->queue_select);
        break;
    case COMMON_QUEUE_DESCRIPTORS: set_half(&queue->descriptors_gpa, false, value); break;
    case COMMON_QUEUE_DESCRIPTORS + 4: set_half(&queue->descriptors_gpa, true, value); break;
    case COMMON_QUEUE_DRIVER: set_half(&queue->driver_gpa, false, value); break;
    case COMMON_QUEUE_DRIVER + 4: set_half(&queue->driver_gpa, true, value); break;
    case COMMON_QUEUE_DEVICE: set_half(&queue->device_gpa, false, value); break;
    case COMMON_QUEUE_DEVICE + 4: set_half(&queue->device_gpa, true, value); break;
    default: break;
    }
}

static void common_write(struct virtio *virtio, u32 offset, u32 value)
{
    struct virtio_queue *queue = selected(virtio);
    u64 accepted = virtio->accepted;
    switch (offset) {
    case COMMON_OFFERED_SELECT: virtio->offered_select = value; break;
    case COMMON_ACCEPTED_SELECT: virtio->accepted_select = value; break;
    case COMMON_ACCEPTED:
        if (virtio->accepted_select > 1) break;
        set_half(&accepted, virtio->accepted_select, value);
        virtio_accept(virtio, accepted);
        break;
    case COMMON_CONFIG_VECTOR: virtio->config_vector = vector_or_none(virtio, value); break;
    case COMMON_STATUS: virtio_set_status(virtio, (u8)value); break;
    case COMMON_QUEUE_SELECT: virtio->queue_select = (u16)value; break;
    default:
        if (queue) queue_write(virtio, queue, offset, value);
        break;
    }
}

static u32 modern_read(void *device, u32 offset, unsigned size)
{
    struct virtio *virtio = device;
    u32 at = offset & (AREA_BYTES - 1);
    switch ((enum area)(offset >> AREA_SHIFT)) {
    case AREA_COMMON: return common_read(virtio, at, size);
    case AREA_STATUS: return at ? 0 : take_interrupt_status(virtio);
    case AREA_DEVICE: return virtio_config_read(virtio, at, size);
    case AREA_TABLE: return pci_msix_table_read(&virtio->msix, at, size);
    case AREA_PENDING: return pci_msix_pending_read(&virtio->msix, at, size);
    default: return 0;
    }
}

static void modern_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct virtio *virtio = device;
    u32 at = offset & (AREA_BYTES - 1);
    switch ((enum area)(offset >> AREA_SHIFT)) {
    case AREA_NOTIFY: virtio_queue_notified(virtio, at / NOTIFY_MULTIPLIER); break;
    case AREA_COMMON: common_write(virtio, at, value); break;
    case AREA_DEVICE: virtio_config_write(virtio, at, size, value); break;
    case AREA_TABLE: pci_msix_table_write(&virtio->msix, at, size, value); break;
    default: break;
    }
}

static const struct io_ops modern_ops = {modern_read, modern_write};

/* --- legacy --- */

/* The offset of the device's configuration. */
static u32 legacy_header(const struct virtio *virtio)
{
    return pci_msix_enabled(&virtio->msix) ? LEGACY_QUEUE_VECTOR + 2 : LEGACY_CONFIG_VECTOR;
}

static u32 legacy_read(void *device, u32 offset, unsigned size)
{
    struct virtio *virtio = device;
    const struct virtio_queue *queue = selected(virtio);
    u32 header = legacy_header(virtio);
    if (offset >= header) return virtio_config_read(virtio, offset - header, size);
    switch (offset) {
    case LEGACY_OFFERED: return (u32)virtio->offered;
    case LEGACY_ACCEPTED: return (u32)virtio->accepted;
    case LEGACY_QUEUE_PAGE: return queue ? (u32)(queue->descriptors_gpa / LEGACY_RING_ALIGN) : 0;
    case LEGACY_QUEUE_SIZE: return queue ? queue->size_max : 0;
    case LEGACY_QUEUE_SELECT: return virtio->queue_select;
    case LEGACY_STATUS: return virtio_status(virtio);
    case LEGACY_INTERRUPT_STATUS: return take_interrupt_status(virtio);
    case LEGACY_CONFIG_VECTOR: return virtio->config_vector;
    case LEGACY_QUEUE_VECTOR: return queue ? queue->vector : VIRTIO_NO_VECTOR;
    default: return 0;
    }
}

/* One page number gives the addresses of all areas (2.7.2). */
static void set_legacy_queue(struct virtio *virtio, u32 page)
{
    struct virtio_queue *queue = selected(virtio);
    if (!queue) return;
    u16 vector = queue->vector;
    virtio_queue_reset(virtio, virtio->queue_select);
    queue->vector = vector;
    if (!page) return;
    queue->descriptors_gpa = (u64)page * LEGACY_RING_ALIGN;
    queue->driver_gpa = queue->descriptors_gpa + queue->size * 16;
    queue->device_gpa = align_up(queue->driver_gpa + 4 + queue->size * 2 + 2, LEGACY_RING_ALIGN);
    virtio_queue_enable(virtio, virtio->queue_select);
}

static void legacy_write(void *device, u32 offset, unsigned size, u32 value)
{
    struct virtio *virtio = device;
    struct virtio_queue *queue = selected(virtio);
    u32 header = legacy_header(virtio);
    if (offset >= header) {
        virtio_config_write(virtio, offset - header, size, value);
        return;
    }
    switch (offset) {
    case LEGACY_ACCEPTED: virtio_accept(virtio, value & (u32)virtio->offered); break;
    case LEGACY_QUEUE_PAGE: set_legacy_queue(virtio, value); break;
    case LEGACY_QUEUE_SELECT: virtio->queue_select = (u16)value; break;
    case LEGACY_NOTIFY: virtio_queue_notified(virtio, value); break;
    case LEGACY_STATUS: virtio_set_status(virtio, (u8)value); break;
    case LEGACY_CONFIG_VECTOR: virtio->config_vector = vector_or_none(virtio, value); break;
    case LEGACY_QUEUE_VECTOR:
        if (queue) queue->vector = vector_or_none(virtio, value);
        break;
    default: break;
    }
}

static const struct io_ops legacy_ops = {legacy_read, legacy_write};

/* --- access through configuration space, for firmware that cannot reach the BAR yet (4.1.4.9) --- */

/* The access that the capability describes. False: it is impossible. */
static bool described_access(const struct virtio *virtio, u32 *offset, unsigned *size)
{
    const u8 *at = &virtio->pci.config[virtio->access_capability];
    u32 bytes = pci_get32(at + CAP_LENGTH);
    *offset = pci_get32(at + CAP_OFFSET);
    *size = bytes;
    return at[CAP_BAR] == BAR_MODERN && (bytes == 1 || bytes == 2 || bytes == 4) &&
           !(*offset & (bytes - 1)) && *offset < MODERN_BYTES;
}

static void config_reading(struct pci_device *pci, unsigned offset, unsigned size)
{
    struct virtio *virtio = container_of(pci, struct virtio, pci);
    unsigned data = virtio->access_capability + CAP_EXTRA, bytes;
    u32 at;
    if (!virtio->access_capability || offset + size <= data || offset >= data + 4u) return;
    if (described_access(virtio, &at, &bytes))
        pci_put32(&pci->config[data], (u32)mask_bytes(modern_read(virtio, at, bytes), bytes));
}

static void config_written(struct pci_device *pci, unsigned offset)
{
    struct virtio *virtio = container_of(pci, struct virtio, pci);
    unsigned data = virtio->access_capability + CAP_EXTRA, bytes;
    u32 at;
    if (!virtio->access_capability || offset < data || offset >= data + 4u) return;
    /* This is called for each byte. Act on the last byte of the access. */
    if (described_access(virtio, &at, &bytes) && offset == data + bytes - 1)
        modern_write(virtio, at, bytes, (u32)mask_bytes(pci_get32(&pci->config[data]), bytes));
}

/* --- set-up --- */

static u8 add_capability(struct virtio *virtio, u8 type, enum area area, u32 bytes, u8 capability_bytes)
{
    u8 at = pci_add_capability(&virtio->pci, PCI_CAPABILITY_VENDOR, capability_bytes);
    u8 *config = &virtio->pci.config[at];
    config[CAP_LENGTH_OF] = capability_bytes;
    config[CAP_TYPE] = type;
    config[CAP_BAR] = BAR_MODERN;
    pci_put32(config + CAP_OFFSET, (u32)area << AREA_SHIFT);
    pci_put32(config + CAP_LENGTH, bytes);
    return at;
}

static void add_modern(struct virtio *virtio)
{
    struct pci_device *pci = &virtio->pci;
    u8 at = add_capability(virtio, CAP_ACCESS, 0, 0, CAP_LONG_BYTES);
    virtio->access_capability = at;
    pci_put32(&pci->config[at + CAP_LENGTH], 0);
    pci->config[at + CAP_BAR] = 0;
    pci->writable[at + CAP_BAR] = 0xff;
    memset(&pci->writable[at + CAP_OFFSET], 0xff, CAP_LONG_BYTES - CAP_OFFSET);
    pci->reading = config_reading;
    pci->written = config_written;
    at = add_capability(virtio, CAP_NOTIFY, AREA_NOTIFY, AREA_BYTES, CAP_LONG_BYTES);
    pci_put32(&pci->config[at + CAP_EXTRA], NOTIFY_MULTIPLIER);
    add_capability(virtio, CAP_DEVICE, AREA_DEVICE, AREA_BYTES, CAP_BYTES);
    add_capability(virtio, CAP_STATUS, AREA_STATUS, AREA_BYTES, CAP_BYTES);
    add_capability(virtio, CAP_COMMON, AREA_COMMON, AREA_BYTES, CAP_BYTES);
}

void virtio_pci_init(struct virtio *virtio, struct pci_bus *bus, const struct virtio_options *options,
                     u16 type, u32 class_code)
{
    struct pci_device *pci = &virtio->pci;
    /* A transitional device has a device ID of its own, and its type as subsystem ID (4.1.2.3). */
    static const u16 legacy_ids[] = {
        [VIRTIO_NET] = 0x1000,     [VIRTIO_BLOCK] = 0x1001,   [VIRTIO_CONSOLE] = 0x1003,
        [VIRTIO_ENTROPY] = 0x1005, [VIRTIO_BALLOON] = 0x1002, [VIRTIO_SCSI] = 0x1004,
        [VIRTIO_9P] = 0x1009};
    u16 id = options->no_legacy ? MODERN_DEVICE_BASE + type : legacy_ids[type];
    pci_device_init(pci, bus, options->devfn, VENDOR, id, class_code);
    pci->config[PCI_REVISION] = options->no_legacy ? MODERN_REVISION : 0;
    pci_put16(&pci->config[PCI_SUBSYSTEM_VENDOR], VENDOR);
    pci_put16(&pci->config[PCI_SUBSYSTEM], options->no_legacy ? MODERN_SUBSYSTEM : type);
    pci_interrupt_pin(pci, 1);
    if (!options->no_legacy) pci_bar_ports(pci, BAR_LEGACY, LEGACY_BYTES, 4, &legacy_ops, virtio);
    pci_bar_mmio(pci, BAR_MODERN, MODERN_BYTES, &modern_ops, virtio);
    pci_msix_init(&virtio->msix, pci, virtio->queues + 1, BAR_MODERN, AREA_TABLE << AREA_SHIFT,
                  AREA_PENDING << AREA_SHIFT);
    if (!options->no_modern) add_modern(virtio);
}
