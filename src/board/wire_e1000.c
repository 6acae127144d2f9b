/*
 * e1000: Intel's 82540EM. Nearly every operating system has a driver for it.
 */
#include "board.h"
#include "device_table.h"
#include "devices/net/e1000.h"

#include "wire_net.h"

#include <stdio.h>
#include <stdlib.h>

static void reset(void *device)
{
    e1000_hard_reset(device);
}

static void destroy(void *device)
{
    e1000_destroy(device);
    free(device);
}

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    u8 devfn, mac[NET_MAC_BYTES];
    struct net_cable *cable = wire_net_cable(board, option, error, error_bytes);
    if (!cable || !board_find_slot(board, option, &devfn, error, error_bytes)) return false;
    wire_net_mac(board, option, mac);
    struct e1000 *e1000 = calloc(1, sizeof(*e1000));
    if (!e1000 || !e1000_init(e1000, &board->pci, &board->dma, board->clock, devfn, mac, cable)) {
        if (e1000) destroy(e1000);
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    board_add_device(board, option, e1000, reset, destroy);
    return wire_net_boot(board, option, &e1000->pci, cable, "pxe-e1000.rom", error, error_bytes);
}

static const struct property properties[] = {NET_PROPERTIES, NET_BOOT_PROPERTIES, {0}};

const struct device_type e1000_type = {
    .name = "e1000",
    .bus = &bus_pci,
    .help = "Intel 82540EM network card",
    .properties = properties,
    .create = create,
};
