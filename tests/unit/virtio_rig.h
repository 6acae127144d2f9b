/*
 * Tests of virtio devices share this: guest memory that is an array, a bus with one device on it, and a driver that
 * builds rings by hand, through either interface.
 */
#ifndef RINGER_TESTS_VIRTIO_RIG_H
#define RINGER_TESTS_VIRTIO_RIG_H

#include "devices/virtio/virtio.h"

#include <string.h>

#define RIG_RAM_BYTES (1u << 20)
#ifndef RIG_QUEUE
#define RIG_QUEUE 16 /* entries that the queues have through the modern interface */
#endif

struct rig_queue {
    unsigned index, size;
    u32 descriptors, driver, device;
    u16 next_descriptor, next, seen;
};

struct rig {
    u8 ram[RIG_RAM_BYTES];
    u64 written_bytes; /* what the device has reported */
    struct pci_bus bus;
    struct virtio *virtio;
    bool legacy;
    bool line;         /* INTA */
    unsigned messages; /* MSI */
    u32 message_data;
    struct rig_queue queue[VIRTIO_QUEUES];
};

/* --- memory --- */

static void rig_dma_read(void *memory, u64 gpa, void *buffer, u64 bytes)
{
    const struct rig *rig = memory;
    memset(buffer, 0xff, bytes);
    if (gpa < RIG_RAM_BYTES && bytes <= RIG_RAM_BYTES - gpa) memcpy(buffer, rig->ram + gpa, bytes);
}

static void rig_dma_write(void *memory, u64 gpa, const void *buffer, u64 bytes)
{
    struct rig *rig = memory;
    if (gpa < RIG_RAM_BYTES && bytes <= RIG_RAM_BYTES - gpa) memcpy(rig->ram + gpa, buffer, bytes);
}

/* RAM has a seam in its middle: nothing crosses it in one piece, but descriptors may. */
static u8 *rig_dma_map(void *memory, u64 gpa, u64 *bytes)
{
    struct rig *rig = memory;
    if (gpa >= RIG_RAM_BYTES) return NULL;
    u64 end = gpa < RIG_RAM_BYTES / 2 ? RIG_RAM_BYTES / 2 : RIG_RAM_BYTES;
    if (*bytes > end - gpa) *bytes = end - gpa;
    return rig->ram + gpa;
}

static void rig_dma_written(void *memory, u64 gpa, u64 bytes)
{
    ((struct rig *)memory)->written_bytes += bytes;
}

static inline struct dma rig_dma(struct rig *rig)
{
    return (struct dma){.read = rig_dma_read,
                        .write = rig_dma_write,
                        .map = rig_dma_map,
                        .written = rig_dma_written,
                        .memory = rig};
}

/* --- the bus --- */

static void rig_line(void *receiver, unsigned pin, bool level)
{
    ((struct rig *)receiver)->line = level;
}

static void rig_msi(void *owner, u64 address, u32 data)
{
    struct rig *rig = owner;
    rig->messages++;
    rig->message_data = data;
}

static inline u32 rig_config_read(struct rig *rig, unsigned offset, unsigned size)
{
    pci_config_ops.write(&rig->bus, 0, 4, 0x80000000u | rig->virtio->pci.devfn << 8 | (offset & 0xfc));
    return (u32)mask_bytes(pci_config_ops.read(&rig->bus, 4 + (offset & 3), size), size);
}

static inline void rig_config_write(struct rig *rig, unsigned offset, unsigned size, u32 value)
{
    pci_config_ops.write(&rig->bus, 0, 4, 0x80000000u | rig->virtio->pci.devfn << 8 | (offset & 0xfc));
    pci_config_ops.write(&rig->bus, 4 + (offset & 3), size, value);
}

/* BAR 4 and BAR 0 by offset. */
static inline u32 rig_read(struct rig *rig, u32 offset, unsigned size)
{
    const struct pci_bar *bar = &rig->virtio->pci.bar[4];
    return (u32)mask_bytes(bar->ops->read(bar->handler, offset, size), size);
}
static inline void rig_write(struct rig *rig, u32 offset, unsigned size, u32 value)
{
    const struct pci_bar *bar = &rig->virtio->pci.bar[4];
    bar->ops->write(bar->handler, offset, size, value);
}
static inline u32 rig_in(struct rig *rig, u32 offset, unsigned size)
{
    const struct pci_bar *bar = &rig->virtio->pci.bar[0];
    return (u32)mask_bytes(bar->ops->read(bar->handler, offset, size), size);
}
static inline void rig_out(struct rig *rig, u32 offset, unsigned size, u32 value)
{
    const struct pci_bar *bar = &rig->virtio->pci.bar[0];
    bar->ops->write(bar->handler, offset, size, value);
}

static inline void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    pci_bus_init(&rig->bus);
    for (unsigned n = 0; n < 4; n++)
        rig->bus.pirq[n] = (struct irq_line){rig_line, rig, n};
    rig->bus.msi = rig_msi;
    rig->bus.msi_owner = rig;
}

/* --- the driver --- */

/* Queue n is at (n + 1) * 16 KB. */
static inline void rig_place_queue(struct rig *rig, unsigned n)
{
    struct rig_queue *q = &rig->queue[n];
    u32 base = (n + 1) * 0x4000;
    memset(rig->ram + base, 0, 0x4000);
    *q = (struct rig_queue){.index = n, .size = RIG_QUEUE, .descriptors = base};
    if (rig->legacy) {
        rig_out(rig, 14, 2, n);
        q->size = rig_in(rig, 12, 2);
        q->driver = base + q->size * 16;
        q->device = (q->driver + 6 + q->size * 2 + 4095) & ~4095u;
        rig_out(rig, 8, 4, base >> 12);
        return;
    }
    q->driver = base + 0x1000;
    q->device = base + 0x2000;
    rig_write(rig, 22, 2, n);
    rig_write(rig, 24, 2, q->size);
    rig_write(rig, 32, 4, q->descriptors);
    rig_write(rig, 40, 4, q->driver);
    rig_write(rig, 48, 4, q->device);
    rig_write(rig, 28, 2, 1);
}

/* Go through 3.1.1 up to DRIVER_OK. VERSION_1 is added for the modern interface. */
static inline void rig_start(struct rig *rig, u64 features, unsigned queues)
{
    if (rig->legacy) {
        rig_config_write(rig, PCI_COMMAND, 2, 3);
        rig_out(rig, 18, 1, 0);
        rig_out(rig, 18, 1, 3);
        rig_out(rig, 4, 4, (u32)features);
    } else {
        rig_config_write(rig, PCI_COMMAND, 2, 6);
        features |= VIRTIO_F_VERSION_1;
        rig_write(rig, 20, 1, 0);
        rig_write(rig, 20, 1, 1);
        rig_write(rig, 20, 1, 3);
        for (unsigned half = 0; half < 2; half++) {
            rig_write(rig, 8, 4, half);
            rig_write(rig, 12, 4, (u32)(features >> 32 * half));
        }
        rig_write(rig, 20, 1, 11);
    }
    for (unsigned n = 0; n < queues; n++)
        rig_place_queue(rig, n);
    if (rig->legacy)
        rig_out(rig, 18, 1, 7);
    else
        rig_write(rig, 20, 1, 15);
}

static inline u8 rig_status(struct rig *rig)
{
    return (u8)(rig->legacy ? rig_in(rig, 18, 1) : rig_read(rig, 20, 1));
}

static inline void rig_put_descriptor(struct rig *rig, u32 table, unsigned n, u64 gpa, u32 bytes, u16 flags,
                                      u16 next)
{
    u8 *at = rig->ram + table + n * 16;
    store_any(at, 8, gpa);
    store_any(at + 8, 4, bytes);
    store_any(at + 12, 2, flags);
    store_any(at + 14, 2, next);
}

struct rig_buffer {
    u64 gpa;
    u32 bytes;
    bool writable;
};

static inline void rig_offer(struct rig *rig, unsigned queue, u16 head)
{
    struct rig_queue *q = &rig->queue[queue];
    store_any(rig->ram + q->driver + 4 + q->next % q->size * 2, 2, head);
    store_any(rig->ram + q->driver + 2, 2, ++q->next);
}

/* Puts a chain into a queue and returns its head. It does not notify. */
static inline u16 rig_add(struct rig *rig, unsigned queue, const struct rig_buffer *buffer, unsigned count)
{
    struct rig_queue *q = &rig->queue[queue];
    u16 head = q->next_descriptor % q->size;
    for (unsigned n = 0; n < count; n++) {
        u16 at = q->next_descriptor++ % q->size;
        rig_put_descriptor(rig, q->descriptors, at, buffer[n].gpa, buffer[n].bytes,
                           (buffer[n].writable ? 2 : 0) | (n + 1 < count ? 1 : 0),
                           q->next_descriptor % q->size);
    }
    rig_offer(rig, queue, head);
    return head;
}

static inline void rig_notify(struct rig *rig, unsigned queue)
{
    if (rig->legacy)
        rig_out(rig, 16, 2, queue);
    else
        rig_write(rig, 0x3000 + 4 * queue, 2, queue);
}

/* The next chain that the device has given back. */
static inline bool rig_get(struct rig *rig, unsigned queue, u32 *head, u32 *written)
{
    struct rig_queue *q = &rig->queue[queue];
    if ((u16)load_any(rig->ram + q->device + 2, 2) == q->seen) return false;
    const u8 *at = rig->ram + q->device + 4 + q->seen++ % q->size * 8;
    *head = (u32)load_any(at, 4);
    *written = (u32)load_any(at + 4, 4);
    return true;
}

/* Interrupt status, which reading clears. */
static inline u8 rig_interrupt_status(struct rig *rig)
{
    return (u8)(rig->legacy ? rig_in(rig, 19, 1) : rig_read(rig, 0x1000, 1));
}

#endif
