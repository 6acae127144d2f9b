/*
 * virtio-9p-pci: a folder of the host that the guest mounts.
 */
#include "base/log.h"
#include "devices/virtio/virtio_9p.h"
#include "share/folder.h"
#include "wire_virtio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wired_9p {
    struct virtio_9p device; /* first */
    struct folder *folder;
};

static void destroy(void *device)
{
    struct wired_9p *wired = device;
    folder_close(wired->folder);
    free(wired);
}

static bool check(const struct device_option *option, char *error, size_t error_bytes)
{
    size_t length = strlen(device_text(option, "mount_tag"));
    if (length <= VIRTIO_9P_TAG_BYTES) return virtio_check(option, error, error_bytes);
    snprintf(error, error_bytes, "-device virtio-9p-pci: mount_tag has %u bytes at most",
             VIRTIO_9P_TAG_BYTES);
    return false;
}

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    struct virtio_options virtio;
    const char *id = device_text(option, "fsdev");
    const struct share_option *share = share_options_find(&board->options->shares, id);
    if (!share) {
        snprintf(error, error_bytes, "there is no -fsdev with the id \"%s\"", id);
        return false;
    }
    if (!virtio_configure(board, option, &virtio, error, error_bytes)) return false;
    struct wired_9p *wired = calloc(1, sizeof(*wired));
    if (!wired) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    wired->folder = folder_open(&share->options, board->mailbox, board->deterministic ? board->clock : NULL,
                                error, error_bytes);
    if (!wired->folder) {
        free(wired);
        return false;
    }
    if (board->deterministic)
        log_warn("what the host changes in the shared folder %s is not recorded: this run cannot be repeated",
                 share->path);
    virtio_9p_init(&wired->device, &board->pci, &board->dma, &virtio, folder_share(wired->folder),
                   device_text(option, "mount_tag"));
    board_add_device(board, option, wired, virtio_reset_line, destroy);
    return true;
}

static const struct property properties[] = {
    {"fsdev", PROPERTY_TEXT, .help = "the id of a -fsdev", .required = true},
    {"mount_tag", PROPERTY_TEXT, .help = "the name by which the guest mounts it", .required = true},
    VIRTIO_PROPERTIES,
    {0},
};

const struct device_type virtio_9p_type = {
    .name = "virtio-9p-pci",
    .bus = &bus_pci,
    .help = "folder of the host, for the guest's 9p file system",
    .properties = properties,
    .check = check,
    .create = create,
};
