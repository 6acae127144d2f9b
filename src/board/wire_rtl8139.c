/*
 * rtl8139: Realtek's RTL8139C+, or its predecessor without descriptors.
 */
#include "board.h"
#include "device_table.h"
#include "devices/net/rtl8139.h"

#include "wire_net.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHIP_C_PLUS, CHIP_C };

static void reset(void *device)
{
    rtl8139_hard_reset(device);
}

static void destroy(void *device)
{
    rtl8139_destroy(device);
    free(device);
}

static bool create(struct board *board, const struct device_option *option, char *error, size_t error_bytes)
{
    u8 devfn, mac[NET_MAC_BYTES];
    bool plus = device_number(option, "chip", CHIP_C_PLUS) == CHIP_C_PLUS;
    struct net_cable *cable = wire_net_cable(board, option, error, error_bytes);
    if (!cable || !board_find_slot(board, option, &devfn, error, error_bytes)) return false;
    wire_net_mac(board, option, mac);
    struct rtl8139 *rtl = calloc(1, sizeof(*rtl));
    if (!rtl || !rtl8139_init(rtl, &board->pci, &board->dma, board->clock, devfn, plus, mac, cable)) {
        if (rtl) destroy(rtl);
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    board_add_device(board, option, rtl, reset, destroy);
    return wire_net_boot(board, option, &rtl->pci, cable, "pxe-rtl8139.rom", error, error_bytes);
}

static const struct property properties[] = {
    NET_PROPERTIES,
    NET_BOOT_PROPERTIES,
    {"chip", PROPERTY_CHOICE, .help = "RTL8139C+ (default) or its predecessor RTL8139C", .choices = "c+ c"},
    {0},
};

const struct device_type rtl8139_type = {
    .name = "rtl8139",
    .bus = &bus_pci,
    .help = "Realtek RTL8139C+ network card",
    .properties = properties,
    .create = create,
};
