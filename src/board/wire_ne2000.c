/*
 * ne2k_pci and ne2k_isa: the NE2000 on the PCI bus, as Realtek's RTL8029AS, and on the ISA bus.
 */
#include "board.h"
#include "device_table.h"
#include "devices/net/ne2000.h"

#include "wire_net.h"

#include <stdio.h>
#include <stdlib.h>

#define VENDOR_REALTEK         0x10ec
#define DEVICE_RTL8029         0x8029
#define CLASS_NETWORK_ETHERNET 0x020000u

struct card {
    struct ne2000 ne; /* first */
    struct pci_device pci;
    const struct irq_line *irq;
};

static void reset(void *device)
{
    struct card *card = device;
    if (card->pci.bus) pci_device_reset(&card->pci);
    ne2000_hard_reset(&card->ne);
}

static void destroy(void *device)
{
    struct card *card = device;
    ne2000_destroy(&card->ne);
    free(card);
}

static void interrupt_pci(void *owner, bool level)
{
    pci_set_interrupt(&((struct card *)owner)->pci, level);
}

static void interrupt_isa(void *owner, bool level)
{
    irq_set(((struct card *)owner)->irq, level);
}

static bool out_of_memory(struct card *card, char *error, size_t error_bytes)
{
    if (card) destroy(card);
    snprintf(error, error_bytes, "out of memory");
    return false;
}

static bool create_pci(struct board *board, const struct device_option *option, char *error,
                       size_t error_bytes)
{
    u8 devfn, mac[NET_MAC_BYTES];
    struct net_cable *cable = wire_net_cable(board, option, error, error_bytes);
    if (!cable || !board_find_slot(board, option, &devfn, error, error_bytes)) return false;
    wire_net_mac(board, option, mac);
    struct card *card = calloc(1, sizeof(*card));
    if (!card) return out_of_memory(card, error, error_bytes);
    pci_device_init(&card->pci, &board->pci, devfn, VENDOR_REALTEK, DEVICE_RTL8029, CLASS_NETWORK_ETHERNET);
    pci_interrupt_pin(&card->pci, 1);
    pci_bar_ports(&card->pci, 0, NE2000_IO_BYTES, 4, &ne2000_ops, &card->ne);
    card->pci.bar[0].string_ops = &ne2000_string_ops;
    if (!ne2000_init(&card->ne, true, interrupt_pci, card, mac, cable))
        return out_of_memory(card, error, error_bytes);
    board_add_device(board, option, card, reset, destroy);
    return wire_net_boot(board, option, &card->pci, cable, "pxe-ne2k_pci.rom", error, error_bytes);
}

static bool create_isa(struct board *board, const struct device_option *option, char *error,
                       size_t error_bytes)
{
    u8 mac[NET_MAC_BYTES];
    struct net_cable *cable = wire_net_cable(board, option, error, error_bytes);
    if (!cable) return false;
    wire_net_mac(board, option, mac);
    struct card *card = calloc(1, sizeof(*card));
    if (!card) return out_of_memory(card, error, error_bytes);
    card->irq = &board->irq[device_number(option, "irq")];
    if (!ne2000_init(&card->ne, false, interrupt_isa, card, mac, cable))
        return out_of_memory(card, error, error_bytes);
    struct port_range *range = ports_add(&board->ports, NE2000_IO_BYTES, 4, &ne2000_ops, &card->ne);
    ports_set_string(range, &ne2000_string_ops);
    ports_move(&board->ports, range, (u16)device_number(option, "iobase"), true);
    board_add_device(board, option, card, reset, destroy);
    return true;
}

static bool check_isa(const struct device_option *option, char *error, size_t error_bytes)
{
    u64 base = device_number(option, "iobase"), irq = device_number(option, "irq");
    if (base >= 0x200 && base % NE2000_IO_BYTES == 0 && irq >= 3) return true;
    snprintf(error, error_bytes,
             "-device ne2k_isa: iobase is a multiple of 20h from 200h on, and irq 3 to 15");
    return false;
}

static const struct property pci_properties[] = {NET_PROPERTIES, NET_BOOT_PROPERTIES, {0}};
static const struct property isa_properties[] = {
    NET_PROPERTIES,
    {"iobase", PROPERTY_NUMBER, .help = "the first of 32 ports (default: 0x300)", .most = 0xffe0,
     .preset = 0x300},
    {"irq", PROPERTY_NUMBER, .help = "interrupt line (default: 9)", .most = 15, .preset = 9},
    {0},
};

const struct device_type ne2k_pci_type = {
    .name = "ne2k_pci",
    .bus = &bus_pci,
    .help = "NE2000 network card, as Realtek RTL8029",
    .properties = pci_properties,
    .create = create_pci,
    .plugs = true,
};

const struct device_type ne2k_isa_type = {
    .name = "ne2k_isa",
    .bus = &bus_isa,
    .help = "NE2000 network card",
    .properties = isa_properties,
    .check = check_isa,
    .create = create_isa,
};
