/*
 * A virtio device (Virtual I/O Device specification 1.2, OASIS): the part that all kinds share. The transport
 * is virtio_pci.c, the rings are virtio_queue.c. A kind of device (virtio_blk.h, ...) uses the buffers that the
 * driver puts into the rings.
 *
 * Invariants
 * 1. The guest may change rings and buffers at any time. Each word is read once, so the value that was
 *    checked is the one that is used. Only RAM is touched.
 * 2. An invalid queue breaks the device: it sets DEVICE_NEEDS_RESET, and takes and gives no buffers until the driver
 *    resets it. The machine goes on.
 * 3. After a reset of the device or of one queue, no chain that was taken before the reset is given back: a chain has
 *    the epoch of its queue. Other threads may hold chains (`held`) and still write to their buffers. Until they
 *    release them the reset does not read as complete, so the driver waits (2.4.1, 2.6.1).
 */
#ifndef RINGER_DEVICES_VIRTIO_VIRTIO_H
#define RINGER_DEVICES_VIRTIO_VIRTIO_H

#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_msix.h"

#include <sys/uio.h>

/* Device types (5) */
enum {
    VIRTIO_NET = 1,
    VIRTIO_BLOCK = 2,
    VIRTIO_CONSOLE = 3,
    VIRTIO_ENTROPY = 4,
    VIRTIO_BALLOON = 5,
    VIRTIO_SCSI = 8,
    VIRTIO_9P = 9,
    VIRTIO_FS = 26
};

/* Device status (2.1) */
enum {
    VIRTIO_ACKNOWLEDGE = 1,
    VIRTIO_DRIVER = 2,
    VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64,
    VIRTIO_FAILED = 128,
};

/* Feature bits of all devices (6) */
#define VIRTIO_F_ANY_LAYOUT    (1ull << 27)
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1     (1ull << 32)
#define VIRTIO_F_RING_RESET    (1ull << 40)

#define VIRTIO_QUEUES       18
#define VIRTIO_QUEUE_SIZE   256 /* entries of the largest queue */
#define VIRTIO_NO_VECTOR    0xffff
#define VIRTIO_CONFIG_BYTES 64

/* The most buffers of a chain: segments, a header and a status. The other parts are for buffers in several pieces of
 * host memory. */
#define VIRTIO_SEGMENTS    254
#define VIRTIO_CHAIN_PARTS (VIRTIO_SEGMENTS + 10)

struct virtio;

struct virtio_queue {
    u16 size_max, size; /* a power of two */
    bool enabled;
    u16 vector;
    u64 descriptors_gpa, driver_gpa, device_gpa;
    /* While enabled: the three areas in host memory. */
    const u8 *descriptors, *driver;
    u8 *device;
    /* Free-running, as in the rings. */
    u16 taken;      /* buffers taken from the driver */
    u16 given;      /* buffers given back */
    u16 notified;   /* value of `given` at the last interrupt */
    bool resetting; /* a reset waits for held chains */
    u32 epoch;
    u32 held;
};

/* A chain of buffers in host memory: first those that the device reads, then those that it writes. */
struct virtio_chain {
    u32 epoch;
    u16 queue, head;
    u16 readable, writable; /* parts */
    u64 readable_bytes, writable_bytes;
    struct iovec part[VIRTIO_CHAIN_PARTS];
    u64 gpa[VIRTIO_CHAIN_PARTS];
};

/* The functions of a kind of device. All but `notify` may be NULL. */
struct virtio_kind {
    /* There are buffers in this queue: the driver has notified the device, or has become ready. */
    void (*notify)(struct virtio *virtio, unsigned queue);
    /* Bytes of virtio.config were written, only those that `config_writable` allows. */
    void (*config_written)(struct virtio *virtio, u32 offset, unsigned size);
    void (*reset)(struct virtio *virtio);
    /* The driver has reset this queue alone (2.6.1): what is not held is not used any more. */
    void (*queue_reset)(struct virtio *virtio, unsigned queue);
};

struct virtio {
    struct pci_device pci;
    struct pci_msix msix;
    struct dma dma;
    const struct virtio_kind *kind;
    u64 offered, accepted; /* features */
    u32 offered_select, accepted_select;
    u8 status;
    bool resetting; /* a reset waits for held chains */
    bool warned;    /* about a violation of the specification */
    u8 interrupt_status;
    u16 config_vector;
    u16 queue_select;
    unsigned queues;
    struct virtio_queue queue[VIRTIO_QUEUES];
    u8 config[VIRTIO_CONFIG_BYTES], config_writable[VIRTIO_CONFIG_BYTES];
    unsigned config_bytes;
    u8 generation;        /* of the configuration */
    u8 access_capability; /* the transport's PCI_CFG, or 0 */
};

/* --- virtio.c: negotiation --- */

struct virtio_options {
    u8 devfn;
    bool no_legacy, no_modern; /* a transitional device has both interfaces */
};

/* Put a device of this kind on the bus. `class_code`: as for pci_device_init(). `queue_sizes`: `queues` powers of two.
 * The caller fills config[] afterwards. */
void virtio_init(struct virtio *virtio, const struct virtio_kind *kind, struct pci_bus *bus,
                 const struct dma *dma, const struct virtio_options *options, u16 type, u32 class_code,
                 u64 features, const u16 *queue_sizes, unsigned queues);
/* The reset line: resets the PCI device too. */
void virtio_hard_reset(struct virtio *virtio);

static inline bool virtio_has(const struct virtio *virtio, u64 feature)
{
    return virtio->accepted & feature;
}

/* Is it a driver of a version before 1? Such a driver arranges its rings differently, and may use them before it is
 * ready. */
static inline bool virtio_is_legacy(const struct virtio *virtio)
{
    return !virtio_has(virtio, VIRTIO_F_VERSION_1);
}

/* The device has changed config[]: tell the driver. */
void virtio_config_changed(struct virtio *virtio);

/* The driver has violated the specification: stop, and set DEVICE_NEEDS_RESET. */
void virtio_break(struct virtio *virtio, const char *why);

/* For the transport. */
void virtio_set_status(struct virtio *virtio, u8 status);
u8 virtio_status(const struct virtio *virtio);
void virtio_reset(struct virtio *virtio);
void virtio_accept(struct virtio *virtio, u64 features);
void virtio_queue_notified(struct virtio *virtio, unsigned queue);
void virtio_queue_reset(struct virtio *virtio, unsigned queue);
u32 virtio_config_read(const struct virtio *virtio, u32 offset, unsigned size);
void virtio_config_write(struct virtio *virtio, u32 offset, unsigned size, u32 value);

/* --- virtio_queue.c: rings --- */

/* Is there a chain to take? If not, the driver will notify the device of the next one. */
bool virtio_is_waiting(struct virtio *virtio, unsigned queue);
/* Take the driver's next chain out of a queue. False: there is none, or the device is (now) broken. */
bool virtio_take(struct virtio *virtio, unsigned queue, struct virtio_chain *chain);
/* Give a chain back after `written` bytes were written to it. virtio_interrupt() must follow. */
void virtio_give(struct virtio *virtio, const struct virtio_chain *chain, u32 written);
/* The same for a device that keeps only these facts of a chain, and has itself reported its writes by struct dma's
 * written(). */
void virtio_give_head(struct virtio *virtio, unsigned queue, u32 epoch, u16 head, u32 written);
/* Interrupt the driver for what was given since the last interrupt, unless it wants none. */
void virtio_interrupt(struct virtio *virtio, unsigned queue);
/* Has the queue not been reset since the chain was taken? */
static inline bool virtio_chain_is_live(const struct virtio *virtio, const struct virtio_chain *chain)
{
    return chain->epoch == virtio->queue[chain->queue].epoch;
}
/* A chain's buffers go to other threads, and come back from them: see invariant 3. */
void virtio_hold(struct virtio *virtio, const struct virtio_chain *chain);
void virtio_release(struct virtio *virtio, const struct virtio_chain *chain);

/* Copy from the readable part, or to the writable part, beginning at an offset in it. Bytes beyond its end are left
 * out. Returns the bytes copied. */
u64 virtio_chain_read(const struct virtio_chain *chain, u64 offset, void *to, u64 bytes);
u64 virtio_chain_write(const struct virtio_chain *chain, u64 offset, const void *from, u64 bytes);

/* For the transport: begin to serve a queue with the size and addresses that are set. Impossible values break the
 * device. */
void virtio_queue_enable(struct virtio *virtio, unsigned queue);

/* --- virtio_pci.c: the transport --- */

void virtio_pci_init(struct virtio *virtio, struct pci_bus *bus, const struct virtio_options *options,
                     u16 type, u32 class_code);
/* Interrupt the driver for used buffers in a queue, or (negative) for a change of the configuration. */
void virtio_pci_interrupt(struct virtio *virtio, int queue);

#endif
