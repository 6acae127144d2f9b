/*
 * pcnet: AMD's PCnet-PCI II, the card of early virtual machines.
 */
#include "board.h"
#include "device_table.h"
#include "devices/net/pcnet.h"

#include "wire_net.h"

#include <stdio.h>
#include <stdlib.h>

static void reset(void *device)
{
    pcnet_hard_reset(device);
}

static void destroy(void *device)
{
    pcnet_destroy(device);
    free(device);
}

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    u8 devfn, mac[NET_MAC_BYTES];
    struct net_cable *cable = wire_net_cable(board, option, error, error_bytes);
    if (!cable || !board_find_slot(board, option, &devfn, error, error_bytes)) return false;
    wire_net_mac(board, option, mac);
    struct pcnet *pcnet = calloc(1, sizeof(*pcnet));
    if (!pcnet || !pcnet_init(pcnet, &board->pci, &board->dma, board->clock, devfn, mac, cable)) {
        if (pcnet) destroy(pcnet);
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    board_add_device(board, option, pcnet, reset, destroy);
    return wire_net_boot(board, option, &pcnet->pci, cable, "pxe-pcnet.rom", error, error_bytes);
}

static const struct property properties[] = {
    NET_PROPERTIES,
    NET_BOOT_PROPERTIES,
    {0},
};

const struct device_type pcnet_type = {
    .name = "pcnet",
    .bus = &bus_pci,
    .help = "AMD Am79C970A PCnet-PCI II network card",
    .properties = properties,
    .create = create,
};
