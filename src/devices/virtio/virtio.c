/*
 * Virtio: negotiation, configuration, resets. See virtio.h.
 */
#include "virtio.h"

#include "base/log.h"

#include <assert.h>
#include <string.h>

/* --- resets --- */

void virtio_queue_reset(struct virtio *virtio, unsigned queue)
{
    struct virtio_queue *q = &virtio->queue[queue];
    *q = (struct virtio_queue){.size_max = q->size_max,
                               .size = q->size_max,
                               .vector = VIRTIO_NO_VECTOR,
                               .epoch = q->epoch + 1,
                               .held = q->held,
                               .resetting = q->held != 0};
}

void virtio_reset(struct virtio *virtio)
{
    virtio->status = 0;
    virtio->resetting = false;
    virtio->accepted = 0;
    virtio->offered_select = virtio->accepted_select = 0;
    virtio->queue_select = 0;
    virtio->config_vector = VIRTIO_NO_VECTOR;
    virtio->interrupt_status = 0;
    for (unsigned n = 0; n < virtio->queues; n++) {
        virtio_queue_reset(virtio, n);
        if (virtio->queue[n].held) virtio->resetting = true;
    }
    if (virtio->pci.interrupt) pci_set_interrupt(&virtio->pci, false);
    if (virtio->kind->reset) virtio->kind->reset(virtio);
}

void virtio_hard_reset(struct virtio *virtio)
{
    pci_device_reset(&virtio->pci);
    virtio_reset(virtio);
}

void virtio_hold(struct virtio *virtio, const struct virtio_chain *chain)
{
    virtio->queue[chain->queue].held++;
}

void virtio_release(struct virtio *virtio, const struct virtio_chain *chain)
{
    struct virtio_queue *q = &virtio->queue[chain->queue];
    assert(q->held);
    if (--q->held) return;
    q->resetting = false;
    for (unsigned n = 0; n < virtio->queues; n++)
        if (virtio->queue[n].held) return;
    virtio->resetting = false;
}

void virtio_break(struct virtio *virtio, const char *why)
{
    /* Only once, because a guest must not fill the host's disk with messages. */
    if (!virtio->warned) {
        virtio->warned = true;
        log_warn("the guest's driver of virtio device %02x.%x has violated the specification: %s",
                 virtio->pci.devfn >> 3, virtio->pci.devfn & 7, why);
    }
    if (virtio->status & VIRTIO_NEEDS_RESET) return;
    virtio->status |= VIRTIO_NEEDS_RESET;
    if (virtio->status & VIRTIO_DRIVER_OK) virtio_pci_interrupt(virtio, -1);
}

/* --- negotiation --- */

u8 virtio_status(const struct virtio *virtio)
{
    /* Any value but 0, because the driver waits for 0. */
    return virtio->resetting ? VIRTIO_ACKNOWLEDGE : virtio->status;
}

void virtio_accept(struct virtio *virtio, u64 features)
{
    if (!(virtio->status & VIRTIO_FEATURES_OK)) virtio->accepted = features;
}

static bool features_are_good(const struct virtio *virtio)
{
    return !(virtio->accepted & ~virtio->offered) && !virtio_is_legacy(virtio);
}

void virtio_set_status(struct virtio *virtio, u8 status)
{
    u8 old = virtio->status;
    if (!status) {
        virtio_reset(virtio);
        return;
    }
    virtio->resetting = false; /* a legacy driver does not wait */
    /* The driver may add bits, not take them away (2.1.1). */
    if (!(old & VIRTIO_FEATURES_OK) && !features_are_good(virtio)) status &= ~VIRTIO_FEATURES_OK;
    virtio->status |= status & ~VIRTIO_NEEDS_RESET;
    if ((old & VIRTIO_DRIVER_OK) || !(status & VIRTIO_DRIVER_OK)) return;
    /* Buffers offered before this have waited, because their notification had no effect. */
    for (unsigned n = 0; n < virtio->queues; n++)
        if (virtio_is_waiting(virtio, n)) virtio->kind->notify(virtio, n);
}

void virtio_queue_notified(struct virtio *virtio, unsigned queue)
{
    if (queue >= virtio->queues) return;
    if (!(virtio->status & VIRTIO_DRIVER_OK) && !virtio_is_legacy(virtio)) return;
    virtio->kind->notify(virtio, queue);
}

/* --- configuration --- */

u32 virtio_config_read(const struct virtio *virtio, u32 offset, unsigned size)
{
    if (offset + size > virtio->config_bytes) return 0;
    return (u32)load_any(&virtio->config[offset], size);
}

void virtio_config_write(struct virtio *virtio, u32 offset, unsigned size, u32 value)
{
    if (offset + size > virtio->config_bytes) return;
    for (unsigned n = 0; n < size; n++) {
        u8 *at = &virtio->config[offset + n], writable = virtio->config_writable[offset + n];
        *at = (u8)((*at & ~writable) | (value >> 8 * n & writable));
    }
    if (virtio->kind->config_written) virtio->kind->config_written(virtio, offset, size);
}

void virtio_config_changed(struct virtio *virtio)
{
    virtio->generation++;
    if (virtio->status & VIRTIO_DRIVER_OK) virtio_pci_interrupt(virtio, -1);
}

/* --- set-up --- */

void virtio_init(struct virtio *virtio, const struct virtio_kind *kind, struct pci_bus *bus,
                 const struct dma *dma, const struct virtio_options *options, u16 type, u32 class_code,
                 u64 features, const u16 *queue_sizes, unsigned queues)
{
    assert(queues <= VIRTIO_QUEUES && !(options->no_legacy && options->no_modern));
    *virtio = (struct virtio){.kind = kind, .dma = *dma, .queues = queues};
    virtio->offered = features | VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
    if (!options->no_modern) virtio->offered |= VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET;
    for (unsigned n = 0; n < queues; n++) {
        assert(queue_sizes[n] && queue_sizes[n] <= VIRTIO_QUEUE_SIZE &&
               !(queue_sizes[n] & (queue_sizes[n] - 1)));
        virtio->queue[n].size_max = queue_sizes[n];
    }
    virtio_pci_init(virtio, bus, options, type, class_code);
    virtio_hard_reset(virtio);
}
