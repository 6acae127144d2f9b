/*
 * Virtio devices with queues that another process serves (base/vhost.h): a file system (5.11), a disk (5.2), a
 * network card (5.1). This is the part that the kinds share; a kind is a row of facts.
 *
 * A chain that the driver offers becomes a request with a number, its cookie, and is the back end's until it has used
 * it. A reset takes all back at once, and waits until the back end has let go. When the back end is lost, requests
 * fail: the guest gets I/O errors, or a network card without a link.
 */
#ifndef RINGER_DEVICES_VIRTIO_VHOST_USER_DEVICE_H
#define RINGER_DEVICES_VIRTIO_VHOST_USER_DEVICE_H

#include "base/vhost.h"
#include "virtio.h"

struct vhost_user_request {
    struct virtio_chain chain;
    bool with_back_end;
    u16 next_free;
};

struct vhost_user_queue {
    struct vhost_user_request *request; /* VIRTIO_QUEUE_SIZE of them */
    u16 free;                           /* number + 1; 0: none */
    bool waits; /* a chain has been taken and found no room: it is the first free request's */
};

struct vhost_user_kind;

struct vhost_user_device {
    struct virtio virtio; /* first */
    const struct vhost_user_kind *kind;
    struct vhost *vhost;
    bool started, lost;
    unsigned queues;
    struct vhost_user_queue queue[VIRTIO_QUEUES];
};

/* What the kinds differ in. */
struct vhost_user_kind {
    u16 type;
    u32 class_code;
    u64 features; /* of the device, as far as we know what they mean */
    unsigned queues;
    unsigned config_bytes;
    bool config_from_back_end, modern_only;
    /* There is no back end: answer a request with an error. Returns the bytes written. */
    u32 (*fail)(const struct virtio_chain *chain);
};

/* NULL: out of memory. The configuration is `config`, or what the back end says. */
struct vhost_user_device *vhost_user_device_new(const struct vhost_user_kind *kind, struct pci_bus *bus,
                                                const struct dma *dma, const struct virtio_options *options,
                                                struct vhost *vhost, const u8 *config);
/* The back end is closed by then. */
void vhost_user_device_free(struct vhost_user_device *device);

extern const struct vhost_user_kind vhost_user_fs_kind, vhost_user_blk_kind, vhost_user_net_kind;

/* Configuration of a file system: tag, request queues (5.11.4); of a network card: address, status (5.1.4). */
#define VHOST_USER_FS_TAG_BYTES 36
#define VHOST_USER_CONFIG_BYTES VIRTIO_CONFIG_BYTES
void vhost_user_fs_config(u8 config[VHOST_USER_CONFIG_BYTES], const char *tag);
void vhost_user_net_config(u8 config[VHOST_USER_CONFIG_BYTES], const u8 mac[6]);

#endif
