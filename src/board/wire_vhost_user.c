/*
 * vhost-user-fs-pci and vhost-user-blk-pci: devices that another program serves, as virtiofsd and qemu-storage-daemon
 * do.
 */
#include "wire_vhost_user.h"

#include "base/log.h"
#include "mmu/phys.h"
#include "vhost/vhost_user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

static void destroy(void *device)
{
    struct vhost_user_device *vhost_device = device;
    vhost_user_close(vhost_device->vhost); /* first: the back end uses the device's buffers */
    vhost_user_device_free(vhost_device);
}

/* RAM as the back end will map it. */
static struct vhost_memory memory_of(const struct phys *phys)
{
    u64 low = phys_low_ram_bytes(phys);
    struct vhost_memory memory = {.fd = phys->ram_fd, .regions = 1, .region = {{0, low, 0, phys->ram}}};
    if (phys->ram_bytes > low)
        memory.region[memory.regions++] =
            (struct vhost_region){PHYS_HIGH_RAM, phys->ram_bytes - low, low, phys->ram + low};
    return memory;
}

bool wire_vhost_user(struct board *board, const struct device_option *option,
                     const struct char_options *socket, const struct vhost_user_kind *kind, const u8 *config,
                     u8 *devfn, char *error, size_t error_bytes)
{
    struct virtio_options virtio;
    struct vhost_memory memory = memory_of(board->memory);
    if (!socket->path)
        return SAY("a vhost-user back end is at a Unix socket: -chardev socket,id=ID,path=PATH");
    if (board->follower) return SAY("--lockstep and a vhost-user device exclude each other");
    if (board->deterministic)
        log_warn("what the back end at %s does is not recorded: this run cannot be repeated", socket->path);
    if (!virtio_configure(board, option, &virtio, error, error_bytes)) return false;
    struct vhost *vhost =
        vhost_user_open(socket->path, socket->server, &memory, board->mailbox, error, error_bytes);
    if (!vhost) return false;
    if (kind->config_from_back_end && !vhost->has_config) {
        vhost_user_close(vhost);
        return SAY("the vhost-user back end at %s does not say what its device is like", socket->path);
    }
    struct vhost_user_device *device =
        vhost_user_device_new(kind, &board->pci, &board->dma, &virtio, vhost, config);
    if (!device) {
        vhost_user_close(vhost);
        return SAY("out of memory");
    }
    *devfn = virtio.devfn;
    board_add_device(board, option, device, virtio_reset_line, destroy);
    return true;
}

/* --- the file system --- */

static bool check_fs(const struct device_option *option, char *error, size_t error_bytes)
{
    if (strlen(device_text(option, "tag")) > VHOST_USER_FS_TAG_BYTES)
        return SAY("-device vhost-user-fs-pci: tag has %u bytes at most", VHOST_USER_FS_TAG_BYTES);
    return !device_number(option, "disable-modern") ||
           SAY("-device vhost-user-fs-pci: it has no legacy interface, so disable-modern leaves it none");
}

static bool create_fs(struct board *board, const struct device_option *option, char *error,
                      size_t error_bytes)
{
    u8 config[VHOST_USER_CONFIG_BYTES], devfn;
    vhost_user_fs_config(config, device_text(option, "tag"));
    return wire_vhost_user(board, option, device_chardev(option, "chardev"), &vhost_user_fs_kind, config,
                           &devfn, error, error_bytes);
}

#define VHOST_USER_PROPERTIES                                                                                \
    {"chardev", PROPERTY_SOCKET, .help = "the socket of the back end", .required = true},                    \
    {                                                                                                        \
        "queue-size", PROPERTY_NUMBER, .help = "ignored: the queues have 256 entries", .most = 1024,         \
                                       .preset = 256                                                         \
    }

static const struct property fs_properties[] = {
    VHOST_USER_PROPERTIES,
    {"tag", PROPERTY_TEXT, .help = "the name by which the guest mounts it", .required = true},
    {"num-request-queues", PROPERTY_NUMBER, .help = "ignored: there is one", .most = 1024, .preset = 1},
    VIRTIO_PROPERTIES,
    {0},
};

const struct device_type vhost_user_fs_type = {
    .name = "vhost-user-fs-pci",
    .bus = &bus_pci,
    .help = "file system that another program serves (virtiofsd)",
    .properties = fs_properties,
    .check = check_fs,
    .create = create_fs,
};

/* --- the disk --- */

static bool create_blk(struct board *board, const struct device_option *option, char *error,
                       size_t error_bytes)
{
    u8 devfn;
    if (!wire_vhost_user(board, option, device_chardev(option, "chardev"), &vhost_user_blk_kind, NULL, &devfn,
                         error, error_bytes))
        return false;
    board_add_boot_entry(board, device_boot_index(option, 0), "/pci@i0cf8/scsi@%x/disk@0,0", devfn >> 3);
    return true;
}

static const struct property blk_properties[] = {
    VHOST_USER_PROPERTIES,
    {"num-queues", PROPERTY_NUMBER, .help = "ignored: there is one", .most = 1024, .preset = 1},
    {"bootindex", PROPERTY_BOOT, .help = "firmware tries small numbers first"},
    VIRTIO_PROPERTIES,
    {0},
};

const struct device_type vhost_user_blk_type = {
    .name = "vhost-user-blk-pci",
    .bus = &bus_pci,
    .help = "disk that another program serves (qemu-storage-daemon)",
    .properties = blk_properties,
    .check = virtio_check,
    .create = create_blk,
};
