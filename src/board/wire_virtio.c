#include "wire_virtio.h"

#include <stdio.h>

bool virtio_check(const struct device_option *option, char *error, size_t error_bytes)
{
    if (!device_number(option, "disable-legacy") || !device_number(option, "disable-modern")) return true;
    snprintf(error, error_bytes, "-device %s: only one of its interfaces, legacy and modern, can be disabled",
             option->type->name);
    return false;
}

bool virtio_configure(struct board *board, const struct device_option *option, struct virtio_options *virtio,
                      char *error, size_t error_bytes)
{
    virtio->no_legacy = device_number(option, "disable-legacy");
    virtio->no_modern = device_number(option, "disable-modern");
    return board_find_slot(board, option, &virtio->devfn, error, error_bytes);
}

void virtio_reset_line(void *device)
{
    virtio_hard_reset(device);
}
