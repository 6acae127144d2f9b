/*
 * virtio-net-pci: the fast network card.
 */
#include "devices/virtio/virtio_net.h"
#include "wire_vhost_user.h"
#include "wire_virtio.h"

#include "wire_net.h"

#include <stdio.h>
#include <stdlib.h>

static void destroy(void *device)
{
    virtio_net_destroy(device);
    free(device);
}

/* The network's program serves the card's queues itself. */
static bool create_vhost_user(struct board *board, const struct device_option *option,
                              const struct netdev_option *netdev, char *error, size_t error_bytes)
{
    u8 mac[NET_MAC_BYTES], config[VHOST_USER_CONFIG_BYTES], devfn;
    wire_net_mac(board, option, mac);
    vhost_user_net_config(config, mac);
    return wire_vhost_user(board, option, device_options_chardev(&board->options->devices, netdev->chardev),
                           &vhost_user_net_kind, config, &devfn, error, error_bytes);
}

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    struct virtio_options virtio;
    struct virtio_net_options options = {.mtu = (u16)device_number(option, "host_mtu")};
    struct net_cable *cable = wire_net_cable(board, option, error, error_bytes);
    const struct netdev_option *netdev = wire_net_option(board, option);
    if (cable && netdev && netdev->kind == NETDEV_VHOST_USER)
        return create_vhost_user(board, option, netdev, error, error_bytes);
    if (!cable || !virtio_configure(board, option, &virtio, error, error_bytes)) return false;
    wire_net_mac(board, option, options.mac);
    struct virtio_net *net = calloc(1, sizeof(*net));
    if (!net || !virtio_net_init(net, &board->pci, &board->dma, &virtio, &options, cable)) {
        if (net) destroy(net);
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    board_add_device(board, option, net, virtio_reset_line, destroy);
    return wire_net_boot(board, option, &net->virtio.pci, cable, "pxe-virtio.rom", error, error_bytes);
}

static const struct property properties[] = {
    NET_PROPERTIES,
    NET_BOOT_PROPERTIES,
    {"host_mtu", PROPERTY_NUMBER, .help = "largest packet that the guest is told to use", .most = 65535},
    VIRTIO_PROPERTIES,
    {0},
};

const struct device_type virtio_net_type = {.name = "virtio-net-pci",
                                            .bus = &bus_pci,
                                            .help = "network card, the fastest",
                                            .properties = properties,
                                            .check = virtio_check,
                                            .create = create,
                                            .plugs = true};
